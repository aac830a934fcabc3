package model

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"gnothi/engine/gguf"
	"gnothi/engine/internal/kernel"
	"gnothi/engine/internal/pool"
)

// Matrix is a weight matrix in the file's format: Rows outputs of Cols inputs each.
type Matrix struct {
	Type       gguf.Type
	Rows, Cols int
	Data       []byte // a view into the file
}

// rows is the part of the matrix from row lo to hi.
func (m Matrix) rows(lo, hi int) []byte {
	n := len(m.Data) / m.Rows
	return m.Data[lo*n : hi*n]
}

// slice is the rows of the matrix from lo to hi as a matrix.
func (m Matrix) slice(lo, hi int) Matrix {
	return Matrix{Type: m.Type, Rows: hi - lo, Cols: m.Cols, Data: m.rows(lo, hi)}
}

type layer struct {
	attnNorm, mlpNorm         []float32
	q, k, v, o                Matrix
	gate, up, down            Matrix
	bias                      []float32 // of q, k and v, one after the other; nil without
	qNorm, kNorm              []float32 // nil without
	attnPostNorm, mlpPostNorm []float32 // nil without
	window                    int       // positions it sees; 0 is all
	rope                      int       // which of Model.freqs
}

// Model is the weights of a file with what is needed to run them. It is immutable.
type Model struct {
	Spec   Spec
	Config Config
	Params int64 // weights, those of a tied head counted once
	Tied   bool  // the embedding is also the head

	embed, head Matrix
	norm        []float32
	layers      []layer
	freqs       [][]float64 // of each rotated pair: as in most layers, as in windowed layers
}

// Load checks and arranges the weights of f, which stay views into it. Every weight must be finite.
func Load(f *gguf.File, p *pool.Pool) (*Model, error) {
	spec, err := findSpec(f)
	if err != nil {
		return nil, err
	}
	c, err := readConfig(f, spec)
	if err != nil {
		return nil, err
	}
	emb, ok := f.Tensor("token_embd.weight")
	if !ok {
		return nil, errors.New(`tensor "token_embd.weight" is missing`)
	}
	if c.Vocab = emb.Rows(); c.Vocab > limit {
		return nil, fmt.Errorf("a vocabulary of %d tokens; at most %d are supported", c.Vocab, limit)
	}
	l := loader{file: f, used: map[string]bool{}}
	m := &Model{Spec: spec, Config: c}
	m.embed = l.matrix("token_embd.weight", c.Vocab, c.Dim)
	m.head = m.embed
	if _, ok := f.Tensor("output.weight"); ok {
		m.head = l.matrix("output.weight", c.Vocab, c.Dim)
	} else {
		m.Tied = true
	}
	m.norm = l.vector("output_norm.weight", c.Dim)
	m.layers = make([]layer, c.Layers)
	for i := range m.layers {
		m.layers[i] = l.layer(i, &c, spec)
		if l.err != nil {
			return nil, l.err // a header may promise a thousand layers that are not there
		}
	}
	m.freqs = [][]float64{rotations(c.RopeBase, c.RopeStep, c.RopeDims)}
	if c.Window > 0 {
		m.freqs = append(m.freqs, rotations(c.LocalBase, 1, c.RopeDims))
	}
	const factors = "rope_freqs.weight" // Llama 3 stretches its longer wavelengths
	if _, ok := f.Tensor(factors); ok {
		for i, x := range l.vector(factors, len(m.freqs[0])) {
			if !(x > 0) {
				return nil, fmt.Errorf("tensor %q: factor %d is %v", factors, i, x)
			}
			m.freqs[0][i] /= float64(x)
		}
	}
	if l.err != nil {
		return nil, l.err
	}
	for _, t := range f.Tensors {
		if !l.used[t.Name] {
			return nil, fmt.Errorf("tensor %q has no place in architecture %q as implemented here; leaving it out would change answers", t.Name, spec.Arch)
		}
		m.Params += int64(t.Shape[0]) * int64(t.Rows())
	}
	return m, checkFinite(f.Tensors, p)
}

// rotations is the angle by which each pair of a head of dims turns from one position to the next.
func rotations(base, step float64, dims int) []float64 {
	freqs := make([]float64, dims/2)
	for i := range freqs {
		freqs[i] = step * math.Pow(base, -2*float64(i)/float64(dims))
	}
	return freqs
}

