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
	in := monitor.AnswerTokens
	if source == "distribution" {
		in |= monitor.Distributions
	}
	return monitor.Needs(in, monitor.Each(name, func(_ context.Context, _ *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		if err := checkTokens(c); err != nil {
			return monitor.Reading{}, err
		}
		score, raw, err := read(c.Tokens)
		return monitor.Reading{Score: score, Raw: raw, Source: source, Reads: len(c.Tokens)}, err
	}))
}

// checkTokens says what is wrong with the log-probabilities of a candidate.
func checkTokens(c *monitor.Candidate) error {
	if c == nil || len(c.Tokens) == 0 {
		return &monitor.MissingError{Needs: "token log-probabilities"}
	}
	for i, tok := range c.Tokens {
		if !(tok.LogProb <= roundOff) || math.IsInf(tok.LogProb, -1) {
			return &monitor.MissingError{Needs: fmt.Sprintf("log-probabilities below 0; token %d (%q) has %v", i, tok.Text, tok.LogProb)}
		}
	}
	return nil
}

// topProbs are the probabilities of the alternatives at a token, each token once.
func topProbs(p []float64, i int, t llm.Token) ([]float64, error) {
	sum := 0.0
	for k, alt := range t.Top {
		if !(alt.LogProb <= roundOff) { // minus infinity is a token that cannot be
			return nil, &monitor.MissingError{Needs: fmt.Sprintf("log-probabilities below 0; an alternative to token %d (%q) has %v", i, t.Text, alt.LogProb)}
		}
		if alt.Text != "" && repeated(t.Top[:k], alt) {
			continue
		}
		v := math.Exp(math.Min(alt.LogProb, 0))
		sum += v
		p = append(p, v)
	}
	if len(p) < 2 || sum <= 0 || sum > 1+0.01 {
		return nil, &monitor.MissingError{Needs: fmt.Sprintf("the two likeliest tokens or more at each place; token %d (%q) has %d of mass %.3g", i, t.Text, len(p), sum)}
	}
	return p, nil
}

func repeated(earlier []llm.TopToken, alt llm.TopToken) bool {
	for _, e := range earlier {
		if e == alt {
			return true
		}
	}
	return false
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
