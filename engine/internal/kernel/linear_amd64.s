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

// A vector of eight equal numbers, for a memory operand.
#define EIGHT(name, v) \
	DATA name<>+0(SB)/4, v \
	DATA name<>+4(SB)/4, v \
	DATA name<>+8(SB)/4, v \
	DATA name<>+12(SB)/4, v \
	DATA name<>+16(SB)/4, v \
	DATA name<>+20(SB)/4, v \
	DATA name<>+24(SB)/4, v \
	DATA name<>+28(SB)/4, v \
	GLOBL name<>(SB), RODATA|NOPTR, $32

EIGHT(sixteens, $0x41800000)          // 16
EIGHT(minusSixteens, $0xC1800000)     // −16
EIGHT(minusThirtyTwos, $0xC2000000)   // −32
EIGHT(sixBits, $63)
EIGHT(bitsFourFive, $0x30)

// How far to the left bit i must go to become the sign, for i from 0 to 31.
#define FOUR(off, a, b, c, d) \
	DATA fifths<>+(off+0)(SB)/4, a \
	DATA fifths<>+(off+4)(SB)/4, b \
	DATA fifths<>+(off+8)(SB)/4, c \
	DATA fifths<>+(off+12)(SB)/4, d
FOUR(0, $31, $30, $29, $28)
FOUR(16, $27, $26, $25, $24)
FOUR(32, $23, $22, $21, $20)
FOUR(48, $19, $18, $17, $16)
FOUR(64, $15, $14, $13, $12)
FOUR(80, $11, $10, $9, $8)
FOUR(96, $7, $6, $5, $4)
FOUR(112, $3, $2, $1, $0)
GLOBL fifths<>(SB), RODATA|NOPTR, $128

DATA upperFours<>+0(SB)/8, $0
DATA upperFours<>+8(SB)/8, $0
DATA upperFours<>+16(SB)/8, $0x400000004
DATA upperFours<>+24(SB)/8, $0x400000004
GLOBL upperFours<>(SB), RODATA|NOPTR, $32

DATA lowNibbles<>+0(SB)/8, $0x0F0F0F0F0F0F0F0F
DATA lowNibbles<>+8(SB)/8, $0x0F0F0F0F0F0F0F0F
GLOBL lowNibbles<>(SB), RODATA|NOPTR, $16

// IQ4_NL's steps: −127, −104, −83, −65, −49, −35, −22, −10, 1, 13, 25, 38, 53, 69, 89, 113.
DATA levels<>+0(SB)/8, $0xF6EADDCFBFAD9881
DATA levels<>+8(SB)/8, $0x7159453526190D01
GLOBL levels<>(SB), RODATA|NOPTR, $16

// Eight weights w of nibbles with their fifth bits: the bit, moved to the sign, chooses what is added
// to d·nibble: m in Y4 or m + 16·d in Y10. Bits in Y11, d in Y5.
#define FIFTH(off, w) \
	VPSLLVD fifths<>+off(SB), Y11, Y15 \
	VBLENDVPS Y15, Y10, Y4, Y15 \
	VFMADD213PS Y15, Y5, w

// The fourth input, whose register was needed, comes again from where every caller has it.
#define FIVES(off0, off1, p) \
	VPMOVZXBD off0(p)(AX*1), Y6 \
	VPMOVZXBD off1(p)(AX*1), Y7 \
	VPSRLD $4, Y6, Y8 \
	VPSRLD $4, Y7, Y9 \
	VPAND fifteens<>(SB), Y6, Y6 \
	VPAND fifteens<>(SB), Y7, Y7 \
	VCVTDQ2PS Y6, Y6 \
	VCVTDQ2PS Y7, Y7 \
	VCVTDQ2PS Y8, Y8 \
	VCVTDQ2PS Y9, Y9 \
	FIFTH(0, Y6) \
	FIFTH(32, Y7) \
	FIFTH(64, Y8) \
	FIFTH(96, Y9) \
	VMOVUPS 96(SI), Y15

// d·(q−16)
#define W_Q5_0(p) \
	VPBROADCASTW (p)(AX*1), X5 \
	VPBROADCASTD 2(p)(AX*1), Y11 \
	VCVTPH2PS X5, Y5 \
	VMULPS minusSixteens<>(SB), Y5, Y4 \
	VXORPS Y10, Y10, Y10 \
	FIVES(6, 14, p)

// d·q + m
#define W_Q5_1(p) \
	VPBROADCASTD (p)(AX*1), X4 \
	VPBROADCASTD 4(p)(AX*1), Y11 \
	VCVTPH2PS X4, Y4 \
	VMOVSLDUP Y4, Y5 \
	VMOVSHDUP Y4, Y4 \
	VMOVAPS Y4, Y10 \
	VFMADD231PS sixteens<>(SB), Y5, Y10 \
	FIVES(8, 16, p)

