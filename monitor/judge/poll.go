package judge

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gnothi/llm"
	"gnothi/monitor"
)

// poll is what the replies to one prompt say.
type poll struct {
	votes    []vote[spoken]
	unparsed int
	p        []float64 // the probability of each word; nil where nothing could be read
	source   string    // logprobs, samples, votes
	mass     float64   // mean captured mass, where log-probabilities were read
}

// poll asks one prompt as often as the judge votes. A single verdict whose
// log-probabilities do not hold half of the distribution is counted over
// [Fallback] samples instead.
func (j *Judge) poll(ctx context.Context, t *monitor.Trial, text string, r reader) (poll, error) {
	n := j.votes(t.Model)
	votes, err := ask(ctx, j, t, text, n, j.tokens(), r.read)
	if err != nil {
		return poll{}, err
	}
	p := newPoll(votes, r)
	if n > 1 || !t.Model.Can(llm.LogProbs) || p.source == "logprobs" || p.unparsed > 0 {
		return p, nil
	}
	votes, err = ask(ctx, j, t, text, Fallback, j.tokens(), r.read)
	switch {
	case errors.Is(err, llm.ErrBudget):
		return p, nil // what was bought is used
	case err != nil:
		return poll{}, err
	}
	for i := range votes {
		votes[i].value.p = nil
	}
	p = newPoll(votes, r)
	p.source = "samples"
	return p, nil
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
		case v.value.mass >= 0.5:
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
	if p.source != "logprobs" {
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
}

func (c *Count) add(o Count)    { c.Asked += o.Asked; c.Unparsed += o.Unparsed }
func (p poll) count() (c Count) { return Count{len(p.votes), p.unparsed} }
func tolerable(err error) bool  { return errors.Is(err, ErrUnparsed) }
func runes(s string) (n int)    { return len([]rune(s)) }
