package llmtest

import (
	"context"
	"net"
	"net/http"
	"testing"
)

// Pipe serves h until the test ends and gives a client that reaches it at every
// address, over connections in memory: under testing/synctest, where time passes
// only while all wait, limits of time can be tried however busy the machine is.
func Pipe(t testing.TB, h http.Handler) *http.Client {
	l, client := Pipes()
	server := &http.Server{Handler: h}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }()
	t.Cleanup(func() {
		client.CloseIdleConnections()
		_ = server.Close() // closes l
		<-ended
	})
	return client
}

// Pipes is Pipe for a server of one's own, to be closed before the test ends.
func Pipes() (net.Listener, *http.Client) {
	l := pipes{make(chan net.Conn), make(chan struct{})}
	return l, &http.Client{Transport: &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		near, far := net.Pipe()
		select {
		case l.conns <- far:
			return near, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}}}
}

// pipes listens for what the client dials.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close is called once, by the server.
func (p pipes) Close() error { close(p.closed); return nil }

func (p pipes) Addr() net.Addr { return &net.IPAddr{} }
