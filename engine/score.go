package engine

import (
	"context"
	"errors"
	"fmt"
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
// with the top most probable tokens at each place. The last id itself is not fed, so scoring a single
// token after a prefix costs no more than its logits.
func (e *Engine) Score(ctx context.Context, parent *Prefix, ids []int32, top int) ([]Scored, error) {
	cache, err := e.begin(parent, ids)
	if err != nil {
		return nil, err
	}
	if top < 0 {
		return nil, fmt.Errorf("engine: top is %d; it must not be negative", top)
	}
	out := make([]Scored, len(ids))
	for i, id := range ids {
		out[i].ID = id
	}
	if len(ids) == 0 || parent.Len() == 0 && len(ids) == 1 {
		return out, nil
	}
	f := &feed{ctx: ctx, cache: cache, ids: slices.Clone(ids[:len(ids)-1])}
	if parent != nil {
		f.lead = parent.state
	}
	f.logits = func(_, i int, row []float32) error {
		t := &out[i+1]
		d, ok := describe(row, top)
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

// Point is a place in the model where a hidden state can be read.
type Point uint8

const (
	ResidPost Point = iota // the residual stream after block Site.Layer
	FinalNorm              // the normed state that the head reads; Site.Layer does not matter
)

// Site is a place in a layer.
type Site struct {
	Layer int // 0 to Info.Layers−1
	Point Point
}

// Hidden returns the hidden states of the last of ids after parent, one vector of Info.Dim for each
// site, in the file's own order of dimensions.
func (e *Engine) Hidden(ctx context.Context, parent *Prefix, ids []int32, sites ...Site) ([][]float32, error) {
	cache, err := e.begin(parent, ids)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, errors.New("engine: a hidden state needs a token: ids is empty")
	}
	out := make([][]float32, len(sites))
	for i, s := range sites {
		if s.Point > FinalNorm || s.Point == ResidPost && (s.Layer < 0 || s.Layer >= e.info.Layers) {
			return nil, fmt.Errorf("engine: no site %+v in a model of %d layers", s, e.info.Layers)
		}
		out[i] = make([]float32, e.info.Dim)
	}
	f := &feed{ctx: ctx, cache: cache, ids: slices.Clone(ids), state: make([]float32, e.info.Dim)}
	f.tap = func(layer int, resid []float32) {
		for i, s := range sites {
			if s.Point == ResidPost && s.Layer == layer {
				copy(out[i], resid)
			}
		}
	}
	cache.Grow(len(ids))
	if err := e.sched.run(f); err != nil {
		return nil, err
	}
	for i, s := range sites {
		if s.Point == FinalNorm {
			copy(out[i], f.state)
		}
	}
	return out, nil
}
