package probe

import (
	"context"
	"fmt"
	"math"

	"gnothi/monitor"
)

// PIK is a linear probe for P(IK), the probability that the model knows the
// answer, read before it answers (p-true-p-ik, Kadavath et al. 2022, who train a
// head on the final layer; ours reads the middle of the residual stream, which
// told more here). The labels are whether the policy's answer was right.
type PIK struct {
	Depth  float64   `json:"depth"`
	Bias   float64   `json:"bias"`
	Weight []float64 `json:"weight"` // one for each dimension of the state
}

// LogOdds is the probe's reading of a state.
func (p *PIK) LogOdds(state []float32) (float64, error) {
	if len(state) != len(p.Weight) {
		return 0, fmt.Errorf("the probe has %d dimensions, the model's state %d", len(p.Weight), len(state))
	}
	sum := p.Bias
	for i, w := range p.Weight {
		sum += w * float64(state[i])
	}
	return sum, nil
}

// Signal is probe/p-ik: raw is the log-odds, the score their probability. It is
// of the question: every candidate gets the same.
func (p *PIK) Signal() monitor.Signal { return signal{p} }

type signal struct{ probe *PIK }

// Name is what calibrators call the signal.
const Name = "probe/p-ik"

func (signal) Name() string { return Name }

func (s signal) Score(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) ([]monitor.Reading, error) {
	state, err := monitor.Get(ctx, t, State{s.probe.Depth})
	if err != nil {
		return nil, err
	}
	r, err := s.probe.Reading(state)
	if err != nil {
		return nil, err
	}
	out := make([]monitor.Reading, len(cs))
	for i := range out {
		out[i] = r
	}
	return out, nil
}

// Reading reads a state that is there already.
func (p *PIK) Reading(state []float32) (monitor.Reading, error) {
	raw, err := p.LogOdds(state)
	return Reading(raw), err
}

// Reading makes a reading of the probe's log-odds.
func Reading(logOdds float64) monitor.Reading {
	return monitor.Reading{Score: 1 / (1 + math.Exp(-logOdds)), Raw: logOdds, Source: "hidden", Reads: 1}
}
