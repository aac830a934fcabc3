package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gnothi/engine/internal/model"
)

// Point is a place in the forward pass where hidden states can be read and changed.
type Point uint8

// The points of a layer, in the order of computation: Embedding (the first layer only), ResidPre,
// Query, Key, Value, HeadOut, AttnOut, ResidMid, MLPOut, ResidPost, FinalNorm (after the last layer
// only). States have Info.Dim numbers, but those of heads HeadDim times Heads or KVHeads.
const (
	ResidPost = Point(model.ResidPost) // the residual stream after the layer
	FinalNorm = Point(model.FinalNorm) // the normed state that the head reads; the layer does not matter
	Embedding = Point(model.Embedding) // the residual stream before all layers; the layer does not matter
	ResidPre  = Point(model.ResidPre)  // the residual stream that enters the layer
	Query     = Point(model.Query)     // queries of all heads as projected: before rotation and norms
	Key       = Point(model.Key)       // keys likewise, of KVHeads heads
	Value     = Point(model.Value)     // values, of KVHeads heads
	HeadOut   = Point(model.HeadOut)   // each head's mix of values, before the output projection
	AttnOut   = Point(model.AttnOut)   // the attention's output as projected, before any norm of its own (gemma3)
	ResidMid  = Point(model.ResidMid)  // the residual stream between attention and MLP
	MLPOut    = Point(model.MLPOut)    // the MLP's output, likewise
)

var pointNames = [model.Points]string{
	ResidPost: "resid_post", FinalNorm: "final_norm", Embedding: "embedding", ResidPre: "resid_pre", Query: "query", Key: "key",
	Value: "value", HeadOut: "head_out", AttnOut: "attn_out", ResidMid: "resid_mid", MLPOut: "mlp_out",
}

// Points lists all points in the order of computation.
func Points() []Point {
	return []Point{Embedding, ResidPre, Query, Key, Value, HeadOut, AttnOut, ResidMid, MLPOut, ResidPost, FinalNorm}
}

func (p Point) String() string {
	if int(p) < len(pointNames) {
		return pointNames[p]
	}
	return fmt.Sprintf("point(%d)", uint8(p))
}

// PointByName is the point whose String is name.
func PointByName(name string) (Point, error) {
	if i := slices.Index(pointNames[:], name); i >= 0 {
		return Point(i), nil
	}
	return 0, fmt.Errorf("engine: no point %q; there are %v", name, Points())
}

// perLayer reports whether the point is in every layer; the two others are there once.
func (p Point) perLayer() bool { return p != Embedding && p != FinalNorm }

// Hook reads or changes hidden states while they are computed: at a point, in some layers, at some
// positions, of some heads. Reading, overwriting, adding and masking are the same mechanism: Do gets
// the live numbers. Texts without hooks do not pay for those with them.
//
// A prefix made under hooks keeps the keys and values that came of them.
type Hook struct {
	Point  Point
	Layers []int // nil: every layer
	From   int   // first position, counted from 0 at the beginning of the whole text
	To     int   // position behind the last; 0: no end
	Heads  []int // at Query, Key, Value, HeadOut: one call for each of these; nil: one for the whole vector

	// Do sees the numbers, may change them, and must not keep x. It runs within the engine's step:
	// everybody waits for it, and it must not call the engine. Calls come one at a time, layer after
	// layer; how many positions go through a layer together is not specified, but they come in order.
	// An error or a panic ends the call to which the hook was given, and nothing else.
	Do func(at At, x []float32) error
}

// At says where a hook is called.
type At struct {
	Point    Point
	Layer    int // 0 at Embedding, the last at FinalNorm
	Position int
	Head     int   // −1 if the call is for the whole vector
	Token    int32 // at Position
}

// Set returns a Hook.Do that overwrites a state with v.
func Set(v []float32) func(At, []float32) error {
	v = slices.Clone(v)
	return func(at At, x []float32) error {
		if err := sameLen(at, x, v); err != nil {
			return err
		}
		copy(x, v)
		return nil
	}
}

// Add returns a Hook.Do that adds scale·v to a state, as for steering.
func Add(scale float32, v []float32) func(At, []float32) error {
	v = slices.Clone(v)
	return func(at At, x []float32) error {
		if err := sameLen(at, x, v); err != nil {
			return err
		}
		for i, a := range v {
			x[i] += scale * a
		}
		return nil
	}
}

