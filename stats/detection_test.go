package stats

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Written out as decisions, the tables that metadpy was run on give its figures.
func TestMetacognitionOfGoldenTables(t *testing.T) {
	for _, c := range goldenTestFile(t).MetaD {
		r := len(c.S1) / 2
		var decisions []Decision
		for stimulus, counts := range [][]int{c.S1, c.S2} {
			for k, n := range counts {
				d := Decision{stimulus, 1, float64(k - r)}
				if k < r {
					d = Decision{stimulus, 0, float64(r - 1 - k)}
				}
				decisions = append(decisions, slices.Repeat([]Decision{d}, n)...)
			}
		}
		s1, s2, err := RatingCounts(decisions, 100) // finer than the ratings: every one stays itself
		if err != nil || !slices.Equal(s1, c.S1) || !slices.Equal(s2, c.S2) {
			t.Errorf("%v %v (%v), want %v %v", s1, s2, err, c.S1, c.S2)
		}
		m, err := Bootstrap{Resamples: 20}.Metacognition(seeded(1), decisions, 100)
		near(t, "d′", m.DPrime.Value, err, c.Padded.DPrime, 1e-9)
		near(t, "meta-d′", m.MetaD.Value, err, c.Padded.MetaD, 5e-3)
		near(t, "M-ratio", m.MRatio.Value, err, c.Padded.Ratio, 5e-3)
		if m.Levels != r {
			t.Errorf("%d levels, want %d", m.Levels, r)
		}
	}
}

// observers decide whether x ~ N(±d/2, 1) is above 0, and are as sure as x, blurred, is far from it.
func observers(rng *rand.Rand, n int, d, blur float64) []Decision {
	out := make([]Decision, n)
	for i := range out {
		s := i % 2
		x := rng.NormFloat64() + d*(float64(s)-0.5)
		response := 0
		if x > 0 {
			response = 1
		}
		side := float64(2*response - 1)
		out[i] = Decision{s, response, side*x + blur*rng.NormFloat64()}
	}
	return out
}

func TestMetacognitionRecovers(t *testing.T) {
	boot := Bootstrap{Resamples: 100}
	sharp, err := boot.Metacognition(seeded(1), observers(seeded(2), 3000, 1.5, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	blurred, err := boot.Metacognition(seeded(1), observers(seeded(2), 3000, 1.5, 1.5), 0)
	if err != nil {
		t.Fatal(err)
	}
	blind, err := boot.Metacognition(seeded(1), observers(seeded(2), 3000, 1.5, 1e6), 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		f    Figure
		want float64
	}{"d′": {sharp.DPrime, 1.5}, "criterion": {sharp.Criterion, 0}, "M-ratio, all that the decision used": {sharp.MRatio, 1}, "M-ratio, none of it": {blind.MRatio, 0}, "type-2 AUROC, none of it": {blind.Type2, 0.5}} {
		if slack := (c.f.High - c.f.Low) / 2; !(c.f.Low-slack <= c.want && c.want <= c.f.High+slack) || slack > 0.25 || c.f.N != 3000 {
			t.Errorf("%s: %v, want %g", name, c.f, c.want)
		}
	}
	if !(blurred.MRatio.High < 0.9 && blurred.MRatio.Low > 0.2) || sharp.Levels != 4 || sharp.Type2.Value <= blurred.Type2.Value {
		t.Errorf("blurred confidence: %v, type-2 AUROC %v against %v", blurred.MRatio, blurred.Type2, sharp.Type2)
	}
	again, err := boot.Metacognition(seeded(1), observers(seeded(2), 3000, 1.5, 1.5), 0)
	if a, b := asJSON(t, again), asJSON(t, blurred); err != nil || a != b {
		t.Errorf("same seed, other figures: %s and %s", a, b)
	}
	chance, err := boot.Metacognition(seeded(1), observers(seeded(5), 200, 0, 0), 0)
	if err != nil || !math.IsNaN(chance.MRatio.Low) || chance.MRatio.Why == "" || math.IsNaN(chance.DPrime.Low) {
		t.Errorf("decisions at chance: %+v, %v", chance, err)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRatingCounts(t *testing.T) {
	decisions := func(confidence ...float64) (out []Decision) {
		for i, c := range confidence {
			out = append(out, Decision{i % 2, i / 2 % 2, c})
		}
		return out
	}
	// Two ratings of four each; stimulus and response take turns.
	s1, s2, err := RatingCounts(decisions(1, 2, 3, 4, 5, 6, 7, 8), 2)
	if err != nil || !slices.Equal(s1, []int{1, 1, 1, 1}) || !slices.Equal(s2, []int{1, 1, 1, 1}) {
		t.Errorf("%v %v %v", s1, s2, err)
	}
	s1, s2, err = RatingCounts([]Decision{{0, 0, .9}, {0, 0, .2}, {0, 1, .3}, {1, 1, .8}, {1, 1, .7}, {1, 0, .1}}, 2)
	if err != nil || !slices.Equal(s1, []int{1, 1, 1, 0}) || !slices.Equal(s2, []int{0, 1, 0, 2}) {
		t.Errorf("%v %v %v", s1, s2, err)
	}
	// Nearly all as sure as can be: they and the rest.
	s1, _, err = RatingCounts(decisions(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0.5), 0)
	if err != nil || len(s1) != 4 {
		t.Errorf("%v, %v", s1, err)
	}
	for _, c := range []struct {
		decisions []Decision
		levels    int
		want      error
	}{
		{nil, 4, ErrEmpty}, {decisions(1, 1, 1, 1), 4, ErrConstant}, {decisions(1, math.NaN(), 2, 3), 4, ErrNotFinite}, {decisions(1, 2, 3, 4), 1, ErrRange},
		{[]Decision{{0, 2, 1}, {1, 0, 2}}, 2, ErrRange}, {[]Decision{{0, 0, 1}, {0, 1, 2}}, 2, ErrOneClass}, {[]Decision{{0, 1, 1}, {1, 1, 2}}, 2, ErrOneClass},
	} {
		if _, _, err := RatingCounts(c.decisions, c.levels); !errors.Is(err, c.want) {
			t.Errorf("%v: %v, want %v", c.decisions, err, c.want)
		}
		if _, err := (Bootstrap{}).Metacognition(seeded(1), c.decisions, c.levels); err == nil {
			t.Errorf("%v: figures", c.decisions)
		}
	}
	if _, err := (Bootstrap{Kind: BCa}).Metacognition(seeded(1), decisions(1, 2, 3, 4), 2); !errors.Is(err, ErrRange) {
		t.Error(err)
	}
}
