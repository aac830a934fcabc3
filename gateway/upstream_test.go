package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/openai"
)

// upstream is an OpenAI-compatible server that remembers what it was sent.
type upstream struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	heads  []http.Header
	paths  []string
}

func newUpstream(t testing.TB, answer http.HandlerFunc) *upstream {
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(b)))
		u.mu.Lock()
		u.bodies, u.heads, u.paths = append(u.bodies, string(b)), append(u.heads, r.Header.Clone()), append(u.paths, r.URL.Path)
		u.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) last() (body string, head http.Header, path string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := len(u.bodies) - 1
	return u.bodies[n], u.heads[n], u.paths[n]
}

const upstreamKey = "sk-upstream-key-0123456789"

// behind makes the options of a gateway in front of an upstream.
func behind(t testing.TB, u *upstream) gateway.Options {
	open := func(name string) (llm.Model, error) {
		p, err := openai.New(name, openai.Options{BaseURL: u.URL + "/v1", APIKey: upstreamKey, HTTPClient: u.Client()})
		if err != nil {
			return nil, err
		}
		return llm.Metered(p, nil), nil
	}
	m, err := open("big")
	if err != nil {
		t.Fatal(err)
	}
	return gateway.Options{Model: m, Upstream: &gateway.Upstream{Keyed: true, Open: open}}
}

const plainAnswer = `{"id":"chatcmpl-9","object":"chat.completion","created":12345678901234567890,"model":"big-2026","system_fingerprint":"fp_1","x_unknown":{"n":9007199254740993},` +
	`"choices":[{"index":0,"finish_reason":"tool_calls","x_choice":[1.50],"message":{"role":"assistant","content":null,"refusal":null,"reasoning_content":"hm","tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"X\"}"}}]},"logprobs":null}],` +
	`"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":3},"x_usage":1}}`

// sends says what it is given, to streams or else.
func sends(plain string, chunks ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Request-Id", "req_7")
		w.Header().Set("X-Ratelimit-Remaining-Requests", "41")
		w.Header().Set("Set-Cookie", "a=b")
		if !gjson.GetBytes(b, "stream").Bool() {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, plain)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, c := range chunks {
			fmt.Fprintf(w, "data: %s\n\n", c)
			w.(http.Flusher).Flush()
		}
		io.WriteString(w, "data: [DONE]\n\n")
	}
}

// request holds everything that a gateway may lose.
const request = `{"model":"big","messages":[` +
	`{"role":"developer","content":"be brief"},` +
	`{"role":"user","name":"ann","content":[{"type":"text","text":"what is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}},{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}]},` +
	`{"role":"assistant","content":null,"tool_calls":[{"id":"call_0","type":"function","function":{"name":"weather","arguments":"{}"}}]},` +
	`{"role":"tool","tool_call_id":"call_0","content":"9 degrees  \u0000 é \u2028 </s>"},` +
	`{"role":"user","content":"and now?"}],` +
	`"tools":[{"type":"function","function":{"name":"weather","strict":true,"parameters":{"type":"object"}}}],"tool_choice":"auto","parallel_tool_calls":false,` +
	`"response_format":{"type":"json_object"},"seed":9007199254740993,"temperature":0,"top_p":0.5,"n":1,"stop":["END"],"logit_bias":{"50256":-100},"metadata":{"a":"b"},` +
	`"max_completion_tokens":12,"reasoning_effort":"low","user":"u","x_unknown":{"deep":[1,2.50,{"big":12345678901234567890}]}}`

// same compares JSON as values, with numbers as they are written.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	norm := func(s string) string {
		var v any
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%s: %v in %s", what, err, s)
		}
		b, _ := json.Marshal(v)
		return string(b)
	}
	if g, w := norm(got), norm(want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func without(t *testing.T, raw string, fields ...string) string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	for _, f := range fields {
		delete(m, f)
	}
	b, _ := json.Marshal(m)
	return string(b)
}

