package gateway

import (
	"net/http"
	"sync"
)

// Switch serves the gateway in force, which may be replaced at any time: a request
// ends on the one that it began on. Make it with [NewSwitch].
type Switch struct {
	mu  sync.RWMutex
	now *served
}

// served is a gateway and the requests that it is answering.
type served struct {
	gateway  *Gateway
	requests sync.WaitGroup
}

var _ http.Handler = (*Switch)(nil)

// NewSwitch puts a gateway in force.
func NewSwitch(g *Gateway) *Switch { return &Switch{now: &served{gateway: g}} }

// Gateway gives the one in force.
func (s *Switch) Gateway() *Gateway {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.now.gateway
}

// Set puts another one in force. wait returns when the last request of the one
// before has ended, after which what it used can be closed.
func (s *Switch) Set(g *Gateway) (wait func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.now
	g.recent = old.gateway.recent // feedback may still come on what that one answered
	s.now = &served{gateway: g}
	return old.requests.Wait
}

// ServeHTTP implements [http.Handler].
func (s *Switch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	f := s.now
	f.requests.Add(1) // before Set can begin to wait
	s.mu.RUnlock()
	defer f.requests.Done()
	f.gateway.ServeHTTP(w, r)
}