// d·levels[q]
#define W_IQ4_NL(p) \
	VPBROADCASTW (p)(AX*1), X5 \
	VMOVDQU 2(p)(AX*1), X6 \
	VMOVDQU levels<>(SB), X9 \
	VCVTPH2PS X5, Y5 \
	VPSRLW $4, X6, X8 \
	VPAND lowNibbles<>(SB), X6, X6 \
	VPAND lowNibbles<>(SB), X8, X8 \
	VPSHUFB X6, X9, X6 \
	VPSHUFB X8, X9, X8 \
	VPSRLDQ $8, X6, X7 \
	VPSRLDQ $8, X8, X9 \
	VPMOVSXBD X6, Y6 \
	VPMOVSXBD X7, Y7 \
	VPMOVSXBD X8, Y8 \
	VPMOVSXBD X9, Y9 \
	VCVTDQ2PS Y6, Y6 \
	VCVTDQ2PS Y7, Y7 \
	VCVTDQ2PS Y8, Y8 \
	VCVTDQ2PS Y9, Y9 \
	VMULPS Y5, Y6, Y6 \
	VMULPS Y5, Y7, Y7 \
	VMULPS Y5, Y8, Y8 \
	VMULPS Y5, Y9, Y9

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

EIGHT(fifteens, $15)
DATA minusEight<>+0(SB)/4, $0xC1000000
GLOBL minusEight<>(SB), RODATA|NOPTR, $4

#define CONSTANTS \
	VMOVDQU fifteens<>(SB), Y10 \
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
MATVEC(·matVecQ5_0, W_Q5_0, 22, FETCH2)
MATVEC(·matVecQ5_1, W_Q5_1, 24, FETCH2)
MATVEC(·matVecIQ4_NL, W_IQ4_NL, 18, FETCH2)

// func dequantX(dst *float32, src *byte, blocks int)
#define STORE(off) \
	VMOVUPS Y6, (off+0)(SI) \
	VMOVUPS Y7, (off+32)(SI) \
	VMOVUPS Y8, (off+64)(SI) \
	VMOVUPS Y9, (off+96)(SI)

#define DEQUANT(name, W, size) \
TEXT name(SB), NOSPLIT, $0-24 \
	MOVQ dst+0(FP), SI \
	MOVQ src+8(FP), R8 \
	MOVQ blocks+16(FP), CX \
	XORQ AX, AX \
	CONSTANTS \
block: \
	PREFETCHT0 AHEAD(R8)(AX*1) \
	W(R8) \
	STORE(0) \
	ADDQ $128, SI \
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
DEQUANT(·dequantQ5_0, W_Q5_0, 22)
DEQUANT(·dequantQ5_1, W_Q5_1, 24)
DEQUANT(·dequantIQ4_NL, W_IQ4_NL, 18)

// The K types: super-blocks of eight groups of 32. S_x(p, at) unpacks the scales of the super-block at
// p+AX into float32 on the stack, from at on; W_x(p, at, j, N) puts group j into Y6–Y9, where N
// brings the integers there. Inputs or outputs of group j are at 128·j(SI).

// d·scale[8], dmin·min[8]; see gguf.scaleMin for how they are packed. d·scale stays in Y6, the other in Y7.
#define S_Q4_K(p, at) \
	VPBROADCASTD (p)(AX*1), X4 \
	VPMOVZXBD 4(p)(AX*1), Y6 \
	VPBROADCASTD 12(p)(AX*1), X7 \
	VCVTPH2PS X4, Y4 \
	VPMOVZXBD X7, Y7 \
	VMOVSLDUP Y4, Y5 \
	VMOVSHDUP Y4, Y4 \
	VPAND sixBits<>(SB), Y6, Y8 \
	VPSRLVD upperFours<>(SB), Y7, Y7 \
	VPSRLD $2, Y6, Y6 \
	VPAND Y10, Y7, Y7 \
	VPAND bitsFourFive<>(SB), Y6, Y6 \
	VPOR Y6, Y7, Y7 \
	VPERM2I128 $0x20, Y7, Y8, Y6 \
	VPERM2I128 $0x31, Y7, Y8, Y7 \
	VCVTDQ2PS Y6, Y6 \
	VCVTDQ2PS Y7, Y7 \
	VMULPS Y5, Y6, Y6 \
	VMULPS Y4, Y7, Y7 \
	VMOVUPS Y6, (at+0)(SP) \
	VMOVUPS Y7, (at+32)(SP)

