//go:build !noasm

#include "textflag.h"

// Register plan of the linear kernels. A block is 32 weights of one row.
//
//	Y0–Y3    one accumulator a row: eight partial sums, lane i holds k ≡ i (mod 8)
//	Y4, Y5   offset and scale of the block
//	Y6–Y9    the block's weights 0–7, 8–15, 16–23, 24–31 as float32
//	Y10, Y11 constants
//	Y12–Y15  the block's inputs
//
// W_x(p) puts the block at p+AX into Y6–Y9. DOT adds it to an accumulator, always
// in the order 0–7, 8–15, 16–23, 24–31, so that every path to a dot product
// (one column or many, fused or through a tile) rounds alike.

#define W_F32(p) \
	VMOVUPS   (p)(AX*1), Y6 \
	VMOVUPS 32(p)(AX*1), Y7 \
	VMOVUPS 64(p)(AX*1), Y8 \
	VMOVUPS 96(p)(AX*1), Y9

#define W_F16(p) \
	VCVTPH2PS   (p)(AX*1), Y6 \
	VCVTPH2PS 16(p)(AX*1), Y7 \
	VCVTPH2PS 32(p)(AX*1), Y8 \
	VCVTPH2PS 48(p)(AX*1), Y9

#define W_BF16(p) \
	VPMOVZXWD   (p)(AX*1), Y6 \
	VPMOVZXWD 16(p)(AX*1), Y7 \
	VPMOVZXWD 32(p)(AX*1), Y8 \
	VPMOVZXWD 48(p)(AX*1), Y9 \
	VPSLLD $16, Y6, Y6 \
	VPSLLD $16, Y7, Y7 \
	VPSLLD $16, Y8, Y8 \
	VPSLLD $16, Y9, Y9

// d·q
#define W_Q8_0(p) \
	VPBROADCASTW (p)(AX*1), X5 \
	VPMOVSXBD  2(p)(AX*1), Y6 \
	VPMOVSXBD 10(p)(AX*1), Y7 \
	VPMOVSXBD 18(p)(AX*1), Y8 \
	VPMOVSXBD 26(p)(AX*1), Y9 \
	VCVTPH2PS X5, Y5 \
	VCVTDQ2PS Y6, Y6 \
	VCVTDQ2PS Y7, Y7 \
	VCVTDQ2PS Y8, Y8 \
	VCVTDQ2PS Y9, Y9 \
	VMULPS Y5, Y6, Y6 \
	VMULPS Y5, Y7, Y7 \
	VMULPS Y5, Y8, Y8 \
	VMULPS Y5, Y9, Y9

// Nibbles at off(p) to Y6–Y9, then d·q + m with d in Y5, m in Y4, 15 in Y10.
#define NIBBLES(off0, off1, p) \
	VPMOVZXBD off0(p)(AX*1), Y6 \
	VPMOVZXBD off1(p)(AX*1), Y7 \
	VPSRLD $4, Y6, Y8 \
	VPSRLD $4, Y7, Y9 \
	VPAND Y10, Y6, Y6 \
	VPAND Y10, Y7, Y7 \
	VCVTDQ2PS Y6, Y6 \
	VCVTDQ2PS Y7, Y7 \
	VCVTDQ2PS Y8, Y8 \
	VCVTDQ2PS Y9, Y9 \
	VFMADD213PS Y4, Y5, Y6 \
	VFMADD213PS Y4, Y5, Y7 \
	VFMADD213PS Y4, Y5, Y8 \
	VFMADD213PS Y4, Y5, Y9

// d·(q−8): m = −8·d, which is exact. −8 in Y11.
#define W_Q4_0(p) \
	VPBROADCASTW (p)(AX*1), X5 \
	VCVTPH2PS X5, Y5 \
	VMULPS Y11, Y5, Y4 \
	NIBBLES(2, 10, p)

// d·q + m: one broadcast brings both halves, even lanes d, odd lanes m.
#define W_Q4_1(p) \
	VPBROADCASTD (p)(AX*1), X4 \
	VCVTPH2PS X4, Y4 \
	VMOVSLDUP Y4, Y5 \
	VMOVSHDUP Y4, Y4 \
	NIBBLES(4, 12, p)

