package stats

import (
	"fmt"
	"math"
	"slices"
)

// ConformalQuantile is the ⌈(n+1)(1−alpha)⌉-th smallest nonconformity score, +Inf beyond n: a new score from the same
// source is at most that with probability at least 1 − alpha, over both (Vovk et al. 2005). It needs n ≥ 1/alpha − 1.
func ConformalQuantile(scores []float64, alpha float64) (float64, error) {
	if err := checkFinite(scores); err != nil {
		return 0, err
	}
	if !(alpha > 0 && alpha < 1) {
		return 0, rangeError("alpha", alpha, "(0,1)")
	}
	// The small subtrahend keeps 60·0.9 at 54.
	k := int(math.Ceil(float64(len(scores)+1)*(1-alpha) - 1e-9))
	if k > len(scores) {
		return math.Inf(1), nil
	}
	return slices.Sorted(slices.Values(scores))[k-1], nil
}

// AnswerSet is a split conformal predictor of sets of options.
type AnswerSet struct {
	Floor    float64 `json:"floor"`    // options of at least this probability are in the set; 0 keeps all
	Alpha    float64 `json:"alpha"`    // the set misses the right option with probability at most this
	N        int     `json:"n"`        // calibration items
	Coverage Figure  `json:"coverage"` // share of the calibration items whose set holds the right option, cross-fitted by leaving one out
	Size     Figure  `json:"size"`     // mean number of options in a set
	Single   float64 `json:"single"`   // share of sets with one option
	Empty    float64 `json:"empty"`    // share of sets with none
	Why      string  `json:"why,omitempty"`
}

// FitAnswerSet finds the floor from p[i], the probabilities of item i's options, and right[i], the index of its right one
// (Sadinle, Lei and Wasserman 2019: the smallest sets on average if the probabilities are true). The guarantee is over items
// drawn from the same source, on average over calibration sets: it says nothing of one kind of question alone.
func FitAnswerSet(p [][]float64, right []int, alpha float64) (AnswerSet, error) {
	if len(p) == 0 {
		return AnswerSet{}, fmt.Errorf("stats: answer sets: %w", ErrEmpty)
	}
	if len(right) != len(p) {
		return AnswerSet{}, fmt.Errorf("stats: answer sets: %d items, %d right options: %w", len(p), len(right), ErrLength)
	}
	scores := make([]float64, len(p))
	for i, q := range p {
		if err := checkUnit(q); err != nil {
			return AnswerSet{}, fmt.Errorf("item %d: %w", i, err)
		}
		if right[i] < 0 || right[i] >= len(q) {
			return AnswerSet{}, rangeError(fmt.Sprintf("right option of item %d", i), right[i], fmt.Sprintf("0 to %d", len(q)-1))
		}
		scores[i] = 1 - q[right[i]]
	}
	quantile, err := ConformalQuantile(scores, alpha)
	if err != nil {
		return AnswerSet{}, err
	}
	n := len(p)
	out := AnswerSet{Alpha: alpha, N: n}
	if math.IsInf(quantile, 1) {
		out.Why = fmt.Sprintf("%d items are too few for alpha %g: every option is in the set; it takes at least %.0f", n, alpha, math.Ceil(1/alpha-1e-9)-1)
		quantile = 1
	}
	out.Floor = 1 - quantile
	sizes := make([]float64, n)
	for i, q := range p {
		size := len(out.Of(q))
		sizes[i] = float64(size)
		switch size {
		case 0:
			out.Empty += 1 / float64(n)
		case 1:
			out.Single += 1 / float64(n)
		}
	}
	if out.Size, err = Mean(sizes, nil, 0.95); err != nil {
		return AnswerSet{}, err
	}
	// Leaving item i out, its set covers if its score is at most the quantile of the others.
	sorted := slices.Sorted(slices.Values(scores))
	k := int(math.Ceil(float64(n)*(1-alpha) - 1e-9))
	covered := 0
	for _, s := range scores {
		if k > n-1 {
			covered++
			continue
		}
		cut := sorted[k-1]
		if s <= cut { // its own score lies among the k smallest: without it the k-th of the others is the next
			cut = sorted[k]
		}
		if s <= cut {
			covered++
		}
	}
	out.Coverage, err = Wilson(covered, n, 0.95)
	return out, err
}

// Of gives the options in the set, in their order.
func (s AnswerSet) Of(p []float64) []int {
	var in []int
	for j, v := range p {
		if v >= s.Floor-1e-12 {
			in = append(in, j)
		}
	}
	return in
}
