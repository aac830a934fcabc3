package gateway

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	headerTime = 10 * time.Second // to send a request's head
	idleTime   = 2 * time.Minute  // between two requests of a connection
	// finishTime is what requests in flight get to end when the server ends.
	finishTime = 10 * time.Second
)

// ErrOpen means that a server would be open to the network without a key.
var ErrOpen = errors.New("listening beyond this machine needs an API key")

// Listen opens an address. One that is reachable from other machines is
// [ErrOpen] without a key.
func Listen(ctx context.Context, address, apiKey string) (net.Listener, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: want HOST:PORT: %w", address, err)
	}
	if apiKey == "" && !at.IP.IsLoopback() {
		return nil, fmt.Errorf("listen on %q: %w", address, ErrOpen)
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", at.String())
}

type endingKey struct{}

// ending tells whether the server that a request came to is about to end.
func ending(ctx context.Context) bool {
	serving, ok := ctx.Value(endingKey{}).(context.Context)
	return ok && serving.Err() != nil
}

// Serve answers on the listener until ctx ends. Then it takes no more requests,
// gives those in flight some seconds, and cancels what is left of them.
func Serve(ctx context.Context, listener net.Listener, h http.Handler, logger *slog.Logger) error {
	return serve(ctx, listener, h, logger, finishTime)
}

func serve(ctx context.Context, listener net.Listener, h http.Handler, logger *slog.Logger, finish time.Duration) error {
	base, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	base = context.WithValue(base, endingKey{}, ctx)
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    log.New(quiet{logger}, "", 0),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), finish)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		cut(errShutdown)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err = server.Shutdown(last); err != nil {
			err = server.Close()
		}
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// quiet logs what net/http has to say, such as broken handshakes, as debugging.
type quiet struct{ log *slog.Logger }

// Write implements [io.Writer].
func (q quiet) Write(p []byte) (int, error) {
	q.log.Debug("http", "message", clip(string(p)))
	return len(p), nil
}
