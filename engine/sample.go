package engine

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gnothi/engine/grammar"
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

	// Penalties and biases change the logits before all else, in the order given.
	Bias       map[int32]float64 // is added to the token's logit
	Repetition float64           // logits of tokens in the text or its prefix: divided by this if positive, else multiplied; 0 or 1: no change
	Frequency  float64           // taken from a token's logit for each time it was generated
	Presence   float64           // taken from it once if it was

	// Grammar, if not nil, lets only through what it allows; the text then ends with Stop, Complete,
	// or, if MaxTokens are too few for the shortest text that the grammar allows, with Length. Stop tokens come
	// only where the text is complete. See Engine.Grammar.
	Grammar *grammar.Grammar

	MaxTokens int     // end after so many tokens; 0: at the end of the context
	Stop      []int32 // end after any of these tokens
	Stats     Stats   // figures to report with each step

	Hooks []Hook // act on the generated tokens as they are fed: from the second step's numbers on

	// Done, if not nil, gets the text without its last token, which has not been fed, as a prefix once
	// the sequence has ended, on the goroutine of Generate. It costs nothing.
	Done func(*Prefix)
}

func (s *Sampling) check(e *Engine) error {
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 1):
		return fmt.Errorf("engine: temperature %v; it must be finite and not negative", s.Temperature)
	case s.TopK < 0 || s.MaxTokens < 0:
		return fmt.Errorf("engine: TopK %d, MaxTokens %d; neither may be negative", s.TopK, s.MaxTokens)
	case !(s.TopP >= 0 && s.TopP <= 1) || !(s.MinP >= 0 && s.MinP <= 1):
		return fmt.Errorf("engine: TopP %v, MinP %v; they must lie within 0 and 1", s.TopP, s.MinP)
	case !(s.Repetition >= 0) || !finite(s.Repetition) || !finite(s.Frequency) || !finite(s.Presence):
		return fmt.Errorf("engine: penalties for repetition %v, frequency %v, presence %v; they must be finite, the first not negative", s.Repetition, s.Frequency, s.Presence)
	case s.Grammar != nil && s.Grammar.Vocabulary() != e.vocabulary():
		return errors.New("engine: the grammar was made for another model")
	}
	for id, b := range s.Bias {
		if id < 0 || int(id) >= e.info.Vocab || !finite(b) {
			return fmt.Errorf("engine: bias %v of token %d; the vocabulary has %d tokens, and a bias must be finite", b, id, e.info.Vocab)
		}
	}
	return s.Stats.check(e.info.Vocab)
}

// sampler draws a sequence's tokens.
type sampler struct {
	Sampling
	rng  *rand.Rand
	seen map[int32]int // how often each token of prefix and text was generated; nil if it does not matter

	form  *grammar.Matcher
	ends  bool    // the form can be completed within the tokens there are
	plan  []int32 // what is left to write when only the shortest way to the end fits
	begun bool
}

func newSampler(s Sampling, prefix []int32) *sampler {
	const stream = 0x676e6f746869 // any constant: the seed alone tells sequences apart
	p := &sampler{Sampling: s, rng: rand.New(rand.NewPCG(s.Seed, stream))}
	if s.Repetition != 0 && s.Repetition != 1 || s.Frequency != 0 || s.Presence != 0 {
		p.seen = map[int32]int{}
		for _, id := range prefix {
			p.seen[id] = 0
		}
	}
	if s.Grammar != nil {
		p.form = s.Grammar.Matcher()
	}
	return p
}

// scratch is a worker's space for sampling, each as long as a row of logits.
type scratch struct{ weights, row []float32 }

// ErrNoToken means that no token of the vocabulary continues a text as its grammar wants.
var ErrNoToken = errors.New("engine: no token of this model continues the text in the form that is asked for")

// next draws the next token of at most left and says whether the text ends with it. logits is not changed.
func (s *sampler) next(logits []float32, sc *scratch, left int) (int32, Finish, error) {
	if s.seen == nil && s.Bias == nil && s.form == nil {
		id := s.draw(logits, sc.weights)
		return id, s.finish(id, left), nil
	}
	if sc.row == nil {
		sc.row = make([]float32, len(logits))
	}
	copy(sc.row, logits)
	for id, b := range s.Bias {
		sc.row[id] += float32(b)
	}
	for id, n := range s.seen {
		x := &sc.row[id]
		if r := float32(s.Repetition); r != 0 {
			if *x > 0 {
				*x /= r
			} else {
				*x *= r
			}
		}
		if n > 0 {
			*x -= float32(s.Frequency*float64(n) + s.Presence)
		}
	}
	id, err := s.drawForm(sc, left)
	if err != nil {
		return 0, None, err
	}
	if s.seen != nil {
		s.seen[id]++
	}
	return id, s.finish(id, left), nil
}

func (s *sampler) finish(id int32, left int) Finish {
	switch {
	case slices.Contains(s.Stop, id):
		return Stop
	case s.form != nil && (s.form.MustEnd() || left <= 1 && s.form.CanEnd()):
		return Complete
	case left <= 1:
		return Length
	}
	return None
}

// tries is how many tokens after which the text could not be completed in time are drawn before the
// shortest way to the end is taken.
const tries = 8

var never = float32(math.Inf(-1))

// drawForm draws from sc.row what the grammar allows, if there is one.
func (s *sampler) drawForm(sc *scratch, left int) (int32, error) {
	if s.form == nil {
		return s.draw(sc.row, sc.weights), nil
	}
	if !s.begun {
		plan, ok := s.form.Plan()
		if !ok {
			return 0, ErrNoToken
		}
		s.begun, s.ends = true, len(plan) <= left
	}
	for try := 0; len(s.plan) == 0; try++ {
		if try == 0 {
			s.mask(sc.row)
		}
		if try == tries || kernel.Max(sc.row) == never {
			var ok bool
			if s.plan, ok = s.form.Plan(); !ok || len(s.plan) == 0 {
				return 0, ErrNoToken
			}
			break
		}
		id := s.draw(sc.row, sc.weights)
		if sc.row[id] == never { // rounding has run beyond the last that is allowed
			id = int32(slices.Index(sc.row, kernel.Max(sc.row)))
		}
		if slices.Contains(s.Stop, id) {
			return id, nil
		}
		if !s.ends || s.form.Fits(id, left-1) {
			return id, s.form.Accept(id)
		}
		sc.row[id] = never
	}
	id := s.plan[0]
	s.plan = s.plan[1:]
	return id, s.form.Accept(id)
}

// mask takes out of a row what the grammar does not allow.
func (s *sampler) mask(row []float32) {
	type ending struct {
		id int32
		x  float32
	}
	var ends [8]ending
	endings := ends[:0]
	for _, id := range s.Stop {
		x := never
		if s.form.CanEnd() {
			x = row[id]
		}
		endings = append(endings, ending{id, x})
	}
	for i, word := range s.form.Mask() {
		if word == math.MaxUint64 {
			continue
		}
		part := row[64*i : min(64*i+64, len(row))]
		for j := range part {
			if word>>j&1 == 0 {
				part[j] = never
			}
		}
	}
	for _, e := range endings {
		row[e.id] = e.x
	}
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
