package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// UrnPrior says what is believed, before any is drawn, of how often a model gives each of its answers. The first answer
// (the greedy one, known before any draw) has a Beta prior whose mean comes from the probability of its text and whose
// strength is counted in draws. What is left is shared by the other answers as a Pitman–Yor process shares it, since there
// may always be one more that has not been seen.
type UrnPrior struct {
	Strength float64 `json:"strength"` // > 0, in draws
	// Base + Slope·logit(p) is the logit of the first answer's mean share, p being the probability of its text.
	Base  float64 `json:"base"`
	Slope float64 `json:"slope"`
	// Unknown is the mean share where p is not known, and UnknownStrength how firm that is.
	Unknown         float64 `json:"unknown"`
	UnknownStrength float64 `json:"unknown_strength"`
	Discount        float64 `json:"discount"`      // in [0,1)
	Concentration   float64 `json:"concentration"` // > −Discount
}

// Validate says what is wrong with a prior.
func (p UrnPrior) Validate() error {
	switch {
	case !(p.Strength > 0 && p.UnknownStrength > 0):
		return rangeError("strength", min(p.Strength, p.UnknownStrength), "(0,∞)")
	case !(p.Unknown > 0 && p.Unknown < 1):
		return rangeError("unknown share", p.Unknown, "(0,1)")
	case !(p.Discount >= 0 && p.Discount < 1):
		return rangeError("discount", p.Discount, "[0,1)")
	case !(p.Concentration > -p.Discount):
		return rangeError("concentration", p.Concentration, "above −discount")
	case math.IsNaN(p.Base+p.Slope) || math.IsInf(p.Base+p.Slope, 0):
		return fmt.Errorf("stats: urn prior: base and slope: %w", ErrNotFinite)
	}
	return nil
}

// Urn is the posterior over the shares of a model's answers. Answer 0 is the first one; others are numbered as they
// come.
type Urn struct {
	prior          UrnPrior
	mean, strength float64 // of the first answer's share, before any draw
	first, n       int     // draws of the first answer, and of all
	others         []int   // draws of each other answer
}

// Urn begins with the first answer, whose text has the log-probability logP (NaN: unknown; −∞: there is no first
// answer).
func (p UrnPrior) Urn(logP float64) *Urn {
	u := &Urn{prior: p, mean: p.Unknown, strength: p.UnknownStrength}
	if !math.IsNaN(logP) {
		u.mean, u.strength = Sigmoid(p.Base+p.Slope*Logit(math.Exp(min(logP, 0)), Clip)), p.Strength
	}
	if math.IsInf(logP, -1) {
		u.mean = 0
	}
	return u
}

// Draw counts a draw of answer k; k = Answers() is one not seen before.
func (u *Urn) Draw(k int) {
	u.n++
	switch {
	case k == 0:
		u.first++
	case k > len(u.others):
		u.others = append(u.others, 1)
	default:
		u.others[k-1]++
	}
}

// Answers is the number of answers known, the first included.
func (u *Urn) Answers() int { return 1 + len(u.others) }

// Draws is how many draws were counted.
func (u *Urn) Draws() int { return u.n }

// Shares gives the posterior mean share of each known answer: the probability that the next draw is it. They sum to less
// than 1, since the next draw may be new.
func (u *Urn) Shares() []float64 { return u.shares(make([]float64, 0, u.Answers())) }

func (u *Urn) shares(out []float64) []float64 {
	first := (float64(u.first) + u.strength*u.mean) / (float64(u.n) + u.strength)
	out = append(out, first)
	rest := float64(u.n-u.first) + u.prior.Concentration
	for _, c := range u.others {
		out = append(out, (1-first)*(float64(c)-u.prior.Discount)/rest)
	}
	return out
}

// Unseen gives the share of all answers that have not been seen, and the mean share of the one among them that the next
// new draw would be.
func (u *Urn) Unseen() (all, next float64) {
	all = 1
	for _, s := range u.Shares() {
		all -= s
	}
	all = max(0, all)
	return all, all * (1 - u.prior.Discount) / (1 + u.prior.Concentration)
}

