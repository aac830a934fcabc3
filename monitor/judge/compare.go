package judge

import (
	"context"
	"fmt"
	"math"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
)

// Comparison is a verdict between two candidates, a and b.
type Comparison struct {
	// Outcome is 1 if a is better, 0 if b is, ½ for a tie; orders that contradict
	// each other are a tie. Of a panel the majority's, without one a tie.
	Outcome float64
	Share   float64 // the probability that a is better, a tie counting half, over both orders
	// Strength is the mean over all votes of log p(a) − log p(b): above 0 for a.
	Strength float64
	// Place is 1 where in both orders what was shown first won, −1 where what was
	// shown second did: the verdict is then the order's. 0 otherwise.
	Place   int
	Agree   bool         // both orders say the same
	Orders  [2]float64   // a's outcome when a was shown first, and when b was
	Source  string       // logprobs, samples, votes
	Lengths [2]int       // of a and b, in characters
	Panel   []Comparison // of a panel, one for each member that could be read
	Replies [2][]string  // the judgements in both orders
	Count   Count
}

// Agreed is the [Comparison.Order] of a verdict that does not follow the order.
const Agreed = "agree"

// Order says in words how the two orders of showing agree.
func (c Comparison) Order() string {
	switch {
	case c.Agree:
		return Agreed
	case c.Place > 0:
		return "follow the first place"
	case c.Place < 0:
		return "follow the second place"
	}
	return "differ"
}

// Better is the key of the better one, a's or b's, or tie.
func (c Comparison) Better(a, b string) string {
	switch c.Outcome {
	case 1:
		return a
	case 0:
		return b
	}
	return "tie"
}

// Top is the key with the highest score, or tie; nil is missing.
func Top(keys []string, scores map[string]*float64) string {
	best, high := "tie", math.Inf(-1)
	for _, key := range keys {
		switch s := scores[key]; {
		case s == nil:
		case *s > high:
			best, high = key, *s
		case *s == high:
			best = "tie"
		}
	}
	return best
}

var compareTemplate = prompt.Template{Name: "compare", Version: 1, Text: "{shown}Candidate A:\n{0}\n\nCandidate B:\n{1}\n\nWhich candidate is better? What counts: {rubric}. Neither length nor the order in which they are shown is a merit.\n{closing}"}

var sides = []string{"a", "b", "tie"}

// Compare says which of two candidates is better. Both orders are asked, each
// Votes times. Candidates that are the same text tie unasked. ErrUnparsed if an
// order stays without a verdict.
func (j *Judge) Compare(ctx context.Context, t *monitor.Trial, a, b *monitor.Candidate) (Comparison, error) {
	return monitor.Get(ctx, t, compared{j, a, b})
}

type compared struct {
	judge *Judge
	a, b  *monitor.Candidate
}

// Gather implements monitor.Evidence.
func (e compared) Gather(ctx context.Context, t *monitor.Trial) (Comparison, error) {
	j := e.judge
	if err := j.check(); err != nil {
		return Comparison{}, err
	}
	if len(j.Panel) == 0 {
		return j.compare(ctx, t, e.a, e.b)
	}
	out := Comparison{Source: "panel", Lengths: lengths(e.a, e.b)}
	var n, agree, places float64
	tally := map[float64]int{}
	one := j.single()
	seats, err := j.seats(ctx, t)
	if err != nil {
		return Comparison{}, err
	}
	for _, seat := range seats {
		c, err := one.compare(ctx, seat, e.a, e.b)
		out.Count.add(c.Count)
		switch {
		case err == nil:
		case tolerable(err):
			continue
		default:
			return Comparison{}, err
		}
		n++
		tally[c.Outcome]++
		out.Share += c.Share
		out.Strength += c.Strength
		out.Orders[0] += c.Orders[0]
		out.Orders[1] += c.Orders[1]
		places += float64(c.Place)
		if c.Agree {
			agree++
		}
		out.Panel = append(out.Panel, c)
	}
	if n == 0 {
		return out, fmt.Errorf("judge: compare: a panel of %d: %w", len(j.Panel), ErrUnparsed)
	}
	out.Share, out.Strength, out.Orders[0], out.Orders[1] = out.Share/n, out.Strength/n, out.Orders[0]/n, out.Orders[1]/n
	out.Outcome, out.Agree = majority(tally), agree > n/2
	if math.Abs(places) > n/2 {
		out.Place = int(math.Copysign(1, places))
	}
	return out, nil
}

// majority is the outcome that most name; ½ if two are named equally often.
func majority(tally map[float64]int) float64 {
	best, most, tie := 0.5, 0, false
	for _, outcome := range []float64{0, 0.5, 1} {
		switch k := tally[outcome]; {
		case k > most:
			best, most, tie = outcome, k, false
		case k == most && k > 0:
			tie = true
		}
	}
	if tie {
		return 0.5
	}
	return best
}

func (j *Judge) compare(ctx context.Context, t *monitor.Trial, a, b *monitor.Candidate) (Comparison, error) {
	out := Comparison{Lengths: lengths(a, b), Outcome: 0.5, Share: 0.5, Orders: [2]float64{0.5, 0.5}, Agree: true, Source: "same text"}
	texts, err := j.shown(ctx, t, a, b)
	if err != nil {
		return Comparison{}, err
	}
	if texts[0] == texts[1] {
		return out, nil
	}
	out.Share = 0
	r := reader{words: sides, reason: j.Reason}
	for k := range 2 {
		first, second := k, 1-k // the word of a's side, and of b's
		text, err := j.fill(ctx, t, compareTemplate, []string{texts[k], texts[1-k]},
			"{closing}", j.closing("First say in a few sentences what speaks for and against each.", `"Verdict: A", "Verdict: B" or "Verdict: tie".`))
		if err != nil {
			return Comparison{}, err
		}
		p, err := j.poll(ctx, t, text, r)
		if err != nil {
			return Comparison{}, err
		}
		out.Count.add(p.count())
		for _, v := range p.votes {
			out.Replies[k] = append(out.Replies[k], v.reply.Text)
		}
		if err := p.missing("compare"); err != nil {
			return out, err
		}
		out.Source = p.source
		out.Share += (p.p[first] + p.p[2]/2) / 2
		out.Strength += p.margin(first, second) / 2
		switch p.leader() {
		case first:
			out.Orders[k] = 1
		case second:
			out.Orders[k] = 0
		}
	}
	out.Agree = out.Orders[0] == out.Orders[1]
	switch {
	case out.Agree:
		out.Outcome = out.Orders[0]
	case out.Orders == [2]float64{1, 0}:
		out.Place = 1
	case out.Orders == [2]float64{0, 1}:
		out.Place = -1
	}
	return out, nil
}

// Duel is how far a is better than b, in {0, ½, 1}: Compare's outcome, for
// whoever plays candidates against each other. A verdict that is missing is an
// error.
func (j *Judge) Duel(ctx context.Context, t *monitor.Trial, a, b *monitor.Candidate) (float64, error) {
	c, err := j.Compare(ctx, t, a, b)
	return c.Outcome, err
}

func lengths(a, b *monitor.Candidate) [2]int { return [2]int{runes(a.Text), runes(b.Text)} }
