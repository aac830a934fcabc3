package model

import (
	"errors"
	"math"

	"gnothi/engine/internal/kernel"
	"gnothi/engine/internal/pool"
)

// MaxRows is the largest batch. Beyond some dozens of rows dequantisation is paid for and the
// inputs begin to fall out of the second cache.
const MaxRows = 64

// ErrNotFinite is the fault of a row whose numbers overflowed.
var ErrNotFinite = errors.New("activations are not finite")

// Row is one token of a batch. Rows of one text stand together and in order.
type Row struct {
	Token int32
	Cache *Cache // of the tokens before it; the row's keys and values are added

	// State, if not nil, receives the final normed state (Config.Dim floats).
	State []float32
	// Hook, if not nil, sees the row's numbers on their way and may change them.
	Hook *Hook

	Err error // set if the row's numbers are not finite or its hook fails

	pos int
}

// Pass runs batches through a model, one at a time: it owns the buffers.
type Pass struct {
	m    *Model
	pool *pool.Pool
	rows []Row

	x, h, y, att, gate []float32 // [row][…]: residual, normed, a block's output, heads' outputs, hidden
	qkv                []float32
	sin, cos           []float32 // [row][of Model.freqs][pair]
	layer              int
	hooked             bool // some row has a hook
	groups             []group

	in     kernel.Mat // of the linear maps at work
	lin    []linear
	chunks []chunk

	scratch []scratch // of each worker

	// Bound once, so that handing them to the pool allocates nothing.
	runLinear, runAttention                    func(w, i int)
	startRow, preAttn, postAttn, act, afterMLP func(w, i int)
}

type scratch struct {
	tile           []float32 // dequantised weights
	q, out, scores []float32 // of one attention task
	kv             []float32 // keys or values, if they are kept in another format
}

// group is up to groupRows rows of one text; they attend together.
type group struct{ lo, hi int }

const groupRows = 8

// NewPass returns a pass over m. The caller keeps the pool.
func NewPass(m *Model, p *pool.Pool) *Pass {
	c := &m.Config
	f := &Pass{m: m, pool: p, scratch: make([]scratch, p.Size())}
	buf := func(n int) []float32 { return make([]float32, MaxRows*n) }
	q := c.Heads * c.HeadDim
	f.x, f.h, f.y = buf(c.Dim), buf(c.Dim), buf(c.Dim)
	f.att, f.qkv = buf(q), buf(q+2*c.kvDim())
	f.gate = buf(2 * c.Hidden)
	f.sin, f.cos = buf(len(m.freqs)*len(m.freqs[0])), buf(len(m.freqs)*len(m.freqs[0]))
	f.runLinear, f.runAttention = f.linearChunk, f.attention
	f.startRow, f.preAttn, f.postAttn, f.act, f.afterMLP = f.rowStart, f.rowKV, f.rowMid, f.rowAct, f.rowEnd
	return f
}

// Run feeds one batch of at most MaxRows rows: it appends their keys and values to their caches and
// delivers what the rows ask for. Tokens must lie within the vocabulary, positions within the context.
func (f *Pass) Run(rows []Row) {
	m := f.m
	c := &m.Config
	f.rows = rows
	f.in.Rows = len(rows)
	f.groups = f.groups[:0]
	f.hooked = false
	for i := range rows {
		r := &rows[i]
		r.pos = r.Cache.next()
		f.hooked = f.hooked || r.Hook != nil
		if n := len(f.groups); n > 0 && rows[i-1].Cache == r.Cache && i-f.groups[n-1].lo < groupRows {
			f.groups[n-1].hi = i + 1
		} else {
			f.groups = append(f.groups, group{i, i + 1})
		}
	}
	q, kv := c.Heads*c.HeadDim, c.kvDim()
	ld := q + 2*kv
	f.layer = 0
	f.each(f.startRow)
	changed := f.fire(Embedding, f.x, c.Dim, c.Dim)
	for i := range m.layers {
		l := &m.layers[i]
		f.layer = i
		if f.fire(ResidPre, f.x, c.Dim, c.Dim) || changed {
			f.renorm(l.attnNorm)
		}
		f.mul(f.h, c.Dim, linear{l.q, f.qkv, ld}, linear{l.k, f.qkv[q:], ld}, linear{l.v, f.qkv[q+kv:], ld})
		f.fire(Query, f.qkv, q, ld)
		f.fire(Key, f.qkv[q:], kv, ld)
		f.fire(Value, f.qkv[q+kv:], kv, ld)
		f.each(f.preAttn)
		f.pool.Run(c.KVHeads*len(f.groups), f.runAttention)
		f.fire(HeadOut, f.att, q, q)
		f.mul(f.att, q, linear{l.o, f.y, c.Dim})
		f.fire(AttnOut, f.y, c.Dim, c.Dim)
		f.each(f.postAttn)
		if f.fire(ResidMid, f.x, c.Dim, c.Dim) {
			f.renorm(l.mlpNorm)
		}
		f.mul(f.h, c.Dim, linear{l.gate, f.gate, 2 * c.Hidden}, linear{l.up, f.gate[c.Hidden:], 2 * c.Hidden})
		f.each(f.act)
		f.mul(f.gate, 2*c.Hidden, linear{l.down, f.y, c.Dim})
		f.fire(MLPOut, f.y, c.Dim, c.Dim)
		f.each(f.afterMLP)
		changed = f.fire(ResidPost, f.x, c.Dim, c.Dim)
	}
	if changed {
		f.renorm(m.norm)
	}
	f.fire(FinalNorm, f.h, c.Dim, c.Dim)
	for i := range rows {
		copy(rows[i].State, row(f.h, i, c.Dim))
	}
	f.rows = nil
}

