package llm_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"gnothi/llm"
)

// skilled is a model that can do what its map says and pretends the rest: it
// answers without having looked.
type skilled struct {
	can   map[llm.Ability]bool
	calls int
	fails error
}

func (m *skilled) ID() llm.ID             { return llm.ID{Provider: "test", Name: "skilled"} }
func (m *skilled) Can(a llm.Ability) bool { return m.can[a] }

func (m *skilled) Do(_ context.Context, op llm.Op) (*llm.Result, error) {
	m.calls++
	if m.fails != nil {
		return nil, m.fails
	}
	r := op.Request
	text := "Hello."
	has := func(field string) bool { return r.Extra[field] != nil }
	last := llm.Message{}
	if len(r.Messages) > 0 {
		last = r.Messages[len(r.Messages)-1]
	}
	switch {
	case r.Prompt != "":
		if !m.can[llm.RawPrompt] {
			return nil, &llm.UnsupportedError{Model: m.ID(), Ability: llm.RawPrompt}
		}
		text = " 8 9"
	case last.Role == "assistant" && m.can[llm.Prefill]:
		text = "is."
	case last.Raw != nil && m.can[llm.Images] && strings.Contains(string(last.Raw), "data:image/png"):
		text = "Red."
	case has("response_format") && m.can[llm.Schema]:
		text = `{"seven": 7}`
	case op.Seed != 0:
		text = strings.Repeat("1", int(op.Seed))
		if !m.can[llm.Seeded] {
			text = strings.Repeat("1", m.calls)
		}
	}
	res := &llm.Result{}
	for k := range op.N() {
		c := llm.Choice{Index: op.Index(k), Text: text, Finish: "stop", Raw: json.RawMessage(`{}`)}
		if r.LogProbs && m.can[llm.LogProbs] {
			c.Tokens = []llm.Token{{Text: text, LogProb: -1}}
		}
		if has("tools") && m.can[llm.Tools] {
			c.Raw = json.RawMessage(`{"message":{"tool_calls":[{"function":{"name":"time_in"}}]}}`)
		}
		res.Choices = append(res.Choices, c)
	}
	if op.Stream != nil {
		pieces := []string{text}
		if m.can[llm.Streaming] {
			pieces = []string{text[:1], text[1:]}
		}
		for _, p := range pieces {
			if err := op.Stream(llm.Event{Text: p}); err != nil {
				return nil, err
			}
		}
	}
	return res, nil
}

var probed = []llm.Ability{llm.LogProbs, llm.Several, llm.Seeded, llm.Streaming, llm.Tools, llm.Images, llm.Schema, llm.Prefill, llm.RawPrompt}

// Each ability is found where it is, and only there.
func TestProbe(t *testing.T) {
	for _, only := range probed {
		m := &skilled{can: map[llm.Ability]bool{only: true}}
		findings, err := llm.Probe(t.Context(), m)
		if err != nil || len(findings) != len(probed) {
			t.Fatalf("%v, %v", findings, err)
		}
		for _, f := range findings {
			if f.Can != (f.Ability == only) || f.Can == (f.Why != "") || f.At.IsZero() {
				t.Errorf("a model that has only %q: %+v", only, f)
			}
		}
		if m.calls > 12 {
			t.Errorf("%d calls", m.calls)
		}
	}
}

// What is no matter of abilities ends the probe and is nobody's finding.
func TestProbeEnds(t *testing.T) {
	for _, err := range []error{
		&llm.APIError{Status: 401, Message: "no key"}, &llm.APIError{Status: 0, Message: "connection refused"}, &llm.APIError{Status: 503}, &llm.APIError{Status: 404, Message: "The model does not exist"},
		&llm.BudgetError{What: "calls"},
	} {
		m := &skilled{fails: err}
		findings, got := llm.Probe(t.Context(), m)
		if !errors.Is(got, err) || len(findings) != 0 || m.calls != 1 {
			t.Errorf("%v: %v, %v after %d calls", err, findings, got, m.calls)
		}
	}
	m := &skilled{fails: &llm.APIError{Status: 400, Message: "no such parameter"}}
	if findings, err := llm.Probe(t.Context(), m); err != nil || len(findings) != len(probed) || findings[0].Can {
		t.Errorf("%v, %v", findings, err)
	}
}
