package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm/openai"
)

// clientSends are headers that a client may send, in pairs.
var clientSends = []string{
	"Authorization", "Bearer sk-client", "X-Api-Key", "sk-client", "Cookie", "a=b", "X-Forwarded-For", "10.0.0.1",
	"X-Base-Url", "http://127.0.0.1:1", "X-Portkey-Custom-Host", "http://127.0.0.1:1", "Idempotency-Key", "idem-1",
	"OpenAI-Beta", "assistants=v2", "X-Client-Request-Id", "mine-1", "OpenAI-Organization", "org-1", "OpenAI-Project", "proj-1", "Traceparent", "00-1-2-01",
}

// What says something about the call reaches the upstream; keys, cookies, other
// hosts and, where the gateway pays, whose account it is do not.
func TestClientHeaders(t *testing.T) {
	u := newUpstream(t, sends(plainAnswer, `{"id":"c","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}`))
	keyed := behind(t, u)
	keyless := behind(t, u)
	p, err := openai.New("big", openai.Options{BaseURL: u.URL + "/v1", HTTPClient: u.Client()})
	if err != nil {
		t.Fatal(err)
	}
	keyless.Model, keyless.Upstream.Keyed = p, false
	for name, o := range map[string]gateway.Options{"keyed": keyed, "keyless": keyless} {
		url, _ := serve(t, o)
		for _, c := range []struct {
			path, body string
			idempotent bool
		}{
			{"/v1/chat/completions", `{"model":"big","messages":[{"role":"user","content":"x"}]}`, true},
			{"/v1/chat/completions", `{"model":"big","stream":true,"messages":[{"role":"user","content":"x"}]}`, true},
			{"/v1/chat/completions", `{"model":"big+self-consistency?n=2","messages":[{"role":"user","content":"x"}]}`, false},
			{"/v1/responses", `{"model":"big","input":"x"}`, true},
		} {
			status, answer, _ := post(t, url+c.path, c.body, clientSends...)
			_, sent, _ := u.last()
			if status != 200 {
				t.Fatalf("%s %s: %d %s", name, c.body, status, answer)
			}
			want := map[string]string{"Openai-Beta": "assistants=v2", "X-Client-Request-Id": "mine-1", "Traceparent": "00-1-2-01", "Authorization": "Bearer " + upstreamKey}
			if c.idempotent {
				want["Idempotency-Key"] = "idem-1"
			}
			if name == "keyless" {
				want["Authorization"], want["Openai-Organization"], want["Openai-Project"] = "", "org-1", "proj-1"
			}
			for i := 0; i < len(clientSends); i += 2 {
				h := http.CanonicalHeaderKey(clientSends[i])
				if got := sent.Get(h); got != want[h] {
					t.Errorf("%s %s %s: the upstream got %s: %q, want %q", name, c.path, c.body, h, got, want[h])
				}
			}
		}
	}
}

// The upstream's request ID and limits reach the client with answers, streams
// and errors.
func TestUpstreamHeaders(t *testing.T) {
	good := sends(plainAnswer, `{"id":"c","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}`)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(b), "fail") {
			good(w, r2(r, b))
			return
		}
		w.Header().Set("X-Request-Id", "req_7")
		w.Header().Set("X-Ratelimit-Remaining-Requests", "41")
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, `{"error":{"message":"slow down","type":"rate_limit","code":"rate_limit_exceeded"}}`)
	})
	url, _ := serve(t, behind(t, u))
	for _, model := range []string{"big", "big+self-consistency?n=2"} {
		for _, stream := range []string{"false", "true"} {
			for _, say := range []string{"hello", "fail"} {
				status, answer, head := post(t, url+"/v1/chat/completions", `{"model":"`+model+`","stream":`+stream+`,"messages":[{"role":"user","content":"`+say+`"}]}`)
				what := model + " stream=" + stream + " " + say
				if want := map[string]int{"hello": 200, "fail": 429}[say]; status != want {
					t.Fatalf("%s: %d %s", what, status, answer)
				}
				if stream == "true" && strings.Contains(model, "+") && say == "hello" {
					continue // the head is out before the answer is known
				}
				if head.Get("X-Request-Id") != "req_7" || head.Get("X-Ratelimit-Remaining-Requests") != "41" || head.Get("Set-Cookie") != "" {
					t.Errorf("%s: headers %v", what, head)
				}
				if say == "fail" && (head.Get("Retry-After") != "7" || gjson.Get(answer, "error.code").String() != "rate_limit_exceeded") {
					t.Errorf("%s: %v %s", what, head, answer)
				}
			}
		}
	}
}
