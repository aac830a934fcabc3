package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gnothi/llm"
)

// Call is the part of a request that is not [llm.Request]: who should answer,
// how many times and how. A zero field is left out of the wire format.
type Call struct {
	Model  string
	N      int    // choices, 1..128; 0 is one, unsaid
	Seed   uint64 // replaces the request's own
	Stream bool
}

// RequestError says which field of a request is wrong.
type RequestError struct {
	Param   string // as OpenAI's errors name it: messages[2].role
	Message string
}

// Error implements error.
func (e *RequestError) Error() string {
	if e.Param == "" {
		return e.Message
	}
	return e.Param + ": " + e.Message
}

func wrong(param, format string, args ...any) error {
	return &RequestError{param, fmt.Sprintf(format, args...)}
}

// maxChoices is the largest n that OpenAI takes.
const maxChoices = 128

// DecodeRequest reads the body of POST /chat/completions. Errors are of type
// [RequestError].
//
// Extra gets every field that has no place in [llm.Request] or [Call], and of
// those that have one whatever says the same as leaving it out (null, false,
// zero). It also keeps seed, which is in Call.Seed too when it can be a root,
// stream_options, and max_completion_tokens, under which name Request.MaxTokens
// then goes out again.
func DecodeRequest(body []byte) (llm.Request, Call, error) {
	fields, r, c, err := decodeCommon(body)
	if err != nil {
		return r, c, err
	}
	if err := take(fields, "logprobs", &r.LogProbs); err != nil {
		return r, c, err
	}
	if err := take(fields, "top_logprobs", &r.TopLogProbs); err != nil {
		return r, c, err
	}
	messages := fields["messages"]
	if len(messages) > 0 && messages[0] != '[' {
		if err := take(fields, "messages", new([]json.RawMessage)); err != nil {
			return r, c, err
		}
	}
	for raw := range elements(messages) {
		m, err := decodeMessage(raw, len(r.Messages))
		if err != nil {
			return r, c, err
		}
		r.Messages = append(r.Messages, m)
	}
	if len(r.Messages) == 0 {
		return r, c, wrong("messages", "has to be a list of at least one message")
	}
	delete(fields, "messages")
	r.Extra = fields
	return r, c, nil
}

// DecodeCompletion reads the body of POST /completions. A prompt that is no
// text (token ids, a list) stays in Extra and Request.Prompt is empty.
func DecodeCompletion(body []byte) (llm.Request, Call, error) {
	fields, r, c, err := decodeCommon(body)
	if err != nil {
		return r, c, err
	}
	if _, ok := fields["prompt"]; !ok {
		return r, c, wrong("prompt", "is missing")
	}
	if json.Unmarshal(fields["prompt"], &r.Prompt) == nil && r.Prompt != "" {
		delete(fields, "prompt")
	}
	if raw, ok := fields["logprobs"]; ok && !isZero(raw, false) {
		if err := take(fields, "logprobs", &r.TopLogProbs); err != nil {
			return r, c, err
		}
		delete(fields, "logprobs")
		r.LogProbs = true
	}
	r.Extra = fields
	return r, c, nil
}

