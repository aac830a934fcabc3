package stats

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// TTest asks whether the mean of x is mu: Student's one-sample test, two-sided. With differences of pairs it is the paired
// test. It needs two values that vary.
func TTest(x []float64, mu float64) (Test, error) {
	m, se, df, err := clusterMean(x, nil)
	if err != nil {
		return Test{}, err
	}
	if df < 1 || se == 0 {
		return Test{}, fmt.Errorf("stats: t test: %w", ErrConstant)
	}
	t := (m - mu) / se
	return Test{t, twoSidedStudent(t, float64(df)), len(x), "Student's t"}, nil
}

// PairedTTest asks whether a − b has mean 0.
func PairedTTest(a, b []float64) (Test, error) {
	d, err := differences(a, b)
	if err != nil {
		return Test{}, err
	}
	t, err := TTest(d, 0)
	t.Method = "Student's t, paired"
	return t, err
}

// WelchTTest asks whether two independent samples have the same mean, whatever their variances (Welch 1947).
func WelchTTest(a, b []float64) (Test, error) {
	ma, sa, da, err := clusterMean(a, nil)
	if err != nil {
		return Test{}, err
	}
	mb, sb, db, err := clusterMean(b, nil)
	if err != nil {
		return Test{}, err
	}
	va, vb := sa*sa, sb*sb
	if da < 1 || db < 1 || va+vb == 0 {
		return Test{}, fmt.Errorf("stats: Welch's t test: %w", ErrConstant)
	}
	t := (ma - mb) / math.Sqrt(va+vb)
	df := (va + vb) * (va + vb) / (va*va/float64(da) + vb*vb/float64(db))
	return Test{t, twoSidedStudent(t, df), len(a) + len(b), fmt.Sprintf("Welch's t, %.3g degrees of freedom", df)}, nil
}

// CohenD is the difference of two independent means in pooled standard deviations; HedgesG takes off its bias at small n.
func CohenD(a, b []float64) (float64, error) {
	if err := checkFinite(a); err != nil {
		return 0, err
	}
	if err := checkFinite(b); err != nil {
		return 0, err
	}
	df := float64(len(a) + len(b) - 2)
	if len(a) < 2 || len(b) < 2 {
		return 0, fmt.Errorf("stats: Cohen's d of %d and %d values needs two of each: %w", len(a), len(b), ErrEmpty)
	}
	sd := math.Sqrt((float64(len(a)-1)*stat.Variance(a, nil) + float64(len(b)-1)*stat.Variance(b, nil)) / df)
	if sd == 0 {
		return 0, fmt.Errorf("stats: Cohen's d: %w", ErrConstant)
	}
	return (mean(a) - mean(b)) / sd, nil
}

// HedgesG is Cohen's d times 1 − 3/(4n − 9), n the number of values in both samples (Hedges 1981).
func HedgesG(a, b []float64) (float64, error) {
	d, err := CohenD(a, b)
	return d * (1 - 3/(4*float64(len(a)+len(b))-9)), err
}

func twoSidedStudent(t, df float64) float64 {
	return 2 * distuv.StudentsT{Sigma: 1, Nu: df}.Survival(math.Abs(t))
}

func differences(a, b []float64) ([]float64, error) {
	if err := checkFinite(a, b); err != nil {
		return nil, err
	}
	d := make([]float64, len(a))
	for i := range d {
		d[i] = a[i] - b[i]
	}
	return d, nil
}

// Zeros says what the signed-rank test does with pairs that do not differ.
type Zeros int

const (
	// ZerosDrop leaves them out before ranking (Wilcoxon 1945).
	ZerosDrop Zeros = iota
	// ZerosPratt ranks them and then leaves them out (Pratt 1959).
	ZerosPratt
	// ZerosSplit gives half of their ranks to each side.
	ZerosSplit
)

// exactRanks is the largest n at which the signed-rank distribution is enumerated.
const exactRanks = 50

// Wilcoxon is the signed-rank test of a against b, paired, two-sided; Statistic is the smaller rank sum. It is exact for
// at most 50 pairs without ties and zeros, else the normal approximation with the variance reduced for ties.
func Wilcoxon(a, b []float64, zeros Zeros) (Test, error) {
	return wilcoxon(a, b, zeros, 0)
}

