package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gnothi/engine/gguf"
)

var types = gguf.Types()

func randoms(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func weights(t *testing.T, rng *rand.Rand, ty gguf.Type, n int) []byte {
	t.Helper()
	w, err := gguf.Quantise(ty, randoms(rng, n))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// near compares with a float64 result whose terms' magnitudes sum to scale.
func near(t *testing.T, what string, got float32, want, scale float64) {
	t.Helper()
	if diff := math.Abs(float64(got) - want); !(diff <= 1e-6*scale+1e-30) {
		t.Fatalf("%s = %v, want %v (difference %.3g, terms sum to %.3g)", what, got, want, diff, scale)
	}
}

func dot64(a, b []float32) (sum, scale float64) {
	for i := range a {
		p := float64(a[i]) * float64(b[i])
		sum, scale = sum+p, scale+math.Abs(p)
	}
	return
}

func TestDequantise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, ty := range types {
		for _, blocks := range []int{1, 2, 3, 7, 18} {
			n := blocks * step(ty)
			w := weights(t, rng, ty, n)
			got, want := make([]float32, n+1), make([]float32, n)
			got[n] = 42
			Dequantise(ty, got[:n], w)
			if err := gguf.Dequantise(want, ty, w); err != nil {
				t.Fatal(err)
			}
			for i := range want {
				near(t, fmt.Sprintf("%v[%d]", ty, i), got[i], float64(want[i]), 4)
			}
			if got[n] != 42 {
				t.Fatalf("%v: wrote past the end", ty)
			}
		}
	}
}

// TestMatVec checks against float64, and that the tile path gives the very same bits.
func TestMatVec(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for _, ty := range types {
		for _, blocks := range []int{1, 2, 3, 18} {
			k := blocks * step(ty)
			for _, rows := range []int{1, 2, 3, 4, 5, 7, 8, 13} {
				w := weights(t, rng, ty, rows*k)
				x := randoms(rng, k)
				y := make([]float32, rows+1)
				y[rows] = 42
				MatVec(ty, y[:rows], w, x)
				dense := make([]float32, rows*k)
				Dequantise(ty, dense, w)
				for r := range rows {
					want, scale := dot64(dense[r*k:][:k], x)
					near(t, fmt.Sprintf("%v k=%d row %d", ty, k, r), y[r], want, scale)
				}
				if y[rows] != 42 {
					t.Fatalf("%v: wrote past the end", ty)
				}
				tile := make([]float32, rows)
				MulT(tile, 1, 1, Mat{dense, rows, k}, Mat{x, 1, k}, k)
				for r := range rows {
					if tile[r] != y[r] {
						t.Fatalf("%v k=%d row %d: fused %v, tile %v", ty, k, r, y[r], tile[r])
					}
				}
			}
		}
	}
}

func TestMulT(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	const k = 40
	for na := 1; na <= 9; na++ {
		for nb := 1; nb <= 9; nb++ {
			a := Mat{randoms(rng, na*(k+8)), na, k + 8}
			b := Mat{randoms(rng, nb*k), nb, k}
			ci := nb + 1
			c := make([]float32, na*ci)
			for i := range c {
				c[i] = 42
			}
			MulT(c, ci, 1, a, b, k)
			for i := range na {
				for j := range nb {
					want, scale := dot64(a.row(i, k), b.row(j, k))
					near(t, fmt.Sprintf("%dx%d [%d][%d]", na, nb, i, j), c[i*ci+j], want, scale)
					one := make([]float32, 1)
					MulT(one, 1, 1, Mat{a.row(i, k), 1, k}, Mat{b.row(j, k), 1, k}, k)
					if one[0] != c[i*ci+j] {
						t.Fatalf("%dx%d [%d][%d]: alone %v, in the batch %v", na, nb, i, j, one[0], c[i*ci+j])
					}
				}
				if c[i*ci+nb] != 42 {
					t.Fatalf("%dx%d: wrote between the rows", na, nb)
				}
			}
		}
	}
}

func TestMix(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	for _, dim := range []int{8, 16, 32, 40, 64, 96} {
		for _, rows := range []int{1, 2, 3, 4, 7} {
			for _, n := range []int{1, 2, 5, 33} {
				p := Mat{randoms(rng, rows*n), rows, n}
				v := Mat{randoms(rng, n*dim), n, dim}
				start := randoms(rng, rows*dim)
				out := Mat{append([]float32(nil), start...), rows, dim}
				Mix(out, p, v, dim)
				for i := range rows {
					for d := range dim {
						want, scale := float64(start[i*dim+d]), math.Abs(float64(start[i*dim+d]))
						for j := range n {
							x := float64(p.row(i, n)[j]) * float64(v.row(j, dim)[d])
							want, scale = want+x, scale+math.Abs(x)
						}
						near(t, fmt.Sprintf("dim %d rows %d n %d [%d][%d]", dim, rows, n, i, d), out.row(i, dim)[d], want, scale)
					}
				}
				// Any split of the sum gives the same bits.
				parts := Mat{append([]float32(nil), start...), rows, dim}
				cut := n / 2
				Mix(parts, p, Mat{v.Data, cut, dim}, dim)
				Mix(parts, Mat{p.Data[cut:], rows, n}, Mat{v.Data[cut*dim:], n - cut, dim}, dim)
				for i := range parts.Data {
					if parts.Data[i] != out.Data[i] {
						t.Fatalf("dim %d rows %d n %d: element %d is %v whole, %v in two parts", dim, rows, n, i, out.Data[i], parts.Data[i])
					}
				}
			}
		}
	}
}

var lengths = []int{1, 2, 3, 7, 8, 9, 15, 31, 32, 33, 40, 63, 64, 100, 2049, 5000}

func TestExpSum(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	for _, n := range lengths {
		x := randoms(rng, n)
		top := Max(x)
		got := make([]float32, n+1)
		got[n] = 42
		sum := ExpSum(got[:n], x, top, 1.7)
		var want float64
		for i, v := range x {
			e := math.Exp(float64((v - top) * 1.7))
			near(t, fmt.Sprintf("n=%d exp[%d]", n, i), got[i], e, e)
			want += e
		}
		near(t, "sum", sum, want, want)
		if got[n] != 42 {
			t.Fatal("wrote past the end")
		}
	}
	extremes := []float32{-1000, -88, -87.4, -87.3, -1, -0.4, 0, 0.3, 1, 80, 88.3, 88.4, 1000}
	got := make([]float32, len(extremes))
	ExpSum(got, extremes, 0, 1)
	for i, x := range extremes {
		want := math.Exp(float64(min(max(x, -87.33654), 88.37626)))
		near(t, fmt.Sprintf("exp(%v)", x), got[i], want, want)
	}
}

func TestStats(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	for _, n := range lengths {
		x := randoms(rng, n)
		top := Max(x)
		e, ex, s := Stats(x, top)
		var we, wex, ws, scale float64
		for i, v := range x {
			if v > top {
				t.Fatalf("n=%d: Max = %v, x[%d] = %v", n, top, i, v)
			}
			p := math.Exp(float64(v - top))
			we, wex, ws = we+p, wex+p*float64(v-top), ws+float64(v)
			scale += math.Abs(float64(v))
		}
		near(t, "Σe", float32(e), we, we)
		near(t, "Σe·x", float32(ex), wex, -wex)
		near(t, "Σx", float32(s), ws, scale)
	}
}

func TestGLU(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	silu := func(x float64) float64 { return x / (1 + math.Exp(-x)) }
	gelu := func(x float64) float64 { // without 1+tanh, which cancels
		return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}
	for _, c := range []struct {
		name string
		run  func(dst, gate, up []float32)
		want func(float64) float64
	}{{"silu", SwiGLU, silu}, {"gelu", GeGLU, gelu}} {
		for _, n := range lengths {
			g, u := randoms(rng, n), randoms(rng, n)
			for i := range g {
				g[i] *= 5
			}
			got := make([]float32, n+1)
			got[n] = 42
			c.run(got[:n], g, u)
			for i := range g {
				want := c.want(float64(g[i])) * float64(u[i])
				// The argument of exp is rounded, and its error grows with it.
				scale := math.Abs(want)*(1+math.Abs(float64(g[i]*g[i]*g[i]))) + 1e-30
				near(t, fmt.Sprintf("n=%d %s(%v)·%v", n, c.name, g[i], u[i]), got[i], want, scale)
			}
			if got[n] != 42 {
				t.Fatal("wrote past the end")
			}
		}
	}
	if got := make([]float32, 3); true {
		GeGLU(got, []float32{1, -1, 3}, []float32{1, 1, 2})
		for i, want := range []float64{0.84119199, -0.15880801, 2 * 2.99636266} { // by the definition with tanh
			near(t, "gelu", got[i], want, 1)
		}
	}
}

func TestRMSNorm(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	for _, n := range []int{8, 16, 24, 576} {
		x, w := randoms(rng, n), randoms(rng, n)
		got := make([]float32, n)
		mean := RMSNorm(got, x, w, 1e-5)
		want, scale := dot64(x, x)
		near(t, "mean square", mean, want/float64(n), scale/float64(n))
		s := 1 / math.Sqrt(want/float64(n)+1e-5)
		for i := range x {
			y := float64(x[i]) * float64(w[i]) * s
			near(t, fmt.Sprintf("n=%d [%d]", n, i), got[i], y, math.Abs(y))
		}
	}
}

// TestNotANumber: no kernel may swallow a NaN or turn an infinity into an ordinary number unseen.
func TestNotANumber(t *testing.T) {
	bad := func(x float32) bool { return x != x || math.IsInf(float64(x), 0) }
	for _, n := range []int{1, 5, 8, 9, 40, 71} {
		for i := range n {
			for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
				x := make([]float32, n)
				x[i] = v
				if _, _, s := Stats(x, Max(x)); !bad(float32(s)) {
					t.Fatalf("Stats: %v at %d of %d gave Σx = %v", v, i, n, s)
				}
				if s := ExpSum(make([]float32, n), x, Max(x), 1); v != v && !bad(s) {
					t.Fatalf("ExpSum: NaN at %d of %d gave %v", i, n, s)
				}
				one := make([]float32, n)
				for j := range one {
					one[j] = 1
				}
				y := make([]float32, n)
				if SwiGLU(y, x, one); !bad(y[i]) {
					t.Fatalf("SwiGLU: %v at %d of %d gave %v", v, i, n, y[i])
				}
				if GeGLU(y, x, one); v > 0 && !bad(y[i]) || v != v && !bad(y[i]) {
					t.Fatalf("GeGLU: %v at %d of %d gave %v", v, i, n, y[i])
				}
				if n%8 == 0 && !bad(RMSNorm(y, x, one, 1e-5)) {
					t.Fatalf("RMSNorm: %v at %d of %d went unseen", v, i, n)
				}
			}
		}
	}
}
