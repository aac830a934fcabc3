package stats

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

// covers is the share of data sets whose interval holds the truth.
func covers(t *testing.T, reps int, truth float64, interval func(rep uint64) (Figure, error)) float64 {
	t.Helper()
	held := 0
	for rep := range reps {
		f, err := interval(uint64(rep))
		if err != nil {
			t.Fatal(err)
		}
		if f.Low <= truth && truth <= f.High {
			held++
		}
	}
	return float64(held) / float64(reps)
}

func between(t *testing.T, what string, got, low, high float64) {
	t.Helper()
	if !(got >= low && got <= high) {
		t.Errorf("%s = %v, want %v to %v", what, got, low, high)
	}
}

func TestIntervalsCover(t *testing.T) {
	// AUROC of p for y ~ Bernoulli(p), p uniform: E[p(1−q)]/… over pairs p > q is 5/6.
	auroc := 5.0 / 6
	between(t, "DeLong", covers(t, 600, auroc, func(rep uint64) (Figure, error) {
		p, y := draws(seeded(rep), 150, honest)
		return DeLong(p, y, 0.9)
	}), 0.86, 0.94)
	between(t, "bootstrap", covers(t, 200, auroc, func(rep uint64) (Figure, error) {
		p, y := draws(seeded(rep), 150, honest)
		return Bootstrap{Resamples: 300, Level: 0.9}.Of(seeded(rep+1000), AUROC, p, y)
	}), 0.84, 0.95)
	// Five copies of each value: only intervals over clusters are honest.
	clustered := func(cluster bool) float64 {
		return covers(t, 300, 0.5, func(rep uint64) (Figure, error) {
			rng := seeded(rep)
			var x []float64
			var ids []int
			for c := range 40 {
				v := rng.Float64()
				for range 5 {
					x, ids = append(x, v), append(ids, c)
				}
			}
			if !cluster {
				ids = nil
			}
			return Mean(x, ids, 0.9)
		})
	}
	between(t, "mean over clusters", clustered(true), 0.86, 0.94)
	between(t, "mean over dependent items", clustered(false), 0.4, 0.7)
}

func TestBootstrapOverClusters(t *testing.T) {
	var score, y []float64
	var cluster []int
	rng := seeded(2)
	for c := range 60 {
		p, right := draws(rng, 1, honest)
		for range 6 {
			score, y, cluster = append(score, p[0]), append(y, right[0]), append(cluster, c)
		}
	}
	items, err := Bootstrap{}.Of(seeded(1), AUROC, score, y)
	if err != nil {
		t.Fatal(err)
	}
	clusters, err := Bootstrap{Cluster: cluster}.Of(seeded(1), AUROC, score, y)
	if err != nil {
		t.Fatal(err)
	}
	between(t, "width over clusters / over items", (clusters.High-clusters.Low)/(items.High-items.Low), 1.8, 3.2)
	again, err := Bootstrap{Cluster: cluster}.Of(seeded(1), AUROC, score, y)
	if err != nil || again != clusters {
		t.Errorf("same seed gives %v and %v (%v)", clusters, again, err)
	}
	one, err := Bootstrap{Cluster: make([]int, len(y))}.Of(seeded(1), AUROC, score, y)
	if err != nil || !math.IsNaN(one.Low) || one.Why == "" {
		t.Errorf("one cluster: %+v, %v", one, err)
	}
	// Nearly always one class: a value, no interval, a reason.
	rare, err := Bootstrap{}.Of(seeded(1), AUROC, []float64{1, 2, 3, 4}, []float64{0, 0, 0, 1})
	if err != nil || rare.Value != 1 || !math.IsNaN(rare.Low) || !strings.Contains(rare.Why, "undefined") {
		t.Errorf("one right answer: %+v, %v", rare, err)
	}
	bca, err := Bootstrap{Kind: BCa}.Figure(seeded(1), 5, func([]int) (float64, error) { return 3, nil })
	if err != nil || bca.Value != 3 || bca.Low != 3 || bca.High != 3 {
		t.Errorf("BCa of a constant: %+v, %v", bca, err)
	}
}