// Zero returns a Hook.Do that masks a state: all its numbers become 0, as for ablation.
func Zero() func(At, []float32) error {
	return func(_ At, x []float32) error {
		clear(x)
		return nil
	}
}

func sameLen(at At, x, v []float32) error {
	if len(x) != len(v) {
		return fmt.Errorf("engine: hook at %v: the vector has %d numbers, the state %d", at.Point, len(v), len(x))
	}
	return nil
}

// width is how many numbers there are at a point, and of how many heads they are (0: of none).
func (e *Engine) width(p Point) (n, heads int) {
	switch p {
	case Query, HeadOut:
		return e.info.Heads * e.info.HeadDim, e.info.Heads
	case Key, Value:
		return e.info.KVHeads * e.info.HeadDim, e.info.KVHeads
	}
	return e.info.Dim, 0
}

// hook makes one hook of all, nil of none.
func (e *Engine) hook(hooks []Hook) (*model.Hook, error) {
	if len(hooks) == 0 {
		return nil, nil
	}
	h := &model.Hook{Wants: make([]uint16, e.info.Layers)}
	for i, k := range hooks {
		_, heads := e.width(k.Point)
		switch {
		case k.Do == nil:
			return nil, fmt.Errorf("engine: hook %d does nothing: Do is nil", i)
		case k.Point >= Point(model.Points):
			return nil, fmt.Errorf("engine: hook %d: no %v", i, k.Point)
		case k.From < 0 || k.To < 0 || k.To > 0 && k.To <= k.From:
			return nil, fmt.Errorf("engine: hook %d: no positions from %d to %d", i, k.From, k.To)
		}
		for _, head := range k.Heads {
			if head < 0 || head >= heads {
				return nil, fmt.Errorf("engine: hook %d: no head %d at %v, which has %d", i, head, k.Point, heads)
			}
		}
		layers := k.Layers
		if layers == nil || !k.Point.perLayer() {
			layers = make([]int, e.info.Layers)
			for l := range layers {
				layers[l] = l
			}
		}
		for _, l := range layers {
			if l < 0 || l >= e.info.Layers {
				return nil, fmt.Errorf("engine: hook %d: no layer %d in a model of %d layers", i, l, e.info.Layers)
			}
			h.Wants[l] |= 1 << k.Point
		}
	}
	hooks = slices.Clone(hooks)
	dim := e.info.HeadDim
	h.At = func(p model.Point, layer, position int, token int32, x []float32) error {
		for i := range hooks {
			k := &hooks[i]
			if k.Point != Point(p) || position < k.From || k.To > 0 && position >= k.To ||
				k.Point.perLayer() && k.Layers != nil && !slices.Contains(k.Layers, layer) {
				continue
			}
			at := At{Point: k.Point, Layer: layer, Position: position, Head: -1, Token: token}
			if k.Heads == nil {
				if err := k.Do(at, x); err != nil {
					return err
				}
				continue
			}
			for _, at.Head = range k.Heads {
				if err := k.Do(at, x[at.Head*dim:][:dim:dim]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return h, nil
}

// ErrHookPanicked means that a hook of the call has panicked.
var ErrHookPanicked = errors.New("engine: a hook panicked")

// fault gives a row's error the name that callers know.
func fault(err error) error {
	switch {
	case errors.Is(err, model.ErrNotFinite):
		return ErrNotFinite
	case errors.Is(err, model.ErrHook):
		return fmt.Errorf("%w: %w", ErrHookPanicked, err)
	}
	return err
}

// Site is a place in a layer.
type Site struct {
	Layer int // 0 to Info.Layers−1
	Point Point
}

// Hidden returns the hidden states of the last of ids after parent, one vector for each site, in the
// file's own order of dimensions.
func (e *Engine) Hidden(ctx context.Context, parent *Prefix, ids []int32, sites ...Site) ([][]float32, error) {
	if len(ids) == 0 {
		return nil, errors.New("engine: a hidden state needs a token: ids is empty")
	}
	out := make([][]float32, len(sites))
	last := parent.Len() + len(ids) - 1
	hooks := make([]Hook, len(sites))
	for i, s := range sites {
		n, _ := e.width(s.Point)
		out[i] = make([]float32, n)
		hooks[i] = Hook{Point: s.Point, Layers: []int{s.Layer}, From: last, To: last + 1, Do: func(_ At, x []float32) error {
			copy(out[i], x)
			return nil
		}}
	}
	if _, err := e.Prefill(ctx, parent, ids, hooks...); err != nil {
		return nil, err
	}
	return out, nil
}
