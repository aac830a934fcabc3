package stats

import (
	"errors"
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// Computed with scipy 1.x and statsmodels 0.14 (root of power − wanted in n): two independent rates with
// stats.proportion.power_proportions_2indep, paired means with stats.power.TTestPower (noncentral t), the half-width with
// stats.proportion.proportion_confint; paired rates and AUROCs with the papers' formulae written anew in Python.
func TestItemsNeeded(t *testing.T) {
	for _, c := range []struct {
		aim    Aim
		effect float64
		plan   Plan
		want   float64 // before rounding up
		slack  float64
	}{
		{OneRate{0.8}, 0.02, Plan{}, 1534.8998599, 0},
		{TwoRates{0.6}, 0.1, Plan{}, 355.942033, 0}, // 356, the figure of the textbooks
		{TwoRates{0.85}, 0.05, Plan{Alpha: 0.01, Power: 0.9}, 1299.472296, 0},
		{TwoRates{0.6}, 0.1, Plan{DesignEffect: 2.5}, 355.942033 * 2.5, 0},
		{PairedRates{Discordance: 0.2}, 0.05, Plan{}, 625.547318, 0},
		{PairedRates{Discordance: 0.3}, 0.1, Plan{}, 233.094538, 0},
		{PairedMean{1, 0.5}, 0.5, Plan{}, 33.367131, 1},
		{PairedMean{1, 0.5}, 0.2, Plan{Power: 0.9}, 264.613685, 1},
		{PairedMean{2, 0.5}, 0.6, Plan{Alpha: 0.01}, 133.096074, 1},
		{OneAUROC{0.7}, 0.1, Plan{}, 302.955817, 0},
		{PairedAUROC{0.75, 0.6, 0.5}, 0.05, Plan{}, 696.782513, 0},
	} {
		n, err := ItemsNeeded(c.effect, c.aim, c.plan)
		if err != nil || math.Abs(float64(n)-math.Ceil(c.want)) > c.slack {
			t.Errorf("%v, effect %g: %d items (%v), want %g", c.aim, c.effect, n, err, math.Ceil(c.want))
		}
		// The inverse: that many show it, one fewer (with its design effect) do not.
		f, err := MinimumDetectable(n, c.aim, c.plan)
		if err != nil || f.Value > c.effect*(1+1e-6) || f.N != n || f.Method == "" || f.Why == "" || !math.IsNaN(f.Low) {
			t.Errorf("%v: %d items show %+v (%v), want at most %g", c.aim, n, f, err, c.effect)
		}
		if f, err := MinimumDetectable(n-1, c.aim, c.plan); err != nil || f.Value <= c.effect {
			t.Errorf("%v: %d items show %+v (%v) already", c.aim, n-1, f, err)
		}
	}
}

// Computed in the same way.
func TestMinimumDetectable(t *testing.T) {
	for _, c := range []struct {
		aim   Aim
		n     int
		want  float64
		slack float64
	}{
		{OneRate{0.8}, 500, 0.0350018, 1e-7},
		{TwoRates{0.6}, 500, 0.0848241483602657, 1e-6},      // counts the far tail too
		{PairedMean{1, 0.5}, 100, 0.2829117119690806, 3e-4}, // noncentral t
		{PairedRates{Rate: 0.7, Correlation: 0.6}, 800, 0.03990674215759552, 1e-9},
		{OneAUROC{0.7}, 400, 0.08723865304412681, 1e-9},
		{PairedAUROC{0.75, 0.6, 0.5}, 1000, 0.04181996078974628, 1e-9},
	} {
		f, err := MinimumDetectable(c.n, c.aim, Plan{})
		near(t, c.aim.String(), f.Value, err, c.want, c.slack)
	}
}

// The power that the plan promises is that of the tests: McNemar's by enumeration, the AUROC's against DeLong's interval on
// scores of the kind that Hanley and McNeil assume.
func TestPlannedPowerIsReal(t *testing.T) {
	psi, d := 0.3, 0.1
	n, err := ItemsNeeded(d, PairedRates{Discordance: psi}, Plan{})
	if err != nil {
		t.Fatal(err)
	}
	var power float64
	for m := 1; m <= n; m++ {
		discordant := distuv.Binomial{N: float64(n), P: psi}.Prob(float64(m))
		only := distuv.Binomial{N: float64(m), P: (psi + d) / 2 / psi}
		for b := 0; b <= m; b++ {
			if math.Abs(float64(2*b-m)) > normalQuantile(0.95)*math.Sqrt(float64(m)) {
				power += discordant * only.Prob(float64(b))
			}
		}
	}
	if math.Abs(power-0.8095859) > 1e-6 { // scipy.stats.binom, the same sum
		t.Errorf("McNemar's test of %d items has power %.7f", n, power)
	}

	n, err = ItemsNeeded(0.1, OneAUROC{0.7}, Plan{})
	if err != nil {
		t.Fatal(err)
	}
	rng := seeded(4)
	score, y := make([]float64, n), make([]float64, n)
	found := 0
	const runs = 1000
	for range runs {
		for i := range score {
			score[i], y[i] = rng.ExpFloat64()*0.4, 0
			if i < int(math.Round(0.7*float64(n))) {
				score[i], y[i] = rng.ExpFloat64()*0.6, 1 // AUROC .6
			}
		}
		f, err := DeLong(score, y, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if f.Low > 0.5 || f.High < 0.5 {
			found++
		}
	}
	if math.Abs(float64(found)/runs-0.8) > 0.04 {
		t.Errorf("an AUROC of .6 is found in %d of %d runs", found, runs)
	}
}

// Hanley and McNeil (1982) print .0325 for an area of .893 with 51 and 58 cases.
func TestHanleyMcNeil(t *testing.T) {
	se, _ := hanleyMcNeil(0.893, 51, 58)
	near(t, "standard error", se, nil, 0.03251158176764658, 1e-12)
}

func TestPlanningBadInput(t *testing.T) {
	for _, c := range []struct {
		n    int
		aim  Aim
		plan Plan
	}{
		{0, TwoRates{0.5}, Plan{}}, {10, nil, Plan{}}, {10, TwoRates{0}, Plan{}}, {10, TwoRates{math.NaN()}, Plan{}}, {10, OneRate{1.2}, Plan{}},
		{10, PairedRates{Rate: 0.5, Correlation: 1}, Plan{}}, {10, PairedRates{Discordance: 2}, Plan{}}, {10, PairedMean{}, Plan{}}, {10, OneAUROC{1}, Plan{}},
		{10, PairedAUROC{AUROC: 0.7}, Plan{}}, {10, TwoRates{0.5}, Plan{Alpha: 1}}, {10, TwoRates{0.5}, Plan{Power: 0.2}}, {10, TwoRates{0.5}, Plan{DesignEffect: -1}},
		{3, TwoRates{0.95}, Plan{}}, {1, PairedMean{1, 0}, Plan{}}, {2, OneAUROC{0.1}, Plan{}},
	} {
		if f, err := MinimumDetectable(c.n, c.aim, c.plan); !errors.Is(err, ErrRange) && !errors.Is(err, ErrEmpty) {
			t.Errorf("%+v: %+v, %v", c, f, err)
		}
	}
	for _, effect := range []float64{0, -0.1, 0.6, math.NaN(), math.Inf(1), 1e-9} {
		if n, err := ItemsNeeded(effect, TwoRates{0.5}, Plan{}); !errors.Is(err, ErrRange) {
			t.Errorf("effect %g: %d, %v", effect, n, err)
		}
	}
}