func decodeCommon(body []byte) (fields map[string]json.RawMessage, r llm.Request, c Call, err error) {
	if !utf8.Valid(body) {
		return nil, r, c, wrong("", "the body is not valid UTF-8")
	}
	if !json.Valid(body) || body[skip(body, 0)] != '{' {
		err := json.Unmarshal(body, &fields)
		if err == nil {
			err = fmt.Errorf("it is null")
		}
		return nil, r, c, wrong("", "the body is not a JSON object: %v", Plain(err))
	}
	fields = make(map[string]json.RawMessage, 8)
	for name, raw := range members(body) {
		fields[name] = raw
	}
	for _, f := range []struct {
		name string
		to   any
	}{
		{"model", &c.Model}, {"stream", &c.Stream}, {"n", &c.N},
		{"max_tokens", &r.MaxTokens}, {"temperature", &r.Temperature}, {"top_p", &r.TopP},
		{"min_p", &r.MinP}, {"top_k", &r.TopK},
	} {
		if err := take(fields, f.name, f.to); err != nil {
			return nil, r, c, err
		}
	}
	delete(fields, "model")
	delete(fields, "stream")
	delete(fields, "n")
	if c.N < 0 || c.N > maxChoices {
		return nil, r, c, wrong("n", "%d is not between 1 and %d", c.N, maxChoices)
	}
	if r.MaxTokens < 0 {
		return nil, r, c, wrong("max_tokens", "%d is negative", r.MaxTokens)
	}
	if raw, ok := fields["max_completion_tokens"]; ok && !isZero(raw, true) {
		old := r.MaxTokens
		if json.Unmarshal(raw, &r.MaxTokens) != nil || r.MaxTokens < 0 {
			return nil, r, c, wrong("max_completion_tokens", "has to be a whole number of at least 0")
		}
		if old > 0 {
			fields["max_tokens"] = marshal(old)
		}
	}
	if raw, ok := fields["stop"]; ok && !isZero(raw, true) {
		var one string
		if json.Unmarshal(raw, &one) == nil {
			r.Stop = []string{one}
		} else if json.Unmarshal(raw, &r.Stop) != nil {
			return nil, r, c, wrong("stop", "has to be a string or a list of strings")
		}
		delete(fields, "stop")
	}
	var seed uint64
	if json.Unmarshal(fields["seed"], &seed) == nil && seed < llm.MaxSeed {
		c.Seed = seed
	}
	return fields, r, c, nil
}

// take moves a field to its place. What says nothing stays where it is.
func take(fields map[string]json.RawMessage, name string, to any) error {
	raw, ok := fields[name]
	if !ok {
		return nil
	}
	if err := readField(raw, to); err != nil {
		return wrong(name, "has the wrong type: %v", Plain(err))
	}
	_, pointer := to.(**float64)
	if !isZero(raw, !pointer) {
		delete(fields, name)
	}
	return nil
}

// Plain words an error of encoding/json without the names that types have in Go.
func Plain(err error) string {
	var misfit *json.UnmarshalTypeError
	if !errors.As(err, &misfit) {
		return strings.TrimPrefix(err.Error(), "json: ")
	}
	want := "a whole number"
	switch misfit.Type.Kind() {
	case reflect.String:
		want = "a string"
	case reflect.Bool:
		want = "true or false"
	case reflect.Slice, reflect.Array:
		want = "a list"
	case reflect.Struct, reflect.Map:
		want = "an object"
	case reflect.Float32, reflect.Float64:
		want = "a number"
	}
	found := strings.Replace(misfit.Value, "bool", "true or false", 1)
	if misfit.Field != "" {
		return fmt.Sprintf("%s: want %s, found %s", misfit.Field, want, found)
	}
	return fmt.Sprintf("want %s, found %s", want, found)
}

// readField reads a value, without reflection where it is what it should be.
func readField(raw json.RawMessage, to any) error {
	switch to := to.(type) {
	case *string:
		return readString(raw, to)
	case *bool:
		if word := string(raw); word == "true" || word == "false" {
			*to = word == "true"
			return nil
		}
	case *int:
		if n, err := strconv.Atoi(string(raw)); err == nil {
			*to = n
			return nil
		}
	}
	return json.Unmarshal(raw, to)
}

// isZero tells values that say what leaving the field out says. For fields
// where zero has a meaning of its own only null does.
func isZero(raw json.RawMessage, zeroes bool) bool {
	switch string(raw) {
	case "null":
		return true
	case "false", "0", `""`, "[]":
		return zeroes
	}
	return false
}

