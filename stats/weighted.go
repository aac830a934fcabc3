package stats

import (
	"fmt"
	"math"
)

// EffectiveN is how many equally weighed items say as much as these: (Σw)²/Σw² (Kish 1965).
func EffectiveN(w []float64) float64 {
	var sum, squares float64
	for _, v := range w {
		sum += v
		squares += v * v
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / squares
}

// WeightedMean is the mean of x in [0,1] where item i stands for w[i] items: Σwx/Σw (Hájek 1971), which inverse
// probabilities of having been looked at make a mean over all. The interval is Wilson's with the effective number.
func WeightedMean(x, w []float64, level float64) (Figure, error) {
	if err := checkUnit(x); err != nil {
		return Figure{}, err
	}
	if err := checkWeights(len(x), w); err != nil {
		return Figure{}, err
	}
	if err := checkLevel(level); err != nil {
		return Figure{}, err
	}
	m := weightedMean(x, w)
	n, z := EffectiveN(w), normalQuantile(level)
	centre, half := (m+z*z/(2*n))/(1+z*z/n), z/(1+z*z/n)*math.Sqrt(m*(1-m)/n+z*z/(4*n*n))
	return Figure{
		Value: m, Low: max(0, min(centre-half, m)), High: min(1, max(centre+half, m)), N: len(x),
		Method: methodf(fmt.Sprintf("weighted mean, Wilson interval of %.0f effective", n), level),
	}, nil
}

func weightedMean(x, w []float64) float64 {
	var sum, weights float64
	for i, v := range x {
		sum += w[i] * v
		weights += w[i]
	}
	return sum / weights
}

func checkWeights(n int, w []float64) error {
	if len(w) != n {
		return fmt.Errorf("stats: %d items, %d weights: %w", n, len(w), ErrLength)
	}
	for i, v := range w {
		if !(v > 0) || math.IsInf(v, 0) {
			return rangeError(fmt.Sprintf("weight %d", i), v, "above 0")
		}
	}
	return nil
}

// WeightedBin is a bin of a reliability diagram of weighted items.
type WeightedBin struct {
	P    float64 // weighted mean probability
	Rate Figure  // weighted mean outcome
	W    float64 // share of all weight
}

// WeightedBins sorts items into at most m non-empty bins of equal width, lowest first.
func WeightedBins(p, y, w []float64, m int, level float64) ([]WeightedBin, error) {
	if err := checkUnit(p, y); err != nil {
		return nil, err
	}
	if err := checkWeights(len(p), w); err != nil {
		return nil, err
	}
	if m < 1 || m > maxBins {
		return nil, rangeError("number of bins", m, fmt.Sprintf("1 to %d", maxBins))
	}
	place, _, err := assign(p, WidthRight, m)
	if err != nil {
		return nil, err
	}
	type part struct{ p, y, w []float64 }
	parts := make([]part, m)
	var total float64
	for i, k := range place {
		b := &parts[k]
		b.p, b.y, b.w = append(b.p, p[i]), append(b.y, y[i]), append(b.w, w[i])
		total += w[i]
	}
	var out []WeightedBin
	for _, b := range parts {
		if len(b.p) == 0 {
			continue
		}
		rate, err := WeightedMean(b.y, b.w, level)
		if err != nil {
			return nil, err
		}
		var sum float64
		for _, v := range b.w {
			sum += v
		}
		out = append(out, WeightedBin{P: weightedMean(b.p, b.w), Rate: rate, W: sum / total})
	}
	return out, nil
}

// WeightedECE is the expected calibration error: how far the bins' outcomes lie from their probabilities, by weight.
func WeightedECE(bins []WeightedBin) float64 {
	s := 0.0
	for _, b := range bins {
		s += b.W * math.Abs(b.P-b.Rate.Value)
	}
	return s
}
