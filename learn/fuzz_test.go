package learn_test

import (
	"math"
	"testing"

	"gnothi/learn"
)

// Whatever a model writes as feedback is read or refused, and what is read is whole.
func FuzzParseFeedback(f *testing.F) {
	f.Add("Appropriate: no\nGoal: listen\nAreas: empathy\nAlternative: I hear you.")
	f.Add("Appropriate: yes\nGood: questions; empathy and structure")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := learn.ParseFeedback(s)
		if err == nil && (got.Appropriate != (len(got.Good) > 0) || !got.Appropriate && (got.Goal == "" || got.Alternative == "" || len(got.Areas) == 0)) {
			t.Errorf("%q: %+v", s, got)
		}
		if d := learn.Diversity(s); !(d >= 0 && d <= 1) {
			t.Errorf("%q: diversity %v", s, d)
		}
	})
}

// The rules hold for any scores: what is chosen scores higher than what is rejected.
func FuzzRules(f *testing.F) {
	f.Add([]byte{1, 3, 2, 255}, 0.1)
	f.Fuzz(func(t *testing.T, raw []byte, delta float64) {
		scores := make([]float64, min(len(raw), 64))
		for i := range scores {
			scores[i] = float64(raw[i]) / 8
			if raw[i] == 255 {
				scores[i] = math.NaN()
			}
		}
		duos := learn.Ladder(scores, delta)
		if d, ok := learn.BestWorst(scores); ok {
			duos = append(duos, d)
		}
		for _, d := range duos {
			if !(scores[d.Chosen] > scores[d.Rejected]) || d.Margin != scores[d.Chosen]-scores[d.Rejected] {
				t.Errorf("%v: %+v", scores, d)
			}
		}
		for i, bin := range learn.Quantiles(scores, 5) {
			if math.IsNaN(scores[i]) != (bin < 0) || bin > 4 {
				t.Errorf("%v: bin %d of %v", scores, bin, scores[i])
			}
		}
		gold, _, ok := learn.Majority(scores)
		for _, d := range learn.Agree(scores, gold, 1) {
			if ok && (scores[d.Chosen] != gold || !(math.Abs(scores[d.Rejected]-gold) >= 1)) {
				t.Errorf("%v: %+v", scores, d)
			}
		}
	})
}
