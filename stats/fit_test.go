package stats

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSeparatedClasses(t *testing.T) {
	s, y := []float64{.1, .2, .7, .9}, []float64{0, 0, 1, 1}
	for name, fit := range map[string]func() error{
		"Platt": func() error { _, err := FitPlatt(s, y, true); return err },
		"beta":  func() error { _, err := FitBeta(s, y); return err },
		"quasi": func() error { _, err := FitPlatt([]float64{.1, .5, .5, .9}, []float64{0, 0, 1, 1}, false); return err },
		"two features": func() error {
			_, err := FitLogistic([][]float64{{1, 0}, {2, 1}, {3, 0}, {4, 1}}, y, 0)
			return err
		},
		"collinear": func() error {
			_, err := FitLogistic([][]float64{{1, 2}, {2, 4}, {3, 6}, {4, 8}}, []float64{1, 0, 1, 0}, 0)
			return err
		},
	} {
		if err := fit(); !errors.Is(err, ErrSeparated) {
			t.Errorf("%s: %v, want ErrSeparated", name, err)
		}
	}
	smooth, err := SmoothTargets(y)
	if err != nil {
		t.Fatal(err)
	}
	m, err := FitPlatt(s, smooth, true)
	if err != nil || !(m.Slope > 0) {
		t.Errorf("smoothed targets: %+v, %v", m, err)
	}
	if m, err := FitLogistic(column(s), y, 1); err != nil || !(m.Coef[0] > 0) {
		t.Errorf("penalised: %+v, %v", m, err)
	}
	if _, err := FitPlatt([]float64{.5, .5, .5}, []float64{0, 1, 1}, false); !errors.Is(err, ErrConstant) {
		t.Errorf("constant score: %v", err)
	}
}

func TestMapsMendOverconfidence(t *testing.T) {
	p, y := draws(seeded(1), 4000, overconfident)
	held, heldY := draws(seeded(2), 4000, overconfident)
	before, err := LogLoss(held, heldY, Clip)
	if err != nil {
		t.Fatal(err)
	}
	for name, fit := range map[string]func() (Map, error){
		"Platt":       func() (Map, error) { return FitPlatt(p, y, true) },
		"temperature": func() (Map, error) { return FitTemperature(p, y) },
		"isotonic":    func() (Map, error) { return FitIsotonic(p, y) },
		"beta":        func() (Map, error) { return FitBeta(p, y) },
	} {
		m, err := fit()
		if err != nil {
			t.Fatal(name, err)
		}
		q := Apply(m, held)
		after, err := LogLoss(q, heldY, Clip)
		if err != nil || after > before-0.02 {
			t.Errorf("%s: log loss %v before, %v after (%v)", name, before, after, err)
		}
		bins, err := Bins(q, heldY, WidthRight, 10)
		if ece := DebiasedECE(bins); err != nil || ece > 0.02 {
			t.Errorf("%s: ECE %v after (%v)", name, ece, err)
		}
		if v := m.Apply(math.NaN()); !math.IsNaN(v) {
			t.Errorf("%s: NaN becomes %v", name, v)
		}
		for _, x := range []float64{math.Inf(-1), -math.MaxFloat64, -1, 0, 1, 2, math.MaxFloat64, math.Inf(1)} {
			if v := m.Apply(x); !(v >= 0 && v <= 1) {
				t.Errorf("%s: Apply(%v) = %v", name, x, v)
			}
		}
	}
}

func TestUnmarshalMapRefuses(t *testing.T) {
	for _, s := range []string{
		``, `{}`, `[]`, `null`, `{"kind":"spline","params":{}}`, `{"kind":"platt","params":7}`,
		`{"kind":"temperature","params":{"t":0}}`, `{"kind":"temperature","params":{}}`,
		`{"kind":"isotonic","params":{"x":[],"y":[]}}`, `{"kind":"isotonic","params":{"x":[1,0],"y":[0,1]}}`,
		`{"kind":"isotonic","params":{"x":[0,1],"y":[1,0]}}`, `{"kind":"isotonic","params":{"x":[0],"y":[2]}}`,
		`{"kind":"isotonic","params":{"x":[0,1],"y":[0]}}`, `{"kind":"beta","params":{"a":-1,"b":1,"c":0}}`,
		`{"kind":"platt","params":{"slope":1e999}}`,
	} {
		if m, err := UnmarshalMap([]byte(s)); err == nil {
			t.Errorf("%s was read as %+v", s, m)
		}
	}
	if _, err := MarshalMap(Temperature{math.NaN()}); err == nil {
		t.Error("a map with NaN was written")
	}
}

// linear makes outcomes of two informative features and one that never varies.
func linear(seed uint64, n int) (x [][]float64, y []float64) {
	rng := seeded(seed)
	for range n {
		row := []float64{10 + 3*rng.NormFloat64(), 0.01 * rng.NormFloat64(), 7}
		x = append(x, row)
		y = append(y, 0)
		if rng.Float64() < trueLinear(row) {
			y[len(y)-1] = 1
		}
	}
	return x, y
}

func trueLinear(row []float64) float64 { return Sigmoid(0.5 + 0.4*(row[0]-10) - 80*row[1]) }

