// Package likelihood holds the signals that read a candidate's token data and
// cost nothing beyond them. Token log-probabilities are the model's own, before
// temperature; full distributions exist only on the local engine.
//
// It may import monitor and llm.
package likelihood

import (
	"context"
	"fmt"
	"math"

	"gnothi/llm"
	"gnothi/monitor"
)

// roundOff is how far above 0 a log-probability may be for rounding; it counts as 0.
const roundOff = 1e-3

// overTokens makes a signal of a function over the tokens of a candidate.
func overTokens(name, source string, read func([]llm.Token) (score, raw float64, err error)) monitor.Signal {
	return monitor.Each(name, func(_ context.Context, _ *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		if len(c.Tokens) == 0 {
			return monitor.Reading{}, &monitor.MissingError{Needs: "token log-probabilities"}
		}
		for i, tok := range c.Tokens {
			if !(tok.LogProb <= roundOff) || math.IsInf(tok.LogProb, -1) {
				return monitor.Reading{}, &monitor.MissingError{Needs: fmt.Sprintf("log-probabilities below 0; token %d (%q) has %v", i, tok.Text, tok.LogProb)}
			}
		}
		score, raw, err := read(c.Tokens)
		return monitor.Reading{Score: score, Raw: raw, Source: source, Reads: len(c.Tokens)}, err
	})
}

// meanDist averages a figure of the full next-token distributions.
func meanDist(tokens []llm.Token, figure func(*llm.Dist) float64) (float64, error) {
	sum := 0.0
	for _, t := range tokens {
		if t.Dist == nil || t.Dist.Vocab < 2 {
			return 0, &monitor.MissingError{Needs: "full token distributions (a local model)"}
		}
		sum += figure(t.Dist)
	}
	return sum / float64(len(tokens)), nil
}
