package gateway_test

import (
	"io"
	"log/slog"
	"sync"
	"testing"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/script"
)

// logTo logs JSON lines, one at a time.
func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(&locked{w: w}, nil)) }

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// small is a gateway whose model answers everything.
func small(t testing.TB) *gateway.Gateway {
	m := script.New(func(_ llm.Op, i int) script.Reply {
		return script.Reply{Text: "It is so", Tokens: script.Words("It is so", -0.3)}
	}, llm.LogProbs)
	g, err := gateway.New(gateway.Options{Model: named(m), Policies: policies})
	if err != nil {
		t.Fatal(err)
	}
	return g
}
