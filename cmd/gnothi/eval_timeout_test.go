package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"gnothi/eval"
)

// A server that never answers costs an item its tries of --call-timeout each, and the
// error tells of all of them. A resumed run keeps the timeout.
func TestTimeout(t *testing.T) {
	var calls atomic.Int32
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		select {
		case <-r.Context().Done():
		case <-end:
		}
	}))
	defer server.Close()
	defer close(end)
	dir := filepath.Join(t.TempDir(), "run")
	var out, words bytes.Buffer
	code := run(t.Context(), []string{"eval", "run", "line-of-duty-feasibility", "--model", "openai:m@" + server.URL + "/v1", "--data", tasks(t, 1), "--out", dir, "--call-timeout", "20ms"}, nil, &out, &words)
	if code != 1 || !strings.Contains(words.String(), "no answer within 20ms (4 tries)") || calls.Load() != 4 {
		t.Fatalf("exit code %d, %d calls\n%s", code, calls.Load(), &words)
	}
	folder, err := eval.ReadRun(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if folder.Header.Timeout != "20ms" {
		t.Errorf("the run's header has the timeout %q", folder.Header.Timeout)
	}
	if err := folder.Close(); err != nil {
		t.Error(err)
	}
	words.Reset()
	code = run(t.Context(), []string{"eval", "resume", dir, "--retry-failed"}, nil, &out, &words)
	if code != 1 || !strings.Contains(words.String(), "no answer within 20ms (4 tries)") || calls.Load() != 8 {
		t.Errorf("resumed: exit code %d, %d calls\n%s", code, calls.Load(), &words)
	}
	for _, wrong := range []string{"-1s", "fast", "1", "1us", "48h"} {
		words.Reset()
		if code := run(t.Context(), []string{"ask", "--call-timeout", wrong, "well?"}, nil, &out, &words); code != 2 || !strings.Contains(words.String(), "call-timeout (flag): "+`"`+wrong+`": want a time`) {
			t.Errorf("--call-timeout %s: exit code %d, %s", wrong, code, &words)
		}
	}
}
