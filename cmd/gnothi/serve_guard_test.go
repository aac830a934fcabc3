package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func getFrom(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The flags and aliases about upstreams reach them: limits of one that has no
// alias, its breaker, and the models that stand in for it.
func TestServeGuards(t *testing.T) {
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer ill.Close()
	well := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"c1","choices":[{"index":0,"message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}`)
	}))
	defer well.Close()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("XDG_CACHE_HOME", dir)
	config := filepath.Join(dir, "gnothi.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
models:
  big: {model: "openai:big@%s/v1", fallback: [spare]}
  spare: {model: "openai:spare@%s/v1", concurrency: 5, input_usd: 1000, output_usd: 1000}
breaker-failures: 1
breaker-open: 1h
`, ill.URL, well.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	url := served(t, "--config", config, "--model", "big", "--policy", "direct", "--concurrency", "3", "--rpm", "6000", "--day-usd", "0", "--day-tokens", "3000")
	body := `{"model":"big","messages":[{"role":"user","content":"Where?"}]}`
	for range 2 {
		b := postTo(t, url+"/v1/chat/completions", body)
		if got := b.Get("gnothi.model").String(); got != "openai:spare@"+well.URL+"/v1" || b.Get("gnothi.instead_of").String() != "openai:big@"+ill.URL+"/v1" || b.Get("gnothi.over_budget").Exists() {
			t.Errorf("%s", b.Raw)
		}
	}
	if b := postTo(t, url+"/v1/chat/completions", strings.Replace(body, `{`, `{"max_tokens":5000,`, 1)); b.Get("error.code").String() != "budget_reached" {
		t.Errorf("beyond the day's tokens: %s", b.Raw)
	}
	figures := getFrom(t, url+"/metrics")
	for _, want := range []string{
		`gnothi_upstream_limit{upstream="` + ill.URL + `/v1"} 3`, `gnothi_upstream_limit{upstream="openai:spare@` + well.URL + `/v1"} 5`,
		`gnothi_breaker_open{upstream="` + ill.URL + `/v1"} 1`, `gnothi_breaker_open{upstream="` + well.URL + `/v1"} 0`, `gnothi_fallbacks_total 3`,
		`gnothi_key_tokens_today{key="(all)"} 12`,
	} {
		if !strings.Contains(figures, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if ready := getFrom(t, url+"/readyz"); !strings.Contains(ready, "ok") {
		t.Errorf("readyz: %s", ready)
	}
}