func TestFidelity(t *testing.T) {
	u := newUpstream(t, sends(plainAnswer))
	url, _ := serve(t, behind(t, u))
	status, answer, head := post(t, url+"/v1/chat/completions", request, "Authorization", "Bearer sk-client", "Cookie", "a=b")
	if status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	sent, sentHead, _ := u.last()
	same(t, "request", sent, without(t, request))
	if sentHead.Get("Authorization") != "Bearer "+upstreamKey || sentHead.Get("Cookie") != "" {
		t.Errorf("the upstream was sent %v", sentHead)
	}
	same(t, "answer", without(t, answer, "gnothi"), plainAnswer)
	if !strings.HasPrefix(answer, plainAnswer[:len(plainAnswer)-1]+`,"gnothi":`) {
		t.Errorf("nothing changed, and yet it was written anew: %s", answer)
	}
	if head.Get("X-Request-Id") != "req_7" || head.Get("X-Ratelimit-Remaining-Requests") != "41" || head.Get("Set-Cookie") != "" {
		t.Errorf("headers %v", head)
	}
	if b := belief(t, answer); b.Get("id").String() != "chatcmpl-9" || b.Get("spend.prompt_cached_tokens").Int() != 3 {
		t.Errorf("belief %s", b)
	}
	// The same under another name of the upstream, unknown here.
	post(t, url+"/v1/chat/completions", strings.Replace(request, `"model":"big"`, `"model":"org/other:free+x"`, 1))
	if sent, _, _ := u.last(); gjson.Get(sent, "model").String() != "org/other:free+x" {
		t.Errorf("another model reached the upstream as %s", gjson.Get(sent, "model"))
	}
	post(t, url+"/v1/chat/completions", `{"model":"a+b+direct","messages":[{"role":"user","content":"x"}]}`)
	if sent, _, _ := u.last(); gjson.Get(sent, "model").String() != "a+b" {
		t.Errorf("NAME+POLICY reached the upstream as %s", gjson.Get(sent, "model"))
	}
}

func TestStreamFidelity(t *testing.T) {
	chunk := func(rest string) string {
		return `{"id":"chatcmpl-9","object":"chat.completion.chunk","created":1,"model":"big-2026","x_unknown":9007199254740993,` + rest + `}`
	}
	chunks := []string{
		chunk(`"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null`),
		chunk(`"choices":[{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}]`),
		chunk(`"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]},"finish_reason":null}]`),
		chunk(`"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"finish_reason":null}]`),
		chunk(`"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]`),
		chunk(`"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}`),
	}
	u := newUpstream(t, sends(plainAnswer, chunks...))
	url, _ := serve(t, behind(t, u))
	body := strings.TrimSuffix(request, "}") + `,"stream":true,"stream_options":{"include_usage":true}}`
	status, answer, _ := post(t, url+"/v1/chat/completions", body)
	if status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	sent, _, _ := u.last()
	same(t, "request", sent, body)
	events := strings.Split(strings.TrimSuffix(answer, "\n\n"), "\n\n")
	if len(events) != len(chunks)+1 || events[len(events)-1] != "data: [DONE]" {
		t.Fatalf("%d events: %s", len(events), answer)
	}
	for i, want := range chunks {
		got := strings.TrimPrefix(events[i], "data: ")
		if i < len(chunks)-1 {
			if got != want {
				t.Errorf("event %d is %s, want %s", i, got, want)
			}
			continue
		}
		same(t, "last event", without(t, got, "gnothi"), want)
		if id := belief(t, got).Get("id").String(); id != "chatcmpl-9" {
			t.Errorf("the belief is of %s", id)
		}
	}
}

// An upstream that refuses what only the belief wants still answers.
func TestObserveRefused(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if gjson.GetBytes(b, "logprobs").Bool() {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":{"message":"logprobs are not supported","param":"logprobs"}}`)
			return
		}
		sends(plainAnswer)(w, r2(r, b))
	})
	url, _ := serve(t, behind(t, u))
	c := client(url)
	res, err := c.Chat.Completions.New(t.Context(), ask("big", "x"), with("gnothi.observe", true))
	if err != nil {
		t.Fatal(err)
	}
	if b := belief(t, res.RawJSON()); b.Get("signals.#").Int() != 0 || !b.Get("missing").Exists() {
		t.Errorf("belief %s", b)
	}
}

// Several choices, also in one chunk, come once each.
func TestStreamOfSeveralChoices(t *testing.T) {
	chunks := []string{
		`{"id":"c","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null},{"index":1,"delta":{"content":"b"},"finish_reason":null}]}`,
		`{"id":"c","choices":[{"index":1,"delta":{"content":"d"},"finish_reason":"stop"}]}`,
		`{"id":"c","choices":[{"index":0,"delta":{"content":"c"},"finish_reason":"stop"}]}`,
	}
	u := newUpstream(t, sends(plainAnswer, chunks...))
	url, _ := serve(t, behind(t, u))
	params := ask("big", "x")
	params.N = sdk.Int(2)
	got, err := streamed(t, client(url), params)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[int64]string{}
	for _, c := range got {
		for _, choice := range gjson.Get(c, "choices").Array() {
			texts[choice.Get("index").Int()] += choice.Get("delta.content").String()
		}
	}
	if texts[0] != "ac" || texts[1] != "bd" || len(got) != 3 || belief(t, got[2]).Get("answer").String() != "ac" {
		t.Errorf("%v in %q", texts, got)
	}
}

