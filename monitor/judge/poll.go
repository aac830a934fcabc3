package judge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"gnothi/llm"
	"gnothi/monitor"
)

// poll is what the replies to one prompt say.
type poll struct {
	votes    []vote[spoken]
	unparsed int
	p        []float64 // the probability of each word; nil where nothing could be read
	source   string    // logprobs, samples, votes, forced
	mass     float64   // mean captured mass, where log-probabilities were read
}

// poll asks one prompt as often as the judge votes. A single verdict whose
// log-probabilities do not hold half of the distribution is counted over
// [Fallback] samples instead.
func (j *Judge) poll(ctx context.Context, t *monitor.Trial, text string, r reader) (poll, error) {
	n := j.votes(t.Model)
	scored := n == 1 && !j.Reason && r.high <= 9 && t.Model.Can(llm.ScoreText)
	var p poll
	if scored {
		v, err := slot(ctx, t, text, r)
		if err != nil {
			return poll{}, err
		}
		p = newPoll([]vote[spoken]{v}, r)
	} else {
		votes, err := ask(ctx, j, t, text, n, j.tokens(), true, r.read)
		if err != nil {
			return poll{}, err
		}
		p = newPoll(votes, r)
	}
	if n > 1 || !t.Model.Can(llm.LogProbs) || p.source == "logprobs" || p.unparsed > 0 && !scored {
		return p, nil
	}
	votes, err := ask(ctx, j, t, text, Fallback, j.tokens(), !scored, r.read)
	switch {
	case errors.Is(err, llm.ErrBudget):
		return p, nil // what was bought is used
	case err != nil:
		return poll{}, err
	}
	for i := range votes {
		votes[i].value.p, votes[i].value.mass = nil, 0
	}
	samples := newPoll(votes, r)
	if samples.p == nil || scored && 2*samples.unparsed > len(votes) {
		return p, nil // what was read first stands; scoring was another asking
	}
	samples.source = "samples"
	return samples, nil
}

// slot reads a verdict off the log-probabilities of every word behind the
// beginning of the verdict's line. Below half of the distribution there it is
// forced: what the model would rather say of two things that it would not say.
func slot(ctx context.Context, t *monitor.Trial, text string, r reader) (vote[spoken], error) {
	const lead = "Verdict:"
	out := vote[spoken]{value: spoken{word: 0, p: make([]float64, len(r.words))}, ok: true}
	for i, w := range r.words {
		if w = strings.ToUpper(w[:1]) + w[1:]; w == "Tie" {
			w = "tie"
		}
		sum, err := t.Likelihood(ctx, "judge", text, lead, w)
		if err != nil {
			return out, err
		}
		out.value.p[i] = math.Exp(sum)
		out.value.mass += out.value.p[i]
		if out.value.p[i] > out.value.p[out.value.word] {
			out.value.word = i
		}
	}
	if out.value.mass == 0 {
		out.ok = false
		return out, nil
	}
	out.value.number = float64(r.low + out.value.word)
	for i := range out.value.p {
		out.value.p[i] /= out.value.mass
	}
	out.value.forced = out.value.mass < 0.5
	return out, nil
}

// newPoll counts: a vote with log-probabilities gives each word its
// probability, one without gives its word all. Of counts alone y of k become
// (y + ½)/(k + ½·words), which for yes and no is (y + ½)/(k + 1).
func newPoll(votes []vote[spoken], r reader) poll {
	p := poll{votes: votes, source: "logprobs"}
	sum := make([]float64, len(r.words))
	read, pure := 0.0, true
	for i, v := range votes {
		switch {
		case !v.ok:
			p.unparsed++
			continue
		case v.value.mass >= 0.5 || v.value.forced:
			for w, q := range v.value.p {
				sum[w] += q
			}
			p.mass += v.value.mass
		default:
			votes[i].value.p, pure = nil, false
			if v.value.word >= 0 {
				sum[v.value.word]++
			}
		}
		read++
	}
	if read == 0 {
		p.source = "votes"
		return p
	}
	p.mass /= read
	for _, v := range votes {
		if v.value.forced {
			p.source = "forced"
		}
	}
	if !pure {
		p.source, p.mass = "votes", 0
		for w := range sum {
			sum[w] += 0.5
		}
		read += 0.5 * float64(len(sum))
	}
	for w := range sum {
		sum[w] /= read
	}
	p.p = sum
	return p
}

// leader is the likeliest word, −1 where several are.
func (p poll) leader() int {
	best, tie := 0, false
	for i := 1; i < len(p.p); i++ {
		switch d := p.p[i] - p.p[best]; {
		case d > 1e-12:
			best, tie = i, false
		case d > -1e-12:
			tie = true
		}
	}
	if tie {
		return -1
	}
	return best
}

// margin is the mean over the votes of log p(a) − log p(b), from counts where
// there are no log-probabilities.
func (p poll) margin(a, b int) float64 {
	const least = 1e-6 // a word that no alternative begins with
	if p.source != "logprobs" && p.source != "forced" {
		return math.Log(p.p[a]) - math.Log(p.p[b])
	}
	sum, n := 0.0, 0.0
	for _, v := range p.votes {
		if v.ok {
			sum += math.Log(max(v.value.p[a], least)) - math.Log(max(v.value.p[b], least))
			n++
		}
	}
	return sum / n
}

// missing is the error of a poll in which nothing could be read.
func (p poll) missing(verb string) error {
	if len(p.votes) > p.unparsed {
		return nil
	}
	return fmt.Errorf("judge: %s: %d replies, each asked for twice: %w", verb, len(p.votes), ErrUnparsed)
}

// Count says what became of the verdicts asked for.
type Count struct {
	Asked    int // prompts' replies, those asked for again counted once
	Unparsed int // still without a verdict when asked again
	Forced   int // read off less than half of the distribution
}

func (c *Count) add(o Count) {
	c.Asked, c.Unparsed, c.Forced = c.Asked+o.Asked, c.Unparsed+o.Unparsed, c.Forced+o.Forced
}

func (p poll) count() Count {
	c := Count{Asked: len(p.votes), Unparsed: p.unparsed}
	for _, v := range p.votes {
		if v.ok && v.value.forced {
			c.Forced++
		}
	}
	return c
}

func tolerable(err error) bool { return errors.Is(err, ErrUnparsed) }

func runes(s string) int { return utf8.RuneCountInString(s) }
