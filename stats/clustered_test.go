package stats

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
)

// The design effect with statsmodels 0.14, OLS on a constant with cov_type="cluster" against the plain fit; the interval
// with proportion_confint(method="wilson") at the effective number of trials.
func TestWilsonClustered(t *testing.T) {
	y := []float64{1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 1, 1}
	var cluster []int
	for g, m := range []int{4, 3, 5, 1, 2, 3, 4, 2} {
		for range m {
			cluster = append(cluster, g)
		}
	}
	d, err := ObservedDesignEffect(y, cluster)
	near(t, "design effect", d, err, 1.924489795918369, 1e-12)
	f, err := WilsonClustered(y, cluster, 0.95)
	near(t, "low", f.Low, err, 0.2942321865059969, 1e-9)
	near(t, "high", f.High, err, 0.82460466219279, 1e-9)
	near(t, "rate", f.Value, err, 14.0/24, 1e-15)

	// Clusters of one are no clusters.
	alone := make([]int, len(y))
	for i := range alone {
		alone[i] = i
	}
	f, err = WilsonClustered(y, alone, 0.95)
	w, _ := Wilson(14, 24, 0.95)
	near(t, "low", f.Low, err, w.Low, 1e-12)
	near(t, "high", f.High, err, w.High, 1e-12)
	if f, err = WilsonClustered(y, nil, 0.95); err != nil || f != w {
		t.Errorf("no clusters: %+v, %v", f, err)
	}

	// All right in four clusters: no more is known than from four answers, if that.
	right := []float64{1, 1, 1, 1, 1, 1, 1, 1}
	f, err = WilsonClustered(right, []int{0, 0, 1, 1, 2, 2, 3, 3}, 0.95)
	if four, _ := Wilson(4, 4, 0.95); err != nil || f.Value != 1 || f.High != 1 || f.Low > four.Low || f.Low < 0.3 {
		t.Errorf("all right: %+v, %v", f, err)
	}
	if f, err = WilsonClustered(right, make([]int, 8), 0.95); err != nil || f.Why == "" || f.Value != 1 {
		t.Errorf("one cluster: %+v, %v", f, err)
	}
	if _, err = WilsonClustered([]float64{0.5}, nil, 0.95); !errors.Is(err, ErrNotBinary) {
		t.Errorf("graded: %v", err)
	}
	if _, err = WilsonClustered(y, []int{1}, 0.95); !errors.Is(err, ErrLength) {
		t.Errorf("labels: %v", err)
	}
}

