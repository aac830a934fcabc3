package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Plan says how sure a run is to be of what it finds. The zero value is α = .05 two-sided, power .8, independent items. For
// m looks at the same run give α/m.
type Plan struct {
	Alpha        float64 // chance of finding what is not there
	Power        float64 // chance of finding what is
	DesignEffect float64 // of clustered items, see [DesignEffect] and [ObservedDesignEffect]: n count as n divided by it
}

// Aim is what a run is to find out: one of [OneRate], [TwoRates], [PairedRates], [PairedMean], [OneAUROC] and [PairedAUROC].
type Aim interface {
	check() error
	// spread is the standard error of the estimate from n independent items if there is no effect, and if there is one of
	// size d. ok is false where n cannot carry an estimate.
	spread(n, d float64, p Plan) (null, effect float64, ok bool)
	largest() float64 // effect that can be thought of
	fmt.Stringer
}

// OneRate asks how far off a share may be: the effect is half the length of [Wilson]'s interval of level 1 − α. Power plays
// no part.
type OneRate struct{ Rate float64 }

// TwoRates asks whether two shares of different items differ, n in each of the two groups, one at Rate and the other higher
// by the effect (Fleiss, Levin and Paik 2003, section 4.2, without continuity correction): σ0² = 2p̄(1−p̄), σ1² = Σ p(1−p).
type TwoRates struct{ Rate float64 }

// PairedRates asks whether two shares of the same items differ (McNemar's test; Connor 1987): σ0² = ψ and σ1² = ψ − d² for
// the share ψ of items on which the two disagree. ψ is Discordance if that is given (then Rate is not used), else it follows
// from the lower share Rate and the correlation of the outcomes over items.
type PairedRates struct{ Rate, Correlation, Discordance float64 }

// PairedMean asks whether two means of the same items differ (paired t test), each value having standard deviation SD:
// σ² = 2(1−ρ)·SD². Correlation ½ is that of differences whose own deviation is SD. n is larger by z²/2 than the normal
// law says (Guenther 1981), which leaves less than one item to the exact answer.
type PairedMean struct{ SD, Correlation float64 }

// OneAUROC asks whether a score ranks at all, AUROC against ½, a share Right of the items being right (variance by Hanley
// and McNeil 1982, who take scores for exponential: others come close).
type OneAUROC struct{ Right float64 }

// PairedAUROC asks whether two scores of the same items differ in AUROC, the lower one being AUROC. Correlation is that of
// the two estimates (Hanley and McNeil 1983), a little below that of the scores inside a class.
type PairedAUROC struct{ AUROC, Right, Correlation float64 }

// MinimumDetectable is the smallest effect that n items show with the plan's power: Σ z·σ = d with z(1−α/2)·σ0 +
// z(power)·σ1. The figure has no interval. ErrRange where no effect is large enough.
func MinimumDetectable(n int, aim Aim, p Plan) (Figure, error) {
	p, err := p.checked(aim)
	if err != nil {
		return Figure{}, err
	}
	if n < 1 {
		return Figure{}, fmt.Errorf("stats: minimum detectable effect: %w", ErrEmpty)
	}
	size := float64(n) / p.DesignEffect
	// Larger effects have other variances: look for the first that is enough, then between it and the last that is not.
	const steps = 500
	for k := 1; k <= steps; k++ {
		high := aim.largest() * float64(k) / steps
		if !p.shows(aim, size, high) {
			continue
		}
		low := aim.largest() * float64(k-1) / steps
		for range 60 {
			if mid := (low + high) / 2; p.shows(aim, size, mid) {
				high = mid
			} else {
				low = mid
			}
		}
		return pointOnly(high, n, p.method("smallest detectable", aim), "planned and not measured"), nil
	}
	return Figure{}, fmt.Errorf("stats: %d items show no effect of %v, however large, with power %g at α = %g: more items are needed: %w", n, aim, p.Power, p.Alpha, ErrRange)
}

