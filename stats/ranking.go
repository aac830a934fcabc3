package stats

import (
	"fmt"
	"slices"
)

type item struct{ score, y float64 }

// ranked returns the items from the highest score to the lowest. Input that is sorted already, either way, costs O(n).
func ranked(score, y []float64) []item {
	items := make([]item, len(score))
	for i := range items {
		items[i] = item{score[i], y[i]}
	}
	slices.SortFunc(items, higherFirst)
	return items
}

// higherFirst compares finite scores; cmp.Compare would look for NaN each time.
func higherFirst(a, b item) int {
	switch {
	case a.score > b.score:
		return -1
	case a.score < b.score:
		return 1
	}
	return 0
}

// ties calls f for every run of equal scores.
func ties(items []item, f func(run []item)) {
	for from := 0; from < len(items); {
		to := from + 1
		for to < len(items) && items[to].score == items[from].score {
			to++
		}
		f(items[from:to])
		from = to
	}
}

func sumY(run []item) (s float64) {
	for _, it := range run {
		s += it.y
	}
	return s
}

// AUROC is the probability that a right answer scores above a wrong one, ties ½. y is 0 or 1, both present.
func AUROC(score, y []float64) (float64, error) {
	ones, err := checkBinary(score, y)
	if err != nil {
		return 0, err
	}
	return pairsWon(ranked(score, y)) / (float64(ones) * float64(len(y)-ones)), nil
}

// pairsWon counts (right, wrong) pairs in which right scores higher, ties ½.
func pairsWon(items []item) float64 {
	var above, won float64 // right answers above the current run
	ties(items, func(run []item) {
		right := sumY(run)
		wrong := float64(len(run)) - right
		won += wrong * (above + right/2)
		above += right
	})
	return won
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
	items := make([][]item, 0)
	for i, g := range Groups(group) {
		if g == len(items) {
			items = append(items, nil)
		}
		items[g] = append(items[g], item{score[i], y[i]})
	}
	var won, pairs float64
	for _, g := range items {
		right := sumY(g)
		slices.SortFunc(g, higherFirst)
		won += pairsWon(g)
		pairs += right * (float64(len(g)) - right)
	}
	if pairs == 0 {
		return 0, fmt.Errorf("stats: no group holds both classes: %w", ErrOneClass)
	}
	return won / pairs, nil
}

// AveragePrecision is the step-wise area under the precision–recall curve, Σ (R_k − R_{k−1}) P_k over distinct scores, for
// finding the items with y = 1. To find errors, negate the score and pass 1 − y.
func AveragePrecision(score, y []float64) (float64, error) {
	return precisionRecall(score, y, func(_, precision float64) float64 { return precision })
}

// PRAUCTrapezoid is the trapezoidal area under the precision–recall curve, started at precision 1. Many papers print it;
// it is too optimistic with ties, where [AveragePrecision] is not.
func PRAUCTrapezoid(score, y []float64) (float64, error) {
	return precisionRecall(score, y, func(before, precision float64) float64 { return (before + precision) / 2 })
}

func precisionRecall(score, y []float64, height func(before, precision float64) float64) (float64, error) {
	ones, err := checkBinary(score, y)
	if err != nil {
		return 0, err
	}
	var area, found, seen float64
	before := 1.0
	ties(ranked(score, y), func(run []item) {
		right := sumY(run)
		found += right
		seen += float64(len(run))
		precision := found / seen
		area += right / float64(ones) * height(before, precision)
		before = precision
	})
	return area, nil
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
	rate := -1.0
	ties(ranked(score, y), func(run []item) {
		right := sumY(run)
		found += right
		alarms += float64(len(run)) - right
		if rate < 0 && found >= tpr*float64(ones) {
			rate = alarms / float64(len(y)-ones)
		}
	})
	return rate, nil
}
