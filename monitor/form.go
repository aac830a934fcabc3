package monitor

import (
	"encoding/json"
	"strings"

	"gnothi/llm"
	"gnothi/text"
)

// responseFormat is the field of a request that says which form answers must have.
const responseFormat = "response_format"

// Form is the form that the trial's request asks answers to have, its
// response_format as it came; nil for plain text.
func (t *Trial) Form() json.RawMessage {
	raw := t.Request.Extra[responseFormat]
	var form struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(raw, &form) != nil || form.Type == "" || form.Type == "text" {
		return nil
	}
	return raw
}

// keepForm has a request for an answer keep to the trial's form, with as much
// room as the trial's own request has.
func (t *Trial) keepForm(r *llm.Request) {
	if form := t.Form(); form != nil {
		r.Extra = map[string]json.RawMessage{responseFormat: form}
		r.MaxTokens = max(r.MaxTokens, t.Request.MaxTokens)
	}
}

// formed reads a reply in JSON as an answer: all of it, equal to another if it
// means the same. ok is false for anything else.
func formed(task text.Task, reply string) (a text.Answer, key string, ok bool) {
	span := text.Trim(reply, text.Span{End: len(reply)})
	var value any
	d := json.NewDecoder(strings.NewReader(span.In(reply)))
	d.UseNumber()
	if d.Decode(&value) != nil || d.More() {
		return a, "", false
	}
	canonical, err := json.Marshal(value) // names in order, no white space
	if err != nil {
		return a, "", false
	}
	return text.Answer{Text: span.In(reply), Kind: task.Kind, Rule: text.RuleWhole, Status: text.Parsed, Span: span}, string(canonical), true
}
