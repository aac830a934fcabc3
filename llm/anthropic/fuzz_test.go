package anthropic

import (
	"encoding/json"
	"strings"
	"testing"
)

func FuzzDecodeMessage(f *testing.F) {
	f.Add([]byte(`{"type":"message","content":[{"type":"text","text":"a","citations":[1]},{"type":"thinking","thinking":"t","signature":"s"},{"type":"tool_use","id":"i","name":"n","input":{"a":1}}],"stop_reason":"end_turn","usage":{"input_tokens":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		res, err := decodeMessage(b)
		if err != nil {
			return
		}
		if !json.Valid(res.Raw) || !json.Valid(res.Choices[0].Raw) {
			t.Errorf("%s %s", res.Raw, res.Choices[0].Raw)
		}
	})
}

func FuzzAssembler(f *testing.F) {
	f.Add(`{"type":"message_start","message":{"usage":{"input_tokens":1}}}
{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"i","name":"n","input":{}}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}
{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"a":1}}}
{"type":"content_block_stop","index":0}
{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":4}}
{"type":"message_stop"}`)
	f.Fuzz(func(t *testing.T, s string) {
		var a assembler
		for line := range strings.Lines(s) {
			if _, err := a.Add([]byte(line)); err != nil {
				return
			}
		}
		if a.message == nil {
			return
		}
		if res, err := a.Result(); err == nil && !json.Valid(res.Choices[0].Raw) {
			t.Errorf("%s", res.Choices[0].Raw)
		}
	})
}
