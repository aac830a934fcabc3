package anthropic

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"gnothi/llm"
)

// assembler joins the events of a stream to the message that they are pieces of.
type assembler struct {
	message fields // of message_start, with what message_delta changed
	blocks  map[int]*growing
	tools   int // how many tool calls began
	pieces  int // deltas of text, about one a token
	size    int
	done    bool
}

// growing is a content block that is coming in. Its strings grow in buffers,
// since adding to them piece by piece would copy them each time.
type growing struct {
	fields  fields
	kind    string
	strings map[string]*[]byte // text, thinking, signature; partial_json makes the input
	lists   map[string][]json.RawMessage
	tool    int // its number among the tool calls
}

const (
	maxAnswer = 256 << 20 // bytes of events
	maxBlocks = 10_000
)

type wireEvent struct {
	Type    string          `json:"type"`
	Index   int             `json:"index"`
	Message fields          `json:"message"`
	Block   json.RawMessage `json:"content_block"`
	Delta   fields          `json:"delta"`
	Usage   fields          `json:"usage"`
}

// Add takes an event and gives what it says in our terms, if anything. Thinking
// and tool calls come as chunks of chat completions in Raw.
func (a *assembler) Add(data []byte) ([]llm.Event, error) {
	if a.size += len(data); a.size > maxAnswer {
		return nil, fmt.Errorf("the streamed answer is larger than %d bytes", maxAnswer)
	}
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("an event of the stream is not valid UTF-8")
	}
	var e wireEvent
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("an event of the stream is not what the API documents: %w", err)
	}
	if e.Type != "message_start" && e.Type != "ping" && a.message == nil {
		return nil, fmt.Errorf("the stream begins with an event of type %q", e.Type)
	}
	switch e.Type {
	case "message_start":
		if e.Message == nil {
			return nil, fmt.Errorf("message_start has no message")
		}
		a.message, a.blocks = e.Message, map[int]*growing{}
	case "content_block_start":
		return a.start(e)
	case "content_block_delta":
		return a.delta(e)
	case "content_block_stop":
		// A tool without arguments sends none, which is no JSON for a client.
		if g := a.blocks[e.Index]; g != nil && g.kind == "tool_use" && (g.strings["partial_json"] == nil || len(*g.strings["partial_json"]) == 0) {
			return arguments(g.tool, "{}"), nil
		}
	case "message_delta":
		maps.Copy(a.message, e.Delta)
		var usage fields
		_ = json.Unmarshal(a.message["usage"], &usage) // if it came
		if usage == nil {
			usage = fields{}
		}
		maps.Copy(usage, e.Usage)
		a.message["usage"] = marshal(usage)
	case "message_stop":
		a.done = true
		var stop string
		_ = json.Unmarshal(a.message["stop_reason"], &stop) // null if there was none
		return []llm.Event{{Finish: finish(stop)}}, nil
	}
	return nil, nil // ping, and what the API may add
}

func (a *assembler) start(e wireEvent) ([]llm.Event, error) {
	var b wireBlock
	g := &growing{strings: map[string]*[]byte{}, lists: map[string][]json.RawMessage{}}
	if json.Unmarshal(e.Block, &g.fields) != nil || g.fields == nil || json.Unmarshal(e.Block, &b) != nil {
		return nil, fmt.Errorf("content_block_start has no block")
	}
	if e.Index < 0 || e.Index >= maxBlocks || a.blocks[e.Index] != nil {
		return nil, fmt.Errorf("content_block_start has the index %d", e.Index)
	}
	g.kind = b.Type
	a.blocks[e.Index] = g
	switch {
	case b.Type == "tool_use":
		g.tool = a.tools
		a.tools++
		call := toolCall(b, "")
		call["index"] = g.tool
		return chunk(map[string]any{"tool_calls": []any{call}}), nil
	case b.Text != "":
		return []llm.Event{{Text: b.Text}}, nil
	case b.Thinking != "":
		return chunk(map[string]any{"reasoning_content": b.Thinking}), nil
	}
	return nil, nil
}

func (a *assembler) delta(e wireEvent) ([]llm.Event, error) {
	g := a.blocks[e.Index]
	if g == nil {
		return nil, fmt.Errorf("content_block_delta for block %d, which did not start", e.Index)
	}
	var out []llm.Event
	for name, raw := range e.Delta {
		if name == "type" {
			continue
		}
		var s string
		if json.Unmarshal(raw, &s) != nil || string(raw) == "null" {
			if name == "citation" {
				g.lists["citations"] = append(g.lists["citations"], raw)
			} else {
				g.fields[name] = raw
			}
			continue
		}
		if g.strings[name] == nil {
			var begun string
			_ = json.Unmarshal(g.fields[name], &begun) // most begin empty
			b := []byte(begun)
			g.strings[name] = &b
		}
		*g.strings[name] = append(*g.strings[name], s...)
		switch {
		case name == "text" && s != "":
			a.pieces++
			out = append(out, llm.Event{Text: s})
		case name == "thinking" && s != "":
			out = append(out, chunk(map[string]any{"reasoning_content": s})...)
		case name == "partial_json" && g.kind == "tool_use":
			out = append(out, arguments(g.tool, s)...)
		}
	}
	return out, nil
}

// chunk makes an event of a delta of chat completions.
func chunk(delta map[string]any) []llm.Event {
	return []llm.Event{{Raw: marshal(map[string]any{"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": nil}}})}}
}

// arguments is a piece of a tool call's.
func arguments(tool int, piece string) []llm.Event {
	return chunk(map[string]any{"tool_calls": []any{map[string]any{"index": tool, "function": map[string]any{"arguments": piece}}}})
}

// Result reads the message that came.
func (a *assembler) Result() (*llm.Result, error) {
	blocks := []json.RawMessage{}
	for _, i := range slices.Sorted(maps.Keys(a.blocks)) {
		g := a.blocks[i]
		for name, b := range g.strings {
			switch {
			case name != "partial_json":
				g.fields[name] = marshal(string(*b))
			case len(*b) == 0: // no arguments
			case !json.Valid(*b):
				return nil, fmt.Errorf("the input of tool call %s is not JSON", g.fields["name"])
			default:
				g.fields["input"] = json.RawMessage(*b)
			}
		}
		for name, list := range g.lists {
			g.fields[name] = marshal(list)
		}
		blocks = append(blocks, marshal(g.fields))
	}
	message := maps.Clone(a.message)
	message["content"] = marshal(blocks)
	return decodeMessage(marshal(message))
}
