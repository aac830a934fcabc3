package openai

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gnothi/llm"
	"gnothi/llm/internal/upstream"
)

// The Responses API is another wording of chat completions: a provider that
// speaks it ([Options.Responses]) translates the body on its way out and what
// comes back into the layout of chat completions, so that everything above reads
// one layout. Output items that have no place there travel in a message's
// output_items and go back to the API unchanged.

// fields is a JSON object whose values stay as they came.
type fields = map[string]json.RawMessage

// noResponses are fields of chat completions that the Responses API refuses and
// that say nothing about what the answer is to contain.
var noResponses = []string{"n", "seed", "stop", "logprobs", "stream_options", "frequency_penalty", "presence_penalty", "logit_bias", "modalities", "max_tokens", "max_completion_tokens", "min_p", "top_k"}

// leastOutput is the lowest ceiling on an answer that OpenAI's own server takes.
const leastOutput = 16

// responsesRequest makes the body of POST /responses of one of POST
// /chat/completions. Like chat completions it is not stored by OpenAI unless it
// says so.
func responsesRequest(chat []byte) ([]byte, error) {
	var in fields
	if err := json.Unmarshal(chat, &in); err != nil {
		return nil, err
	}
	out := fields{"store": json.RawMessage("false")}
	var format, verbosity json.RawMessage
	for name, raw := range in {
		var err error
		switch name {
		case "messages":
			out["input"], err = inputItems(raw)
		case "max_tokens", "max_completion_tokens":
			out["max_output_tokens"] = raw
		case "logprobs":
			if string(raw) == "true" {
				out["include"] = json.RawMessage(`["message.output_text.logprobs"]`)
			}
		case "response_format":
			format, err = textFormat(raw)
		case "verbosity":
			verbosity = raw
		case "reasoning_effort":
			out["reasoning"] = marshal(fields{"effort": raw})
		case "tools":
			out["tools"], err = flatten(raw)
		case "tool_choice":
			out["tool_choice"] = raw
			if f := memberOf(raw, "function"); f != nil {
				out["tool_choice"] = marshal(fields{"type": json.RawMessage(`"function"`), "name": orNull(memberOf(f, "name"))})
			}
		default:
			if !slices.Contains(noResponses, name) {
				out[name] = raw
			}
		}
		if err != nil {
			return nil, wrong(name, "%v", err)
		}
	}
	if format != nil || verbosity != nil {
		text := fields{}
		if format != nil {
			text["format"] = format
		}
		if verbosity != nil {
			text["verbosity"] = verbosity
		}
		out["text"] = marshal(text)
	}
	return marshal(out), nil
}

// memberOf gives a member of what is an object, else nil.
func memberOf(raw json.RawMessage, name string) json.RawMessage {
	var f fields
	_ = json.Unmarshal(raw, &f) // anything else has no members
	if v := f[name]; string(v) != "null" {
		return v
	}
	return nil
}

func textFormat(raw json.RawMessage) (json.RawMessage, error) {
	schema := memberOf(raw, "json_schema")
	if schema == nil {
		return raw, nil
	}
	var f fields
	if err := json.Unmarshal(schema, &f); err != nil {
		return nil, err
	}
	f["type"] = json.RawMessage(`"json_schema"`)
	return marshal(f), nil
}

// flatten lifts what chat completions keep in a tool's function.
func flatten(raw json.RawMessage) (json.RawMessage, error) {
	var tools []json.RawMessage
	if err := json.Unmarshal(raw, &tools); err != nil {
		return nil, err
	}
	for i, tool := range tools {
		function := memberOf(tool, "function")
		if function == nil {
			continue // one of the API's own
		}
		var f fields
		if err := json.Unmarshal(function, &f); err != nil {
			return nil, err
		}
		f["type"] = json.RawMessage(`"function"`)
		if f["strict"] == nil {
			f["strict"] = json.RawMessage("false") // which is what chat completions mean
		}
		tools[i] = marshal(f)
	}
	return marshal(tools), nil
}

