package likelihood

import (
	"context"
	"math"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/text"
)

// AnswerSpanGap is likelihood/answer-span-gap (rlsf-self-feedback, van Niekerk
// et al. 2025; CoT-decoding, Wang and Zhou 2024): raw is Δ, the mean over the
// tokens of the answer's last occurrence in the reply of the probability of the
// token less that of the most likely other one; for greedy text the gap between
// the two most likely tokens. The score is Δ, at least 0. Needs the two most
// likely tokens at each place, and an answer that stands in the reply.
func AnswerSpanGap() monitor.Signal {
	return monitor.Needs(monitor.AnswerTokens|monitor.Alternatives, monitor.Each("likelihood/answer-span-gap", func(_ context.Context, _ *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		if err := checkTokens(c); err != nil {
			return monitor.Reading{}, err
		}
		tokens := answerTokens(c)
		if len(tokens) == 0 {
			return monitor.Reading{}, &monitor.MissingError{Needs: "an answer whose tokens are found in the reply"}
		}
		sum := 0.0
		for _, tok := range tokens {
			if len(tok.Top) < 2 {
				return monitor.Reading{}, &monitor.MissingError{Needs: "the two most likely tokens at each place of the answer"}
			}
			other := math.Inf(-1)
			for _, alt := range tok.Top {
				if alt.Text != tok.Text {
					other = math.Max(other, alt.LogProb)
				}
			}
			sum += math.Exp(math.Min(tok.LogProb, 0)) - math.Exp(other)
		}
		raw := sum / float64(len(tokens))
		return monitor.Reading{Score: math.Max(0, raw), Raw: raw, Source: "logprobs", Reads: len(tokens)}, nil
	}))
}

// answerTokens are the tokens that the last occurrence of the answer touches,
// by byte offsets of the returned tokens.
func answerTokens(c *monitor.Candidate) []llm.Token {
	var all strings.Builder
	for _, tok := range c.Tokens {
		all.WriteString(tok.Text)
	}
	if c.Answer.Status != text.Parsed || c.Answer.Text == "" {
		return nil
	}
	start := strings.LastIndex(all.String(), c.Answer.Text)
	if start < 0 {
		return nil
	}
	end := start + len(c.Answer.Text)
	var out []llm.Token
	at := 0
	for _, tok := range c.Tokens {
		if next := at + len(tok.Text); at < end && next > start {
			out = append(out, tok)
		}
		at += len(tok.Text)
	}
	return out
}
