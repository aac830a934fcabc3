package kernel

import "gnothi/engine/gguf"

// BlockLen is the least number of weights that the linear kernels take at a time; every row length is
// a multiple of it.
const BlockLen = 32

// step is the number of weights of a type that the linear kernels take at a time.
func step(t gguf.Type) int { return max(t.BlockLen(), BlockLen) }

// rowBytes is the stored size of a row of k weights.
func rowBytes(t gguf.Type, k int) int { return k / t.BlockLen() * t.BlockBytes() }

// MatVec computes y[r] = Σ_k w[r][k]·x[k] for len(y) rows of len(x) weights each, a multiple of BlockLen and of the
// type's block.
func MatVec(t gguf.Type, y []float32, w []byte, x []float32) {
	if len(y) == 0 {
		return
	}
	stride := rowBytes(t, len(x))
	_ = w[len(y)*stride-1]
	if !useAsm {
		var most [256]float32
		buf := most[:step(t)]
		n := rowBytes(t, len(buf))
		for r := range y {
			var acc [8]float32
			row := w[r*stride:]
			for k := 0; k < len(x); k += len(buf) {
				dequantise(t, buf, row[:n])
				row = row[n:]
				lanes(&acc, buf, x[k:])
			}
			y[r] = reduce(&acc)
		}
		return
	}
	n := len(y) &^ 3
	if n > 0 {
		matVec(t, &y[0], &w[0], stride, &x[0], len(x)/step(t), n/4)
	}
	for ; n < len(y); n++ { // a row alone is computed four times over
		var four [4]float32
		matVec(t, &four[0], &w[n*stride], 0, &x[0], len(x)/step(t), 1)
		y[n] = four[0]
	}
}

// Dequantise writes the weights stored in src; len(dst) is a multiple of BlockLen and of the type's block.
func Dequantise(t gguf.Type, dst []float32, src []byte) {
	if len(dst) == 0 {
		return
	}
	src = src[:rowBytes(t, len(dst))]
	if useAsm {
		dequant(t, &dst[0], &src[0], len(dst)/step(t))
		return
	}
	dequantise(t, dst, src)
}

func dequantise(t gguf.Type, dst []float32, src []byte) {
	if err := gguf.Dequantise(dst, t, src); err != nil {
		panic(err) // the loader lets no other type through
	}
}

// Mat is a dense row-major float32 matrix whose rows lie Stride apart.
type Mat struct {
	Data         []float32
	Rows, Stride int
}

// row r, of n elements.
func (m Mat) row(r, n int) []float32 { return m.Data[r*m.Stride:][:n] }

// check panics unless m has all its rows of n elements.
func (m Mat) check(n int) { _ = m.Data[(m.Rows-1)*m.Stride+n-1] }

// MulT computes c[i·ci + j·cj] = Σ_k a[i][k]·b[j][k], k a multiple of 8.
func MulT(c []float32, ci, cj int, a, b Mat, k int) {
	if a.Rows == 0 || b.Rows == 0 {
		return
	}
	a.check(k)
	b.check(k)
	_ = c[(a.Rows-1)*ci+(b.Rows-1)*cj]
	if !useAsm {
		for i := range a.Rows {
			for j := range b.Rows {
				var acc [8]float32
				lanes(&acc, a.row(i, k), b.row(j, k))
				c[i*ci+j*cj] = reduce(&acc)
			}
		}
		return
	}
	if useWide {
		// Whole tiles of 8 rows by 6, whichever way round more fits, then what is left of either side. Few rows
		// that do not fit cost more than wide tiles gain.
		if wide(b.Rows, a.Rows) > wide(a.Rows, b.Rows) {
			a, b, ci, cj = b, a, cj, ci
		}
		few := min(a.Rows, b.Rows)
		if m, n := a.Rows-a.Rows%wideRows, b.Rows-b.Rows%wideCols; m > 0 && n > 0 && (few >= 2*wideRows || few == min(m, n)) {
			for i := 0; i < m; i += wideRows {
				for j := 0; j < n; j += wideCols {
					dotTileWide(&a.Data[i*a.Stride], 4*a.Stride, &b.Data[j*b.Stride], 4*b.Stride, k, &c[i*ci+j*cj], 4*ci, 4*cj)
				}
			}
			if n < b.Rows {
				mulTNarrow(c[n*cj:], ci, cj, a, b.from(n), k)
			}
			if m < a.Rows {
				b.Rows = n
				mulTNarrow(c[m*ci:], ci, cj, a.from(m), b, k)
			}
			return
		}
	}
	mulTNarrow(c, ci, cj, a, b, k)
}

