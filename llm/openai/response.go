package openai

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"gnothi/llm"
)

// roundOff is how far above 0 a log-probability may be for lack of precision.
const roundOff = 1e-3

// DecodeResponse reads a response of /chat/completions or /completions. A
// choice's Index is its index in the response. Choice.Raw is the choice as it
// came, Result.Raw all else.
//
// What no healthy server sends is an error: no choices, a choice with neither
// content nor anything in its place, an index twice, log-probabilities above 0
// (but for rounding), negative usage.
func DecodeResponse(body []byte) (*llm.Result, error) {
	if !json.Valid(body) {
		return nil, fmt.Errorf("the answer is not a JSON object: %w", json.Unmarshal(body, new(any)))
	}
	if body[skip(body, 0)] != '{' {
		return nil, fmt.Errorf("the answer is not a JSON object")
	}
	var choices, model, usage json.RawMessage
	rest := object{make([]byte, 0, len(body))}
	told := 0 // of what [EncodeResponse] would add
	for name, raw := range members(body) {
		switch name {
		case "id", "object", "created", "model", "usage":
			if !isZero(raw, true) {
				told++
			}
		}
		switch name {
		case "choices":
			choices = raw
			continue
		case "model":
			model = raw
		case "usage":
			usage = raw
		}
		rest.set(name, raw)
	}
	if len(choices) == 0 || choices[0] != '[' {
		return nil, fmt.Errorf("the answer has no list of choices")
	}
	res, err := decodeEnvelope(model, usage)
	if err != nil {
		return nil, err
	}
	res.Raw = rest.bytes()
	for raw := range elements(choices) {
		c, err := decodeChoice(raw)
		if err != nil {
			return nil, fmt.Errorf("choice %d: %w", len(res.Choices), err)
		}
		res.Choices = append(res.Choices, c)
	}
	if len(res.Choices) == 0 {
		return nil, fmt.Errorf("the answer has no choices")
	}
	if told == 5 && !slices.ContainsFunc(res.Choices, unfinished) && slices.IsSortedFunc(res.Choices, byIndex) && res.Choices[len(res.Choices)-1].Index == len(res.Choices)-1 {
		res.Body = body
	}
	slices.SortStableFunc(res.Choices, byIndex)
	for i := 1; i < len(res.Choices); i++ {
		if res.Choices[i].Index == res.Choices[i-1].Index {
			return nil, fmt.Errorf("the answer has two choices with index %d", res.Choices[i].Index)
		}
	}
	return res, nil
}

func byIndex(a, b llm.Choice) int { return cmp.Compare(a.Index, b.Index) }

// unfinished tells a choice that does not say why it ended.
func unfinished(c llm.Choice) bool { return c.Finish == "" }

// decodeEnvelope reads what stands around the choices. Either may be nil.
func decodeEnvelope(model, usage json.RawMessage) (*llm.Result, error) {
	res := &llm.Result{}
	_ = readString(model, &res.Model) // some servers leave it out
	var prompt, completion, hit, cached int64
	if usage != nil && usage[0] != '{' && usage[0] != 'n' {
		return nil, fmt.Errorf("usage is no object")
	}
	for name, raw := range members(usage) {
		var err error
		switch name {
		case "prompt_tokens":
			err = readInt(raw, &prompt)
		case "completion_tokens":
			err = readInt(raw, &completion)
		case "prompt_cache_hit_tokens": // DeepSeek
			err = readInt(raw, &hit)
		case "prompt_tokens_details":
			for name, raw := range members(raw) {
				if name == "cached_tokens" {
					err = readInt(raw, &cached)
				}
			}
		}
		if err != nil {
			return nil, fmt.Errorf("usage: %s: %w", name, err)
		}
	}
	if prompt < 0 || completion < 0 {
		return nil, fmt.Errorf("usage is negative: %d and %d tokens", prompt, completion)
	}
	res.Usage = llm.Usage{PromptTokens: prompt, CompletionTokens: completion, PromptCached: min(max(cached, hit, 0), prompt)}
	return res, nil
}

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

