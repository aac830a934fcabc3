package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gnothi/llm"
)

// Sampling says how samples are drawn. The zero value is greedy.
type Sampling struct {
	Temperature float64
	TopP        float64 // 0: off
	TopK        int     // 0: off
}

// DefaultSampling is what the self-consistency literature mostly draws with.
var DefaultSampling = Sampling{Temperature: 0.7}

// Greedy is the evidence of the model's most likely answer, with token data
// where the model has them.
type Greedy struct{}

// Gather implements Evidence.
func (Greedy) Gather(ctx context.Context, t *Trial) (*Candidate, error) {
	cs, err := t.Samples(ctx, Sampling{}, 1)
	if len(cs) == 0 {
		return nil, err
	}
	return cs[0], nil
}

// Samples returns the first n samples drawn in a way, drawing only those that
// the pool lacks: whoever asks for ten after someone asked for five pays for
// five. When a budget or the model ends the drawing early, it returns what there
// is, in the order of the indexes, with the error. Greedy draws are all the
// same: there is only one.
func (t *Trial) Samples(ctx context.Context, s Sampling, n int) ([]*Candidate, error) {
	if s.Temperature == 0 {
		n = min(n, 1)
	}
	p := t.pool(s)
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		have := first(t.drawn(p), n)
		missing := lacking(have, n)
		if len(missing) == 0 {
			return have, nil
		}
		more, err := t.draw(ctx, s, missing)
		total := t.keep(p, s, more)
		if t.Progress != nil {
			t.Progress(total)
		}
		if err != nil {
			return first(t.drawn(p), n), err
		}
	}
}

// first gives the candidates of the indexes below n.
func first(cs []*Candidate, n int) []*Candidate {
	end, _ := slices.BinarySearchFunc(cs, n, byIndex)
	return slices.Clip(cs[:end])
}

// lacking gives the indexes below n that no candidate has.
func lacking(cs []*Candidate, n int) []int {
	return slices.DeleteFunc(llm.Range(0, n), func(i int) bool {
		_, has := slices.BinarySearchFunc(cs, i, byIndex)
		return has
	})
}

func byIndex(c *Candidate, i int) int { return c.Index - i }

// Drawn returns the samples that the trial has drawn, in the way in which it
// drew last, and what that way is.
func (t *Trial) Drawn() ([]*Candidate, Sampling) {
	t.mu.Lock()
	s := t.last
	t.mu.Unlock()
	return t.drawn(t.pool(s)), s
}

// Has returns the samples of a kind that the trial has, without drawing any.
func (t *Trial) Has(s Sampling) []*Candidate { return t.drawn(t.pool(s)) }

// draw asks for the samples of some indexes and returns those it got. A budget
// too small for all of them still buys what it can.
func (t *Trial) draw(ctx context.Context, s Sampling, indexes []int) ([]*Candidate, error) {
	op := llm.Op{Request: t.Request, Indices: indexes, Seed: t.SeedFor("sample", 0), Role: "sample"}
	op.Request.Temperature = &s.Temperature
	op.Request.LogProbs = op.Request.LogProbs || t.Model.Can(llm.LogProbs)
	if s.TopP > 0 {
		op.Request.TopP = &s.TopP
	}
	if s.TopK > 0 {
		op.Request.TopK = s.TopK
	}
	origin := FromSample
	if s.Temperature == 0 {
		origin, op.Role = FromGreedy, "answer"
	}
	res, err := t.Do(ctx, op)
	var out []*Candidate
	var got []int
	if res != nil {
		for _, c := range res.Choices {
			if slices.Contains(indexes, c.Index) && !slices.Contains(got, c.Index) {
				out, got = append(out, t.Candidate(c, origin, nil)), append(got, c.Index)
			}
		}
	}
	rest := slices.DeleteFunc(slices.Clone(indexes), func(i int) bool { return slices.Contains(got, i) })
	switch {
	case errors.Is(err, llm.ErrBudget) && len(rest) > 1:
		var more []*Candidate
		for _, half := range [][]int{rest[:len(rest)/2], rest[len(rest)/2:]} {
			more, err = t.draw(ctx, s, half)
			if out = append(out, more...); err != nil {
				break
			}
		}
	case err == nil && len(out) == 0:
		err = fmt.Errorf("model %s returned no choices", t.Model.ID())
	}
	return out, err
}

// keep puts candidates into their places in a pool, and returns how many it has.
func (t *Trial) keep(p *pool, s Sampling, more []*Candidate) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.cs = slices.Concat(p.cs, more) // what was handed out stays as it is
	slices.SortFunc(p.cs, func(a, b *Candidate) int { return byIndex(a, b.Index) })
	if s.Temperature > 0 && len(more) > 0 {
		t.last = s
	}
	return len(p.cs)
}

// pool holds the samples of one kind in index order. turn serialises drawing;
// the candidates, which the trial's lock guards, can be read at any time.
type pool struct {
	turn chan struct{}
	cs   []*Candidate
}

func (t *Trial) pool(s Sampling) *pool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pools[s]
	if p == nil {
		p = &pool{turn: make(chan struct{}, 1)}
		t.pools[s] = p
	}
	return p
}

func (t *Trial) drawn(p *pool) []*Candidate {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clip(p.cs)
}
