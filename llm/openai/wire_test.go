package openai_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"gnothi/llm"
	"gnothi/llm/openai"
)

// same compares JSON by meaning, with numbers as they are written.
func same(t *testing.T, got, want []byte) {
	t.Helper()
	if d := cmp.Diff(tree(t, want), tree(t, got)); d != "" {
		t.Errorf("%s\n%s", d, got)
	}
}

func tree(t *testing.T, b []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// requests come out of the wire as they went in.
var requests = []string{
	`{"model":"m","messages":[{"role":"user","content":"<hi> & \u2028 é"}]}`,
	`{"model":"m","messages":[{"role":"user","content":"hi","name":"bob"}],"n":3,"stream":true,"stream_options":{"include_usage":true,"x":1}}`,
	`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what is "},{"type":"image_url","image_url":{"url":"data:,","detail":"low"}},{"type":"input_audio","input_audio":{"data":"","format":"wav"}},{"type":"text","text":"this?"}]}]}`,
	`{"model":"m","messages":[{"role":"developer","content":"d"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"n\":9007199254740993}"}}]},{"role":"tool","tool_call_id":"c","content":"42"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"x":9007199254740993}}}],"tool_choice":"auto","parallel_tool_calls":false}`,
	`{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":5,"temperature":0,"top_p":0.1,"min_p":0,"top_k":7,"stop":["a","b"],"logprobs":true,"top_logprobs":3,"seed":11}`,
	`{"model":"m","messages":[{"role":"user","content":"x"}],"max_completion_tokens":5}`,
	`{"model":"m","messages":[{"role":"user","content":"x"}],"max_completion_tokens":5,"max_tokens":6}`,
	`{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":null,"temperature":null,"stop":null,"logprobs":false,"top_logprobs":0,"seed":-9223372036854775808,"user":"u","metadata":{"k":null},"response_format":{"type":"json_schema","json_schema":{"name":"s"}},"logit_bias":{"5":-100},"x_unknown":[1e400,9007199254740993]}`,
	`{"model":"m","messages":[{"role":"user","content":"x"}],"gnothi":{"policy":"direct"},"max_completion_tokens":null}`,
}

func TestRequestsSurvive(t *testing.T) {
	for _, body := range requests {
		r, call, err := openai.DecodeRequest([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		out, err := openai.EncodeRequest(r, call)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		same(t, out, []byte(body))
	}
	// One stop string may be written as a list; both mean the same.
	r, call, err := openai.DecodeRequest([]byte(`{"model":"m","messages":[{"role":"user","content":"x"}],"stop":"a"}`))
	if err != nil || !reflect.DeepEqual(r.Stop, []string{"a"}) || call.Model != "m" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRequestIsUnderstood(t *testing.T) {
	r, _, err := openai.DecodeRequest([]byte(requests[2]))
	if err != nil || r.Messages[0].Text != "what is this?" || r.Messages[0].Raw == nil {
		t.Errorf("%+v, %v", r.Messages, err)
	}
	r, call, err := openai.DecodeRequest([]byte(requests[4]))
	if err != nil || call != (openai.Call{Model: "m", Seed: 11}) || r.MaxTokens != 5 || *r.Temperature != 0 || *r.TopP != 0.1 || *r.MinP != 0 || r.TopK != 7 || !r.LogProbs || r.TopLogProbs != 3 || r.Messages[0].Raw != nil {
		t.Errorf("%+v %+v %v", r, call, err)
	}
	r, call, err = openai.DecodeRequest([]byte(requests[1]))
	if err != nil || !call.Stream || call.N != 3 {
		t.Errorf("%+v %+v %v", r, call, err)
	}
	// What is set later beats what came.
	r, call, err = openai.DecodeRequest([]byte(requests[5]))
	if err != nil || r.MaxTokens != 5 {
		t.Fatalf("%+v %v", r, err)
	}
	r.MaxTokens, r.LogProbs, call.Seed = 9, true, 4
	out, _ := openai.EncodeRequest(r, call)
	same(t, out, []byte(`{"model":"m","messages":[{"role":"user","content":"x"}],"max_completion_tokens":9,"logprobs":true,"seed":4}`))

	nan := math.NaN()
	var wrong *openai.RequestError
	if _, err := openai.EncodeRequest(llm.Request{Temperature: &nan}, call); !errors.As(err, &wrong) || wrong.Param != "temperature" {
		t.Errorf("got %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	ok := `"messages":[{"role":"user","content":"x"}]`
	for body, param := range map[string]string{
		``: "", `[]`: "", `null`: "", `"x"`: "", `{`: "", "{\"\xff\":1}": "",
		strings.Repeat("[", 100_000):                  "",
		`{"messages":` + strings.Repeat("[", 100_000): "",
		`{}`:                             "messages",
		`{"messages":[]}`:                "messages",
		`{"messages":null}`:              "messages",
		`{"messages":"hi"}`:              "messages",
		`{"messages":[1]}`:               "messages[0]",
		`{"messages":[null]}`:            "messages[0]",
		`{"messages":[{"content":"x"}]}`: "messages[0].role",
		`{"messages":[{"role":7}]}`:      "messages[0].role",
		`{"messages":[{"role":"u","content":"x"},{"role":"u","content":7}]}`: "messages[1].content",
		`{"model":7,` + ok + `}`:                   "model",
		`{"n":129,` + ok + `}`:                     "n",
		`{"n":-1,` + ok + `}`:                      "n",
		`{"n":"1",` + ok + `}`:                     "n",
		`{"temperature":"hot",` + ok + `}`:         "temperature",
		`{"max_tokens":-1,` + ok + `}`:             "max_tokens",
		`{"max_tokens":1.5,` + ok + `}`:            "max_tokens",
		`{"max_completion_tokens":"5",` + ok + `}`: "max_completion_tokens",
		`{"stop":[1],` + ok + `}`:                  "stop",
		`{"stream":"yes",` + ok + `}`:              "stream",
		`{"logprobs":5,` + ok + `}`:                "logprobs",
		`{"top_logprobs":true,` + ok + `}`:         "top_logprobs",
	} {
		_, _, err := openai.DecodeRequest([]byte(body))
		var wrong *openai.RequestError
		if !errors.As(err, &wrong) || wrong.Param != param || wrong.Message == "" || strings.Contains(wrong.Message, "Go ") {
			t.Errorf("%.80s: got %v, want an error about %q in plain words", body, err, param)
		}
	}
}

func TestCompletionRequests(t *testing.T) {
	for _, body := range []string{
		`{"model":"m","prompt":"once","max_tokens":3,"logprobs":2,"echo":true,"n":2,"seed":5,"suffix":null}`,
		`{"model":"m","prompt":"once","logprobs":0}`,
		`{"model":"m","prompt":"once","logprobs":null}`,
		`{"model":"m","prompt":[1,2,3]}`,
		`{"model":"m","prompt":["a","b"]}`,
		`{"model":"m","prompt":""}`,
	} {
		r, call, err := openai.DecodeCompletion([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if r.Prompt != "" && r.LogProbs != (strings.Contains(body, "logprobs") && !strings.Contains(body, "null")) && !strings.Contains(body, "suffix") {
			t.Errorf("%s: %+v", body, r)
		}
		if strings.Contains(body, `"logprobs":0`) {
			continue // said as 0 again below
		}
		out, err := openai.EncodeRequest(r, call)
		if err != nil {
			t.Fatal(err)
		}
		same(t, out, []byte(body))
	}
	if _, _, err := openai.DecodeCompletion([]byte(`{}`)); err == nil {
		t.Error("no prompt")
	}
}

const response = `{"id":"c1","object":"chat.completion","created":1700000000,"model":"m-1","service_tier":"default","system_fingerprint":null,"x_vendor":9007199254740993,
"choices":[
 {"index":1,"message":{"role":"assistant","content":"b","refusal":null,"reasoning_content":"think"},"finish_reason":"length","logprobs":null,"x_choice":[1]},
 {"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls","logprobs":{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]}]},{"token":"\\xc3","logprob":0.0005,"bytes":[195],"top_logprobs":[]}],"refusal":null}}],
"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":0}}}`

func TestResponsesSurvive(t *testing.T) {
	res, err := openai.DecodeResponse([]byte(response))
	if err != nil {
		t.Fatal(err)
	}
	a, b := res.Choices[0], res.Choices[1]
	if a.Index != 0 || a.Text != "" || a.Finish != "tool_calls" || b.Text != "b" || b.Reasoning != "think" || res.Model != "m-1" {
		t.Errorf("%+v", res)
	}
	if want := (llm.Usage{PromptTokens: 5, PromptCached: 3, CompletionTokens: 2}); res.Usage != want {
		t.Errorf("usage %+v", res.Usage)
	}
	want := []llm.Token{{Text: "a", LogProb: -0.5, Top: []llm.TopToken{{Text: "a", LogProb: -0.5}}}, {Text: "\xc3", LogProb: 0}}
	if d := cmp.Diff(want, a.Tokens); d != "" {
		t.Error(d)
	}
	out := openai.EncodeResponse(res, openai.Envelope{ID: "other", Model: "other", Extra: map[string]json.RawMessage{"gnothi": json.RawMessage(`{"p":1}`)}})
	sorted := tree(t, []byte(response)).(map[string]any)
	choices := sorted["choices"].([]any)
	choices[0], choices[1] = choices[1], choices[0] // by index
	sorted["gnothi"] = map[string]any{"p": json.Number("1")}
	if d := cmp.Diff(any(sorted), tree(t, out)); d != "" {
		t.Error(d)
	}
}

func TestChangedResponse(t *testing.T) {
	res, err := openai.DecodeResponse([]byte(response))
	if err != nil {
		t.Fatal(err)
	}
	res.Choices = res.Choices[1:]
	res.Choices[0].Text, res.Choices[0].Finish = "withheld", "stop"
	res.Choices[0].Tokens = []llm.Token{{Text: "\xc3", LogProb: math.Inf(-1)}}
	res.Usage.CompletionTokens = 1
	out := openai.EncodeResponse(res, openai.Envelope{})
	var got struct {
		Choices []json.RawMessage
		Usage   json.RawMessage
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	same(t, got.Choices[0], []byte(`{"index":0,"message":{"role":"assistant","content":"withheld","refusal":null,"reasoning_content":"think"},"finish_reason":"stop","x_choice":[1],
		"logprobs":{"content":[{"token":"�","logprob":-9999,"bytes":[195],"top_logprobs":[]}],"refusal":null}}`))
	same(t, got.Usage, []byte(`{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}`))
	// Without log-probabilities they are gone.
	res.Choices[0].Tokens = nil
	if out := openai.EncodeResponse(res, openai.Envelope{}); strings.Contains(string(out), "top_logprobs") {
		t.Errorf("%s", out)
	}
}

func TestBadResponses(t *testing.T) {
	for body, want := range map[string]string{
		`[]`:                           "not a JSON object",
		`{}`:                           "no list of choices",
		`{"choices":7}`:                "no list of choices",
		`{"choices":[]}`:               "no choices",
		`{"choices":[{}]}`:             "no message",
		`{"choices":[{"message":{}}]}`: "content is null",
		`{"choices":[{"index":-1,"message":{"content":"x"}}]}`:                                                                                     "out of range",
		`{"choices":[{"message":{"content":7}}]}`:                                                                                                  "content has to be",
		`{"choices":[{"message":{"content":"x"},"logprobs":{"content":[{"token":"x"}]}}]}`:                                                         "no log-probability",
		`{"choices":[{"message":{"content":"x"},"logprobs":{"content":[{"token":"x","logprob":0.01}]}}]}`:                                          "above 0",
		`{"choices":[{"message":{"content":"x"},"logprobs":{"content":[{"token":"x","logprob":-1,"top_logprobs":[{"token":"y","logprob":2}]}]}}]}`: "above 0",
		`{"choices":[{"text":"x","logprobs":{"tokens":["x"],"token_logprobs":[]}}]}`:                                                               "1 tokens with 0",
		`{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":-1}}`:                                                                   "negative",
		`{"choices":[{"message":{"content":"x"}}],"usage":"much"}`:                                                                                 "usage",
	} {
		if _, err := openai.DecodeResponse([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", body, err, want)
		}
	}
}

func TestLogProbLayouts(t *testing.T) {
	body := `{"choices":[{"index":0,"text":"ab","finish_reason":"stop","logprobs":{"tokens":["a","b"],"token_logprobs":[-1,-2],"top_logprobs":[{"a":-1,"c":-3},null],"text_offset":[0,1]}}]}`
	res, err := openai.DecodeResponse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := []llm.Token{{Text: "a", LogProb: -1, Top: []llm.TopToken{{Text: "a", LogProb: -1}, {Text: "c", LogProb: -3}}}, {Text: "b", LogProb: -2}}
	if d := cmp.Diff(want, res.Choices[0].Tokens); d != "" {
		t.Error(d)
	}
	res.Choices[0].Raw = nil
	out := openai.EncodeResponse(res, openai.Envelope{Completion: true})
	again, err := openai.DecodeResponse(out)
	if err != nil || cmp.Diff(want, again.Choices[0].Tokens) != "" || again.Choices[0].Text != "ab" {
		t.Errorf("%s: %v", out, err)
	}
}

var chunks = []string{
	`{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","x_top":9007199254740993,"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}`,
	`{"id":"c1","choices":[{"index":0,"delta":{"reasoning_content":"th"}}]}`,
	`{"id":"c1","choices":[{"index":0,"delta":{"reasoning_content":"ink","x_list":[1]}}]}`,
	`{"id":"c1","choices":[{"index":1,"delta":{"content":"B"},"finish_reason":null},{"index":0,"delta":{"content":"Par"},"logprobs":{"content":[{"token":"Par","logprob":-0.5,"bytes":null,"top_logprobs":[]}]}}]}`,
	`{"id":"c1","choices":[{"index":0,"delta":{"content":"is"},"logprobs":{"content":[{"token":"is","logprob":-0.25,"bytes":null,"top_logprobs":[]}]},"x_choice":1}]}`,
	`{"id":"c1","choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"id":"t0","type":"function","function":{"name":"f","arguments":""}}]}}]}`,
	`{"id":"c1","choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}}]}`,
	`{"id":"c1","choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}},{"index":1,"id":"t1","type":"function","function":{"name":"g","arguments":"{}"}}]}}]}`,
	`{"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
	`{"id":"c1","choices":[{"index":1,"delta":{},"finish_reason":"tool_calls"}]}`,
	`{"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"x":1}}`,
}

func TestAssembler(t *testing.T) {
	var a openai.Assembler
	texts := map[int]string{}
	for i, c := range chunks {
		if a.Done() && i < len(chunks)-1 {
			t.Errorf("done before chunk %d", i)
		}
		events, err := a.Add([]byte(c))
		if err != nil {
			t.Fatal(err)
		}
		if string(events[0].Raw) != c {
			t.Errorf("chunk %d is not its event's Raw", i)
		}
		for _, e := range events {
			texts[e.Index] += e.Text
		}
	}
	res, err := a.Result()
	if err != nil || !a.Done() || texts[0] != "Paris" || texts[1] != "B" {
		t.Fatalf("%v, %v", texts, err)
	}
	out := openai.EncodeResponse(res, openai.Envelope{})
	same(t, out, []byte(`{"id":"c1","object":"chat.completion","created":1,"model":"m","x_top":9007199254740993,
		"choices":[
			{"index":0,"message":{"role":"assistant","content":"Paris","refusal":null,"reasoning_content":"think","x_list":[1]},"finish_reason":"stop","x_choice":1,
			 "logprobs":{"content":[{"token":"Par","logprob":-0.5,"bytes":null,"top_logprobs":[]},{"token":"is","logprob":-0.25,"bytes":null,"top_logprobs":[]}]}},
			{"index":1,"message":{"role":"assistant","content":"B","tool_calls":[{"id":"t0","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"t1","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls","logprobs":null}],
		"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"x":1}}`))
	if res.Choices[0].Reasoning != "think" || len(res.Choices[0].Tokens) != 2 || res.Usage.CompletionTokens != 4 {
		t.Errorf("%+v", res)
	}
}

// TestOfficialClientReadsUs has OpenAI's own library read what we write, plain
// and streamed.
func TestOfficialClientReadsUs(t *testing.T) {
	res := &llm.Result{Choices: []llm.Choice{
		{Index: 4, Text: "Paris", Finish: "stop", Tokens: []llm.Token{{Text: "Par", LogProb: -0.5, Top: []llm.TopToken{{Text: "Lyon", LogProb: -2}}}, {Text: "is", LogProb: -0.25}}},
		{Index: 7, Text: "Lyon", Finish: "length", Raw: json.RawMessage(`{"type":"message","content":[]}`)}, // of another protocol
	}, Usage: llm.Usage{PromptTokens: 3, CompletionTokens: 2}}
	env := openai.Envelope{ID: "g1", Created: 1700000000, Model: "m", Extra: map[string]json.RawMessage{"gnothi": json.RawMessage(`{"probability":0.5}`)}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "text/event-stream" {
			w.Header().Set("Content-Type", "application/json")
			w.Write(openai.EncodeResponse(res, env))
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for k, c := range res.Choices {
			for _, e := range c.Events() {
				fmt.Fprintf(w, "data: %s\n\n", openai.EncodeChunk(e, k, env))
			}
		}
		fmt.Fprintf(w, "data: %s\n\ndata: [DONE]\n\n", openai.EncodeChunk(llm.Event{Raw: []byte(strings.Replace(chunks[10], "c1", "g1", 1))}, 0, env))
	}))
	defer server.Close()
	client := sdk.NewClient(option.WithBaseURL(server.URL), option.WithAPIKey("k"), option.WithHeader("Accept", "application/json"))
	params := sdk.ChatCompletionNewParams{Model: "m", Messages: []sdk.ChatCompletionMessageParamUnion{sdk.UserMessage("?")}}
	got, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	check := func(got *sdk.ChatCompletion, tokens int64) {
		t.Helper()
		if got.ID != "g1" || len(got.Choices) != 2 || got.Choices[0].Message.Content != "Paris" || got.Choices[1].Index != 1 || got.Choices[1].FinishReason != "length" || got.Usage.TotalTokens != tokens {
			t.Errorf("%+v", got)
		}
		lp := got.Choices[0].Logprobs.Content
		if len(lp) != 2 || lp[0].Logprob != -0.5 || lp[0].TopLogprobs[0].Token != "Lyon" || string(rune(lp[1].Bytes[0])) != "i" {
			t.Errorf("%+v", lp)
		}
	}
	check(got, 5)
	if got.JSON.ExtraFields["gnothi"].Raw() != `{"probability":0.5}` {
		t.Errorf("extra fields %v", got.JSON.ExtraFields)
	}
	stream := client.Chat.Completions.NewStreaming(t.Context(), params, option.WithHeader("Accept", "text/event-stream"))
	defer stream.Close()
	all := sdk.ChatCompletionAccumulator{}
	for stream.Next() {
		if c := stream.Current(); c.Object != "chat.completion.chunk" {
			t.Errorf("object %q", c.Object)
		}
		all.AddChunk(stream.Current())
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	check(&all.ChatCompletion, 7)
}

func TestChunkKeepsWhatItDoesNotKnow(t *testing.T) {
	out := openai.EncodeChunk(llm.Event{Raw: []byte(chunks[4]), Text: "is"}, 3, openai.Envelope{Model: "m", Created: 2})
	same(t, out, []byte(`{"id":"c1","object":"chat.completion.chunk","created":2,"model":"m","choices":[{"index":3,"delta":{"content":"is"},"logprobs":{"content":[{"token":"is","logprob":-0.25,"bytes":null,"top_logprobs":[]}]},"x_choice":1}]}`))
}

func FuzzDecodeRequest(f *testing.F) {
	for _, body := range requests {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, decode := range []func([]byte) (llm.Request, openai.Call, error){openai.DecodeRequest, openai.DecodeCompletion} {
			r, call, err := decode(b)
			if err != nil {
				var wrong *openai.RequestError
				if !errors.As(err, &wrong) {
					t.Errorf("%T", err)
				}
				continue
			}
			out, err := openai.EncodeRequest(r, call)
			if err != nil {
				t.Fatal(err)
			}
			again, call2, err := decode(out)
			if err != nil || call2 != call || cmp.Diff(r, again) != "" {
				t.Errorf("%s\nbecomes %s: %v\n%s", b, out, err, cmp.Diff(r, again))
			}
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	f.Add([]byte(response))
	f.Add([]byte(`{"choices":[{"text":"ab","logprobs":{"tokens":["a","b"],"token_logprobs":[null,-2],"top_logprobs":[null,{"c":-3}]}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		res, err := openai.DecodeResponse(b)
		if err != nil {
			return
		}
		for _, c := range res.Choices {
			for _, tok := range c.Tokens {
				if !(tok.LogProb <= 0) {
					t.Errorf("log-probability %v", tok.LogProb)
				}
			}
		}
		if out := openai.EncodeResponse(res, openai.Envelope{}); !json.Valid(out) {
			t.Errorf("%s", out)
		}
	})
}

func FuzzAssembler(f *testing.F) {
	f.Add([]byte(strings.Join(chunks, "\n")))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a openai.Assembler
		for _, c := range strings.Split(string(b), "\n") {
			events, err := a.Add([]byte(c))
			if err != nil {
				return
			}
			for _, e := range events {
				if out := openai.EncodeChunk(e, 1, openai.Envelope{}); !json.Valid(out) {
					t.Errorf("%s", out)
				}
			}
		}
		if res, err := a.Result(); err == nil && !json.Valid(openai.EncodeResponse(res, openai.Envelope{})) {
			t.Errorf("%+v", res)
		}
	})
}

func BenchmarkWire(b *testing.B) {
	request := []byte(requests[4])
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, call, err := openai.DecodeRequest(request)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := openai.EncodeRequest(r, call); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("response", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			res, err := openai.DecodeResponse([]byte(response))
			if err != nil {
				b.Fatal(err)
			}
			openai.EncodeResponse(res, openai.Envelope{})
		}
	})
}