const wideRows, wideCols = 8, 6

// wide is how much of m rows by n is in whole wide tiles.
func wide(m, n int) int { return (m - m%wideRows) * (n - n%wideCols) }

// from is the matrix without its first n rows.
func (m Mat) from(n int) Mat { return Mat{m.Data[n*m.Stride:], m.Rows - n, m.Stride} }

func mulTNarrow(c []float32, ci, cj int, a, b Mat, k int) {
	// A tile is 4 rows by 3. Give the 4 to whichever side wastes less.
	if tiles(a.Rows, 4)*tiles(b.Rows, 3) > tiles(a.Rows, 3)*tiles(b.Rows, 4) {
		a, b, ci, cj = b, a, cj, ci
	}
	if a.Rows < 4 || b.Rows < 3 {
		mulTSmall(c, ci, cj, a, b, k)
		return
	}
	// The last tile of a side overlaps the one before it and writes the same bits again. The inner
	// loop runs over the side with more rows, so that the tile's other rows stay in the first cache.
	for i := 0; i < a.Rows; i += 4 {
		i := min(i, a.Rows-4)
		for j := 0; j < b.Rows; j += 3 {
			j := min(j, b.Rows-3)
			dotTile(&a.Data[i*a.Stride], 4*a.Stride, &b.Data[j*b.Stride], 4*b.Stride, k, &c[i*ci+j*cj], 4*ci, 4*cj)
		}
	}
}

func tiles(n, of int) int { return (n + of - 1) / of }

// mulTSmall handles sides too short for a whole tile: missing rows repeat the last ones.
func mulTSmall(c []float32, ci, cj int, a, b Mat, k int) {
	var out [12]float32
	for i := 0; i < a.Rows; i += 4 {
		lda := 4 * a.Stride
		ni := min(4, a.Rows-i)
		if ni < 4 {
			lda, ni = 0, 1
		}
		for j := 0; j < b.Rows; j += 3 {
			ldb := 4 * b.Stride
			nj := min(3, b.Rows-j)
			if nj < 3 {
				ldb, nj = 0, 1
			}
			dotTile(&a.Data[i*a.Stride], lda, &b.Data[j*b.Stride], ldb, k, &out[0], 4, 16)
			for p := range ni {
				for q := range nj {
					c[(i+p)*ci+(j+q)*cj] = out[p+4*q]
				}
			}
			j += nj - 3
		}
		i += ni - 4
	}
}

// Mix adds Σ_t p[i][t]·v[t] to out[i], for the v.Rows values of each row, dim columns (a multiple of
// 8). Each sum runs over t in order, so it may be split anywhere in t.
func Mix(out, p, v Mat, dim int) {
	if v.Rows == 0 || p.Rows == 0 {
		return
	}
	out.check(dim)
	p.check(v.Rows)
	v.check(dim)
	if !useAsm {
		for i := range p.Rows {
			o := out.row(i, dim)
			for t, w := range p.row(i, v.Rows) {
				for d, x := range v.row(t, dim) {
					o[d] += w * x
				}
			}
		}
		return
	}
	i := 0
	for ; i+3 <= p.Rows; i += 3 {
		mixAsm(&out.Data[i*out.Stride], 4*out.Stride, &p.Data[i*p.Stride], 4*p.Stride, &v.Data[0], v.Rows, 4*v.Stride, dim)
	}
	for ; i < p.Rows; i++ {
		mixAsm(&out.Data[i*out.Stride], 0, &p.Data[i*p.Stride], 0, &v.Data[0], v.Rows, 4*v.Stride, dim)
	}
}

// lanes adds a[k]·b[k] to lane k mod 8.
func lanes(acc *[8]float32, a, b []float32) {
	b = b[:len(a)]
	for len(a) >= 8 && len(b) >= 8 {
		acc[0] += a[0] * b[0]
		acc[1] += a[1] * b[1]
		acc[2] += a[2] * b[2]
		acc[3] += a[3] * b[3]
		acc[4] += a[4] * b[4]
		acc[5] += a[5] * b[5]
		acc[6] += a[6] * b[6]
		acc[7] += a[7] * b[7]
		a, b = a[8:], b[8:]
	}
}

func reduce(l *[8]float32) float32 {
	return ((l[0] + l[1]) + (l[2] + l[3])) + ((l[4] + l[5]) + (l[6] + l[7]))
}