func decodeMessage(raw json.RawMessage, place int) (llm.Message, error) {
	var m llm.Message
	if raw[0] != '{' {
		return m, wrong(fmt.Sprintf("messages[%d]", place), "has to be an object")
	}
	var role, content json.RawMessage
	n := 0
	for name, raw := range members(raw) {
		n++
		switch name {
		case "role":
			role = raw
		case "content":
			content = raw
		}
	}
	if readString(role, &m.Role) != nil || m.Role == "" {
		return m, wrong(fmt.Sprintf("messages[%d].role", place), "has to be a role such as user")
	}
	text, plain, err := contentText(content)
	if err != nil {
		return m, wrong(fmt.Sprintf("messages[%d].content", place), "%v", err)
	}
	m.Text = text
	if !plain || n != 2 {
		m.Raw = raw
	}
	return m, nil
}

// contentText gives the text of a message's content: a string, or a list of
// parts, of which those that have text count. plain tells a string.
func contentText(raw json.RawMessage) (text string, plain bool, err error) {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "", false, nil
	case raw[0] == '"':
		err = readString(raw, &text)
		return text, true, err
	}
	var parts []struct {
		Type string          `json:"type"`
		Text json.RawMessage `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return "", false, fmt.Errorf("has to be a string or a list of parts")
	}
	var b strings.Builder
	for _, p := range parts {
		var s string
		if json.Unmarshal(p.Text, &s) == nil && (p.Type == "" || strings.HasSuffix(p.Type, "text")) {
			b.WriteString(s)
		}
	}
	return b.String(), false, nil
}

// EncodeRequest writes the body of POST /chat/completions or, for a raw prompt,
// of POST /completions. A field of Extra gives way to one that is set in
// Request or Call. Only a number that is not finite is an error.
func EncodeRequest(r llm.Request, c Call) ([]byte, error) {
	for _, f := range []struct {
		name  string
		value *float64
	}{{"temperature", r.Temperature}, {"top_p", r.TopP}, {"min_p", r.MinP}} {
		if f.value != nil && (math.IsNaN(*f.value) || math.IsInf(*f.value, 0)) {
			return nil, wrong(f.name, "%v is not a finite number", *f.value)
		}
	}
	o := object{}
	o.set("model", c.Model)
	extra := maps.Clone(r.Extra)
	if extra == nil {
		extra = map[string]json.RawMessage{}
	}
	set := func(name string, v any, given bool) {
		if given {
			delete(extra, name)
			o.set(name, v)
		}
	}
	if r.Prompt != "" {
		set("prompt", r.Prompt, true)
		set("logprobs", r.TopLogProbs, r.LogProbs)
	} else {
		set("messages", encodeMessages(r.Messages), len(r.Messages) > 0)
		set("logprobs", true, r.LogProbs)
		set("top_logprobs", r.TopLogProbs, r.LogProbs && r.TopLogProbs > 0)
	}
	limit := "max_tokens"
	if !isZero(extra["max_completion_tokens"], true) && extra["max_completion_tokens"] != nil {
		limit = "max_completion_tokens"
	}
	set(limit, r.MaxTokens, r.MaxTokens > 0)
	set("temperature", r.Temperature, r.Temperature != nil)
	set("top_p", r.TopP, r.TopP != nil)
	set("min_p", r.MinP, r.MinP != nil)
	set("top_k", r.TopK, r.TopK != 0)
	set("stop", r.Stop, len(r.Stop) > 0)
	set("seed", c.Seed, c.Seed != 0)
	set("n", c.N, c.N > 0)
	set("stream", true, c.Stream)
	if !c.Stream {
		delete(extra, "stream_options") // an error without stream
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		o.set(name, extra[name])
	}
	return o.bytes(), nil
}

func encodeMessages(messages []llm.Message) json.RawMessage {
	size := 2
	for _, m := range messages {
		size += len(m.Raw) + len(m.Text) + len(m.Text)/16 + 48
	}
	b := append(make([]byte, 0, size), '[')
	for i, m := range messages {
		if i > 0 {
			b = append(b, ',')
		}
		if m.Raw != nil {
			b = append(b, m.Raw...)
			continue
		}
		b = appendString(append(b, `{"role":`...), m.Role)
		b = appendString(append(b, `,"content":`...), m.Text)
		b = append(b, '}')
	}
	return append(b, ']')
}
