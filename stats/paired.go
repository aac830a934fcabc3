package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// McNemar compares two answers to the same questions from the discordant pairs: b where only the first is right, c where
// only the second is. exact is the two-sided binomial test (2 × smaller tail, at most 1); mid X and the better choice for small counts (Fagerland et al. 2013).
func McNemar(b, c int) (exact, mid Test, err error) {
	if b < 0 || c < 0 {
		return Test{}, Test{}, rangeError("discordant pairs", min(b, c), "at least 0")
	}
	exact = Test{float64(b - c), 1, b + c, "McNemar exact"}
	mid = Test{float64(b - c), 1, b + c, "McNemar mid-p"}
	if b+c > 0 {
		fair, tail := distuv.Binomial{N: float64(b + c), P: 0.5}, float64(min(b, c))
		exact.P = min(1, 2*fair.CDF(tail))
		mid.P = max(0, exact.P-fair.Prob(tail))
	}
	return exact, mid, nil
}

// PairedDifference is the mean of a − b over the same items, with a p-value of no difference: for right-or-wrong outcomes
// without clusters Tango's score interval (1998) and McNemar's exact test, else the t interval and t test of the
// cluster-robust mean difference ([Mean]).
func PairedDifference(a, b []float64, cluster []int, level float64) (Figure, error) {
	d, err := differences(a, b)
	if err != nil {
		return Figure{}, err
	}
	if err := checkLevel(level); err != nil {
		return Figure{}, err
	}
	if cluster == nil && isBinary(a) && isBinary(b) {
		onlyA, onlyB := discordant(a, b)
		exact, _, err := McNemar(int(onlyA), int(onlyB))
		if err != nil {
			return Figure{}, err
		}
		f := tango(a, b, level).tested(exact.P)
		f.Method += "; p McNemar exact"
		return f, nil
	}
	f, err := Mean(d, cluster, level)
	if err != nil {
		return Figure{}, err
	}
	m, se, df, err := clusterMean(d, cluster)
	if err != nil {
		return Figure{}, err
	}
	if df >= 1 && se > 0 {
		f = f.tested(twoSidedStudent(m/se, float64(df)))
	}
	return f, nil
}

// NonInferiority is the answer to "is the new one worse by less than the margin?".
type NonInferiority struct {
	Difference Figure // new − old, two-sided interval of level 1 − 2α: its Low is the one-sided bound
	Margin     float64
	P          float64 // one-sided, of H0: new − old ≤ −margin
	Holds      bool    // P < α
}

// NonInferior tests whether fresh is worse than old by less than margin > 0, paired by item, one-sided at level alpha in
// (0, ½). Right-or-wrong outcomes without clusters use Tango's score test (1998), which stays honest when no pair differs;
// graded outcomes or clusters use the t test of the cluster-robust mean difference ([Mean]).
func NonInferior(fresh, old []float64, margin, alpha float64, cluster []int) (NonInferiority, error) {
	if err := checkFinite(fresh, old); err != nil {
		return NonInferiority{}, err
	}
	if !(margin > 0) || math.IsInf(margin, 0) {
		return NonInferiority{}, rangeError("margin", margin, "positive")
	}
	if !(alpha > 0 && alpha < 0.5) {
		return NonInferiority{}, rangeError("alpha", alpha, "(0, 0.5)")
	}
	out := NonInferiority{Margin: margin}
	level := 1 - 2*alpha
	if cluster == nil && isBinary(fresh) && isBinary(old) {
		if margin >= 1 {
			return NonInferiority{}, rangeError("margin", margin, "below 1 for right-or-wrong outcomes")
		}
		out.Difference = tango(fresh, old, level)
		b, c := discordant(fresh, old)
		out.P = distuv.UnitNormal.Survival(tangoZ(b, c, float64(len(old)), -margin))
		out.Holds = out.P < alpha
		return out, nil
	}
	d := make([]float64, len(old))
	for i := range d {
		d[i] = fresh[i] - old[i]
	}
	var err error
	if out.Difference, err = Mean(d, cluster, level); err != nil {
		return NonInferiority{}, err
	}
	m, se, df, err := clusterMean(d, cluster)
	if err != nil {
		return NonInferiority{}, err
	}
	if df < 1 || se == 0 {
		return NonInferiority{}, fmt.Errorf("stats: non-inferiority: differences do not vary, no standard error: %w", ErrConstant)
	}
	out.P = distuv.StudentsT{Sigma: 1, Nu: float64(df)}.Survival((m + margin) / se)
	out.Holds = out.P < alpha
	return out, nil
}

func discordant(a, b []float64) (onlyA, onlyB float64) {
	for i := range a {
		switch {
		case a[i] > b[i]:
			onlyA++
		case a[i] < b[i]:
			onlyB++
		}
	}
	return onlyA, onlyB
}

// tangoZ is Tango's score statistic of H0: P(only a) − P(only b) = delta, with the nuisance probability at its
// restricted maximum-likelihood value.
func tangoZ(onlyA, onlyB, n, delta float64) float64 {
	a := 2 * n
	b := (2*n-onlyA+onlyB)*delta - onlyA - onlyB
	c := -onlyB * delta * (1 - delta)
	q := (math.Sqrt(max(0, b*b-4*a*c)) - b) / (2 * a)
	variance := n * (2*q + delta*(1-delta))
	num := onlyA - onlyB - n*delta
	if variance <= 0 {
		return math.Copysign(math.Inf(1), num)
	}
	return num / math.Sqrt(variance)
}

// tango is the paired difference of two rates with Tango's score interval.
func tango(a, b []float64, level float64) Figure {
	onlyA, onlyB := discordant(a, b)
	n := float64(len(a))
	d := (onlyA - onlyB) / n
	z := normalQuantile(level)
	bound := func(end float64) float64 {
		in, out := d, end
		for range 60 {
			if mid := (in + out) / 2; math.Abs(tangoZ(onlyA, onlyB, n, mid)) > z {
				out = mid
			} else {
				in = mid
			}
		}
		return (in + out) / 2
	}
	return Figure{Value: d, Low: bound(-1), High: bound(1), N: len(a), Method: methodf("Tango score", level)}
}
