package anthropic

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gnothi/llm"
)

// fields is a JSON object whose values stay as they came.
type fields = map[string]json.RawMessage

// encodeRequest writes the body of POST /messages.
func encodeRequest(model string, r llm.Request, defaultMax int, stream bool) ([]byte, error) {
	body := fields{}
	if err := extras(body, r.Extra); err != nil {
		return nil, err
	}
	var system []block
	var turns []turn
	for i, m := range r.Messages {
		role, blocks, err := translate(m)
		if err != nil {
			return nil, bad(fmt.Sprintf("messages[%d]", i), err)
		}
		switch n := len(turns); {
		case role == "system":
			system = append(system, blocks...)
		case n > 0 && turns[n-1].Role == role && role == "user":
			turns[n-1].Content = append(turns[n-1].Content, blocks...) // results of parallel tool calls belong together
		default:
			turns = append(turns, turn{role, blocks})
		}
	}
	if len(turns) == 0 {
		return nil, bad("messages", errors.New("there is no message of user or assistant"))
	}
	if t := r.Temperature; t != nil && *t > 1 {
		highest := 1.0 // of the API
		r.Temperature = &highest
	}
	stops, _ := splitStops(r.Stop)
	body["model"] = marshal(model)
	body["max_tokens"] = marshal(cmp.Or(r.MaxTokens, defaultMax))
	body["messages"] = marshal(turns)
	for name, v := range map[string]struct {
		value any
		given bool
	}{
		"system":         {system, len(system) > 0},
		"temperature":    {r.Temperature, r.Temperature != nil},
		"top_p":          {r.TopP, r.TopP != nil},
		"min_p":          {r.MinP, r.MinP != nil}, // the API says no, which is better than silence
		"top_k":          {r.TopK, r.TopK != 0},
		"stop_sequences": {stops, len(stops) > 0},
		"stream":         {true, stream},
	} {
		if v.given {
			raw, err := encode(v.value)
			if err != nil {
				return nil, bad(name, err)
			}
			body[name] = raw
		}
	}
	return marshal(body), nil
}

func bad(param string, err error) error {
	return &llm.APIError{Provider: "anthropic", Status: 400, Type: "invalid_request_error", Param: param, Message: param + ": " + err.Error()}
}

type turn struct {
	Role    string  `json:"role"`
	Content []block `json:"content"`
}

// block is a content block.
type block = json.RawMessage

func textBlock(s string) block { return marshal(map[string]string{"type": "text", "text": s}) }

// unsupported are OpenAI's parameters that have no counterpart and say nothing
// about what the answer is to contain; they are left out.
var unsupported = []string{
	"seed", "stream_options", "logprobs", "top_logprobs", "frequency_penalty", "presence_penalty", "logit_bias", "store", "n",
	"max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "stop", "parallel_tool_calls", "prompt_cache_key", "safety_identifier", "modalities",
}

// extras translates OpenAI's parameters; any other goes on as it is.
func extras(body, extra fields) error {
	for name, raw := range extra {
		switch {
		case slices.Contains(unsupported, name), string(raw) == "null":
		case name == "tools":
			tools, err := encodeTools(raw)
			if err != nil {
				return bad("tools", err)
			}
			if tools != nil {
				body["tools"] = tools
			}
		case name == "tool_choice":
			body["tool_choice"] = encodeToolChoice(raw, extra["parallel_tool_calls"])
		case name == "user":
			body["metadata"] = marshal(fields{"user_id": raw})
		case name == "response_format":
			var f struct {
				Type   string `json:"type"`
				Schema struct {
					Schema json.RawMessage `json:"schema"`
				} `json:"json_schema"`
			}
			if err := json.Unmarshal(raw, &f); err != nil {
				return bad("response_format", err)
			}
			if f.Type == "json_schema" && f.Schema.Schema != nil {
				body["output_config"] = marshal(map[string]any{"format": map[string]any{"type": "json_schema", "schema": f.Schema.Schema}})
			}
		case name == "metadata":
			if _, ok := extra["user"]; !ok && hasField(raw, "user_id") { // OpenAI's is free, Anthropic's is not
				body["metadata"] = raw
			}
		default:
			body[name] = raw
		}
	}
	if string(extra["parallel_tool_calls"]) == "false" && body["tools"] != nil && body["tool_choice"] == nil {
		body["tool_choice"] = encodeToolChoice(json.RawMessage(`"auto"`), extra["parallel_tool_calls"])
	}
	return nil
}

