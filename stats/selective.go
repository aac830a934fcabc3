package stats

import (
	"fmt"
	"math"
	"slices"
)

// Selective prediction: answer the surest, withhold the rest. Quality y in [0,1] may be graded; the risk is 1 − y.
// Within a run of equal scores no order is better than another, so figures are expectations over it.

// Point is one threshold of a risk–coverage curve.
type Point struct {
	Threshold float64 `json:"threshold"` // answer when score ≥ Threshold
	Coverage  float64 `json:"coverage"`  // share answered
	Risk      float64 `json:"risk"`      // mean of 1 − y among them
	N         int     `json:"n"`         // how many are answered
}

// RiskCoverage returns one point for each distinct score, highest threshold first. Ties are never split.
func RiskCoverage(score, y []float64) ([]Point, error) {
	if err := checkScored(score, y); err != nil {
		return nil, err
	}
	var curve []Point
	var loss float64
	seen := 0
	ties(ranked(score, y), func(run []item) {
		loss += float64(len(run)) - sumY(run)
		seen += len(run)
		curve = append(curve, Point{run[0].score, float64(seen) / float64(len(y)), loss / float64(seen), seen})
	})
	return curve, nil
}

// AURC is the area under the risk–coverage curve: the mean, over k = 1…n, of the risk among the k surest (Geifman, Uziel
// and El-Yaniv, ICLR 2019), in expectation over the order inside ties. Lower is better; a score without information gives
// the overall risk.
func AURC(score, y []float64) (float64, error) {
	if err := checkScored(score, y); err != nil {
		return 0, err
	}
	return 1 - keptQuality(ranked(score, y), len(y)), nil
}

// EAURC is the AURC less that of a perfect ranking of the same outcomes (exact, not the paper's approximation). 0 is perfect.
func EAURC(score, y []float64) (float64, error) {
	if err := checkScored(score, y); err != nil {
		return 0, err
	}
	return keptQuality(ranked(y, y), len(y)) - keptQuality(ranked(score, y), len(y)), nil
}

// PRR is the prediction–rejection ratio (Malinin and Gales 2021): how far the score gets from a random order (0) to a
// perfect one (1) in the mean quality of what is kept, rejections running from none to the share maxReject of the items.
// maxReject in (0,1]: 1 is the usual figure, 0.5 leaves out the noisy end. Expectation over ties; the random
// order is analytic. ErrConstant when all qualities are equal.
func PRR(score, y []float64, maxReject float64) (float64, error) {
	if err := checkScored(score, y); err != nil {
		return 0, err
	}
	if !(maxReject > 0 && maxReject <= 1) {
		return 0, rangeError("largest rejected share", maxReject, "(0,1]")
	}
	if slices.Min(y) == slices.Max(y) {
		return 0, fmt.Errorf("stats: PRR: quality: %w", ErrConstant)
	}
	depth := int(maxReject * float64(len(y)))
	if depth == 0 {
		return 0, rangeError("largest rejected share", maxReject, fmt.Sprintf("at least one of %d items", len(y)))
	}
	random := mean(y)
	perfect := keptQuality(ranked(y, y), depth)
	if perfect-random <= 1e-12 { // depth 1: only the full set is looked at
		return 0, rangeError("largest rejected share", maxReject, "enough to reject something")
	}
	return (keptQuality(ranked(score, y), depth) - random) / (perfect - random), nil
}

// keptQuality is the mean over the depth largest k ≤ n of the expected mean quality of the k surest items.
func keptQuality(items []item, depth int) float64 {
	var area, kept float64
	k := 0
	ties(items, func(run []item) {
		sum := sumY(run)
		for j := range run {
			k++
			if k > len(items)-depth {
				area += (kept + sum*float64(j+1)/float64(len(run))) / float64(k)
			}
		}
		kept += sum
	})
	return area / float64(depth)
}

// AccuracyAt is the mean quality of the ceil(coverage·n) surest items, in expectation over a tie that the cut splits.
// coverage in (0,1].
func AccuracyAt(score, y []float64, coverage float64) (float64, error) {
	if err := checkScored(score, y); err != nil {
		return 0, err
	}
	if !(coverage > 0 && coverage <= 1) {
		return 0, rangeError("coverage", coverage, "(0,1]")
	}
	// The small subtrahend keeps 0.3·10 = 3.0000000000000004 at three items.
	k := max(1, int(math.Ceil(coverage*float64(len(y))-1e-9)))
	var kept float64
	left := k
	ties(ranked(score, y), func(run []item) {
		if n := min(left, len(run)); n > 0 {
			kept += sumY(run) * float64(n) / float64(len(run))
			left -= n
		}
	})
	return kept / float64(k), nil
}

// CoverageAt is the largest coverage whose risk is at most risk, cutting only between different scores; 0 if there is none.
// The threshold is found on the very items it is judged on: for a guarantee use a held-out bound.
func CoverageAt(score, y []float64, risk float64) (float64, error) {
	if !(risk >= 0 && risk <= 1) {
		return 0, rangeError("risk", risk, "[0,1]")
	}
	curve, err := RiskCoverage(score, y)
	if err != nil {
		return 0, err
	}
	var best float64
	for _, c := range curve {
		if c.Risk <= risk {
			best = c.Coverage
		}
	}
	return best, nil
}
