package learn

import (
	"context"
	"math"

	"gnothi/monitor"
	"gnothi/monitor/judge"
)

// Principle is the one general principle that self-reference-ai-feedback judges by.
const Principle = "which reply is best for humanity"

// SelfReferenceJudge answers the question itself first, criticises both
// candidates by the reference of its own answer, and chooses.
func SelfReferenceJudge() judge.Judge {
	return judge.Judge{Rubric: Principle, Reference: judge.OwnAnswer, Reason: true, Votes: 3}
}

// SelfReference is the recipe `self-reference-ai-feedback` (Bao et al. 2024): n samples are
// compared two by two, in both orders, by a judge that has its own answer for
// reference. Orders that disagree give no pair. The margin is the strength of the
// preference, the mean of log p(chosen) − log p(rejected) over the votes, and the
// share drop of all pairs with the weakest ones is left out in the end.
// 1 + n + n·votes calls.
//
// Chosen: reading the strength so, as the paper's formula was not found; .2.
func SelfReference(n int, drop float64, j *judge.Judge) Recipe {
	return Recipe{
		Name: "self-reference-ai-feedback", About: "pairs by critique against the judge's own answer, the weakest left out",
		Needs: "prompts; a judge, with log-probabilities for the strength",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			cs, err := m.pool(ctx, t, monitor.DefaultSampling, n, true)
			if err != nil {
				return err
			}
			if len(cs) < 2 {
				m.Drop("prompt: fewer than two different samples")
			}
			for i := 0; i+1 < len(cs); i += 2 {
				c, err := j.Compare(ctx, t, cs[i], cs[i+1])
				if other := m.heard(j, err, func(b *judge.Tally) { b.Compared(c, err) }, "comparison that could not be read"); other != nil {
					return other
				} else if err != nil {
					continue
				}
				switch {
				case !c.Agree:
					m.Drop("pair: the orders disagree")
					continue
				case c.Outcome == 0.5:
					m.Drop("pair: tie")
					continue
				}
				chosen, rejected := cs[i], cs[i+1]
				if c.Outcome < 0.5 {
					chosen, rejected = rejected, chosen
				}
				m.Score(math.Abs(c.Strength))
				row := pair(chosen, rejected, math.Abs(c.Strength))
				row.Scores = map[string]float64{"share": math.Max(c.Share, 1-c.Share)}
				m.Add(row)
			}
			return nil
		},
		All: func(rows []Row, m *Made) (kept []Row) {
			margins := make([]float64, len(rows))
			for i, r := range rows {
				margins[i] = *r.Margin
			}
			for i, weak := range Weakest(margins, drop) {
				if weak {
					m.Drop("pair: among the weakest")
				} else {
					kept = append(kept, rows[i])
				}
			}
			return kept
		},
	}
}
