package learn

import (
	"context"
	"math"
	"slices"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/text"
)

// The prefixes, in our words.
const (
	goodPrefix = "You are a careful expert. Your replies are correct, complete, helpful and honest."
	badPrefix  = "You are a careless amateur. Your replies are vague, incomplete, unhelpful and full of mistakes."
)

// OnlyPrompting is the recipe `only-prompting-self-rewarding` (Xu et al. 2024;
// the part without gradients): no judge at all. The same prompt is answered
// under a system message that asks for good replies and under one that asks for bad
// ones; the first is chosen, the second rejected, n pairs a prompt, and the row
// has the bare prompt. 2n calls. Left out and counted: equal texts, refusals,
// replies in which a prefix shows.
//
// How hard the rejected ones are is set in the paper by sampling from logits of
// both prompts mixed, (1−λ)·z_bad + λ·z_good: that is the engine's work and not
// here; this is λ = 0. The words of the prefixes are ours, and its rules of leakage.
func OnlyPrompting(n int) Recipe {
	return Recipe{
		Name: "only-prompting-self-rewarding", About: "a reply under a good system message against one under a bad one",
		Needs: "prompts",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			var sides [2][]*monitor.Candidate
			for i, prefix := range []string{goodPrefix, badPrefix} {
				replies, err := t.Asides(ctx, monitor.Aside{
					Role: "sample", Index: i, MaxTokens: t.Request.MaxTokens, Temperature: monitor.DefaultSampling.Temperature,
					Messages: []llm.Message{{Role: "system", Text: prefix}, {Role: "user", Text: question(p)}},
				}, n)
				if err != nil {
					return err
				}
				for _, r := range replies {
					sides[i] = append(sides[i], t.Candidate(r, monitor.FromSample, nil))
				}
			}
			for i := range min(len(sides[0]), len(sides[1])) {
				both := []*monitor.Candidate{sides[0][i], sides[1][i]}
				switch {
				case len(m.sift(both, t, false)) < 2:
					m.Drop("pair: a side is no reply")
				case said(both[0]) == said(both[1]):
					m.Drop("pair: same text")
				case slices.ContainsFunc(both, func(c *monitor.Candidate) bool { return c.Answer.Status == text.Refused }):
					m.Drop("pair: refused")
				case slices.ContainsFunc(both, func(c *monitor.Candidate) bool { return leaks(c.Text) }):
					m.Drop("pair: the prefix shows")
				default:
					m.Add(pair(both[0], both[1], math.NaN())) // nothing measured it
				}
			}
			return nil
		},
	}
}

// leaks reports whether a reply speaks of the role it was given.
func leaks(s string) bool {
	s = text.Normalise(s)
	for _, words := range []string{"careful expert", "careless amateur", "vague incomplete", "full of mistakes", "unhelpful and", "correct complete", "as an amateur", "bad assistant", "good assistant"} {
		if strings.Contains(s, words) {
			return true
		}
	}
	return false
}
