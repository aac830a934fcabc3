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
	score, err := monitor.Get(ctx, t, verified{v, c})
	return err == nil && score >= v.At, err
}

// verified is the evidence of a verifier's score, in [0,1].
type verified struct {
	verifier  *Verifier
	candidate *monitor.Candidate
}

// Gather implements monitor.Evidence.
func (e verified) Gather(ctx context.Context, t *monitor.Trial) (float64, error) {
	r, err := monitor.ScoreOne(ctx, e.verifier.Signal, t, e.candidate)
	if err != nil {
		return 0, fmt.Errorf("verifier %s: %w", e.verifier.Signal.Name(), err)
	}
	return r.Score, nil
}

// Failing asks for feedback only on what the verifier fails; next may be nil:
// then the failure has no words.
func Failing(v *Verifier, next Feedback) Feedback {
	return func(ctx context.Context, t *monitor.Trial, sofar Result) (string, bool, error) {
		ok, err := v.Passes(ctx, t, sofar.Best)
		if err != nil || ok || next == nil {
			return "", ok, err
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
			score, err := monitor.Get(ctx, t, verified{v, c})
			if err != nil {
				return nil, err
			}
			if score > top {
				best, top = c, score
			}
		}
		return best, nil
	}
}
