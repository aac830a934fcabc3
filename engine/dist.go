package engine

import (
	"cmp"
	"container/heap"
	"fmt"
	"math"
	"slices"

	"gnothi/engine/internal/kernel"
)

// Dist describes a next-token distribution p over the whole vocabulary of V tokens, as the model
// gives it (temperature 1, nothing cut off).
type Dist struct {
	Entropy float64 // −Σ p ln p, in nats, within 0 and ln V
	LogZ    float64 // ln Σ exp(logit) of the raw logits

	// SelfCertainty is the Kullback–Leibler divergence from the uniform distribution to p,
	// −(1/V) Σ ln(V·p), in nats, 0 for a uniform p and without an upper bound (Kang et al. 2025,
	// "Scalable Best-of-N Selection for Large Language Models via Self-Certainty").
	SelfCertainty float64

	// What Stats asks for.
	Varentropy float64     // the variance of −ln p under p, in nats²: 0 if all that is likely is equally so
	Top        []Candidate // in falling order
	Probs      []float64   // ln p of each of Stats.Tokens, in their order
}

// Stats asks for figures of a distribution beyond those that cost next to nothing.
type Stats struct {
	Top        int     // so many of the most probable tokens
	Varentropy bool    // Dist.Varentropy
	Tokens     []int32 // the probabilities of these tokens, such as those of "Yes" and "No"
}

func (s *Stats) check(vocab int) error {
	if s.Top < 0 {
		return fmt.Errorf("engine: Stats.Top is %d; it must not be negative", s.Top)
	}
	for i, id := range s.Tokens {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("engine: Stats.Tokens: token %d is %d, the vocabulary has %d", i, id, vocab)
		}
	}
	return nil
}

// Candidate is a token that might come next.
type Candidate struct {
	ID      int32
	LogProb float64
}

// Token is a token with its probability at its place.
type Token struct {
	ID      int32
	LogProb float64 // ln p(ID | all tokens before), under the distribution that Dist describes
	Dist
}

// describe computes the statistics of a row of logits. weights is scratch space as long as the row. If
// the row is not finite, ok is false.
func describe(logits, weights []float32, want *Stats) (d Dist, ok bool) {
	max := kernel.Max(logits)
	sumExp, sumExpX, sumX := kernel.Stats(logits, max)
	if sumX-sumX != 0 || sumExp-sumExp != 0 {
		return d, false
	}
	v, ln := float64(len(logits)), math.Log(sumExp)
	d.LogZ = float64(max) + ln
	d.Entropy = ln - sumExpX/sumExp
	d.SelfCertainty = d.LogZ - sumX/v - math.Log(v)
	if want.Varentropy {
		// Σ p (x−x̄)² about the mean logit, so that nothing is lost to cancellation.
		kernel.ExpSum(weights, logits, max, 1)
		mean, sum := float32(sumExpX/sumExp), 0.0
		for lo := 0; lo < len(logits); lo += sampleRun {
			sum += spread(weights[lo:min(lo+sampleRun, len(logits))], logits[lo:], mean+max)
		}
		d.Varentropy = sum / sumExp
	}
	if want.Tokens != nil {
		d.Probs = make([]float64, len(want.Tokens))
		for i, id := range want.Tokens {
			d.Probs[i] = d.logProb(logits, id)
		}
	}
	if want.Top > 0 {
		top := min(want.Top, len(logits))
		d.Top = make([]Candidate, 0, top)
		for _, c := range largest(logits, top) {
			d.Top = append(d.Top, Candidate{c.id, float64(c.x) - d.LogZ})
		}
	}
	return d, true
}

// spread is Σ w·(x−mean)².
func spread(w, x []float32, mean float32) float64 {
	x = x[:len(w)]
	var acc [4]float32
	for len(w) >= 4 && len(x) >= 4 {
		a, b, c, d := x[0]-mean, x[1]-mean, x[2]-mean, x[3]-mean
		acc[0] += w[0] * a * a
		acc[1] += w[1] * b * b
		acc[2] += w[2] * c * c
		acc[3] += w[3] * d * d
		w, x = w[4:], x[4:]
	}
	for i, v := range w {
		acc[0] += v * (x[i] - mean) * (x[i] - mean)
	}
	return float64(acc[0]+acc[1]) + float64(acc[2]+acc[3])
}

// logProb is the log-probability of a token of the row that d describes.
func (d *Dist) logProb(logits []float32, id int32) float64 { return float64(logits[id]) - d.LogZ }

// scored is a token with its logit, or what has been made of it.
type scored struct {
	id int32
	x  float32
}

// falling orders by x, largest first, and equal ones by id.
func falling(a, b scored) int {
	return cmp.Or(cmp.Compare(b.x, a.x), cmp.Compare(a.id, b.id))
}

// smallest is a heap with the last in falling order on top.
type smallest []scored

func (h smallest) Len() int           { return len(h) }
func (h smallest) Less(i, j int) bool { return falling(h[i], h[j]) > 0 }
func (h smallest) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *smallest) Push(any)          { panic("engine: the heap does not grow") }
func (h *smallest) Pop() any          { panic("engine: the heap does not shrink") }

// largest returns the n ≥ 1 largest elements in falling order.
func largest(x []float32, n int) []scored {
	h := make(smallest, n)
	for i := range h {
		h[i] = scored{int32(i), x[i]}
	}
	heap.Init(&h)
	for i, v := range x[n:] {
		if v > h[0].x { // an equal one has a higher id and comes later anyway
			h[0] = scored{int32(n + i), v}
			heap.Fix(&h, 0)
		}
	}
	slices.SortFunc(h, falling)
	return h
}
