package calibrate_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/stats"
)

var key = calibrate.Key{Model: "sha256:00", Policy: "vote", Form: "shots@1:00", Kind: "free"}

func reading(name string, score float64) calibrate.Named {
	return calibrate.Named{Name: name, Reading: monitor.Reading{Score: score, Source: "logprobs", Reads: 3}}
}

// simulate makes answers that are right with log-odds 0.3 + 0.8·z, where z, a
// normal with standard deviation 1.5, is the log-odds of the score a/score.
func simulate(seed uint64, n int) []calibrate.Example {
	rng := rand.New(rand.NewPCG(seed, 0))
	out := make([]calibrate.Example, n)
	for i := range out {
		z := 1.5 * rng.NormFloat64()
		out[i] = calibrate.Example{Readings: []calibrate.Named{reading("a/score", stats.Sigmoid(z))}, Right: rng.Float64() < truth(stats.Sigmoid(z))}
	}
	return out
}

func truth(score float64) float64 { return stats.Sigmoid(0.3 + 0.8*stats.Logit(score, 1e-9)) }

func fit(t testing.TB, examples []calibrate.Example) (*calibrate.Calibrator, []float64) {
	t.Helper()
	c, held, err := calibrate.Fit(key, "a model, vote", "a simulation", examples, 1)
	if err != nil {
		t.Fatal(err)
	}
	return c, held
}

func apply(t testing.TB, c *calibrate.Calibrator, rs ...calibrate.Named) calibrate.Estimate {
	t.Helper()
	e, err := c.Apply(rs)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestFitRecoversTheLine(t *testing.T) {
	examples := simulate(1, 5000)
	c, held := fit(t, examples)
	slope := c.Fit.Coef[0] / c.Fit.Scale[0]
	intercept := c.Fit.Intercept - slope*c.Fit.Mean[0]
	if math.Abs(slope-0.8) > 0.08 || math.Abs(intercept-0.3) > 0.1 {
		t.Errorf("line %.3f + %.3f z, want 0.3 + 0.8 z", intercept, slope)
	}
	for _, score := range []float64{0.05, 0.2, 0.5, 0.8, 0.95} {
		e := apply(t, c, reading("a/score", score))
		if want := truth(score); math.Abs(e.P-want) > 0.04 || !(e.Low < e.P && e.P < e.High) || e.Outside {
			t.Errorf("score %v: %+v, want %.3f", score, e, want)
		}
		sum := 0.0
		for _, term := range e.Terms {
			sum += term.Value
		}
		if math.Abs(stats.Sigmoid(sum)-e.P) > 1e-12 || len(e.Terms) != 2 {
			t.Errorf("the terms %v do not add up to %v", e.Terms, e.P)
		}
	}
	// Held-out probabilities stand in the order of the examples.
	for i, p := range held {
		if want := truth(examples[i].Readings[0].Score); math.Abs(p-want) > 0.08 {
			t.Fatalf("held-out probability %d is %.3f, want %.3f", i, p, want)
		}
	}
	if c.Fit.N != 5000 || c.BaseRate < 0.4 || c.BaseRate > 0.7 || c.Skill < 0.1 || c.Skill > 0.3 || !slices.Equal(c.Signals, []string{"a/score"}) {
		t.Errorf("calibrator %+v", c)
	}
}

func TestNoSignalNoSkill(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1)) // not the stream of the scores
	examples := simulate(3, 600)
	for i := range examples {
		examples[i].Right = rng.Float64() < 0.3
	}
	c, _ := fit(t, examples)
	if e := apply(t, c, reading("a/score", 0.5)); c.Skill > 0.005 || e.Low > c.BaseRate || e.High < c.BaseRate {
		t.Errorf("skill %.4f, estimate %+v from noise", c.Skill, e)
	}
}

// The interval is to hold the true probability nine times out of ten.
func TestIntervalsCover(t *testing.T) {
	const reps = 400
	scores := []float64{0.1, 0.5, 0.9}
	in := make([]int, len(scores))
	for rep := range reps {
		c, _ := fit(t, simulate(uint64(1000+rep), 150))
		for i, score := range scores {
			if e := apply(t, c, reading("a/score", score)); e.Low <= truth(score) && truth(score) <= e.High {
				in[i]++
			}
		}
	}
	for i, n := range in {
		// Four standard errors of a share of .9 in 400.
		if share := float64(n) / reps; share < 0.84 || share > 0.96 {
			t.Errorf("at score %v the 90 %% interval holds the truth in %.1f %%", scores[i], 100*share)
		}
	}
}