// each runs a row operation over the batch. A few rows are not worth waking anybody.
func (f *Pass) each(op func(w, i int)) {
	if len(f.rows) < 4 {
		for i := range f.rows {
			op(0, i)
		}
		return
	}
	f.pool.Run(len(f.rows), op)
}

func row(x []float32, i, n int) []float32 { return x[i*n : (i+1)*n] }

// rowStart embeds the token and prepares its rotation and first norm.
func (f *Pass) rowStart(_, i int) {
	m, r := f.m, &f.rows[i]
	t := int(r.Token)
	x := row(f.x, i, m.Config.Dim)
	kernel.Dequantise(m.embed.Type, x, m.embed.rows(t, t+1))
	if m.Spec.ScaleEmbed {
		scale := float32(math.Sqrt(float64(len(x))))
		for j := range x {
			x[j] *= scale
		}
	}
	at := i * len(m.freqs) * len(m.freqs[0])
	for _, freqs := range m.freqs {
		for _, freq := range freqs {
			s, c := math.Sincos(float64(r.pos) * freq)
			f.sin[at], f.cos[at] = float32(s), float32(c)
			at++
		}
	}
	f.norm(i, m.layers[0].attnNorm)
}

// norm writes the normed residual of a row to h and notes a row that has gone bad.
func (f *Pass) norm(i int, w []float32) {
	c := &f.m.Config
	mean := kernel.RMSNorm(row(f.h, i, c.Dim), row(f.x, i, c.Dim), w, c.Eps)
	if mean-mean != 0 {
		f.rows[i].Err = ErrNotFinite
	}
}

// rowKV finishes and rotates the row's queries and keys, and puts keys and values into the cache.
func (f *Pass) rowKV(_, i int) {
	c, l := &f.m.Config, &f.m.layers[f.layer]
	qkv := row(f.qkv, i, (c.Heads+2*c.KVHeads)*c.HeadDim)
	for j, b := range l.bias {
		qkv[j] += b
	}
	at, n := i*len(f.m.freqs)+l.rope, len(f.m.freqs[0])
	sin, cos := row(f.sin, at, n), row(f.cos, at, n)
	for h := range c.Heads + c.KVHeads {
		x, w := row(qkv, h, c.HeadDim), l.qNorm
		if h >= c.Heads {
			w = l.kNorm
		}
		if w != nil {
			kernel.RMSNorm(x, x, w, c.Eps)
		}
		rotate(x, sin, cos, f.m.Spec.RopeHalves)
	}
	r := &f.rows[i]
	s, at := r.Cache.find(r.pos)
	for h := range c.KVHeads {
		s.put(c, f.layer, 0, h, at, row(qkv, c.Heads+h, c.HeadDim))
		s.put(c, f.layer, 1, h, at, row(qkv, c.Heads+c.KVHeads+h, c.HeadDim))
	}
}

// find returns the segment of a position and the index in it, looking from the end.
func (c *Cache) find(pos int) (*segment, int) {
	i := len(c.segs) - 1
	for c.segs[i].start > pos {
		i--
	}
	return c.segs[i], pos - c.segs[i].start
}

// rotate turns each pair of x's first 2·len(sin) elements by its angle (RoPE, Su et al. 2021,
// arXiv 2104.09864).
func rotate(x, sin, cos []float32, halves bool) {
	if halves {
		n := len(sin)
		a, b := x[:n], x[n:2*n]
		for i, s := range sin {
			c := cos[i]
			a[i], b[i] = a[i]*c-b[i]*s, a[i]*s+b[i]*c
		}
		return
	}
	for i, s := range sin {
		c, p := cos[i], x[2*i:2*i+2]
		p[0], p[1] = p[0]*c-p[1]*s, p[0]*s+p[1]*c
	}
}