func (l *loader) layer(i int, c *Config, spec Spec) layer {
	blk := func(name string) string { return fmt.Sprintf("blk.%d.%s.weight", i, name) }
	q, kv := c.Heads*c.HeadDim, c.kvDim()
	y := layer{
		attnNorm: l.vector(blk("attn_norm"), c.Dim),
		mlpNorm:  l.vector(blk("ffn_norm"), c.Dim),
		o:        l.matrix(blk("attn_output"), c.Dim, q),
		down:     l.matrix(blk("ffn_down"), c.Dim, c.Hidden),
	}
	if c.windowed(i) {
		y.window, y.rope = c.Window, 1
	}
	if spec.Fused {
		in := l.matrix(blk("attn_qkv"), q+2*kv, c.Dim)
		both := l.matrix(blk("ffn_up"), 2*c.Hidden, c.Dim)
		if l.err != nil {
			return y
		}
		y.q, y.k, y.v = in.slice(0, q), in.slice(q, q+kv), in.slice(q+kv, q+2*kv)
		y.gate, y.up = both.slice(0, c.Hidden), both.slice(c.Hidden, 2*c.Hidden)
	} else {
		y.q, y.k, y.v = l.matrix(blk("attn_q"), q, c.Dim), l.matrix(blk("attn_k"), kv, c.Dim), l.matrix(blk("attn_v"), kv, c.Dim)
		y.gate, y.up = l.matrix(blk("ffn_gate"), c.Hidden, c.Dim), l.matrix(blk("ffn_up"), c.Hidden, c.Dim)
	}
	if spec.Biases {
		for _, part := range []struct {
			name string
			n    int
		}{{"attn_q", q}, {"attn_k", kv}, {"attn_v", kv}} {
			y.bias = append(y.bias, l.vector(fmt.Sprintf("blk.%d.%s.bias", i, part.name), part.n)...)
		}
	}
	if spec.HeadNorms {
		y.qNorm, y.kNorm = l.vector(blk("attn_q_norm"), c.HeadDim), l.vector(blk("attn_k_norm"), c.HeadDim)
	}
	if spec.PostNorms {
		y.attnPostNorm, y.mlpPostNorm = l.vector(blk("post_attention_norm"), c.Dim), l.vector(blk("post_ffw_norm"), c.Dim)
	}
	return y
}

type loader struct {
	file *gguf.File
	used map[string]bool
	err  error // the first
}

func (l *loader) fail(name, format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf("tensor %q %s", name, fmt.Sprintf(format, args...))
	}
}

func (l *loader) tensor(name string, rows, cols int) gguf.Tensor {
	t, ok := l.file.Tensor(name)
	l.used[name] = true
	switch {
	case !ok:
		l.fail(name, "is missing")
	case t.Shape[0] != cols || t.Rows() != rows:
		l.fail(name, "is %d × %d, the header's sizes ask for %d × %d", t.Rows(), t.Shape[0], rows, cols)
	case !t.Type.Supported():
		l.fail(name, "has type %v, which is not supported; these are: %v", t.Type, gguf.Types())
	default:
		return t
	}
	return gguf.Tensor{Type: gguf.F32, Shape: []int{cols, rows}}
}

func (l *loader) matrix(name string, rows, cols int) Matrix {
	t := l.tensor(name, rows, cols)
	if cols%kernel.BlockLen != 0 {
		l.fail(name, "has rows of %d; only multiples of %d are supported", cols, kernel.BlockLen)
	}
	return Matrix{Type: t.Type, Rows: rows, Cols: cols, Data: t.Data}
}

func (l *loader) vector(name string, n int) []float32 {
	t := l.tensor(name, 1, n)
	if l.err != nil {
		return nil
	}
	x := make([]float32, n)
	if err := gguf.Dequantise(x, t.Type, t.Data); err != nil {
		l.fail(name, "%v", err)
	}
	return x
}

// checkFinite reads the whole file once, on all workers, in pieces of about a megabyte. What it
// costs the first token saves: the pages are mapped then.
func checkFinite(tensors []gguf.Tensor, p *pool.Pool) error {
	var pieces []gguf.Tensor
	for _, t := range tensors {
		n := t.RowBytes()
		step := max(1<<20/max(n, 1), 1)
		for lo := 0; lo < t.Rows(); lo += step {
			hi := min(lo+step, t.Rows())
			piece := t
			piece.Shape = []int{t.Shape[0], hi - lo}
			piece.Data = t.Data[lo*n : hi*n]
			pieces = append(pieces, piece)
		}
	}
	var mu sync.Mutex
	var found error
	p.Run(len(pieces), func(_, i int) {
		if err := gguf.CheckFinite(pieces[i]); err != nil {
			mu.Lock()
			if found == nil {
				found = fmt.Errorf("the file is damaged: %w", err)
			}
			mu.Unlock()
		}
	})
	return found
}
