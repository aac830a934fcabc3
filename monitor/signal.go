package monitor

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// Signal turns evidence into a score. It is the same thing everywhere: what a
// vote weighs with, what a loop keeps by, what a belief reports, what an
// evaluation compares.
type Signal interface {
	// Name is family/name. A signal whose meaning changes changes its name,
	// since calibrators are keyed by it.
	Name() string
	// Score reads the signal for each candidate. The error is of the signal as a
	// whole; a candidate that lacks an input has it in its reading.
	Score(ctx context.Context, t *Trial, cs []*Candidate) ([]Reading, error)
}

// Reading is what a signal says of one candidate.
type Reading struct {
	Score  float64 // in [0,1], higher is more trustworthy
	Raw    float64 // before the map to [0,1]; each signal documents both
	Source string  // what was read: logprobs, distribution, samples, asked
	Reads  int     // how many tokens, samples or replies were read
	Parts  []Part  // scores of pieces of the answer, if the signal has them
	Why    string  // the reason, in words, if the signal has one
	Err    error   // why there is no score
}

// Part is the score of a piece of an answer.
type Part struct {
	Text  string
	Span  [2]int // byte offsets in the candidate's text
	Score float64
}

// ErrMissing is what a [MissingError] is.
var ErrMissing = errors.New("missing input")

// MissingError says which input a signal lacks. It is never a score.
type MissingError struct{ Needs string }

// Error implements error.
func (e *MissingError) Error() string { return "needs " + e.Needs }

// Is makes errors.Is(err, ErrMissing) true.
func (e *MissingError) Is(target error) bool { return target == ErrMissing }

// Each makes a signal that reads one candidate at a time and ignores the others.
func Each(name string, read func(context.Context, *Trial, *Candidate) (Reading, error)) Signal {
	return each{name, read}
}

type each struct {
	name string
	read func(context.Context, *Trial, *Candidate) (Reading, error)
}

func (s each) Name() string { return s.name }

func (s each) Score(ctx context.Context, t *Trial, cs []*Candidate) ([]Reading, error) {
	out := make([]Reading, len(cs))
	for i, c := range cs {
		r, err := s.read(ctx, t, c)
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%s: %w", s.name, ctx.Err())
		case err == nil && (!(r.Score >= 0 && r.Score <= 1) || math.IsNaN(r.Raw) || math.IsInf(r.Raw, 0)):
			err = fmt.Errorf("%s: score %v from raw %v: the model's figures make no sense", s.name, r.Score, r.Raw)
		}
		if err != nil {
			r = Reading{Err: err}
		}
		out[i] = r
	}
	return out, nil
}

// ScoreOne reads a signal for one candidate.
func ScoreOne(ctx context.Context, s Signal, t *Trial, c *Candidate) (Reading, error) {
	rs, err := s.Score(ctx, t, []*Candidate{c})
	if err != nil {
		return Reading{}, err
	}
	return rs[0], rs[0].Err
}
