package studies

import (
	"slices"
	"strings"
	"testing"

	"gnothi/text"
)

// What a model says of its own explanations and of what it does not know is read
// for words alone.
func FuzzSelfReaders(f *testing.F) {
	for _, s := range [][2]string{
		{"The soup was cold.", "cold, soup"}, {"It's a joy.", "it’s; JOY"}, {"\"a\"", "unknown"}, {"ſoup İs ǅ", "soup is ǆ"}, {"[REDACTED] x", "redacted"}, {"", "positive or negative"}, {"a.b a*b", "(.*)"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, paragraph, reply string) {
		named, _ := wordsIn(paragraph, reply)
		all := distinctWords(paragraph)
		for _, w := range named {
			if !slices.Contains(all, w) || strings.TrimSpace(w) == "" {
				t.Errorf("%q is no word of %q", w, paragraph)
			}
		}
		if masked := redact(paragraph, named); len(named) == 0 && masked != paragraph {
			t.Errorf("%q without any word became %q", paragraph, masked)
		}
		if l, err := mood(reply); err == nil && !slices.Contains([]string{positiveMood, negativeMood, unknownMood}, l) {
			t.Errorf("label %q", l)
		}
		if len(unquoted(reply)) > len(reply) {
			t.Errorf("%q grew", reply)
		}
		for _, kind := range []string{KnownThing, Unanswerable, MadeUp} {
			r := UnknownItem{Kind: kind, Question: "What is it?", Answers: []string{"Paris"}}.read(reply)
			if r.Declined && r.Grade == text.Wrong || kind != KnownThing && r.Grade == text.Refused {
				t.Errorf("%s: %+v", kind, r)
			}
		}
	})
}
