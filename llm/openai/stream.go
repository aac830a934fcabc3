package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"gnothi/llm"
)

// Assembler joins the chunks of one streamed answer, of /chat/completions or
// /completions. What it makes of them is what [DecodeResponse] makes of the
// same answer in one piece, unknown fields included. Its zero value is ready.
type Assembler struct {
	top     map[string]json.RawMessage
	choices map[int]*assembly
	size    int
}

// assembly is a choice that is coming in.
type assembly struct {
	text     bytes.Buffer
	isText   bool           // of /completions
	finish   string         // empty until it came
	message  map[string]any // merged deltas
	rest     map[string]json.RawMessage
	logProbs map[string]any
	tokens   []llm.Token
}

// maxAnswer bounds a streamed answer, in bytes of chunks: a server may go on
// for ever.
const maxAnswer = 256 << 20

// Add takes a chunk and gives its events, at least one. The first carries the
// whole chunk as its Raw; a chunk without choices (usage, filter results) gives
// an event without text. An event's Index is the choice's index in the answer.
func (a *Assembler) Add(chunk []byte) ([]llm.Event, error) {
	if a.size += len(chunk); a.size > maxAnswer {
		return nil, fmt.Errorf("the streamed answer is larger than %d bytes", maxAnswer)
	}
	if !utf8.Valid(chunk) {
		return nil, fmt.Errorf("a chunk of the stream is not valid UTF-8")
	}
	if !json.Valid(chunk) || chunk[skip(chunk, 0)] != '{' {
		return nil, fmt.Errorf("a chunk of the stream is not a JSON object")
	}
	chunk = slices.Clone(chunk) // parts of it stay
	if a.top == nil {
		a.top, a.choices = map[string]json.RawMessage{}, map[int]*assembly{}
	}
	var choices json.RawMessage
	for name, raw := range members(chunk) {
		switch {
		case name == "choices":
			choices = raw
		case a.top[name] == nil || string(raw) != "null": // usage is null in all chunks but the last
			a.top[name] = raw
		}
	}
	if choices != nil && choices[0] != '[' && string(choices) != "null" {
		return nil, fmt.Errorf("a chunk's choices are no list")
	}
	var events []llm.Event
	for raw := range elements(choices) {
		e, err := a.choice(raw)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	if events == nil {
		events = []llm.Event{{}}
	}
	events[0].Raw = chunk
	return events, nil
}

func (a *Assembler) choice(raw json.RawMessage) (llm.Event, error) {
	if raw[0] != '{' {
		return llm.Event{}, fmt.Errorf("a chunk's choice is no object")
	}
	var text, delta, logProbs json.RawMessage
	var index int64
	var finish string
	rest := map[string]json.RawMessage(nil)
	for name, raw := range members(raw) {
		var err error
		switch name {
		case "index":
			err = readInt(raw, &index)
		case "text":
			text = raw
		case "delta":
			delta = raw
		case "finish_reason":
			err = readString(raw, &finish)
		case "logprobs":
			logProbs = raw
		default:
			if rest == nil {
				rest = map[string]json.RawMessage{}
			}
			rest[name] = raw
		}
		if err != nil {
			return llm.Event{}, fmt.Errorf("a chunk's choice: %s: %w", name, err)
		}
	}
	if index < 0 || index >= maxChoices {
		return llm.Event{}, fmt.Errorf("a chunk's choice has the index %d", index)
	}
	e := llm.Event{Index: int(index), Finish: finish}
	c := a.choices[e.Index]
	if c == nil {
		c = &assembly{message: map[string]any{}, rest: map[string]json.RawMessage{}}
		a.choices[e.Index] = c
	}
	switch {
	case !isZero(orNull(text), false):
		if err := readString(text, &e.Text); err != nil {
			return e, fmt.Errorf("a chunk's text: %w", err)
		}
		c.isText = true
	case delta != nil && string(delta) != "null":
		var err error
		if e.Text, err = addDelta(c.message, delta); err != nil {
			return e, err
		}
	}
	c.text.WriteString(e.Text)
	var err error
	if e.Tokens, err = decodeLogProbs(logProbs); err != nil {
		return e, err
	}
	c.tokens = append(c.tokens, e.Tokens...)
	if e.Tokens != nil {
		lp, err := anyObject(logProbs)
		if err != nil {
			return e, err
		}
		if c.logProbs == nil {
			c.logProbs = map[string]any{}
		}
		appendLists(c.logProbs, lp)
	}
	if finish != "" {
		c.finish = finish
	}
	maps.Copy(c.rest, rest)
	return e, nil
}

// addDelta adds a delta to a message and gives its text. Most are of strings,
// which need no decoder.
func addDelta(message map[string]any, delta json.RawMessage) (text string, err error) {
	if delta[0] != '{' {
		return "", fmt.Errorf("a chunk's delta is no object")
	}
	for name, raw := range members(delta) {
		var v any
		switch raw[0] {
		case '"':
			v = stringOf(raw)
		case 'n':
		default:
			if v, err = anyValue(raw); err != nil {
				return "", fmt.Errorf("a chunk's delta: %w", err)
			}
		}
		if name == "content" {
			if s, ok := v.(string); ok {
				text = s
			} else if text, _, err = contentText(raw); err != nil {
				return "", fmt.Errorf("a chunk's content %w", err)
			}
		}
		mergeMember(message, name, v)
	}
	return text, nil
}

// Done tells whether every choice that began has its finish reason.
func (a *Assembler) Done() bool {
	for _, c := range a.choices {
		if c.finish == "" {
			return false
		}
	}
	return len(a.choices) > 0
}

// Result gives the answer as far as it came.
func (a *Assembler) Result() (*llm.Result, error) {
	if len(a.choices) == 0 {
		return nil, fmt.Errorf("the answer has no choices")
	}
	top := maps.Clone(a.top)
	if string(top["object"]) == `"chat.completion.chunk"` {
		top["object"] = json.RawMessage(`"chat.completion"`)
	}
	res, err := decodeEnvelope(top["model"], top["usage"])
	if err != nil {
		return nil, err
	}
	res.Raw = marshal(top)
	for _, index := range slices.Sorted(maps.Keys(a.choices)) {
		c := a.choices[index]
		fields := maps.Clone(c.rest)
		fields["index"] = marshal(index)
		fields["finish_reason"] = json.RawMessage("null")
		if c.finish != "" {
			fields["finish_reason"] = marshal(c.finish)
		}
		fields["logprobs"] = json.RawMessage("null")
		if c.logProbs != nil {
			fields["logprobs"] = marshal(c.logProbs)
		}
		choice := llm.Choice{Index: index, Text: c.text.String(), Finish: c.finish, Tokens: c.tokens}
		if c.isText {
			fields["text"] = marshal(choice.Text)
		} else {
			if c.message["role"] == nil {
				c.message["role"] = "assistant"
			}
			if c.message["content"] == nil {
				c.message["content"] = nil // said, as in an answer in one piece
			}
			calls, _ := c.message["tool_calls"].([]any)
			for _, call := range calls { // the index only served to join the deltas
				if call, ok := call.(map[string]any); ok {
					delete(call, "index")
				}
			}
			message := marshal(c.message)
			fields["message"] = message
			if _, choice.Reasoning, err = decodeAnswer(message); err != nil {
				return nil, fmt.Errorf("choice %d: %w", index, err)
			}
		}
		choice.Raw = marshal(fields)
		res.Choices = append(res.Choices, choice)
	}
	return res, nil
}

// chunkOf writes a choice of an answer in one piece as the only chunk of a stream,
// so that tool calls and unknown fields reach its reader.
func chunkOf(answer json.RawMessage, c llm.Choice) json.RawMessage {
	var top, choice, message map[string]json.RawMessage
	if json.Unmarshal(orNull(answer), &top) != nil || top == nil || json.Unmarshal(orNull(c.Raw), &choice) != nil || choice == nil {
		return nil
	}
	delete(top, "usage") // comes with the result
	if raw, ok := choice["message"]; ok {
		if json.Unmarshal(raw, &message) != nil || message == nil {
			return nil
		}
		top["object"] = json.RawMessage(`"chat.completion.chunk"`)
		var calls []map[string]json.RawMessage
		if json.Unmarshal(orNull(message["tool_calls"]), &calls) == nil && calls != nil {
			for i, call := range calls {
				if call != nil {
					call["index"] = marshal(i)
				}
			}
			message["tool_calls"] = marshal(calls)
		}
		delete(choice, "message")
		choice["delta"] = marshal(message)
	}
	top["choices"] = marshal([]any{choice})
	return marshal(top)
}

// anyObject decodes an object with its numbers as they were written.
func anyObject(raw json.RawMessage) (m map[string]any, err error) {
	err = decodeNumbers(raw, &m)
	return m, err
}

func anyValue(raw json.RawMessage) (v any, err error) {
	err = decodeNumbers(raw, &v)
	return v, err
}

func decodeNumbers(raw json.RawMessage, to any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(to)
}

// whole are the fields of a delta that come in one piece; other strings grow.
var whole = map[string]bool{"role": true, "id": true, "type": true, "name": true, "object": true, "format": true}

// growing is a string that comes in pieces.
type growing struct{ bytes.Buffer }

// MarshalText makes it a JSON string.
func (g *growing) MarshalText() ([]byte, error) { return g.Bytes(), nil }

// merge adds a delta to a message: strings grow, objects merge, elements of
// lists merge by their index (tool calls) and are appended without one.
func merge(into, delta map[string]any) {
	for name, v := range delta {
		mergeMember(into, name, v)
	}
}

func mergeMember(into map[string]any, name string, v any) {
	switch v := v.(type) {
	case nil:
		if _, ok := into[name]; !ok {
			into[name] = nil
		}
	case string:
		if whole[name] {
			into[name] = v
			return
		}
		g, ok := into[name].(*growing)
		if !ok {
			g = &growing{}
			into[name] = g
		}
		g.WriteString(v)
	case map[string]any:
		old, ok := into[name].(map[string]any)
		if !ok {
			old = map[string]any{}
			into[name] = old
		}
		merge(old, v)
	case []any:
		old, _ := into[name].([]any)
		into[name] = mergeList(old, v)
	default:
		into[name] = v
	}
}

func mergeList(list, delta []any) []any {
	if list == nil {
		list = []any{} // an empty list is one
	}
	for _, d := range delta {
		piece, _ := d.(map[string]any)
		index, indexed := piece["index"]
		at := slices.IndexFunc(list, func(e any) bool {
			old, _ := e.(map[string]any)
			return indexed && old["index"] == index
		})
		switch {
		case at >= 0:
			merge(list[at].(map[string]any), piece)
		case piece != nil:
			fresh := map[string]any{}
			merge(fresh, piece)
			list = append(list, fresh)
		default:
			list = append(list, d)
		}
	}
	return list
}

// appendLists adds the lists of a chunk's logprobs to those that came before.
func appendLists(into, add map[string]any) {
	for name, v := range add {
		list, ok := v.([]any)
		old, _ := into[name].([]any)
		if ok {
			into[name] = append(old, list...)
		} else if into[name] == nil {
			into[name] = v
		}
	}
}

// EncodeChunk writes an event as a chunk of /chat/completions (or /completions)
// for the choice at a place of the answer. An event with Raw keeps its unknown
// fields; every other one is written from its text, tokens and finish reason.
func EncodeChunk(e llm.Event, place int, env Envelope) []byte {
	var came struct {
		Choices []map[string]json.RawMessage `json:"choices"`
	}
	if json.Unmarshal(orNull(e.Raw), &came) != nil || came.Choices == nil {
		e.Raw = nil // an event of another protocol
	}
	f := envelope(e.Raw, env, ".chunk")
	switch {
	case len(came.Choices) == 1:
		came.Choices[0]["index"] = marshal(place)
		f.set("choices", marshal(came.Choices))
	case e.Raw == nil:
		choice := map[string]json.RawMessage{"index": marshal(place), "finish_reason": json.RawMessage("null"), "logprobs": encodeLogProbs(e.Tokens, env.Completion)}
		switch {
		case env.Completion:
			choice["text"] = marshal(e.Text)
		case e.Text == "" && e.Finish != "":
			choice["delta"] = json.RawMessage("{}")
		default:
			choice["delta"] = marshal(map[string]string{"role": "assistant", "content": e.Text})
		}
		if e.Finish != "" {
			choice["finish_reason"] = marshal(e.Finish)
		}
		f.set("choices", marshal([]any{choice}))
	}
	return f.ordered(env.Extra)
}
