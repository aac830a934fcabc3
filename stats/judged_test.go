package stats

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// The limits of Lang and Reiczigel's formulae, written anew in Python (scipy's normal quantile); the first line is the
// largest of the surveys in Reiczigel, Földi and Ózsvári (2010) with Se from 100 and Sp from 200 animals. The known judge:
// statsmodels' proportion_confint(method="wilson"), mapped.
func TestRoganGladen(t *testing.T) {
	for _, c := range []struct {
		yes, n int
		judge  Detection
		want   [3]float64
	}{
		{27, 650, Detection{50, 50, 1, 199}, [3]float64{0.07381507381507399, 0.027460010566892276, 0.11458302572982544}},
		{140, 400, Detection{85, 15, 30, 170}, [3]float64{0.28571428571428564, 0.19658921083129868, 0.37615835626343563}},
	} {
		f, err := RoganGladen(c.yes, c.n, c.judge, 0.95)
		near(t, "rate", f.Value, err, c.want[0], 1e-12)
		near(t, "low", f.Low, err, c.want[1], 1e-12)
		near(t, "high", f.High, err, c.want[2], 1e-12)
	}
	f, err := RoganGladenKnown(140, 400, 0.75, 0.9, 0.95)
	near(t, "rate, known judge", f.Value, err, 0.25/0.65, 1e-12)
	near(t, "low, known judge", f.Low, err, 0.31520869078117325, 1e-12)
	near(t, "high, known judge", f.High, err, 0.45841236814234787, 1e-12)
	// A perfect judge changes nothing.
	w, _ := Wilson(140, 400, 0.95)
	f, err = RoganGladenKnown(140, 400, 1, 1, 0.95)
	near(t, "low, perfect judge", f.Low, err, w.Low, 1e-15)

	for name, bad := range map[string]error{
		"chance":     second(RoganGladen(5, 10, Detection{5, 5, 5, 5}, 0.95)),
		"one class":  second(RoganGladen(5, 10, Detection{5, 5, 0, 0}, 0.95)),
		"negative":   second(RoganGladen(5, 10, Detection{5, -1, 1, 2}, 0.95)),
		"none":       second(RoganGladen(0, 0, Detection{5, 1, 1, 5}, 0.95)),
		"too many":   second(RoganGladen(11, 10, Detection{5, 1, 1, 5}, 0.95)),
		"level":      second(RoganGladen(5, 10, Detection{5, 1, 1, 5}, 1)),
		"not a rate": second(RoganGladenKnown(5, 10, math.NaN(), 1, 0.95)),
	} {
		if bad == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if f, err := RoganGladen(0, 50, Detection{9, 1, 3, 7}, 0.95); err != nil || f.Value != 0 || f.Low != 0 || !(f.High > 0) {
		t.Errorf("fewer than the judge's false alarms: %+v, %v", f, err)
	}
}

func second(_ Figure, err error) error { return err }

// 95 % intervals hold the truth about as often as they say, while the judge's own rate does not come near it.
func TestRoganGladenCovers(t *testing.T) {
	rng := seeded(1)
	coin := func(n int, p float64) (k int) {
		for range n {
			if rng.Float64() < p {
				k++
			}
		}
		return k
	}
	const runs, truth, se, sp = 1000, 0.8, 0.85, 0.75
	var held, naive int
	for range runs {
		hits, rejections := coin(60, se), coin(60, sp)
		yes := coin(500, truth*se+(1-truth)*(1-sp))
		f, err := RoganGladen(yes, 500, Detection{hits, 60 - hits, 60 - rejections, rejections}, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if f.Low <= truth && truth <= f.High {
			held++
		}
		if w, _ := Wilson(yes, 500, 0.95); w.Low <= truth && truth <= w.High {
			naive++
		}
	}
	if held < 930 || held > 990 || naive > 900 {
		t.Errorf("%d of %d hold the truth, %d of the judge's own", held, runs, naive)
	}
}

// Value and λ as ppi-python 0.2 has them (ppi_mean_pointestimate with lam=1 and lam=None); standard errors with the
// variances over n − 1, and limits by scipy.stats.t (that package has variances over n, and the normal quantile).
func TestPPI(t *testing.T) {
	y, judged, rest := make([]float64, 60), make([]float64, 60), make([]float64, 400)
	for i := range y {
		if i*7%10 < 6 {
			y[i] = 1
		}
		judged[i] = 0.3 + 0.3*y[i] + 0.3*math.Sin(3*float64(i))
	}
	for j := range rest {
		rest[j] = 0.5 + 0.4*math.Sin(1.7*float64(j)+0.4)
	}
	f, err := PPI{Plain: true}.Mean(y, judged, rest)
	near(t, "plain", f.Value, err, 0.6179345828195775, 1e-12)
	near(t, "plain, low", f.Low, err, 0.5098799261738461, 1e-9)
	near(t, "plain, high", f.High, err, 0.7259892394653088, 1e-9)
	f, err = PPI{}.Mean(y, judged, rest)
	near(t, "tuned", f.Value, err, 0.6148666800580816, 1e-12)
	near(t, "tuned, low", f.Low, err, 0.5068274637879241, 1e-9)
	near(t, "tuned, high", f.High, err, 0.7229058963282392, 1e-9)
	if f.N != 460 || !strings.Contains(f.Method, "λ = 0.829, 60 of 460 labelled") || f.Tested() {
		t.Errorf("%+v", f)
	}
	// The mean against 0 is a difference against nothing.
	zero := func(n int) []float64 { return make([]float64, n) }
	d, err := PPI{}.Difference(Pair{y, zero(60)}, Pair{judged, zero(60)}, Pair{rest, zero(400)})
	if err != nil || d.Value != f.Value || d.Low != f.Low || math.Abs(d.P/1.580396785205223e-16-1) > 1e-3 {
		t.Errorf("difference %+v, %v", d, err)
	}

	// A judge that says the same of all: the labels alone.
	same := mapped(judged, func(float64) float64 { return 0.5 })
	f, err = PPI{}.Mean(y, same, mapped(rest, func(float64) float64 { return 0.5 }))
	alone, _ := Mean(y, nil, 0.95)
	near(t, "useless judge", f.Low, err, alone.Low, 1e-12)
	// A perfect one: the interval of labels for all, nearly.
	f, err = PPI{}.Mean(y, y, rest)
	if err != nil || f.High-f.Low > alone.High-alone.Low {
		t.Errorf("perfect judge: %+v, %v", f, err)
	}

	// Every item twice is no more than once.
	twice := func(x []float64) (out []float64) { return append(append(out, x...), x...) }
	cluster := func(n int) (out []int) {
		for i := range 2 * n {
			out = append(out, i%n)
		}
		return out
	}
	once, _ := PPI{Plain: true}.Mean(y, judged, rest)
	f, err = PPI{Plain: true, Cluster: cluster(60), RestCluster: cluster(400)}.Mean(twice(y), twice(judged), twice(rest))
	near(t, "clusters, low", f.Low, err, once.Low, 1e-9)
	near(t, "clusters, high", f.High, err, once.High, 1e-9)

	for name, bad := range map[string]error{
		"lengths": second(PPI{}.Mean(y, judged[:5], rest)), "no rest": second(PPI{}.Mean(y, judged, nil)), "no labels": second(PPI{}.Mean(nil, nil, rest)),
		"level": second(PPI{Level: 2}.Mean(y, judged, rest)), "clusters": second(PPI{Cluster: []int{1}}.Mean(y, judged, rest)),
		"not a number": second(PPI{}.Mean(y, judged, []float64{math.NaN()})), "pairs": second(PPI{}.Difference(Pair{y, y}, Pair{judged, y[:1]}, Pair{rest, rest})),
	} {
		if bad == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := (PPI{}).Mean(nil, nil, rest); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
	if f, err := (PPI{}).Mean(y[:1], judged[:1], rest); err != nil || f.Why == "" {
		t.Errorf("one label: %+v, %v", f, err)
	}
}

// With a biased judge of some worth the intervals hold the truth as often as they say, and are shorter than those of the
// labels alone; so do the p-values of a difference that is none.
func TestPPICovers(t *testing.T) {
	rng := seeded(3)
	const runs, labels, others, truth = 600, 80, 800, 0.7
	var held, plain, rejected int
	var width, alone float64
	item := func(rate float64) (y, judged float64) {
		if rng.Float64() < rate {
			y = 1
		}
		return y, min(1, 0.35+0.45*y+0.2*rng.Float64())
	}
	for range runs {
		var y, judged, rest [2][]float64
		for i := range labels + others {
			for k := range 2 {
				v, j := item(truth)
				if i < labels {
					y[k], judged[k] = append(y[k], v), append(judged[k], j)
				} else {
					rest[k] = append(rest[k], j)
				}
			}
		}
		f, err := PPI{}.Mean(y[0], judged[0], rest[0])
		if err != nil {
			t.Fatal(err)
		}
		m, _ := Mean(y[0], nil, 0.95)
		width, alone = width+f.High-f.Low, alone+m.High-m.Low
		if f.Low <= truth && truth <= f.High {
			held++
		}
		if mean(rest[0])-0.02 <= truth && truth <= mean(rest[0])+0.02 { // about the judge's own interval
			plain++
		}
		d, err := PPI{}.Difference(Pair{y[0], y[1]}, Pair{judged[0], judged[1]}, Pair{rest[0], rest[1]})
		if err != nil {
			t.Fatal(err)
		}
		if d.P < 0.05 {
			rejected++
		}
	}
	if held < 0.92*runs || plain > 0.5*runs || width > 0.6*alone || rejected > 0.09*runs {
		t.Errorf("%d of %d hold the truth (%d of the judge's own), width %.3f against %.3f of the labels, %d differences where there are none", held, runs, plain, width/runs, alone/runs, rejected)
	}
}
