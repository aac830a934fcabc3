package openai_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3/responses"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/openai"
)

// responder speaks the Responses API as its documentation describes it: it
// counts to twelve, a word for each token, and refuses what the API refuses.
type responder struct {
	*httptest.Server
	slow   time.Duration // a token
	output string        // instead: the list of output items
	least  int           // lowest max_output_tokens

	mu     sync.Mutex
	bodies []string
}

func respond(t *testing.T) *responder {
	s := &responder{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.handle))
	t.Cleanup(s.Close)
	return s
}

func (s *responder) open(t *testing.T, o openai.Options) *openai.Provider {
	t.Helper()
	o.BaseURL, o.Responses = s.URL+"/v1", true
	p, err := openai.New("m", o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *responder) handle(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.bodies = append(s.bodies, string(data))
	s.mu.Unlock()
	var in map[string]any
	_ = json.Unmarshal(data, &in)
	if r.URL.Path != "/v1/responses" {
		fail(w, http.StatusNotFound, "", "there is only POST /responses here")
		return
	}
	for name := range in {
		if !slices.Contains(strings.Fields("model input max_output_tokens temperature top_p top_logprobs include tools tool_choice text reasoning metadata store stream user service_tier parallel_tool_calls x_more"), name) {
			fail(w, http.StatusBadRequest, name, "Unknown parameter: '"+name+"'.")
			return
		}
	}
	words := strings.SplitAfter("one two three four five six seven eight nine ten eleven twelve", " ")
	response := map[string]any{
		"id": "resp_1", "object": "response", "created_at": 1, "model": "m-2026", "status": "completed", "error": nil, "incomplete_details": nil, "x_vendor": json.RawMessage("9007199254740993"),
	}
	if n, ok := in["max_output_tokens"].(float64); ok && int(n) < s.least {
		fail(w, http.StatusBadRequest, "max_output_tokens", fmt.Sprintf("Invalid 'max_output_tokens': integer below minimum value. Expected a value >= %d", s.least))
		return
	} else if ok && int(n) < len(words) {
		words = words[:int(n)]
		response["status"], response["incomplete_details"] = "incomplete", map[string]any{"reason": "max_output_tokens"}
	}
	response["usage"] = map[string]any{
		"input_tokens": 9, "input_tokens_details": map[string]any{"cached_tokens": 4}, "output_tokens": len(words),
		"output_tokens_details": map[string]any{"reasoning_tokens": 2}, "total_tokens": 9 + len(words),
	}
	content := map[string]any{"type": "output_text", "text": strings.Join(words, ""), "annotations": []any{}}
	logged := func(from, to int) (tokens []any) {
		if in["include"] == nil {
			return []any{}
		}
		for _, word := range words[from:to] {
			tokens = append(tokens, map[string]any{"token": word, "logprob": -0.5, "bytes": []int{}, "top_logprobs": []any{map[string]any{"token": word, "logprob": -0.5, "bytes": []int{}}}})
		}
		return tokens
	}
	content["logprobs"] = logged(0, len(words))
	output := []any{map[string]any{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": []any{content}}}
	if s.output != "" {
		d := json.NewDecoder(strings.NewReader(s.output))
		d.UseNumber()
		_ = d.Decode(&output)
	}
	w.Header().Set("X-Request-Id", "req_1")
	pause := func(tokens int) bool {
		select {
		case <-time.After(s.slow * time.Duration(tokens)):
			return true
		case <-r.Context().Done():
			return false
		}
	}
	if in["stream"] != true {
		if pause(len(words)) {
			response["output"] = output
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(response)
		}
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	number := 0
	send := func(kind string, more map[string]any) {
		more["type"], more["sequence_number"] = kind, number
		number++
		b, _ := json.Marshal(more)
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, b)
		w.(http.Flusher).Flush()
	}
	begun := map[string]any{}
	for k, v := range response {
		begun[k] = v
	}
	begun["status"], begun["output"], begun["usage"], begun["incomplete_details"] = "in_progress", []any{}, nil, nil
	send("response.created", map[string]any{"response": begun})
	send("response.in_progress", map[string]any{"response": begun})
	grow := func(kind string, place int, pieces []string, more func(i int) map[string]any) bool {
		for i, p := range pieces {
			if !pause(1) {
				return false
			}
			event := map[string]any{"item_id": "item", "output_index": place, "delta": p}
			if more != nil {
				for k, v := range more(i) {
					event[k] = v
				}
			}
			send(kind, event)
		}
		return true
	}
	for place, o := range output {
		item := o.(map[string]any)
		bare := map[string]any{}
		for k, v := range item {
			if k != "content" && k != "arguments" && k != "summary" {
				bare[k] = v
			}
		}
		send("response.output_item.added", map[string]any{"output_index": place, "item": bare})
		if args, ok := item["arguments"].(string); ok && !grow("response.function_call_arguments.delta", place, strings.SplitAfter(args, ","), nil) {
			return
		}
		parts, _ := item["content"].([]any)
		if summary, ok := item["summary"].([]any); ok && parts == nil {
			for _, p := range summary {
				grow("response.reasoning_summary_text.delta", place, strings.SplitAfter(p.(map[string]any)["text"].(string), " "), nil)
			}
		}
		for n, p := range parts {
			part := p.(map[string]any)
			done := true
			switch part["type"] {
			case "refusal":
				done = grow("response.refusal.delta", place, strings.SplitAfter(part["refusal"].(string), " "), nil)
			case "output_text":
				done = grow("response.output_text.delta", place, strings.SplitAfter(part["text"].(string), " "), func(i int) map[string]any {
					if s.output != "" {
						return map[string]any{"content_index": n}
					}
					return map[string]any{"content_index": n, "logprobs": logged(i, i+1)}
				})
			}
			if !done {
				return
			}
		}
		send("response.output_item.done", map[string]any{"output_index": place, "item": item})
	}
	response["output"] = output
	send("response."+response["status"].(string), map[string]any{"response": response})
}

func TestResponsesConformance(t *testing.T) {
	llmtest.Run(t, func(t *testing.T) (llm.Model, llmtest.Fixture) {
		s := respond(t)
		if strings.Contains(t.Name(), "during") {
			s.slow = time.Hour
		}
		transport := &http.Transport{MaxIdleConnsPerHost: 64}
		slow := llmtest.Question("slowly")
		p := s.open(t, openai.Options{HTTPClient: &http.Client{Transport: transport}})
		return p, llmtest.Fixture{Slow: &slow, Unknown: "x_vendor", Close: func() { transport.CloseIdleConnections(); s.Close() }}
	})
}

// Requests in the terms of chat completions become ones of the Responses API,
// which the official library takes for such and loses nothing of.
func TestResponsesRequests(t *testing.T) {
	for name, c := range map[string]struct{ from, to string }{
		"turns": {
			`{"messages":[{"role":"developer","content":"a"},{"role":"user","content":[{"type":"text","text":"<hi>"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}},{"type":"file","file":{"file_id":"f1"}}]},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}`,
			`{"store":false,"input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"a"}]},{"type":"message","role":"user","content":[{"type":"input_text","text":"<hi>"},{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"low"},{"type":"input_file","file_id":"f1"}]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"}]},{"type":"message","role":"user","content":[{"type":"input_text","text":"c"}]}]}`,
		},
		"settings": {
			`{"messages":[{"role":"user","content":"x"}],"max_completion_tokens":70,"temperature":0.5,"logprobs":true,"top_logprobs":3,"stop":["END"],"n":1,"frequency_penalty":1,"reasoning_effort":"low","verbosity":"low","metadata":{"a":"b"},"store":true,"response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"type":"object"}}},"x_more":9007199254740993}`,
			`{"store":true,"max_output_tokens":70,"temperature":0.5,"include":["message.output_text.logprobs"],"top_logprobs":3,"reasoning":{"effort":"low"},"metadata":{"a":"b"},"text":{"format":{"type":"json_schema","name":"s","strict":true,"schema":{"type":"object"}},"verbosity":"low"},"x_more":9007199254740993,"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}]}`,
		},
		"tools": {
			`{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"n\":9007199254740993}"}}]},{"role":"tool","tool_call_id":"a","content":"1"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}},{"type":"web_search"}],"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false}`,
			`{"store":false,"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]},{"type":"function_call","call_id":"a","name":"f","arguments":"{\"n\":9007199254740993}"},{"type":"function_call_output","call_id":"a","output":"1"}],"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":false},{"type":"web_search"}],"tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":false}`,
		},
		"an answer comes back": {
			`{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","reasoning_content":"hm","output_items":[{"type":"reasoning","id":"r","encrypted_content":"e","summary":[]},{"type":"message","id":"m","role":"assistant","status":"completed","content":[{"type":"output_text","text":"y","annotations":[]}]}]},{"role":"user","content":"z"}]}`,
			`{"store":false,"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]},{"type":"reasoning","id":"r","encrypted_content":"e","summary":[]},{"type":"message","id":"m","role":"assistant","status":"completed","content":[{"type":"output_text","text":"y","annotations":[]}]},{"type":"message","role":"user","content":[{"type":"input_text","text":"z"}]}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, err := openai.DecodeRequest([]byte(c.from))
			if err != nil {
				t.Fatal(err)
			}
			s := respond(t)
			do(t, s.open(t, openai.Options{}), llm.Op{Request: r})
			want := strings.Replace(c.to, "{", `{"model":"m",`, 1)
			if d := cmp.Diff(number(t, want), number(t, s.bodies[0])); d != "" {
				t.Errorf("%s\n%s", d, s.bodies[0])
			}
			var official responses.ResponseNewParams
			if err := json.Unmarshal([]byte(s.bodies[0]), &official); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(official)
			if err != nil {
				t.Fatal(err)
			}
			kept := number(t, string(again)).(map[string]any)
			for name := range number(t, s.bodies[0]).(map[string]any) {
				if kept[name] == nil && name != "x_more" {
					t.Errorf("the official library does not know %q: %s", name, again)
				}
			}
		})
	}
}

// number reads JSON with its numbers as they stand.
func number(t *testing.T, s string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, s)
	}
	return v
}

const manyItems = `[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"let me see"}],"encrypted_content":"e"},
	{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"I look it up.","annotations":[]}]},
	{"type":"function_call","id":"fc_1","call_id":"call_1","name":"look","arguments":"{\"a\":1,\"n\":9007199254740993}"},
	{"type":"function_call","id":"fc_2","call_id":"call_2","name":"see","arguments":"{}"}]`

// An answer of several items reads as one message of chat completions, streamed
// or not, and goes back to the API as it came.
func TestResponseOfManyItems(t *testing.T) {
	s := respond(t)
	s.output = manyItems
	p := s.open(t, openai.Options{})
	op := llmtest.Question("look")
	var streamed []string
	for range 2 {
		res := do(t, p, op)
		c := res.Choices[0]
		if c.Text != "I look it up." || c.Reasoning != "let me see" || c.Finish != "tool_calls" || res.Usage.PromptCached != 4 || res.Usage.CompletionTokens != 12 || res.Header["x-request-id"] == "" {
			t.Errorf("%q, %q, %q, %+v, %v", c.Text, c.Reasoning, c.Finish, res.Usage, res.Header)
		}
		var raw struct {
			Message json.RawMessage `json:"message"`
		}
		if err := json.Unmarshal(c.Raw, &raw); err != nil {
			t.Fatal(err)
		}
		var message struct {
			Calls []struct {
				ID       string
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
		if err := json.Unmarshal(raw.Message, &message); err != nil || len(message.Calls) != 2 || message.Calls[0].ID != "call_1" || message.Calls[0].Function.Arguments != `{"a":1,"n":9007199254740993}` || message.Calls[1].Function.Name != "see" {
			t.Errorf("%v: %s", err, raw.Message)
		}
		back := llm.Op{Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: "look"}, {Role: "assistant", Raw: raw.Message}, {Role: "tool", Raw: json.RawMessage(`{"role":"tool","tool_call_id":"call_1","content":"found"}`)}}}}
		do(t, p, back)
		input := number(t, s.bodies[len(s.bodies)-1]).(map[string]any)["input"].([]any)
		if d := cmp.Diff(number(t, manyItems), any(input[1:5])); d != "" {
			t.Errorf("the items went back changed:\n%s", d)
		}
		op.Stream = func(e llm.Event) error { streamed = append(streamed, e.Text); return nil }
	}
	if text := strings.Join(streamed, ""); text != "I look it up." {
		t.Errorf("streamed %q", text)
	}
}

func TestResponsesRefusal(t *testing.T) {
	s := respond(t)
	s.output = `[{"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"I will not."}]}]`
	op := llmtest.Question("x")
	for range 2 {
		c := do(t, s.open(t, openai.Options{}), op).Choices[0]
		if c.Text != "" || !strings.Contains(string(c.Raw), "I will not.") {
			t.Errorf("%+v", c)
		}
		op.Stream = func(llm.Event) error { return nil }
	}
}

// Stop strings, which the API does not know, end an answer and the call.
func TestResponsesStop(t *testing.T) {
	s := respond(t)
	op := llmtest.Question("x")
	op.Request.Stop, op.Request.LogProbs = []string{"e fo", "nine"}, true
	text, finish := "", ""
	for _, stream := range []func(llm.Event) error{nil, func(e llm.Event) error { text += e.Text; finish += e.Finish; return nil }} {
		op.Stream = stream
		c := do(t, s.open(t, openai.Options{}), op).Choices[0]
		if c.Text != "one two thre" || c.Finish != "stop" || len(c.Tokens) != 2 {
			t.Errorf("%+v", c)
		}
	}
	if text != "one two thre" || finish != "stop" {
		t.Errorf("streamed %q, %q", text, finish)
	}
}

func TestResponsesLowestCeiling(t *testing.T) {
	s := respond(t)
	s.least = 16
	p := s.open(t, openai.Options{})
	op := llmtest.Question("x")
	op.Request.MaxTokens = 5
	for range 2 {
		if c := do(t, p, op).Choices[0]; c.Finish != "stop" {
			t.Errorf("%+v", c)
		}
	}
	if len(s.bodies) != 3 {
		t.Errorf("%d requests for two calls: what was learned is forgotten", len(s.bodies))
	}
}

func TestResponsesFaults(t *testing.T) {
	created := "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"status\":\"in_progress\",\"output\":[]}}\n\n"
	delta := "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"Par\"}\n\n"
	for _, f := range []struct {
		body string
		llmtest.Fault
	}{
		{`{"object":"response","status":"failed","error":{"code":"server_error","message":"it broke"},"output":[]}`, llmtest.Fault{Name: "failed", Status: 200, Temporary: true, Message: "it broke"}},
		{`{"object":"response","status":"queued","error":null,"output":[]}`, llmtest.Fault{Name: "not done", Status: 200, Temporary: true, Message: "queued"}},
		{`{"object":"response","status":"completed","output":[]}`, llmtest.Fault{Name: "no output", Status: 200, Temporary: true, Message: "choices"}},
		{`{"object":"response","status":"completed","output":null}`, llmtest.Fault{Name: "null output", Status: 200, Temporary: true, Message: "no output"}},
		{`{"choices":[]}`, llmtest.Fault{Name: "chat completion", Status: 200, Temporary: true, Message: "no output"}},
		{`<html>`, llmtest.Fault{Name: "page", Status: 200, Temporary: true, Message: "JSON"}},
		{created, llmtest.Fault{Name: "cut before a word", Status: 200, Stream: true, Temporary: true, Message: "cut"}},
		{created + delta, llmtest.Fault{Name: "cut", Status: 200, Stream: true, Message: "cut"}},
		{created + "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"slow down\"}\n\n", llmtest.Fault{Name: "error event", Status: 200, Stream: true, Message: "slow down"}},
		{created + delta + "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"late\"}}}\n\n", llmtest.Fault{Name: "failed late", Status: 200, Stream: true, Message: "late"}},
		{created + delta + "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Lyon\"}]}]}}\n\n", llmtest.Fault{Name: "two texts", Status: 200, Stream: true, Message: "another"}},
		{created + "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":7,\"delta\":\"x\"}\n\n", llmtest.Fault{Name: "arguments of nothing", Status: 200, Stream: true, Message: "no call"}},
	} {
		t.Run(f.Name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", map[bool]string{false: "application/json", true: "text/event-stream"}[f.Stream])
				io.WriteString(w, f.body)
			}))
			defer s.Close()
			p, err := openai.New("m", openai.Options{BaseURL: s.URL, Responses: true, APIKey: llmtest.Secret})
			if err != nil {
				t.Fatal(err)
			}
			op := llmtest.Question("x")
			if f.Stream {
				op.Stream = func(llm.Event) error { return nil }
			}
			res, err := p.Do(t.Context(), op)
			if err == nil || !strings.Contains(err.Error(), f.Message) {
				t.Errorf("got %+v, %v; want an error that says %q", res, err, f.Message)
			}
		})
	}
}