// ItemsNeeded is how many items show an effect with the plan's power; for [TwoRates] in each group. It is the inverse of
// [MinimumDetectable].
func ItemsNeeded(effect float64, aim Aim, p Plan) (int, error) {
	p, err := p.checked(aim)
	if err != nil {
		return 0, err
	}
	if !(effect > 0 && effect <= aim.largest()) || math.IsInf(effect, 0) {
		return 0, rangeError("effect", effect, fmt.Sprintf("above 0, at most %.4g", aim.largest()))
	}
	const most = 1e12
	low, high := 0.0, 1.0
	for !p.shows(aim, high, effect) {
		if low, high = high, 2*high; high > most {
			return 0, rangeError("effect", effect, "one that fewer than 10¹² items show")
		}
	}
	for range 80 {
		if mid := (low + high) / 2; p.shows(aim, mid, effect) {
			high = mid
		} else {
			low = mid
		}
	}
	return int(math.Ceil(high*p.DesignEffect - 1e-6)), nil
}

func (p Plan) checked(aim Aim) (Plan, error) {
	if p.Alpha == 0 {
		p.Alpha = 0.05
	}
	if p.Power == 0 {
		p.Power = 0.8
	}
	if p.DesignEffect == 0 {
		p.DesignEffect = 1
	}
	if !(p.Alpha > 0 && p.Alpha < 1) {
		return p, rangeError("alpha", p.Alpha, "(0,1)")
	}
	if !(p.Power >= 0.5 && p.Power < 1) {
		return p, rangeError("power", p.Power, "[0.5,1)")
	}
	if !(p.DesignEffect > 0) || math.IsInf(p.DesignEffect, 0) {
		return p, rangeError("design effect", p.DesignEffect, "above 0")
	}
	if aim == nil {
		return p, fmt.Errorf("stats: planning: no aim: %w", ErrEmpty)
	}
	return p, aim.check()
}

// shows says whether n independent items show an effect of size d.
func (p Plan) shows(aim Aim, n, d float64) bool {
	null, effect, ok := aim.spread(n, d, p)
	return ok && normalQuantile(1-p.Alpha)*null+distuv.UnitNormal.Quantile(p.Power)*effect <= d
}

func (p Plan) method(what string, aim Aim) string {
	s := fmt.Sprintf("%s %v, α = %g", what, aim, p.Alpha)
	if _, precision := aim.(OneRate); !precision {
		s += fmt.Sprintf(", power %g", p.Power)
	}
	if p.DesignEffect != 1 {
		s += fmt.Sprintf(", design effect %.3g", p.DesignEffect)
	}
	return s
}

func checkInside(what string, v float64) error {
	if !(v > 0 && v < 1) {
		return rangeError(what, v, "inside (0,1)")
	}
	return nil
}

func checkCorrelation(r float64) error {
	if !(r >= 0 && r < 1) {
		return rangeError("correlation", r, "[0,1)")
	}
	return nil
}

func (a OneRate) check() error {
	if !(a.Rate >= 0 && a.Rate <= 1) {
		return rangeError("rate", a.Rate, "[0,1]")
	}
	return nil
}
func (a OneRate) largest() float64 { return 0.5 }
func (a OneRate) String() string   { return fmt.Sprintf("half-width of a rate of %.3g", a.Rate) }
func (a OneRate) spread(n, _ float64, p Plan) (null, effect float64, ok bool) {
	f := wilson(a.Rate, n, 1-p.Alpha)
	return (f.High - f.Low) / 2 / normalQuantile(1-p.Alpha), 0, true
}

func (a TwoRates) check() error     { return checkInside("rate", a.Rate) }
func (a TwoRates) largest() float64 { return 1 - a.Rate }
func (a TwoRates) String() string {
	return fmt.Sprintf("rise of a rate of %.3g, independent groups of n", a.Rate)
}
func (a TwoRates) spread(n, d float64, _ Plan) (null, effect float64, ok bool) {
	q, mid := a.Rate+d, a.Rate+d/2
	return math.Sqrt(2 * mid * (1 - mid) / n), math.Sqrt((a.Rate*(1-a.Rate) + max(0, q*(1-q))) / n), true
}

