//go:build !noasm

package kernel

import (
	"gnothi/engine/gguf"

	"golang.org/x/sys/cpu"
)

// useAsm is decided once, before any kernel runs.
var useAsm = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C

// useWide: whole tiles have eight rows and six columns, in registers of 512 bits. A tile gives the same bits either way.
var useWide = useAsm && cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ

// Path names the kernels in use. Results are reproducible bit for bit only on the same path. Wide
// registers, where the CPU has them, change nothing in results and so have no name of their own.
func Path() string {
	if useAsm {
		return "avx2"
	}
	return "go"
}

// Pause tells the CPU that a loop is spinning, n times.
func Pause(n int) { pauseAsm(n) }

func matVec(t gguf.Type, y *float32, w *byte, stride int, x *float32, blocks, groups int) {
	switch t {
	case gguf.F32:
		matVecF32(y, w, stride, x, blocks, groups)
	case gguf.F16:
		matVecF16(y, w, stride, x, blocks, groups)
	case gguf.BF16:
		matVecBF16(y, w, stride, x, blocks, groups)
	case gguf.Q8_0:
		matVecQ8_0(y, w, stride, x, blocks, groups)
	case gguf.Q4_0:
		matVecQ4_0(y, w, stride, x, blocks, groups)
	case gguf.Q4_1:
		matVecQ4_1(y, w, stride, x, blocks, groups)
	case gguf.Q5_0:
		matVecQ5_0(y, w, stride, x, blocks, groups)
	case gguf.Q5_1:
		matVecQ5_1(y, w, stride, x, blocks, groups)
	case gguf.IQ4_NL:
		matVecIQ4_NL(y, w, stride, x, blocks, groups)
	case gguf.Q4_K:
		matVecQ4_K(y, w, stride, x, blocks, groups)
	case gguf.Q5_K:
		matVecQ5_K(y, w, stride, x, blocks, groups)
	case gguf.Q6_K:
		matVecQ6_K(y, w, stride, x, blocks, groups)
	default:
		panic(noKernel(t))
	}
}

func dequant(t gguf.Type, dst *float32, src *byte, blocks int) {
	switch t {
	case gguf.F32:
		dequantF32(dst, src, blocks)
	case gguf.F16:
		dequantF16(dst, src, blocks)
	case gguf.BF16:
		dequantBF16(dst, src, blocks)
	case gguf.Q8_0:
		dequantQ8_0(dst, src, blocks)
	case gguf.Q4_0:
		dequantQ4_0(dst, src, blocks)
	case gguf.Q4_1:
		dequantQ4_1(dst, src, blocks)
	case gguf.Q5_0:
		dequantQ5_0(dst, src, blocks)
	case gguf.Q5_1:
		dequantQ5_1(dst, src, blocks)
	case gguf.IQ4_NL:
		dequantIQ4_NL(dst, src, blocks)
	case gguf.Q4_K:
		dequantQ4_K(dst, src, blocks)
	case gguf.Q5_K:
		dequantQ5_K(dst, src, blocks)
	case gguf.Q6_K:
		dequantQ6_K(dst, src, blocks)
	default:
		panic(noKernel(t))
	}
}

// noKernel: the loader lets no other type through.
func noKernel(t gguf.Type) string { return "kernel: no kernel for " + t.String() }

// matVecX: 4·groups rows of 32·blocks weights (256·blocks of a K type), stride bytes apart (0 repeats a row).
//
//go:noescape
func matVecF32(y *float32, w *byte, stride int, x *float32, blocks, groups int)

//go:noescape
func matVecF16(y *float32, w *byte, stride int, x *float32, blocks, groups int)

//go:noescape
func matVecBF16(y *float32, w *byte, stride int, x *float32, blocks, groups int)

//go:noescape
func matVecQ8_0(y *float32, w *byte, stride int, x *float32, blocks, groups int)

//go:noescape
func matVecQ4_0(y *float32, w *byte, stride int, x *float32, blocks, groups int)

//go:noescape
func matVecQ4_1(y *float32, w *byte, stride int, x *float32, blocks, groups int)

//go:noescape
func matVecQ5_0(y *float32, w *byte, stride int, x *float32, blocks, groups int)

//go:noescape
func matVecQ5_1(y *float32, w *byte, stride int, x *float32, blocks, groups int)

//go:noescape
func matVecIQ4_NL(y *float32, w *byte, stride int, x *float32, blocks, groups int)

//go:noescape
func matVecQ4_K(y *float32, w *byte, stride int, x *float32, blocks, groups int)

//go:noescape
func matVecQ5_K(y *float32, w *byte, stride int, x *float32, blocks, groups int)

//go:noescape
func matVecQ6_K(y *float32, w *byte, stride int, x *float32, blocks, groups int)

// dequantX: a run of blocks.
//
//go:noescape
func dequantF32(dst *float32, src *byte, blocks int)

//go:noescape
func dequantF16(dst *float32, src *byte, blocks int)

//go:noescape
func dequantBF16(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ8_0(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ4_0(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ4_1(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ5_0(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ5_1(dst *float32, src *byte, blocks int)

//go:noescape
func dequantIQ4_NL(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ4_K(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ5_K(dst *float32, src *byte, blocks int)

//go:noescape
func dequantQ6_K(dst *float32, src *byte, blocks int)

// dotTile: 4 rows of a by 3 rows of b; strides in bytes.
//
//go:noescape
func dotTileWide(a *float32, lda int, b *float32, ldb, k int, c *float32, ca, cb int)

//go:noescape
func dotTile(a *float32, lda int, b *float32, ldb, k int, c *float32, ca, cb int)

// mixAsm: three rows; strides in bytes.
//
//go:noescape
func mixAsm(out *float32, ldo int, p *float32, ldp int, v *float32, n, ldv, dim int)

//go:noescape
func expSumAsm(dst, src *float32, n int, max, scale float32) float32

//go:noescape
func statsAsm(x *float32, n int, max float32) (sumExp, sumExpX, sumX float32)

//go:noescape
func maxAsm(x *float32, n int) float32

//go:noescape
func swiGLUAsm(dst, gate, up *float32, n int)

//go:noescape
func geGLUAsm(dst, gate, up *float32, n int)

//go:noescape
func rmsNormAsm(dst, x, w *float32, n int, eps float32) float32

func pauseAsm(n int)
