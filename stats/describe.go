package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Entropy is −Σ q ln q in nats of the shares q = w/Σw. Weights are counts or probabilities, not negative, not all 0.
func Entropy(w []float64) (float64, error) {
	if err := checkFinite(w); err != nil {
		return 0, err
	}
	var sum float64
	for i, v := range w {
		if v < 0 {
			return 0, rangeError(fmt.Sprintf("weight %d", i), v, "at least 0")
		}
		sum += v
	}
	if sum == 0 || math.IsInf(sum, 0) {
		return 0, rangeError("sum of weights", sum, "positive and finite")
	}
	var h float64
	for _, v := range w {
		if v > 0 {
			h -= v / sum * math.Log(v/sum)
		}
	}
	return max(0, h), nil
}

// Ranks gives each value its rank from 1 (smallest), equal values their mean rank.
func Ranks(x []float64) []float64 {
	order := ascending(x)
	out := make([]float64, len(x))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && x[order[to]] == x[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			out[i] = float64(from+to+1) / 2
		}
		from = to
	}
	return out
}

// ascending is the order that sorts x, equal values in input order.
func ascending(x []float64) []int {
	type entry struct {
		v float64
		i int
	}
	entries := make([]entry, len(x))
	for i, v := range x {
		entries[i] = entry{v, i}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if c := cmp.Compare(a.v, b.v); c != 0 {
			return c
		}
		return a.i - b.i
	})
	order := make([]int, len(x))
	for k, e := range entries {
		order[k] = e.i
	}
	return order
}

// BordaWeights gives the sample of rank r among N (1 for the highest score) the vote (N − r + 1)^power, as in
// self-certainty voting (Kang, Zhao and Song 2025). Power 0 is one vote each. Equal scores share their mean rank.
func BordaWeights(score []float64, power float64) ([]float64, error) {
	if err := checkFinite(score); err != nil {
		return nil, err
	}
	if !(power >= 0) || math.IsInf(power, 0) {
		return nil, rangeError("Borda power", power, "at least 0")
	}
	w := Ranks(score) // rank from below is N − r + 1
	for i := range w {
		w[i] = math.Pow(w[i], power)
	}
	return w, nil
}

// Pearson is the linear correlation; ErrConstant when a side does not vary.
func Pearson(x, y []float64) (float64, error) {
	if err := checkFinite(x, y); err != nil {
		return 0, err
	}
	if slices.Min(x) == slices.Max(x) || slices.Min(y) == slices.Max(y) {
		return 0, fmt.Errorf("stats: correlation: %w", ErrConstant)
	}
	r := stat.Correlation(x, y, nil)
	if math.IsNaN(r) {
		return 0, fmt.Errorf("stats: correlation: values too large or too close: %w", ErrNotFinite)
	}
	return min(1, max(-1, r)), nil
}

// Spearman is the Pearson correlation of the mean ranks.
func Spearman(x, y []float64) (float64, error) {
	if err := checkFinite(x, y); err != nil {
		return 0, err
	}
	return Pearson(Ranks(x), Ranks(y))
}

// FisherZ is the interval of a Pearson correlation r of n pairs by Fisher's transformation. It needs n > 3.
func FisherZ(r float64, n int, level float64) (Figure, error) {
	if !(r >= -1 && r <= 1) {
		return Figure{}, rangeError("correlation", r, "[-1,1]")
	}
	if err := checkLevel(level); err != nil {
		return Figure{}, err
	}
	if n <= 3 {
		return pointOnly(r, n, "Fisher z", "an interval needs more than three pairs"), nil
	}
	half := normalQuantile(level) / math.Sqrt(float64(n-3))
	z := math.Atanh(r)
	return Figure{Value: r, Low: math.Tanh(z - half), High: math.Tanh(z + half), N: n, Method: methodf("Fisher z", level)}, nil
}

// quantile interpolates linearly between the sorted values (numpy's default rule). q in [0,1].
func quantile(sorted []float64, q float64) float64 {
	pos := q * float64(len(sorted)-1)
	i := min(int(pos), len(sorted)-1)
	if i == len(sorted)-1 {
		return sorted[i]
	}
	return sorted[i] + (pos-float64(i))*(sorted[i+1]-sorted[i])
}

// percentiles is the central interval of the values, which it sorts.
func percentiles(values []float64, level float64) Figure {
	slices.Sort(values)
	return Figure{Low: quantile(values, (1-level)/2), High: quantile(values, (1+level)/2)}
}
