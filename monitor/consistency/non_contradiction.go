package consistency

import (
	"context"

	"gnothi/monitor"
)

// NonContradiction is consistency/non-contradiction (SelfCheck-NLI, Manakul et
// al. 2023; Chen and Mueller 2023): raw and score are the mean over the samples
// of 1 − P(the candidate and the sample contradict one another), both directions
// averaged.
func NonContradiction() monitor.Signal { return toward("consistency/non-contradiction", Consistent) }

// Entailed is consistency/entailment: as [NonContradiction], of P(entailment).
func Entailed() monitor.Signal { return toward("consistency/entailment", Entailment) }

// Similar is consistency/similarity-MEASURE: the mean likeness of the candidate
// and each sample.
func Similar(by Measure) monitor.Signal { return toward("consistency/similarity-"+string(by), by) }

func toward(name string, by Measure) monitor.Signal {
	return ofAnswer(name, by.needs(), func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, _ []*monitor.Candidate) (float64, float64, error) {
		v, err := nearness(ctx, t, by, c)
		return v, v, err
	})
}

// nearness is the mean likeness of a candidate and each sample.
func nearness(ctx context.Context, t *monitor.Trial, by Measure, c *monitor.Candidate) (float64, error) {
	w, err := monitor.Get(ctx, t, Pairwise{by, c})
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for j := 1; j < w.N; j++ {
		sum += w.At(0, j)
	}
	return sum / float64(w.N-1), nil
}
