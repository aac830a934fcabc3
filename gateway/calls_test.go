package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"
)

// callers answers each request with the tool call whose arguments are next.
func callers(arguments ...string) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		choices := ""
		for i := range max(1, gjson.GetBytes(b, "n").Int()) {
			args := arguments[int(n.Add(1)-1)%len(arguments)]
			choices += fmt.Sprintf(`,{"index":%d,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_%d","type":"function","function":{"name":"weather","arguments":%q}}]}}`, i, i, args)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"c1","object":"chat.completion","created":1,"model":"big","choices":[%s],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`, strings.TrimPrefix(choices, ","))
	}
}

const askWeather = `{"model":"big","messages":[{"role":"user","content":"Weather in Oslo?"}],"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}],"gnothi":{"policy":"self-consistency?n=4"%s}%s}`

// Calls with equal arguments are one class; the one delivered is whole, and the
// belief says how many samples agree.
func TestCallsAreClasses(t *testing.T) {
	u := newUpstream(t, callers(`{"city":"Oslo","days":2}`, `{"days":2.0,"city":"Oslo"}`, `{"city":"Rome"}`, `{ "city" : "Oslo", "days" : 20e-1 }`))
	url, _ := serve(t, behind(t, u))
	for _, stream := range []string{"", `,"stream":true`} {
		status, answer, _ := post(t, url+"/v1/chat/completions", fmt.Sprintf(askWeather, "", stream))
		if status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		calls, finish := "choices.0.message.tool_calls", ""
		if stream != "" {
			calls = "choices.0.delta.tool_calls"
		}
		var b gjson.Result
		var got string
		for _, line := range strings.Split(answer, "\n") {
			line = strings.TrimPrefix(line, "data: ")
			if v := gjson.Get(line, calls+".0.function.arguments"); v.Exists() {
				got += v.String()
			}
			if v := gjson.Get(line, "choices.0.finish_reason").String(); v != "" {
				finish = v
			}
			if v := gjson.Get(line, "gnothi"); v.Exists() {
				b = v
			}
		}
		if !strings.Contains(got, "Oslo") || finish != "tool_calls" {
			t.Errorf("stream %q: arguments %s, finish %s", stream, got, finish)
		}
		if b.Get("answer").String() != `weather({"city":"Oslo","days":2})` || b.Get("alternatives.0.answer").String() != `weather({"city":"Rome"})` ||
			b.Get(`signals.#(name=="consistency/agreement").raw`).Int() != 3 || !b.Get("probability").Exists() || b.Get("probability").Type == gjson.Null {
			t.Errorf("stream %q: %s", stream, b)
		}
	}
}

// A threshold stops a call: the client gets a sentence and nothing to act on.
func TestThresholdStopsACall(t *testing.T) {
	u := newUpstream(t, callers(`{"city":"Oslo"}`, `{"city":"Rome"}`, `{"city":"Bonn"}`, `{"city":"Lima"}`))
	o := behind(t, u)
	o.Withheld = "Ask me something else."
	url, _ := serve(t, o)
	for _, stream := range []string{"", `,"stream":true`} {
		status, answer, _ := post(t, url+"/v1/chat/completions", fmt.Sprintf(askWeather, `,"threshold":0.99`, stream))
		if status != 200 || !strings.Contains(answer, "Ask me something else.") || !strings.Contains(answer, `"finish_reason":"stop"`) || strings.Contains(answer, "tool_calls") {
			t.Errorf("stream %q: %d %s", stream, status, answer)
		}
		if !strings.Contains(answer, `"decision":"abstain"`) || !strings.Contains(answer, `"answer":"weather(`) {
			t.Errorf("stream %q: the belief does not say what was withheld: %s", stream, answer)
		}
	}
}
