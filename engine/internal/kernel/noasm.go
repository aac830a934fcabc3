//go:build !amd64 || noasm

package kernel

import (
	"runtime"

	"gnothi/engine/gguf"
)

const useAsm, useWide = false, false

// Path names the kernels in use. Results are reproducible bit for bit only on the same path.
func Path() string { return "go" }

// Pause tells that a loop is spinning.
func Pause(int) { runtime.Gosched() }

const unreachable = "kernel: no assembly in this build"

func matVec(gguf.Type, *float32, *byte, int, *float32, int, int)    { panic(unreachable) }
func dequant(gguf.Type, *float32, *byte, int)                       { panic(unreachable) }
func dotTile(*float32, int, *float32, int, int, *float32, int, int) { panic(unreachable) }
func dotTileWide(*float32, int, *float32, int, int, *float32, int, int) {
	panic(unreachable)
}
func mixAsm(*float32, int, *float32, int, *float32, int, int, int) { panic(unreachable) }
func expSumAsm(_, _ *float32, _ int, _, _ float32) float32         { panic(unreachable) }
func statsAsm(*float32, int, float32) (a, b, c float32)            { panic(unreachable) }
func maxAsm(*float32, int) float32                                 { panic(unreachable) }
func swiGLUAsm(_, _, _ *float32, _ int)                            { panic(unreachable) }
func geGLUAsm(_, _, _ *float32, _ int)                             { panic(unreachable) }
func rmsNormAsm(_, _, _ *float32, _ int, _ float32) float32        { panic(unreachable) }
