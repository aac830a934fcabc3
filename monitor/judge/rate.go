package judge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
)

// Rating is a candidate's grade by a rubric.
type Rating struct {
	Score  float64   // mean over the votes, on the judge's scale; of a panel, the mean of its members
	Unit   float64   // the same in [0,1]
	Votes  []float64 // in the order asked; NaN is missing. With log-probabilities a vote is their mean
	Spread float64   // standard deviation of the votes that could be read
	// Replies are the judgements, in the order of Votes.
	Replies []string
	Source  string // logprobs, samples, votes
	Length  int    // of the candidate, in characters
	Panel   []Vote // of a panel, one a member
	Count   Count
}

// Vote is a panel member's verdict.
type Vote struct {
	Model string
	Value float64 // a rating, a share, a probability; NaN if Err
	Err   error
}

var rateTemplate = prompt.Template{Name: "rate", Version: 1, Text: "{shown}The reply to rate:\n{0}\n\nRate it from {low} to {high} by this: {rubric}. Its length is no merit.\n{closing}"}

// Rate grades a candidate from Low to High: the mean of Votes verdicts, each
// the mean of its log-probabilities where the model has them (G-Eval's reading;
// chosen). ErrUnparsed if no vote could be read, of a panel by no member.
func (j *Judge) Rate(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (Rating, error) {
	return monitor.Get(ctx, t, rated{j, c})
}

type rated struct {
	judge     *Judge
	candidate *monitor.Candidate
}

// Gather implements monitor.Evidence.
func (e rated) Gather(ctx context.Context, t *monitor.Trial) (Rating, error) {
	if err := e.judge.check(); err != nil {
		return Rating{}, err
	}
	if len(e.judge.Panel) == 0 {
		return e.judge.rate(ctx, t, e.candidate)
	}
	out := Rating{Source: "panel", Length: runes(e.candidate.Text)}
	sum, n, one := 0.0, 0.0, e.judge.single()
	seats, err := e.judge.seats(ctx, t)
	if err != nil {
		return Rating{}, err
	}
	for _, seat := range seats {
		r, err := one.rate(ctx, seat, e.candidate)
		if err != nil && !tolerable(err) {
			return Rating{}, err
		}
		v := Vote{seat.Model.ID().String(), r.Score, err}
		if err != nil {
			v.Value = math.NaN()
		} else {
			sum, n = sum+r.Score, n+1
		}
		out.Panel, out.Votes = append(out.Panel, v), append(out.Votes, v.Value)
		out.Replies = append(out.Replies, r.Replies...)
		out.Count.add(r.Count)
	}
	if n == 0 {
		return out, fmt.Errorf("judge: rate: a panel of %d: %w", len(out.Panel), ErrUnparsed)
	}
	out.Score, out.Spread = sum/n, spread(out.Votes)
	out.Unit = e.judge.unit(out.Score)
	return out, nil
}

func (j *Judge) rate(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (Rating, error) {
	texts, err := j.shown(ctx, t, c)
	if err != nil {
		return Rating{}, err
	}
	low, high := j.scale()
	text, err := j.fill(ctx, t, rateTemplate, texts, "{low}", strconv.Itoa(low), "{high}", strconv.Itoa(high),
		"{closing}", j.closing("First say in a few sentences what speaks for and against it.", fmt.Sprintf("\"Verdict: \" and the number, %d to %d.", low, high)))
	if err != nil {
		return Rating{}, err
	}
	p, err := j.poll(ctx, t, text, scaleReader(low, high, j.Reason))
	if err != nil {
		return Rating{}, err
	}
	out := Rating{Source: p.source, Length: runes(c.Text), Count: p.count()}
	sum, n := 0.0, 0.0
	for _, v := range p.votes {
		value := math.NaN()
		if v.ok {
			value = v.value.number
			if v.value.p != nil {
				value = 0
				for w, q := range v.value.p {
					value += q * float64(low+w)
				}
			}
			sum, n = sum+value, n+1
		}
		out.Votes, out.Replies = append(out.Votes, value), append(out.Replies, v.reply.Text)
	}
	if err := p.missing("rate"); err != nil {
		return out, err
	}
	out.Score, out.Spread = sum/n, spread(out.Votes)
	out.Unit = j.unit(out.Score)
	return out, nil
}

func (j *Judge) unit(score float64) float64 {
	low, high := j.scale()
	return min(1, max(0, (score-float64(low))/float64(high-low)))
}

// spread is the standard deviation of the values that are there.
func spread(votes []float64) float64 {
	var sum, n, squares float64
	for _, v := range votes {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	if n < 2 {
		return 0
	}
	for _, v := range votes {
		if !math.IsNaN(v) {
			squares += (v - sum/n) * (v - sum/n)
		}
	}
	return math.Sqrt(squares / (n - 1))
}

// Signal is judge/rate: a candidate's rating by j, on [0,1]; raw is on the
// judge's own scale.
func (j *Judge) Signal() monitor.Signal {
	return monitor.Each("judge/rate", func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		r, err := j.Rate(ctx, t, c)
		if errors.Is(err, ErrUnparsed) {
			err = &monitor.MissingError{Needs: "a verdict in the judge's reply; there was none"}
		}
		return monitor.Reading{Score: r.Unit, Raw: r.Score, Source: r.Source, Reads: r.Count.Asked - r.Count.Unparsed}, err
	})
}
