package stats

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Stopping rules for sampling answers until the leading one is settled. Beta and Dirichlet posteriors are offered as
// published: looking at them after every sample has no error control. Certifier has.

// BetaMajority is P(θ > ½) under a uniform prior when the two most common answers came first and second times:
// 1 − I_½(first+1, second+1), the rule of adaptive consistency (Aggarwal et al., EMNLP 2023).
func BetaMajority(first, second int) (float64, error) {
	if first < 0 || second < 0 {
		return 0, rangeError("count", min(first, second), "at least 0")
	}
	return mathext.RegIncBeta(float64(second+1), float64(first+1), 0.5), nil
}

// DirichletTop is the posterior probability, under a uniform prior over the answers seen, that the most common one has
// the largest share: adaptive consistency's other rule. With a single answer seen, a second unseen one is assumed. The K−1
// dimensional integral is one quadrature, since Dirichlet shares are independent gammas divided by their sum:
// ∫ g(x; a₁) Π G(x; a_j) dx, by the trapezoid rule in ln x.
func DirichletTop(counts []int) (float64, error) {
	a := make([]float64, 0, len(counts)+1)
	for _, c := range counts {
		if c < 0 {
			return 0, rangeError("count", c, "at least 0")
		}
		if c > 0 {
			a = append(a, float64(c+1))
		}
	}
	if len(a) == 0 {
		return 0, fmt.Errorf("stats: Dirichlet rule: %w", ErrEmpty)
	}
	if len(a) == 1 {
		a = append(a, 1)
	}
	slices.Sort(a)
	slices.Reverse(a)
	top := a[0]
	// In u = ln(x/top) the density is exp(top·(u − eᵘ)) up to a factor, which dividing by its own sum takes care of: about
	// normal with sd 1/√top, with a slow left tail when top is small.
	sd := 1 / math.Sqrt(top)
	low, high := -9*sd-40/top, 9*sd
	const steps = 1024
	var won, all float64
	for i := range steps + 1 {
		u := low + (high-low)*float64(i)/steps
		density := math.Exp(top * (u - math.Expm1(u)))
		all += density
		for _, other := range a[1:] {
			density *= mathext.GammaIncReg(other, top*math.Exp(u))
		}
		won += density
	}
	return won / all, nil
}

// Certifier watches a sequence of answers and says when the leading one is certified to be the mode of the distribution they
// are drawn from. For independent, identically distributed answers over any set of classes, the probability that it
// ever certifies an answer that is not a most likely one is at most α, however often one looks and whenever one stops.
//
// For each class m, seen or not, it tests "m is a mode" with a betting martingale (Ville 1939; Shafer 2021): before
// each draw it bets that the answer which leads among the others beats m, at odds that would be fair if the two were
// equally likely: wealth × 2θ if that rival comes, × 2(1−θ) if m comes, unchanged otherwise. If m is a mode the wealth
// is a supermartingale, and reaches 1/α with probability at most α. An answer is certified when every other class, and
// any class still unseen, is rejected. Then an error needs the true mode to be rejected, so nothing is lost to the
// number of classes. θ = (rival + ¼)/(rival + own + ½) from the counts before the draw, at least ½: predictable, so
// any choice is valid; ¼ lets six equal answers in a row certify at α = .05.
type Certifier[K comparable] struct {
	alpha  float64
	seen   map[K]*hypothesis
	order  []K
	unseen hypothesis // what the wealth against any class not drawn so far is
	draws  int
}

// hypothesis is "this class is a mode": its count, and the log wealth bet against it now and at its highest.
type hypothesis struct {
	count     int
	log, peak float64
}

// NewCertifier is for error probability alpha in (0,1).
func NewCertifier[K comparable](alpha float64) (*Certifier[K], error) {
	if !(alpha > 0 && alpha < 1) {
		return nil, rangeError("alpha", alpha, "(0,1)")
	}
	return &Certifier[K]{alpha: alpha, seen: map[K]*hypothesis{}}, nil
}

// Add takes the next answer, in the order of drawing. It costs time proportional to the number of classes seen.
func (c *Certifier[K]) Add(answer K) {
	c.draws++
	first, second := c.leaders()
	for i, k := range c.order {
		rival := first
		if i == first {
			rival = second
		}
		c.bet(c.seen[k], k == answer, rival, answer)
	}
	_, known := c.seen[answer]
	unseen := c.unseen
	c.bet(&c.unseen, false, first, answer)
	if !known {
		c.bet(&unseen, true, first, answer)
		c.seen[answer] = &unseen
		c.order = append(c.order, answer)
	}
	c.seen[answer].count++
}

// bet plays one draw against h. rival is the index of the leader among the others, −1 when there is none.
func (c *Certifier[K]) bet(h *hypothesis, own bool, rival int, answer K) {
	if rival < 0 {
		return
	}
	r := float64(c.seen[c.order[rival]].count)
	theta := max(0.5, (r+0.25)/(r+float64(h.count)+0.5))
	switch {
	case own:
		h.log += math.Log(2 * (1 - theta))
	case c.order[rival] == answer:
		h.log += math.Log(2 * theta)
	}
	h.peak = max(h.peak, h.log)
}

// leaders are the indices of the two most common classes, earlier ones first among equals, −1 where there is none.
func (c *Certifier[K]) leaders() (first, second int) {
	first, second = -1, -1
	for i, k := range c.order {
		n := c.seen[k].count
		switch {
		case first < 0 || n > c.seen[c.order[first]].count:
			first, second = i, first
		case second < 0 || n > c.seen[c.order[second]].count:
			second = i
		}
	}
	return first, second
}

// Certificate is where a Certifier stands.
type Certificate[K comparable] struct {
	Answer    K       // the leading answer (the zero K before the first draw)
	Certified bool    // it is the mode, with error probability at most α
	Alpha     float64 // the smallest α at which it would be certified: an anytime-valid p-value, 1 at first
	Draws     int
}

// Certificate reports on the answer against whose rivals the evidence is strongest.
func (c *Certifier[K]) Certificate() Certificate[K] {
	out := Certificate[K]{Alpha: 1, Draws: c.draws}
	first, _ := c.leaders()
	if first < 0 {
		return out
	}
	out.Answer = c.order[first]
	weakest := c.unseen.peak
	for i, k := range c.order {
		if i != first {
			weakest = min(weakest, c.seen[k].peak)
		}
	}
	out.Alpha = math.Exp(-max(0, weakest))
	out.Certified = out.Alpha <= c.alpha
	return out
}