func decodeChoice(raw json.RawMessage) (llm.Choice, error) {
	c := llm.Choice{Raw: raw}
	var index int64
	var text, message, logProbs json.RawMessage
	for name, raw := range members(raw) {
		var err error
		switch name {
		case "index":
			err = readInt(raw, &index)
		case "text": // completions
			text, err = raw, readString(raw, &c.Text)
		case "message":
			message = raw
		case "finish_reason":
			err = readString(raw, &c.Finish)
		case "logprobs":
			logProbs = raw
		}
		if err != nil {
			return c, fmt.Errorf("%s: %w", name, err)
		}
	}
	if index < 0 || index > 1<<20 {
		return c, fmt.Errorf("index %d is out of range", index)
	}
	c.Index = int(index)
	if isZero(orNull(text), false) {
		var err error
		if c.Text, c.Reasoning, err = decodeAnswer(message); err != nil {
			return c, err
		}
	}
	var err error
	c.Tokens, err = decodeLogProbs(logProbs)
	return c, err
}

// decodeAnswer reads a message. The reasoning is what servers put beside the
// content (DeepSeek and vLLM: reasoning_content; OpenRouter and Ollama:
// reasoning).
func decodeAnswer(message json.RawMessage) (text, reasoning string, err error) {
	if len(message) == 0 || message[0] != '{' {
		return "", "", fmt.Errorf("has no message")
	}
	var content json.RawMessage
	var other string
	instead := false
	for name, raw := range members(message) {
		switch name {
		case "content":
			content = raw
		case "reasoning_content":
			_ = readString(raw, &reasoning) // of another type it is none
		case "reasoning":
			_ = readString(raw, &other)
		case "tool_calls", "function_call", "refusal", "audio", "images", "annotations": // may stand in place of content
			instead = instead || !isZero(raw, true)
		}
	}
	if text, _, err = contentText(content); err != nil {
		return "", "", fmt.Errorf("content %w", err)
	}
	reasoning = cmp.Or(reasoning, other)
	if isZero(orNull(content), false) && reasoning == "" && !instead {
		return "", "", fmt.Errorf("content is null and nothing stands in its place")
	}
	return text, reasoning, nil
}

// wireToken is a token in the layout of chat completions.
type wireToken struct {
	Token   string      `json:"token"`
	LogProb *float64    `json:"logprob"`
	Bytes   []int       `json:"bytes"`
	Top     []wireToken `json:"top_logprobs,omitempty"`
}

// decodeLogProbs reads the layout of chat completions ({content: [{token, …}]})
// and that of completions ({tokens, token_logprobs, top_logprobs}).
func decodeLogProbs(raw json.RawMessage) ([]llm.Token, error) {
	var w struct {
		Content  []wireToken           `json:"content"`
		Tokens   []string              `json:"tokens"`
		LogProbs []*float64            `json:"token_logprobs"`
		Top      []map[string]*float64 `json:"top_logprobs"`
	}
	if isZero(orNull(raw), false) {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return nil, fmt.Errorf("logprobs: %w", err)
	}
	if w.Content == nil && w.Tokens != nil {
		if len(w.LogProbs) != len(w.Tokens) || w.Top != nil && len(w.Top) != len(w.Tokens) {
			return nil, fmt.Errorf("logprobs: %d tokens with %d log-probabilities", len(w.Tokens), len(w.LogProbs))
		}
		for i, t := range w.Tokens {
			if i == 0 && w.LogProbs[i] == nil {
				continue // the first echoed token follows nothing
			}
			token := wireToken{Token: t, LogProb: w.LogProbs[i]}
			if w.Top != nil {
				for alt, lp := range w.Top[i] {
					token.Top = append(token.Top, wireToken{Token: alt, LogProb: lp})
				}
				slices.SortFunc(token.Top, func(a, b wireToken) int { // a map has no order
					return cmp.Or(-cmp.Compare(deref(a.LogProb), deref(b.LogProb)), cmp.Compare(a.Token, b.Token))
				})
			}
			w.Content = append(w.Content, token)
		}
	}
	return decodeTokens(w.Content)
}