// wilcoxon takes the continuity correction (0 or ½) of the normal approximation.
func wilcoxon(a, b []float64, zeros Zeros, correction float64) (Test, error) {
	d, err := differences(a, b)
	if err != nil {
		return Test{}, err
	}
	if zeros < ZerosDrop || zeros > ZerosSplit {
		return Test{}, rangeError("rule for zeros", int(zeros), "ZerosDrop, ZerosPratt or ZerosSplit")
	}
	pairs := len(d)
	nonzero := slices.DeleteFunc(slices.Clone(d), func(v float64) bool { return v == 0 })
	if len(nonzero) == 0 {
		return Test{0, 1, pairs, "Wilcoxon signed-rank, no pair differs"}, nil
	}
	if zeros == ZerosDrop {
		d = nonzero
	}
	size := mapped(d, math.Abs)
	ranks := Ranks(size)
	var plus, minus float64
	for i, v := range d {
		switch {
		case v > 0:
			plus += ranks[i]
		case v < 0:
			minus += ranks[i]
		case zeros == ZerosSplit:
			plus += ranks[i] / 2
			minus += ranks[i] / 2
		}
	}
	smaller := min(plus, minus)
	n := float64(len(d))
	tied := tieSum(size)
	if tied == 0 && len(nonzero) == pairs && pairs <= exactRanks {
		return Test{smaller, min(1, 2*signedRankCDF(pairs, int(smaller))), pairs, "Wilcoxon signed-rank, exact"}, nil
	}
	centre, variance := n*(n+1)/4, n*(n+1)*(2*n+1)
	if zeros == ZerosPratt {
		z := float64(pairs - len(nonzero))
		centre -= z * (z + 1) / 4
		variance -= z * (z + 1) * (2*z + 1)
		tied = tieSum(mapped(nonzero, math.Abs))
	}
	sd := math.Sqrt((variance - tied/2) / 24)
	if sd == 0 {
		return Test{smaller, 1, pairs, "Wilcoxon signed-rank, one pair"}, nil
	}
	z := math.Min(0, smaller-centre+correction) / sd
	return Test{smaller, twoSidedNormal(z), pairs, "Wilcoxon signed-rank, normal approximation"}, nil
}

// tieSum is Σ t³ − t over runs of t equal values.
func tieSum(x []float64) (sum float64) {
	sorted := slices.Sorted(slices.Values(x))
	for from := 0; from < len(sorted); {
		to := from
		for to < len(sorted) && sorted[to] == sorted[from] {
			to++
		}
		t := float64(to - from)
		sum += t*t*t - t
		from = to
	}
	return sum
}

// signedRankCDF is P(W ≤ w) where W is the sum of a random subset of 1…n.
func signedRankCDF(n, w int) float64 {
	ways := make([]float64, n*(n+1)/2+1)
	ways[0] = 1
	for r := 1; r <= n; r++ {
		for s := len(ways) - 1; s >= r; s-- {
			ways[s] = (ways[s] + ways[s-r]) / 2
		}
		for s := range min(r, len(ways)) {
			ways[s] /= 2
		}
	}
	var p float64
	for _, v := range ways[:w+1] {
		p += v
	}
	return p
}

// MannWhitney asks whether values of a tend to be larger than those of b, independent samples, two-sided: normal
// approximation with ties and continuity correction. Statistic is U of a, the number of pairs that a wins, ties ½.
func MannWhitney(a, b []float64) (Test, error) {
	if err := checkFinite(a); err != nil {
		return Test{}, err
	}
	if err := checkFinite(b); err != nil {
		return Test{}, err
	}
	all := slices.Concat(a, b)
	var sum float64
	for _, r := range Ranks(all)[:len(a)] {
		sum += r
	}
	na, nb, n := float64(len(a)), float64(len(b)), float64(len(all))
	u := sum - na*(na+1)/2
	variance := na * nb / 12 * (n + 1 - tieSum(all)/(n*(n-1)))
	if variance <= 0 {
		return Test{}, fmt.Errorf("stats: Mann–Whitney test: %w", ErrConstant)
	}
	z := max(0, math.Abs(u-na*nb/2)-0.5) / math.Sqrt(variance)
	return Test{u, twoSidedNormal(z), len(all), "Mann–Whitney, normal approximation"}, nil
}

