package text_test

import (
	"strings"
	"testing"

	"gnothi/text"
)

// TestHostileLengths feeds 64 KiB of each pattern that could make a scanner
// look back again and again. Quadratic work takes seconds to minutes of the
// processor's time, linear work milliseconds.
func TestHostileLengths(t *testing.T) {
	const size = 1 << 16
	for _, pattern := range []string{
		"a", " ", "\n", "1", "1 ", "1,", "1. ", "1.1", "-", "A or B ", "(A) ", "not ", "the answer is ", "x is the answer ", "answer", "answer: ", "Answer: \n", "Answer: x\n",
		"\\boxed{", "\\boxed{}", "**", "** ", "**a", "<<1 ", "<think>", "</think>", "question: \n", "Dr. ", "? ", "... ", "```\n", "# \n", "- a\n", "no ", "yes or no ", "twenty ", "hundred ", "and a ", "half ",
		"one million ", "0-100 ", "85% ", "confidence: \n", "confidence: 85\n", "very likely ", "\x1b]", "\x1b[", "\u202e", "巴", "。", "e\u0301", "\u200d", "\xff", "Paris, ", "Paris (", "is ", "'s ", "1/", "1e9", "10^", "²", "½ ", "$", "U.S. ", "I don't know, but ",
	} {
		s := strings.Repeat(pattern, size/len(pattern))
		began := cpuTime(t)
		for _, kind := range []text.Kind{text.Free, text.Number, text.Letter, text.Bool, text.Label} {
			task := text.Task{Kind: kind, Question: "Is Paris larger than Lyon, or is it 100 km away?", Labels: []string{"yes", "no"}, Options: []text.Option{{Letter: "A", Text: "Paris"}, {Letter: "B", Text: "Lyon"}}}
			a := task.Extract(s)
			task.GradeMention(a, []string{"Paris"})
		}
		for scale := text.PercentScale; scale <= text.WordScale; scale++ {
			if c, err := text.ParseConfidence(s, scale); err == nil && (c.P < 0 || c.P > 1) {
				t.Errorf("%q: %v", pattern, c)
			}
		}
		text.Sentences(s)
		text.Degenerate(s, s)
		text.Clip(text.Sanitise(s), 1000)
		text.RougeL(s[:1<<14], s[:1<<14])
		if d := cpuTime(t) - began; d > 15 {
			t.Errorf("%q: %.1f s", pattern, d)
		}
	}
}
