package kernel

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"gnothi/engine/gguf"
)

// BenchmarkFMA multiplies matrices in the first cache: the arithmetic's ceiling, and a baseline that
// shows how the machine is doing.
func BenchmarkFMA(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	const n, m, k = 4, 6, 576
	a, x := Mat{randoms(rng, n*k), n, k}, Mat{randoms(rng, m*k), m, k}
	c := make([]float32, n*m)
	for b.Loop() {
		MulT(c, m, 1, a, x, k)
	}
	b.ReportMetric(2*n*m*k*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// BenchmarkCeiling is what all threads together can do: reading weights from memory that no cache holds, and multiplying in
// the caches.
func BenchmarkCeiling(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		const rows, k = 256, 1024
		w := make([]byte, 256<<20)
		for i := range w {
			w[i] = byte(i >> 12)
		}
		const size = rows * 4 * k
		var next atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			x, y := make([]float32, k), make([]float32, rows)
			for pb.Next() {
				at := int(next.Add(1)) % (len(w) / size) * size
				MatVec(gguf.F32, y, w[at:at+size], x)
			}
		})
		b.ReportMetric(size*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
	})
	b.Run("arithmetic", func(b *testing.B) {
		const n, m, k = 4, 6, 576
		b.RunParallel(func(pb *testing.PB) {
			a, x, c := Mat{make([]float32, n*k), n, k}, Mat{make([]float32, m*k), m, k}, make([]float32, n*m)
			for pb.Next() {
				MulT(c, m, 1, a, x, k)
			}
		})
		b.ReportMetric(2*n*m*k*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	})
}

func BenchmarkMatVec(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	const rows, k = 192, 768
	for _, t := range types {
		b.Run(t.String(), func(b *testing.B) {
			w, err := gguf.Quantise(t, randoms(rng, rows*k))
			if err != nil {
				b.Fatal(err)
			}
			x, y := randoms(rng, k), make([]float32, rows)
			b.SetBytes(int64(len(w)))
			for b.Loop() {
				MatVec(t, y, w, x)
			}
			b.ReportMetric(rows*k*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gweight/s")
		})
	}
}

func BenchmarkDequantise(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 64 * 768
	for _, t := range types {
		b.Run(t.String(), func(b *testing.B) {
			w, err := gguf.Quantise(t, randoms(rng, n))
			if err != nil {
				b.Fatal(err)
			}
			x := make([]float32, n)
			for b.Loop() {
				Dequantise(t, x, w)
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gweight/s")
		})
	}
}

// BenchmarkRows times what is done once for each row.
func BenchmarkRows(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	run := func(name string, n int, f func(x, y []float32)) {
		x, y := randoms(rng, n), randoms(rng, n)
		b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
			for b.Loop() {
				f(x, y)
			}
		})
	}
	const vocab = 49152
	run("max", vocab, func(x, _ []float32) { Max(x) })
	run("stats", vocab, func(x, _ []float32) { Stats(x, 5) })
	run("expsum", vocab, func(x, y []float32) { ExpSum(y, x, 5, 1) })
	run("swiglu", 1536, func(x, y []float32) { SwiGLU(y, x, x) })
	run("rmsnorm", 576, func(x, y []float32) { RMSNorm(y, x, x, 1e-5) })
}
