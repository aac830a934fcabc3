package gateway_test

import (
	"io"
	"log/slog"
	"sync"
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
