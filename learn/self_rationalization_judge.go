package learn

import (
	"cmp"
	"context"
	"math"
	"slices"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
)

// SelfRationalization is the recipe `self-rationalization-judge` (Trivedi et al.
// 2024; the part without gradients): a given response with the score that it
// deserves is judged n times at temperature 1, each time with reasons; the
// judgement that gives the right score, of several the one of median length, is
// chosen over those that miss it by at least margin, the widest first, at most pairs of
// them. Without a score the majority of the judgements stands for it, which the
// row says (scores, "majority"). Rows are of the role judge. n calls.
//
// n is odd (the paper has 10). The report has the absolute error of a single
// judgement and of their mean, and how often the majority is right: what voting would give without training.
func SelfRationalization(margin float64, pairs int, j *judge.Judge) Recipe {
	return Recipe{
		Name: "self-rationalization-judge", About: "judgements that reach the right score against those that miss it",
		Needs: "prompts with \"response\", best with \"score\"; a judge",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			if p.Response == "" {
				return &monitor.MissingError{Needs: "\"response\": a reply to the question, which is to be judged"}
			}
			c := t.Candidate(llm.Choice{Text: p.Response}, monitor.FromOutside, nil)
			r, err := m.rate(ctx, j, t, c)
			if err != nil {
				return err
			}
			m.self = false // what is judged was given
			verdicts := make([]float64, len(r.Votes))
			for i, v := range r.Votes {
				verdicts[i] = math.Round(v)
			}
			m.Score(verdicts...)
			gold, share, ok := Majority(verdicts)
			scores := map[string]float64{"majority": share}
			if p.Score != nil {
				if ok {
					m.Count("majority is right", gold == *p.Score)
				}
				gold, ok, scores = *p.Score, true, nil
				for _, v := range verdicts {
					if !math.IsNaN(v) {
						m.Value("absolute error of one judgement", math.Abs(v-gold))
					}
				}
				if !math.IsNaN(r.Score) {
					m.Value("absolute error of the mean", math.Abs(r.Score-gold))
				}
			}
			if !ok {
				m.Drop("prompt: no majority")
				return nil
			}
			duos := Agree(verdicts, gold, margin)
			if len(duos) == 0 {
				m.Drop("prompt: no judgement is right where another is wrong enough")
				return nil
			}
			chosen := medianLength(r.Replies, verdicts, gold)
			left := pairs
			for _, d := range duos {
				if d.Chosen != chosen || left == 0 {
					continue
				}
				left--
				m.Add(Row{Kind: Pair, Role: "judge", Prompt: judgeRow(j, p, p.Response), Chosen: r.Replies[d.Chosen], Rejected: r.Replies[d.Rejected], Margin: number(d.Margin), Scores: scores})
			}
			return nil
		},
	}
}

// medianLength is the reply of median length among those with the verdict; of an
// even number the shorter one in the middle.
func medianLength(replies []string, verdicts []float64, gold float64) int {
	var at []int
	for i, v := range verdicts {
		if v == gold {
			at = append(at, i)
		}
	}
	slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(len(replies[a]), len(replies[b])) })
	return at[(len(at)-1)/2]
}