func (a PairedRates) check() error {
	if a.Discordance != 0 {
		if !(a.Discordance > 0 && a.Discordance <= 1) {
			return rangeError("discordance", a.Discordance, "(0,1]")
		}
		return nil
	}
	if err := checkInside("rate", a.Rate); err != nil {
		return err
	}
	return checkCorrelation(a.Correlation)
}
func (a PairedRates) largest() float64 {
	if a.Discordance != 0 {
		return a.Discordance
	}
	return 1 - a.Rate
}
func (a PairedRates) String() string {
	if a.Discordance != 0 {
		return fmt.Sprintf("paired difference of rates, %.3g discordant", a.Discordance)
	}
	return fmt.Sprintf("paired rise of a rate of %.3g, correlation %.3g", a.Rate, a.Correlation)
}
func (a PairedRates) spread(n, d float64, _ Plan) (null, effect float64, ok bool) {
	psi := a.Discordance
	if psi == 0 {
		q := min(1, a.Rate+d)
		both := a.Rate*q + a.Correlation*math.Sqrt(a.Rate*(1-a.Rate)*q*(1-q))
		psi = a.Rate + q - 2*min(a.Rate, both) // q may be too far off for so high a correlation
	}
	return math.Sqrt(psi / n), math.Sqrt(max(0, psi-d*d) / n), true
}

func (a PairedMean) check() error {
	if !(a.SD > 0) || math.IsInf(a.SD, 0) {
		return rangeError("standard deviation", a.SD, "above 0")
	}
	return checkCorrelation(a.Correlation)
}
func (a PairedMean) largest() float64 { return 100 * a.SD }
func (a PairedMean) String() string {
	return fmt.Sprintf("paired difference of means, deviation %.3g, correlation %.3g", a.SD, a.Correlation)
}
func (a PairedMean) spread(n, _ float64, p Plan) (null, effect float64, ok bool) {
	z := normalQuantile(1 - p.Alpha)
	if n -= z * z / 2; n <= 0 {
		return 0, 0, false
	}
	se := a.SD * math.Sqrt(2*(1-a.Correlation)/n)
	return se, se, true
}

// hanleyMcNeil is the standard error of an AUROC (1982, equation 1); ok needs an item of either class.
func hanleyMcNeil(auc, right, wrong float64) (se float64, ok bool) {
	if right < 1 || wrong < 1 {
		return 0, false
	}
	q1, q2 := auc/(2-auc), 2*auc*auc/(1+auc)
	v := auc*(1-auc) + (right-1)*(q1-auc*auc) + (wrong-1)*(q2-auc*auc)
	return math.Sqrt(max(0, v) / (right * wrong)), true
}

func (a OneAUROC) check() error     { return checkInside("share that is right", a.Right) }
func (a OneAUROC) largest() float64 { return 0.5 }
func (a OneAUROC) String() string {
	return fmt.Sprintf("AUROC beyond 0.5, %.3g right", a.Right)
}
func (a OneAUROC) spread(n, d float64, _ Plan) (null, effect float64, ok bool) {
	null, ok = hanleyMcNeil(0.5, n*a.Right, n*(1-a.Right))
	effect, _ = hanleyMcNeil(0.5+d, n*a.Right, n*(1-a.Right))
	return null, effect, ok
}

func (a PairedAUROC) check() error {
	if err := checkInside("share that is right", a.Right); err != nil {
		return err
	}
	if err := checkInside("AUROC", a.AUROC); err != nil {
		return err
	}
	return checkCorrelation(a.Correlation)
}
func (a PairedAUROC) largest() float64 { return 1 - a.AUROC }
func (a PairedAUROC) String() string {
	return fmt.Sprintf("paired rise of an AUROC of %.3g, %.3g right, correlation %.3g", a.AUROC, a.Right, a.Correlation)
}
func (a PairedAUROC) spread(n, d float64, _ Plan) (null, effect float64, ok bool) {
	first, ok := hanleyMcNeil(a.AUROC, n*a.Right, n*(1-a.Right))
	second, _ := hanleyMcNeil(a.AUROC+d, n*a.Right, n*(1-a.Right))
	null = first * math.Sqrt(2*(1-a.Correlation))
	return null, math.Sqrt(max(0, first*first+second*second-2*a.Correlation*first*second)), ok
}
