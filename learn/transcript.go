package learn

import (
	"context"
	"errors"
	"fmt"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/text"
)

// errBudget is what a loop that a budget ended is to its recipe.
var errBudget = fmt.Errorf("the budget ended within the loop: %w", llm.ErrBudget)

// loopError is what ended a loop before its time.
type loopError struct{ why string }

func (e *loopError) Error() string { return "the loop ended early: " + e.why }

// whole is a step as a row: attempt, feedback and second attempt as one
// completion in which a span marks the feedback, what.
func whole(s control.Step, what string, reward float64) Row {
	words, at := s.Transcript()
	return Row{Kind: Reward, Completion: words, Reward: number(reward), Spans: []Span{{Start: at.Start, End: at.End, What: what}}}
}

// grade is Check as a reward: 1 for right; readable says whether there was an answer.
func grade(ctx context.Context, t *monitor.Trial, p Prompt, c *monitor.Candidate) (right, readable bool, err error) {
	o, err := p.Check(ctx, t, c)
	return o == text.Right, o == text.Right || o == text.Wrong, err
}

// unread reports whether an error says only that something is missing or
// could not be read, which costs a row and not the prompt.
func unread(err error) bool { return errors.Is(err, monitor.ErrMissing) }

// revised is a loop that begins with a given answer.
func revised(ctx context.Context, t *monitor.Trial, p control.Policy, first *monitor.Candidate) (control.Result, error) {
	loop, ok := p.(control.Loop)
	if !ok {
		return control.Result{}, fmt.Errorf("policy %s is no loop", p)
	}
	loop.Start = given{first}
	res, err := loop.Run(ctx, t)
	if err == nil {
		err = stopped(&res)
	}
	return res, err
}

// given is the policy that has its answer.
type given struct{ c *monitor.Candidate }

// Run implements control.Policy.
func (g given) Run(context.Context, *monitor.Trial) (control.Result, error) {
	return control.Result{Best: g.c, Pool: []*monitor.Candidate{g.c}}, nil
}

func (given) String() string { return "given" }

// warm is a model that samples at temperature 1 what it would be asked greedily,
// so that a policy that is greedy can be run for several different results.
type warm struct{ llm.Model }

// Do implements llm.Model.
func (w warm) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	if op.Kind == llm.Generate {
		one := 1.0
		op.Request.Temperature = &one
	}
	return w.Model.Do(ctx, op)
}