#define DOT(acc) \
	VFMADD231PS Y6, Y12, acc \
	VFMADD231PS Y7, Y13, acc \
	VFMADD231PS Y8, Y14, acc \
	VFMADD231PS Y9, Y15, acc

// Four accumulators to four sums in the low half of a; b, c, d are spent.
// Each is ((l0+l1)+(l2+l3)) + ((l4+l5)+(l6+l7)).
#define REDUCE4(a, b, c, d, xa, xb) \
	VHADDPS b, a, a \
	VHADDPS d, c, c \
	VHADDPS c, a, a \
	VEXTRACTF128 $1, a, xb \
	VADDPS xb, xa, xa

DATA fifteen<>+0(SB)/4, $15
GLOBL fifteen<>(SB), RODATA|NOPTR, $4
DATA minusEight<>+0(SB)/4, $0xC1000000
GLOBL minusEight<>(SB), RODATA|NOPTR, $4

#define CONSTANTS \
	VPBROADCASTD fifteen<>(SB), Y10 \
	VBROADCASTSS minusEight<>(SB), Y11

// Weights come from memory, and the hardware's prefetchers follow neither four pointers that move a
// third of a line at a time nor runs across pages. So the loops ask for what they will reach AHEAD
// bytes later: FETCHn for n lines of a group's four rows, which are one run of bytes, and before the
// first group for its beginning. Asking past the end of the matrix does no harm.
#define AHEAD 4096
#define FETCH2 \
	PREFETCHT0   (DX) \
	PREFETCHT0 64(DX)
#define FETCH3 \
	FETCH2 \
	PREFETCHT0 128(DX)
#define FETCH4 \
	FETCH3 \
	PREFETCHT0 192(DX)

// func matVecX(y *float32, w *byte, stride int, x *float32, blocks, groups int)
// Four rows at a time, so that their chains of additions overlap.
#define MATVEC(name, W, size, FETCH) \
TEXT name(SB), NOSPLIT, $0-48 \
	MOVQ y+0(FP), DI \
	MOVQ w+8(FP), R8 \
	MOVQ stride+16(FP), R9 \
	MOVQ blocks+32(FP), R13 \
	MOVQ groups+40(FP), BX \
	CONSTANTS \
	LEAQ AHEAD(R8), DX \
	MOVQ R8, AX \
first: \
	PREFETCHT0   (AX) \
	PREFETCHT0 64(AX) \
	ADDQ $128, AX \
	CMPQ AX, DX \
	JLT first \
group: \
	LEAQ (R8)(R9*1), R10 \
	LEAQ (R8)(R9*2), R11 \
	LEAQ (R10)(R9*2), R12 \
	MOVQ x+24(FP), SI \
	LEAQ AHEAD(R8), DX \
	MOVQ R13, CX \
	XORQ AX, AX \
	VXORPS Y0, Y0, Y0 \
	VXORPS Y1, Y1, Y1 \
	VXORPS Y2, Y2, Y2 \
	VXORPS Y3, Y3, Y3 \
block: \
	VMOVUPS   (SI), Y12 \
	VMOVUPS 32(SI), Y13 \
	VMOVUPS 64(SI), Y14 \
	VMOVUPS 96(SI), Y15 \
	W(R8) \
	DOT(Y0) \
	W(R10) \
	DOT(Y1) \
	W(R11) \
	DOT(Y2) \
	W(R12) \
	DOT(Y3) \
	FETCH \
	ADDQ $(4*size), DX \
	ADDQ $128, SI \
	ADDQ $size, AX \
	DECQ CX \
	JNZ block \
	REDUCE4(Y0, Y1, Y2, Y3, X0, X1) \
	VMOVUPS X0, (DI) \
	ADDQ $16, DI \
	LEAQ (R8)(R9*4), R8 \
	DECQ BX \
	JNZ group \
	VZEROUPPER \
	RET

