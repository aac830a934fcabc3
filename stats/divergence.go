package stats

import (
	"fmt"
	"math"
)

// Divergences of two distributions over the same options; p and q each sum to 1.

func checkDistributions(ps ...[]float64) error {
	if err := checkUnit(ps...); err != nil {
		return err
	}
	for _, p := range ps {
		var sum float64
		for _, v := range p {
			sum += v
		}
		if math.Abs(sum-1) > 1e-6 {
			return rangeError("sum of a distribution", sum, "1")
		}
	}
	return nil
}

// KL is the Kullback–Leibler divergence Σ p ln(p/q) in nats; an option that q excludes and p does not is an error.
func KL(p, q []float64) (float64, error) {
	if err := checkDistributions(p, q); err != nil {
		return 0, err
	}
	var d float64
	for i, v := range p {
		if v > 0 && q[i] == 0 {
			return 0, fmt.Errorf("stats: KL divergence is infinite: option %d has probability %g and 0: %w", i, v, ErrNotFinite)
		}
		if v > 0 {
			d += v * math.Log(v/q[i])
		}
	}
	return max(0, d), nil
}

// JensenShannon is the mean divergence of p and q from their midpoint, in nats, at most ln 2.
func JensenShannon(p, q []float64) (float64, error) {
	if err := checkDistributions(p, q); err != nil {
		return 0, err
	}
	var d float64
	for i := range p {
		m := (p[i] + q[i]) / 2
		for _, v := range [2]float64{p[i], q[i]} {
			if v > 0 {
				d += v * math.Log(v/m) / 2
			}
		}
	}
	return max(0, d), nil
}

// TotalVariation is half the sum of absolute differences.
func TotalVariation(p, q []float64) (float64, error) {
	if err := checkDistributions(p, q); err != nil {
		return 0, err
	}
	var d float64
	for i := range p {
		d += math.Abs(p[i]-q[i]) / 2
	}
	return d, nil
}

// Hellinger is √(½ Σ (√p − √q)²).
func Hellinger(p, q []float64) (float64, error) {
	if err := checkDistributions(p, q); err != nil {
		return 0, err
	}
	var d float64
	for i := range p {
		s := math.Sqrt(p[i]) - math.Sqrt(q[i])
		d += s * s / 2
	}
	return math.Sqrt(d), nil
}

// Wasserstein is the earth mover's distance between ordered options one step apart.
func Wasserstein(p, q []float64) (float64, error) {
	return cumulative(p, q, math.Abs)
}

// RankedProbability is Σ of squared differences of the cumulative distributions (Epstein 1969); with q certain of what came
// out it is the ranked probability score of p.
func RankedProbability(p, q []float64) (float64, error) {
	return cumulative(p, q, func(v float64) float64 { return v * v })
}

func cumulative(p, q []float64, f func(float64) float64) (float64, error) {
	if err := checkDistributions(p, q); err != nil {
		return 0, err
	}
	var sum, d float64
	for i := range p {
		sum += p[i] - q[i]
		d += f(sum)
	}
	return d, nil
}

// BrierOptions is the mean over items of the squared distance between the probabilities of all options and the right one
// (Brier 1950), between 0 and 2. p[i] is a distribution, right[i] the index of its right option.
func BrierOptions(p [][]float64, right []int) (float64, error) {
	if len(p) == 0 {
		return 0, fmt.Errorf("stats: Brier: %w", ErrEmpty)
	}
	if len(right) != len(p) {
		return 0, fmt.Errorf("stats: Brier: %d items, %d right options: %w", len(p), len(right), ErrLength)
	}
	var sum float64
	for i, q := range p {
		if err := checkDistributions(q); err != nil {
			return 0, fmt.Errorf("item %d: %w", i, err)
		}
		if right[i] < 0 || right[i] >= len(q) {
			return 0, rangeError(fmt.Sprintf("right option of item %d", i), right[i], fmt.Sprintf("0 to %d", len(q)-1))
		}
		for j, v := range q {
			if j == right[i] {
				v--
			}
			sum += v * v
		}
	}
	return sum / float64(len(p)), nil
}
