package consistency

import (
	"context"
	"math"

	"gnothi/monitor"
)

// SequenceEntropy is consistency/sequence-entropy: raw is the Monte-Carlo
// estimate of the entropy of the model's answers, the mean of −ln p of the
// samples' texts, in nats; the score is e^(−raw), the geometric mean of their
// probabilities.
func SequenceEntropy() monitor.Signal { return monteCarlo("consistency/sequence-entropy", false) }

// TokenRate is consistency/token-rate, the length-normalised Monte-Carlo entropy
// (Malinin and Gales 2021): raw is the mean over the samples of −ln p a token,
// the score e^(−raw).
func TokenRate() monitor.Signal { return monteCarlo("consistency/token-rate", true) }

func monteCarlo(name string, mean bool) monitor.Signal {
	return ofSamples(name, monitor.SampleTokens, func(_ context.Context, _ *monitor.Trial, cs []*monitor.Candidate) (float64, float64, error) {
		logP, err := logProbs(cs, mean)
		if err != nil {
			return 0, 0, err
		}
		sum := 0.0
		for _, l := range logP {
			sum -= l
		}
		h := sum / float64(len(cs))
		return math.Exp(-h), h, nil
	})
}

// MeanProbability is consistency/mean-probability: raw and score are the mean
// length-normalised probability of the candidate and the samples.
func MeanProbability() monitor.Signal {
	return ofAnswer("consistency/mean-probability", monitor.AnswerTokens|monitor.SampleTokens, func(_ context.Context, _ *monitor.Trial, c *monitor.Candidate, cs []*monitor.Candidate) (float64, float64, error) {
		own, err := logProbs([]*monitor.Candidate{c}, true)
		if err != nil {
			return 0, 0, &monitor.MissingError{Needs: "token log-probabilities"}
		}
		logP, err := logProbs(cs, true)
		if err != nil {
			return 0, 0, err
		}
		sum := math.Exp(own[0])
		for _, l := range logP {
			sum += math.Exp(l)
		}
		mean := sum / float64(len(cs)+1)
		return mean, mean, nil
	})
}
