package consistency

import (
	"context"
	"math"

	"gnothi/monitor"
)

// Eccentric is consistency/eccentricity-MEASURE (Lin et al. 2023): raw is how far
// the samples lie from their centre in the graph of what is alike
// ([Eccentricity]), in [0, √n]; the score is 1 − raw/√n.
func Eccentric(by Measure) monitor.Signal {
	return ofSamples("consistency/eccentricity-"+string(by), by.needs(), func(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) (float64, float64, error) {
		w, err := monitor.Get(ctx, t, Pairwise{by, nil})
		if err != nil {
			return 0, 0, err
		}
		u, err := Eccentricity(w)
		return 1 - u/math.Sqrt(float64(len(cs))), u, err
	})
}
