package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/stats"
)

// Auto buys evidence for as long as it is worth what it costs. It begins with
// the greedy answer and its log-probability; then, of all offers, it takes the
// one that is expected to improve the decision most for its cost, and stops when
// none is expected to improve it by Price for each answer's cost. What an offer
// is worth is foreseen under the present posterior over answers (docs/decisions
// 0007 derives it): evidence that cannot change what would be answered, or
// whether, is worth nothing.
type Auto struct {
	Sampling monitor.Sampling
	// Price is how much likelier to be right, or how much nearer the threshold's
	// decision, an answer has to become to be worth as much again as the first
	// answer cost: 0.003 is three questions of a thousand.
	Price float64
	Max   int     // most samples
	More  []Offer // what can be bought besides samples
}

// Offer is a kind of evidence that [Auto] may buy.
type Offer interface {
	// String describes the offer with every setting that bears on answers.
	String() string
	// Appraise gives what buying is expected to add to the worth of the decision,
	// in [0,1], and what it costs, in first answers.
	Appraise(s *State) (gain, cost float64)
	// Buy gets the evidence, enters it into the state, and says what it got.
	Buy(ctx context.Context, t *monitor.Trial, s *State) (what string, err error)
}

// DefaultPrice and DefaultMax are those of [DefaultAuto].
const (
	DefaultPrice = 0.003
	DefaultMax   = 40
)

// DefaultAuto is the default policy.
func DefaultAuto() Auto {
	return Auto{Sampling: monitor.DefaultSampling, Price: DefaultPrice, Max: DefaultMax}
}

// String implements Policy.
func (a Auto) String() string {
	d := fmt.Sprintf("auto(%v, price=%g, max=%d", Independent{Sampling: a.Sampling, First: true}, a.Price, a.Max)
	for _, o := range a.More {
		d += ", " + o.String()
	}
	return d + ")"
}

// Purchase is one thing that [Auto] bought: what it was expected to be worth and
// what it changed.
type Purchase struct {
	What   string
	Gain   float64            // expected, in worth of the decision
	Cost   float64            // expected, in first answers
	Best   *monitor.Candidate // the leading answer after it
	P      float64            // the probability that Best is right, as the policy sees it
	Tokens int64              // spent by the trial until then, this purchase included
}

// Run implements Policy. A budget or an upstream that gives out ends the buying;
// what was bought is used.
func (a Auto) Run(ctx context.Context, t *monitor.Trial) (Result, error) {
	greedy, err := monitor.Get(ctx, t, monitor.Greedy{})
	if err != nil {
		return Result{}, err
	}
	s := &State{trial: t, Standing: consistency.Stand(consistency.AnswerPrior, greedy, nil), pool: []*monitor.Candidate{greedy}}
	s.look(ctx)
	bought := []Purchase{s.bought("greedy answer", 0, 1)}
	offers := append([]Offer{samples{a}}, a.More...)
	stopped := ""
	for stopped == "" {
		offer, gain, price := a.best(s, offers)
		if offer == nil {
			stopped = "more evidence is not worth its cost"
			break
		}
		what, err := offer.Buy(ctx, t, s)
		if ctx.Err() != nil {
			return s.result(bought, "cancelled"), ctx.Err()
		}
		if err != nil {
			stopped = err.Error()
			if errors.Is(err, llm.ErrBudget) {
				stopped = "budget"
			}
			if what == "" {
				break
			}
		}
		s.look(ctx)
		bought = append(bought, s.bought(what, gain, price))
		if s.clarify != "" {
			stopped = "the question can be read in more than one way"
		}
	}
	return s.result(bought, stopped), nil
}

// best is the offer with the most gain for its cost, nil if none is worth its price.
func (a Auto) best(s *State, offers []Offer) (best Offer, gain, price float64) {
	most := 0.0
	for _, o := range offers {
		g, c := o.Appraise(s)
		if g <= a.Price*c || g <= 1e-9 {
			continue
		}
		if rate := g / max(c, 1e-6); rate > most {
			best, gain, price, most = o, g, c, rate
		}
	}
	return best, gain, price
}

// State is what [Auto] knows of a question: where its answers stand, and how far
// each is believed to be right.
type State struct {
	*consistency.Standing
	trial   *monitor.Trial
	pool    []*monitor.Candidate
	trust   float64         // P(right)/share, 1 but under a threshold
	weights map[int]float64 // log-likelihood ratios of answers from other evidence than draws
	seen    map[string]bool // what offers have done, by their names
	clarify string
	draws   int       // what the offer of samples would draw, as last appraised
	p       []float64 // probability of being right, by answer
	lead    int       // the answer with the highest, −1: none
}

