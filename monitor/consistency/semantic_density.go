package consistency

import (
	"context"

	"gnothi/monitor"
)

// Density is consistency/semantic-density (Qiu and Miikkulainen 2024): raw and
// score are the density of the candidate among itself and the samples in meaning
// ([SemanticDensity]); a text that was drawn twice counts once, as in the paper.
func Density() monitor.Signal {
	return ofAnswer("consistency/semantic-density", Entailment.needs()|monitor.AnswerTokens|monitor.SampleTokens, func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, cs []*monitor.Candidate) (float64, float64, error) {
		x, err := monitor.Get(ctx, t, Inferences{c})
		if err != nil {
			return 0, 0, err
		}
		own, err := logProbs([]*monitor.Candidate{c}, true)
		if err != nil {
			return 0, 0, &monitor.MissingError{Needs: "token log-probabilities"}
		}
		all, err := logProbs(cs, true)
		if err != nil {
			return 0, 0, err
		}
		logP, contra, neutral := own, []float64{0}, []float64{0}
		seen := map[string]bool{}
		for i, s := range cs {
			if seen[s.Text] {
				continue
			}
			seen[s.Text] = true
			e, k := x.Entail.At(0, i+1), x.Contra.At(0, i+1)
			logP, contra, neutral = append(logP, all[i]), append(contra, k), append(neutral, 1-e-k)
		}
		d := SemanticDensity(logP, contra, neutral)
		return d, d, nil
	})
}