// An event is with the client before the upstream sends the next one.
func TestEventsPassAtOnce(t *testing.T) {
	next := make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%d\"},\"finish_reason\":null}]}\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	})
	url, _ := serve(t, behind(t, u))
	c := client(url)
	s := c.Chat.Completions.NewStreaming(t.Context(), ask("big", "x"))
	defer s.Close()
	for i := 0; s.Next(); i++ {
		if i < 5 {
			if got := s.Current().Choices[0].Delta.Content; got != fmt.Sprint(i) {
				t.Errorf("event %d says %q", i, got)
			}
			next <- struct{}{}
		}
	}
	if s.Err() != nil {
		t.Error(s.Err())
	}
}

// A tool call that a deliberating policy chooses is delivered whole.
func TestToolCallDeliberated(t *testing.T) {
	u := newUpstream(t, sends(plainAnswer))
	url, _ := serve(t, behind(t, u))
	body := strings.Replace(strings.Replace(request, `"model":"big"`, `"model":"big+self-consistency?n=1"`, 1), `"seed":9007199254740993`, `"seed":5`, 1)
	_, answer, _ := post(t, url+"/v1/chat/completions", body)
	if got := gjson.Get(answer, "choices.0.message.tool_calls.0.function.name").String(); got != "weather" {
		t.Errorf("not streamed: %s", answer)
	}
	if gjson.Get(answer, "system_fingerprint").String() != "fp_1" || gjson.Get(answer, "choices.0.finish_reason").String() != "tool_calls" {
		t.Errorf("not streamed: %s", answer)
	}
	var params sdk.ChatCompletionNewParams
	if err := json.Unmarshal([]byte(body), &params); err != nil {
		t.Fatal(err)
	}
	chunks, err := streamed(t, client(url), params)
	if err != nil {
		t.Fatal(err)
	}
	var whole sdk.ChatCompletionAccumulator
	for _, c := range chunks {
		var chunk sdk.ChatCompletionChunk
		if err := json.Unmarshal([]byte(c), &chunk); err != nil || !whole.AddChunk(chunk) {
			t.Fatalf("chunk %s: %v", c, err)
		}
	}
	if calls := whole.Choices[0].Message.ToolCalls; len(calls) != 1 || calls[0].Function.Arguments != `{"city":"X"}` {
		t.Errorf("streamed: %q", chunks)
	}
	sent, _, _ := u.last()
	if gjson.Get(sent, "tools.#").Int() != 1 || gjson.Get(sent, "gnothi").Exists() || gjson.Get(sent, "messages.1.content.1.image_url.url").String() == "" {
		t.Errorf("the policy sent %s", sent)
	}
}

