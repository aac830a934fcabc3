package llmtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// Assistant is an OpenAI-compatible server for sessions of clients' libraries: it
// answers by what it is sent, so that whoever asks sees what arrived. Asked
//
//   - with tools, it calls the first one with {"city": "Oslo"}, spelled another way
//     each time; given a tool's result it says "The tool says: RESULT."
//   - with an image, it says "I see TYPE of N characters."
//   - for a JSON schema, it gives {"answer": "Paris"}
//   - "fail: STATUS", it fails so, quoting the key that it was sent
//   - anything else, it says "You said: TEXT."
//
// in one piece or streamed word by word, n times, as chat completions and as
// responses.
func Assistant() http.Handler {
	var calls atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var req assistantRequest
		if !req.read(w, r) {
			return
		}
		if req.Stream {
			req.streamChat(w, &calls)
			return
		}
		choices := make([]any, max(1, req.N))
		for i := range choices {
			content, tool := req.answer(&calls)
			message := map[string]any{"role": "assistant", "content": content, "refusal": nil}
			finish := "stop"
			if tool != nil {
				message["content"], message["tool_calls"], finish = nil, []any{tool}, "tool_calls"
			}
			choices[i] = map[string]any{"index": i, "message": message, "logprobs": nil, "finish_reason": finish}
		}
		answerJSON(w, map[string]any{"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": req.Model, "choices": choices, "usage": assistantUsage, "system_fingerprint": "fp_1"})
	})
	mux.HandleFunc("POST /v1/responses", func(w http.ResponseWriter, r *http.Request) {
		var req assistantRequest
		if req.read(w, r) {
			req.respond(w)
		}
	})
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]any{"object": "list", "data": []any{map[string]any{"id": "assistant", "object": "model", "created": 1, "owned_by": "test"}}})
	})
	return mux
}

var assistantUsage = map[string]any{"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": map[string]any{"cached_tokens": 3}}

type assistantRequest struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string `json:"role"`
		Content any    `json:"content"`
	} `json:"messages"`
	Input any `json:"input"`
	Tools []struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	} `json:"tools"`
	Format *struct {
		Type   string          `json:"type"`
		Schema json.RawMessage `json:"json_schema"`
	} `json:"response_format"`
	N             int  `json:"n"`
	Stream        bool `json:"stream"`
	StreamOptions struct {
		Usage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// read reads the request, or answers with what is wrong.
func (q *assistantRequest) read(w http.ResponseWriter, r *http.Request) bool {
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Request-Id", "req_1")
	w.Header().Set("X-Ratelimit-Remaining-Requests", "41")
	fail := func(status int, message string) bool {
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message, "type": "test_error", "param": "messages", "code": fmt.Sprint("failed_", status)}})
		return false
	}
	if err := json.Unmarshal(b, q); err != nil || len(q.Messages) == 0 && q.Input == nil {
		return fail(http.StatusBadRequest, fmt.Sprintf("bad request: %v", err))
	}
	var status int
	if _, err := fmt.Sscanf(q.said(), "fail: %d", &status); err == nil {
		return fail(status, "failed as asked, with the key "+r.Header.Get("Authorization"))
	}
	return true
}

// said is the text of the last message.
func (q *assistantRequest) said() string {
	if q.Messages == nil {
		return textOf(q.Input)
	}
	return textOf(q.Messages[len(q.Messages)-1].Content)
}

func textOf(content any) string {
	var b strings.Builder
	switch v := content.(type) {
	case string:
		return v
	case []any:
		for _, part := range v {
			if p, ok := part.(map[string]any); ok {
				b.WriteString(textOf(p["text"]))
				b.WriteString(textOf(p["content"]))
			}
		}
	}
	return b.String()
}

// answer gives a text or a tool call.
func (q *assistantRequest) answer(calls *atomic.Int64) (content string, tool map[string]any) {
	last := q.Messages[len(q.Messages)-1]
	parts, _ := last.Content.([]any)
	for _, p := range parts {
		part, _ := p.(map[string]any)
		if image, ok := part["image_url"].(map[string]any); ok {
			url, _ := image["url"].(string)
			kind, _, _ := strings.Cut(strings.TrimPrefix(url, "data:"), ";")
			return fmt.Sprintf("I see %s of %d characters.", kind, len(url)), nil
		}
	}
	switch {
	case last.Role == "tool":
		return "The tool says: " + textOf(last.Content) + ".", nil
	case len(q.Tools) > 0:
		n := calls.Add(1)
		arguments := []string{`{"city":"Oslo"}`, `{ "city": "Os\u006co" }`}[n%2]
		return "", map[string]any{"id": fmt.Sprint("call_", n), "type": "function", "function": map[string]any{"name": q.Tools[0].Function.Name, "arguments": arguments}}
	case q.Format != nil && q.Format.Type == "json_schema" && len(q.Format.Schema) > 0:
		return `{"answer": "Paris"}`, nil
	}
	return "You said: " + textOf(last.Content) + ".", nil
}

