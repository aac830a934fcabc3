package consistency

import (
	"context"

	"gnothi/monitor"
)

// Unsupported is consistency/luq ([LUQ], Zhang et al. 2024): raw is how little
// the samples entail one another; the score is 1 − raw.
func Unsupported() monitor.Signal {
	return ofSamples("consistency/luq", Entailment.needs(), func(ctx context.Context, t *monitor.Trial, _ []*monitor.Candidate) (float64, float64, error) {
		x, err := monitor.Get(ctx, t, Inferences{})
		if err != nil {
			return 0, 0, err
		}
		u := LUQ(x)
		return 1 - u, u, nil
	})
}