// And dmin·min − 16·d·scale, to be subtracted where the fifth bit is set.
#define S_Q5_K(p, at) \
	S_Q4_K(p, at) \
	VFNMADD231PS sixteens<>(SB), Y6, Y7 \
	VMOVUPS Y7, (at+64)(SP)

// d·scale[16], −32·d·scale[16], which is exact
#define S_Q6_K(p, at) \
	VPBROADCASTW 208(p)(AX*1), X5 \
	VPMOVSXBD 192(p)(AX*1), Y6 \
	VPMOVSXBD 200(p)(AX*1), Y7 \
	VCVTPH2PS X5, Y5 \
	VCVTDQ2PS Y6, Y6 \
	VCVTDQ2PS Y7, Y7 \
	VMULPS Y5, Y6, Y6 \
	VMULPS Y5, Y7, Y7 \
	VMOVUPS Y6, (at+0)(SP) \
	VMOVUPS Y7, (at+32)(SP) \
	VMULPS minusThirtyTwos<>(SB), Y6, Y6 \
	VMULPS minusThirtyTwos<>(SB), Y7, Y7 \
	VMOVUPS Y6, (at+64)(SP) \
	VMOVUPS Y7, (at+96)(SP)

#define LOAD(off, p) \
	VPMOVZXBD (off+0)(p)(AX*1), Y6 \
	VPMOVZXBD (off+8)(p)(AX*1), Y7 \
	VPMOVZXBD (off+16)(p)(AX*1), Y8 \
	VPMOVZXBD (off+24)(p)(AX*1), Y9

#define LOW(p, j) \
	VPAND Y10, Y6, Y6 \
	VPAND Y10, Y7, Y7 \
	VPAND Y10, Y8, Y8 \
	VPAND Y10, Y9, Y9

#define HIGH(p, j) \
	VPSRLD $4, Y6, Y6 \
	VPSRLD $4, Y7, Y7 \
	VPSRLD $4, Y8, Y8 \
	VPSRLD $4, Y9, Y9

#define FLOAT \
	VCVTDQ2PS Y6, Y6 \
	VCVTDQ2PS Y7, Y7 \
	VCVTDQ2PS Y8, Y8 \
	VCVTDQ2PS Y9, Y9

#define W_Q4_K(p, at, j, N) \
	LOAD(16+32*(j/2), p) \
	N(p, j) \
	VBROADCASTSS (at+4*j)(SP), Y5 \
	VBROADCASTSS (at+32+4*j)(SP), Y4 \
	FLOAT \
	VFMSUB213PS Y4, Y5, Y6 \
	VFMSUB213PS Y4, Y5, Y7 \
	VFMSUB213PS Y4, Y5, Y8 \
	VFMSUB213PS Y4, Y5, Y9

#define FIFTH_K(off, p, j, w) \
	VPMOVZXBD (16+off)(p)(AX*1), Y15 \
	VPSLLD $(31-j), Y15, Y15 \
	VBLENDVPS Y15, Y11, Y4, Y15 \
	VFMSUB213PS Y15, Y5, w

#define W_Q5_K(p, at, j, N) \
	LOAD(48+32*(j/2), p) \
	N(p, j) \
	VBROADCASTSS (at+4*j)(SP), Y5 \
	VBROADCASTSS (at+32+4*j)(SP), Y4 \
	VBROADCASTSS (at+64+4*j)(SP), Y11 \
	FLOAT \
	FIFTH_K(0, p, j, Y6) \
	FIFTH_K(8, p, j, Y7) \
	FIFTH_K(16, p, j, Y8) \
	FIFTH_K(24, p, j, Y9) \
	VMOVUPS (128*j+96)(SI), Y15

#define TWO(off, p, j, SHIFT, w) \
	VPMOVZXBD (128+32*(j/4)+off)(p)(AX*1), Y4 \
	SHIFT \
	VPAND bitsFourFive<>(SB), Y4, Y4 \
	VPOR Y4, w, w

#define TWOS(p, j, SHIFT) \
	TWO(0, p, j, SHIFT, Y6) \
	TWO(8, p, j, SHIFT, Y7) \
	TWO(16, p, j, SHIFT, Y8) \
	TWO(24, p, j, SHIFT, Y9)

#define LEFT4 VPSLLD $4, Y4, Y4
#define LEFT2 VPSLLD $2, Y4, Y4
#define STAY
#define RIGHT2 VPSRLD $2, Y4, Y4

#define SIX0(p, j) \
	LOW(p, j) \
	TWOS(p, j, LEFT4)
