package probe_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"testing"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/probe"
)

// traced is a model with a hidden state, and a count of who looks at it.
type traced struct {
	llm.Model
	state []float32
	ops   []llm.Op
}

func (m *traced) Can(a llm.Ability) bool { return a == llm.Hidden || m.Model.Can(a) }

func (m *traced) Do(_ context.Context, op llm.Op) (*llm.Result, error) {
	m.ops = append(m.ops, op)
	res := &llm.Result{}
	if m.state != nil {
		res.Choices = []llm.Choice{{State: m.state}}
	}
	return res, nil
}

func newTrial(m llm.Model) *monitor.Trial {
	return monitor.NewTrial(monitor.TrialOptions{Model: m, Request: llm.Request{Prompt: "Who?"}, Seed: 1})
}

func TestPIK(t *testing.T) {
	p := &probe.PIK{Depth: 0.5, Bias: 0.25, Weight: []float64{1, -2, 0}}
	m := &traced{Model: script.Texts(), state: []float32{0.5, 0.25, 9}}
	trial := newTrial(m)
	rs, err := p.Signal().Score(t.Context(), trial, make([]*monitor.Candidate, 3))
	if err != nil || len(rs) != 3 {
		t.Fatal(rs, err)
	}
	for _, r := range rs {
		if math.Abs(r.Raw-0.25) > 1e-12 || math.Abs(r.Score-1/(1+math.Exp(-0.25))) > 1e-12 || r.Source != "hidden" {
			t.Errorf("reading %+v, want log-odds of 0.25", r)
		}
	}
	if _, err := monitor.Get(t.Context(), trial, probe.State{Depth: 0.5}); err != nil || len(m.ops) != 1 {
		t.Errorf("%d traces, %v", len(m.ops), err)
	}
	if op := m.ops[0]; op.Kind != llm.Trace || op.Depth != 0.5 || op.Request.Prompt != "Who?" {
		t.Errorf("traced with %+v", op)
	}
	var back probe.PIK
	raw, err := json.Marshal(p)
	if err != nil || json.Unmarshal(raw, &back) != nil {
		t.Fatal(err)
	}
	if a, _ := p.LogOdds(m.state); a != 0.25 {
		t.Errorf("log-odds %v", a)
	}
	if b, err := back.LogOdds(m.state); err != nil || b != 0.25 {
		t.Errorf("after JSON %v, %v", b, err)
	}
}

func TestPIKWithoutItsInput(t *testing.T) {
	p := &probe.PIK{Depth: 0.5, Weight: []float64{1, 2}}
	if _, err := p.Signal().Score(t.Context(), newTrial(script.Texts("x")), nil); !errors.Is(err, monitor.ErrMissing) {
		t.Errorf("a model without hidden states: %v", err)
	}
	for name, state := range map[string][]float32{"no state": nil, "another width": {1, 2, 3}} {
		if rs, err := p.Signal().Score(t.Context(), newTrial(&traced{Model: script.Texts(), state: state}), nil); err == nil {
			t.Errorf("%s: %+v", name, rs)
		}
	}
}
