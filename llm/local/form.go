package local

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"

	"gnothi/engine"
	"gnothi/engine/grammar"
	"gnothi/llm"
)

// sampled are the fields of a client's request, beyond those of [llm.Request],
// that say how to sample.
type sampled struct {
	bias                            map[int32]float64
	presence, frequency, repetition float64
	grammar                         *grammar.Grammar
}

// Widest values, those of the OpenAI API.
const (
	mostBias    = 100
	mostPenalty = 2
)

func (m *Model) sampled(r llm.Request) (s sampled, err error) {
	field := func(name string, to any, want string) bool {
		raw := r.Extra[name]
		if err != nil || len(raw) == 0 || string(raw) == "null" {
			return false
		}
		if json.Unmarshal(raw, to) != nil {
			err = m.refuses(name, "%s: has to be %s", name, want)
		}
		return err == nil
	}
	for name, to := range map[string]*float64{"presence_penalty": &s.presence, "frequency_penalty": &s.frequency} {
		if field(name, to, "a number") && math.Abs(*to) > mostPenalty {
			err = m.refuses(name, "%s: %g is not within -%d and %[3]d", name, *to, mostPenalty)
		}
	}
	for _, name := range []string{"repetition_penalty", "repeat_penalty"} { // vLLM's name and llama.cpp's
		if field(name, &s.repetition, "a number") && !(s.repetition > 0 && s.repetition <= 100) {
			err = m.refuses(name, "%s: %g is not within 0 and 100", name, s.repetition)
		}
	}
	var bias map[string]float64
	if field("logit_bias", &bias, "an object of numbers by token id") {
		s.bias = map[int32]float64{}
		for key, b := range bias {
			id, perr := strconv.ParseInt(key, 10, 32)
			switch {
			case perr != nil || id < 0 || int(id) >= m.engine.Info().Vocab:
				err = m.refuses("logit_bias", "logit_bias: %q is not one of the model's tokens, 0 to %d", key, m.engine.Info().Vocab-1)
			case math.Abs(b) > mostBias:
				err = m.refuses("logit_bias", "logit_bias: %g for token %d is not within -%d and %[3]d", b, id, mostBias)
			}
			s.bias[int32(id)] = b
		}
	}
	if err != nil {
		return s, err
	}
	s.grammar, err = m.grammar(r)
	return s, err
}

// grammar compiles the form that a client asks for; nil if it asks for none.
func (m *Model) grammar(r llm.Request) (*grammar.Grammar, error) {
	const name = "response_format"
	raw := r.Extra[name]
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var form struct {
		Type   string          `json:"type"`
		Schema json.RawMessage `json:"schema"` // as llama.cpp has it
		JSON   struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	}
	if json.Unmarshal(raw, &form) != nil {
		return nil, m.refuses(name, "%s: has to be an object with a type", name)
	}
	schema := form.Schema
	switch form.Type {
	case "text":
		return nil, nil
	case "json_object":
		if schema == nil {
			schema = json.RawMessage(grammar.AnyObject)
		}
	case "json_schema":
		if form.JSON.Schema != nil {
			schema = form.JSON.Schema
		}
		if schema == nil {
			return nil, m.refuses(name+".json_schema", "%s: json_schema.schema is missing", name)
		}
	default:
		return nil, m.refuses(name+".type", "%s: there is no type %q; there are text, json_object and json_schema", name, form.Type)
	}
	if slices.ContainsFunc(r.Stop, func(s string) bool { return s != "" }) {
		return nil, m.refuses("stop", "stop: cannot be combined with %s, which says where the answer ends", name)
	}
	g, err := m.engine.Grammar(schema)
	var bad *grammar.SchemaError
	if errors.As(err, &bad) {
		return nil, m.refuses(name, "%s: %v", name, bad)
	}
	return g, err
}

// sampling says how choices are drawn, but for the seed of each.
func (m *Model) sampling(r llm.Request, prompt int) (engine.Sampling, error) {
	x, err := m.sampled(r)
	if err != nil {
		return engine.Sampling{}, err
	}
	s := engine.Sampling{
		Temperature: 1, TopK: r.TopK, Stop: m.ends, Stats: engine.Stats{Top: r.TopLogProbs}, MaxTokens: m.engine.Info().Context - prompt,
		Bias: x.bias, Presence: x.presence, Frequency: x.frequency, Repetition: x.repetition, Grammar: x.grammar,
	}
	if r.MaxTokens > 0 {
		s.MaxTokens = min(s.MaxTokens, r.MaxTokens)
	}
	for from, to := range map[*float64]*float64{r.Temperature: &s.Temperature, r.TopP: &s.TopP, r.MinP: &s.MinP} {
		if from != nil {
			*to = *from
		}
	}
	return s, nil
}
