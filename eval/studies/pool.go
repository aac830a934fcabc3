package studies

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gnothi/control"
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

// Sampled is a pool as it is written down: which samples are right, which mean
// the same, and figures of each by name.
type Sampled struct {
	Related
	Right  []bool                `json:"right"`
	Class  []int                 `json:"class"`            // equal for equal answers; -1: could not be read
	Scores map[string][]*float64 `json:"scores,omitempty"` // null: has none
}

// written writes a pool down.
func (d drawn) written() Sampled {
	r := Sampled{Related: Related{d.q.Group}, Right: d.right(), Class: make([]int, len(d.cs)), Scores: map[string][]*float64{}}
	answers := make([]text.Answer, len(d.cs))
	for i, c := range d.cs {
		r.Class[i], answers[i] = -1, c.Answer
	}
	for k, class := range d.q.question().Task().Classes(answers) {
		for _, i := range class {
			r.Class[i] = k
		}
	}
	return r
}

// read enters a signal's figures of all samples.
func (r *Sampled) read(ctx context.Context, d drawn, name string, s monitor.Signal, figure func(monitor.Reading) float64) error {
	readings, err := s.Score(ctx, d.trial, d.cs)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name(), err)
	}
	out := make([]*float64, len(readings))
	for i, reading := range readings {
		if reading.Err == nil {
			v := figure(reading)
			out[i] = &v
		}
	}
	r.Scores[name] = out
	return nil
}

// picks tells whether an aggregator picks a right answer of the first n samples
// by a score; by none ("") all count the same. What could not be read, or has no
// score, has no vote; a tie goes to the class that came first.
func (r Sampled) picks(n int, by string, a control.Aggregator) bool {
	var in []int
	var scores []float64
	for i := range min(n, len(r.Right)) {
		switch f := r.Scores[by]; {
		case r.Class[i] < 0:
		case by == "":
			in, scores = append(in, i), append(scores, 1)
		case f[i] != nil:
			in, scores = append(in, i), append(scores, *f[i])
		}
	}
	weight, first, best := map[int]float64{}, map[int]int{}, -1
	for k, w := range a.Weights(scores) {
		class := r.Class[in[k]]
		if _, seen := first[class]; !seen {
			first[class] = in[k]
		}
		weight[class] += w
	}
	for _, i := range in {
		if class := r.Class[i]; first[class] == i && (best < 0 || weight[class] > weight[r.Class[best]]+1e-12) {
			best = i
		}
	}
	return best >= 0 && r.Right[best]
}

// curve measures the accuracy of a way of choosing for each size of the pool.
func curve(name, by string, a control.Aggregator, sizes []int, rs []Sampled) []eval.Measure {
	var out []eval.Measure
	for _, n := range sizes {
		x := make([]float64, len(rs))
		for i, r := range rs {
			x[i] = one(r.picks(n, by, a))
		}
		out = append(out, eval.Average(fmt.Sprintf("%s of %d", name, n), x))
	}
	return out
}
