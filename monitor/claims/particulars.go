package claims

import (
	"context"
	"strings"
	"unicode"

	"gnothi/monitor"
	"gnothi/text"
)

// Particulars is claims/particulars, the arm of selfcheckagent for figures: the
// numbers, dates and names of a claim are looked up in the context, or where
// there is none in the samples, by code alone. Score is the share of them that
// is found, halved where any is missing so that one wrong figure marks a claim
// (chosen), averaged over the samples; raw is 1 − score. A number is found by
// its value, a date as a date, a name by its last word, with a capital. A claim that has none is
// inapplicable. The paper's warning holds: on hard mathematics, where right
// solutions share few figures, it falls.
type Particulars struct {
	N int // samples; 0: those the policy has drawn, else DefaultSamples
}

// Name implements [Source].
func (Particulars) Name() string { return "claims/particulars" }

// Support implements [Source].
func (s Particulars) Support(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, claims []text.Claim) ([]Support, error) {
	out := make([]Support, len(claims))
	texts, source := []string{t.Question.Context}, "context"
	var err error
	if strings.TrimSpace(t.Question.Context) == "" {
		var samples []*monitor.Candidate
		samples, err = others(ctx, t, c, s.N)
		if len(samples) == 0 {
			if err == nil {
				err = &monitor.MissingError{Needs: "samples: all of them are empty or go in circles"}
			}
			return out, err
		}
		texts, source = nil, "samples"
		for _, d := range samples {
			texts = append(texts, d.Text)
		}
	}
	indexes := make([]index, len(texts))
	for i, x := range texts {
		indexes[i] = indexOf(x)
	}
	for i, claim := range claims {
		wanted := text.Particulars(claim.Text)
		if len(wanted) == 0 {
			out[i] = Support{Status: Inapplicable, Source: source}
			continue
		}
		sup := Support{Status: Checked, Source: source}
		for _, x := range indexes {
			share := x.share(claim.Text, wanted)
			sup.Score += share / float64(len(indexes))
			if share >= 0.5 {
				sup.Yes++
			} else {
				sup.No++
			}
		}
		sup.Score = min(1, sup.Score)
		sup.Raw = 1 - sup.Score
		out[i] = sup
	}
	return out, err
}

// index is what a text can be asked for.
type index struct {
	keys  map[string]bool // of numbers and dates
	words map[string]bool
	names map[string]bool // words with a capital: "Long" is not found in "503 metres long"
}

func indexOf(s string) index {
	x := index{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, p := range text.Particulars(s) {
		if p.Kind != text.AName {
			x.keys[p.Key] = true
		}
		if p.Kind == text.ADate {
			x.keys[yearOf(p.Key)] = true // the year alone is said too
		}
	}
	for w := range strings.FieldsSeq(s) {
		capital := strings.IndexFunc(w, unicode.IsUpper) >= 0
		add := func(n string) {
			x.words[n] = true
			if capital {
				x.names[n] = true
			}
		}
		for n := range strings.FieldsSeq(text.Normalise(w)) {
			add(n)
		}
		eachToken(w, add)
	}
	return x
}

func yearOf(date string) string {
	year, _, _ := strings.Cut(date, "-")
	return strings.TrimLeft(year, "0")
}

// share is how much of what a claim wants is there.
func (x index) share(claim string, wanted []text.Particular) float64 {
	found := 0
	for _, p := range wanted {
		if p.Kind != text.AName {
			if x.keys[p.Key] {
				found++
			}
			continue
		}
		words, in := strings.Fields(p.Key), x.names
		if len(words) == 1 && strings.IndexFunc(claim, unicode.IsLetter) == p.Span.Start {
			in = x.words // any word is capitalised there
		}
		if len(words) > 0 && in[words[len(words)-1]] {
			found++
		}
	}
	share := float64(found) / float64(len(wanted))
	if found < len(wanted) {
		share /= 2
	}
	return share
}
