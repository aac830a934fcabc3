package openai_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gnothi/llm"
	"gnothi/llm/openai"
)

// gate is a server that answers nobody before so many requests have been there
// at the same time.
type gate struct {
	mu             sync.Mutex
	inFlight, most int
	requests       int
	open           chan struct{}
	closed         bool
	until          int
	refuse         int // of the first requests
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	g.mu.Lock()
	g.inFlight++
	g.requests++
	refuse := g.requests <= g.refuse
	g.most = max(g.most, g.inFlight)
	if g.inFlight == g.until && !g.closed {
		g.closed = true
		close(g.open)
	}
	g.mu.Unlock()
	select {
	case <-g.open:
	case <-r.Context().Done():
	}
	g.mu.Lock()
	g.inFlight--
	g.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if refuse {
		w.Header().Set("Retry-After", "0.01")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": "yes"}}},
		"usage":   map[string]any{"prompt_tokens": 3, "completion_tokens": 1},
	})
}

// The number asked for is the number that the server sees, also where one
// operation takes several requests because the server has no n.
func TestTheServerSeesTheLimit(t *testing.T) {
	const callers, limit = 96, 64
	for n, wantRequests := range map[int]int{1: callers, 3: 0} {
		t.Run(fmt.Sprint("n=", n), func(t *testing.T) {
			g := &gate{open: make(chan struct{}), until: limit, refuse: 5}
			server := httptest.NewServer(g)
			defer server.Close()
			p, err := openai.New("m", openai.Options{BaseURL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			l := llm.NewLimiter(llm.LimitOptions{Concurrency: limit})
			m := llm.Retry(l.Wrap(llm.Metered(p, nil)), llm.RetryOptions{Wait: time.Millisecond, Tries: 8})
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					op := llm.Op{Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: "well?"}}}, Indices: llm.Range(0, n)}
					if res, err := m.Do(t.Context(), op); err != nil || len(res.Choices) != n {
						t.Errorf("%+v, %v", res, err)
					}
				})
			}
			wg.Wait()
			if g.most != limit {
				t.Errorf("the server saw %d requests at once, want %d", g.most, limit)
			}
			s := l.Stats()
			if s.Highest != limit || s.InFlight != 0 || s.Throttled != 5 || s.Requests != int64(g.requests) || wantRequests > 0 && g.requests != wantRequests+5 {
				t.Errorf("%+v, the server had %d requests", s, g.requests)
			}
		})
	}
}

// Connections are kept for as many requests as are in flight.
func TestConnectionsAreKept(t *testing.T) {
	const limit = 300
	g := &gate{open: make(chan struct{}), until: limit}
	server := httptest.NewUnstartedServer(g)
	var opened atomic.Int32
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	p, err := openai.New("m", openai.Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	m := llm.NewLimiter(llm.LimitOptions{Concurrency: limit}).Wrap(p)
	for range 2 {
		var wg sync.WaitGroup
		for range 2 * limit {
			wg.Go(func() {
				if _, err := m.Do(t.Context(), llm.Op{Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: "well?"}}}}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		g.mu.Lock()
		g.open, g.closed = make(chan struct{}), false
		g.mu.Unlock()
	}
	if n := opened.Load(); n != limit {
		t.Errorf("%d connections were opened for %d requests, %d at once", n, g.requests, limit)
	}
}
