// Package likelihood holds the signals that read a candidate's token data and
// cost nothing beyond them. Token log-probabilities are the model's own, before
// temperature; full distributions exist only on the local engine.
//
// It may import monitor and llm.
package likelihood

import (
	"context"

	"gnothi/llm"
	"gnothi/monitor"
)

// overTokens makes a signal of a function over the tokens of a candidate.
func overTokens(name, source string, read func([]llm.Token) (score, raw float64, err error)) monitor.Signal {
	return monitor.Each(name, func(_ context.Context, _ *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		if len(c.Tokens) == 0 {
			return monitor.Reading{}, &monitor.MissingError{Needs: "token log-probabilities"}
		}
		score, raw, err := read(c.Tokens)
		return monitor.Reading{Score: score, Raw: raw, Source: source, Reads: len(c.Tokens)}, err
	})
}

// meanDist averages a figure of the full next-token distributions.
func meanDist(tokens []llm.Token, figure func(*llm.Dist) float64) (float64, error) {
	sum := 0.0
	for _, t := range tokens {
		if t.Dist == nil {
			return 0, &monitor.MissingError{Needs: "full token distributions (a local model)"}
		}
		sum += figure(t.Dist)
	}
	return sum / float64(len(tokens)), nil
}