// look brings the state up to date after new evidence. An answer is taken to be
// right as often as the model gives it. Under a threshold that is not good
// enough: there the calibrated probability of the leader says how far the model
// is to be trusted.
func (s *State) look(ctx context.Context) {
	shares := s.Urn.Shares()
	s.trust = 1
	s.p = s.beliefs(shares)
	if s.lead = top(s.p); s.lead < 0 || s.trial.Calibrated == nil {
		return
	}
	if p, ok := s.trial.Calibrated(ctx, s.trial, s.Classes[s.lead]); ok {
		s.trust = p / shares[s.lead]
		s.p = s.beliefs(shares)
		s.lead = top(s.p)
	}
}

// beliefs are the probabilities of each answer to be the right one, if they had
// these shares: trust times the share, times what other evidence says, together
// with all that is not among them at most 1.
func (s *State) beliefs(shares []float64) []float64 {
	p := make([]float64, len(shares))
	sum := 0.0
	for k, share := range shares {
		if k >= len(s.Classes) || s.Classes[k] != nil {
			p[k] = s.trust * share
			sum += p[k]
		}
	}
	if sum > 1 {
		for k := range p {
			p[k] /= sum
		}
		sum = 1
	}
	if len(s.weights) == 0 {
		return p
	}
	total := 1 - sum // none of these
	for k := range p {
		p[k] *= math.Exp(s.weights[k])
		total += p[k]
	}
	for k := range p {
		p[k] /= total
	}
	return p
}

func top(p []float64) int {
	best := -1
	for k, v := range p {
		if v > 0 && (best < 0 || v > p[best]) {
			best = k
		}
	}
	return best
}

// worth is what a decision is worth whose best answer is right with probability
// p: p where any answer serves; with a threshold t, at which answering and
// withholding are worth the same, what answering adds to withholding.
func (s *State) worth(p float64) float64 {
	t := s.trial.Threshold
	if t <= 0 || t >= 1 {
		return p
	}
	return max(0, (p-t)/(1-t))
}

// now is what deciding now is worth.
func (s *State) now() float64 {
	if s.lead < 0 {
		return 0
	}
	return s.worth(s.p[s.lead])
}

// once reports whether a name is new to the trial, and takes it.
func (s *State) once(name string) bool {
	if s.seen[name] {
		return false
	}
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[name] = true
	return true
}

// weigh adds the log-likelihood ratio of an answer's being right.
func (s *State) weigh(k int, logRatio float64) {
	if s.weights == nil {
		s.weights = map[int]float64{}
	}
	s.weights[k] += logRatio
}

func (s *State) bought(what string, gain, price float64) Purchase {
	p := Purchase{What: what, Gain: gain, Cost: price, Tokens: s.trial.Ledger.Spent().Tokens(), Best: s.pool[0]}
	if s.lead >= 0 {
		p.Best, p.P = s.Classes[s.lead], s.p[s.lead]
	}
	return p
}

func (s *State) result(bought []Purchase, stopped string) Result {
	res := Result{Pool: s.pool, Bought: bought, Stopped: stopped, Clarify: s.clarify, Best: s.pool[0]}
	if s.lead < 0 {
		return res // nothing readable: the first reply stands, as unparsed as it is
	}
	shares := s.Urn.Shares()
	members := map[int][]int{}
	for i, c := range s.pool {
		if k := s.Class(c); k >= 0 {
			members[k] = append(members[k], i)
		}
	}
	for k, c := range s.Classes {
		if c != nil {
			res.Classes = append(res.Classes, Class{Answer: c.Answer, Members: members[k], Weight: s.p[k]})
		}
	}
	slices.SortStableFunc(res.Classes, func(a, b Class) int {
		if same(a.Weight, b.Weight) {
			return 0
		}
		return cmp.Compare(b.Weight, a.Weight)
	})
	res.Best = s.Classes[s.lead]
	res.Tie = len(res.Classes) > 1 && same(res.Classes[0].Weight, res.Classes[1].Weight)
	if len(s.weights) > 0 {
		plain := s.beliefs(shares)[s.lead]
		weights := s.weights
		s.weights = nil
		res.LogOdds = stats.Logit(plain, stats.Clip) - stats.Logit(s.beliefs(shares)[s.lead], stats.Clip)
		s.weights = weights
	}
	return res
}

// samples is the offer of more draws. It foresees what 1, 2, 4, … more would be
// worth and draws half of the number that pays best before it looks again, so
// that batches grow where there is much to settle.
type samples struct{ a Auto }

// sims is how many futures are simulated at each look: enough for a gain of a
// tenth of a point, and a fraction of a millisecond.
const sims = 200

func (o samples) String() string { return "samples" }

// Appraise implements Offer.
func (o samples) Appraise(s *State) (gain, price float64) {
	n, gain := o.plan(s)
	s.draws = max(1, n/2)
	return gain, float64(n)
}

