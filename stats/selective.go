package stats

import (
	"fmt"
	"math"
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
	var loss, seen float64
	for _, r := range ranked(score, y) {
		loss += r.n - r.y
		seen += r.n
		curve = append(curve, Point{r.score, seen / float64(len(y)), loss / seen, int(seen)})
	}
	return curve, nil
}

// AURC is the area under the risk–coverage curve: the mean, over k = 1…n, of the risk among the k surest (Geifman, Uziel
// and El-Yaniv, ICLR 2019), in expectation over the order inside ties. Lower is better; a score without information gives
// the overall risk.
func AURC(score, y []float64) (float64, error) {
	if err := checkScored(score, y); err != nil {
		return 0, err
	}
	return aurc(ranked(score, y)), nil
}

// EAURC is the AURC less that of a perfect ranking of the same outcomes (exact, not the paper's approximation). 0 is perfect.
func EAURC(score, y []float64) (float64, error) {
	if err := checkScored(score, y); err != nil {
		return 0, err
	}
	return aurc(ranked(score, y)) - aurc(ranked(y, y)), nil
}

func aurc(runs []tied) float64 {
	n, _ := sums(runs)
	return 1 - keptQuality(runs, int(n))
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
	return prr(ranked(score, y), ranked(y, y), maxReject)
}

func prr(runs, perfect []tied, maxReject float64) (float64, error) {
	if len(perfect) < 2 {
		return 0, fmt.Errorf("stats: PRR: quality: %w", ErrConstant)
	}
	n, y := sums(runs)
	depth := int(maxReject * n)
	if depth < 2 { // 1 is the full set alone
		return 0, rangeError("largest rejected share", maxReject, fmt.Sprintf("enough to reject one of %g items", n))
	}
	return rejection(y/n, keptQuality(runs, depth), keptQuality(perfect, depth))
}

// rejection is the ratio of what a score and what a perfect one gain over a random order.
func rejection(random, kept, best float64) (float64, error) {
	if best-random <= 1e-12 { // all of one quality
		return 0, fmt.Errorf("stats: PRR: rejecting gains nothing: %w", ErrConstant)
	}
	return (kept - random) / (best - random), nil
}

// keptQuality is the mean over the depth largest k ≤ n of the expected mean quality of the k surest items. Inside a run of
// mean q that starts after s items of quality Q, that is q + (Q − q·s)/k.
func keptQuality(runs []tied, depth int) float64 {
	n, _ := sums(runs)
	first := n - float64(depth) // the last k that does not count
	var area, kept, seen float64
	for _, r := range runs {
		q, from, to := r.y/r.n, max(seen, first), seen+r.n
		if to > from {
			area += q*(to-from) + (kept-q*seen)*harmonic(from, to)
		}
		kept += r.y
		seen = to
	}
	return area / float64(depth)
}

// harmonic is the sum of 1/k over from < k ≤ to; a long one by Euler's expansion, which from k = 32 on is exact to 1e-14.
func harmonic(from, to float64) (sum float64) {
	switch to - from { // most runs are short
	case 1:
		return 1 / to
	case 2:
		return (2*to - 1) / ((to - 1) * to)
	}
	k := from + 1
	for ; k <= to && (k <= 32 || to-k < 16); k++ {
		sum += 1 / k
	}
	if k <= to {
		sum += (math.Log(to) + harmonicTail(to)) - (math.Log(k-1) + harmonicTail(k-1))
	}
	return sum
}

// harmonicTail is the sum of 1/j up to k, less ln k and Euler's constant.
func harmonicTail(k float64) float64 {
	x := 1 / (k * k)
	return 1/(2*k) - x*(1./12-x*(1./120-x/252))
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
	k := max(1, math.Ceil(coverage*float64(len(y))-1e-9))
	var kept float64
	left := k
	for _, r := range ranked(score, y) {
		n := min(left, r.n)
		kept += r.y * n / r.n
		left -= n
	}
	return kept / k, nil
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
