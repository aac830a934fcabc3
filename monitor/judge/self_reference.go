package judge

import (
	"math"
	"slices"
)

// SelfReference is the judge of self-reference-ai-feedback: it answers the
// question itself, criticises both candidates against its own answer, and
// chooses under one principle, in both orders, so often each. Its Comparison's
// Strength is the mean over the votes of log p(choice) − log p(other), our reading of the
// paper's "semantic perplexity", whose formula was not found; the principle's
// wording is ours.
func SelfReference(votes int) *Judge {
	return &Judge{Rubric: "which of them is better for humanity as a whole", Reference: OwnAnswer, Reason: true, Votes: votes}
}

// Keep tells which comparisons have a verdict strong enough to train on: both
// orders agree and the strength is not in the lowest share of those that do
// (self-reference-ai-feedback; .2 is our choice).
func Keep(cs []Comparison, drop float64) []bool {
	var strengths []float64
	for _, c := range cs {
		if c.Agree && c.Outcome != 0.5 {
			strengths = append(strengths, math.Abs(c.Strength))
		}
	}
	slices.Sort(strengths)
	out := make([]bool, len(cs))
	if len(strengths) == 0 {
		return out
	}
	least := strengths[min(len(strengths)-1, int(max(0, drop)*float64(len(strengths))))]
	for i, c := range cs {
		out[i] = c.Agree && c.Outcome != 0.5 && math.Abs(c.Strength) >= least
	}
	return out
}