func (q *assistantRequest) streamChat(w http.ResponseWriter, calls *atomic.Int64) {
	w.Header().Set("Content-Type", "text/event-stream")
	chunk := func(delta map[string]any, finish any) {
		send(w, "", map[string]any{"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": q.Model, "choices": []any{map[string]any{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}}})
	}
	content, tool := q.answer(calls)
	chunk(map[string]any{"role": "assistant", "content": ""}, nil)
	finish := "stop"
	if tool != nil {
		finish = "tool_calls"
		function := tool["function"].(map[string]any)
		arguments := function["arguments"].(string)
		function["arguments"], tool["index"] = "", 0
		chunk(map[string]any{"tool_calls": []any{tool}}, nil)
		for _, piece := range strings.SplitAfter(arguments, ":") {
			chunk(map[string]any{"tool_calls": []any{map[string]any{"index": 0, "function": map[string]any{"arguments": piece}}}}, nil)
		}
	}
	for _, piece := range strings.SplitAfter(content, " ") {
		if piece != "" {
			chunk(map[string]any{"content": piece}, nil)
		}
	}
	chunk(map[string]any{}, finish)
	if q.StreamOptions.Usage {
		send(w, "", map[string]any{"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": q.Model, "choices": []any{}, "usage": assistantUsage})
	}
	say(w, done)
}

// respond answers a request of the Responses API.
func (q *assistantRequest) respond(w http.ResponseWriter) {
	words := "You said: " + q.said() + "."
	part := func(text string) map[string]any {
		return map[string]any{"type": "output_text", "text": text, "annotations": []any{}, "logprobs": []any{}}
	}
	item := func(status string, content ...any) map[string]any {
		return map[string]any{"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": content}
	}
	response := func(status string, output ...any) map[string]any {
		return map[string]any{
			"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": q.Model, "output": output, "error": nil, "incomplete_details": nil, "instructions": nil, "metadata": map[string]any{},
			"parallel_tool_calls": true, "temperature": 1, "tool_choice": "auto", "tools": []any{}, "top_p": 1,
			"usage": map[string]any{"input_tokens": 9, "output_tokens": 4, "total_tokens": 13, "input_tokens_details": map[string]any{"cached_tokens": 3}, "output_tokens_details": map[string]any{"reasoning_tokens": 0}},
		}
	}
	if !q.Stream {
		answerJSON(w, response("completed", item("completed", part(words))))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	n := 0
	event := func(kind string, fields map[string]any) {
		fields["type"], fields["sequence_number"] = kind, n
		n++
		send(w, kind, fields)
	}
	event("response.created", map[string]any{"response": response("in_progress")})
	event("response.output_item.added", map[string]any{"output_index": 0, "item": item("in_progress")})
	event("response.content_part.added", map[string]any{"item_id": "msg_1", "output_index": 0, "content_index": 0, "part": part("")})
	for _, piece := range strings.SplitAfter(words, " ") {
		event("response.output_text.delta", map[string]any{"item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": piece, "logprobs": []any{}})
	}
	event("response.output_text.done", map[string]any{"item_id": "msg_1", "output_index": 0, "content_index": 0, "text": words, "logprobs": []any{}})
	event("response.content_part.done", map[string]any{"item_id": "msg_1", "output_index": 0, "content_index": 0, "part": part(words)})
	event("response.output_item.done", map[string]any{"output_index": 0, "item": item("completed", part(words))})
	event("response.completed", map[string]any{"response": response("completed", item("completed", part(words)))})
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

// send writes an event, under a name if it has one.
func send(w http.ResponseWriter, name string, v any) {
	if name != "" {
		say(w, "event: "+name+"\n")
	}
	b, _ := json.Marshal(v)
	say(w, event(string(b)))
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}