// Answers about one thing are not as many answers.
func TestClustersWidenTheInterval(t *testing.T) {
	once := simulate(5, 100)
	var fourfold []calibrate.Example
	for i, e := range once {
		e.Cluster = fmt.Sprint("c", i)
		fourfold = append(fourfold, e, e, e, e)
	}
	width := func(es []calibrate.Example) float64 {
		c, _ := fit(t, es)
		e := apply(t, c, reading("a/score", 0.7))
		return e.High - e.Low
	}
	clustered := width(fourfold)
	for i := range fourfold {
		fourfold[i].Cluster = ""
	}
	if apart := width(fourfold); clustered < 1.6*apart {
		t.Errorf("width %.3f in clusters of four, %.3f if they were independent", clustered, apart)
	}
}

func TestFewClustersAreFewFolds(t *testing.T) {
	examples := simulate(6, 60)
	for i := range examples {
		examples[i].Cluster = fmt.Sprint("c", i%3)
	}
	if _, held := fit(t, examples); len(held) != 60 {
		t.Errorf("%d held-out probabilities", len(held))
	}
}

func TestOutside(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 0))
	var examples []calibrate.Example
	for range 1000 {
		z, e := rng.NormFloat64(), 0.1*rng.NormFloat64()
		examples = append(examples, calibrate.Example{
			Readings: []calibrate.Named{reading("a/one", stats.Sigmoid(z)), reading("a/two", stats.Sigmoid(z+e))}, Right: rng.Float64() < stats.Sigmoid(z),
		})
	}
	c, _ := fit(t, examples)
	outside := 0
	for _, e := range examples {
		if apply(t, c, e.Readings...).Outside {
			outside++
		}
	}
	if outside < 5 || outside > 10 {
		t.Errorf("%d of 1000 fitted answers are outside, want the last 1 %%", outside)
	}
	for _, q := range []struct {
		one, two float64
		want     bool
	}{{0.5, 0.5, false}, {0.8, 0.8, false}, {0.1, 0.11, false}, {0.9999, 0.9999, true}, {1e-6, 1e-6, true}, {0.8, 0.2, true} /* each usual, never both */} {
		if got := apply(t, c, reading("a/one", q.one), reading("a/two", q.two)).Outside; got != q.want {
			t.Errorf("scores %v and %v: outside %v", q.one, q.two, got)
		}
	}
}

