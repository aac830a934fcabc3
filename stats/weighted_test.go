package stats

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// Whole weights are as many items, but for the interval, which knows that they are
// not.
func TestWeightedLikeRepeated(t *testing.T) {
	p, y, w := []float64{0.2, 0.9, 0.6, 0.35}, []float64{0, 1, 1, 0}, []float64{3, 1, 2, 1}
	var rp, ry []float64
	for i := range p {
		for range int(w[i]) {
			rp, ry = append(rp, p[i]), append(ry, y[i])
		}
	}
	m, err := WeightedMean(y, w, 0.95)
	if err != nil || math.Abs(m.Value-mean(ry)) > 1e-12 || m.N != 4 || m.Low < 0 || m.High > 1 {
		t.Errorf("%+v %v, want %v", m, err, mean(ry))
	}
	bins, err := WeightedBins(p, y, w, 5, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Bins(rp, ry, WidthRight, 5)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := WeightedECE(bins), ECE(plain); math.Abs(got-want) > 1e-12 {
		t.Errorf("ECE %v, want %v", got, want)
	}
	ones, err := WeightedMean(y, []float64{1, 1, 1, 1}, 0.95)
	wilson, werr := Wilson(2, 4, 0.95)
	if err != nil || werr != nil || math.Abs(ones.Low-wilson.Low) > 1e-9 || math.Abs(ones.High-wilson.High) > 1e-9 {
		t.Errorf("equal weights: %v, Wilson's %v", ones, wilson)
	}
	for _, bad := range [][]float64{{1, 1}, {1, 1, 1, 0}, {1, 1, 1, math.NaN()}, {1, 1, 1, math.Inf(1)}} {
		if _, err := WeightedMean(y, bad, 0.95); err == nil {
			t.Errorf("weights %v", bad)
		}
	}
	if _, err := WeightedMean(y, []float64{1, 1}, 0.95); !errors.Is(err, ErrLength) {
		t.Error(err)
	}
}

func TestLogisticWeightedLikeRepeated(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var x, rx [][]float64
	var y, w, ry []float64
	for range 200 {
		v := rng.NormFloat64()
		label := 0.0
		if rng.Float64() < Sigmoid(1.5*v-0.5) {
			label = 1
		}
		k := 1 + rng.IntN(4)
		x, y, w = append(x, []float64{v}), append(y, label), append(w, float64(k))
		for range k {
			rx, ry = append(rx, []float64{v}), append(ry, label)
		}
	}
	weighed, err := FitLogisticWeighted(x, y, w, 0)
	if err != nil {
		t.Fatal(err)
	}
	repeated, err := FitLogistic(rx, ry, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []float64{-2, 0, 1.3} {
		a, err := weighed.Predict([]float64{v})
		if err != nil {
			t.Fatal(err)
		}
		b, err := repeated.Predict([]float64{v})
		if err != nil || math.Abs(a-b) > 1e-9 {
			t.Errorf("at %v: %v, repeated %v (%v)", v, a, b, err)
		}
	}
	if _, err := FitLogisticWeighted(x, y, w[:3], 0); !errors.Is(err, ErrLength) {
		t.Error(err)
	}
}

// Verdicts that come of their own accord are of wrong answers mostly; those of a
// random share, weighed, tell the truth.
func TestInverseProbabilityUndoesSelection(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const n, share, rate = 40_000, 0.05, 0.8
	var y, w, plain []float64
	silent, inverse := 0.0, 0.0
	var own []bool
	for range n {
		right := rng.Float64() < rate
		label := 0.0
		if right {
			label = 1
		}
		speaks := rng.Float64() < 0.02 || !right && rng.Float64() < 0.5
		marked := rng.Float64() < share
		if !speaks {
			silent++
		}
		if speaks || marked {
			y, own = append(y, label), append(own, speaks)
		}
		if speaks {
			plain = append(plain, label)
		} else if marked {
			inverse += 1 / share
		}
	}
	for _, o := range own {
		if o {
			w = append(w, 1)
		} else {
			w = append(w, silent/inverse/share)
		}
	}
	f, err := WeightedMean(y, w, 0.99)
	if err != nil || f.Low > rate || f.High < rate || f.High-f.Low > 0.06 {
		t.Errorf("%v %v, want %v", f, err, rate)
	}
	if m := mean(plain); m > 0.4 {
		t.Errorf("those who speak say %v: the test tests nothing", m)
	}
}
