package stats

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Guarantee is a threshold with a promise: drawn from the same source as the labels it was found on, of the answers given at
// most the share Risk is wrong, unless the labels were unlucky, which happens with probability at most Delta.
type Guarantee struct {
	Risk  float64 `json:"risk"`
	Delta float64 `json:"delta"`
	N     int     `json:"n"` // labels it was found on

	Holds     bool    `json:"holds"`     // a threshold was found
	All       bool    `json:"all"`       // every answer may be given
	Threshold float64 `json:"threshold"` // else those that score more than this, strictly; meaningless if Holds is false
	Given     int     `json:"given"`     // labelled answers above it
	Wrong     int     `json:"wrong"`     // and how many of them are wrong
	P         float64 `json:"p"`         // of the test that lets it stand, at most Delta over the number of sequences
	Why       string  `json:"why,omitempty"`
}

// sequences is how many points the testing starts from. One start at the surest few dozen fails where those hold one bad
// answer; each more start costs a part of Delta. In simulations two gave the most answers (of 1, 2, 3, 4 and 6).
const sequences = 2

// LearnThenTest finds the threshold that gives the most answers (Angelopoulos et al. 2022). For the share of wrong ones
// among the answers given, which need not fall as the threshold rises, conformal risk control is not valid; this is. The
// hypotheses "more than Risk of the answers above the k-th score are wrong" are tested by the exact binomial tail, from few
// answers to all, each sequence until it first fails (fixed-sequence testing, with Delta shared by two starts: the fewest answers
// that can pass, and the geometric mean of that and all). They are at ranks and not at values, so any finite score will do; equal scores are never parted.
// score and y are independent items, y 0 or 1. risk and delta in (0,1).
func LearnThenTest(score, y []float64, risk, delta float64) (Guarantee, error) {
	if err := checkFinite(score, y); err != nil {
		return Guarantee{}, err
	}
	if !isBinary(y) {
		return Guarantee{}, fmt.Errorf("stats: guarantee: y: %w", ErrNotBinary)
	}
	if !(risk > 0 && risk < 1) || !(delta > 0 && delta < 1) {
		return Guarantee{}, rangeError("risk and delta", [2]float64{risk, delta}, "(0,1)")
	}
	n := len(y)
	g := Guarantee{Risk: risk, Delta: delta, N: n, P: 1}
	level := delta / sequences
	// So many answers, all right, are needed to reject anything.
	least := int(math.Ceil(math.Log(level) / math.Log1p(-risk)))
	if n < least {
		g.Why = fmt.Sprintf("%d labels are too few: it takes %d right ones in a row for risk %g at delta %g", n, least, risk, delta)
		return g, nil
	}
	items := highestFirst(score, y)
	wrong := make([]int, n+1)
	for i, it := range items {
		wrong[i+1] = wrong[i] + 1 - int(it.y)
	}
	// above is how many score more than the k-th, all for k = n+1: the hypothesis that rank k stands for.
	above := func(k int) int {
		if k > n {
			return n
		}
		v := items[k-1].score
		at, _ := slices.BinarySearchFunc(items[:k], v, func(it item, v float64) int {
			if it.score > v {
				return -1
			}
			return 1
		})
		return at
	}
	step := max(1, n/200)
	for s := range sequences {
		start := int(math.Round(float64(least) * math.Pow(float64(n)/float64(least), float64(s)/sequences)))
		for k := start + 1; ; k += step {
			k = min(k, n+1)
			given := above(k)
			if given < least && k <= n {
				continue // a tie leaves too few to test, whatever their labels: no look at them, no failure
			}
			p := distuv.Binomial{N: float64(given), P: risk}.CDF(float64(wrong[given]))
			if p > level {
				break
			}
			if given > g.Given {
				g.Holds, g.Given, g.Wrong, g.P = true, given, wrong[given], p
				if g.All = k > n; !g.All {
					g.Threshold = items[k-1].score
				}
			}
			if k > n {
				break
			}
		}
	}
	if !g.Holds {
		g.Why = fmt.Sprintf("no threshold keeps the risk at %g: too many of the surest answers are wrong", risk)
	}
	if g.All {
		g.Threshold = 0
	}
	return g, nil
}

// Gives says whether an answer with this score is given.
func (g Guarantee) Gives(score float64) bool { return g.Holds && (g.All || score > g.Threshold) }

// KolmogorovSmirnov asks whether two samples come from the same distribution: the largest distance of their cumulative
// shares, p by the asymptotic law with Stephens' correction (1970). Ties make it conservative.
func KolmogorovSmirnov(a, b []float64) (Test, error) {
	if err := checkFinite(a); err != nil {
		return Test{}, err
	}
	if err := checkFinite(b); err != nil {
		return Test{}, err
	}
	x, y := slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	var d float64
	for i, j := 0, 0; i < len(x) && j < len(y); {
		v := min(x[i], y[j])
		for i < len(x) && x[i] == v {
			i++
		}
		for j < len(y) && y[j] == v {
			j++
		}
		d = max(d, math.Abs(float64(i)/float64(len(x))-float64(j)/float64(len(y))))
	}
	n := math.Sqrt(float64(len(x)) * float64(len(y)) / float64(len(x)+len(y)))
	l := (n + 0.12 + 0.11/n) * d
	p, sign := 0.0, 1.0
	for k := 1.0; k <= 100; k++ {
		p += 2 * sign * math.Exp(-2*k*k*l*l)
		sign = -sign
	}
	if l < 0.2 { // the series does not converge there; the law is 1 to sixteen digits
		p = 1
	}
	return Test{d, min(1, max(0, p)), len(a) + len(b), "Kolmogorov–Smirnov"}, nil
}
