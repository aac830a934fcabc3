package control

import (
	"context"
	"fmt"

	"gnothi/monitor"
)

// Verifier tells good answers from bad ones from outside the model's own
// doubts: a test, a solver, the user's program; any signal with a threshold. An
// answer passes at a score of At or above. What it said of a candidate is
// remembered for the trial.
type Verifier struct {
	Signal monitor.Signal
	At     float64 // 0..1
}

// String names the verifier with its threshold.
func (v *Verifier) String() string {
	if v == nil {
		return "no verifier"
	}
	return fmt.Sprintf("%s>=%g", v.Signal.Name(), v.At)
}

// Passes reports whether an answer passes. A signal that can not be read is an
// error: it says neither.
func (v *Verifier) Passes(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (bool, error) {
	r, err := monitor.Get(ctx, t, verified{v, c})
	return err == nil && r.Score >= v.At, err
}

// verified is the evidence of a verifier's reading of a candidate.
type verified struct {
	verifier  *Verifier
	candidate *monitor.Candidate
}

// Gather implements monitor.Evidence.
func (e verified) Gather(ctx context.Context, t *monitor.Trial) (monitor.Reading, error) {
	r, err := monitor.ScoreOne(ctx, e.verifier.Signal, t, e.candidate)
	if err != nil {
		err = fmt.Errorf("verifier %s: %w", e.verifier.Signal.Name(), err)
	}
	return r, err
}

// Failing asks for feedback only on what the verifier fails; without next the
// verifier's own reason is the feedback, if it gives one.
func Failing(v *Verifier, next Feedback) Feedback {
	return func(ctx context.Context, t *monitor.Trial, sofar Result) (string, bool, error) {
		r, err := monitor.Get(ctx, t, verified{v, sofar.Best})
		if ok := r.Score >= v.At; err != nil || ok || next == nil {
			return r.Why, err == nil && ok, err
		}
		return next(ctx, t, sofar)
	}
}

// Passing keeps the first revision that the verifier passes, else the last
// that can be read.
func Passing(v *Verifier) Keep {
	return func(ctx context.Context, t *monitor.Trial, sofar Result, revised []*monitor.Candidate) (*monitor.Candidate, error) {
		for _, c := range revised {
			ok, err := v.Passes(ctx, t, c)
			if err != nil {
				return nil, err
			}
			if ok {
				return c, nil
			}
		}
		return Last(ctx, t, sofar, revised)
	}
}

// Highest keeps the candidate, old or new, that scores highest with the
// verifier's signal; the earlier one among equals.
func Highest(v *Verifier) Keep {
	return func(ctx context.Context, t *monitor.Trial, sofar Result, revised []*monitor.Candidate) (*monitor.Candidate, error) {
		best, top := sofar.Best, -1.0
		for _, c := range append([]*monitor.Candidate{sofar.Best}, revised...) {
			r, err := monitor.Get(ctx, t, verified{v, c})
			if err != nil {
				return nil, err
			}
			if r.Score > top {
				best, top = c, r.Score
			}
		}
		return best, nil
	}
}