func deref(p *float64) float64 {
	if p == nil {
		return math.Inf(-1)
	}
	return *p
}

func decodeTokens(content []wireToken) ([]llm.Token, error) {
	if len(content) == 0 {
		return nil, nil
	}
	tokens := make([]llm.Token, len(content))
	for i, w := range content {
		lp, err := checkLogProb(w, i)
		if err != nil {
			return nil, err
		}
		tokens[i] = llm.Token{Text: w.text(), LogProb: lp}
		if len(w.Top) == 0 {
			continue
		}
		tokens[i].Top = make([]llm.TopToken, len(w.Top))
		for k, alt := range w.Top {
			lp, err := checkLogProb(alt, i)
			if err != nil {
				return nil, err
			}
			tokens[i].Top[k] = llm.TopToken{Text: alt.text(), LogProb: lp}
		}
	}
	return tokens, nil
}

func checkLogProb(w wireToken, i int) (float64, error) {
	switch {
	case w.LogProb == nil:
		return 0, fmt.Errorf("logprobs: token %d (%q) has no log-probability", i, w.Token)
	case *w.LogProb > roundOff:
		return 0, fmt.Errorf("logprobs: token %d (%q) has the log-probability %v, which is above 0", i, w.Token, *w.LogProb)
	}
	return min(*w.LogProb, 0), nil
}

// text prefers the token's bytes: a token may be part of a character, which its
// text cannot show.
func (w wireToken) text() string {
	if len(w.Bytes) == 0 || utf8.ValidString(w.Token) && len(w.Token) == len(w.Bytes) {
		return w.Token
	}
	b := make([]byte, len(w.Bytes))
	for i, v := range w.Bytes {
		if v < 0 || v > 255 {
			return w.Token
		}
		b[i] = byte(v)
	}
	return string(b)
}

// Envelope is what stands around the choices of an encoded response.
type Envelope struct {
	ID         string                     // kept from Result.Raw if that has one
	Created    int64                      // Unix seconds; likewise
	Model      string                     // likewise
	Completion bool                       // the layout of /completions
	Extra      map[string]json.RawMessage // replaces fields of that name
}

// EncodeResponse writes a response. Unknown fields come from Result.Raw and
// Choice.Raw; choices are numbered by their place; text, finish reason,
// log-probabilities and usage are those of the result: what was changed in it
// is changed here, and what was not stays as it came. A result with its Body is
// that, with Extra at its end.
func EncodeResponse(res *llm.Result, env Envelope) []byte {
	if whole, ok := extend(res.Body, env.Extra); ok && !env.Completion {
		return whole
	}
	f := envelope(res.Raw, env, "")
	size := 2
	for _, c := range res.Choices {
		size += len(c.Raw) + 1
	}
	choices := append(make([]byte, 0, size), '[')
	for i, c := range res.Choices {
		if i > 0 {
			choices = append(choices, ',')
		}
		choices = append(choices, encodeChoice(c, i, env.Completion)...)
	}
	f.set("choices", append(choices, ']'))
	f.set("usage", EncodeUsage(f.get("usage"), res.Usage))
	return f.ordered(env.Extra)
}

// memberList is the members of an object, each name once.
type memberList []listed

type listed struct {
	name string
	raw  json.RawMessage
}

