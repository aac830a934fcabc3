package control

import (
	"context"
	"errors"
	"fmt"

	"gnothi/llm"
	"gnothi/monitor"
)

// Loop revises an answer: feedback on it, a revision, a decision which to keep,
// until its feedback is content or the rounds are over. Its trace is the record
// of every before and after. The model's own earlier words go into a prompt as
// quoted text, never as evidence for themselves.
type Loop struct {
	Name     string
	Start    Policy // nil: Direct
	Feedback Feedback
	Revise   Reviser
	Keep     Keep // nil: the last that can be read
	Rounds   int
}

// Feedback says what is wrong with an answer. Content means that there is
// nothing to revise.
type Feedback func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (words string, content bool, err error)

// Reviser makes another answer in the light of feedback.
type Reviser func(ctx context.Context, t *monitor.Trial, round int, c *monitor.Candidate, feedback string) (*monitor.Candidate, error)

// Keep reports whether the revision replaces what it revises.
type Keep func(ctx context.Context, t *monitor.Trial, before, after *monitor.Candidate) (bool, error)

// Direct is one greedy call and nothing else.
func Direct() Policy { return Vote{Sampler: Greedy{}, Stop: Fixed(1)} }

// String implements Policy.
func (l Loop) String() string {
	return fmt.Sprintf("loop(%s, %v, rounds=%d)", l.Name, l.start(), l.Rounds)
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
	res.Stopped = "rounds"
	for round := 1; round <= l.Rounds; round++ {
		step, content, err := l.round(ctx, t, round, res.Best)
		if ctx.Err() != nil {
			return res, ctx.Err()
		}
		if err != nil {
			res.Stopped = err.Error()
			if errors.Is(err, llm.ErrBudget) {
				res.Stopped = "budget"
			}
			return res, nil
		}
		if content {
			res.Stopped = "content"
			return res, nil
		}
		res.Trace = append(res.Trace, step)
		res.Pool = append(res.Pool, step.After)
		if step.Kept {
			res.Best = step.After
		}
	}
	return res, nil
}

func (l Loop) round(ctx context.Context, t *monitor.Trial, round int, before *monitor.Candidate) (Step, bool, error) {
	words, content, err := l.Feedback(ctx, t, before)
	if err != nil || content {
		return Step{}, content, err
	}
	after, err := l.Revise(ctx, t, round, before, words)
	if err != nil {
		return Step{}, false, err
	}
	kept := after.Key != "" || before.Key == ""
	if l.Keep != nil {
		if kept, err = l.Keep(ctx, t, before, after); err != nil {
			return Step{}, false, err
		}
	}
	return Step{Round: round, Before: before, After: after, Feedback: words, Kept: kept}, false, nil
}
