//go:build !noasm

#include "textflag.h"

// Lane masks: eight lanes from offset 32−4·rem have the first rem lanes set.
DATA tail<>+0(SB)/8, $-1
DATA tail<>+8(SB)/8, $-1
DATA tail<>+16(SB)/8, $-1
DATA tail<>+24(SB)/8, $-1
DATA tail<>+32(SB)/8, $0
DATA tail<>+40(SB)/8, $0
DATA tail<>+48(SB)/8, $0
DATA tail<>+56(SB)/8, $0
GLOBL tail<>(SB), RODATA|NOPTR, $64

// The mask for CX mod 8 lanes into Y5; AX is spent.
#define TAILMASK \
	MOVQ CX, AX \
	ANDQ $7, AX \
	NEGQ AX \
	LEAQ tail<>+32(SB), DX \
	VMOVUPS (DX)(AX*4), Y5

// Constants of exp, each eight times, so that they serve as memory operands.
#define C8(off, v) \
	DATA expc<>+(off+0)(SB)/4, v \
	DATA expc<>+(off+4)(SB)/4, v \
	DATA expc<>+(off+8)(SB)/4, v \
	DATA expc<>+(off+12)(SB)/4, v \
	DATA expc<>+(off+16)(SB)/4, v \
	DATA expc<>+(off+20)(SB)/4, v \
	DATA expc<>+(off+24)(SB)/4, v \
	DATA expc<>+(off+28)(SB)/4, v

C8(0, $0xC2AEAC4F)   // −87.3365…: below it 2ⁿ leaves the normal numbers
C8(32, $0x42B0C0A5)  // 88.3763: above it 2ⁿ overflows
C8(64, $0x3FB8AA3B)  // log2(e)
C8(96, $0x3F318000)  // ln 2, upper bits: n·ln2hi is exact
C8(128, $0xB95E8083) // ln 2 − ln2hi
C8(160, $0x3F800000) // 1 = 1/1! = 1/0!
C8(192, $0x3F000000) // 1/2!
C8(224, $0x3E2AAAAB) // 1/3!
C8(256, $0x3D2AAAAB) // 1/4!
C8(288, $0x3C088889) // 1/5!
C8(320, $0x3AB60B61) // 1/6!
C8(352, $0x39500D01) // 1/7!
C8(384, $127)
C8(416, $0xBFCC422A) // −2√(2/π)
C8(448, $0xBD922279) // −2√(2/π)·0.044715
GLOBL expc<>(SB), RODATA|NOPTR, $480

// Y0 = exp(Y0) to about 1 ulp; spends Y1, Y2, Y3. x = n·ln2 + r, |r| ≤ ln2/2, Taylor to
// r⁷/7! (remainder 5e−9), times 2ⁿ. Input is clamped to the normal range; VMAXPS and VMINPS
// return their last (here: first) operand for NaN, so a NaN stays one.
#define EXP \
	VMOVUPS expc<>+0(SB), Y1 \
	VMAXPS  Y0, Y1, Y0 \
	VMOVUPS expc<>+32(SB), Y1 \
	VMINPS  Y0, Y1, Y0 \
	VMULPS  expc<>+64(SB), Y0, Y1 \
	VROUNDPS $0, Y1, Y1 \
	VFNMADD231PS expc<>+96(SB), Y1, Y0 \
	VFNMADD231PS expc<>+128(SB), Y1, Y0 \
	VCVTPS2DQ Y1, Y1 \
	VPADDD  expc<>+384(SB), Y1, Y1 \
	VPSLLD  $23, Y1, Y1 \
	VMOVUPS expc<>+352(SB), Y2 \
	VFMADD213PS expc<>+320(SB), Y0, Y2 \
	VFMADD213PS expc<>+288(SB), Y0, Y2 \
	VFMADD213PS expc<>+256(SB), Y0, Y2 \
	VFMADD213PS expc<>+224(SB), Y0, Y2 \
	VFMADD213PS expc<>+192(SB), Y0, Y2 \
	VFMADD213PS expc<>+160(SB), Y0, Y2 \
	VFMADD213PS expc<>+160(SB), Y0, Y2 \
	VMULPS  Y1, Y2, Y0

