package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gnothi/llm"
	"gnothi/monitor"
)

// Loop revises: feedback on what there is, revisions in its light, a decision
// which answer stands, until the feedback is content or the rounds are over.
// Its trace is the record of every before and after. Each field has the zero
// value that most methods want, so a method is its templates and one literal.
//
// Whatever the model said earlier goes into a prompt as quoted text in a fresh
// context, never as a turn of its own: it is what is looked at, not evidence
// for itself (sequence-model-delusions, Ortega et al. 2021).
type Loop struct {
	Name     string   // with the identity of every template
	Start    Policy   // nil: [Direct]
	Feedback Feedback // nil: none is sought, every round revises
	Revise   Reviser
	Keep     Keep // nil: [Last]
	Rounds   int
	// Tokens, if positive, is what the trial may have spent before a further
	// round begins: the control of another method at equal tokens.
	Tokens int64
}

// Feedback says what is wrong with the answer that stands, sofar.Best, or with
// the pool as a whole. Content means that there is nothing to revise.
type Feedback func(ctx context.Context, t *monitor.Trial, sofar Result) (words string, content bool, err error)

// Reviser makes answers in the light of feedback; round counts from 1. Those
// it made before an error are kept.
type Reviser func(ctx context.Context, t *monitor.Trial, round int, sofar Result, feedback string) ([]*monitor.Candidate, error)

// Keep chooses the answer that stands after revisions, of which there is at
// least one: the one before (nil says the same), one of them, or one of its own
// making. sofar does not hold the revisions yet.
type Keep func(ctx context.Context, t *monitor.Trial, sofar Result, revised []*monitor.Candidate) (*monitor.Candidate, error)

// Direct is one greedy call and nothing else.
func Direct() Policy { return Vote{Sampler: Greedy{}, Stop: Fixed(1)} }

// Last keeps the last revision that can be read; one that can not be read only
// replaces another such.
func Last(_ context.Context, _ *monitor.Trial, sofar Result, revised []*monitor.Candidate) (*monitor.Candidate, error) {
	for i := len(revised) - 1; i >= 0; i-- {
		if revised[i].Key != "" {
			return revised[i], nil
		}
	}
	if sofar.Best.Key == "" {
		return revised[len(revised)-1], nil
	}
	return sofar.Best, nil
}

// String implements Policy.
func (l Loop) String() string {
	tokens := ""
	if l.Tokens > 0 {
		tokens = fmt.Sprintf(", tokens=%d", l.Tokens)
	}
	return fmt.Sprintf("loop(%s, %v, rounds=%d%s)", l.Name, l.start(), l.Rounds, tokens)
}

func (l Loop) start() Policy {
	if l.Start == nil {
		return Direct()
	}
	return l.Start
}

// Run implements Policy. A failure after the first answer ends the loop with
// what it has.
func (l Loop) Run(ctx context.Context, t *monitor.Trial) (Result, error) {
	res, err := l.start().Run(ctx, t)
	if err != nil || res.Best == nil {
		return res, err
	}
	if res.Best.IsCall() { // words about it would take its place
		res.Stopped = "a tool call is not revised"
		return res, nil
	}
	res.Stopped = "rounds"
	for round := 1; round <= l.Rounds; round++ {
		if l.Tokens > 0 && t.Ledger.Spent().Tokens() >= l.Tokens {
			res.Stopped = "tokens"
			return res, nil
		}
		content, err := l.round(ctx, t, round, &res)
		switch {
		case ctx.Err() != nil:
			return res, ctx.Err()
		case errors.Is(err, llm.ErrBudget):
			res.Stopped = "budget"
			return res, nil
		case err != nil:
			res.Stopped = err.Error()
			return res, nil
		case content:
			res.Stopped = "content"
			return res, nil
		}
	}
	return res, nil
}

// round takes one step and enters it into the result.
func (l Loop) round(ctx context.Context, t *monitor.Trial, round int, res *Result) (content bool, err error) {
	words := ""
	if l.Feedback != nil {
		if words, content, err = l.Feedback(ctx, t, *res); err != nil || content {
			res.Verdict = words
			return content, err
		}
	}
	before := *res
	revised, err := l.Revise(ctx, t, round, before, words)
	res.Pool = append(res.Pool[:len(res.Pool):len(res.Pool)], revised...)
	if err != nil || len(revised) == 0 {
		if err == nil {
			err = errors.New("the reviser gave nothing")
		}
		return false, err
	}
	keep := l.Keep
	if keep == nil {
		keep = Last
	}
	best, err := keep(ctx, t, before, revised)
	if err != nil {
		return false, err
	}
	if best == nil {
		best = before.Best
	}
	step := Step{Round: round, Before: before.Best, After: revised[0], Feedback: words}
	switch {
	case slices.Contains(revised, best):
		step.After, step.Kept = best, true
	case best != before.Best: // an answer of the keeper's own
		res.Pool = append(res.Pool, best)
	}
	res.Best = best
	res.Trace = append(res.Trace, step)
	all := Result{Pool: res.Pool}
	err = Vote{}.count(ctx, t, &all)
	res.Classes = all.Classes
	return false, err
}
