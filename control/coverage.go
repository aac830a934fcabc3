package control

import (
	"errors"
	"math"
)

// Coverage is what sharpening rests on (sharpening-mechanism, Huang et al.
// 2024): C = E[1/π(y*|x)] over questions, where π(y*|x) is the probability of
// the best answer under the model. It is estimated from pools of samples by the
// share of the class of the answer that is best by the model's own likelihood;
// share[i] in (0,1] for question i. C is at least 1; the larger, the less can be
// got out of the model by choosing among its samples.
func Coverage(share []float64) (float64, error) {
	if len(share) == 0 {
		return 0, errors.New("coverage of no questions")
	}
	sum := 0.0
	for _, p := range share {
		if !(p > 0 && p <= 1) {
			return 0, errors.New("coverage: a share is not in (0,1]: a question whose best answer was never drawn has no estimate")
		}
		sum += 1 / p
	}
	return sum / float64(len(share)), nil
}

// CoverageSamples is how many samples see the best answer with probability at
// least 1 − delta at a coverage: ⌈C·ln(1/delta)⌉.
func CoverageSamples(coverage, delta float64) int {
	return int(math.Ceil(coverage * math.Log(1/delta)))
}

// Share is the share of the pool that says what the best candidate says: the
// estimate of the probability of the answer it chose.
func (r Result) Share() float64 {
	if r.Best == nil || r.Best.Key == "" || len(r.Pool) == 0 {
		return 0
	}
	n := 0
	for _, c := range r.Pool {
		if c.Key == r.Best.Key {
			n++
		}
	}
	return float64(n) / float64(len(r.Pool))
}
