// Package consistency holds the signals that compare an answer with other
// samples of the same question. An answer's class is the set of answers that
// mean the same; a sample that could not be read is in none, but
// it counts in the denominator.
//
// It may import monitor, monitor/likelihood, monitor/prompt, llm, text and stats.
package consistency

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gnothi/monitor"
)

// Samples is the number of samples that a signal draws when it is told 0 and
// the trial has not drawn any.
const Samples = 10

// draw takes n samples, or with 0 those that the trial has; two or more of them
// are taken as they are, else [Samples] are drawn.
func draw(ctx context.Context, t *monitor.Trial, n int) ([]*monitor.Candidate, error) {
	cs, sampling := t.Drawn()
	if n == 0 && len(cs) < 2 {
		n = Samples
	}
	if n == 0 {
		return cs, nil
	}
	more, err := t.Samples(ctx, sampling, n)
	if len(cs) == 1 && errors.Is(err, monitor.ErrMissing) {
		err = &monitor.MissingError{Needs: "two samples or more"}
	}
	return more, err
}

// ofSamples makes a signal of a figure of the samples that the trial has. It is of
// the question: every candidate gets the same.
func ofSamples(name string, in monitor.Inputs, read func(context.Context, *monitor.Trial, []*monitor.Candidate) (score, raw float64, err error)) monitor.Signal {
	return monitor.Needs(in|monitor.Samples, monitor.Each(name, func(ctx context.Context, t *monitor.Trial, _ *monitor.Candidate) (monitor.Reading, error) {
		cs, err := draw(ctx, t, 0)
		if err != nil {
			return monitor.Reading{}, err
		}
		if len(cs) < 2 {
			return monitor.Reading{}, &monitor.MissingError{Needs: "two samples or more"}
		}
		score, raw, err := read(ctx, t, cs)
		return monitor.Reading{Score: unit(score), Raw: raw, Source: "samples", Reads: len(cs)}, err
	}))
}

// ofAnswer makes a signal of a figure of a candidate beside the samples.
func ofAnswer(name string, in monitor.Inputs, read func(context.Context, *monitor.Trial, *monitor.Candidate, []*monitor.Candidate) (score, raw float64, err error)) monitor.Signal {
	return monitor.Needs(in|monitor.Samples, monitor.Each(name, func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		if c == nil {
			return monitor.Reading{}, &monitor.MissingError{Needs: "an answer"}
		}
		cs, sampling := t.Drawn()
		if len(cs) == 0 {
			var err error
			if cs, err = t.Samples(ctx, sampling, Samples); err != nil {
				return monitor.Reading{}, err
			}
		}
		score, raw, err := read(ctx, t, c, cs)
		return monitor.Reading{Score: unit(score), Raw: raw, Source: "samples", Reads: len(cs)}, err
	}))
}

// unit takes what rounding put outside [0,1] back in.
func unit(x float64) float64 {
	if x < 0 && x > -1e-9 {
		return 0
	}
	if x > 1 && x < 1+1e-9 {
		return 1
	}
	return x
}

// logProbs are the log-probabilities of the samples' texts, or of their mean
// token.
func logProbs(cs []*monitor.Candidate, mean bool) ([]float64, error) {
	out := make([]float64, len(cs))
	for i, c := range cs {
		l := logProb(c)
		switch {
		case len(c.Tokens) == 0:
			return nil, &monitor.MissingError{Needs: "token log-probabilities of the samples"}
		case !finite(l):
			return nil, &monitor.MissingError{Needs: fmt.Sprintf("log-probabilities from −∞ to 0; sample %d has others", i)}
		}
		if l = math.Min(l, 0); mean {
			l /= float64(len(c.Tokens))
		}
		out[i] = l
	}
	return out, nil
}