// a := ((l0+l1)+(l2+l3)) + ((l4+l5)+(l6+l7)) in lane 0.
#define REDUCE(a, xa, t, xt) \
	VHADDPS a, a, a \
	VHADDPS a, a, a \
	VEXTRACTF128 $1, a, xt \
	VADDSS xt, xa, xa

// func expSumAsm(dst, src *float32, n int, max, scale float32) float32
TEXT ·expSumAsm(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS max+24(FP), Y6
	VBROADCASTSS scale+28(FP), Y7
	VXORPS Y4, Y4, Y4
	TAILMASK
	MOVQ CX, BX
	SHRQ $3, BX
	JZ   rest

loop:
	VMOVUPS (SI), Y0
	VSUBPS  Y6, Y0, Y0
	VMULPS  Y7, Y0, Y0
	EXP
	VMOVUPS Y0, (DI)
	VADDPS  Y0, Y4, Y4
	ADDQ    $32, SI
	ADDQ    $32, DI
	DECQ    BX
	JNZ     loop

rest:
	TESTQ $7, CX
	JZ    done
	VMASKMOVPS (SI), Y5, Y0
	VSUBPS  Y6, Y0, Y0
	VMULPS  Y7, Y0, Y0
	EXP
	VMASKMOVPS Y0, Y5, (DI)
	VANDPS  Y5, Y0, Y0
	VADDPS  Y0, Y4, Y4

done:
	REDUCE(Y4, X4, Y0, X0)
	VMOVSS X4, ret+32(FP)
	VZEROUPPER
	RET

// func statsAsm(x *float32, n int, max float32) (sumExp, sumExpX, sumX float32)
// Y4 Σe, Y7 Σe·(x−max), Y8 Σx.
TEXT ·statsAsm(SB), NOSPLIT, $0-36
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VBROADCASTSS max+16(FP), Y6
	VXORPS Y4, Y4, Y4
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	TAILMASK
	MOVQ CX, BX
	SHRQ $3, BX
	JZ   rest

loop:
	VMOVUPS (SI), Y0
	VADDPS  Y0, Y8, Y8
	VSUBPS  Y6, Y0, Y0
	VMOVAPS Y0, Y9
	EXP
	VADDPS  Y0, Y4, Y4
	VFMADD231PS Y0, Y9, Y7
	ADDQ    $32, SI
	DECQ    BX
	JNZ     loop

rest:
	TESTQ $7, CX
	JZ    done
	VMASKMOVPS (SI), Y5, Y0
	VADDPS  Y0, Y8, Y8
	VSUBPS  Y6, Y0, Y0
	VMOVAPS Y0, Y9
	EXP
	VANDPS  Y5, Y0, Y0
	VANDPS  Y5, Y9, Y9
	VADDPS  Y0, Y4, Y4
	VFMADD231PS Y0, Y9, Y7

done:
	REDUCE(Y4, X4, Y0, X0)
	REDUCE(Y7, X7, Y0, X0)
	REDUCE(Y8, X8, Y0, X0)
	VMOVSS X4, sumExp+24(FP)
	VMOVSS X7, sumExpX+28(FP)
	VMOVSS X8, sumX+32(FP)
	VZEROUPPER
	RET

// func maxAsm(x *float32, n int) float32
// n ≥ 1. A NaN may or may not win; callers test sums, where it always shows.
TEXT ·maxAsm(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VBROADCASTSS (SI), Y0
	VMOVAPS Y0, Y1
	VMOVAPS Y0, Y2
	VMOVAPS Y0, Y3
	TAILMASK
	MOVQ CX, BX
	SHRQ $5, BX
	JZ   eights

loop:
	VMAXPS   (SI), Y0, Y0
	VMAXPS 32(SI), Y1, Y1
	VMAXPS 64(SI), Y2, Y2
	VMAXPS 96(SI), Y3, Y3
	ADDQ   $128, SI
	DECQ   BX
	JNZ    loop
	VMAXPS Y1, Y0, Y0
	VMAXPS Y3, Y2, Y2
	VMAXPS Y2, Y0, Y0

eights:
	MOVQ CX, BX
	SHRQ $3, BX
	ANDQ $3, BX
	JZ   rest

eight:
	VMAXPS (SI), Y0, Y0
	ADDQ   $32, SI
	DECQ   BX
	JNZ    eight

rest:
	TESTQ $7, CX
	JZ    done
	VMASKMOVPS (SI), Y5, Y1
	VMAXPS    Y1, Y0, Y1
	VBLENDVPS Y5, Y1, Y0, Y0

done:
	VEXTRACTF128 $1, Y0, X1
	VMAXPS X1, X0, X0
	VPERMILPS $0x4E, X0, X1
	VMAXPS X1, X0, X0
	VPERMILPS $0xB1, X0, X1
	VMAXPS X1, X0, X0
	VMOVSS X0, ret+16(FP)
	VZEROUPPER
	RET

// −Y0
#define SILU \
	VXORPS  Y1, Y1, Y1 \
	VSUBPS  Y0, Y1, Y0

// −2√(2/π)·(Y0 + 0.044715·Y0³)
#define GELU \
	VMULPS Y0, Y0, Y1 \
	VMOVUPS expc<>+448(SB), Y2 \
	VFMADD213PS expc<>+416(SB), Y2, Y1 \
	VMULPS Y1, Y0, Y0

// Y0 = Y0/(1+exp(A(Y0)))·Y9; spends Y1–Y3, Y8.
#define GATE(A) \
	VMOVAPS Y0, Y8 \
	A \
	EXP \
	VADDPS  expc<>+160(SB), Y0, Y0 \
	VDIVPS  Y0, Y8, Y0 \
	VMULPS  Y9, Y0, Y0

// func xGLUAsm(dst, gate, up *float32, n int)
#define GLU(name, A) \
TEXT name(SB), NOSPLIT, $0-32 \
	MOVQ dst+0(FP), DI \
	MOVQ gate+8(FP), SI \
	MOVQ up+16(FP), R8 \
	MOVQ n+24(FP), CX \
	TAILMASK \
	MOVQ CX, BX \
	SHRQ $3, BX \
	JZ   rest \
loop: \
	VMOVUPS (SI), Y0 \
	VMOVUPS (R8), Y9 \
	GATE(A) \
	VMOVUPS Y0, (DI) \
	ADDQ    $32, SI \
	ADDQ    $32, R8 \
	ADDQ    $32, DI \
	DECQ    BX \
	JNZ     loop \
rest: \
	TESTQ $7, CX \
	JZ    done \
	VMASKMOVPS (SI), Y5, Y0 \
	VMASKMOVPS (R8), Y5, Y9 \
	GATE(A) \
	VMASKMOVPS Y0, Y5, (DI) \
done: \
	VZEROUPPER \
	RET

GLU(·swiGLUAsm, SILU)
GLU(·geGLUAsm, GELU)

// func rmsNormAsm(dst, x, w *float32, n int, eps float32) float32
// Returns the mean square. n is a multiple of 8.
TEXT ·rmsNormAsm(SB), NOSPLIT, $0-44
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ w+16(FP), R8
	MOVQ n+24(FP), CX
	VCVTSI2SSQ CX, X7, X7
	SHLQ $2, CX
	XORQ AX, AX
	VXORPS Y0, Y0, Y0

square:
	VMOVUPS (SI)(AX*1), Y1
	VFMADD231PS Y1, Y1, Y0
	ADDQ $32, AX
	CMPQ AX, CX
	JLT  square
	REDUCE(Y0, X0, Y1, X1)
	VDIVSS  X7, X0, X0
	VMOVSS  X0, ret+40(FP)
	VADDSS  eps+32(FP), X0, X0
	VSQRTSS X0, X0, X0
	VMOVSS  expc<>+160(SB), X1
	VDIVSS  X0, X1, X0
	VBROADCASTSS X0, Y0
	XORQ AX, AX

scale:
	VMULPS (SI)(AX*1), Y0, Y1
	VMULPS (R8)(AX*1), Y1, Y1
	VMOVUPS Y1, (DI)(AX*1)
	ADDQ $32, AX
	CMPQ AX, CX
	JLT  scale
	VZEROUPPER
	RET

// func mixAsm(out *float32, ldo int, p *float32, ldp int, v *float32, n, ldv, dim int)
// out[i] += Σ_t p[i][t]·v[t] for three rows i. A pass does 32 columns (twelve
// accumulators), then 8 at a time; every sum runs over t in order. dim is a multiple of 8.
TEXT ·mixAsm(SB), NOSPLIT, $0-64
	MOVQ out+0(FP), R8
	MOVQ ldo+8(FP), AX
	LEAQ (R8)(AX*1), R9
	LEAQ (R8)(AX*2), R10
	MOVQ p+16(FP), R11
	MOVQ ldp+24(FP), AX
	LEAQ (R11)(AX*1), R12
	LEAQ (R11)(AX*2), R13
	MOVQ v+32(FP), SI
	MOVQ n+40(FP), CX
	MOVQ ldv+48(FP), DI
	MOVQ dim+56(FP), DX

wide:
	CMPQ DX, $32
	JLT  narrow
	VMOVUPS   (R8), Y0
	VMOVUPS 32(R8), Y1
	VMOVUPS 64(R8), Y2
	VMOVUPS 96(R8), Y3
	VMOVUPS   (R9), Y4
	VMOVUPS 32(R9), Y5
	VMOVUPS 64(R9), Y6
	VMOVUPS 96(R9), Y7
	VMOVUPS   (R10), Y8
	VMOVUPS 32(R10), Y9
	VMOVUPS 64(R10), Y10
	VMOVUPS 96(R10), Y11
	MOVQ SI, AX
	XORQ BX, BX

wideloop:
	VBROADCASTSS (R11)(BX*4), Y12
	VBROADCASTSS (R12)(BX*4), Y13
	VBROADCASTSS (R13)(BX*4), Y14
	VMOVUPS (AX), Y15
	VFMADD231PS Y15, Y12, Y0
	VFMADD231PS Y15, Y13, Y4
	VFMADD231PS Y15, Y14, Y8
	VMOVUPS 32(AX), Y15
	VFMADD231PS Y15, Y12, Y1
	VFMADD231PS Y15, Y13, Y5
	VFMADD231PS Y15, Y14, Y9
	VMOVUPS 64(AX), Y15
	VFMADD231PS Y15, Y12, Y2
	VFMADD231PS Y15, Y13, Y6
	VFMADD231PS Y15, Y14, Y10
	VMOVUPS 96(AX), Y15
	VFMADD231PS Y15, Y12, Y3
	VFMADD231PS Y15, Y13, Y7
	VFMADD231PS Y15, Y14, Y11
	ADDQ DI, AX
	INCQ BX
	CMPQ BX, CX
	JLT  wideloop
	VMOVUPS Y0,   (R8)
	VMOVUPS Y1, 32(R8)
	VMOVUPS Y2, 64(R8)
	VMOVUPS Y3, 96(R8)
	VMOVUPS Y4,   (R9)
	VMOVUPS Y5, 32(R9)
	VMOVUPS Y6, 64(R9)
	VMOVUPS Y7, 96(R9)
	VMOVUPS Y8,   (R10)
	VMOVUPS Y9, 32(R10)
	VMOVUPS Y10, 64(R10)
	VMOVUPS Y11, 96(R10)
	ADDQ $128, R8
	ADDQ $128, R9
	ADDQ $128, R10
	ADDQ $128, SI
	SUBQ $32, DX
	JMP  wide

narrow:
	CMPQ DX, $8
	JLT  done
	VMOVUPS (R8), Y0
	VMOVUPS (R9), Y1
	VMOVUPS (R10), Y2
	MOVQ SI, AX
	XORQ BX, BX

narrowloop:
	VMOVUPS (AX), Y15
	VBROADCASTSS (R11)(BX*4), Y12
	VBROADCASTSS (R12)(BX*4), Y13
	VBROADCASTSS (R13)(BX*4), Y14
	VFMADD231PS Y15, Y12, Y0
	VFMADD231PS Y15, Y13, Y1
	VFMADD231PS Y15, Y14, Y2
	ADDQ DI, AX
	INCQ BX
	CMPQ BX, CX
	JLT  narrowloop
	VMOVUPS Y0, (R8)
	VMOVUPS Y1, (R9)
	VMOVUPS Y2, (R10)
	ADDQ $32, R8
	ADDQ $32, R9
	ADDQ $32, R10
	ADDQ $32, SI
	SUBQ $8, DX
	JMP  narrow

done:
	VZEROUPPER
	RET

// func pauseAsm(n int)
TEXT ·pauseAsm(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

loop:
	PAUSE
	DECQ CX
	JNZ  loop
	RET