// Twenty clusters of ten, rates between clusters Beta(4, 1): 95 % intervals hold the truth about as often as they say, while
// those that know of no clusters do not.
func TestWilsonClusteredCovers(t *testing.T) {
	rng := seeded(6)
	y, cluster := make([]float64, 200), make([]int, 200)
	var held, naive int
	const runs = 1000
	for range runs {
		var rate float64
		right := 0
		for i := range y {
			if cluster[i] = i / 10; i%10 == 0 {
				rate = math.Pow(rng.Float64(), 0.25) // Beta(4, 1)
			}
			y[i] = 0
			if rng.Float64() < rate {
				y[i] = 1
				right++
			}
		}
		f, err := WilsonClustered(y, cluster, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		w, _ := Wilson(right, len(y), 0.95)
		if f.Low <= 0.8 && 0.8 <= f.High {
			held++
		}
		if w.Low <= 0.8 && 0.8 <= w.High {
			naive++
		}
	}
	if held < 930 || naive > 900 {
		t.Errorf("%d of %d intervals hold the truth, %d of those without clusters", held, runs, naive)
	}
}

func TestDesignEffect(t *testing.T) {
	d, err := DesignEffect(0.05, 20, 0)
	near(t, "equal sizes", d, err, 1.95, 1e-15)
	d, err = DesignEffect(0.05, 20, 0.5)
	near(t, "unequal sizes", d, err, 2.2, 1e-12)
	for _, c := range [][3]float64{{-0.1, 2, 0}, {1.1, 2, 0}, {0.1, 0.5, 0}, {0.1, 2, -1}, {math.NaN(), 2, 0}} {
		if _, err := DesignEffect(c[0], c[1], c[2]); !errors.Is(err, ErrRange) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, err := ObservedDesignEffect([]float64{1, 1}, []int{0, 1}); !errors.Is(err, ErrConstant) {
		t.Error(err)
	}
}

// The t tests: scipy.stats.ttest_rel, and statsmodels' OLS on a constant with cov_type="cluster", use_t=True; McNemar's:
// scipy.stats.binomtest(2, 11).
func TestPairedDifference(t *testing.T) {
	a := []float64{.9, .4, .7, .6, .8, .2, .5, .9, 1, .3, .6, .7}
	b := []float64{.7, .5, .4, .6, .6, .1, .6, .5, .8, .2, .2, .7}
	f, err := PairedDifference(a, b, nil, 0.95)
	near(t, "p", f.P, err, 0.016170796631774093, 1e-9)
	f, err = PairedDifference(a, b, []int{0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3}, 0.95)
	near(t, "difference", f.Value, err, 0.1416666666666667, 1e-12)
	near(t, "p, clustered", f.P, err, 0.0030132990718159864, 1e-9)
	near(t, "low, clustered", f.Low, err, 0.09088399, 1e-7)
	near(t, "high, clustered", f.High, err, 0.19244934, 1e-7)

	first, second := make([]float64, 30), make([]float64, 30)
	for i := range 9 {
		first[i] = 1
	}
	second[10], second[11] = 1, 1
	f, err = PairedDifference(first, second, nil, 0.95)
	near(t, "McNemar", f.P, err, 0.0654296875, 1e-12)
	near(t, "difference", f.Value, err, 7.0/30, 1e-12)

	if f, err = PairedDifference(a, a, nil, 0.95); err != nil || f.Tested() || f.Value != 0 {
		t.Errorf("the same twice: %+v, %v", f, err)
	}
	if _, err = PairedDifference(a, b[:3], nil, 0.95); !errors.Is(err, ErrLength) {
		t.Error(err)
	}
}

// A p-value of a bootstrap is small where DeLong's is, and uniform where nothing differs.
func TestBootstrapP(t *testing.T) {
	p, y := draws(seeded(1), 400, overconfident)
	noisy := mapped(p, func(v float64) float64 { return v + math.Mod(97*v, 1.5) })
	f, err := Bootstrap{}.AUROCDifference(seeded(2), p, noisy, y)
	d, derr := DeLongPaired(p, noisy, y, 0.95)
	if err != nil || derr != nil {
		t.Fatal(err, derr)
	}
	if !f.Tested() || f.P > 0.05 || d.Difference.P != d.Test.P || d.Test.P > 0.05 {
		t.Errorf("bootstrap %+v, DeLong %+v", f, d)
	}
	if f, err = (Bootstrap{}).AUROC(seeded(2), p, y); err != nil || f.Tested() {
		t.Errorf("no comparison, no p: %+v, %v", f, err)
	}
	rng := seeded(7)
	below := 0
	const runs = 200
	for range runs {
		a, b, y := make([]float64, 60), make([]float64, 60), make([]float64, 60)
		for i := range y {
			y[i] = float64(i % 2)
			a[i], b[i] = rng.NormFloat64()+y[i], rng.NormFloat64()+y[i]
		}
		for _, kind := range []IntervalKind{Percentile, Basic} {
			f, err := Bootstrap{Resamples: 200, Kind: kind}.AUROCDifference(rng, a, b, y)
			if err != nil {
				t.Fatal(err)
			}
			if f.P < 0.2 {
				below++
			}
			// The interval of level 1 − p just reaches 0.
			if in := f.Low <= 0 && 0 <= f.High; in != (f.P > 0.05) && math.Abs(f.P-0.05) > 0.015 {
				t.Errorf("%v to %v, p = %v", f.Low, f.High, f.P)
			}
		}
	}
	if share := float64(below) / (2 * runs); math.Abs(share-0.2) > 0.08 {
		t.Errorf("p < .2 in a share of %g where nothing differs", share)
	}
}

func TestAdjustFigures(t *testing.T) {
	figures := []Figure{{P: 0.01}, {Value: 3}, {P: 0.04}, {P: 0.03}, {P: math.NaN()}}
	var all []*Figure
	for i := range figures {
		all = append(all, &figures[i])
	}
	if err := AdjustFigures(Holm, all...); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.03, 0, 0.06, 0.06, 0} { // by hand: 3·.01; 2·.03; max(.06, .04)
		near(t, "adjusted", figures[i].PAdjusted, nil, want, 1e-15)
	}
	if err := AdjustFigures(Holm, &Figure{Value: 1}); err != nil {
		t.Error(err)
	}
	if err := AdjustFigures(Adjustment(99), all...); !errors.Is(err, ErrRange) {
		t.Error(err)
	}
}

func TestFigureJSONKeepsP(t *testing.T) {
	for _, c := range []struct {
		f    Figure
		want string
	}{
		{Figure{Value: 1, Low: 0, High: 2, N: 3}, `{"value":1,"low":0,"high":2,"n":3}`},
		{Figure{Value: 1, Low: 0, High: 2, N: 3, P: math.NaN(), PAdjusted: math.NaN()}, `{"value":1,"low":0,"high":2,"n":3}`},
		{Figure{Value: 1, Low: 0, High: 2, N: 3, P: 0.25, PAdjusted: 0.5}, `{"value":1,"low":0,"high":2,"n":3,"p":0.25,"p_adjusted":0.5}`},
		{Figure{Value: 1, Low: 0, High: 2, N: 3}.tested(0), `{"value":1,"low":0,"high":2,"n":3,"p":5e-324}`},
	} {
		b, err := json.Marshal(c.f)
		if err != nil || string(b) != c.want {
			t.Errorf("%s (%v), want %s", b, err, c.want)
		}
		var back Figure
		if err := json.Unmarshal(b, &back); err != nil || back.Tested() != c.f.Tested() || back.Tested() && back.P != c.f.P {
			t.Errorf("%s comes back as %+v (%v)", b, back, err)
		}
	}
}
