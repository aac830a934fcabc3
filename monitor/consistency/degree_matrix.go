package consistency

import (
	"context"

	"gnothi/monitor"
)

// Degree is consistency/degree-matrix-MEASURE (Lin et al. 2023): raw is the mean
// dissimilarity of all ordered pairs of samples, a sample with itself included
// ([DegreeUncertainty]); the score is 1 − raw.
func Degree(by Measure) monitor.Signal {
	return ofSamples("consistency/degree-matrix-"+string(by), by.needs(), func(ctx context.Context, t *monitor.Trial, _ []*monitor.Candidate) (float64, float64, error) {
		w, err := monitor.Get(ctx, t, Pairwise{by, nil})
		if err != nil {
			return 0, 0, err
		}
		u := DegreeUncertainty(w)
		return 1 - u, u, nil
	})
}
