package model

import "gnothi/engine/internal/kernel"

// linear is out = in·wᵀ, out's rows ld apart.
type linear struct {
	w   Matrix
	out []float32
	ld  int
}

// chunk is some rows of a linear's matrix, one worker's task.
type chunk struct{ lin, lo, hi int }

const (
	// fusedRows is the largest number of inputs for which each multiplies the stored weights by
	// itself. With more it is cheaper to dequantise once into a tile.
	fusedRows = 2
	// chunkBytes bounds the dequantised tile to a part of the second cache.
	chunkBytes = 192 << 10
	// Without a tile chunks are long, because memory is read fastest in long runs, but leave each
	// worker a second one, in case the other is slow.
	chunkMin, chunkMax = 12, 1024
)

// mul applies maps to the same inputs, f.in.Rows of them, stride apart, all in one go.
func (f *Pass) mul(in []float32, stride int, maps ...linear) {
	f.in.Data, f.in.Stride = in, stride
	f.lin = append(f.lin[:0], maps...)
	f.chunks = f.chunks[:0]
	total := 0
	for _, l := range maps {
		total += l.w.Rows
	}
	for i, l := range maps {
		size := min(total/(2*f.pool.Size()), chunkMax)
		if f.in.Rows > fusedRows {
			size = min(total/(4*f.pool.Size()), chunkBytes/(4*l.w.Cols))
		}
		size = max(size, chunkMin)
		size -= size % 12 // whole tiles either way round
		for lo := 0; lo < l.w.Rows; lo += size {
			f.chunks = append(f.chunks, chunk{i, lo, min(lo+size, l.w.Rows)})
		}
	}
	f.pool.Run(len(f.chunks), f.runLinear)
}

func (f *Pass) linearChunk(worker, i int) {
	ch := f.chunks[i]
	l := f.lin[ch.lin]
	w, n := l.w.rows(ch.lo, ch.hi), ch.hi-ch.lo
	if f.in.Rows <= fusedRows {
		for r := range f.in.Rows {
			kernel.MatVec(l.w.Type, l.out[r*l.ld+ch.lo:][:n], w, f.in.Data[r*f.in.Stride:][:l.w.Cols])
		}
		return
	}
	tile := fit(&f.scratch[worker].tile, n*l.w.Cols)
	kernel.Dequantise(l.w.Type, tile, w)
	kernel.MulT(l.out[ch.lo:], 1, l.ld, kernel.Mat{Data: tile, Rows: n, Stride: l.w.Cols}, f.in, l.w.Cols)
}

// Logits computes the raw logits of up to MaxRows final states: out[i·vocab:] for states[i].
func (f *Pass) Logits(out []float32, states [][]float32) {
	c := &f.m.Config
	for i, s := range states {
		copy(row(f.h, i, c.Dim), s)
	}
	f.in.Rows = len(states)
	f.mul(f.h, c.Dim, linear{f.m.head, out, c.Vocab})
}
