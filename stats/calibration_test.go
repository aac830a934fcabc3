package stats

import (
	"errors"
	"math"
	"testing"
)

// average is the mean of a metric over fresh data sets.
func average(t *testing.T, n, reps int, truth func(float64) float64, m Metric) float64 {
	t.Helper()
	rng := seeded(7)
	var sum float64
	for range reps {
		p, y := draws(rng, n, truth)
		v, err := m(p, y)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	return sum / float64(reps)
}

func TestPerfectForecasterShowsTheBiasOfECE(t *testing.T) {
	for _, c := range []struct {
		n    int
		want float64
	}{{60, .124}, {500, .044}, {1000, .031}} {
		p, y := draws(seeded(1), c.n, honest)
		got, err := PerfectForecaster(seeded(2), p, y, Binned(WidthRight, 10, ECE), 2000)
		// The sets of p differ from set to set, hence the tolerance.
		near(t, "perfect ECE", got.Perfect.Value, err, c.want, 0.1*c.want)
		if !(got.Perfect.Low < got.Perfect.Value && got.Perfect.Value < got.Perfect.High) {
			t.Errorf("n=%d: %v is outside its interval", c.n, got.Perfect)
		}
		if got.P < 0.01 {
			t.Errorf("n=%d: honest forecaster rejected, p=%v", c.n, got.P)
		}
	}
	p, y := draws(seeded(1), 1000, overconfident)
	got, err := PerfectForecaster(seeded(2), p, y, Binned(WidthRight, 10, ECE), 1000)
	if err != nil || got.P > 0.002 {
		t.Errorf("over-confident forecaster: p=%v, %v", got.P, err)
	}
}

func TestDebiasedErrors(t *testing.T) {
	plain := average(t, 500, 500, honest, Binned(WidthRight, 10, ECE))
	debiased := average(t, 500, 500, honest, Binned(WidthRight, 10, DebiasedECE))
	if debiased > 0.65*plain {
		t.Errorf("debiased ECE of an honest forecaster %v, plain %v", debiased, plain)
	}
	// The true binned ECE of the over-confident forecaster, from a sample where noise is negligible.
	truth := average(t, 400_000, 1, overconfident, Binned(WidthRight, 10, ECE))
	near(t, "debiased ECE, over-confident", average(t, 1000, 500, overconfident, Binned(WidthRight, 10, DebiasedECE)), nil, truth, 0.003)
	// Without the cut at 0 the square is unbiased, so its mean over honest sets is 0.
	square := func(bins []Bin) float64 {
		var s, n float64
		for _, b := range bins {
			if b.N > 1 {
				s += float64(b.N) * (b.Gap()*b.Gap() - b.Y*(1-b.Y)/float64(b.N-1))
				n += float64(b.N)
			}
		}
		return s / n
	}
	near(t, "squared error, honest", average(t, 500, 2000, honest, Binned(WidthRight, 10, square)), nil, 0, 2e-4) // undebiased: 31e-4
	rms := average(t, 400_000, 1, overconfident, Binned(WidthRight, 10, RMSCE))
	near(t, "debiased RMSCE, over-confident", average(t, 2000, 300, overconfident, Binned(WidthRight, 10, DebiasedRMSCE)), nil, rms, 0.003)
}

func TestFoldedNormalMean(t *testing.T) {
	rng := seeded(4)
	var sum float64
	const n = 400_000
	for range n {
		sum += math.Abs(0.3 + 0.5*rng.NormFloat64())
	}
	near(t, "E|N(.3, .5²)|", foldedNormalMean(0.3, 0.5), nil, sum/n, 0.003)
	near(t, "no noise", foldedNormalMean(0.3, 0), nil, 0.3, 0)
}

func TestBinsAreStableUnderOrder(t *testing.T) {
	p := []float64{0, .1, .1, .2, .3, .3, .3, .95, 1, 1}
	y := []float64{0, 1, 0, 0, 1, 0, 1, 1, 1, 0}
	back, backY := make([]float64, len(p)), make([]float64, len(p))
	for i := range p {
		back[len(p)-1-i], backY[len(p)-1-i] = p[i], y[i]
	}
	for _, rule := range []Binning{WidthRight, WidthLeft, MassQuantile, Unique} {
		a, err := Bins(p, y, rule, 4)
		b, err2 := Bins(back, backY, rule, 4)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		near(t, "ECE in reverse order", ECE(b), nil, ECE(a), 1e-15)
		n := 0
		for _, x := range a {
			n += x.N
		}
		if n != len(p) {
			t.Errorf("rule %d: bins hold %d of %d items", rule, n, len(p))
		}
	}
	bins, _ := Bins(p, y, MassSplit, 40)
	if len(bins) != len(p) {
		t.Errorf("more bins than items: %d", len(bins))
	}
	r, err := bins[0].Rate(0.95)
	if err != nil || r.N != 1 || r.High < 0.5 {
		t.Errorf("interval of a bin of one: %v, %v", r, err)
	}
}

func TestLogLossSkill(t *testing.T) {
	y := []float64{1, 1, 0, 0, 1, 0}
	base, err := BaseRates(y, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := LogLossSkill(base, base, y)
	near(t, "skill of the base rate", v, err, 0, 1e-12)
	v, err = LogLossSkill(y, base, y)
	near(t, "skill of an oracle", v, err, 1, 1e-4)
	if _, err := LogLossSkill(y, y, y); !errors.Is(err, ErrOneClass) {
		t.Errorf("perfect base: %v", err)
	}
	if _, err := LogLoss([]float64{0}, []float64{1}, 0); !errors.Is(err, ErrNotFinite) {
		t.Errorf("certain miss: %v", err)
	}
	// Knowing the kind and nothing else: skill over the overall rate, none over the rate of the kind.
	kinds := Groups([]string{"easy", "easy", "easy", "hard", "hard", "hard"})
	y = []float64{1, 1, 0, 0, 0, 1}
	byKind, err := BaseRates(y, kinds)
	if err != nil {
		t.Fatal(err)
	}
	overall, err := SkillOver(Bootstrap{Resamples: 200}, seeded(1), byKind, y, nil)
	if err != nil || overall.Value < 0.05 {
		t.Errorf("skill over the overall rate: %v, %v", overall, err)
	}
	within, err := SkillOver(Bootstrap{Resamples: 200}, seeded(1), byKind, y, kinds)
	near(t, "skill over the rate of the kind", within.Value, err, 0, 1e-12)
	direct, err := LogLossSkill(byKind, mustBase(t, y, kinds), y)
	near(t, "the same, directly", within.Value, err, direct, 1e-12)
}

func mustBase(t *testing.T, y []float64, group []int) []float64 {
	t.Helper()
	b, err := BaseRates(y, group)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Both tests reject calibrated forecasts about as often as they say, and over-confident ones nearly always.
func TestCalibrationTests(t *testing.T) {
	tests := map[string]func(p, y []float64) (float64, error){
		"Spiegelhalter": func(p, y []float64) (float64, error) { r, err := Spiegelhalter(p, y); return r.P, err },
		"Cox":           func(p, y []float64) (float64, error) { r, err := Cox(p, y); return r.Test.P, err },
	}
	for name, test := range tests {
		for _, c := range []struct {
			truth     func(float64) float64
			low, high float64
		}{{honest, 0.03, 0.075}, {overconfident, 0.99, 1}} {
			rng := seeded(11)
			rejected := 0
			const reps = 600
			for range reps {
				p, y := draws(rng, 500, c.truth)
				v, err := test(p, y)
				if err != nil {
					t.Fatal(err)
				}
				if v < 0.05 {
					rejected++
				}
			}
			if share := float64(rejected) / reps; share < c.low || share > c.high {
				t.Errorf("%s rejects %v of the sets, want %v to %v", name, share, c.low, c.high)
			}
		}
	}
	p, y := draws(seeded(5), 20_000, overconfident)
	r, err := Cox(p, y)
	near(t, "Cox slope", r.Slope.Value, err, 0.5, 0.03)
	near(t, "Cox intercept", r.Intercept.Value, err, 0, 0.06)
	if r.Slope.High-r.Slope.Low > 0.1 || r.Slope.Low > 0.5 || r.Slope.High < 0.5 {
		t.Errorf("Cox slope interval %v", r.Slope)
	}
	if _, err := Spiegelhalter([]float64{.5, .5, 1}, []float64{1, 0, 1}); !errors.Is(err, ErrConstant) {
		t.Errorf("Spiegelhalter on halves and ones: %v", err)
	}
}

// The cosine series against the definition: images of each residual under reflection, summed and integrated.
func TestSmoothECEDefinition(t *testing.T) {
	p := []float64{0, 0, .02, .3, .31, .77, .998, 1, 1}
	y := []float64{0, 1, 1, 0, 0, 1, 0, 1, 0}
	for _, sigma := range []float64{0.01, 0.1, 0.7} {
		var sum float64
		const steps = 20_000
		for s := range steps {
			at := (float64(s) + 0.5) / steps
			var r float64
			for i := range p {
				for image := -6; image <= 6; image++ {
					for _, x := range []float64{at + 2*float64(image), -at + 2*float64(image)} {
						z := (x - p[i]) / sigma
						r += (y[i] - p[i]) * math.Exp(-z*z/2) / (math.Sqrt(2*math.Pi) * sigma * float64(len(p)))
					}
				}
			}
			sum += math.Abs(r) / steps
		}
		v, err := SmoothECE(p, y, sigma)
		near(t, "smooth ECE", v, err, sum, 1e-5)
	}
}
