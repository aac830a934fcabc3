package consistency

import (
	"context"
	"strings"
	"unicode"

	"gnothi/monitor"
	"gnothi/text"
)

// NovelWords is consistency/novel-words, ours: for answers that are sentences,
// whose classes are too fine and whose overlap is mostly the question said again.
// Raw and score are the mean, over the words of the answer's first sentence that
// the question does not have, of the share of samples in which the word occurs.
// Words shorter than four letters without a digit are left out, as most of them
// are function words in the languages that have spaces; an answer of such words
// alone is read by all of its own words, and one that only repeats the question
// by all of its words. It says little of lists and of answers in scripts without
// spaces.
func NovelWords() monitor.Signal {
	return ofAnswer("consistency/novel-words", 0, func(_ context.Context, t *monitor.Trial, c *monitor.Candidate, cs []*monitor.Candidate) (float64, float64, error) {
		sentence := c.Text
		if spans := text.Sentences(c.Text); len(spans) > 0 {
			sentence = c.Text[spans[0].Start:spans[0].End]
		}
		asked := wordSet(t.Question.Text)
		said := wordSet(sentence)
		own := keep(said, func(w string) bool { return !asked[w] })
		if long := keep(own, telling); len(long) > 0 {
			own = long
		}
		if len(own) == 0 {
			own = said
		}
		if len(own) == 0 {
			return 0, 0, &monitor.MissingError{Needs: "an answer with words"}
		}
		found := 0
		for _, s := range cs {
			words := wordSet(s.Text)
			for w := range own {
				if words[w] {
					found++
				}
			}
		}
		share := float64(found) / float64(len(own)*len(cs))
		return share, share, nil
	})
}

func wordSet(s string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		set[w] = true
	}
	return set
}

func keep(set map[string]bool, wanted func(string) bool) map[string]bool {
	out := map[string]bool{}
	for w := range set {
		if wanted(w) {
			out[w] = true
		}
	}
	return out
}

func telling(w string) bool {
	return len([]rune(w)) >= 4 || strings.ContainsFunc(w, unicode.IsDigit)
}
