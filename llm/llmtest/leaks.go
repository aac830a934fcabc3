package llmtest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests and fails if they left goroutines behind.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := leaks(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// NoLeaks fails a test that left goroutines behind.
func NoLeaks(t testing.TB, options ...goleak.Option) {
	t.Helper()
	if err := leaks(options...); err != nil {
		t.Error(err)
	}
}

// leaks waits for goroutines that are about to end: as long as a busy machine
// may need, for which goleak's own half second is too little.
func leaks(options ...goleak.Option) (err error) {
	for range 120 {
		if err = goleak.Find(options...); err == nil {
			break
		}
	}
	return err
}