// listOf gives the members of what may be JSON and an object; else none.
func listOf(raw json.RawMessage) memberList {
	if len(raw) == 0 || !json.Valid(raw) {
		return nil
	}
	f := make(memberList, 0, 8)
	var at map[string]int // once there are many
	for name, raw := range members(raw) {
		if len(f) < 32 {
			f.set(name, raw)
			continue
		}
		if at == nil {
			at = map[string]int{}
			for i := range f {
				at[f[i].name] = i
			}
		}
		if i, ok := at[name]; ok {
			f[i].raw = raw
			continue
		}
		at[name] = len(f)
		f = append(f, listed{name, raw})
	}
	return f
}

func (f memberList) get(name string) json.RawMessage {
	for i := range f {
		if f[i].name == name {
			return f[i].raw
		}
	}
	return nil
}

func (f *memberList) set(name string, raw json.RawMessage) {
	for i := range *f {
		if (*f)[i].name == name {
			(*f)[i].raw = raw
			return
		}
	}
	*f = append(*f, listed{name, raw})
}

// ordered writes the well-known fields in their usual order, then the others, with
// extra over them.
func (f memberList) ordered(extra map[string]json.RawMessage) []byte {
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		f.set(name, extra[name])
	}
	size := 2
	for i := range f {
		size += len(f[i].name) + len(f[i].raw) + 4
	}
	o := object{make([]byte, 0, size)}
	usual := [...]string{"id", "object", "created", "model", "choices", "usage"}
	for _, name := range usual {
		if raw := f.get(name); raw != nil {
			o.set(name, raw)
		}
	}
	for i := range f {
		if !slices.Contains(usual[:], f[i].name) {
			o.set(f[i].name, f[i].raw)
		}
	}
	return o.bytes()
}

// extend puts members at the end of an object, unless it has one of them.
func extend(body json.RawMessage, extra map[string]json.RawMessage) ([]byte, bool) {
	end := bytes.LastIndexByte(body, '}')
	if end < 0 {
		return nil, false
	}
	size := len(body) + 16
	for name, v := range extra {
		if bytes.Contains(body, []byte(name)) { // perhaps as a member
			return nil, false
		}
		size += len(name) + len(v) + 4
	}
	out := append(make([]byte, 0, size), body[:end]...)
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		out = append(appendString(append(out, ','), name), ':')
		out = append(out, extra[name]...)
	}
	return append(out, '}'), true
}

// envelope gives the fields around choices, what is missing filled in.
func envelope(raw json.RawMessage, env Envelope, chunk string) memberList {
	f := listOf(raw)
	kind := "chat.completion" + chunk
	if env.Completion {
		kind = "text_completion"
	}
	fill := func(name string, v any) {
		if isZero(orNull(f.get(name)), true) {
			f.set(name, marshal(v))
		}
	}
	fill("id", env.ID)
	fill("object", kind)
	fill("created", env.Created)
	fill("model", env.Model)
	return f
}

// EncodeUsage writes usage figures over those that came, whose details stay if
// the figures are still theirs.
func EncodeUsage(came json.RawMessage, u llm.Usage) json.RawMessage {
	f := listOf(came)
	var prompt, completion int64
	if len(f) > 0 && readInt(f.get("prompt_tokens"), &prompt) == nil && readInt(f.get("completion_tokens"), &completion) == nil &&
		prompt == u.PromptTokens && completion == u.CompletionTokens {
		return came
	}
	fields := map[string]json.RawMessage{}
	for _, m := range f {
		fields[m.name] = m.raw
	}
	delete(fields, "prompt_tokens_details")
	delete(fields, "completion_tokens_details")
	fields["prompt_tokens"] = marshal(u.PromptTokens)
	fields["completion_tokens"] = marshal(u.CompletionTokens)
	fields["total_tokens"] = marshal(u.PromptTokens + u.CompletionTokens)
	return marshal(fields)
}

