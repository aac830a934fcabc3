//go:build !noasm

#include "textflag.h"

// Rows p and q of a, one in each half, against six columns: eight lanes a dot product, as everywhere.
#define PAIR(p, q, c0, c1, c2, c3, c4, c5) \
	VMOVUPS p, Y6 \
	VINSERTF32X8 $1, q, Z6, Z6 \
	VFMADD231PS Z6, Z0, c0 \
	VFMADD231PS Z6, Z1, c1 \
	VFMADD231PS Z6, Z2, c2 \
	VFMADD231PS Z6, Z3, c3 \
	VFMADD231PS Z6, Z4, c4 \
	VFMADD231PS Z6, Z5, c5

#define CLEAR4(a, b, c, d) \
	VPXORD a, a, a \
	VPXORD b, b, b \
	VPXORD c, c, c \
	VPXORD d, d, d

// The two rows of each of two pairs to four sums in X0, in the order of REDUCE4, and to c and on by R8.
#define FOURSUMS(p, q) \
	VEXTRACTF32X8 $0, p, Y0 \
	VEXTRACTF32X8 $1, p, Y1 \
	VEXTRACTF32X8 $0, q, Y2 \
	VEXTRACTF32X8 $1, q, Y3 \
	VHADDPS Y1, Y0, Y0 \
	VHADDPS Y3, Y2, Y2 \
	VHADDPS Y2, Y0, Y0 \
	VEXTRACTF128 $1, Y0, X1 \
	VADDPS X1, X0, X0 \
	VMOVSS X0, (CX) \
	VEXTRACTPS $1, X0, (CX)(R8*1) \
	VEXTRACTPS $2, X0, (CX)(R8*2) \
	VEXTRACTPS $3, X0, (CX)(R10*1) \
	LEAQ (CX)(R8*4), CX

#define COLUMN(p, q, r, s) \
	MOVQ BX, CX \
	FOURSUMS(p, q) \
	FOURSUMS(r, s) \
	ADDQ R9, BX

// func dotTileWide(a *float32, lda int, b *float32, ldb, k int, c *float32, ca, cb int)
// Eight rows by six; the same bits as dotTile. Z8–Z31 accumulate: pair r of rows and column j are in Z(8+6r+j).
TEXT ·dotTileWide(SB), NOSPLIT, $0-64
	MOVQ a+0(FP), R8
	MOVQ lda+8(FP), R9
	LEAQ (R9)(R9*2), R10
	LEAQ (R8)(R10*2), R11
	ADDQ R8, R10
	MOVQ b+16(FP), SI
	MOVQ ldb+24(FP), DX
	LEAQ (DX)(DX*2), DI
	ADDQ SI, DI
	MOVQ k+32(FP), CX
	SHRQ $3, CX
	CLEAR4(Z8, Z9, Z10, Z11)
	CLEAR4(Z12, Z13, Z14, Z15)
	CLEAR4(Z16, Z17, Z18, Z19)
	CLEAR4(Z20, Z21, Z22, Z23)
	CLEAR4(Z24, Z25, Z26, Z27)
	CLEAR4(Z28, Z29, Z30, Z31)

loop:
	VBROADCASTF32X8 (SI), Z0
	VBROADCASTF32X8 (SI)(DX*1), Z1
	VBROADCASTF32X8 (SI)(DX*2), Z2
	VBROADCASTF32X8 (DI), Z3
	VBROADCASTF32X8 (SI)(DX*4), Z4
	VBROADCASTF32X8 (DI)(DX*2), Z5
	PAIR((R8), (R8)(R9*1), Z8, Z9, Z10, Z11, Z12, Z13)
	PAIR((R8)(R9*2), (R10), Z14, Z15, Z16, Z17, Z18, Z19)
	PAIR((R8)(R9*4), (R10)(R9*2), Z20, Z21, Z22, Z23, Z24, Z25)
	PAIR((R11), (R10)(R9*4), Z26, Z27, Z28, Z29, Z30, Z31)
	ADDQ $32, R8
	ADDQ $32, R10
	ADDQ $32, R11
	ADDQ $32, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  loop

	MOVQ c+40(FP), BX
	MOVQ ca+48(FP), R8
	MOVQ cb+56(FP), R9
	LEAQ (R8)(R8*2), R10
	COLUMN(Z8, Z14, Z20, Z26)
	COLUMN(Z9, Z15, Z21, Z27)
	COLUMN(Z10, Z16, Z22, Z28)
	COLUMN(Z11, Z17, Z23, Z29)
	COLUMN(Z12, Z18, Z24, Z30)
	COLUMN(Z13, Z19, Z25, Z31)
	VZEROUPPER
	RET
