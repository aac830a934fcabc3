package likelihood

import (
	"context"
	"fmt"
	"math"

	"gnothi/monitor"
)

// TokenSAR is likelihood/token-sar (Duan et al. 2023, "Shifting Attention to
// Relevance"): raw is the mean of ln p over the candidate's tokens, weighed by
// their relevance, the score its exponential.
func TokenSAR() monitor.Signal {
	return monitor.Needs(monitor.AnswerTokens|monitor.Relevance, monitor.Each("likelihood/token-sar", func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		if err := checkTokens(c); err != nil {
			return monitor.Reading{}, err
		}
		relevance, err := monitor.Get(ctx, t, Relevances{c})
		if err != nil {
			return monitor.Reading{}, err
		}
		if len(relevance) != len(c.Tokens) {
			return monitor.Reading{}, &monitor.MissingError{Needs: fmt.Sprintf("a relevance for each of %d tokens, not %d", len(c.Tokens), len(relevance))}
		}
		sum, all := 0.0, 0.0
		for i, r := range relevance {
			if !(r >= 0) || math.IsInf(r, 0) {
				return monitor.Reading{}, &monitor.MissingError{Needs: fmt.Sprintf("relevances from 0; token %d has %v", i, r)}
			}
			sum += r * math.Min(c.Tokens[i].LogProb, 0)
			all += r
		}
		if all == 0 {
			return monitor.Reading{}, &monitor.MissingError{Needs: "a token that matters; every relevance is 0"}
		}
		raw := sum / all
		return monitor.Reading{Score: math.Exp(raw), Raw: raw, Source: "logprobs", Reads: len(c.Tokens)}, nil
	}))
}

// Relevances is the evidence of how much each token of a candidate matters to
// its meaning: 1 − the likeness of the text and the text without the token, as a
// cross-encoder measures it. It is given ([monitor.Know]): no model that gnothi
// asks measures it.
type Relevances struct{ Of *monitor.Candidate }

// Gather implements monitor.Evidence.
func (Relevances) Gather(context.Context, *monitor.Trial) ([]float64, error) {
	return nil, &monitor.MissingError{Needs: `the relevance of each token (field "relevance")`}
}