func TestLogisticRecovers(t *testing.T) {
	x, y := linear(1, 20_000)
	m, err := FitLogistic(x, y, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, cov := m.raw()
	for i, want := range []float64{0.5 - 0.4*10, 0.4, -80, 0} {
		if se := math.Sqrt(cov.At(i, i)); math.Abs(raw[i]-want) > 3.5*se || (se == 0) != (i == 3) {
			t.Errorf("coefficient %d is %v ± %v, want %v", i, raw[i], se, want)
		}
	}
	shrunk, err := FitLogistic(x, y, 1e9)
	if err != nil || math.Abs(shrunk.Coef[0]) > 1e-3 {
		t.Errorf("a huge penalty leaves %v, %v", shrunk.Coef, err)
	}
	near(t, "unpenalised intercept", Sigmoid(shrunk.Intercept), nil, mean(y), 1e-6)

	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back Logistic
	if err := json.Unmarshal(b, &back); err != nil || back.Validate() != nil {
		t.Fatal(err, back.Validate())
	}
	f, err := m.Interval(x[0], 0.9)
	g, err2 := back.Interval(x[0], 0.9)
	if err != nil || err2 != nil || !cmp.Equal(f, g) {
		t.Errorf("stored fit gives %v, the fit %v (%v, %v)", g, f, err, err2)
	}
	q, err := m.Predict(x[0])
	near(t, "Predict", q, err, f.Value, 0)
	if _, err := m.Predict(x[0][:2]); !errors.Is(err, ErrLength) {
		t.Errorf("two of three features: %v", err)
	}
	if _, err := m.Predict([]float64{math.NaN(), 0, 0}); !errors.Is(err, ErrNotFinite) {
		t.Errorf("NaN feature: %v", err)
	}
	back.Cov = back.Cov[1:]
	if back.Validate() == nil {
		t.Error("a fit with a missing covariance row passed")
	}
}

func TestLogisticIntervalCovers(t *testing.T) {
	at := []float64{13, 0.005, 7}
	between(t, "delta method", covers(t, 300, trueLinear(at), func(rep uint64) (Figure, error) {
		x, y := linear(rep, 300)
		m, err := FitLogistic(x, y, 0)
		if err != nil {
			return Figure{}, err
		}
		return m.Interval(at, 0.9)
	}), 0.85, 0.95)
}

// Every item five times over: the plain covariance is five times too small, the clustered one is not.
func TestLogisticClustered(t *testing.T) {
	x, y := linear(3, 400)
	once, err := FitLogistic(x, y, 0)
	if err != nil {
		t.Fatal(err)
	}
	var x5 [][]float64
	var y5 []float64
	var cluster []int
	for i := range y {
		for range 5 {
			x5, y5, cluster = append(x5, x[i]), append(y5, y[i]), append(cluster, i)
		}
	}
	m, err := FitLogistic(x5, y5, 0)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "plain", m.Cov[1][1], nil, once.Cov[1][1]/5, 1e-9)
	if err := m.Clustered(x5, y5, cluster); err != nil {
		t.Fatal(err)
	}
	between(t, "clustered / once", m.Cov[1][1]/once.Cov[1][1], 0.85, 1.15)
	if err := m.Clustered(x5, y5, make([]int, len(y5))); err == nil {
		t.Error("one cluster accepted")
	}
}

func TestCrossFitNeverSeesItsFold(t *testing.T) {
	group := make([]int, 103)
	for i := range group {
		group[i] = i / 4
	}
	fold, err := Folds(seeded(1), len(group), 5, group)
	if err != nil {
		t.Fatal(err)
	}
	size := make([]int, 5)
	for i, f := range fold {
		size[f]++
		if f != fold[i/4*4] {
			t.Errorf("group of item %d is split", i)
		}
	}
	if slices.Max(size)-slices.Min(size) > 4 {
		t.Errorf("fold sizes %v", size)
	}
	predicted, err := CrossFit(fold,
		func(train []int) ([]int, error) { return train, nil },
		func(train []int, item int) (bool, error) {
			return !slices.ContainsFunc(train, func(j int) bool { return fold[j] == fold[item] }) && len(train) == len(fold)-size[fold[item]], nil
		})
	if err != nil || slices.Contains(predicted, false) {
		t.Errorf("a model was fitted on the fold it predicts, or on too little (%v)", err)
	}
	again, err := Folds(seeded(1), len(group), 5, group)
	if err != nil || !slices.Equal(fold, again) {
		t.Error("same seed, other folds")
	}
	boom := errors.New("boom")
	if _, err := CrossFit(fold, func([]int) (int, error) { return 0, boom }, func(int, int) (int, error) { return 0, nil }); !errors.Is(err, boom) {
		t.Errorf("error of the fit: %v", err)
	}
	if _, err := CrossFit(make([]int, 4), func([]int) (int, error) { return 0, nil }, func(int, int) (int, error) { return 0, nil }); err == nil {
		t.Error("one fold accepted")
	}
}

func TestCrossFitMap(t *testing.T) {
	p, y := draws(seeded(1), 600, overconfident)
	fold, err := Folds(seeded(2), len(p), 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	q, err := CrossFitMap(fold, p, y, func(p, y []float64) (Map, error) { return FitPlatt(p, y, true) })
	if err != nil {
		t.Fatal(err)
	}
	r, err := Cox(q, y)
	if err != nil || r.Test.P < 0.05 {
		t.Errorf("cross-fitted probabilities are rejected: %+v, %v", r, err)
	}
}

func FuzzUnmarshalMap(f *testing.F) {
	for _, m := range []Map{Platt{2, -1, true}, Temperature{1.5}, Isotonic{[]float64{0, .5}, []float64{.1, .9}}, Beta{1, 2, 3}} {
		b, err := MarshalMap(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, 0.3)
	}
	f.Fuzz(func(t *testing.T, b []byte, x float64) {
		m, err := UnmarshalMap(b)
		if err != nil {
			return
		}
		if v := m.Apply(x); !(v >= 0 && v <= 1) && !math.IsNaN(x) && !math.IsInf(x, 0) {
			t.Errorf("%s at %v gives %v", b, x, v)
		}
		if _, err := MarshalMap(m); err != nil {
			t.Errorf("read but not written: %v", err)
		}
	})
}