// inputItems translates a conversation.
func inputItems(raw json.RawMessage) (json.RawMessage, error) {
	var messages []fields
	if err := json.Unmarshal(raw, &messages); err != nil {
		return nil, err
	}
	items := []json.RawMessage{}
	for i, m := range messages {
		var role string
		_ = json.Unmarshal(m["role"], &role) // empty if there is none, which the API judges
		switch {
		case memberOf(marshal(m), "output_items") != nil: // an answer of this package's
			var own []json.RawMessage
			if err := json.Unmarshal(m["output_items"], &own); err != nil {
				return nil, fmt.Errorf("%d: output_items: %w", i, err)
			}
			items = append(items, own...)
			continue
		case role == "tool" || role == "function":
			text, _, err := contentText(m["content"])
			if err != nil {
				return nil, fmt.Errorf("%d: content %w", i, err)
			}
			items = append(items, marshal(map[string]any{"type": "function_call_output", "call_id": orNull(m["tool_call_id"]), "output": text}))
			continue
		}
		content, err := inputContent(role, m["content"])
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		if r := m["refusal"]; r != nil && string(r) != "null" {
			content = append(content, marshal(fields{"type": json.RawMessage(`"refusal"`), "refusal": r}))
		}
		if len(content) > 0 {
			items = append(items, marshal(map[string]any{"type": "message", "role": role, "content": content}))
		}
		var calls []struct {
			ID       string `json:"id"`
			Function struct {
				Name      string `json:"name"`
				Arguments string `json:"arguments"`
			} `json:"function"`
		}
		if err := json.Unmarshal(orNull(m["tool_calls"]), &calls); err != nil {
			return nil, fmt.Errorf("%d: tool_calls: %w", i, err)
		}
		for _, c := range calls {
			items = append(items, marshal(map[string]any{"type": "function_call", "call_id": c.ID, "name": c.Function.Name, "arguments": c.Function.Arguments}))
		}
	}
	return marshal(items), nil
}

