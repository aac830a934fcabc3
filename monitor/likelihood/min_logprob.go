package likelihood

import (
	"math"

	"gnothi/llm"
	"gnothi/monitor"
)

// MinLogProb is likelihood/min-logprob: raw is the smallest ln p among the
// answer's tokens, the score that token's probability. One improbable token
// makes an answer doubtful however likely the rest.
func MinLogProb() monitor.Signal {
	return overTokens("likelihood/min-logprob", "logprobs", func(ts []llm.Token) (float64, float64, error) {
		raw := 0.0
		for _, t := range ts {
			raw = math.Min(raw, t.LogProb)
		}
		return math.Exp(raw), raw, nil
	})
}
