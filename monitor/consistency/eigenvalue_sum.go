package consistency

import (
	"context"

	"gnothi/monitor"
)

// Eigenvalues is consistency/eigenvalue-sum-MEASURE (Lin et al. 2023): raw is the
// continuous number U of sets of samples that are alike ([EigenvalueSum]), in
// [1, n]; the score is 1 − (U−1)/(n−1).
func Eigenvalues(by Measure) monitor.Signal {
	return ofSamples("consistency/eigenvalue-sum-"+string(by), by.needs(), func(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) (float64, float64, error) {
		w, err := monitor.Get(ctx, t, Pairwise{by, nil})
		if err != nil {
			return 0, 0, err
		}
		u, err := EigenvalueSum(w)
		return 1 - (u-1)/float64(len(cs)-1), u, err
	})
}
