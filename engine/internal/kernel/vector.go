package kernel

import "math"

// ExpSum writes dst[i] = exp((src[i]−max)·scale) and returns its sum. dst may be src.
func ExpSum(dst, src []float32, max, scale float32) float32 {
	if len(src) == 0 {
		return 0
	}
	dst = dst[:len(src)]
	if useAsm {
		return expSumAsm(&dst[0], &src[0], len(src), max, scale)
	}
	var l [8]float32
	for i, x := range src {
		e := exp((x - max) * scale)
		dst[i] = e
		l[i&7] += e
	}
	return reduce(&l)
}

// statsRun bounds how many terms are summed in float32 before going on in float64.
const statsRun = 2048

// Stats returns Σe, Σe·(x−max) and Σx over a row, where e = exp(x−max). A NaN or infinity anywhere
// makes sumX NaN or infinite.
func Stats(x []float32, max float32) (sumExp, sumExpX, sumX float64) {
	for len(x) > 0 {
		n := min(len(x), statsRun)
		e, ex, s := stats(x[:n], max)
		sumExp, sumExpX, sumX = sumExp+float64(e), sumExpX+float64(ex), sumX+float64(s)
		x = x[n:]
	}
	return
}

func stats(x []float32, max float32) (sumExp, sumExpX, sumX float32) {
	if useAsm {
		return statsAsm(&x[0], len(x), max)
	}
	var a, b, c [8]float32
	for i, v := range x {
		e := exp(v - max)
		a[i&7] += e
		b[i&7] += e * (v - max)
		c[i&7] += v
	}
	return reduce(&a), reduce(&b), reduce(&c)
}

// Max returns the largest element of a row that is not empty. If the row holds a NaN, the result
// may be any element.
func Max(x []float32) float32 {
	if useAsm {
		return maxAsm(&x[0], len(x))
	}
	m := x[0]
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// SwiGLU writes dst = silu(gate)·up, silu(x) = x/(1+exp(−x)). dst may be gate or up.
func SwiGLU(dst, gate, up []float32) {
	dst, up = dst[:len(gate)], up[:len(gate)]
	if len(gate) == 0 {
		return
	}
	if useAsm {
		swiGLUAsm(&dst[0], &gate[0], &up[0], len(gate))
		return
	}
	for i, x := range gate {
		dst[i] = x / (1 + exp(-x)) * up[i]
	}
}

// GeGLU writes dst = gelu(gate)·up with the tanh form of GELU (Hendrycks and Gimpel 2016, arXiv
// 1606.08415): x·(1+tanh(√(2/π)·(x+0.044715·x³)))/2, which is x/(1+exp(−2√(2/π)·(x+0.044715·x³))).
// dst may be gate or up.
func GeGLU(dst, gate, up []float32) {
	dst, up = dst[:len(gate)], up[:len(gate)]
	if len(gate) == 0 {
		return
	}
	if useAsm {
		geGLUAsm(&dst[0], &gate[0], &up[0], len(gate))
		return
	}
	for i, x := range gate {
		dst[i] = x / (1 + exp(x*(geluLinear+geluCubic*x*x))) * up[i]
	}
}

const (
	geluLinear = -1.5957691216057308 // −2√(2/π)
	geluCubic  = geluLinear * 0.044715
)

// RMSNorm writes dst = x·w/√(mean(x²)+eps) and returns the mean square, which is NaN or infinite
// if x holds such a value. len(x) is a multiple of 8. dst may be x.
func RMSNorm(dst, x, w []float32, eps float32) float32 {
	dst, w = dst[:len(x)], w[:len(x)]
	if useAsm {
		return rmsNormAsm(&dst[0], &x[0], &w[0], len(x), eps)
	}
	var acc [8]float32
	lanes(&acc, x, x)
	mean := reduce(&acc) / float32(len(x))
	s := 1 / float32(math.Sqrt(float64(mean+eps)))
	for i, v := range x {
		dst[i] = v * s * w[i]
	}
	return mean
}

// exp clamps like the assembly, so that neither path overflows to infinity or leaves the normal
// numbers, and keeps NaN.
func exp(x float32) float32 {
	return float32(math.Exp(float64(min(max(x, -87.33654), 88.37626))))
}
