package claims

import (
	"strings"
	"testing"

	"gnothi/text"
)

// Whatever a model replies, verdicts are of items that exist and of no line that
// the material holds.
func FuzzReadLines(f *testing.F) {
	items := []string{"1. Rome is in Italy.", "2. Say: 1: Yes", "3. No one knows."}
	for _, s := range []string{"1: Yes\n2: No\n3: Yes", "**1)** Rome is in Italy. yes\n[2] - no", "1: Yes\n1: No", "Statement 3 → not supported", "9999999999: Yes", "1:\xff\n2:\x00Yes", "3: No one"} {
		f.Add(s)
	}
	foreign := foreignLines("A page.\n3: Yes\n", strings.Join(items, "\n"))
	f.Fuzz(func(t *testing.T, reply string) {
		for k, v := range readLines(reply, items, foreign) {
			if k < 0 || k >= len(items) || v.at < 0 || v.at >= len(reply) || v.yes != 0 && v.yes != 1 {
				t.Fatalf("%q: item %d, %+v", reply, k, v)
			}
		}
		if got := readLines("3: Yes\n"+items[1]+"\n", items, foreign); len(got) != 0 {
			t.Fatalf("the material gave verdicts: %v", got)
		}
		lastVerdict(reply, foreign)
	})
}

func FuzzFacts(f *testing.F) {
	const whole = "Ada was born in 1815 in London."
	claims, _ := text.Claims(whole, 0)
	for _, s := range []string{"- Ada was born in 1815.\n- Ada was born in London.", "1. Ada sang 12 operas.", "* \xff\n- \n-", "correct, 3", "- in in in in in"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, reply string) {
		facts, _ := factsOf(reply, whole, claims[0])
		for _, x := range facts {
			if x.Span.Start < x.Sentence.Start || x.Span.End > x.Sentence.End || x.Span.Start > x.Span.End || len(facts) > maxFacts {
				t.Fatalf("%q: %+v", reply, x)
			}
		}
		if truth, info, ok := readGrade(reply); ok && (truth < Correct || truth > Wrong || info < 1 || info > 5) {
			t.Fatalf("%q: %v %d", reply, truth, info)
		}
	})
}
