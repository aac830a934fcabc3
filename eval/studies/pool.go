package studies

import (
	"context"
	"errors"
	"slices"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/text"
)

// drawn is a pool of samples of one question.
type drawn struct {
	q     QA
	trial *monitor.Trial
	cs    []*monitor.Candidate
}

// pool draws n samples. Fewer are an error: what hangs on the size of a pool is
// not to be compared across sizes.
func (q QA) pool(ctx context.Context, s *eval.Session, name string, how monitor.Sampling, n int) (drawn, error) {
	t := q.trial(s, name)
	cs, err := t.Samples(ctx, how, n)
	if err == nil && len(cs) < n {
		err = errors.New("the model gave fewer samples than were asked for")
	}
	return drawn{q, t, cs}, err
}

// right tells which samples are.
func (d drawn) right() []bool {
	out := make([]bool, len(d.cs))
	for i, c := range d.cs {
		out[i] = d.q.grade(c.Answer) == text.Right
	}
	return out
}

// once gives for each sample the place of the first one with the same text: what
// is the same is judged once.
func (d drawn) once() []int {
	out := make([]int, len(d.cs))
	for i, c := range d.cs {
		out[i] = slices.IndexFunc(d.cs[:i+1], func(e *monitor.Candidate) bool { return e.Text == c.Text })
	}
	return out
}

// scored gives a figure of each sample, nil where there is none, and asks for
// each text once.
func (d drawn) scored(score func(*monitor.Candidate) (float64, error)) ([]*float64, error) {
	out, first := make([]*float64, len(d.cs)), d.once()
	for i, c := range d.cs {
		if first[i] < i {
			out[i] = out[first[i]]
			continue
		}
		v, err := score(c)
		switch {
		case errors.Is(err, judge.ErrUnparsed), errors.Is(err, monitor.ErrMissing):
		case err != nil:
			return nil, err
		default:
			out[i] = &v
		}
	}
	return out, nil
}

// winner is the place of the sample that wins a knock-out in the order of the
// pool: a tie, or a duel without a verdict, leaves the earlier one in.
func (d drawn) winner(ctx context.Context, j *judge.Judge) (int, error) {
	round := llm.Range(0, len(d.cs))
	for len(round) > 1 {
		var next []int
		for k := 0; k < len(round); k += 2 {
			if k+1 == len(round) {
				next = append(next, round[k])
				continue
			}
			a, b := round[k], round[k+1]
			if d.cs[a].Text != d.cs[b].Text {
				share, err := j.Duel(ctx, d.trial, d.cs[a], d.cs[b])
				if err != nil && !errors.Is(err, judge.ErrUnparsed) {
					return 0, err
				}
				if err == nil && share < 0.5 {
					a = b
				}
			}
			next = append(next, a)
		}
		round = next
	}
	if len(round) == 0 {
		return 0, errors.New("no samples")
	}
	return round[0], nil
}
