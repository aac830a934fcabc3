package stats

import (
	"fmt"
	"slices"
)

type item struct{ score, y float64 }

// highestFirst returns the items from the highest score to the lowest.
func highestFirst(score, y []float64) []item {
	items := make([]item, len(score))
	for i := range items {
		items[i] = item{score[i], y[i]}
	}
	slices.SortFunc(items, func(a, b item) int { // cmp.Compare would look for NaN each time
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	return items
}

// tied are the items of one score: how many, and the sum of their outcomes.
type tied struct{ score, n, y float64 }

// ranked returns the runs of equal scores from the highest to the lowest. Ascending input, which is what [Bootstrap.Of]
// makes, costs O(n).
func ranked(score, y []float64) []tied {
	var runs []tied
	add := func(score, y float64) {
		if k := len(runs) - 1; k >= 0 && runs[k].score == score {
			runs[k].n++
			runs[k].y += y
			return
		}
		runs = append(runs, tied{score, 1, y})
	}
	if slices.IsSorted(score) {
		for i := range slices.Backward(score) {
			add(score[i], y[i])
		}
		return runs
	}
	for _, it := range highestFirst(score, y) {
		add(it.score, it.y)
	}
	return runs
}

// sums are how many items the runs hold and the sum of their outcomes.
func sums(runs []tied) (n, y float64) {
	for _, r := range runs {
		n += r.n
		y += r.y
	}
	return n, y
}

// AUROC is the probability that a right answer scores above a wrong one, ties ½. y is 0 or 1, both present.
func AUROC(score, y []float64) (float64, error) {
	if _, err := checkBinary(score, y); err != nil {
		return 0, err
	}
	return auroc(ranked(score, y))
}

// auroc pools the pairs of an answer that is right and one that is wrong inside each ranking.
func auroc(rankings ...[]tied) (float64, error) {
	var won, pairs float64
	for _, runs := range rankings {
		var right, wrong float64 // above the current run
		for _, r := range runs {
			misses := r.n - r.y
			won += misses * (right + r.y/2)
			right += r.y
			wrong += misses
		}
		pairs += right * wrong
	}
	if pairs == 0 {
		return 0, fmt.Errorf("stats: no pair of a right and a wrong answer: %w", ErrOneClass)
	}
	return won / pairs, nil
}

// AUROCWithin compares only answers of the same group and pools the groups by pairs: it asks whether the score
// ranks answers of one kind, which the plain AUROC confounds with telling easy kinds from hard ones. Groups with one class
// give no pairs; ErrOneClass if that leaves none.
func AUROCWithin(score, y []float64, group []int) (float64, error) {
	if err := checkFinite(score, y); err != nil {
		return 0, err
	}
	if !isBinary(y) {
		return 0, fmt.Errorf("stats: y: %w", ErrNotBinary)
	}
	if err := checkLabels(group, len(y)); err != nil {
		return 0, err
	}
	if group == nil {
		return AUROC(score, y)
	}
	var rankings [][]tied
	for _, items := range members(group) {
		rankings = append(rankings, ranked(take(nil, score, items), take(nil, y, items)))
	}
	return auroc(rankings...)
}

// AveragePrecision is the step-wise area under the precision–recall curve, Σ (R_k − R_{k−1}) P_k over distinct scores, for
// finding the items with y = 1. To find errors, negate the score and pass 1 − y.
func AveragePrecision(score, y []float64) (float64, error) {
	if _, err := checkBinary(score, y); err != nil {
		return 0, err
	}
	return precisionRecall(ranked(score, y), func(_, precision float64) float64 { return precision })
}

// PRAUCTrapezoid is the trapezoidal area under the precision–recall curve, started at precision 1. Many papers print it;
// it is too optimistic with ties, where [AveragePrecision] is not.
func PRAUCTrapezoid(score, y []float64) (float64, error) {
	if _, err := checkBinary(score, y); err != nil {
		return 0, err
	}
	return precisionRecall(ranked(score, y), func(before, precision float64) float64 { return (before + precision) / 2 })
}

func precisionRecall(runs []tied, height func(before, precision float64) float64) (float64, error) {
	var area, found, seen float64
	before := 1.0
	for _, r := range runs {
		found += r.y
		seen += r.n
		precision := found / seen
		area += r.y * height(before, precision)
		before = precision
	}
	if found == 0 || found == seen {
		return 0, fmt.Errorf("stats: %g of %g right: %w", found, seen, ErrOneClass)
	}
	return area / found, nil
}

// FPRAt is the smallest false-positive rate among thresholds that find at least the share tpr of the items with y = 1.
func FPRAt(score, y []float64, tpr float64) (float64, error) {
	ones, err := checkBinary(score, y)
	if err != nil {
		return 0, err
	}
	if !(tpr > 0 && tpr <= 1) {
		return 0, rangeError("true-positive rate", tpr, "(0,1]")
	}
	var found, alarms float64
	for _, r := range ranked(score, y) {
		found += r.y
		alarms += r.n - r.y
		if found >= tpr*float64(ones) {
			break
		}
	}
	return alarms / float64(len(y)-ones), nil
}
