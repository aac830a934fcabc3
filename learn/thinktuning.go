package learn

import (
	"context"
	"math"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/monitor"
)

// ThinkTuning is the recipe `thinktuning` (RRV et al. 2025; the part without
// gradients): of n rollouts a share is guided: a teacher of the student's own
// size, here the same model, reads the attempt without knowing the answer and
// makes a remark, and the student goes on from it. A row is a rollout with the
// checker's reward, 1 or 0; in a guided one a span marks what the teacher said,
// which a trainer masks or weighs apart, as it was not sampled from the student.
// n + 2·⌈share·n⌉ calls.
//
// The paper lets the share fall from .1 to .01 over training; the kinds of
// remark, [control.Guidances], take turns. Chosen: the share is rounded up, so
// that a small group has one guided rollout.
func ThinkTuning(n int, share float64) Recipe {
	return Recipe{
		Name: "thinktuning", About: "rollouts with the checker's reward, some of them guided by a remark",
		Needs: "prompts with answers, a puzzle, or a verifier",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			if !p.Checked() {
				return errUnchecked
			}
			cs, err := m.pool(ctx, t, monitor.Sampling{Temperature: 1}, n, false)
			if err != nil {
				return err
			}
			guided := int(math.Ceil(share * float64(n)))
			kinds := control.Guidances()
			for i, c := range cs {
				if i < guided {
					child := t.Child("guided", i, nil, llm.Request{})
					res, err := revised(ctx, child, control.Guided(kinds[i%len(kinds)]), c)
					if err != nil {
						return err
					}
					for _, s := range res.Trace {
						right, readable, err := grade(ctx, child, p, s.After)
						if err != nil {
							return err
						}
						m.rollout(whole(s, "teacher", 0), right, readable, "guided rollouts that are right")
					}
					continue
				}
				right, readable, err := grade(ctx, t, p, c)
				if err != nil {
					return err
				}
				m.rollout(Row{Kind: Reward, Completion: said(c)}, right, readable, "free rollouts that are right")
			}
			return nil
		},
	}
}

// rollout adds a row with a checker's reward. An answer that cannot be read
// earns nothing, and is no wrong one.
func (m *Made) rollout(row Row, right, readable bool, name string) {
	reward := 0.0
	if right {
		reward = 1
	}
	row.Reward = &reward
	m.Score(reward)
	if readable {
		row.Right = &right
		m.Count(name, right)
	}
	m.Add(row)
}