// PairedPermutation asks whether a and b are exchangeable within pairs: the mean difference against all flips of the
// differences' signs where there are at most 20 pairs, else against 10,000 random ones. p is twice the smaller tail, at most 1.
func PairedPermutation(rng *rand.Rand, a, b []float64) (Test, error) {
	d, err := differences(a, b)
	if err != nil {
		return Test{}, err
	}
	var observed, size float64
	for _, v := range d {
		observed += v
		size += math.Abs(v)
	}
	slack := 1e-12 * size // sums in another order may differ by rounding
	var above, below, total float64
	count := func(sum float64) {
		total++
		if sum >= observed-slack {
			above++
		}
		if sum <= observed+slack {
			below++
		}
	}
	out := Test{Statistic: observed / float64(len(d)), N: len(d), Method: "paired permutation, exact"}
	if len(d) <= 20 {
		sum := -size // Gray code: one sign a step
		sign := make([]bool, len(d))
		count(sum)
		for k := uint(1); k < 1<<len(d); k++ {
			i := bits.TrailingZeros(k)
			if sign[i] = !sign[i]; sign[i] {
				sum += 2 * math.Abs(d[i])
			} else {
				sum -= 2 * math.Abs(d[i])
			}
			count(sum)
		}
	} else {
		const flips = 10_000
		out.Method = fmt.Sprintf("paired permutation, %d random flips", flips)
		count(observed) // the observed order is one of them: p is never 0
		for range flips {
			var sum float64
			for _, v := range d {
				if rng.Uint64()&1 == 0 {
					sum += v
				} else {
					sum -= v
				}
			}
			count(sum)
		}
	}
	out.P = min(1, 2*min(above, below)/total)
	return out, nil
}

// Adjustment is a way of correcting p-values for how many were looked at.
type Adjustment int

const (
	// Holm controls the chance of any false finding, under any dependence, and beats Bonferroni everywhere (Holm 1979).
	Holm Adjustment = iota
	// BenjaminiHochberg controls the expected share of false findings, for independent or positively dependent tests (1995).
	BenjaminiHochberg
	// BenjaminiYekutieli does so under any dependence (2001).
	BenjaminiYekutieli
	// Bonferroni multiplies by the number of tests.
	Bonferroni
	// Hochberg is Holm's step-up twin, for independent or positively dependent tests (1988).
	Hochberg
	// Hommel is stronger than Hochberg under the same assumption (1988).
	Hommel
)

// Adjust gives adjusted p-values in the order of p: a finding at level α is one whose adjusted p is at most α.
func Adjust(p []float64, how Adjustment) ([]float64, error) {
	if err := checkUnit(p); err != nil {
		return nil, err
	}
	if how < Holm || how > Hommel {
		return nil, rangeError("adjustment", int(how), "Holm to Hommel")
	}
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	n := len(p)
	m := float64(n)
	q := make([]float64, n) // ascending in rank
	for r, i := range order {
		factor := m
		switch how {
		case Holm, Hochberg:
			factor = m - float64(r)
		case BenjaminiHochberg:
			factor = m / float64(r+1)
		case BenjaminiYekutieli:
			for k := range n {
				q[r] += 1 / float64(k+1)
			}
			factor = q[r] * m / float64(r+1)
		}
		q[r] = p[i] * factor
	}
	switch how {
	case Holm:
		for r := 1; r < n; r++ {
			q[r] = max(q[r], q[r-1])
		}
	case BenjaminiHochberg, BenjaminiYekutieli, Hochberg:
		for r := n - 2; r >= 0; r-- {
			q[r] = min(q[r], q[r+1])
		}
	case Hommel:
		hommel(q, take(nil, p, order))
	}
	out := make([]float64, n)
	for r, i := range order {
		out[i] = min(1, q[r])
	}
	return out, nil
}

// AdjustFigures corrects the p-values of figures that stand in one report for how many they are: it sets PAdjusted of those
// that have a P, and leaves the rest. Values and intervals stay as they are: an interval is still of its own level.
func AdjustFigures(how Adjustment, figures ...*Figure) error {
	var tested []*Figure
	var p []float64
	for _, f := range figures {
		if f.Tested() {
			tested, p = append(tested, f), append(p, f.P)
		}
	}
	if len(p) == 0 {
		return nil
	}
	adjusted, err := Adjust(p, how)
	for i, q := range adjusted {
		tested[i].PAdjusted = q
	}
	return err
}

// hommel fills adjusted values q for ascending p (Wright 1992).
func hommel(q, p []float64) {
	n := len(p)
	simes := math.Inf(1)
	for i, v := range p {
		simes = min(simes, float64(n)*v/float64(i+1))
	}
	for i, v := range p {
		q[i] = max(simes, v)
	}
	for m := n - 1; m > 1; m-- {
		split := n - m + 1 // the last m − 1 start here
		least := math.Inf(1)
		for i, v := range p[split:] {
			least = min(least, float64(m)*v/float64(i+2))
		}
		for i := range p {
			c := min(least, float64(m)*p[min(i, split-1)])
			q[i] = max(q[i], c)
		}
	}
}
