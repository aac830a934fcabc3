package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gnothi/llm"
)

// namedModel answers with its name, once it may.
type namedModel struct {
	name string
	gate chan struct{} // nil: at once
	came chan struct{}
}

func (m *namedModel) ID() llm.ID           { return llm.ID{Provider: "test", Name: "m"} }
func (m *namedModel) Can(llm.Ability) bool { return false }

func (m *namedModel) Do(ctx context.Context, _ llm.Op) (*llm.Result, error) {
	if m.gate != nil {
		m.came <- struct{}{}
		select {
		case <-m.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &llm.Result{Choices: []llm.Choice{{Text: m.name, Finish: "stop"}}}, nil
}

func switchable(t *testing.T, m llm.Model, metrics *Metrics) *Gateway {
	t.Helper()
	g, err := New(Options{Model: m, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func askSwitch(t *testing.T, client *http.Client, base string) string {
	t.Helper()
	resp, err := client.Post(base+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"Who?"}]}`))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v: %s", resp.StatusCode, err, b)
	}
	return string(b)
}

// A request ends on the gateway that it began on, and only then may that one be closed.
func TestSwitchLosesNoRequest(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	metrics := NewMetrics()
	old := &namedModel{name: "the old one", gate: make(chan struct{}), came: make(chan struct{}, 1)}
	s := NewSwitch(switchable(t, old, metrics))
	server := httptest.NewServer(s)
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	var first string
	var wg sync.WaitGroup
	wg.Go(func() { first = askSwitch(t, server.Client(), server.URL) })
	<-old.came
	wait := s.Set(switchable(t, &namedModel{name: "the new one"}, metrics))
	drained := make(chan struct{})
	wg.Go(func() { wait(); close(drained) })
	if got := askSwitch(t, server.Client(), server.URL); !strings.Contains(got, "the new one") {
		t.Errorf("after the switch: %s", got)
	}
	select {
	case <-drained:
		t.Error("the old gateway was given up with a request on it")
	default:
	}
	close(old.gate)
	wg.Wait()
	if !strings.Contains(first, "the old one") {
		t.Errorf("the request that was under way: %s", first)
	}
	resp, err := server.Client().Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if want := `gnothi_http_requests_total{route="/v1/chat/completions",status="200"} 2`; !strings.Contains(string(text), want) {
		t.Errorf("metrics begin anew with a reload: want %s", want)
	}
}

// certificate writes one for 127.0.0.1, which signs itself.
func certificate(t *testing.T, dir string, serial int64) (certFile, keyFile string, cert *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile, cert
}

func TestTLSIsLoadedAgain(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	certFile, keyFile, cert := certificate(t, dir, 1)
	loaded, err := LoadTLS(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := Listen(t.Context(), "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, loaded.Listener(inner), switchable(t, &namedModel{name: "it"}, nil), slog.New(slog.DiscardHandler))
	}()
	ask := func(trusted *x509.Certificate) error {
		roots := x509.NewCertPool()
		roots.AddCert(trusted)
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
		resp, err := client.Get("https://" + inner.Addr().String() + "/readyz")
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	if err := ask(cert); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(certFile, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := loaded.Reload(); err == nil {
		t.Error("a file that is no certificate was taken")
	}
	if err := ask(cert); err != nil {
		t.Errorf("after a reload that failed: %v", err)
	}
	_, _, second := certificate(t, dir, 2)
	if err := loaded.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := ask(second); err != nil {
		t.Errorf("after a reload: %v", err)
	}
	if err := ask(cert); err == nil {
		t.Error("the old certificate is still in use")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