// attention lets the queries of one group of rows attend through one key head.
func (f *Pass) attention(w, task int) {
	c := &f.m.Config
	head, g := task/len(f.groups), f.groups[task%len(f.groups)]
	cache := f.rows[g.lo].Cache
	per, dim := c.Group(), c.HeadDim
	nq := (g.hi - g.lo) * per
	// Positions from first to n are seen: by the first row from the window's begin, by the last to itself.
	window := f.m.layers[f.layer].window
	first, n := seen(f.rows[g.lo].pos, window), f.rows[g.hi-1].pos+1

	sc := &f.scratch[w]
	ld := n - first
	q, out, scores := fit(&sc.q, nq*dim), fit(&sc.out, nq*dim), fit(&sc.scores, nq*ld)
	scale := float32(1 / math.Sqrt(float64(dim)))
	for r := g.lo; r < g.hi; r++ {
		src := row(f.qkv, r, (c.Heads+2*c.KVHeads)*dim)[head*per*dim:][:per*dim]
		for i, x := range src {
			q[(r-g.lo)*per*dim+i] = x * scale
		}
	}
	clear(out)
	queries := kernel.Mat{Data: q, Rows: nq, Stride: dim}
	for i, s := range cache.segs {
		if lo, hi := max(s.start, first), cache.end(i, n); lo < hi {
			kernel.MulT(scores[lo-first:], 1, ld, s.rows(c, f.layer, 0, head, lo, hi, &sc.kv), queries, dim)
		}
	}
	for r := g.lo; r < g.hi; r++ {
		for j := range per {
			i := (r-g.lo)*per + j
			p := row(scores, i, ld)
			lo, hi := seen(f.rows[r].pos, window)-first, f.rows[r].pos+1-first
			own := p[lo:hi]
			inv := 1 / kernel.ExpSum(own, own, kernel.Max(own), 1)
			for t := range own {
				own[t] *= inv
			}
			clear(p[:lo]) // out of this row's window, but in those of earlier rows of the group
			clear(p[hi:]) // later rows of the group are not there yet for this one
		}
	}
	for i, s := range cache.segs {
		if lo, hi := max(s.start, first), cache.end(i, n); lo < hi {
			kernel.Mix(kernel.Mat{Data: out, Rows: nq, Stride: dim}, kernel.Mat{Data: scores[lo-first:], Rows: nq, Stride: ld},
				s.rows(c, f.layer, 1, head, lo, hi, &sc.kv), dim)
		}
	}
	for r := g.lo; r < g.hi; r++ {
		copy(row(f.att, r, c.Heads*dim)[head*per*dim:], out[(r-g.lo)*per*dim:][:per*dim])
	}
}

// seen is the first position that the row at pos sees.
func seen(pos, window int) int {
	if window == 0 {
		return 0
	}
	return max(pos+1-window, 0)
}

// rows is keys (kv 0) or values (1) of a head at the positions from lo to hi.
func (s *segment) rows(c *Config, layer, kv, head, lo, hi int, buf *[]float32) kernel.Mat {
	x := s.get(c, layer, kv, head, hi-s.start, buf)
	return kernel.Mat{Data: x[(lo-s.start)*c.HeadDim:], Rows: hi - lo, Stride: c.HeadDim}
}

// fit returns *buf with length n, growing it with some to spare.
func fit(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		*buf = make([]float32, n+n/4)
	}
	return (*buf)[:n]
}

// rowMid adds the attention's output and norms for the MLP.
func (f *Pass) rowMid(_, i int) {
	f.residual(i, f.m.layers[f.layer].attnPostNorm)
	f.norm(i, f.m.layers[f.layer].mlpNorm)
}

// residual adds a block's output, normed by post if that is not nil.
func (f *Pass) residual(i int, post []float32) {
	d := f.m.Config.Dim
	x, y := row(f.x, i, d), row(f.y, i, d)
	if post != nil {
		kernel.RMSNorm(y, y, post, f.m.Config.Eps)
	}
	for j, v := range y {
		x[j] += v
	}
}

// rowAct leaves silu(gate)·up, or gelu(gate)·up, where gate was.
func (f *Pass) rowAct(_, i int) {
	n := f.m.Config.Hidden
	g := row(f.gate, i, 2*n)
	if f.m.Spec.GELU {
		kernel.GeGLU(g[:n], g[:n], g[n:])
		return
	}
	kernel.SwiGLU(g[:n], g[:n], g[n:])
}

// rowEnd adds the MLP's output and norms for what comes next.
func (f *Pass) rowEnd(_, i int) {
	f.residual(i, f.m.layers[f.layer].mlpPostNorm)
	if f.layer+1 < f.m.Config.Layers {
		f.norm(i, f.m.layers[f.layer+1].attnNorm)
		return
	}
	f.norm(i, f.m.norm)
}
