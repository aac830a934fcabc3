package likelihood

import (
	"math"

	"gnothi/llm"
	"gnothi/monitor"
)

// SequenceLogProb is likelihood/sequence-logprob: raw is Σ ln p over the
// answer's tokens, the score the probability of the whole sequence. It is the
// reward of the sharpening mechanism (sharpening-mechanism, Huang et al. 2024:
// the sum, not the mean); it favours short answers.
func SequenceLogProb() monitor.Signal {
	return overTokens("likelihood/sequence-logprob", "logprobs", func(ts []llm.Token) (float64, float64, error) {
		raw := sumLogProb(ts)
		return math.Exp(raw), raw, nil
	})
}