#define SIX1(p, j) \
	LOW(p, j) \
	TWOS(p, j, LEFT2)
#define SIX2(p, j) \
	HIGH(p, j) \
	TWOS(p, j, STAY)
#define SIX3(p, j) \
	HIGH(p, j) \
	TWOS(p, j, RIGHT2)

#define W_Q6_K(p, at, j, N) \
	LOAD(64*(j/4)+32*(j%2), p) \
	N(p, j) \
	VBROADCASTSS (at+8*j)(SP), Y5 \
	VBROADCASTSS (at+64+8*j)(SP), Y4 \
	FLOAT \
	VFMADD213PS Y4, Y5, Y6 \
	VFMADD213PS Y4, Y5, Y7 \
	VBROADCASTSS (at+8*j+4)(SP), Y5 \
	VBROADCASTSS (at+68+8*j)(SP), Y4 \
	VFMADD213PS Y4, Y5, Y8 \
	VFMADD213PS Y4, Y5, Y9

// Group j of four rows.
#define GROUP(W, room, size, j, N) \
	VMOVUPS (128*j+0)(SI), Y12 \
	VMOVUPS (128*j+32)(SI), Y13 \
	VMOVUPS (128*j+64)(SI), Y14 \
	VMOVUPS (128*j+96)(SI), Y15 \
	W(R8, 0, j, N) \
	DOT(Y0) \
	W(R10, (1*room), j, N) \
	DOT(Y1) \
	W(R11, (2*room), j, N) \
	DOT(Y2) \
	W(R12, (3*room), j, N) \
	DOT(Y3) \
	FETCH2 \
	ADDQ $(4*size/8), DX

#define MATVEC_K(name, frame, S, W, room, size, N0, N1, N2, N3) \
TEXT name(SB), NOSPLIT, $frame-48 \
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
	S(R8, 0) \
	S(R10, (1*room)) \
	S(R11, (2*room)) \
	S(R12, (3*room)) \
	GROUP(W, room, size, 0, N0) \
	GROUP(W, room, size, 1, N1) \
	GROUP(W, room, size, 2, N2) \
	GROUP(W, room, size, 3, N3) \
	GROUP(W, room, size, 4, N0) \
	GROUP(W, room, size, 5, N1) \
	GROUP(W, room, size, 6, N2) \
	GROUP(W, room, size, 7, N3) \
	ADDQ $1024, SI \
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

MATVEC_K(·matVecQ4_K, 256, S_Q4_K, W_Q4_K, 64, 144, LOW, HIGH, LOW, HIGH)
MATVEC_K(·matVecQ5_K, 384, S_Q5_K, W_Q5_K, 96, 176, LOW, HIGH, LOW, HIGH)
MATVEC_K(·matVecQ6_K, 512, S_Q6_K, W_Q6_K, 128, 210, SIX0, SIX1, SIX2, SIX3)

#define EXPAND(W, j, N) \
	W(R8, 0, j, N) \
	STORE(128*j)

#define DEQUANT_K(name, S, W, room, size, N0, N1, N2, N3) \
TEXT name(SB), NOSPLIT, $room-24 \
	MOVQ dst+0(FP), SI \
	MOVQ src+8(FP), R8 \
	MOVQ blocks+16(FP), CX \
	XORQ AX, AX \
	CONSTANTS \
block: \
	PREFETCHT0 (AHEAD+0)(R8)(AX*1) \
	PREFETCHT0 (AHEAD+64)(R8)(AX*1) \
	PREFETCHT0 (AHEAD+128)(R8)(AX*1) \
	PREFETCHT0 (AHEAD+192)(R8)(AX*1) \
	S(R8, 0) \
	EXPAND(W, 0, N0) \
	EXPAND(W, 1, N1) \
	EXPAND(W, 2, N2) \
	EXPAND(W, 3, N3) \
	EXPAND(W, 4, N0) \
	EXPAND(W, 5, N1) \
	EXPAND(W, 6, N2) \
	EXPAND(W, 7, N3) \
	ADDQ $1024, SI \
	ADDQ $size, AX \
	DECQ CX \
	JNZ block \
	VZEROUPPER \
	RET

DEQUANT_K(·dequantQ4_K, S_Q4_K, W_Q4_K, 64, 144, LOW, HIGH, LOW, HIGH)
DEQUANT_K(·dequantQ5_K, S_Q5_K, W_Q5_K, 96, 176, LOW, HIGH, LOW, HIGH)
DEQUANT_K(·dequantQ6_K, S_Q6_K, W_Q6_K, 128, 210, SIX0, SIX1, SIX2, SIX3)

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
