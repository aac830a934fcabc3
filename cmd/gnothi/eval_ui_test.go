package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// words are written by one and read by another.
type sharedWords struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *sharedWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *sharedWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// A run can be watched while it goes on; its page ends with it.
func TestRunWatched(t *testing.T) {
	const items, before = 12, 5 // so many are answered at once, the others when the gate opens
	gate := make(chan struct{})
	number := regexp.MustCompile(`Say the number (\d+) out loud`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if m := number.FindSubmatch(raw); m != nil {
			if i, err := strconv.Atoi(string(m[1])); err == nil && i >= before {
				<-gate
			}
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Category: Feasible"}}],"usage":{"prompt_tokens":10,"completion_tokens":4}}`)
	}))
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "run")
	var out, words sharedWords
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"eval", "run", "line-of-duty-feasibility", "--model", "openai:m@" + server.URL + "/v1", "--data", tasks(t, items), "--concurrency", "1", "--out", dir, "--ui"}, nil, &out, &words)
	}()
	release := sync.OnceFunc(func() { close(gate) })
	defer release()
	const patience = 2 * time.Minute
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never: %s\n%s%s", what, &out, &words)
			}
		}
	}
	url := ""
	until("an address", func() bool {
		if m := regexp.MustCompile(`live at (http://127\.0\.0\.1:\d+)/`).FindStringSubmatch(words.String()); m != nil {
			url = m[1]
		}
		return url != ""
	})
	get := func(path string) (int, string) {
		resp, err := http.Get(url + path)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	until("progress", func() bool {
		var p struct{ Done, Total int }
		_, body := get("/progress.json")
		return json.Unmarshal([]byte(body), &p) == nil && p.Done > 1 && p.Done <= before && p.Total == items
	})
	until("a report of what there is", func() bool {
		status, body := get("/")
		return status == 200 && strings.Contains(body, "Not finished.") && strings.Contains(body, fmt.Sprintf(" of %d items are done", items))
	})
	status, body := get("/items")
	if n := strings.Count(body, `class="line"`); status != 200 || n < 2 || n > before {
		t.Errorf("/items: %d, %d items", status, n)
	}
	release()
	select {
	case code := <-ended:
		if code != 0 {
			t.Fatalf("exit code %d\n%s", code, &words)
		}
	case <-time.After(patience):
		t.Fatalf("the run does not end\n%s", &words)
	}
	if status, body := get("/"); status != 0 {
		t.Errorf("the page is still there: %d %s", status, body)
	}
	if report, err := os.ReadFile(filepath.Join(dir, "report.html")); err != nil || bytes.Contains(report, []byte("Not finished.")) {
		t.Errorf("report.html: %v", err)
	}
}

func TestRunName(t *testing.T) {
	taken := map[string]bool{}
	for _, c := range [][2]string{
		{"runs/qa-1", "qa-1"}, {"other/qa-1/", "qa-1-2"}, {"../my run: #1", "my-run-1"}, {"postgres://me@host/db#shared", "shared"}, {"..", "run"}, {"/", "run-2"},
	} {
		name := runName(c[0], taken)
		if name != c[1] {
			t.Errorf("%s is called %s, want %s", c[0], name, c[1])
		}
		taken[name] = true
	}
}
