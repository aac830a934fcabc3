package model

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gnothi/engine/gguf"
)

// Spec is what the forward pass needs to know of an architecture beyond the numbers in the file.
type Spec struct {
	Arch string // general.architecture, and the prefix of the file's keys

	// RopeHalves: rotary embedding pairs dimension i with i+n/2, else 2i with 2i+1 (as the
	// converter of llama files arranges rows).
	RopeHalves bool
}

// Specs lists the architectures that have been checked against a reference.
var specs = []Spec{
	{Arch: "llama"},
}

// Config holds a model's sizes.
type Config struct {
	Layers  int
	Dim     int // residual stream
	Hidden  int // feed-forward
	Heads   int // query heads, a multiple of KVHeads
	KVHeads int
	HeadDim int
	Vocab   int
	Context int // positions the model was trained for

	Eps      float32 // of the norms
	HalfKV   bool    // keys and values are kept in float16; who loads the model says so
	RopeDims int     // rotated dimensions of a head
	RopeBase float64
}

// Group is the number of query heads that share a key and value head.
func (c Config) Group() int { return c.Heads / c.KVHeads }

func (c Config) kvDim() int { return c.KVHeads * c.HeadDim }

// limit bounds every size in a header, so that products of two fit an int and a hostile file cannot
// ask for absurd buffers.
const limit = 1 << 22

func findSpec(f *gguf.File) (Spec, error) {
	arch, _ := f.String("general.architecture")
	i := slices.IndexFunc(specs, func(s Spec) bool { return s.Arch == arch })
	if i < 0 {
		var known []string
		for _, s := range specs {
			known = append(known, s.Arch)
		}
		return Spec{}, fmt.Errorf("architecture %q is not supported; these are: %s", arch, strings.Join(known, ", "))
	}
	return specs[i], nil
}

// readConfig reads and checks the sizes. Whatever it returns is consistent in itself; whether the
// tensors have these sizes is checked as they are loaded.
func readConfig(f *gguf.File, s Spec) (Config, error) {
	var firstErr error
	fail := func(format string, args ...any) {
		if firstErr == nil {
			firstErr = fmt.Errorf(format, args...)
		}
	}
	size := func(key string, or int) int {
		key = s.Arch + "." + key
		v, ok := f.Uint(key)
		switch {
		case !ok && f.Has(key):
			fail("key %q is not a number", key)
		case !ok && or == 0:
			fail("key %q is missing", key)
		case ok && (v == 0 || v > limit):
			fail("key %q is %d, not within 1 and %d", key, v, limit)
		case ok:
			return int(v)
		}
		return max(or, 1)
	}
	real := func(key string, or float64) float64 {
		key = s.Arch + "." + key
		v, ok := f.Float(key)
		if !ok {
			if f.Has(key) || or == 0 {
				fail("key %q is missing or not a number", key)
			}
			return or
		}
		if !(v > 0) || math.IsInf(v, 1) {
			fail("key %q is %v, not a positive number", key, v)
		}
		return v
	}
	c := Config{
		Layers:  size("block_count", 0),
		Dim:     size("embedding_length", 0),
		Hidden:  size("feed_forward_length", 0),
		Heads:   size("attention.head_count", 0),
		Context: size("context_length", 0),
		Eps:     float32(real("attention.layer_norm_rms_epsilon", 0)),
	}
	c.KVHeads = size("attention.head_count_kv", c.Heads)
	c.HeadDim = size("attention.key_length", max(c.Dim/c.Heads, 1))
	c.RopeDims = size("rope.dimension_count", c.HeadDim)
	c.RopeBase = real("rope.freq_base", 10000)
	if v := size("attention.value_length", c.HeadDim); v != c.HeadDim {
		fail("keys of %d and values of %d dimensions; only equal ones are supported", c.HeadDim, v)
	}
	if kind, ok := f.String(s.Arch + ".rope.scaling.type"); ok && kind != "none" {
		fail("rope scaling %q is not supported", kind)
	}
	if n, _ := f.Uint(s.Arch + ".expert_count"); n > 0 {
		fail("mixtures of experts (%d) are not supported", n)
	}
	if firstErr != nil {
		return c, firstErr
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return c, fmt.Errorf("%d query heads do not share %d key heads evenly", c.Heads, c.KVHeads)
	case c.HeadDim%8 != 0 || c.HeadDim > 1<<12:
		return c, fmt.Errorf("heads of %d dimensions; only multiples of 8 up to %d are supported", c.HeadDim, 1<<12)
	case c.RopeDims%2 != 0 || c.RopeDims > c.HeadDim:
		return c, fmt.Errorf("rotation of %d of %d dimensions", c.RopeDims, c.HeadDim)
	case c.Layers > 1<<10 || c.Heads > 1<<10:
		return c, fmt.Errorf("%d layers of %d heads", c.Layers, c.Heads)
	}
	return c, nil
}
