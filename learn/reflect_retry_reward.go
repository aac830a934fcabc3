package learn

import (
	"context"
	"strings"

	"gnothi/control"
	"gnothi/learn/countdown"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/text"
)

// ReflectRetry is the recipe `reflect-retry-reward` (Bensal et al. 2025; the part
// without gradients): where a checker fails the first answer, n reflections on
// it are written, and each is followed by a second attempt with it in sight. A
// row is one reflection with its attempts; its reward, 1 if the second attempt
// passes and else 0, is for the tokens of the reflection alone, which a span
// marks, and rows of one prompt are a group. Answers that pass at once give no
// row. A reflection that gives the right answer away is left out and counted: it
// would reward leaking. 1 + 2n calls. The report has success at the first try
// and at the second.
//
// The control, retrying without reflection, is the policy `retry`. Chosen: the
// attempt is quoted instead of going on in one chat.
func ReflectRetry(n int) Recipe {
	return Recipe{
		Name: "reflect-retry-reward", About: "reflections on a failure, rewarded if the retry succeeds",
		Needs: "prompts with answers, a puzzle, or a verifier",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			if !p.Checked() {
				return errUnchecked
			}
			first, err := monitor.Get(ctx, t, monitor.Greedy{})
			if err != nil {
				return err
			}
			right, _, err := grade(ctx, t, p, first)
			if err != nil {
				return err
			}
			m.Count("success at the first try", right)
			if right {
				m.Count("success by the second try", true)
				m.Drop("prompt: right at once")
				return nil
			}
			policy := control.ReflectRetry(p.verifier(), "reflection", 1)
			helped := false
			for i := range n {
				// Each reflection has a trial of its own and begins with the same answer.
				model := t.Model
				if i > 0 { // the first is greedy, as the policy is
					model = warm{t.Model}
				}
				child := t.Child("reflection", i, model, llm.Request{})
				res, err := revised(ctx, child, policy, first)
				if err != nil {
					return err
				}
				for _, s := range res.Trace {
					ok, _, err := grade(ctx, child, p, s.After)
					if err != nil {
						return err
					}
					if gives(s.Feedback, p) {
						m.Drop("reflection that gives the answer away")
						continue
					}
					helped = helped || ok
					reward := 0.0
					if ok {
						reward = 1
					}
					m.Score(reward)
					row := whole(s, "reflection", reward)
					row.Role, row.Right = "reflection", &ok
					m.Add(row)
				}
			}
			m.Count("success by the second try", helped)
			return nil
		},
	}
}

// gives reports whether a reflection says the answer.
func gives(words string, p Prompt) bool {
	s := " " + text.Normalise(words) + " "
	for _, a := range p.Answers {
		if k := text.Normalise(a); k != "" && strings.Contains(s, " "+k+" ") {
			return true
		}
	}
	if p.Countdown != nil {
		for line := range strings.Lines(words) {
			if p.Countdown.Check(countdown.Find(line)) == nil {
				return true
			}
		}
	}
	return false
}
