package consistency

import (
	"context"
	"math"

	"gnothi/monitor"
	"gnothi/monitor/likelihood"
)

// CoCoA is consistency/cocoa-FIGURE-MEASURE (Vashurin et al. 2025): raw is an
// uncertainty of the candidate's tokens times its mean unlikeness to the samples,
// the score e^(−raw). The figures: sequence is −ln p of the text, token the same
// a token, entropy the mean entropy of the tokens.
func CoCoA(figure string, by Measure) monitor.Signal {
	var of monitor.Signal
	in := by.needs() | monitor.AnswerTokens
	switch figure {
	case "sequence":
		of = likelihood.SequenceLogProb()
	case "entropy":
		of, in = likelihood.TokenEntropy(), in|monitor.Distributions
	default:
		figure, of = "token", likelihood.MeanLogProb()
	}
	return ofAnswer("consistency/cocoa-"+figure+"-"+string(by), in, func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, _ []*monitor.Candidate) (float64, float64, error) {
		r, err := monitor.ScoreOne(ctx, of, t, c)
		if err != nil {
			return 0, 0, err
		}
		near, err := nearness(ctx, t, by, c)
		raw := math.Abs(r.Raw) * (1 - near)
		return math.Exp(-raw), raw, err
	})
}
