package openai

import (
	"encoding/json"
	"strings"
	"testing"
)

func FuzzChatResponse(f *testing.F) {
	f.Add([]byte(`{"id":"r","created_at":1.5,"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[{"type":"reasoning","summary":[{"text":"t"}]},{"type":"message","content":[{"type":"output_text","text":"a","logprobs":[{"token":"a","logprob":-1}]},{"type":"refusal","refusal":"no"}]},{"type":"function_call","call_id":"c","name":"n","arguments":"{}"}],"usage":{"input_tokens":1,"output_tokens":2}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		chat, err := chatResponse(b)
		if err != nil {
			return
		}
		if !json.Valid(chat) {
			t.Fatalf("%s", chat)
		}
		if res, err := DecodeResponse(chat); err == nil && len(res.Choices) != 1 {
			t.Errorf("%d choices of %s", len(res.Choices), b)
		}
	})
}

func FuzzResponseStream(f *testing.F) {
	f.Add(`{"type":"response.created","response":{"id":"r"}}
{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"c","name":"n"}}
{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"a\""}
{"type":"response.output_text.delta","delta":"x","logprobs":[{"token":"x","logprob":-1}]}
{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"xy"}]}],"usage":{"input_tokens":1}}}`)
	f.Fuzz(func(t *testing.T, s string) {
		var r responseStream
		var a Assembler
		for line := range strings.Lines(s) {
			chunk, _, err := r.add([]byte(line))
			if err != nil {
				return
			}
			if chunk == nil {
				continue
			}
			if !json.Valid(chunk) {
				t.Fatalf("%s", chunk)
			}
			if _, err := a.Add(chunk); err != nil {
				return
			}
		}
		if res, err := a.Result(); err == nil && !json.Valid(res.Choices[0].Raw) {
			t.Errorf("%s", res.Choices[0].Raw)
		}
	})
}

func FuzzResponsesRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]},{"role":"assistant","content":null,"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"1"}],"tools":[{"type":"function","function":{"name":"f"}}],"response_format":{"type":"json_schema","json_schema":{"name":"s"}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, c, err := DecodeRequest(b); err == nil {
			chat, err := EncodeRequest(r, c)
			if err != nil {
				return
			}
			if body, err := responsesRequest(chat); err == nil && !json.Valid(body) {
				t.Errorf("%s of %s", body, b)
			}
		}
	})
}
