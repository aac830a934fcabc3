package learn

import (
	"context"
	"fmt"
	"math"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/likelihood"
)

// Sharpening is the recipe `sharpening-mechanism` (Huang et al. 2024): of n
// samples at temperature 1 the one that the model finds most probable, as a row
// to fine-tune on, so that greedy decoding learns what search finds. n calls.
// Identical texts are one candidate. The sum of log-probabilities favours short
// answers; the report's values show coverage: the share of samples that said the
// winner, whose inverse times ln(1/δ) is how many samples it takes to see it.
func Sharpening(n int) Recipe {
	score := likelihood.SequenceLogProb()
	return Recipe{
		Name: "sharpening-mechanism", About: "fine-tune on the most probable of n samples",
		Needs: "prompts; a model with log-probabilities",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			cs, err := m.pool(ctx, t, monitor.Sampling{Temperature: 1}, n, false)
			if err != nil || len(cs) == 0 {
				return err
			}
			scores, err := readings(ctx, score, t, cs, func(r monitor.Reading) float64 { return r.Raw })
			if err != nil {
				return err
			}
			best := descending(scores)
			if len(best) == 0 {
				m.Drop("prompt: no sample has a log-probability")
				return nil
			}
			win, same := cs[best[0]], 0
			for _, c := range cs {
				if said(c) == said(win) {
					same++
				}
			}
			m.Value("coverage of the winner", float64(same)/float64(len(cs)))
			row := Row{Kind: SFT, Completion: said(win), Scores: map[string]float64{"logprob": scores[best[0]], "samples": float64(len(cs))}}
			if p.Checked() {
				o, err := p.Check(ctx, t, win)
				if err != nil {
					return err
				}
				row.Right = truth(o)
				for i, c := range cs {
					if o, err := p.Check(ctx, t, c); err == nil && truth(o) != nil && !math.IsNaN(scores[i]) {
						m.Label(math.Exp(scores[i]), *truth(o))
					}
				}
			}
			m.Score(scores...)
			m.Add(row)
			return nil
		},
	}
}

// readings are a signal's values for candidates, NaN where it has none. A model
// that can give none at all is an error.
func readings(ctx context.Context, s monitor.Signal, t *monitor.Trial, cs []*monitor.Candidate, value func(monitor.Reading) float64) ([]float64, error) {
	rs, err := s.Score(ctx, t, cs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name(), err)
	}
	out := make([]float64, len(rs))
	for i, r := range rs {
		out[i] = value(r)
		if r.Err == nil {
			continue
		}
		out[i] = math.NaN()
		if !t.Model.Can(llm.LogProbs) {
			return nil, fmt.Errorf("%s: %w", s.Name(), r.Err)
		}
	}
	return out, nil
}