// plan gives the number of draws with the most gain over its price.
func (o samples) plan(s *State) (n int, gain float64) {
	left := o.a.Max - s.Urn.Draws()
	var looks []int
	for n := 1; n <= left; n *= 2 {
		looks = append(looks, n)
	}
	if len(looks) == 0 {
		return 0, 0
	}
	rng := rand.New(rand.NewPCG(s.trial.SeedFor("foresee", s.Urn.Draws()), 0))
	now, net := s.now(), 0.0
	for i, worth := range s.Urn.Foresee(rng, looks, sims, func(shares []float64) float64 {
		best := 0.0
		for _, p := range s.beliefs(shares) {
			best = max(best, p)
		}
		return s.worth(best)
	}) {
		if g := worth - now; g-o.a.Price*float64(looks[i]) > net {
			n, gain, net = looks[i], g, g-o.a.Price*float64(looks[i])
		}
	}
	return n, gain
}

// Buy implements Offer.
func (o samples) Buy(ctx context.Context, t *monitor.Trial, s *State) (string, error) {
	have := s.Urn.Draws()
	cs, err := t.Samples(ctx, o.a.Sampling, have+s.draws)
	if len(cs) <= have {
		if err == nil {
			err = errors.New("no more samples came")
		}
		return "", err
	}
	s.Add(cs[have:])
	s.pool = append(s.pool, cs[have:]...)
	return plural(len(cs)-have, "sample"), err
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// Check is the offer to have an answer checked by a signal: a verifier of the
// user's, the model's own verdict, a judge. A score of one half or more counts
// as a pass.
type Check struct {
	Signal monitor.Signal
	Hit    float64 // P(pass | right)
	Alarm  float64 // P(pass | wrong)
	Cost   float64 // in first answers
}

// String implements Offer.
func (o Check) String() string {
	return fmt.Sprintf("check %s hit=%g alarm=%g cost=%g", o.Signal.Name(), o.Hit, o.Alarm, o.Cost)
}

// target is the answer whose check is worth most: the likeliest not checked yet.
func (o Check) target(s *State) int {
	best := -1
	for k, p := range s.p {
		if p > 0 && !s.seen[o.done(s, k)] && (best < 0 || p > s.p[best]) {
			best = k
		}
	}
	return best
}

func (o Check) done(s *State, k int) string { return o.Signal.Name() + "\x00" + s.Classes[k].Key }

// Appraise implements Offer: the mean of what deciding is worth after a pass and
// after a failure, weighed by how likely each is. After a failure there are the
// other answers, and those that have not been drawn yet.
func (o Check) Appraise(s *State) (gain, price float64) {
	k := o.target(s)
	if k < 0 {
		return 0, o.Cost
	}
	pass := s.p[k]*o.Hit + (1-s.p[k])*o.Alarm
	_, fresh := s.Urn.Unseen() // a draw away, if the check fails
	after := func(likelihood func(right bool) float64, of float64) float64 {
		best := min(1, s.trust*fresh) * likelihood(false) / of
		for j, p := range s.p {
			best = max(best, p*likelihood(j == k)/of)
		}
		return s.worth(best)
	}
	rate := func(right bool) float64 {
		if right {
			return o.Hit
		}
		return o.Alarm
	}
	worth := 0.0
	if pass > 0 {
		worth += pass * after(rate, pass)
	}
	if pass < 1 {
		worth += (1 - pass) * after(func(right bool) float64 { return 1 - rate(right) }, 1-pass)
	}
	return worth - s.now(), o.Cost + 1 - pass
}

// Buy implements Offer. An answer that cannot be checked is not tried again.
func (o Check) Buy(ctx context.Context, t *monitor.Trial, s *State) (string, error) {
	k := o.target(s)
	s.once(o.done(s, k))
	r, err := monitor.ScoreOne(ctx, o.Signal, t, s.Classes[k])
	switch {
	case errors.Is(err, llm.ErrBudget):
		return "", err
	case err != nil:
		return fmt.Sprintf("%s of %s: %v", o.Signal.Name(), label(s.Classes[k]), err), nil
	}
	verdict := "fails"
	if r.Score >= 0.5 {
		verdict = "passes"
		s.weigh(k, math.Log(o.Hit/o.Alarm))
	} else {
		s.weigh(k, math.Log((1-o.Hit)/(1-o.Alarm)))
	}
	return fmt.Sprintf("%s: %s %s", o.Signal.Name(), label(s.Classes[k]), verdict), nil
}

// label is an answer for a line of text.
func label(c *monitor.Candidate) string {
	if c == nil {
		return "nothing"
	}
	if a := strings.TrimSpace(c.Answer.Text); a != "" {
		return fmt.Sprintf("%.60q", a)
	}
	return c.Answer.Status.String()
}