func TestBootstrapDifference(t *testing.T) {
	p, y := draws(seeded(6), 400, honest)
	noise := make([]float64, len(p))
	rng := seeded(8)
	for i := range noise {
		noise[i] = p[i] + 0.6*rng.Float64()
	}
	f, err := Bootstrap{}.Difference(seeded(1), AUROC, p, noise, y)
	if err != nil || f.Low <= 0 {
		t.Errorf("a better score against a noisier one: %v, %v", f, err)
	}
	delong, err := DeLongPaired(p, noise, y, 0.95)
	near(t, "low bound", f.Low, err, delong.Difference.Low, 0.015)
	near(t, "high bound", f.High, err, delong.Difference.High, 0.015)
	same, err := DeLongPaired(p, p, y, 0.95)
	if err != nil || same.Test.P != 1 || !math.IsNaN(same.Difference.Low) || same.Difference.Why == "" {
		t.Errorf("a score against itself: %+v, %v", same, err)
	}
}

// A perfect separation of few items is not known to be perfect.
func TestSeparatedAUROCHasAnInterval(t *testing.T) {
	f, err := DeLong([]float64{1, 2, 3, 4, 5, 6}, []float64{0, 0, 0, 1, 1, 1}, 0.95)
	if err != nil || f.Value != 1 || f.High != 1 || f.Low > 0.8 || f.Low < 0.3 || !strings.HasPrefix(f.Method, "Newcombe") {
		t.Errorf("%+v, %v", f, err)
	}
	g, err := DeLong([]float64{6, 5, 4, 3, 2, 1}, []float64{0, 0, 0, 1, 1, 1}, 0.95)
	near(t, "mirrored", g.High, err, 1-f.Low, 1e-9)
}

// Tango's statistic uses the nuisance probability that maximises the likelihood under H0.
func TestTangoRestrictedMaximum(t *testing.T) {
	for _, c := range []struct{ b, c, n, delta float64 }{{9, 4, 60, -0.05}, {0, 3, 40, -0.1}, {7, 7, 30, 0.2}} {
		best, at := math.Inf(-1), 0.0
		for q := 1e-6; q < 1; q += 1e-5 { // q = P(only second), q+delta = P(only first)
			first, rest := q+c.delta, 1-2*q-c.delta
			if first <= 0 || rest <= 0 {
				continue
			}
			l := c.b*math.Log(first) + c.c*math.Log(q) + (c.n-c.b-c.c)*math.Log(rest)
			if l > best {
				best, at = l, q
			}
		}
		want := (c.b - c.c - c.n*c.delta) / math.Sqrt(c.n*(2*at+c.delta-c.delta*c.delta))
		near(t, "Tango z", tangoZ(c.b, c.c, c.n, c.delta), nil, want, 1e-3)
	}
}

