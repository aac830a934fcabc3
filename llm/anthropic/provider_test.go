package anthropic_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/google/go-cmp/cmp"

	"gnothi/llm"
	"gnothi/llm/anthropic"
	"gnothi/llm/llmtest"
	"gnothi/llm/openai"
)

// server speaks the messages API as its documentation describes it: it counts
// to twelve, a word for each token, at a pace. It refuses what the API refuses.
type server struct {
	*httptest.Server
	pace   time.Duration
	answer string // instead: a whole message

	mu     sync.Mutex
	bodies []string
}

func serve(t *testing.T) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.handle))
	t.Cleanup(s.Close)
	return s
}

func (s *server) handle(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.bodies = append(s.bodies, string(data))
	s.mu.Unlock()
	var in struct {
		Model     string           `json:"model"`
		MaxTokens int              `json:"max_tokens"`
		Messages  []map[string]any `json:"messages"`
		Stop      []string         `json:"stop_sequences"`
		Stream    bool             `json:"stream"`
	}
	refuse := func(message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"type":"error","error":{"type":"invalid_request_error","message":%q},"request_id":"req_1"}`, message)
	}
	switch err := json.Unmarshal(data, &in); {
	case err != nil:
		refuse(err.Error())
		return
	case in.MaxTokens == 0:
		refuse("max_tokens: Field required")
		return
	case r.URL.Path != "/v1/messages" || r.Header.Get("Anthropic-Version") == "" || r.Header.Get("X-Api-Key") == "":
		refuse("not the messages API")
		return
	case slices.ContainsFunc(in.Stop, func(s string) bool { return strings.TrimSpace(s) == "" }):
		refuse("stop_sequences: each stop sequence must contain non-whitespace")
		return
	}
	words := strings.SplitAfter("one two three four five six seven eight nine ten eleven twelve", " ")
	stop := "end_turn"
	if in.MaxTokens < len(words) {
		words, stop = words[:in.MaxTokens], "max_tokens"
	}
	text := strings.Join(words, "")
	for _, seq := range in.Stop {
		if before, _, found := strings.Cut(text, seq); found {
			text, stop = before, "stop_sequence"
		}
	}
	message := map[string]any{
		"id": "msg_1", "type": "message", "role": "assistant", "model": in.Model, "x_vendor": json.RawMessage("9007199254740993"),
		"content": []any{map[string]any{"type": "text", "text": text}}, "stop_reason": stop, "stop_sequence": nil,
		"usage": map[string]any{"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": len(words)},
	}
	if s.answer != "" {
		message = nil
		d := json.NewDecoder(strings.NewReader(s.answer))
		d.UseNumber()
		_ = d.Decode(&message)
	}
	w.Header().Set("Request-Id", "req_1")
	if !in.Stream {
		if !s.wait(r, len(words)) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(message)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	s.stream(w, r, message)
}

func (s *server) wait(r *http.Request, tokens int) bool {
	select {
	case <-time.After(s.pace * time.Duration(tokens)):
		return true
	case <-r.Context().Done():
		return false
	}
}

// stream sends a message as the API streams one.
func (s *server) stream(w http.ResponseWriter, r *http.Request, message map[string]any) {
	send := func(v map[string]any) {
		b, _ := json.Marshal(v)
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", v["type"], b)
		w.(http.Flusher).Flush()
	}
	start := map[string]any{}
	for k, v := range message {
		start[k] = v
	}
	usage := message["usage"].(map[string]any)
	start["content"], start["stop_reason"] = []any{}, nil
	start["usage"] = map[string]any{"input_tokens": usage["input_tokens"], "cache_read_input_tokens": usage["cache_read_input_tokens"], "output_tokens": 1}
	send(map[string]any{"type": "message_start", "message": start})
	send(map[string]any{"type": "ping"})
	for i, b := range message["content"].([]any) {
		block := b.(map[string]any)
		begun := map[string]any{}
		for k, v := range block {
			begun[k] = v
		}
		grow := func(field, kind, name string, pieces []string) {
			for _, p := range pieces {
				if !s.wait(r, 1) {
					return
				}
				send(map[string]any{"type": "content_block_delta", "index": i, "delta": map[string]any{"type": kind, name: p}})
			}
		}
		switch block["type"] {
		case "text":
			begun["text"] = ""
			delete(begun, "citations")
		case "thinking":
			begun["thinking"], begun["signature"] = "", ""
		case "tool_use":
			begun["input"] = map[string]any{}
		}
		send(map[string]any{"type": "content_block_start", "index": i, "content_block": begun})
		switch block["type"] {
		case "text":
			grow("text", "text_delta", "text", strings.SplitAfter(block["text"].(string), " "))
			for _, c := range list(block["citations"]) {
				send(map[string]any{"type": "content_block_delta", "index": i, "delta": map[string]any{"type": "citations_delta", "citation": c}})
			}
		case "thinking":
			grow("thinking", "thinking_delta", "thinking", strings.SplitAfter(block["thinking"].(string), " "))
			grow("signature", "signature_delta", "signature", []string{block["signature"].(string)})
		case "tool_use":
			input, _ := json.Marshal(block["input"])
			if string(input) == "{}" {
				input = nil
			}
			grow("input", "input_json_delta", "partial_json", append([]string{""}, strings.SplitAfter(string(input), ",")...))
		}
		send(map[string]any{"type": "content_block_stop", "index": i})
	}
	send(map[string]any{"type": "message_delta", "delta": map[string]any{"stop_reason": message["stop_reason"], "stop_sequence": nil}, "usage": map[string]any{"output_tokens": usage["output_tokens"]}})
	send(map[string]any{"type": "message_stop"})
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func open(t *testing.T, base string, o anthropic.Options) *anthropic.Provider {
	t.Helper()
	o.BaseURL, o.APIKey = base+"/v1", llmtest.Secret
	p, err := anthropic.New("claude-test", o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConformance(t *testing.T) {
	llmtest.Run(t, func(t *testing.T) (llm.Model, llmtest.Fixture) {
		s := serve(t)
		if strings.Contains(t.Name(), "during") {
			s.pace = time.Hour
		}
		transport := &http.Transport{MaxIdleConnsPerHost: 64}
		slow := llmtest.Question("slowly")
		p := open(t, s.URL, anthropic.Options{HTTPClient: &http.Client{Transport: transport}})
		return p, llmtest.Fixture{Slow: &slow, Unknown: "x_vendor", Close: func() { transport.CloseIdleConnections(); s.Close() }}
	})
}

// sent gives the body that a request in OpenAI's terms becomes.
func sent(t *testing.T, body string) string {
	t.Helper()
	r, _, err := openai.DecodeRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t)
	if _, err := open(t, s.URL, anthropic.Options{}).Do(t.Context(), llm.Op{Request: r, Seed: 5}); err != nil {
		t.Fatal(err)
	}
	return s.bodies[0]
}

func TestRequests(t *testing.T) {
	for name, c := range map[string]struct{ from, to string }{
		"system turns are lifted": {
			`{"messages":[{"role":"system","content":"a"},{"role":"user","content":"<hi>"},{"role":"developer","content":[{"type":"text","text":"b"}]},{"role":"assistant","content":"The answer is ("}]}`,
			`{"max_tokens":4096,"system":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"messages":[{"role":"user","content":[{"type":"text","text":"<hi>"}]},{"role":"assistant","content":[{"type":"text","text":"The answer is ("}]}]}`,
		},
		"settings": {
			`{"messages":[{"role":"user","content":"x"}],"max_completion_tokens":7,"temperature":1.7,"top_p":0.5,"top_k":3,"stop":["\n","END"],"seed":1,"n":1,"logprobs":false,"frequency_penalty":1,"user":"u1","response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"}}},"thinking":{"type":"enabled","budget_tokens":9007199254740993}}`,
			`{"max_tokens":7,"temperature":1,"top_p":0.5,"top_k":3,"stop_sequences":["END"],"metadata":{"user_id":"u1"},"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}},"thinking":{"type":"enabled","budget_tokens":9007199254740993},"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]}`,
		},
		"images": {
			`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"image_url","image_url":{"url":"https://h/x.png"}},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"},"cache_control":{"type":"ephemeral"}},{"type":"text","text":"?"}]}]}`,
			`{"max_tokens":4096,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},{"type":"image","source":{"type":"url","url":"https://h/x.png"}},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"},"cache_control":{"type":"ephemeral"}},{"type":"text","text":"?"}]}]}`,
		},
		"tools": {
			`{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"n\":9007199254740993}"}},{"id":"b","type":"function","function":{"name":"g","arguments":""}}]},{"role":"tool","tool_call_id":"a","content":"1"},{"role":"tool","tool_call_id":"b","content":[{"type":"text","text":"2"}]}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}},{"type":"function","function":{"name":"g"}},{"type":"web_search_20250305","name":"web_search"}],"tool_choice":"required","parallel_tool_calls":false}`,
			`{"max_tokens":4096,"messages":[{"role":"user","content":[{"type":"text","text":"x"}]},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{"n":9007199254740993}},{"type":"tool_use","id":"b","name":"g","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"1"}]},{"type":"tool_result","tool_use_id":"b","content":[{"type":"text","text":"2"}]}]}],"tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"strict":true},{"name":"g","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"any","disable_parallel_tool_use":true}}`,
		},
		"one tool": {
			`{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}}}`,
			`{"max_tokens":4096,"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"f"}}`,
		},
		"an answer comes back": {
			`{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","content_blocks":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"y"}]},{"role":"user","content":"z"}]}`,
			`{"max_tokens":4096,"messages":[{"role":"user","content":[{"type":"text","text":"x"}]},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"y"}]},{"role":"user","content":[{"type":"text","text":"z"}]}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := sent(t, c.from)
			want := strings.Replace(c.to, "{", `{"model":"claude-test",`, 1)
			if d := cmp.Diff(tree(t, want), tree(t, body)); d != "" {
				t.Errorf("%s\n%s", d, body)
			}
			// The official library takes it for a request and loses nothing of it.
			var official sdk.MessageNewParams
			if err := json.Unmarshal([]byte(body), &official); err != nil {
				t.Fatal(err)
			}
			if len(official.Messages) == 0 || official.MaxTokens == 0 || official.Model != "claude-test" {
				t.Errorf("read as %+v", official)
			}
			for _, m := range official.Messages {
				for _, b := range m.Content {
					if b.GetType() == nil {
						t.Errorf("a block of no known type in %s", body)
					}
				}
			}
		})
	}
}

func tree(t *testing.T, s string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return v
}

func TestRequestsThatCannotBe(t *testing.T) {
	p := open(t, "http://127.0.0.1:1", anthropic.Options{})
	for body, param := range map[string]string{
		`{"messages":[{"role":"system","content":"only"}]}`:                                                                                          "messages",
		`{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]}`:                                                         "messages[0]",
		`{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{oops"}}]}]}`: "messages[0]",
		`{"messages":[{"role":"user","content":"x"}],"tools":7}`:                                                                                     "tools",
		`{"messages":[{"role":"user","content":"x"}],"response_format":7}`:                                                                           "response_format",
	} {
		r, _, err := openai.DecodeRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Do(t.Context(), llm.Op{Request: r})
		var e *llm.APIError
		if !errors.As(err, &e) || e.Status != 400 || e.Param != param || e.Temporary {
			t.Errorf("%s: got %v, want a 400 about %s", body, err, param)
		}
	}
	for _, op := range []llm.Op{{Kind: llm.Score}, {Request: llm.Request{Prompt: "x"}}} {
		var lacks *llm.UnsupportedError
		if _, err := p.Do(t.Context(), op); !errors.As(err, &lacks) {
			t.Errorf("got %v, want an UnsupportedError", err)
		}
	}
	if p.Can(llm.LogProbs) || p.Can(llm.Seeded) {
		t.Error("claims what the API has not")
	}
}

const thoughtful = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-test","x_vendor":9007199254740993,
"content":[
 {"type":"thinking","thinking":"let me see","signature":"sig=="},
 {"type":"text","text":"I look it up.","citations":[{"type":"char_location","cited_text":"c"}]},
 {"type":"tool_use","id":"toolu_1","name":"lookup","input":{"city":"Paris","n":2}},
 {"type":"tool_use","id":"toolu_2","name":"now","input":{}}],
"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":5,"cache_read_input_tokens":3,"output_tokens":40}}`

// TestAnswerOfManyBlocks reads thinking, citations and tool calls, whole and
// streamed, as an OpenAI client would.
func TestAnswerOfManyBlocks(t *testing.T) {
	s := serve(t)
	s.answer = thoughtful
	p := open(t, s.URL, anthropic.Options{})
	op := llmtest.Question("?")
	op.Indices = []int{3}
	whole, err := p.Do(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	var through openai.Assembler
	op.Stream = func(e llm.Event) error {
		_, err := through.Add(openai.EncodeChunk(e, 0, openai.Envelope{ID: "g", Model: "m"}))
		return err
	}
	streamed, err := p.Do(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	client, err := through.Result()
	if err != nil {
		t.Fatal(err)
	}
	calls := `[{"id":"toolu_1","type":"function","function":{"name":"lookup","arguments":"{\"city\":\"Paris\",\"n\":2}"}},{"id":"toolu_2","type":"function","function":{"name":"now","arguments":"{}"}}]`
	for name, c := range map[string]llm.Choice{"whole": whole.Choices[0], "streamed": streamed.Choices[0], "at the client": client.Choices[0]} {
		var raw struct {
			Message struct {
				Calls  json.RawMessage `json:"tool_calls"`
				Blocks json.RawMessage `json:"content_blocks"`
			} `json:"message"`
		}
		if err := json.Unmarshal(c.Raw, &raw); err != nil {
			t.Fatal(err)
		}
		if name != "at the client" {
			if c.Index != 3 {
				t.Errorf("%s: index %d", name, c.Index)
			}
			if d := cmp.Diff(tree(t, thoughtful).(map[string]any)["content"], tree(t, string(raw.Message.Blocks))); d != "" {
				t.Errorf("%s: blocks\n%s", name, d)
			}
		}
		if c.Text != "I look it up." || c.Reasoning != "let me see" || c.Finish != "tool_calls" {
			t.Errorf("%s: %+v", name, c)
		}
		if d := cmp.Diff(tree(t, calls), tree(t, string(raw.Message.Calls))); d != "" {
			t.Errorf("%s: tool calls\n%s", name, d)
		}
	}
	for name, res := range map[string]*llm.Result{"whole": whole, "streamed": streamed} {
		if want := (llm.Usage{PromptTokens: 18, PromptCached: 3, CompletionTokens: 40}); name == "whole" && res.Usage != want {
			t.Errorf("%s: usage %+v", name, res.Usage)
		}
		if !strings.Contains(string(res.Raw), `"x_vendor":9007199254740993`) || res.Header["request-id"] != "req_1" {
			t.Errorf("%s: %s, %v", name, res.Raw, res.Header)
		}
	}
}

func TestBlankStopStrings(t *testing.T) {
	s := serve(t)
	s.answer = `{"type":"message","content":[{"type":"text","text":"Paris is \n \nit. "}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":9}}`
	p := open(t, s.URL, anthropic.Options{})
	for _, stop := range []string{"\n \n", "\n", "\t"} {
		want := "Paris is "
		if stop == "\t" {
			want = "Paris is \n \nit. "
		}
		op := llmtest.Question("?")
		op.Request.Stop = []string{stop}
		whole, err := p.Do(t.Context(), op)
		if err != nil || whole.Choices[0].Text != want || whole.Choices[0].Finish != "stop" {
			t.Errorf("%q: %+v, %v", stop, whole, err)
		}
		text, end := "", ""
		op.Stream = func(e llm.Event) error { text += e.Text; end += e.Finish; return nil }
		streamed, err := p.Do(t.Context(), op)
		if err != nil || text != want || end != "stop" || streamed.Choices[0].Text != want {
			t.Errorf("%q: streamed %q %q, %+v, %v", stop, text, end, streamed, err)
		}
	}
}

// TestFaults runs those of the shared list that do not depend on the layout of
// an answer, and the API's own.
func TestFaults(t *testing.T) {
	layout := []string{"page with status 200", "error with status 200", "garbage", "nothing", "null", "invalid UTF-8", "100 MB"}
	for _, f := range llmtest.Faults() {
		if f.Fine || f.Status == 200 && !slices.Contains(layout, f.Name) || f.Name == "stream reset" || f.Name == "hang within a stream" {
			continue
		}
		for _, streamed := range []bool{false, true} {
			if streamed && !f.Stream || !streamed && !f.Plain {
				continue
			}
			t.Run(fmt.Sprintf("%s/stream=%v", f.Name, streamed), func(t *testing.T) {
				t.Parallel()
				if f.Hangs { // until a limit of the client's, in time that passes only while all wait
					synctest.Test(t, func(t *testing.T) {
						check(t, open(t, "http://upstream", anthropic.Options{HTTPClient: llmtest.Pipe(t, f.Serve)}), streamed, f)
					})
					return
				}
				s := httptest.NewServer(f.Serve)
				defer s.Close()
				check(t, open(t, s.URL, anthropic.Options{}), streamed, f)
			})
		}
	}
	start := "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n" +
		"data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
	delta := "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Par\"}}\n\n"
	failure := "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"late\"}}\n\n"
	for _, f := range []struct {
		body string
		llmtest.Fault
	}{
		{`{"type":"error","error":{"type":"overloaded_error","message":"busy"}}`, llmtest.Fault{Name: "overloaded", Status: 529, Temporary: true, Message: "busy"}},
		{`{"type":"message","content":[]}`, llmtest.Fault{Name: "no content", Status: 200, Temporary: true, Message: "no content"}},
		{`{"type":"message","content":null,"stop_reason":"end_turn"}`, llmtest.Fault{Name: "null content", Status: 200, Temporary: true, Message: "no content"}},
		{`{"type":"message","content":[{"type":"text","text":"x"}],"usage":{"output_tokens":-1}}`, llmtest.Fault{Name: "negative usage", Status: 200, Temporary: true, Message: "negative"}},
		{start + delta, llmtest.Fault{Name: "stream cut", Status: 200, Stream: true, Message: "cut"}},
		{start, llmtest.Fault{Name: "stream cut before a word", Status: 200, Stream: true, Temporary: true, Message: "cut"}},
		{delta, llmtest.Fault{Name: "stream without a beginning", Status: 200, Stream: true, Temporary: true, Message: "begins with"}},
		{start + start, llmtest.Fault{Name: "beginning twice", Status: 200, Stream: true, Temporary: true, Message: "cut"}},
		{start + failure, llmtest.Fault{Name: "error event", Status: 200, Stream: true, Temporary: true, Message: "late"}},
		{start + delta + failure, llmtest.Fault{Name: "late error event", Status: 200, Stream: true, Message: "late"}},
		{start + strings.Replace(failure, "overloaded_error", "invalid_request_error", 1), llmtest.Fault{Name: "error event for good", Status: 200, Stream: true, Message: "late"}},
		{start + delta + "data: {nonsense\n\n", llmtest.Fault{Name: "garbage event", Status: 200, Stream: true, Message: "not what the API documents"}},
		{start + strings.Replace(delta, `"index":0`, `"index":9`, 1), llmtest.Fault{Name: "delta of no block", Status: 200, Stream: true, Temporary: true, Message: "did not start"}},
	} {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", map[bool]string{false: "application/json", true: "text/event-stream"}[f.Stream])
				w.WriteHeader(f.Status)
				io.WriteString(w, f.body)
			}))
			defer s.Close()
			check(t, open(t, s.URL, anthropic.Options{}), f.Stream, f.Fault)
		})
	}
}

