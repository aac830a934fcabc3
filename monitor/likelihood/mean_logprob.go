package likelihood

import (
	"math"

	"gnothi/llm"
	"gnothi/monitor"
)

// MeanLogProb is likelihood/mean-logprob, the length-normalised sequence
// log-probability: raw is the mean of ln p over the answer's tokens, the score
// its exponential, the geometric mean of the token probabilities.
func MeanLogProb() monitor.Signal {
	return overTokens("likelihood/mean-logprob", "logprobs", func(ts []llm.Token) (float64, float64, error) {
		raw := sumLogProb(ts) / float64(len(ts))
		return math.Exp(raw), raw, nil
	})
}

func sumLogProb(ts []llm.Token) float64 {
	sum := 0.0
	for _, t := range ts {
		sum += math.Min(t.LogProb, 0)
	}
	return sum
}
