package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/openai"
)

// answerer answers requests without a network, and keeps the last body.
type answerer struct{ sent []byte }

// RoundTrip implements [http.RoundTripper].
func (a *answerer) RoundTrip(r *http.Request) (*http.Response, error) {
	a.sent, _ = io.ReadAll(r.Body)
	kind, body := "application/json", `{"id":"resp_1","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Paris"}]}],"choices":[{"index":0,"text":"Paris","finish_reason":"stop"}]}`
	if gjson.GetBytes(a.sent, "stream").Bool() {
		kind, body = "text/event-stream", "data: {\"type\":\"response.completed\",\"response\":"+body+",\"choices\":[{\"index\":0,\"text\":\"a\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// What is passed on is what came, but for the policy and the gnothi object.
func FuzzPassed(f *testing.F) {
	f.Add(`{"model":"big","input":"x","stream":true}`, true)
	f.Add(`{"model":"big+direct","input":[{"role":"user","content":[{"type":"input_text","text":"x"},7,null]},[]],"instructions":7,"gnothi":{"policy":"direct","budget":{"calls":2}}}`, true)
	f.Add(`{"model":"a\"b+direct","prompt":[1,2],"n":1.50,"max_tokens":-5}`, false)
	f.Add(`{"\u006dodel":"big","model":"x"}`, false)
	f.Add(`{"\u006dodel":"big+direct","\u0067nothi":{},"a":1}`, true)
	up := &answerer{}
	p, err := openai.New("big", openai.Options{BaseURL: "http://127.0.0.1/v1", HTTPClient: &http.Client{Transport: up}})
	if err != nil {
		f.Fatal(err)
	}
	m := llm.Metered(p, nil)
	g, err := gateway.New(gateway.Options{Model: m, Policies: policies, Upstream: &gateway.Upstream{Open: func(string) (llm.Model, error) { return m, nil }}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string, responses bool) {
		path := "/v1/completions"
		if responses {
			path = "/v1/responses"
		}
		up.sent = nil
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Host = "127.0.0.1"
		g.ServeHTTP(w, r)
		if w.Code != 200 {
			if w.Code >= 500 || !gjson.Get(w.Body.String(), "error.message").Exists() {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			return
		}
		var came, sent map[string]any
		if json.Unmarshal([]byte(body), &came) != nil || json.Unmarshal(up.sent, &sent) != nil {
			t.Fatalf("%q was passed on as %q", body, up.sent)
		}
		delete(came, "gnothi")
		if name, ok := came["model"].(string); ok {
			if passed, _ := sent["model"].(string); name != passed && !strings.HasPrefix(name, passed+"+") {
				t.Errorf("the model %q was passed on as %q", name, passed)
			}
		}
		delete(came, "model")
		delete(sent, "model")
		if !reflect.DeepEqual(came, sent) {
			t.Errorf("%q was passed on as %q", body, up.sent)
		}
	})
}
