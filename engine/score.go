package engine

import (
	"context"
	"slices"
)

// Scored is a token of a given text with its probability there.
type Scored struct {
	Token
	// Conditioned is false for the first token of a text without a prefix: nothing comes before it,
	// so it has an ID and no numbers.
	Conditioned bool
}

// Score returns log p(ids[i] | parent, ids[..i]) and the distribution's statistics for every i,
// with what stats asks for at each place. The last id itself is not fed, so scoring a single
// token after a prefix costs no more than its logits.
//
// Hooks act on the ids as they are fed.
func (e *Engine) Score(ctx context.Context, parent *Prefix, ids []int32, stats Stats, hooks ...Hook) ([]Scored, error) {
	cache, err := e.begin(parent, ids)
	if err != nil {
		return nil, err
	}
	hook, err := e.hook(hooks)
	if err != nil {
		return nil, err
	}
	if err := stats.check(e.info.Vocab); err != nil {
		return nil, err
	}
	out := make([]Scored, len(ids))
	for i, id := range ids {
		out[i].ID = id
	}
	if len(ids) == 0 || parent.Len() == 0 && len(ids) == 1 {
		return out, nil
	}
	f := &feed{ctx: ctx, cache: cache, ids: slices.Clone(ids[:len(ids)-1]), hook: hook}
	if parent.Len() > 0 {
		if parent, err = e.whole(ctx, parent); err != nil {
			return nil, err
		}
		f.lead = parent.state
	}
	f.logits = func(worker, i int, row []float32) error {
		t := &out[i+1]
		d, ok := describe(row, e.sched.scratch[worker].weights, &stats)
		if !ok {
			return ErrNotFinite
		}
		t.Dist, t.LogProb, t.Conditioned = d, d.logProb(row, t.ID), true
		return nil
	}
	if n := len(f.ids); n > 0 {
		cache.Grow(n)
	}
	if err := e.sched.run(f); err != nil {
		return nil, err
	}
	return out, nil
}
