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

// Samples returns the first n samples drawn in a way, drawing only what the
// pool lacks: whoever asks for ten after someone asked for five pays for five.
// When a budget or the model ends the drawing early, it returns what there is
// with the error. Greedy draws are all the same: there is only one.
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
	drawn := t.drawn(p)
	for len(drawn) < n {
		more, err := t.draw(ctx, s, len(drawn), n)
		drawn = append(drawn, more...)
		t.mu.Lock()
		p.cs = drawn
		if s.Temperature > 0 {
			t.last = s
		}
		t.mu.Unlock()
		if t.Progress != nil {
			t.Progress(len(drawn))
		}
		if err != nil {
			return drawn, err
		}
	}
	return drawn[:n], nil
}

// Drawn returns the samples that the trial has drawn, in the way in which it
// drew last, and what that way is.
func (t *Trial) Drawn() ([]*Candidate, Sampling) {
	t.mu.Lock()
	s := t.last
	t.mu.Unlock()
	return t.drawn(t.pool(s)), s
}

// draw asks for the samples from..to-1 and returns those it got. A budget too
// small for all of them still buys what it can.
func (t *Trial) draw(ctx context.Context, s Sampling, from, to int) ([]*Candidate, error) {
	op := llm.Op{Request: t.Request, Indices: llm.Range(from, to), Seed: t.SeedFor("sample", 0), Role: "sample"}
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
	if errors.Is(err, llm.ErrBudget) && to-from > 1 {
		half, err := t.draw(ctx, s, from, from+(to-from)/2)
		if err == nil {
			var rest []*Candidate
			rest, err = t.draw(ctx, s, from+len(half), to)
			half = append(half, rest...)
		}
		return half, err
	}
	var out []*Candidate
	if res != nil {
		for _, c := range res.Choices {
			out = append(out, t.Candidate(c, origin, nil))
		}
	}
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("model %s returned no choices", t.Model.ID())
	}
	return out, err
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
