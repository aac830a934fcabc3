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
	Biases     bool // of the query, key and value projections
	Fused      bool // the file has query, key and value in one matrix, gate and up in another
	HeadNorms  bool // RMS norm of each head's query and key, before rotation
	PostNorms  bool // norms of what attention and MLP give, before it is added to the residual stream
	ScaleEmbed bool // the embedding times √Dim
	GELU       bool // the tanh form of GELU in place of SiLU

	// WindowEvery n: of n layers the last sees all positions before it, the others the window that the
	// file gives, with rotations of LocalBase. A file may say otherwise.
	WindowEvery int
	LocalBase   float64
}

// specs lists the architectures that have been checked against a reference.
var specs = []Spec{
	{Arch: "llama"},
	{Arch: "qwen2", RopeHalves: true, Biases: true},
	{Arch: "qwen3", RopeHalves: true, HeadNorms: true},
	{Arch: "phi3", RopeHalves: true, Fused: true},
	{Arch: "gemma3", RopeHalves: true, HeadNorms: true, PostNorms: true, ScaleEmbed: true, GELU: true, WindowEvery: 6, LocalBase: 10000},
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
	RopeStep float64 // positions that a step counts for, below 1 if the context has been stretched

	Window      int // positions that a windowed layer sees, the last itself; 0 if there are none
	WindowEvery int
	LocalBase   float64
}

// Group is the number of query heads that share a key and value head.
func (c Config) Group() int { return c.Heads / c.KVHeads }

func (c Config) kvDim() int { return c.KVHeads * c.HeadDim }

// windowed reports whether a layer sees the window only.
func (c Config) windowed(layer int) bool {
	return c.Window > 0 && layer%c.WindowEvery != c.WindowEvery-1
}

// limit bounds every size in a header, so that products of two fit an int and a hostile file cannot
// ask for absurd buffers.
const limit = 1 << 22

// unknown are keys that some architectures' files have and that change the computation: a number other
// than 0 in one, or 1 if it is a factor, is refused.
var unknown = []string{
	"attn_logit_softcapping", "final_logit_softcapping", "logit_scale", "residual_scale", "embedding_scale",
	"attention.scale", "attention.clamp_kqv", "attention.max_alibi_bias", "rope.scaling.attn_factor",
}

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
	c.RopeStep = 1
	switch kind, ok := f.String(s.Arch + ".rope.scaling.type"); {
	case ok && kind == "linear":
		c.RopeStep = 1 / real("rope.scaling.factor", 0)
	case ok && kind != "none":
		fail("key %q: scaling %q is not supported", s.Arch+".rope.scaling.type", kind)
	}
	if s.WindowEvery > 0 {
		c.Window = size("attention.sliding_window", 0)
		c.WindowEvery = size("attention.sliding_window_pattern", s.WindowEvery)
		c.LocalBase = real("rope.freq_base_swa", s.LocalBase)
	} else if f.Has(s.Arch + ".attention.sliding_window") {
		// Whether such a file's layers really have the window is told differently by different
		// programs. Within it they agree.
		c.Context = min(c.Context, size("attention.sliding_window", 0))
	}
	if n, _ := f.Uint(s.Arch + ".expert_count"); n > 0 {
		fail("mixtures of experts (%d) are not supported", n)
	}
	for _, key := range unknown {
		u, _ := f.Uint(s.Arch + "." + key)
		if x, _ := f.Float(s.Arch + "." + key); u != 0 || x != 0 && x != 1 {
			fail("key %q: this is not supported, and leaving it out would change answers", s.Arch+"."+key)
		}
	}
	if s.ScaleEmbed && c.Layers > 48 {
		fail("gemma3 of %d layers scales its attention in another way, which is not supported", c.Layers)
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
