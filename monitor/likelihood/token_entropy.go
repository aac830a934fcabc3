package likelihood

import (
	"math"

	"gnothi/llm"
	"gnothi/monitor"
)

// TokenEntropy is likelihood/token-entropy: raw is the mean Shannon entropy, in
// nats, of the full next-token distributions that the answer was drawn from;
// the score is 1 − H/ln V for a vocabulary of V.
func TokenEntropy() monitor.Signal {
	return overTokens("likelihood/token-entropy", "distribution", func(ts []llm.Token) (float64, float64, error) {
		raw, err := meanDist(ts, func(d *llm.Dist) float64 { return d.Entropy })
		if err != nil {
			return 0, 0, err
		}
		return max(0, 1-raw/math.Log(float64(ts[0].Dist.Vocab))), raw, nil
	})
}
