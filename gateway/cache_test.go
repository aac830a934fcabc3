package gateway

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"gnothi/llm"
	"gnothi/llm/script"
)

func TestCacheControl(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, all := range []bool{false, true} {
		t.Run(fmt.Sprintf("all=%t", all), func(t *testing.T) {
			var calls atomic.Int64
			inner := script.New(func(_ llm.Op, i int) script.Reply {
				calls.Add(1)
				return script.Reply{Text: fmt.Sprintf("answer %d of sample %d", calls.Load(), i)}
			})
			g, err := New(Options{Model: llm.Metered(inner, nil), Name: "m", Cache: llm.NewMemory(1 << 20), CacheAll: all, Keys: nil})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(g)
			defer server.Close()
			defer server.Client().CloseIdleConnections()
			ask := func(control, more string) (status int, header http.Header, body gjson.Result) {
				t.Helper()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"Which?"}]`+more+`}`))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/json")
				if control != "" {
					req.Header.Set("Cache-Control", control)
				}
				resp, err := server.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, resp.Header, gjson.ParseBytes(b)
			}
			made := func(want int64) {
				t.Helper()
				if n := calls.Load(); n != want {
					t.Fatalf("%d calls were made, want %d", n, want)
				}
			}
			if status, _, b := ask("only-if-cached", ""); status != http.StatusGatewayTimeout || b.Get("error.code").String() != "not_cached" {
				t.Errorf("only-if-cached with nothing kept: %d %s", status, b)
			}
			made(0)
			if _, h, _ := ask("max-age=3600", ""); h.Get("Cache-Status") != "gnothi; fwd=miss; stored" {
				t.Errorf("the first answer: %q", h.Get("Cache-Status"))
			}
			made(1)
			_, h, b := ask("max-age=3600", "")
			if h.Get("Cache-Status") != "gnothi; hit" || b.Get("gnothi.spend.cached_calls").Int() != 1 || b.Get("gnothi.spend.calls").Int() != 0 {
				t.Errorf("the second answer: %q %s", h.Get("Cache-Status"), b.Get("gnothi.spend"))
			}
			made(1)
			// A ceiling of calls that are made does not count those that are not.
			if status, _, _ := ask("only-if-cached", `,"gnothi":{"budget":{"calls":1}}`); status != http.StatusOK {
				t.Errorf("under a budget: %d", status)
			}
			ask("no-store", "")
			made(2)
			_, h, _ = ask("", "")
			if hit := h.Get("Cache-Status") == "gnothi; hit"; hit != all {
				t.Errorf("without a directive: hit %t, want %t", hit, all)
			}
			if !all {
				made(3)
				return
			}
			ask("no-cache", "")
			made(3)
			if _, _, b := ask("", ""); b.Get("choices.0.message.content").String() != "answer 3 of sample 0" {
				t.Errorf("no-cache did not replace what was kept: %s", b)
			}
			// Samples of one question are entries of their own.
			before := calls.Load()
			_, _, b = ask("", `,"gnothi":{"policy":"auto"}`)
			if b.Get("gnothi.spend.calls").Int() == 0 || calls.Load() == before {
				t.Errorf("samples were taken for one another: %s", b.Get("gnothi"))
			}
			before = calls.Load()
			_, _, b = ask("", `,"gnothi":{"policy":"auto"}`)
			if b.Get("gnothi.spend.calls").Int() != 0 || calls.Load() != before {
				t.Errorf("samples were not kept: %s", b.Get("gnothi.spend"))
			}
		})
	}
}

// One client cannot find out what another asked.
func TestCacheKeepsClientsApart(t *testing.T) {
	var calls atomic.Int64
	inner := script.New(func(llm.Op, int) script.Reply { calls.Add(1); return script.Reply{Text: "yes"} })
	keys := []Key{{Name: "a", Hash: sha256.Sum256([]byte("sk-a-0123456789abcdef"))}, {Name: "b", Hash: sha256.Sum256([]byte("sk-b-0123456789abcdef"))}}
	g, err := New(Options{Model: inner, Name: "m", Cache: llm.NewMemory(1 << 20), CacheAll: true, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(key, control string) int {
		req := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"A secret?"}]}`))
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Cache-Control", control)
		w := httptest.NewRecorder()
		g.ServeHTTP(w, req)
		return w.Code
	}
	if s := ask("sk-a-0123456789abcdef", ""); s != http.StatusOK {
		t.Fatalf("status %d", s)
	}
	if s := ask("sk-b-0123456789abcdef", "only-if-cached"); s != http.StatusGatewayTimeout {
		t.Errorf("what a asked was told to b: %d", s)
	}
	if s := ask("sk-a-0123456789abcdef", "only-if-cached"); s != http.StatusOK {
		t.Errorf("what a asked was not kept: %d", s)
	}
}
