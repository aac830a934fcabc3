package calibrate

import (
	"context"
	"fmt"

	"gnothi/monitor"
)

// Combined is calibrate/combined: the calibrated probability itself as a signal,
// a learned combination of the signals that the calibrator was fitted with.
// Votes, loops and cascades take it like any other. parts must hold each of the
// calibrator's signals by name; what else they hold is not read. Raw is the
// log-odds. A candidate that lacks one of them has that error; one unlike the
// answers that the calibrator saw says so in Why.
func Combined(c *Calibrator, parts []monitor.Signal) (monitor.Signal, error) {
	s := combined{calibrator: c}
	if c.Probe != nil {
		return nil, fmt.Errorf("calibrate/combined: the calibrator %s reads hidden states, which no signal gives", c.Name)
	}
	for _, name := range c.Signals {
		found := false
		for _, p := range parts {
			if p.Name() == name && !found {
				s.parts, found = append(s.parts, p), true
			}
		}
		if !found {
			return nil, fmt.Errorf("calibrate/combined: the calibrator %s needs the signal %s", c.Name, name)
		}
	}
	return s, nil
}

type combined struct {
	calibrator *Calibrator
	parts      []monitor.Signal
}

func (combined) Name() string { return "calibrate/combined" }

func (s combined) Score(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) ([]monitor.Reading, error) {
	read := make([][]Named, len(cs))
	out := make([]monitor.Reading, len(cs))
	for _, p := range s.parts {
		rs, err := p.Score(ctx, t, cs)
		if err != nil {
			return nil, err
		}
		for i, r := range rs {
			if r.Err != nil && out[i].Err == nil {
				out[i].Err = fmt.Errorf("%s: %w", p.Name(), r.Err)
			}
			read[i] = append(read[i], Named{p.Name(), r})
		}
	}
	for i := range cs {
		if out[i].Err != nil {
			continue
		}
		e, err := s.calibrator.Apply(read[i])
		if err != nil {
			out[i].Err = err
			continue
		}
		out[i] = monitor.Reading{Score: e.P, Source: "signals", Reads: len(s.parts)}
		for _, term := range e.Terms {
			out[i].Raw += term.Value
		}
		if e.Outside {
			out[i].Why = "unlike the answers that the calibrator saw"
		}
	}
	return out, nil
}