// inputContent translates a string or a list of parts; parts in the API's own
// layout pass.
func inputContent(role string, raw json.RawMessage) ([]json.RawMessage, error) {
	kind := "input_text"
	if role == "assistant" {
		kind = "output_text"
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var parts []json.RawMessage
	if raw[0] == '"' {
		return []json.RawMessage{marshal(fields{"type": marshal(kind), "text": raw})}, nil
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, fmt.Errorf("content has to be a string or a list of parts")
	}
	for i, part := range parts {
		var f fields
		if err := json.Unmarshal(part, &f); err != nil {
			return nil, fmt.Errorf("content[%d]: %w", i, err)
		}
		switch string(f["type"]) {
		case `"text"`:
			f["type"] = marshal(kind)
		case `"image_url"`:
			image := f["image_url"]
			f["type"], f["image_url"] = json.RawMessage(`"input_image"`), orNull(memberOf(image, "url"))
			if detail := memberOf(image, "detail"); detail != nil {
				f["detail"] = detail
			}
		case `"file"`:
			file := f["file"]
			f = fields{}
			_ = json.Unmarshal(file, &f) // an object, or the API says what is wrong
			f["type"] = json.RawMessage(`"input_file"`)
		}
		parts[i] = marshal(f)
	}
	return parts, nil
}

// responseStatus tells what has become of a response.
type responseStatus struct {
	Status     string          `json:"status"`
	Error      json.RawMessage `json:"error"`
	Incomplete struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
	Output []json.RawMessage `json:"output"`
	Usage  json.RawMessage   `json:"usage"`
}

// outputItem is an item of a response.
type outputItem struct {
	Type    string `json:"type"`
	Content []struct {
		Type     string            `json:"type"`
		Text     string            `json:"text"`
		Refusal  string            `json:"refusal"`
		LogProbs []json.RawMessage `json:"logprobs"`
	} `json:"content"`
	Summary []struct {
		Text string `json:"text"`
	} `json:"summary"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// message is an answer in the terms of chat completions.
type message struct {
	text, reasoning, refusal string
	logProbs                 []json.RawMessage
	calls                    []any
	plain                    bool // nothing but text
}

func (s responseStatus) message() (message, error) {
	m := message{plain: true}
	for i, raw := range s.Output {
		var item outputItem
		if err := json.Unmarshal(raw, &item); err != nil {
			return m, fmt.Errorf("output item %d: %w", i, err)
		}
		m.plain = m.plain && item.Type == "message"
		for _, c := range item.Content {
			switch {
			case item.Type == "reasoning":
				m.reasoning += c.Text
			case c.Type == "refusal":
				m.refusal += c.Refusal
			default:
				m.text += c.Text
				m.logProbs = append(m.logProbs, c.LogProbs...)
			}
		}
		if len(item.Content) == 0 {
			for _, s := range item.Summary {
				m.reasoning += s.Text
			}
		}
		if item.Type == "function_call" {
			m.calls = append(m.calls, callOf(item, item.Arguments))
		}
	}
	return m, nil
}

func callOf(item outputItem, arguments string) map[string]any {
	return map[string]any{"id": item.CallID, "type": "function", "function": map[string]any{"name": item.Name, "arguments": arguments}}
}

// finish words why an answer ended.
func (s responseStatus) finish(m message) string {
	switch {
	case s.Status == "incomplete" && s.Incomplete.Reason == "max_output_tokens":
		return "length"
	case s.Status == "incomplete":
		return cmp.Or(s.Incomplete.Reason, "length")
	case len(m.calls) > 0:
		return "tool_calls"
	}
	return "stop"
}

// chatUsage renames what a response says of its usage.
func chatUsage(raw json.RawMessage) json.RawMessage {
	var u fields
	if json.Unmarshal(orNull(raw), &u) != nil || u == nil {
		return nil
	}
	for from, to := range map[string]string{"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens", "input_tokens_details": "prompt_tokens_details", "output_tokens_details": "completion_tokens_details"} {
		if v, ok := u[from]; ok {
			u[to] = v
			delete(u, from)
		}
	}
	return marshal(u)
}

// frame is what stands around the choices, with the fields that chat completions
// do not know.
func frame(response fields, object string) fields {
	out := maps.Clone(response)
	for _, known := range []string{"output", "usage", "status", "error", "incomplete_details", "created_at", "object"} {
		delete(out, known)
	}
	out["object"] = marshal(object)
	if at := response["created_at"]; at != nil {
		whole, _, _ := strings.Cut(string(at), ".") // some write seconds with a fraction
		out["created"] = json.RawMessage(whole)
	}
	return out
}

// chatResponse makes the body of an answer to POST /chat/completions of one to
// POST /responses.
func chatResponse(body []byte) ([]byte, error) {
	var response fields
	if err := json.Unmarshal(body, &response); err != nil || response == nil {
		return nil, fmt.Errorf("the answer is not a JSON object")
	}
	var s responseStatus
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("the answer is not a response: %w", err)
	}
	if s.Output == nil {
		return nil, fmt.Errorf("the answer has no output")
	}
	if s.Status != "completed" && s.Status != "incomplete" && s.Status != "" {
		return nil, fmt.Errorf("the response is %.40q", s.Status)
	}
	m, err := s.message()
	if err != nil {
		return nil, err
	}
	said := map[string]any{"role": "assistant", "content": m.text}
	if m.text == "" && (m.calls != nil || m.refusal != "") {
		said["content"] = nil
	}
	if m.calls != nil {
		said["tool_calls"] = m.calls
	}
	if m.refusal != "" {
		said["refusal"] = m.refusal
	}
	if m.reasoning != "" {
		said["reasoning_content"] = m.reasoning
	}
	if !m.plain {
		said["output_items"] = s.Output
	}
	choice := map[string]any{"index": 0, "message": said, "finish_reason": s.finish(m)}
	if m.logProbs != nil {
		choice["logprobs"] = map[string]any{"content": m.logProbs}
	}
	out := frame(response, "chat.completion")
	if len(s.Output) > 0 {
		out["choices"] = marshal([]any{choice})
	}
	if u := chatUsage(s.Usage); u != nil {
		out["usage"] = u
	}
	return marshal(out), nil
}

// responseStream makes chunks of chat completions of the events of a streamed
// response.
type responseStream struct {
	frame fields
	text  strings.Builder
	tools map[int]int // by output index, the number of a call
	done  bool
}

// responseEvent is an event of the API.
type responseEvent struct {
	Type     string            `json:"type"`
	Response json.RawMessage   `json:"response"`
	Place    int               `json:"output_index"`
	Item     json.RawMessage   `json:"item"`
	Delta    json.RawMessage   `json:"delta"`
	LogProbs []json.RawMessage `json:"logprobs"`
}

// add takes an event and gives the chunk that says the same, or nil. failed is
// the body of an error that came as an event.
func (r *responseStream) add(data []byte) (chunk, failed []byte, err error) {
	var e responseEvent
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, nil, fmt.Errorf("an event of the stream is not what the API documents: %w", err)
	}
	var delta string
	if len(e.Delta) > 0 && e.Delta[0] == '"' {
		delta = stringOf(e.Delta)
	}
	switch e.Type {
	case "error":
		return nil, data, nil
	case "response.created":
		var response fields
		if err := json.Unmarshal(orNull(e.Response), &response); err != nil || response == nil {
			return nil, nil, fmt.Errorf("response.created has no response")
		}
		r.frame = frame(response, "chat.completion.chunk")
		return r.chunk(map[string]any{"role": "assistant"}, nil, nil), nil, nil
	case "response.output_text.delta":
		r.text.WriteString(delta)
		return r.chunk(map[string]any{"content": delta}, e.LogProbs, nil), nil, nil
	case "response.refusal.delta":
		return r.chunk(map[string]any{"refusal": delta}, nil, nil), nil, nil
	case "response.reasoning_text.delta", "response.reasoning_summary_text.delta":
		return r.chunk(map[string]any{"reasoning_content": delta}, nil, nil), nil, nil
	case "response.output_item.added":
		var item outputItem
		if json.Unmarshal(e.Item, &item) != nil || item.Type != "function_call" {
			return nil, nil, nil
		}
		if r.tools == nil {
			r.tools = map[int]int{}
		}
		if _, again := r.tools[e.Place]; again || len(r.tools) >= maxChoices {
			return nil, nil, fmt.Errorf("an output item has the index %d again, or there are too many", e.Place)
		}
		n := len(r.tools)
		r.tools[e.Place] = n
		call := callOf(item, item.Arguments)
		call["index"] = n
		return r.chunk(map[string]any{"tool_calls": []any{call}}, nil, nil), nil, nil
	case "response.function_call_arguments.delta":
		n, ok := r.tools[e.Place]
		if !ok {
			return nil, nil, fmt.Errorf("arguments for output item %d, which is no call", e.Place)
		}
		return r.chunk(map[string]any{"tool_calls": []any{map[string]any{"index": n, "function": map[string]any{"arguments": delta}}}}, nil, nil), nil, nil
	case "response.failed":
		return nil, marshal(fields{"error": orNull(memberOf(e.Response, "error"))}), nil
	case "response.completed", "response.incomplete":
		return r.end(e.Response)
	}
	return nil, nil, nil // progress, and what the API may add
}

// end makes the last chunk of the whole response that came with the last event.
func (r *responseStream) end(raw json.RawMessage) (chunk, failed []byte, err error) {
	var s responseStatus
	var response fields
	if json.Unmarshal(raw, &s) != nil || json.Unmarshal(raw, &response) != nil || s.Output == nil {
		return nil, nil, fmt.Errorf("the last event has no response")
	}
	m, err := s.message()
	if err != nil {
		return nil, nil, err
	}
	rest, ok := strings.CutPrefix(m.text, r.text.String())
	if !ok {
		return nil, nil, fmt.Errorf("the whole text is another than what was streamed")
	}
	r.done = true
	r.frame = frame(response, "chat.completion.chunk")
	delta := map[string]any{}
	if rest != "" {
		delta["content"] = rest
	}
	if !m.plain {
		delta["output_items"] = s.Output
	}
	if u := chatUsage(s.Usage); u != nil {
		r.frame["usage"] = u
	}
	finish := s.finish(m)
	return r.chunk(delta, nil, &finish), nil, nil
}

func (r *responseStream) chunk(delta map[string]any, logProbs []json.RawMessage, finish *string) []byte {
	choice := map[string]any{"index": 0, "delta": delta, "finish_reason": finish}
	if len(logProbs) > 0 {
		choice["logprobs"] = map[string]any{"content": logProbs}
	}
	out := maps.Clone(r.frame)
	if out == nil {
		out = fields{}
	}
	out["choices"] = marshal([]any{choice})
	return marshal(out)
}

// cutEvent holds back what may begin a stop string, and ends the choice before one.
func cutEvent(e *llm.Event, stops *upstream.Cutter) {
	if len(stops.Stops) == 0 {
		return
	}
	came := e.Text
	e.Text, _ = stops.Add(came)
	switch {
	case stops.Found:
		e.Finish = "stop"
	case e.Finish != "":
		e.Text, stops.Held = e.Text+stops.Held, ""
	}
	if e.Text != came || stops.Found {
		e.Raw, e.Tokens = nil, nil
	}
}

// cutAt ends a choice before the first of the stop strings, which the Responses
// API does not know.
func cutAt(c *llm.Choice, stops []string) bool {
	at := len(c.Text)
	for _, s := range stops {
		if i := strings.Index(c.Text, s); s != "" && i >= 0 {
			at = min(at, i)
		}
	}
	if at == len(c.Text) {
		return false
	}
	c.Text, c.Finish = c.Text[:at], "stop"
	for i, n := 0, 0; i < len(c.Tokens); i++ {
		if n += len(c.Tokens[i].Text); n > at {
			c.Tokens = c.Tokens[:i:i]
		}
	}
	return true
}
