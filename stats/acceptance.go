package stats

import "fmt"

// Verified is a sampled solution, whether it is right and whether a verifier
// accepted it.
type Verified struct{ Right, Accepted bool }

// Acceptance is how a verifier does on the questions of one difficulty.
type Acceptance struct {
	Over, UpTo float64 // pass rates of the bin: (Over, UpTo]; the first bin is 0 alone
	Questions  int
	Solutions  int
	Precision  Figure // right among the accepted; missing where none was accepted
	Accepted   Figure // accepted among all: a verifier that always says yes has 1
}

// AcceptancePrecision splits what a verifier accepted by how hard the questions
// are (self-prm, Feng et al. 2025): bins of the pass rate 0, (0,¼], (¼,½],
// (½,1]. pools[i] are the solutions of question i. The pass rate is of rates[i]
// where an independent half gives it, nil: of the pool itself, which makes the
// first bin's precision 0 by construction.
func AcceptancePrecision(pools [][]Verified, rates []float64, level float64) ([]Acceptance, error) {
	if rates != nil && len(rates) != len(pools) {
		return nil, fmt.Errorf("stats: %d pass rates for %d questions: %w", len(rates), len(pools), ErrLength)
	}
	edges := []float64{0, 0.25, 0.5, 1}
	bins := make([]Acceptance, len(edges))
	accepted, right := make([]int, len(edges)), make([]int, len(edges))
	for i, pool := range pools {
		if len(pool) == 0 {
			continue
		}
		n := 0
		for _, v := range pool {
			if v.Right {
				n++
			}
		}
		rate := float64(n) / float64(len(pool))
		if rates != nil {
			rate = rates[i]
		}
		k := 0
		for k < len(edges)-1 && rate > edges[k] {
			k++
		}
		bins[k].Questions++
		bins[k].Solutions += len(pool)
		for _, v := range pool {
			if v.Accepted {
				accepted[k]++
				if v.Right {
					right[k]++
				}
			}
		}
	}
	for k := range bins {
		b := &bins[k]
		b.UpTo, b.Precision, b.Accepted = edges[k], Missing(accepted[k], ErrEmpty), Missing(b.Solutions, ErrEmpty)
		if k > 0 {
			b.Over = edges[k-1]
		}
		var err error
		if accepted[k] > 0 {
			if b.Precision, err = Wilson(right[k], accepted[k], level); err != nil {
				return nil, err
			}
		}
		if b.Solutions > 0 {
			if b.Accepted, err = Wilson(accepted[k], b.Solutions, level); err != nil {
				return nil, err
			}
		}
	}
	return bins, nil
}
