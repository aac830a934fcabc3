package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gnothi/engine/internal/kernel"
)

// Sampling says how one sequence is generated. The zero value is greedy decoding to the end of the
// context, with no stop token.
type Sampling struct {
	Seed        uint64  // of the sequence's own generator (PCG); equal seeds give equal texts
	Temperature float64 // 0: always the most probable token (of equals the lowest id)

	// The filters apply after the temperature, in this order. Each counts on what the one before
	// has left.
	TopK int     // keep the k most probable tokens; 0: all
	TopP float64 // keep the fewest most probable tokens that hold at least this share; 0 or 1: all
	MinP float64 // keep tokens at least this fraction as probable as the most probable one; 0: all

	MaxTokens int     // end after so many tokens; 0: at the end of the context
	Stop      []int32 // end after any of these tokens
	Top       int     // report so many most probable tokens with each step

	Hooks []Hook // act on the generated tokens as they are fed: from the second step's numbers on
}

func (s *Sampling) check() error {
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 1):
		return fmt.Errorf("engine: temperature %v; it must be finite and not negative", s.Temperature)
	case s.TopK < 0 || s.MaxTokens < 0 || s.Top < 0:
		return fmt.Errorf("engine: TopK %d, MaxTokens %d, Top %d; none may be negative", s.TopK, s.MaxTokens, s.Top)
	case !(s.TopP >= 0 && s.TopP <= 1) || !(s.MinP >= 0 && s.MinP <= 1):
		return fmt.Errorf("engine: TopP %v, MinP %v; they must lie within 0 and 1", s.TopP, s.MinP)
	}
	return nil
}

// sampler draws a sequence's tokens.
type sampler struct {
	Sampling
	rng *rand.Rand
}

func newSampler(s Sampling) *sampler {
	const stream = 0x676e6f746869 // any constant: the seed alone tells sequences apart
	return &sampler{s, rand.New(rand.NewPCG(s.Seed, stream))}
}

// sampleRun is how many weights are summed together before one is looked for.
const sampleRun = 1024

// draw picks the next token. weights is as long as logits and is overwritten. Exactly one number is
// drawn from rng, or none at temperature 0.
func (s *sampler) draw(logits, weights []float32) int32 {
	max := kernel.Max(logits)
	if s.Temperature == 0 {
		return int32(slices.Index(logits, max))
	}
	// Temperatures below 1e-6 are that: float32 logits leave nothing to tell apart.
	scale := float32(1 / math.Max(s.Temperature, 1e-6))
	if s.TopK > 0 || s.TopP > 0 && s.TopP < 1 || s.MinP > 0 {
		return s.pick(s.filter(logits, weights, max, scale))
	}
	sums, total := weigh(weights, logits, max, scale)
	u, run := s.rng.Float64()*total, 0
	for run+1 < len(sums) && u >= sums[run] {
		u -= sums[run]
		run++
	}
	lo := run * sampleRun
	last := lo
	for i, w := range weights[lo:min(lo+sampleRun, len(weights))] {
		if w > 0 {
			last = lo + i
		}
		if u -= float64(w); u < 0 {
			break
		}
	}
	return int32(last)
}

// weigh fills weights with exp((logit−max)·scale) and returns the sums of its runs and their total.
func weigh(weights, logits []float32, max, scale float32) (sums []float64, total float64) {
	sums = make([]float64, 0, len(logits)/sampleRun+1)
	for lo := 0; lo < len(logits); lo += sampleRun {
		hi := min(lo+sampleRun, len(logits))
		sum := float64(kernel.ExpSum(weights[lo:hi], logits[lo:hi], max, scale))
		sums, total = append(sums, sum), total+sum
	}
	return sums, total
}

// filter returns the tokens left over with their weights, that of the most probable one being 1.
func (s *sampler) filter(logits, weights []float32, max, scale float32) []scored {
	var left []scored
	if k := s.TopK; k > 0 && k < len(logits) {
		left = largest(logits, k)
		for i := range left {
			left[i].x = float32(math.Exp(float64((left[i].x - max) * scale)))
		}
	} else {
		_, total := weigh(weights, logits, max, scale)
		// The most probable token has weight 1. Sorting everything is dear, so lower the bar until
		// enough lies above it: a share of TopP, or all down to MinP.
		need := total
		if s.TopP > 0 && s.TopP < 1 {
			need = s.TopP * total
		}
		for bar := float32(0x1p-6); ; bar *= 0x1p-6 {
			if s.MinP > 0 {
				bar = float32(math.Max(float64(bar), s.MinP))
			}
			left = left[:0]
			sum := 0.0
			for i, w := range weights {
				if w >= bar {
					left = append(left, scored{int32(i), w})
					sum += float64(w)
				}
			}
			if sum >= need || bar <= float32(s.MinP) || len(left) == len(logits) || bar == 0 {
				break
			}
		}
		if need == total {
			return left // the bar was MinP, or nothing of weight lies below it; any order will do
		}
		slices.SortFunc(left, falling)
		return s.minP(upTo(left, need))
	}
	if s.TopP > 0 && s.TopP < 1 {
		total := 0.0
		for _, c := range left {
			total += float64(c.x)
		}
		left = upTo(left, s.TopP*total)
	}
	return s.minP(left)
}

// upTo cuts a falling list behind the token with which its sum reaches need.
func upTo(list []scored, need float64) []scored {
	for i, c := range list {
		if need -= float64(c.x); need <= 0 {
			return list[:i+1]
		}
	}
	return list
}

func (s *sampler) minP(list []scored) []scored {
	for i, c := range list {
		if float64(c.x) < s.MinP { // the first has weight 1
			return list[:i]
		}
	}
	return list
}

// pick draws from a list.
func (s *sampler) pick(list []scored) int32 {
	total := 0.0
	for _, c := range list {
		total += float64(c.x)
	}
	u := s.rng.Float64() * total
	for _, c := range list {
		if u -= float64(c.x); u < 0 {
			return c.id
		}
	}
	return list[len(list)-1].id
}
