package control

import (
	"fmt"
	"math"
	"slices"

	"gnothi/stats"
)

// Aggregator turns the voters' scores into the weights of their votes.
type Aggregator interface {
	Weights(scores []float64) []float64
	String() string
}

// Mass lets each vote weigh its score: with equal scores, majority voting
// (self-consistency, Wang et al. 2022).
type Mass struct{}

// Weights implements Aggregator.
func (Mass) Weights(scores []float64) []float64 { return scores }

func (Mass) String() string { return "mass" }

// Best gives the only vote to the highest score: best-of-N. Equal scores share
// it, so that a tie between answers shows.
type Best struct{}

// Weights implements Aggregator.
func (Best) Weights(scores []float64) []float64 {
	w := make([]float64, len(scores))
	top, n := slices.Max(scores), 0.0
	for _, s := range scores {
		if s == top {
			n++
		}
	}
	for i, s := range scores {
		if s == top {
			w[i] = 1 / n
		}
	}
	return w
}

func (Best) String() string { return "best" }

// Borda ranks the voters by score, rank 1 the best, and gives rank r of N the
// weight (N − r + 1)^P (self-certainty-bon, Kang et al. 2025). P = 0 is majority
// voting. P < 0 means the default: 0.5 below 32 voters, 1.2 from there on.
type Borda struct{ P float64 }

// Weights implements Aggregator. Equal scores share their mean rank.
func (b Borda) Weights(scores []float64) []float64 {
	n := len(scores)
	p := b.P
	if p < 0 {
		p = 0.5
		if n >= 32 {
			p = 1.2
		}
	}
	w := stats.Ranks(scores) // from below: N − r + 1
	for i := range w {
		w[i] = math.Pow(w[i], p)
	}
	return w
}

func (b Borda) String() string { return fmt.Sprintf("borda p=%g", b.P) }
