package consistency

import (
	"context"
	"math"

	"gnothi/monitor"
)

// SemanticEntropy is consistency/semantic-entropy (Kuhn et al. 2023; Farquhar et
// al. 2024): the entropy of the probabilities of the classes of meaning of n
// samples. A class has the sum of its samples' probabilities, each the exponential
// of the mean token log-probability as in Farquhar's code, and the classes'
// probabilities are normalised to sum to 1; raw is H in nats, never negative, the
// score 1 − H/ln n. It is of the question: every candidate gets the same. With
// samples for which the model gives no log-probabilities, consistency/entropy is
// its discrete form.
func SemanticEntropy(by By) monitor.Signal {
	return by.give(monitor.SampleTokens, ofSamples(by.name("consistency/semantic-entropy"), 0, func(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) (float64, float64, error) {
		logP, err := logProbs(cs, true)
		if err != nil {
			return 0, 0, err
		}
		class, err := classify(ctx, t, by, nil, cs)
		if err != nil {
			return 0, 0, err
		}
		h := ClassEntropy(logP, class)
		return 1 - h/math.Log(float64(len(cs))), h, nil
	}))
}