func TestNonInferior(t *testing.T) {
	right := func(n, wrong int) []float64 {
		y := make([]float64, n)
		for i := range y {
			if i >= wrong {
				y[i] = 1
			}
		}
		return y
	}
	// Identical answers prove little on ten questions and much on a thousand.
	few, err := NonInferior(right(10, 2), right(10, 2), 0.01, 0.05, nil)
	if err != nil || few.Holds {
		t.Errorf("ten identical pairs: %+v, %v", few, err)
	}
	many, err := NonInferior(right(1000, 200), right(1000, 200), 0.01, 0.05, nil)
	if err != nil || !many.Holds {
		t.Errorf("a thousand identical pairs: %+v, %v", many, err)
	}
	worse, err := NonInferior(right(1000, 250), right(1000, 200), 0.01, 0.05, nil)
	if err != nil || worse.Holds || worse.P < 0.99 {
		t.Errorf("five points worse: %+v, %v", worse, err)
	}
	for _, r := range []NonInferiority{few, many, worse} {
		if r.Holds != (r.Difference.Low > -r.Margin) {
			t.Errorf("bound %v and verdict %v disagree", r.Difference.Low, r.Holds)
		}
	}
	// At the margin itself it is granted in at most about alpha of the trials.
	for name, cluster := range map[string][]int{"Tango": nil, "t": make([]int, 300)} {
		granted := 0
		const trials = 1000
		for trial := range trials {
			rng := seeded(uint64(trial))
			fresh, old := make([]float64, 300), make([]float64, 300)
			for i := range old {
				if cluster != nil {
					cluster[i] = i
				}
				switch u := rng.Float64(); {
				case u < 0.10:
					old[i] = 1
				case u < 0.15:
					fresh[i] = 1
				case u < 0.6:
					old[i], fresh[i] = 1, 1
				}
			}
			r, err := NonInferior(fresh, old, 0.05, 0.05, cluster)
			if err != nil {
				t.Fatal(err)
			}
			if r.Holds {
				granted++
			}
		}
		between(t, name+" false grants", float64(granted)/trials, 0.02, 0.075)
	}
}

func TestFigureJSON(t *testing.T) {
	f := Figure{Value: 0.5, Low: 0.4, High: 0.6, N: 10, Method: "Wilson, 95 %"}
	gone := Missing(3, ErrConstant)
	for _, c := range []struct {
		f    Figure
		want string
	}{
		{f, `{"value":0.5,"low":0.4,"high":0.6,"n":10,"method":"Wilson, 95 %"}`},
		{gone, `{"value":null,"low":null,"high":null,"n":3,"why":"all values are the same"}`},
	} {
		b, err := json.Marshal(c.f)
		if err != nil || string(b) != c.want {
			t.Errorf("%s, %v, want %s", b, err, c.want)
		}
		var back Figure
		if err := json.Unmarshal(b, &back); err != nil || back.String() != c.f.String() {
			t.Errorf("round trip gives %v, %v", back, err)
		}
	}
}

func TestArguments(t *testing.T) {
	bad := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrRange) {
			t.Errorf("%s: %v, want ErrRange", what, err)
		}
	}
	s, y := []float64{.1, .2, .9}, []float64{0, 1, 1}
	_, err := Wilson(4, 3, 0.95)
	bad("k > n", err)
	_, err = Wilson(1, 3, 1)
	bad("level 1", err)
	_, err = DeLong(s, y, math.NaN())
	bad("level NaN", err)
	_, err = PRR(s, y, 0)
	bad("no rejection", err)
	_, err = AccuracyAt(s, y, 1.5)
	bad("coverage", err)
	_, err = CoverageAt(s, y, math.NaN())
	bad("risk", err)
	_, err = FPRAt(s, y, 0)
	bad("rate", err)
	_, err = Bins(s, y, WidthLeft, 0)
	bad("bins", err)
	_, err = Bins(s, y, Binning(99), 3)
	bad("rule", err)
	_, err = LogLoss(s, y, 0.5)
	bad("clip", err)
	_, err = SmoothECE(s, y, 0)
	bad("width", err)
	_, err = BordaWeights(s, -1)
	bad("power", err)
	_, err = BetaMajority(-1, 2)
	bad("count", err)
	_, err = DirichletTop([]int{3, -1})
	bad("counts", err)
	_, err = NewCertifier[int](0)
	bad("alpha", err)
	_, err = FitLogistic(column(s), y, -1)
	bad("penalty", err)
	_, err = Folds(seeded(1), 3, 4, nil)
	bad("folds", err)
	_, err = NonInferior(y, y, 0, 0.05, nil)
	bad("margin", err)
	_, err = Bootstrap{Resamples: 1}.Of(seeded(1), AUROC, s, y)
	bad("resamples", err)
	_, _, err = McNemar(-1, 0)
	bad("pairs", err)
	_, err = Entropy([]float64{1, -1})
	bad("weights", err)
	_, err = Brier([]float64{1.2}, []float64{1})
	bad("probability", err)
}