func TestFitSaysWhatItLacks(t *testing.T) {
	good := simulate(8, 100)
	change := func(f func(i int, e *calibrate.Example)) []calibrate.Example {
		out := slices.Clone(good)
		for i := range out {
			out[i].Readings = slices.Clone(out[i].Readings)
			f(i, &out[i])
		}
		return out
	}
	for name, c := range map[string]struct {
		examples []calibrate.Example
		want     string
	}{
		"none":           {nil, "0 labelled answers: at least 30"},
		"too few":        {good[:29], "29 labelled answers: at least 30"},
		"no signals":     {change(func(_ int, e *calibrate.Example) { e.Readings = nil }), "no signal was read"},
		"none in common": {change(func(i int, e *calibrate.Example) { e.Readings[0].Name = fmt.Sprint(i % 2) }), "no signal was read"},
		"all right":      {change(func(_ int, e *calibrate.Example) { e.Right = true }), "100 answers, 100 % of them right"},
		"all but one":    {change(func(i int, e *calibrate.Example) { e.Right = i > 0 }), "100 answers, 99 % of them right"},
		"NaN":            {change(func(i int, e *calibrate.Example) { e.Readings[0].Score = math.NaN() }), "not a finite number"},
		"one cluster":    {change(func(i int, e *calibrate.Example) { e.Cluster = "all" }), "cluster"},
	} {
		if _, _, err := calibrate.Fit(key, "", "", c.examples, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestFitUsesTheSignalsThatAllAnswersHave(t *testing.T) {
	examples := simulate(9, 60)
	for i := range examples {
		examples[i].Readings = append(examples[i].Readings, reading("b/constant", 0.5))
		if i%2 == 0 {
			examples[i].Readings = append(examples[i].Readings, reading("c/half", 0.5))
		}
	}
	c, _ := fit(t, examples)
	if !slices.Equal(c.Signals, []string{"a/score", "b/constant"}) {
		t.Errorf("signals %v", c.Signals)
	}
	if _, err := c.Apply([]calibrate.Named{reading("a/score", 0.5)}); err == nil || !strings.Contains(err.Error(), "b/constant") {
		t.Errorf("without a signal: %v", err)
	}
	a := apply(t, c, reading("a/score", 0.7), reading("b/constant", 0.5))
	b := apply(t, c, reading("z/unknown", 0.1), reading("b/constant", 0.5), reading("a/score", 0.7))
	if a.P != b.P {
		t.Errorf("order and unknown signals matter: %v, %v", a.P, b.P)
	}
}

func TestLogOddsKeepAwayFromTheEnds(t *testing.T) {
	for _, c := range []struct {
		r    monitor.Reading
		want float64
	}{
		{monitor.Reading{Score: 0.5, Source: "logprobs", Reads: 10}, 0},
		{monitor.Reading{Score: 0.75, Source: "logprobs"}, math.Log(3)},
		{monitor.Reading{Score: 1, Source: "samples", Reads: 10}, math.Log(10.5 / 0.5)},
		{monitor.Reading{Score: 0, Source: "samples", Reads: 10}, -math.Log(10.5 / 0.5)},
		{monitor.Reading{Score: 0.5, Source: "samples", Reads: 4}, 0},
	} {
		if got := calibrate.LogOdds(c.r); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v: %v, want %v", c.r, got, c.want)
		}
	}
	for _, s := range []float64{0, 1} {
		if got := calibrate.LogOdds(monitor.Reading{Score: s, Source: "asked"}); math.IsInf(got, 0) || math.Abs(got) > 20 {
			t.Errorf("a stated %v is %v", s, got)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	c, _ := fit(t, simulate(10, 200))
	path, err := c.Save(dir)
	if err != nil {
		t.Fatal(err)
	}
	set, err := calibrate.Load(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	back, ok := set.Find(key)
	if !ok || back.On != c.On || back.Skill != c.Skill || back.BaseRate != c.BaseRate {
		t.Fatalf("loaded %+v from %s", back, path)
	}
	for _, s := range []float64{0.01, 0.5, 0.97} {
		a, b := apply(t, c, reading("a/score", s)), apply(t, back, reading("a/score", s))
		if a.P != b.P || a.Low != b.Low || a.High != b.High || a.Outside != b.Outside {
			t.Errorf("score %v: %+v before, %+v after", s, a, b)
		}
	}
	files := func() []string {
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	// Another key of the same name stands beside it, a new fit for the key replaces it.
	other := *c
	other.Key.Form = "chat@1:00"
	if _, err := other.Save(dir); err != nil || len(files()) != 2 {
		t.Errorf("two forms made %v (%v)", files(), err)
	}
	renamed := *c
	renamed.Name, renamed.On = "../../the same under a new name", "newer"
	if _, err := renamed.Save(dir); err != nil || len(files()) != 2 {
		t.Errorf("a new fit made %v (%v)", files(), err)
	}
	if set, err = calibrate.Load(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if back, _ := set.Find(key); back == nil || back.On != "newer" {
		t.Errorf("after a new fit: %+v", back)
	}
	broken := *c
	broken.Reach = math.NaN()
	if _, err := broken.Save(dir); err == nil {
		t.Error("a calibrator that is not finite was saved")
	}
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// without changes one field of a stored calibrator.
func without(t testing.TB, raw []byte, field string, value any) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	if name, inner, ok := strings.Cut(field, "."); ok {
		m[name] = maps.Clone(m[name].(map[string]any))
		m[name].(map[string]any)[inner] = value
	} else {
		m[field] = value
	}
	return marshal(t, m)
}

func TestBrokenFilesAreRefusedByName(t *testing.T) {
	c, _ := fit(t, simulate(11, 100))
	good := marshal(t, c)
	prior := marshal(t, []*calibrate.Prior{somePrior()})
	for name, raw := range map[string][]byte{
		"empty.json":        {},
		"cut.json":          good[:len(good)/2],
		"text.json":         []byte("hello"),
		"null.json":         []byte("null"),
		"list.json":         []byte("[]"),
		"two.json":          append(slices.Clone(good), good...),
		"old.json":          without(t, good, "schema", 0),
		"new.json":          without(t, good, "schema", 2),
		"fitless.json":      without(t, good, "fit", nil),
		"signals.json":      without(t, good, "signals", []string{"a/score", "b/more"}),
		"spread.json":       without(t, good, "spread", [][]float64{{1, 2}}),
		"ragged.json":       without(t, good, "spread", [][]float64{nil}),
		"coef.json":         without(t, good, "fit.coef", []float64{1, 2}),
		"mean.json":         without(t, good, "fit.mean", nil),
		"scale.json":        without(t, good, "fit.scale", []float64{-1}),
		"cov.json":          without(t, good, "fit.cov", [][]float64{{1}}),
		"huge.json":         []byte(strings.Replace(string(good), `"reach":`, `"reach":1e999,"x":`, 1)),
		"words.json":        without(t, good, "reach", "far"),
		"priors.json":       []byte("[null]"),
		"priors.json ":      []byte(`[{"schema": 9}]`),
		"priors.json  ":     prior[:len(prior)-3],
		"priors.json   ":    []byte(`[{"schema": 1, "coef": [1e999, 0]}]`),
		"priors.json    ":   []byte(`{"schema": 1}`),
		"priors.json     ":  []byte(``),
		"priors.json      ": []byte(`[{"schema": 1}, null]`),
	} {
		file := strings.TrimSpace(name)
		_, err := calibrate.Load(fstest.MapFS{"fine.json": {Data: good}, file: {Data: raw}})
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s with %.40q: %v", file, raw, err)
		}
	}
	if _, err := calibrate.Load(fstest.MapFS{"fine.json": {Data: good}, "priors.json": {Data: prior}, "notes.txt": {Data: []byte("hello")}}); err != nil {
		t.Errorf("good files: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	c, _ := fit(f, simulate(12, 60))
	f.Add(marshal(f, c), marshal(f, []*calibrate.Prior{somePrior()}))
	f.Add([]byte(`{"schema":1,"fit":{"coef":[],"mean":[],"scale":[],"cov":[[0]]},"signals":[],"spread":[]}`), []byte("[]"))
	f.Fuzz(func(t *testing.T, calibrator, priors []byte) {
		set, err := calibrate.Load(fstest.MapFS{"c.json": {Data: calibrator}, "priors.json": {Data: priors}})
		if err != nil {
			return
		}
		if e, cal := set.Estimate(key, []calibrate.Named{reading("a/score", 0.5)}); e != nil && (!(e.P >= 0 && e.P <= 1) || !(e.Low <= e.High) || cal.Status == calibrate.Uncalibrated) {
			t.Errorf("estimate %+v, %+v", e, cal)
		}
	})
}

// somePrior is the line z with a good deal of difference between models.
func somePrior() *calibrate.Prior {
	return &calibrate.Prior{
		Schema: calibrate.Schema, Signal: "a/score", Models: []string{"one", "two"}, N: 900, Coef: [2]float64{0, 1},
		Cov: [2][2]float64{{0.05, 0}, {0, 0.02}}, Between: [2][2]float64{{0.45, 0}, {0, 0.18}},
	}
}

func withPrior(t testing.TB, c *calibrate.Calibrator) *calibrate.Set {
	t.Helper()
	set, err := calibrate.Load(fstest.MapFS{"priors.json": {Data: marshal(t, []*calibrate.Prior{somePrior()})}})
	if err != nil {
		t.Fatal(err)
	}
	set.Add(c)
	return set
}

func TestPriorIsDrawnTowardsOneHalf(t *testing.T) {
	for _, score := range []float64{0.1, 0.5, 0.9} {
		e, err := somePrior().Apply([]calibrate.Named{reading("a/score", score)})
		if err != nil {
			t.Fatal(err)
		}
		z := stats.Logit(score, 1e-9)
		variance := 0.5 + 0.2*z*z
		if want := stats.Sigmoid(z / math.Sqrt(1+math.Pi*variance/8)); math.Abs(e.P-want) > 1e-9 {
			t.Errorf("score %v: %v, want %v", score, e.P, want)
		}
		if math.Abs(e.P-0.5) > math.Abs(score-0.5) {
			t.Errorf("score %v: %v is further from one half", score, e.P)
		}
		sum := 0.0
		for _, term := range e.Terms {
			sum += term.Value
		}
		if math.Abs(stats.Sigmoid(sum)-e.P) > 1e-12 {
			t.Errorf("the terms %v do not add up to %v", e.Terms, e.P)
		}
		for bound, want := range map[float64]float64{e.Low: z - 1.6448536*math.Sqrt(variance), e.High: z + 1.6448536*math.Sqrt(variance)} {
			if math.Abs(bound-stats.Sigmoid(want)) > 1e-6 {
				t.Errorf("score %v: bound %v, want %v", score, bound, stats.Sigmoid(want))
			}
		}
		if !(e.Low < e.P && e.P < e.High) {
			t.Errorf("score %v: %+v", score, e)
		}
	}
	if _, err := somePrior().Apply(nil); err == nil {
		t.Error("a prior without its signal gave a probability")
	}
}

func TestEstimateNeverTakesTheNearest(t *testing.T) {
	c, _ := fit(t, simulate(13, 400))
	set, rs := withPrior(t, c), []calibrate.Named{reading("a/score", 0.8)}
	own, cal := set.Estimate(key, rs)
	if cal.Status != calibrate.Calibrated || cal.N != 400 || cal.On != "a simulation" || cal.Skill == nil || cal.Why != nil || own.P != apply(t, c, rs...).P {
		t.Fatalf("its own key: %+v, %+v", own, cal)
	}
	for name, k := range map[string]calibrate.Key{
		"model":  {Model: "sha256:01", Policy: key.Policy, Form: key.Form, Kind: key.Kind},
		"policy": {Model: key.Model, Policy: "vote2", Form: key.Form, Kind: key.Kind},
		"form":   {Model: key.Model, Policy: key.Policy, Form: "shots@2:00", Kind: key.Kind},
		"kind":   {Model: key.Model, Policy: key.Policy, Form: key.Form, Kind: "number"},
		"all":    {},
	} {
		e, cal := set.Estimate(k, rs)
		if cal.Status != calibrate.Borrowed || cal.Skill != nil || cal.N != 900 || cal.On != "one, two" || cal.Why == nil || !strings.Contains(*cal.Why, "gnothi calibrate") {
			t.Errorf("another %s: %+v", name, cal)
			continue
		}
		if e.High-e.Low < 2*(own.High-own.Low) || e.High-e.Low < 0.4 {
			t.Errorf("another %s: the borrowed interval %.2f–%.2f is not honestly wide beside %.2f–%.2f", name, e.Low, e.High, own.Low, own.High)
		}
	}
}

func TestEstimateWithoutTheSignals(t *testing.T) {
	c, _ := fit(t, simulate(14, 100))
	set := withPrior(t, c)
	// The calibrator's signal is missing, so is the prior's.
	e, cal := set.Estimate(key, []calibrate.Named{reading("b/other", 0.8)})
	if e != nil || cal.Status != calibrate.Uncalibrated || cal.Why == nil || !strings.Contains(*cal.Why, "a/score") {
		t.Errorf("%+v, %+v", e, cal)
	}
	e, cal = set.Estimate(calibrate.Key{}, nil)
	if e != nil || cal.Status != calibrate.Uncalibrated || cal.Why == nil {
		t.Errorf("nothing at all: %+v, %+v", e, cal)
	}
	var empty calibrate.Set
	if e, cal := empty.Estimate(key, []calibrate.Named{reading("a/score", 0.8)}); e != nil || cal.Status != calibrate.Uncalibrated {
		t.Errorf("the zero set: %+v, %+v", e, cal)
	}
	// A calibrator that needs more than there is falls back on the prior and says why.
	examples := simulate(15, 60)
	for i := range examples {
		examples[i].Readings = append(examples[i].Readings, reading("b/other", 0.3))
	}
	both, _ := fit(t, examples)
	set = withPrior(t, both)
	if e, cal := set.Estimate(key, []calibrate.Named{reading("a/score", 0.8)}); e == nil || cal.Status != calibrate.Borrowed || cal.Why == nil || !strings.Contains(*cal.Why, "b/other") {
		t.Errorf("%+v, %+v", e, cal)
	}
}

func TestMergePrefersTheOther(t *testing.T) {
	a, _ := fit(t, simulate(16, 60))
	b, _ := fit(t, simulate(17, 60))
	b.On = "the user's own"
	var set, own calibrate.Set
	set.Add(a)
	own.Add(b)
	set.Merge(&own)
	if c, ok := set.Find(key); !ok || c.On != b.On {
		t.Errorf("found %+v", c)
	}
	withOwn := withPrior(t, a)
	withOwn.Merge(&own) // no priors of its own: those that were there stay
	if _, cal := withOwn.Estimate(calibrate.Key{}, []calibrate.Named{reading("a/score", 0.8)}); cal.Status != calibrate.Borrowed {
		t.Errorf("the priors are gone: %+v", cal)
	}
}

func TestShippedFilesAreSound(t *testing.T) {
	if _, err := calibrate.Shipped(); err != nil {
		t.Error(err)
	}
}

// The alarm's rate on new answers of the same kind is what it says, also after few answers and many signals.
func TestOutsideRate(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 0))
	draw := func(n int, shift float64) []calibrate.Example {
		out := make([]calibrate.Example, n)
		for i := range out {
			z := rng.NormFloat64()
			for k := range 6 {
				out[i].Readings = append(out[i].Readings, reading(fmt.Sprint("a/", k), stats.Sigmoid(z+rng.NormFloat64()+shift*float64(2*(k%2)-1))))
			}
			out[i].Right = rng.Float64() < stats.Sigmoid(z)
		}
		return out
	}
	for _, n := range []int{60, 400} {
		var same, other float64
		const reps = 30
		for range reps {
			c, _ := fit(t, draw(n, 0))
			for _, e := range draw(200, 0) {
				if apply(t, c, e.Readings...).Outside {
					same += 1. / 200 / reps
				}
			}
			// Each signal by itself is as usual; only how they go together is not.
			for _, e := range draw(200, 2.5) {
				if apply(t, c, e.Readings...).Outside {
					other += 1. / 200 / reps
				}
			}
		}
		t.Logf("after %d answers: %.3f of new ones outside, %.3f of unlike ones", n, same, other)
		if same > 0.025 || other < 0.5 {
			t.Errorf("after %d answers: %.3f of new ones outside, want about 0.01; %.3f of unlike ones", n, same, other)
		}
	}
}

// Few labels of a model narrow the prior, stay a prior, and survive storage.
func TestFitFew(t *testing.T) {
	dir := t.TempDir()
	prior := `[{"schema":1,"signal":"a/score","models":["one","two"],"n":100,"coef":[0,1],"cov":[[0.01,0],[0,0.01]],"between":[[1,0],[0,0.1]]}]`
	if err := os.WriteFile(filepath.Join(dir, "priors.json"), []byte(prior), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := calibrate.Load(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	examples := simulate(3, 20)
	for i := range examples {
		examples[i].Right = false
	}
	before, _ := set.Estimate(key, examples[0].Readings)
	c, held, err := set.FitFew(key, "m", "twenty answers", examples)
	if err != nil || len(held) != 20 {
		t.Fatal(err)
	}
	if _, err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	if set, err = calibrate.Load(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	after, cal := set.Estimate(key, examples[0].Readings)
	if cal.Status != calibrate.Borrowed || cal.N != 20 || cal.Why == nil || !strings.Contains(*cal.Why, "20 labelled answers") {
		t.Errorf("calibration %+v", cal)
	}
	if !(after.P < before.P/2) || !(after.High-after.Low < before.High-before.Low) {
		t.Errorf("twenty wrong answers move %+v to %+v", before, after)
	}
	if _, _, err := set.FitFew(key, "m", "one", simulate(4, 1)); err != nil {
		t.Errorf("one label: %v", err)
	}
	if _, _, err := (&calibrate.Set{}).FitFew(key, "m", "on", examples); err == nil {
		t.Error("no prior, but no error")
	}
}