func hasField(raw json.RawMessage, name string) bool {
	var f fields
	return json.Unmarshal(raw, &f) == nil && f[name] != nil && string(f[name]) != "null"
}

func encodeTools(raw json.RawMessage) (json.RawMessage, error) {
	var tools []json.RawMessage
	if err := json.Unmarshal(raw, &tools); err != nil || len(tools) == 0 {
		return nil, err
	}
	for i, tool := range tools {
		var w struct {
			Function fields `json:"function"`
		}
		if err := json.Unmarshal(tool, &w); err != nil {
			return nil, err
		}
		if w.Function == nil {
			continue // one of Anthropic's own
		}
		out := maps.Clone(w.Function)
		delete(out, "parameters")
		out["input_schema"] = w.Function["parameters"]
		if out["input_schema"] == nil {
			out["input_schema"] = json.RawMessage(`{"type":"object"}`)
		}
		tools[i] = marshal(out)
	}
	return marshal(tools), nil
}

func encodeToolChoice(raw, parallel json.RawMessage) json.RawMessage {
	out := fields{}
	var word string
	var named struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	switch {
	case json.Unmarshal(raw, &word) == nil:
		if word == "required" {
			word = "any"
		}
		out["type"] = marshal(word)
	case json.Unmarshal(raw, &named) == nil && named.Function.Name != "":
		out["type"], out["name"] = json.RawMessage(`"tool"`), marshal(named.Function.Name)
	default:
		return raw
	}
	if string(parallel) == "false" && string(out["type"]) != `"none"` {
		out["disable_parallel_tool_use"] = json.RawMessage("true")
	}
	return marshal(out)
}

