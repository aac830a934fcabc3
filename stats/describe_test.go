package stats

import (
	"errors"
	"math"
	"slices"
	"testing"
)

func TestEntropy(t *testing.T) {
	// Class sizes and their entropies as published with UQLM's semantic entropy.
	for _, c := range []struct {
		w    []float64
		want float64
	}{{[]float64{4, 2}, .63651}, {[]float64{5, 1}, .45056}, {[]float64{4, 1, 1}, .86756}, {[]float64{1, 2, 2, 1}, 1.32966}, {[]float64{3}, 0}, {[]float64{.5, .5, 0}, math.Ln2}} {
		v, err := Entropy(c.w)
		near(t, "entropy", v, err, c.want, 5e-6)
	}
	if _, err := Entropy([]float64{0, 0}); err == nil {
		t.Error("entropy of nothing")
	}
}

func TestRanksAndBorda(t *testing.T) {
	if r := Ranks([]float64{3, 1, 3, 2}); !slices.Equal(r, []float64{3.5, 1, 3.5, 2}) {
		t.Errorf("ranks %v", r)
	}
	// Four samples a, b, b, a from surest to least sure: A gets 4+1, B 3+2.
	w, err := BordaWeights([]float64{.9, .7, .5, .1}, 1)
	if err != nil || !slices.Equal(w, []float64{4, 3, 2, 1}) {
		t.Errorf("Borda %v, %v", w, err)
	}
	w, err = BordaWeights([]float64{.9, .7, .5, .1}, 0)
	if err != nil || !slices.Equal(w, []float64{1, 1, 1, 1}) {
		t.Errorf("power 0: %v, %v", w, err)
	}
}

func TestCorrelationOfConstant(t *testing.T) {
	for _, f := range []Metric{Pearson, Spearman} {
		if v, err := f([]float64{1, 1, 1}, []float64{1, 2, 3}); !errors.Is(err, ErrConstant) {
			t.Errorf("%v, %v", v, err)
		}
	}
	f, err := FisherZ(0.5, 3, 0.95)
	if err != nil || !math.IsNaN(f.Low) || f.Why == "" {
		t.Errorf("three pairs: %+v, %v", f, err)
	}
}
