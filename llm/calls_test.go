package llm

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestChoiceCalls(t *testing.T) {
	for raw, want := range map[string][]ToolCall{
		``:                                nil,
		`{"message":{"content":"hi"}}`:    nil,
		`{"message":{"tool_calls":null}}`: nil,
		`{"message":{"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"b","type":"custom","custom":{"name":"sh","input":"ls"}}]}}`: {
			{ID: "a", Name: "f", Arguments: `{"x":1}`}, {ID: "b", Name: "sh", Arguments: "ls", Custom: true},
		},
		`{"message":{"function_call":{"name":"f","arguments":""}}}`: {{Name: "f"}},
		`{"message":{"tool_calls":7}}`:                              nil,
	} {
		if got := (Choice{Raw: json.RawMessage(raw)}).Calls(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", raw, got)
		}
	}
}