func BenchmarkAUROC(b *testing.B) {
	p, y := draws(seeded(1), 100_000, honest)
	for b.Loop() {
		if _, err := AUROC(p, y); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDeLong(b *testing.B) {
	p, y := draws(seeded(1), 100_000, honest)
	for b.Loop() {
		if _, err := DeLong(p, y, 0.95); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBootstrapOf(b *testing.B) {
	p, y := draws(seeded(1), 100_000, honest)
	for b.Loop() {
		if _, err := (Bootstrap{Resamples: 100}).Of(seeded(2), AUROC, p, y); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBootstrapSkill(b *testing.B) {
	p, y := draws(seeded(1), 100_000, honest)
	for b.Loop() {
		if _, err := SkillOver(Bootstrap{Resamples: 100}, seeded(2), p, y, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// Ranking once and counting resamples is the same figure as computing each anew.
func TestBootstrapAUROCIsTheSlowOne(t *testing.T) {
	rng := seeded(5)
	n := 300
	a, b, y, cluster := make([]float64, n), make([]float64, n), make([]float64, n), make([]int, n)
	for i := range y {
		y[i] = float64(rng.IntN(2))
		a[i] = math.Round(4 * (rng.NormFloat64() + y[i])) // with ties
		b[i] = rng.NormFloat64() + y[i]/2
		cluster[i] = rng.IntN(40)
	}
	for _, boot := range []Bootstrap{{}, {Cluster: cluster}, {Kind: BCa}, {Kind: Basic, Cluster: cluster, Level: .9}} {
		fast, err := boot.AUROC(seeded(1), a, y)
		if err != nil {
			t.Fatal(err)
		}
		slow, err := boot.Of(seeded(1), AUROC, a, y)
		near(t, "value", fast.Value, err, slow.Value, 1e-12)
		// Of draws positions of the sorted items, AUROC draws items: same law, other luck.
		near(t, "low", fast.Low, nil, slow.Low, 0.01)
		near(t, "high", fast.High, nil, slow.High, 0.01)
		fast, err = boot.AUROCDifference(seeded(1), a, b, y)
		if err != nil {
			t.Fatal(err)
		}
		slow, err = boot.Difference(seeded(1), AUROC, a, b, y)
		near(t, "difference", fast.Value, err, slow.Value, 1e-12)
		near(t, "difference low", fast.Low, nil, slow.Low, 1e-12)
		near(t, "difference high", fast.High, nil, slow.High, 1e-12)
	}
}

func TestDrawIsUniform(t *testing.T) {
	rng := seeded(9)
	count, sum := make([]int32, 7), make([]float64, 7)
	for range 20_000 {
		draw(rng, count)
		total := int32(0)
		for i, c := range count {
			sum[i] += float64(c)
			total += c
		}
		if total != 7 {
			t.Fatalf("%d draws, want 7", total)
		}
	}
	for i, s := range sum { // standard deviation √(140000/7·6/7) = 131
		if math.Abs(s-20_000) > 600 {
			t.Errorf("unit %d drawn %v times, want about 20000", i, s)
		}
	}
}

// 10,000 items, 2,000 resamples.
func BenchmarkBootstrapAUROC(b *testing.B) {
	rng := seeded(1)
	score, y := make([]float64, 10_000), make([]float64, 10_000)
	for i := range y {
		y[i] = float64(rng.IntN(2))
		score[i] = rng.NormFloat64() + y[i]
	}
	for b.Loop() {
		if _, err := (Bootstrap{Resamples: 2000}).AUROC(rng, score, y); err != nil {
			b.Fatal(err)
		}
	}
}
