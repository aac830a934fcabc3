package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gnothi/gateway"
	"gnothi/llm/script"
)

func TestRuns(t *testing.T) {
	const key = "sk-client-key-0123456789"
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "page %s", r.URL.Path) })
	runs := map[string]http.Handler{"qa-1": pages}
	url, _ := serve(t, gateway.Options{Model: named(script.Texts("hello")), Runs: runs})
	for path, want := range map[string]string{"/runs/qa-1/": "page /", "/runs/qa-1/items/3": "page /items/3", "/runs/qa-1": "page /", "/": `href="./runs/qa-1/"`} {
		if status, body := get(t, url+path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/runs/qa-2/", "/runs/", "/runs/qa-1/%2e%2e/x"} {
		if status, body := get(t, url+path); status != 404 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, h := post(t, url+"/runs/qa-1/", ""); status != http.StatusMethodNotAllowed || h.Get("Allow") != http.MethodGet {
		t.Errorf("POST: %d", status)
	}

	url, log := serve(t, gateway.Options{Model: named(script.Texts("hello")), Runs: runs, APIKey: key})
	for password, want := range map[string]int{"": 401, "wrong": 401, key: 200} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/runs/qa-1/", nil)
		if password != "" {
			req.SetBasicAuth("me", password)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || want == 401 && !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("password %q: %d %v", password, resp.StatusCode, resp.Header)
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/models", nil)
	req.SetBasicAuth("me", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the key as a password of the API: %d", resp.StatusCode)
	}
	if strings.Contains(log.String(), key) {
		t.Error("the key is in the log")
	}
}

func TestLocal(t *testing.T) {
	h := gateway.Local(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for host, want := range map[string]int{"127.0.0.1:8000": 200, "localhost": 200, "[::1]:80": 200, "evil.example": 403, "localhost.evil.example:80": 403} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", host, w.Code, want)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Host = "localhost"
	r.Header.Set("Origin", "https://evil.example")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("a page of another site: %d", w.Code)
	}
}
