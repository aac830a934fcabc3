package consistency

import (
	"context"
	"slices"

	"gnothi/monitor"
)

// Sets is consistency/semantic-sets (Lin et al. 2023): raw is the number k of
// classes of meaning of n samples, the score 1 − (k−1)/(n−1). By inference it is
// the paper's: sets that hang together by mutual entailment ([SemanticSets]).
func Sets(by By) monitor.Signal {
	return by.give(0, ofSamples(by.name("consistency/semantic-sets"), 0, func(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) (float64, float64, error) {
		var k int
		if by == ByInference {
			x, err := monitor.Get(ctx, t, Inferences{})
			if err != nil {
				return 0, 0, err
			}
			k = SemanticSets(x)
		} else {
			class, err := classify(ctx, t, by, nil, cs)
			if err != nil {
				return 0, 0, err
			}
			k = slices.Max(class) + 1
		}
		return 1 - float64(k-1)/float64(len(cs)-1), float64(k), nil
	}))
}