// Foresee simulates further draws from the posterior and gives the mean worth of the shares as they would stand after each
// number of them in looks (ascending). rng decides the simulation; sims of 200 give gains of a point to a tenth of it.
func (u *Urn) Foresee(rng *rand.Rand, looks []int, sims int, worth func(shares []float64) float64) []float64 {
	out := make([]float64, len(looks))
	if len(looks) == 0 || sims <= 0 {
		return out
	}
	others := make([]int, 0, len(u.others)+looks[len(looks)-1])
	shares := make([]float64, 0, cap(others)+1)
	for range sims {
		c := *u
		c.others = append(others[:0], u.others...)
		next := 0
		for i := 1; next < len(looks); i++ {
			c.Draw(c.next(rng.Float64()))
			if i == looks[next] {
				shares = c.shares(shares[:0])
				out[next] += worth(shares) / float64(sims)
				next++
			}
		}
	}
	return out
}

// Sample draws the next answer from the posterior, without counting it.
func (u *Urn) Sample(rng *rand.Rand) int { return u.next(rng.Float64()) }

// next turns a uniform number into the next draw.
func (u *Urn) next(x float64) int {
	first := (float64(u.first) + u.strength*u.mean) / (float64(u.n) + u.strength)
	if x < first || first >= 1 {
		return 0
	}
	x = (x - first) / (1 - first) * (float64(u.n-u.first) + u.prior.Concentration)
	for k, c := range u.others {
		if x -= float64(c) - u.prior.Discount; x < 0 {
			return k + 1
		}
	}
	return len(u.others) + 1
}

// Sequence is what one question's draws were: the log-probability of the first answer's text, and the answers drawn,
// numbered as [Urn.Draw] has them.
type Sequence struct {
	LogP  float64
	Draws []int
}

// LogLikelihood is the mean over sequences of the log-probability of their draws under the prior.
func (p UrnPrior) LogLikelihood(seqs []Sequence) float64 {
	sum := 0.0
	for _, s := range seqs {
		u := p.Urn(s.LogP)
		for _, k := range s.Draws {
			shares := u.Shares()
			q := 1.0
			if k < len(shares) {
				q = shares[k]
			} else {
				for _, v := range shares {
					q -= v
				}
			}
			sum += math.Log(max(q, 1e-12))
			u.Draw(k)
		}
	}
	return sum / float64(max(1, len(seqs)))
}

// FitUrnPrior fits a prior by maximum likelihood on recorded draws, by coordinate steps that halve until nothing
// improves.
func FitUrnPrior(seqs []Sequence) (UrnPrior, error) {
	if len(seqs) == 0 {
		return UrnPrior{}, fmt.Errorf("stats: urn prior: %w", ErrEmpty)
	}
	blind := make([]Sequence, len(seqs))
	for i, s := range seqs {
		blind[i] = Sequence{LogP: math.NaN(), Draws: s.Draws}
		if math.IsInf(s.LogP, -1) {
			blind[i].LogP = s.LogP
		}
	}
	p := UrnPrior{Strength: 4, Slope: 1, Unknown: 0.5, UnknownStrength: 2, Discount: 0.5, Concentration: 1}
	p = climb(p, seqs, func(p *UrnPrior) []*float64 {
		return []*float64{&p.Strength, &p.Base, &p.Slope, &p.Discount, &p.Concentration}
	})
	return climb(p, blind, func(p *UrnPrior) []*float64 { return []*float64{&p.Unknown, &p.UnknownStrength} }), nil
}

func climb(p UrnPrior, seqs []Sequence, free func(*UrnPrior) []*float64) UrnPrior {
	best := p.LogLikelihood(seqs)
	for step := 0.5; step > 1e-3; step /= 2 {
		for improved := true; improved; {
			improved = false
			for i := range free(&p) {
				for _, sign := range []float64{1, -1} {
					q := p
					v := free(&q)[i]
					*v += sign * step * max(0.5, math.Abs(*v))
					if q.Validate() != nil {
						continue
					}
					if l := q.LogLikelihood(seqs); l > best {
						p, best, improved = q, l, true
					}
				}
			}
		}
	}
	return p
}

// Number numbers answers in the order in which they come, for [Sequence]: first is 0 (empty: there is none), an empty
// one is equal to nothing else.
func Number(first string, answers []string) []int {
	ids, n := map[string]int{}, 1
	if first != "" {
		ids[first] = 0
	}
	out := slices.Repeat([]int{0}, len(answers))
	for i, a := range answers {
		k, known := ids[a]
		if !known || a == "" {
			k = n
			n++
			if a != "" {
				ids[a] = k
			}
		}
		out[i] = k
	}
	return out
}
