//go:build !noasm

package kernel

import (
	"math/rand/v2"
	"testing"
)

// both runs f with the tiles that this CPU would use and with those of any other.
func both(t *testing.T, f func()) {
	t.Helper()
	if !useWide {
		t.Skip("this CPU has no registers of 512 bits")
	}
	defer func() { useWide = true }()
	for _, useWide = range []bool{true, false} {
		f()
	}
}

// TestWide: tiles in wide registers give the same bits, whatever is left beside them.
func TestWide(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 1))
	const k = 72
	for _, na := range []int{6, 7, 8, 12, 16, 17, 24, 29, 47, 64} {
		for _, nb := range []int{5, 6, 8, 13, 16, 18, 23, 40, 85} {
			a, b := Mat{randoms(rng, na*(k+8)), na, k + 8}, Mat{randoms(rng, nb*k), nb, k}
			var results [][]float32
			both(t, func() {
				c := make([]float32, na*(nb+1))
				for i := range c {
					c[i] = 42
				}
				MulT(c, nb+1, 1, a, b, k)
				results = append(results, c)
			})
			for i, x := range results[0] {
				if x != results[1][i] || i%(nb+1) == nb && x != 42 {
					t.Fatalf("%dx%d: element %d is %v in wide registers, %v in others", na, nb, i, x, results[1][i])
				}
			}
		}
	}
	both(t, func() { TestMulT(t) })
}

func BenchmarkTiles(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	const n, m, k = 48, 64, 576
	a, x := Mat{randoms(rng, n*k), n, k}, Mat{randoms(rng, m*k), m, k}
	c := make([]float32, n*m)
	saved := useWide
	defer func() { useWide = saved }()
	for _, wide := range []bool{false, saved} {
		useWide = wide
		name := "256"
		if wide {
			name = "512"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				MulT(c, m, 1, a, x, k)
			}
			b.ReportMetric(2*n*m*k*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