// translate gives a message's role and content blocks.
func translate(m llm.Message) (role string, blocks []block, err error) {
	role = m.Role
	if role == "developer" {
		role = "system"
	}
	if m.Raw == nil {
		if m.Text == "" {
			return role, []block{}, nil // the API refuses empty text
		}
		return role, []block{textBlock(m.Text)}, nil
	}
	var w struct {
		Content       json.RawMessage   `json:"content"`
		ContentBlocks []json.RawMessage `json:"content_blocks"`
		ToolCallID    string            `json:"tool_call_id"`
		ToolCalls     []struct {
			ID       string `json:"id"`
			Function struct {
				Name      string `json:"name"`
				Arguments string `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	}
	if err := json.Unmarshal(m.Raw, &w); err != nil {
		return "", nil, err
	}
	if w.ContentBlocks != nil { // an answer of this package's
		return role, w.ContentBlocks, nil
	}
	if blocks, err = content(w.Content); err != nil {
		return "", nil, err
	}
	if role == "tool" || role == "function" {
		return "user", []block{marshal(map[string]any{"type": "tool_result", "tool_use_id": w.ToolCallID, "content": blocks})}, nil
	}
	for _, call := range w.ToolCalls {
		input := json.RawMessage(cmp.Or(strings.TrimSpace(call.Function.Arguments), "{}"))
		if !json.Valid(input) {
			return "", nil, fmt.Errorf("the arguments of the call of %q are not JSON", call.Function.Name)
		}
		blocks = append(blocks, marshal(map[string]any{"type": "tool_use", "id": call.ID, "name": call.Function.Name, "input": input}))
	}
	return role, blocks, nil
}

// content translates a string or a list of parts. Parts in Anthropic's own
// layout pass.
func content(raw json.RawMessage) ([]block, error) {
	blocks := []block{}
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) == nil { // null too
		if s != "" {
			blocks = append(blocks, textBlock(s))
		}
		return blocks, nil
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, fmt.Errorf("content has to be a string or a list of parts")
	}
	for i, part := range parts {
		var w struct {
			Type     string `json:"type"`
			ImageURL struct {
				URL string `json:"url"`
			} `json:"image_url"`
		}
		if err := json.Unmarshal(part, &w); err != nil {
			return nil, fmt.Errorf("content[%d]: %w", i, err)
		}
		switch w.Type {
		case "image_url":
			blocks = append(blocks, image(w.ImageURL.URL))
		case "input_audio", "file":
			return nil, fmt.Errorf("content[%d]: Anthropic's API takes no part of type %q", i, w.Type)
		default:
			blocks = append(blocks, part)
		}
	}
	return blocks, nil
}

// image makes a block of an URL, which may carry the image itself.
func image(url string) block {
	source := map[string]string{"type": "url", "url": url}
	if data, ok := strings.CutPrefix(url, "data:"); ok {
		if media, b64, ok := strings.Cut(data, ";base64,"); ok {
			source = map[string]string{"type": "base64", "media_type": media, "data": b64}
		}
	}
	return marshal(map[string]any{"type": "image", "source": source})
}

// decodeMessage reads an answer in one piece.
func decodeMessage(body []byte) (*llm.Result, error) {
	var f fields
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, fmt.Errorf("the answer is not a JSON object: %w", err)
	}
	var w struct {
		Model   string            `json:"model"`
		Content []json.RawMessage `json:"content"`
		Stop    string            `json:"stop_reason"`
		Usage   struct {
			Input   int64 `json:"input_tokens"`
			Output  int64 `json:"output_tokens"`
			Created int64 `json:"cache_creation_input_tokens"`
			Read    int64 `json:"cache_read_input_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, fmt.Errorf("the answer is not a message: %w", err)
	}
	if w.Content == nil || len(w.Content) == 0 && w.Stop == "" {
		return nil, fmt.Errorf("the answer has no content blocks")
	}
	u := w.Usage
	if min(u.Input, u.Output, u.Created, u.Read) < 0 {
		return nil, fmt.Errorf("usage is negative: %s", f["usage"])
	}
	choice, err := decodeContent(w.Content)
	if err != nil {
		return nil, err
	}
	choice.Finish = finish(w.Stop)
	choice.Raw = encodeChoice(choice, w.Content)
	for _, known := range []string{"type", "role", "content", "model"} {
		delete(f, known)
	}
	return &llm.Result{
		Choices: []llm.Choice{choice},
		Usage:   llm.Usage{PromptTokens: u.Input + u.Created + u.Read, PromptCached: u.Read, CompletionTokens: u.Output},
		Model:   w.Model,
		Raw:     marshal(f),
	}, nil
}

// wireBlock is a content block of an answer.
type wireBlock struct {
	Type     string          `json:"type"`
	Text     string          `json:"text"`
	Thinking string          `json:"thinking"`
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Input    json.RawMessage `json:"input"`
}

func decodeContent(blocks []json.RawMessage) (llm.Choice, error) {
	var text, thinking strings.Builder
	for i, raw := range blocks {
		var b wireBlock
		if err := json.Unmarshal(raw, &b); err != nil {
			return llm.Choice{}, fmt.Errorf("content block %d: %w", i, err)
		}
		text.WriteString(b.Text)
		thinking.WriteString(b.Thinking)
	}
	return llm.Choice{Text: text.String(), Reasoning: thinking.String()}, nil
}

func finish(stop string) string {
	switch stop {
	case "end_turn", "stop_sequence", "pause_turn":
		return "stop"
	case "max_tokens", "model_context_window_exceeded":
		return "length"
	case "tool_use":
		return "tool_calls"
	case "refusal":
		return "content_filter"
	}
	return stop
}

// encodeChoice writes a choice as chat completions do.
func encodeChoice(c llm.Choice, blocks []json.RawMessage) json.RawMessage {
	message := map[string]any{"role": "assistant", "content": c.Text}
	var calls []any
	plain := true
	for _, raw := range blocks {
		var b wireBlock
		var f fields
		_ = json.Unmarshal(raw, &b) // decodeContent has read it
		_ = json.Unmarshal(raw, &f)
		plain = plain && b.Type == "text" && len(f) == 2
		if b.Type == "tool_use" {
			calls = append(calls, toolCall(b, string(b.Input)))
		}
	}
	if calls != nil {
		message["tool_calls"] = calls
		if c.Text == "" {
			message["content"] = nil
		}
	}
	if c.Reasoning != "" {
		message["reasoning_content"] = c.Reasoning
	}
	if !plain {
		message["content_blocks"] = blocks
	}
	return marshal(map[string]any{"index": 0, "message": message, "finish_reason": c.Finish, "logprobs": nil})
}

func toolCall(b wireBlock, arguments string) map[string]any {
	return map[string]any{"id": b.ID, "type": "function", "function": map[string]any{"name": b.Name, "arguments": arguments}}
}

func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// marshal is for values that always encode: those made here and what was read
// from JSON.
func marshal(v any) json.RawMessage {
	raw, err := encode(v)
	if err != nil {
		panic("anthropic: a value of our own does not encode: " + err.Error())
	}
	return raw
}