func encodeChoice(c llm.Choice, place int, completion bool) json.RawMessage {
	if untouched(c, place, completion) {
		return c.Raw
	}
	fields := map[string]json.RawMessage{}
	var came llm.Choice
	_ = json.Unmarshal(orNull(c.Raw), &fields)
	if fields["message"] == nil && fields["text"] == nil { // none, or of another protocol
		fields = map[string]json.RawMessage{}
	} else {
		came, _ = decodeChoice(c.Raw)
	}
	fields["index"] = marshal(place)
	if _, ok := fields["finish_reason"]; !ok || came.Finish != c.Finish {
		fields["finish_reason"] = marshal(cmp.Or(c.Finish, "stop"))
	}
	if !slices.EqualFunc(came.Tokens, c.Tokens, sameToken) || fields["logprobs"] == nil {
		fields["logprobs"] = encodeLogProbs(c.Tokens, completion)
	}
	if completion {
		delete(fields, "message")
		fields["text"] = marshal(c.Text)
		return marshal(fields)
	}
	var message map[string]json.RawMessage
	if json.Unmarshal(orNull(fields["message"]), &message) != nil || message == nil {
		message = map[string]json.RawMessage{"role": json.RawMessage(`"assistant"`), "content": marshal(c.Text)}
	}
	if came.Text != c.Text {
		message["content"] = marshal(c.Text)
	}
	if c.Reasoning != "" && came.Reasoning != c.Reasoning {
		message["reasoning_content"] = marshal(c.Reasoning)
	}
	fields["message"] = marshal(message)
	return marshal(fields)
}

// untouched tells a choice that can go out as it came.
func untouched(c llm.Choice, place int, completion bool) bool {
	f := listOf(c.Raw)
	layout := "message"
	if completion {
		layout = "text"
	}
	for _, name := range []string{layout, "index", "finish_reason", "logprobs"} {
		if f.get(name) == nil {
			return false
		}
	}
	came, err := decodeChoice(c.Raw)
	return err == nil && came.Index == place && came.Text == c.Text && came.Reasoning == c.Reasoning && came.Finish == c.Finish &&
		slices.EqualFunc(came.Tokens, c.Tokens, sameToken) && !(completion && f.get("message") != nil)
}

// sameToken compares what the wire can carry.
func sameToken(a, b llm.Token) bool {
	return a.Text == b.Text && a.LogProb == b.LogProb && slices.Equal(a.Top, b.Top)
}

// encodeLogProbs writes tokens in the layout of the endpoint; null without any.
func encodeLogProbs(tokens []llm.Token, completion bool) json.RawMessage {
	if len(tokens) == 0 {
		return json.RawMessage("null")
	}
	if !completion {
		content := make([]map[string]any, len(tokens))
		for i, t := range tokens {
			top := make([]map[string]any, len(t.Top))
			for k, alt := range t.Top {
				top[k] = wire(alt.Text, alt.LogProb)
			}
			content[i] = wire(t.Text, t.LogProb)
			content[i]["top_logprobs"] = top
		}
		return marshal(map[string]any{"content": content, "refusal": nil})
	}
	var texts []string
	var probs []float64
	var tops []map[string]float64
	var offsets []int
	offset := 0
	for _, t := range tokens {
		texts, probs, offsets = append(texts, t.Text), append(probs, finite(t.LogProb)), append(offsets, offset)
		offset += utf8.RuneCountInString(t.Text)
		top := map[string]float64{}
		for _, alt := range t.Top {
			top[alt.Text] = finite(alt.LogProb)
		}
		tops = append(tops, top)
	}
	return marshal(map[string]any{"tokens": texts, "token_logprobs": probs, "top_logprobs": tops, "text_offset": offsets})
}

func wire(text string, logProb float64) map[string]any {
	bytes := make([]int, len(text))
	for i := range len(text) {
		bytes[i] = int(text[i])
	}
	return map[string]any{"token": strings.ToValidUTF8(text, "�"), "logprob": finite(logProb), "bytes": bytes}
}

// finite writes what JSON cannot, an impossible token, as OpenAI does.
func finite(logProb float64) float64 {
	if math.IsInf(logProb, -1) || math.IsNaN(logProb) {
		return -9999
	}
	return logProb
}