// Bodies of the other endpoints pass as they are, both ways; a response carries
// its belief, and the policy in a model's name does not pass.
func TestPassedThrough(t *testing.T) {
	const response = `{"id":"resp_1","object":"response","status":"completed","x_unknown":12345678901234567890,"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Paris"}]}],"usage":{"input_tokens":5,"output_tokens":1}}`
	const completion = `{"id":"cmpl_1","object":"text_completion","x_unknown":12345678901234567890,"choices":[{"index":0,"text":"Paris","finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}`
	answers := map[string]string{"/v1/responses": response, "/v1/completions": completion}
	streams := map[string][]string{
		"/v1/responses":   {`{"type":"response.created","response":{"id":"resp_1","output":[]},"x":1}`, `{"type":"response.output_text.delta","delta":"Paris"}`, `{"type":"response.completed","response":` + response + `}`},
		"/v1/completions": {`{"id":"cmpl_1","choices":[{"index":0,"text":"Par","finish_reason":null}],"x":1}`, `{"id":"cmpl_1","choices":[{"index":0,"text":"is","finish_reason":"stop"}]}`},
	}
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		events := streams[r.URL.Path]
		switch gjson.GetBytes(b, "how").String() {
		case "fail":
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(int(gjson.GetBytes(b, "status").Int()))
			io.WriteString(w, `{"error":{"message":"wrong key `+upstreamKey+` or sk-other-key-0123456789","type":"auth","code":"bad"}}`)
		case "page":
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<html>hello</html>")
		case "garbage":
			sends(`{"id":`, `{"id":`)(w, r2(r, b))
		case "cut":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "data: %s\n\n", events[0])
		case "queued":
			sends(`{"id":"resp_2","object":"response","status":"queued","output":[]}`)(w, r2(r, b))
		default:
			sends(answers[r.URL.Path], events...)(w, r2(r, b))
		}
	})
	url, _ := serve(t, behind(t, u))
	for path, answer := range answers {
		const sent = `{"model": "anything", "input": "Capital?", "prompt": "Capital?", "big": 12345678901234567890}`
		status, got, head := post(t, url+path, sent, "Content-Type", "application/json")
		if status != 200 || head.Get("X-Request-Id") != "req_7" || head.Get("Set-Cookie") != "" || head.Get("X-Gnothi-Decision") != "answer" {
			t.Errorf("%s: %d %s %v", path, status, got, head)
		}
		same(t, path, without(t, got, "gnothi"), answer)
		if path == "/v1/responses" {
			if b := belief(t, got); b.Get("answer").String() != "Paris" || b.Get("id").String() != "resp_1" || b.Get("spend.completion_tokens").Int() != 1 || b.Get("question").String() != "Capital?" {
				t.Errorf("belief %s", b)
			}
		} else if got != answer+"\n" {
			t.Errorf("%s: %q", path, got)
		}
		if body, _, reached := u.last(); body != sent || reached != path {
			t.Errorf("%s: the upstream was sent %s %s", path, reached, body)
		}
		// The policy of the model's name, and a gnothi object, are for the gateway.
		post(t, url+path, `{"model":"big+direct","input":"x","prompt":"x","gnothi":{"policy":"direct"},"big":12345678901234567890}`)
		if body, _, _ := u.last(); body != `{"model":"big","input":"x","prompt":"x","big":12345678901234567890}` {
			t.Errorf("%s: the upstream was sent %s", path, body)
		}
		want := ""
		for _, e := range streams[path] {
			if path == "/v1/responses" {
				want += "event: " + gjson.Get(e, "type").String() + "\n"
			}
			want += "data: " + e + "\n\n"
		}
		_, got, head = post(t, url+path, `{"model":"big","stream":true,"input":"x","prompt":"x"}`)
		if path == "/v1/responses" {
			if b := gjson.Get(got[strings.LastIndex(got, "data: ")+6:], "response.gnothi"); b.Get("answer").String() != "Paris" {
				t.Errorf("%s: streamed %s", path, got)
			}
			got = got[:strings.LastIndex(got, `,"gnothi":`)] + "}}\n\n"
		} else {
			want += "data: [DONE]\n\n"
		}
		if got != want || head.Get("X-Request-Id") != "req_7" {
			t.Errorf("%s: streamed %q, want %q; %v", path, got, want, head)
		}
		status, got, head = post(t, url+path, `{"model":"big","how":"fail","status":429}`)
		if status != 429 || head.Get("Retry-After") != "3" || gjson.Get(got, "error.code").String() != "bad" || strings.Contains(got, "sk-") {
			t.Errorf("%s: %d %s", path, status, got)
		}
		for body, want := range map[string]int{
			`{"model":"big","how":"page"}`: 502, `{"model":"big","how":"fail","status":302}`: 502, `{"model":"big","how":"garbage"}`: 502, `{"model":"big","how":"garbage","stream":true}`: 502,
			`[]`: 400, `{"model":7}`: 400, `{"model":"a","model":"b"}`: 400, `{"model":"big","gnothi":{"threshold":0.5}}`: 400, `{"model":"big+self-consistency?n=3","input":"x"}`: 400, "{\"x\":\"\xff\"}": 400,
		} {
			if status, got, _ := post(t, url+path, body); status != want || !gjson.Get(got, "error.message").Exists() {
				t.Errorf("%s %s: %d %s", path, body, status, got)
			}
		}
		status, got, _ = post(t, url+path, `{"model":"big","how":"cut","stream":true}`)
		if last := got[strings.LastIndex(got, "data: ")+6:]; status != 200 || !strings.Contains(gjson.Get(last, "error.message").String(), "cut") || strings.Contains(got, "[DONE]") {
			t.Errorf("%s: a cut stream ends with %q", path, last)
		}
	}
	// A response that is still being made has no answer yet.
	_, got, _ := post(t, url+"/v1/responses", `{"model":"big","how":"queued","background":true,"input":"x"}`)
	if gjson.Get(got, "status").String() != "queued" || belief(t, got).Get("outcome").String() != "unparsed" {
		t.Errorf("queued: %s", got)
	}
	u.Close()
	status, got, _ := post(t, url+"/v1/responses", `{"model":"big"}`)
	if status != 502 || gjson.Get(got, "error.type").String() != "upstream_error" {
		t.Errorf("nobody there: %d %s", status, got)
	}
}

