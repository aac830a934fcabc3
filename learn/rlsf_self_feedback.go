package learn

import (
	"context"
	"math"

	"gnothi/control"
	"gnothi/monitor"
	"gnothi/monitor/likelihood"
)

// SelfFeedback is the recipe `rlsf-self-feedback` (van Niekerk et al. 2025; the
// part without gradients): the k likeliest first tokens each begin a trace that
// goes on greedily; a trace's confidence is the mean gap between the two
// likeliest tokens on its answer's span. Pairs: the most against the least
// confident, and each against the next, where the gap between them is at least
// delta. Traces whose answer is not found have no confidence and no pair. 1 + k
// calls.
//
// Where answers can be checked the report says how well confidence tells them
// apart; below an AUROC of .6 confidence does not rank answers here and pairs
// teach nothing. Chosen: delta .1.
func SelfFeedback(k int, delta float64) Recipe {
	gap := likelihood.AnswerSpanGap()
	return Recipe{
		Name: "rlsf-self-feedback", About: "the trace with the surer answer against the less sure one",
		Needs: "prompts; a model that continues raw text and shows its likeliest tokens",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			cs, err := control.Branches{K: k}.Draw(ctx, t, k)
			if err != nil {
				return err
			}
			cs = m.sift(cs, t, true)
			scores, err := readings(ctx, gap, t, cs, func(r monitor.Reading) float64 { return r.Score })
			if err != nil {
				return err
			}
			m.Score(scores...)
			for i, s := range scores {
				switch {
				case math.IsNaN(s):
					m.Drop("trace: no answer span")
				case p.Checked():
					o, err := p.Check(ctx, t, cs[i])
					if err != nil {
						return err
					}
					if right := truth(o); right != nil {
						m.Label(s, *right)
					}
				}
			}
			pairs := Ladder(scores, delta)
			if len(pairs) == 0 {
				m.Drop("prompt: no margin is wide enough")
			}
			for _, d := range pairs {
				m.Add(pair(cs[d.Chosen], cs[d.Rejected], d.Margin))
			}
			return nil
		},
	}
}
