package stats

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Folds deals n items into k folds of nearly equal size, numbered 0…k−1. Items of one group (nil: none) never part, so that
// what is fitted never saw a sibling of what it is judged on.
func Folds(rng *rand.Rand, n, k int, group []int) ([]int, error) {
	if n < 1 {
		return nil, fmt.Errorf("stats: folds: %w", ErrEmpty)
	}
	if err := checkLabels(group, n); err != nil {
		return nil, err
	}
	unit, units, over := unitsOf(group, n)
	if k < 2 || k > units {
		return nil, rangeError("number of folds", k, fmt.Sprintf("2 to the %d %s", units, over))
	}
	size := make([]int, units)
	for _, u := range unit {
		size[u]++
	}
	// Largest first into the emptiest fold; the shuffle decides among equals.
	order := rng.Perm(units)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(size[b], size[a]) })
	to, load := make([]int, units), make([]int, k)
	for _, u := range order {
		for f := range load {
			if load[f] < load[to[u]] {
				to[u] = f
			}
		}
		load[to[u]] += size[u]
	}
	fold := make([]int, n)
	for i, u := range unit {
		fold[i] = to[u]
	}
	return fold, nil
}

// CrossFit predicts every item from a model that never saw its fold: fit gets the indices of the other folds, predict an
// index of this one. It is the honest way to get figures from the data that also made the calibrator.
func CrossFit[M, T any](fold []int, fit func(train []int) (M, error), predict func(m M, item int) (T, error)) ([]T, error) {
	if len(fold) == 0 {
		return nil, fmt.Errorf("stats: cross-fit: %w", ErrEmpty)
	}
	held := members(fold)
	if len(held) < 2 {
		return nil, fmt.Errorf("stats: cross-fit with one fold: nothing to fit on: %w", ErrEmpty)
	}
	out := make([]T, len(fold))
	for _, test := range held {
		train := make([]int, 0, len(fold)-len(test))
		for i, f := range fold {
			if f != fold[test[0]] {
				train = append(train, i)
			}
		}
		m, err := fit(train)
		if err != nil {
			return nil, fmt.Errorf("stats: cross-fit, fold %d: %w", fold[test[0]], err)
		}
		for _, i := range test {
			if out[i], err = predict(m, i); err != nil {
				return nil, fmt.Errorf("stats: cross-fit, fold %d, item %d: %w", fold[test[0]], i, err)
			}
		}
	}
	return out, nil
}

// CrossFitMap is CrossFit for a calibration map of one score: probabilities for all items, each from the other folds.
func CrossFitMap(fold []int, score, y []float64, fit func(score, y []float64) (Map, error)) ([]float64, error) {
	if err := checkFinite(score, y); err != nil {
		return nil, err
	}
	if err := checkLabels(fold, len(y)); err != nil {
		return nil, err
	}
	return CrossFit(fold,
		func(train []int) (Map, error) { return fit(take(nil, score, train), take(nil, y, train)) },
		func(m Map, i int) (float64, error) { return m.Apply(score[i]), nil })
}