func check(t *testing.T, p *anthropic.Provider, streamed bool, f llmtest.Fault) {
	t.Helper()
	op := llmtest.Question("What is the capital of France?")
	if streamed {
		op.Stream = func(llm.Event) error { return nil }
	}
	res, err := p.Do(t.Context(), op)
	var e *llm.APIError
	if !errors.As(err, &e) {
		t.Fatalf("got %+v, %v; want an APIError", res, err)
	}
	if e.Status != f.Status || e.Temporary != f.Temporary || e.RetryAfter < f.RetryAfter || !strings.Contains(err.Error(), f.Message) {
		t.Errorf("got %+v (%v), want %+v", e, err, f)
	}
	if strings.Contains(fmt.Sprintf("%v %+v", err, e), llmtest.Secret) {
		t.Errorf("the key is shown: %v", err)
	}
}

func TestNew(t *testing.T) {
	for _, base := range []string{"ftp://x", "http://", "localhost:80"} {
		if _, err := anthropic.New("m", anthropic.Options{BaseURL: base}); err == nil {
			t.Errorf("base URL %q is taken", base)
		}
	}
	if _, err := anthropic.New("", anthropic.Options{}); err == nil {
		t.Error("no name is taken")
	}
	p, err := anthropic.New("m", anthropic.Options{BaseURL: "http://u:p@h/v1/?k=1"})
	if err != nil || p.ID().String() != "anthropic:m@http://h/v1" {
		t.Errorf("%v, %v", p.ID(), err)
	}
}
