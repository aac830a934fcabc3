package llm

import (
	"bytes"
	"encoding/json"
)

// ToolCall is a tool that a choice wants called.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // JSON as the model wrote it; of a Custom tool any text
	Custom    bool   // a tool that takes text
}

// Calls gives the tool calls of a choice, in its order. They are read from Raw,
// which every provider gives in the layout of chat completions (tool_calls, and
// the older function_call).
func (c Choice) Calls() []ToolCall {
	if !bytes.Contains(c.Raw, []byte("_call")) { // as most
		return nil
	}
	type function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	}
	var w struct {
		Message struct {
			Calls []struct {
				ID       string   `json:"id"`
				Function function `json:"function"`
				Custom   *struct {
					Name  string `json:"name"`
					Input string `json:"input"`
				} `json:"custom"`
			} `json:"tool_calls"`
			Call *function `json:"function_call"`
		} `json:"message"`
	}
	if json.Unmarshal(c.Raw, &w) != nil {
		return nil
	}
	var calls []ToolCall
	for _, call := range w.Message.Calls {
		if call.Custom != nil {
			calls = append(calls, ToolCall{call.ID, call.Custom.Name, call.Custom.Input, true})
			continue
		}
		calls = append(calls, ToolCall{ID: call.ID, Name: call.Function.Name, Arguments: call.Function.Arguments})
	}
	if call := w.Message.Call; call != nil && calls == nil {
		calls = append(calls, ToolCall{Name: call.Name, Arguments: call.Arguments})
	}
	return calls
}