MATVEC(·matVecF32, W_F32, 128, FETCH4)
MATVEC(·matVecF16, W_F16, 64, FETCH4)
MATVEC(·matVecBF16, W_BF16, 64, FETCH4)
MATVEC(·matVecQ8_0, W_Q8_0, 34, FETCH3)
MATVEC(·matVecQ4_0, W_Q4_0, 18, FETCH2)
MATVEC(·matVecQ4_1, W_Q4_1, 20, FETCH2)

// func dequantX(dst *float32, src *byte, blocks int)
#define DEQUANT(name, W, size) \
TEXT name(SB), NOSPLIT, $0-24 \
	MOVQ dst+0(FP), DI \
	MOVQ src+8(FP), R8 \
	MOVQ blocks+16(FP), CX \
	XORQ AX, AX \
	CONSTANTS \
block: \
	PREFETCHT0 AHEAD(R8)(AX*1) \
	W(R8) \
	VMOVUPS Y6,   (DI) \
	VMOVUPS Y7, 32(DI) \
	VMOVUPS Y8, 64(DI) \
	VMOVUPS Y9, 96(DI) \
	ADDQ $128, DI \
	ADDQ $size, AX \
	DECQ CX \
	JNZ block \
	VZEROUPPER \
	RET

DEQUANT(·dequantF32, W_F32, 128)
DEQUANT(·dequantF16, W_F16, 64)
DEQUANT(·dequantBF16, W_BF16, 64)
DEQUANT(·dequantQ8_0, W_Q8_0, 34)
DEQUANT(·dequantQ4_0, W_Q4_0, 18)
DEQUANT(·dequantQ4_1, W_Q4_1, 20)

#define TILEROW(p, c0, c1, c2) \
	VMOVUPS (p)(AX*1), Y15 \
	VFMADD231PS Y15, Y12, c0 \
	VFMADD231PS Y15, Y13, c1 \
	VFMADD231PS Y15, Y14, c2

#define TILESTORE(x, c) \
	VMOVSS x, (c) \
	VEXTRACTPS $1, x, (c)(R8*1) \
	VEXTRACTPS $2, x, (c)(R8*2) \
	VEXTRACTPS $3, x, (c)(R10*1)

// func dotTile(a *float32, lda int, b *float32, ldb, k int, c *float32, ca, cb int)
// Twelve accumulators, three inputs, one row: all sixteen registers.
TEXT ·dotTile(SB), NOSPLIT, $0-64
	MOVQ a+0(FP), R8
	MOVQ lda+8(FP), R9
	LEAQ (R8)(R9*1), R10
	LEAQ (R8)(R9*2), R11
	LEAQ (R10)(R9*2), R12
	MOVQ b+16(FP), SI
	MOVQ ldb+24(FP), R9
	LEAQ (SI)(R9*1), DI
	LEAQ (SI)(R9*2), DX
	MOVQ k+32(FP), CX
	SHLQ $2, CX
	XORQ AX, AX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11

loop:
	VMOVUPS (SI)(AX*1), Y12
	VMOVUPS (DI)(AX*1), Y13
	VMOVUPS (DX)(AX*1), Y14
	TILEROW(R8, Y0, Y4, Y8)
	TILEROW(R10, Y1, Y5, Y9)
	TILEROW(R11, Y2, Y6, Y10)
	TILEROW(R12, Y3, Y7, Y11)
	ADDQ $32, AX
	CMPQ AX, CX
	JLT  loop

	REDUCE4(Y0, Y1, Y2, Y3, X0, X12)
	REDUCE4(Y4, Y5, Y6, Y7, X4, X13)
	REDUCE4(Y8, Y9, Y10, Y11, X8, X14)
	MOVQ c+40(FP), DI
	MOVQ ca+48(FP), R8
	MOVQ cb+56(FP), R9
	LEAQ (R8)(R8*2), R10
	TILESTORE(X0, DI)
	ADDQ R9, DI
	TILESTORE(X4, DI)
	ADDQ R9, DI
	TILESTORE(X8, DI)
	VZEROUPPER
	RET
