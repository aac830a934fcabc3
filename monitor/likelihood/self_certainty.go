package likelihood

import (
	"math"

	"gnothi/llm"
	"gnothi/monitor"
)

// SelfCertainty is likelihood/self-certainty (self-certainty-bon, Kang et al.
// 2025): raw is the mean over the answer's tokens of KL(uniform ‖ model) =
// −(1/V) Σ_j ln(V·p_j), the score 1 − e^(−raw). V is the width of the logits.
// It needs full distributions: what top-k log-probabilities give is a function
// of their tail's mass and is not offered under this name.
func SelfCertainty() monitor.Signal {
	return overTokens("likelihood/self-certainty", "distribution", func(ts []llm.Token) (float64, float64, error) {
		raw, err := meanDist(ts, func(d *llm.Dist) float64 { return d.KLUniform })
		return max(0, 1-math.Exp(-raw)), raw, err
	})
}