// r2 is a request whose body can be read again.
func r2(r *http.Request, body []byte) *http.Request {
	out := r.Clone(r.Context())
	out.Body = io.NopCloser(strings.NewReader(string(body)))
	return out
}

// Every fault of an upstream becomes an error that clients' libraries know, and
// never an answer, under direct and under a policy, in one piece and streamed.
func TestFaults(t *testing.T) {
	for i, f := range llmtest.Faults() {
		if f.Name == "100 MB" && testing.Short() {
			continue // slow under the race detector
		}
		for _, streaming := range []bool{false, true} {
			// A deliberating policy asks without streaming.
			for _, policy := range []string{"direct", "self-consistency?n=1"} {
				asked := streaming && policy == "direct"
				if asked && !f.Stream || !asked && !f.Plain {
					continue
				}
				t.Run(fmt.Sprintf("%s/%v/%s", f.Name, streaming, policy), func(t *testing.T) {
					t.Parallel()
					fault(t, llmtest.Faults()[i], streaming, policy) // of its own: faults remember
				})
			}
		}
	}
}

func fault(t *testing.T, f llmtest.Fault, streaming bool, policy string) {
	u := httptest.NewServer(f.Serve)
	defer u.Close()
	httpClient, idle := u.Client(), time.Minute
	if f.Hangs {
		idle = 300 * time.Millisecond
	}
	httpClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p, err := openai.New("big", openai.Options{BaseURL: u.URL, APIKey: llmtest.Secret, HTTPClient: httpClient, Idle: idle})
	if err != nil {
		t.Fatal(err)
	}
	o := gateway.Options{Model: llm.Metered(p, nil), Policies: policies, Policy: policy}
	if f.Hangs {
		o.Timeout = 100 * time.Millisecond
	}
	g, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(g)
	defer s.Close()
	c := client(s.URL)
	var content string
	if streaming {
		var chunks []string
		chunks, err = streamed(t, c, ask("big", "Where?"))
		content = text(chunks)
	} else {
		var res *sdk.ChatCompletion
		if res, err = c.Chat.Completions.New(t.Context(), ask("big", "Where?")); err == nil {
			content = res.Choices[0].Message.Content
		}
	}
	if f.Fine {
		if err != nil || content != "Paris" {
			t.Errorf("%q, %v", content, err)
		}
		return
	}
	if err == nil {
		t.Fatalf("sold as the answer %q", content)
	}
	if strings.Contains(err.Error(), llmtest.Secret) {
		t.Errorf("the key shows: %v", err)
	}
	if content != "" {
		return // the stream had begun: the error came as an event
	}
	e := apiError(t, err)
	want := f.Status
	switch {
	case f.Hangs:
		want = http.StatusGatewayTimeout
	case f.Status < 400:
		want = http.StatusBadGateway
	}
	if e.StatusCode != want || e.Message == "" || e.Type == "" {
		t.Errorf("status %d, want %d: %v", e.StatusCode, want, err)
	}
	if !f.Hangs && !strings.Contains(e.Message, f.Message) {
		t.Errorf("message %q, want %q", e.Message, f.Message)
	}
	if after := e.Response.Header.Get("Retry-After"); (after != "") != (f.RetryAfter > 0) {
		t.Errorf("Retry-After %q, want %v", after, f.RetryAfter)
	}
}

// A client that leaves a stream ends the upstream's, while others go on.
func TestClientLeavesUpstream(t *testing.T) {
	const clients = 16
	var leave [clients]context.CancelFunc
	var leaving [clients]context.Context
	var ended [clients]chan struct{}
	for i := range clients {
		ctx, cancel := context.WithCancel(t.Context())
		leaving[i], leave[i] = ctx, cancel //nolint:fatcontext // each client has its own
		ended[i] = make(chan struct{}, 100)
	}
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		if gjson.GetBytes(b, "stream").Bool() {
			io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n")
			w.(http.Flusher).Flush()
		}
		var i int
		if _, err := fmt.Sscanf(gjson.GetBytes(b, "messages.0.content").String(), "client %d", &i); err != nil {
			t.Errorf("%s: %v", b, err)
			return
		}
		leave[i]()
		<-r.Context().Done()
		ended[i] <- struct{}{}
	})
	url, _ := serve(t, behind(t, u))
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			stream := []string{"true", "false"}[i%2]
			model := []string{"big", "big+auto"}[i/2%2]
			body := `{"model":"` + model + `","stream":` + stream + `,"messages":[{"role":"user","content":"client ` + strconv.Itoa(i) + `"}]}`
			req, _ := http.NewRequestWithContext(leaving[i], http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	for i := range clients {
		select {
		case <-ended[i]:
		case <-time.After(2 * time.Minute):
			t.Fatalf("the upstream call of client %d goes on", i)
		}
	}
}

