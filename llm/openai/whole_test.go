package openai_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"gnothi/llm"
	"gnothi/llm/openai"
)

// A server that answers in one piece although a stream was asked for: its tool
// calls and unknown fields reach the stream's reader, and a stream made of the
// event says what the answer said.
func TestWholeAnswerToAStream(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"r1","object":"chat.completion","x_top":1,"choices":[{"index":0,"finish_reason":"tool_calls","x_choice":2,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`)
	}))
	defer server.Close()
	p, err := openai.New("m", openai.Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	var again openai.Assembler
	res, err := p.Do(t.Context(), llm.Op{Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: "x"}}}, Stream: func(e llm.Event) error {
		_, err := again.Add(openai.EncodeChunk(e, 0, openai.Envelope{}))
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	joined, err := again.Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"message.tool_calls", "x_choice", "finish_reason"} {
		want, got := gjson.GetBytes(res.Choices[0].Raw, path), gjson.GetBytes(joined.Choices[0].Raw, path)
		if !want.Exists() || path != "message.tool_calls" && got.Raw != want.Raw {
			t.Errorf("%s: the stream's reader got %s, want %s", path, got.Raw, want.Raw)
		}
	}
	if got := gjson.GetBytes(joined.Choices[0].Raw, "message.tool_calls.#.function.name").String(); got != `["f","g"]` {
		t.Errorf("tool calls %s", got)
	}
	if got := gjson.GetBytes(joined.Raw, "x_top").Int(); got != 1 {
		t.Errorf("the unknown field of the answer is gone: %s", joined.Raw)
	}
}

func TestLimitsAreTimeouts(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/idle/chat/completions" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"choices"`)
			w.(http.Flusher).Flush()
		}
		<-release
	}))
	defer server.Close()
	defer close(release)
	for path, o := range map[string]openai.Options{"/first": {FirstByte: 50 * time.Millisecond}, "/idle": {Idle: 50 * time.Millisecond}} {
		o.BaseURL = server.URL + path
		p, err := openai.New("m", o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Do(context.Background(), llm.Op{Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: "x"}}}})
		var timed interface{ Timeout() bool }
		var api *llm.APIError
		if !errors.As(err, &timed) || !timed.Timeout() || !errors.As(err, &api) || !api.Temporary {
			t.Errorf("%s: %v (%T), want a temporary APIError whose cause says Timeout", path, err, err)
		}
	}
}
