package consistency

import (
	"context"

	"gnothi/monitor"
)

// Lexical is consistency/lexical-MEASURE (Fomicheva et al. 2020; Kuhn et al.
// 2023): raw and score are the mean likeness of all pairs of samples. ROUGE is
// without stemming, over words of any script; BLEU is the mean of both
// directions, so that the order of the samples tells nothing.
func Lexical(by Measure) monitor.Signal {
	return ofSamples("consistency/lexical-"+string(by), by.needs(), func(ctx context.Context, t *monitor.Trial, _ []*monitor.Candidate) (float64, float64, error) {
		w, err := monitor.Get(ctx, t, Pairwise{by, nil})
		if err != nil {
			return 0, 0, err
		}
		sum := 0.0
		for i := range w.N {
			for j := range i {
				sum += w.At(i, j)
			}
		}
		mean := sum / float64(w.N*(w.N-1)/2)
		return mean, mean, nil
	})
}