func TestConcurrentRequests(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		q := gjson.GetBytes(b, "messages.0.content").String()
		sends(`{"id":"`+q+`","choices":[{"index":0,"message":{"role":"assistant","content":"`+q+`"},"finish_reason":"stop"}]}`,
			`{"id":"`+q+`","choices":[{"index":0,"delta":{"content":"`+q+`"},"finish_reason":null}]}`,
			`{"id":"`+q+`","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)(w, r2(r, b))
	})
	url, _ := serve(t, behind(t, u))
	c := client(url)
	var wg sync.WaitGroup
	for i := range 48 {
		wg.Go(func() {
			q := fmt.Sprintf("question %d", i)
			model := []string{"big", "big+self-consistency?n=3", "other"}[i%3]
			if i%2 == 0 {
				chunks, err := streamed(t, c, ask(model, q))
				if err != nil || text(chunks) != q {
					t.Errorf("%s: %q, %v", q, chunks, err)
				}
				return
			}
			res, err := c.Chat.Completions.New(t.Context(), ask(model, q))
			if err != nil || res.Choices[0].Message.Content != q || belief(t, res.RawJSON()).Get("question").String() != q {
				t.Errorf("%s: %+v, %v", q, res, err)
			}
		})
	}
	wg.Wait()
}

func FuzzChat(f *testing.F) {
	f.Add(request)
	f.Add(`{"model":"small+auto","stream":true,"gnothi":{"threshold":0.5,"budget":{"calls":2,"usd":0.1}},"messages":[{"role":"user","content":"x"}]}`)
	f.Add(`{"model":"small","n":3,"logprobs":true,"top_logprobs":2,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]}`)
	f.Add(`{"model":"small","gnothi":{"observe":true,"hedge":1},"messages":[{"role":"tool","content":null}],"seed":-1}`)
	g := small(f)
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
		r.Host = "127.0.0.1"
		g.ServeHTTP(w, r)
		switch answer := w.Body.String(); {
		case w.Code == 200 && strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream"):
			if !strings.HasSuffix(answer, "data: [DONE]\n\n") && !strings.Contains(answer, `data: {"error":`) {
				t.Errorf("the stream has no end: %q", answer)
			}
		case w.Code == 200:
			if !gjson.Valid(answer) || !gjson.Get(answer, "gnothi.schema").Exists() {
				t.Errorf("%q", answer)
			}
		case w.Code >= 500:
			t.Errorf("%d %s", w.Code, answer)
		default:
			if !gjson.Get(answer, "error.message").Exists() {
				t.Errorf("%d %q", w.Code, answer)
			}
		}
	})
}

func BenchmarkDirect(b *testing.B) {
	const answer = `{"id":"c1","object":"chat.completion","created":1,"model":"big","choices":[{"index":0,"message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}`
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
	}))
	defer u.Close()
	p, err := openai.New("big", openai.Options{BaseURL: u.URL + "/v1"})
	if err != nil {
		b.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{Model: llm.Metered(p, nil)})
	if err != nil {
		b.Fatal(err)
	}
	s := httptest.NewServer(g)
	defer s.Close()
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer c.CloseIdleConnections()
	run := func(b *testing.B, url string) time.Duration {
		b.ReportAllocs()
		start := time.Now()
		for b.Loop() {
			resp, err := c.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"big","messages":[{"role":"user","content":"What is the capital of France?"}]}`))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				b.Fatal(resp.Status)
			}
		}
		return time.Since(start) / time.Duration(b.N)
	}
	var upstream, through time.Duration
	b.Run("upstream", func(b *testing.B) { upstream = run(b, u.URL) })
	b.Run("gateway", func(b *testing.B) {
		through = run(b, s.URL)
		b.ReportMetric(float64(through-upstream), "added-ns/op")
	})
}
