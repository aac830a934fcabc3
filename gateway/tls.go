package gateway

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"
)

// TLS is a certificate that can be loaded again while it is in use.
type TLS struct {
	cert, key string
	now       atomic.Pointer[tls.Certificate]
}

// LoadTLS reads a certificate (with what leads to its root) and its key from PEM
// files.
func LoadTLS(certFile, keyFile string) (*TLS, error) {
	t := &TLS{cert: certFile, key: keyFile}
	return t, t.Reload()
}

// Reload reads the files again. If they cannot be used the certificate stays as it is.
func (t *TLS) Reload() error {
	c, err := tls.LoadX509KeyPair(t.cert, t.key)
	if err != nil {
		return fmt.Errorf("TLS: %w", err) // it names the file, and shows nothing of it
	}
	t.now.Store(&c)
	return nil
}

// Listener makes a listener speak TLS 1.2 or later.
func (t *TLS) Listener(inner net.Listener) net.Listener {
	return tls.NewListener(inner, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return t.now.Load(), nil },
	})
}
