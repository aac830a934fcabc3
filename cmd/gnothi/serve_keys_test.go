package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gnothi/gateway"
)

// locked is a buffer that several write to.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// No key, of the upstream, of the server, of clients, right or wrong, is in
// anything that a server wrote: answers, errors, pages, metrics, its log with the
// prompts in it, the files of trials, books and cache.
func TestKeysAreNowhere(t *testing.T) {
	const upstreamKey, serverKey, spareKey, wrong = "sk-upstream-0123456789abcdef", "sk-server-0123456789abcdef", "sk-spare-0123456789abcdef", "sk-gnothi-WRONGWRONGWRONGWRONGWRONGWR"
	aliceKey, hash := gateway.NewKey()
	adminKey, adminHash := gateway.NewKey()
	secrets := []string{upstreamKey, serverKey, spareKey, wrong, aliceKey, adminKey}

	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		auth := r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", "req_1")
		switch {
		case bytes.Contains(b, []byte("refuse")):
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":{"message":"Incorrect API key provided: %s","type":"%s","code":"%s","param":"%s"}}`, strings.TrimPrefix(auth, "Bearer "), auth, auth, auth)
		case bytes.Contains(b, []byte("break")):
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, auth)
		case bytes.Contains(b, []byte(`"stream":true`)):
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Paris\"},\"finish_reason\":null}]}\n\n")
			if bytes.Contains(b, []byte("cut")) {
				fmt.Fprintf(w, "data: {\"error\":{\"message\":\"lost %s\"}}\n\n", auth)
				return
			}
			io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		default:
			io.WriteString(w, `{"id":"c1","choices":[{"index":0,"message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}`)
		}
	}))
	defer u.Close()

	dir := t.TempDir()
	state, config := filepath.Join(dir, "state"), filepath.Join(dir, "gnothi.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
model: big
models:
  big: {model: "openai:big@%s/v1", api_key_env: TEST_UPSTREAM_KEY, input_usd: 1, output_usd: 2, fallback: [spare]}
  spare: {model: "openai:spare@%s/v1", api_key_env: TEST_SPARE_KEY, input_usd: 1, output_usd: 2}
keys:
  alice: {hash: "%s", day: {calls: 500, usd: 1}, rpm: 6000}
  carol: {hash: "%s", admin: true}
`, u.URL, u.URL, hash, adminHash), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_UPSTREAM_KEY", upstreamKey)
	t.Setenv("TEST_SPARE_KEY", spareKey)
	t.Setenv("GNOTHI_API_KEY", serverKey)
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))

	var wrote locked
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int, 1)
	out, in := io.Pipe()
	go func() {
		code <- run(ctx, []string{"serve", "--config", config, "--state", state, "--listen", "127.0.0.1:0", "--policy", "direct", "--log-prompts", "--retry-share", "0.01"}, strings.NewReader(""), in, &wrote)
		in.Close()
	}()
	first := make([]byte, 1000)
	n, err := out.Read(first)
	if err != nil {
		stop()
		t.Fatalf("serve did not start (%d): %v\n%s", <-code, err, wrote.String())
	}
	url := regexp.MustCompile(`http://[\d.:]+`).FindString(string(first[:n]))

	answers := 0
	send := func(method, path, body string, set func(*http.Request)) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		set(req)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		answers++
		for _, s := range secrets {
			if strings.Contains(string(b)+fmt.Sprint(resp.Header), s) {
				t.Errorf("%s %s %s: the answer shows %s…: %s %v", method, path, body, s[:10], b, resp.Header)
			}
		}
	}
	bearer := func(key string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+key)
			r.Header.Set("Cache-Control", "max-age=60")
		}
	}
	for _, key := range []string{aliceKey, serverKey, wrong, adminKey} {
		for _, say := range []string{"hello", "refuse", "break", "cut", "hello"} {
			for _, model := range []string{"big", "big+self-consistency?n=2", "another"} {
				for _, stream := range []string{"false", "true"} {
					send("POST", "/v1/chat/completions", `{"model":"`+model+`","stream":`+stream+`,"messages":[{"role":"user","content":"`+say+`"}]}`, bearer(key))
				}
			}
			send("POST", "/v1/responses", `{"model":"big","input":"`+say+`"}`, bearer(key))
			send("POST", "/v1/completions", `{"model":"big","prompt":"`+say+`"}`, bearer(key))
		}
		for _, path := range []string{"/", "/metrics", "/readyz", "/healthz", "/v1/models", "/trials", "/live", "/reliability", "/spend", "/audit", "/nowhere"} {
			if path == "/live" {
				continue // has no end
			}
			send("GET", path, "", bearer(key))
			send("GET", path, "", func(r *http.Request) { r.SetBasicAuth("me", key) })
		}
	}
	stop()
	_, _ = io.Copy(&wrote, out)
	if c := <-code; c != exitDone {
		t.Errorf("serve ended with %d", c)
	}
	said := wrote.String()
	if answers < 100 || !strings.Contains(said, "prompt=hello") || !strings.Contains(said, "key=alice") {
		t.Fatalf("%d answers; the log:\n%s", answers, said)
	}
	for _, s := range secrets {
		if strings.Contains(said, s) {
			t.Errorf("the log shows %s…", s[:10])
		}
	}
	files := map[string]bool{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(b, []byte(s)) {
				t.Errorf("%s holds %s…", path, s[:10])
			}
		}
		files[d.Name()] = len(b) > 0
		return err
	})
	if err != nil || !files[trialsFile] || !files[booksFile] {
		t.Errorf("%v, %v", files, err)
	}
}
