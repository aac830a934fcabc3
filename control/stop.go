package control

import (
	"fmt"
	"slices"

	"gnothi/stats"
)

// Stopper says how many more candidates to draw, from the classes of those
// drawn so far in order (−1: does not vote). 0 ends the drawing.
type Stopper interface {
	More(classes []int) int
	String() string
}

// Fixed draws n candidates.
type Fixed int

// More implements Stopper.
func (n Fixed) More(classes []int) int { return int(n) - len(classes) }

func (n Fixed) String() string { return fmt.Sprintf("fixed n=%d", int(n)) }

// Settled draws in batches until the two largest classes leave no doubt which
// leads: until the Beta posterior that the first is the more probable one
// reaches Conf (adaptive-consistency, Aggarwal et al. 2023; the stopping rule
// inside difficulty-adaptive-self-consistency, Wang et al. 2024), or Max is
// reached. Published as it is, the rule has no error control under peeking
// ([Certified] has).
type Settled struct {
	Conf  float64
	Batch int // candidates drawn between two looks; the published rule has 1
	Max   int
	// Dirichlet looks at all observed classes instead of the leading two.
	Dirichlet bool
}

// More implements Stopper.
func (s Settled) More(classes []int) int {
	if counts := tally(classes); len(counts) > 0 {
		// An error would be of counts below zero, which a tally has not.
		if p, err := s.probability(counts); err == nil && p >= s.Conf {
			return 0
		}
	}
	return min(max(1, s.Batch), s.Max-len(classes))
}

func (s Settled) probability(counts []int) (float64, error) {
	if s.Dirichlet {
		return stats.DirichletTop(counts)
	}
	second := 0
	if len(counts) > 1 {
		second = counts[1]
	}
	return stats.BetaMajority(counts[0], second)
}

func (s Settled) String() string {
	rule := "beta"
	if s.Dirichlet {
		rule = "dirichlet"
	}
	return fmt.Sprintf("settled %s conf=%g batch=%d max=%d", rule, s.Conf, s.Batch, s.Max)
}

// Window draws windows of W and stops at the first that is unanimous
// (early-stopping self-consistency, Li et al. 2024; a base line of
// difficulty-adaptive-self-consistency). The vote is over all that was drawn.
type Window struct{ W, Max int }

// More implements Stopper.
func (s Window) More(classes []int) int {
	if n := len(classes); n >= s.W && n%s.W == 0 {
		last := classes[n-s.W:]
		if last[0] >= 0 && slices.Max(last) == last[0] && slices.Min(last) == last[0] {
			return 0
		}
	}
	return min(s.W-len(classes)%s.W, s.Max-len(classes))
}

func (s Window) String() string { return fmt.Sprintf("window w=%d max=%d", s.W, s.Max) }

// Certified draws one at a time until an anytime-valid test, which survives
// looking after every sample, rejects at level Alpha that the leading class is
// not the most probable one, or Max is reached. Ours; see methods, section 0.
type Certified struct {
	Alpha float64
	Max   int
}

// More implements Stopper.
func (s Certified) More(classes []int) int {
	test, err := stats.NewCertifier[int](s.Alpha)
	if err != nil {
		return s.Max - len(classes) // no level to stop at: draw all
	}
	for i, c := range classes {
		if c < 0 {
			c = -1 - i // equal to nothing else
		}
		test.Add(c)
	}
	if test.Certificate().Certified {
		return 0
	}
	return min(1, s.Max-len(classes))
}

func (s Certified) String() string { return fmt.Sprintf("certified alpha=%g max=%d", s.Alpha, s.Max) }

// tally counts the classes, the largest first.
func tally(classes []int) []int {
	var counts []int
	for _, c := range classes {
		if c < 0 {
			continue
		}
		for c >= len(counts) {
			counts = append(counts, 0)
		}
		counts[c]++
	}
	slices.SortFunc(counts, func(a, b int) int { return b - a })
	return counts
}
