package model

import (
	"errors"
	"fmt"
)

// Point is a place in the forward pass where a row's numbers can be seen and changed.
type Point uint8

// The points of a block in the order of computation are Embedding (before the first block only),
// ResidPre, Query, Key, Value, HeadOut, AttnOut, ResidMid, MLPOut, ResidPost, and after the last block
// FinalNorm. Their numbers are engine.Point's.
const (
	ResidPost Point = iota // the residual stream after the block
	FinalNorm              // the normed state that the head reads
	Embedding              // the residual stream before all blocks
	ResidPre               // the residual stream that enters the block
	Query                  // as projected: before rotation and any norm of its own
	Key
	Value
	HeadOut  // every query head's mix of values, before the output projection
	AttnOut  // what attention adds to the residual stream, as projected
	ResidMid // the residual stream between attention and MLP
	MLPOut   // what the MLP adds, as projected
	Points   // their number
)

// Hook is called for its row at the points it wants. Calls of one batch come one after the other on
// the goroutine of Run, in the order of computation and of rows.
type Hook struct {
	// Wants has a bit 1<<Point for each layer; the two points outside blocks are wanted by any layer.
	Wants []uint16
	// At sees the live numbers and may change them. Its error, or its panic, becomes the row's.
	At func(p Point, layer, position int, token int32, x []float32) error
}

func (h *Hook) wants(p Point, layer int) bool { return h.Wants[layer]>>p&1 != 0 }

// fire shows n numbers of each row at x, ld apart, to the row's hook, if any. It reports whether a
// hook was called. Without hooks in the batch it costs a comparison.
func (f *Pass) fire(p Point, x []float32, n, ld int) (called bool) {
	if !f.hooked {
		return false
	}
	for i := range f.rows {
		if r := &f.rows[i]; r.Hook != nil && r.Err == nil && r.Hook.wants(p, f.layer) {
			called = true
			r.Err = r.Hook.call(p, f.layer, r, x[i*ld:][:n:n])
		}
	}
	return called
}

// ErrHook is the fault of a row whose hook has panicked.
var ErrHook = errors.New("a hook panicked")

func (h *Hook) call(p Point, layer int, r *Row, x []float32) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrHook, v)
		}
	}()
	return h.At(p, layer, r.pos, r.Token, x)
}

// renorm norms all rows again after hooks have changed their residual streams.
func (f *Pass) renorm(w []float32) {
	for i := range f.rows {
		if f.rows[i].Err == nil {
			f.norm(i, w)
		}
	}
}
