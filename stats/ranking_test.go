package stats

import (
	"errors"
	"math"
	"testing"
)

// levels rounds a score so that ties appear.
func levels(score []float64, k float64) []float64 {
	return mapped(score, func(v float64) float64 { return math.Round(v*k) / k })
}

func bruteAUROC(score, y []float64) float64 {
	var won, pairs float64
	for i := range y {
		for j := range y {
			if y[i] == 1 && y[j] == 0 {
				pairs++
				switch {
				case score[i] > score[j]:
					won++
				case score[i] == score[j]:
					won += 0.5
				}
			}
		}
	}
	return won / pairs
}

func TestAUROCCountsPairs(t *testing.T) {
	rng := seeded(3)
	for range 50 {
		p, y := draws(rng, 60, honest)
		p = levels(p, 5)
		v, err := AUROC(p, y)
		near(t, "AUROC", v, err, bruteAUROC(p, y), 1e-12)
		v, err = AUROCWithin(p, y, make([]int, len(y)))
		near(t, "AUROC within one group", v, err, bruteAUROC(p, y), 1e-12)
	}
}

// A score that only knows the kind ranks well overall and not at all within.
func TestAUROCWithinIgnoresDifficulty(t *testing.T) {
	rng := seeded(9)
	n := 4000
	score, y, kind := make([]float64, n), make([]float64, n), make([]int, n)
	for i := range y {
		kind[i] = rng.IntN(2)
		rate := 0.1 + 0.8*float64(kind[i])
		score[i] = rate + 0.01*rng.Float64()
		if rng.Float64() < rate {
			y[i] = 1
		}
	}
	pooled, err := AUROC(score, y)
	near(t, "pooled", pooled, err, 0.9, 0.02)
	within, err := AUROCWithin(score, y, kind)
	near(t, "within", within, err, 0.5, 0.03)
	if _, err := AUROCWithin([]float64{1, 2}, []float64{0, 1}, []int{0, 1}); !errors.Is(err, ErrOneClass) {
		t.Errorf("no group with both classes: %v", err)
	}
}

// Tie-expected figures are means over all orders inside the ties.
func TestSelectiveFiguresAverageOverTies(t *testing.T) {
	score := []float64{3, 2, 2, 2, 1, 1}
	y := []float64{1, 0, 1, 0.5, 1, 0}
	orders := permutations([]int{1, 2, 3})
	var aurc, prr, accuracy, count float64
	for _, a := range orders {
		for _, b := range permutations([]int{4, 5}) {
			strict := make([]float64, 6)
			for rank, i := range append(append([]int{0}, a...), b...) {
				strict[i] = -float64(rank)
			}
			v, _ := AURC(strict, y)
			w, _ := PRR(strict, y, 0.5)
			x, _ := AccuracyAt(strict, y, 0.5)
			aurc, prr, accuracy, count = aurc+v, prr+w, accuracy+x, count+1
		}
	}
	v, err := AURC(score, y)
	near(t, "AURC", v, err, aurc/count, 1e-12)
	v, err = PRR(score, y, 0.5)
	near(t, "PRR", v, err, prr/count, 1e-12)
	v, err = AccuracyAt(score, y, 0.5)
	near(t, "accuracy at half", v, err, accuracy/count, 1e-12)
}

func permutations(x []int) [][]int {
	if len(x) <= 1 {
		return [][]int{x}
	}
	var out [][]int
	for i := range x {
		rest := append(append([]int(nil), x[:i]...), x[i+1:]...)
		for _, p := range permutations(rest) {
			out = append(out, append([]int{x[i]}, p...))
		}
	}
	return out
}

func TestRiskCoverage(t *testing.T) {
	curve, err := RiskCoverage([]float64{.9, .9, .5, .1}, []float64{1, 0, 1, 0})
	if err != nil || len(curve) != 3 {
		t.Fatalf("%v, %v", curve, err)
	}
	want := []Point{{.9, .5, .5, 2}, {.5, .75, 1. / 3, 3}, {.1, 1, .5, 4}}
	for i, p := range curve {
		if p.N != want[i].N || p.Threshold != want[i].Threshold || math.Abs(p.Risk-want[i].Risk) > 1e-12 || p.Coverage != want[i].Coverage {
			t.Errorf("point %d is %+v, want %+v", i, p, want[i])
		}
	}
}

// Nothing undefined comes out as a number, and nothing panics.
func TestUndefinedInput(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	metrics := map[string]Metric{
		"AUROC": AUROC, "AP": AveragePrecision, "PRAUC": PRAUCTrapezoid, "AURC": AURC, "EAURC": EAURC, "Brier": Brier, "Pearson": Pearson, "Spearman": Spearman,
		"PRR":     func(s, y []float64) (float64, error) { return PRR(s, y, 1) },
		"FPR":     func(s, y []float64) (float64, error) { return FPRAt(s, y, 0.95) },
		"ECE":     Binned(MassQuantile, 10, ECE),
		"smECE":   func(s, y []float64) (float64, error) { v, _, err := SmECE(s, y); return v, err },
		"logloss": func(s, y []float64) (float64, error) { return LogLoss(s, y, Clip) },
		"DeLong":  func(s, y []float64) (float64, error) { f, err := DeLong(s, y, 0.95); return f.Value, err },
		"Cox":     func(s, y []float64) (float64, error) { f, err := Cox(s, y); return f.Slope.Value, err },
		"z":       func(s, y []float64) (float64, error) { f, err := Spiegelhalter(s, y); return f.P, err },
		"platt":   func(s, y []float64) (float64, error) { f, err := FitPlatt(s, y, false); return f.Slope, err },
		"temp":    func(s, y []float64) (float64, error) { f, err := FitTemperature(s, y); return f.T, err },
		"beta":    func(s, y []float64) (float64, error) { f, err := FitBeta(s, y); return f.A, err },
		"iso": func(s, y []float64) (float64, error) {
			f, err := FitIsotonic(s, y)
			if err != nil {
				return 0, err
			}
			return f.Apply(0.5), nil
		},
	}
	for name, m := range metrics {
		for _, c := range []struct {
			what     string
			score, y []float64
			want     error // nil: a finite value or any error
		}{
			{"empty", nil, nil, ErrEmpty},
			{"lengths", []float64{.1}, []float64{0, 1}, ErrLength},
			{"NaN score", []float64{nan, .5}, []float64{0, 1}, ErrNotFinite},
			{"Inf score", []float64{inf, .5}, []float64{0, 1}, ErrNotFinite},
			{"NaN outcome", []float64{.1, .5}, []float64{nan, 1}, ErrNotFinite},
			{"one item", []float64{.5}, []float64{1}, nil},
			{"one class", []float64{.1, .5, .9}, []float64{1, 1, 1}, nil},
			{"all tied", []float64{.5, .5, .5}, []float64{1, 0, 1}, nil},
			{"separated", []float64{.1, .2, .8, .9}, []float64{0, 0, 1, 1}, nil},
			{"huge", []float64{-math.MaxFloat64, 0, math.MaxFloat64}, []float64{0, 1, 1}, nil},
			{"tiny", []float64{0, 5e-324, 1e-323}, []float64{0, 1, 0}, nil},
		} {
			v, err := m(c.score, c.y)
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s, %s: got %v, %v, want error %q", name, c.what, v, err, c.want)
			}
			if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
				t.Errorf("%s, %s: %v without an error", name, c.what, v)
			}
		}
	}
}
