package gguf

import (
	"errors"
	"fmt"
	"strings"
)

// Type is how a tensor's elements are stored, with the numbers that GGUF files use.
type Type uint32

// The types that [Dequantise] reads. Those with a number after the underscore store blocks of 32 elements of one row: a
// float16 scale d and integers q, x = d·(q−offset), where the offset is 8 for Q4_0, 16 for Q5_0 and 0 for Q8_0; the types
// that end in 1 have a float16 minimum m instead, x = d·q + m; IQ4_NL looks q up in a table of 16 uneven steps. The K
// types store super-blocks of 256: eight groups of 32 with a six-bit scale and minimum each (Q4_K, Q5_K), x =
// d·scale·q − dmin·min, or sixteen groups of 16 with an eight-bit scale (Q6_K), x = d·scale·(q−32).
const (
	F32    Type = 0
	F16    Type = 1
	Q4_0   Type = 2
	Q4_1   Type = 3
	Q5_0   Type = 6
	Q5_1   Type = 7
	Q8_0   Type = 8
	Q4_K   Type = 12
	Q5_K   Type = 13
	Q6_K   Type = 14
	IQ4_NL Type = 20
	BF16   Type = 30
)

// layout describes one block of a type. Types without a decoder are listed so that a file that has them can be opened
// and described, and refused by name.
type layout struct {
	name       string
	len, bytes int
	halves     []int // where the block's float16 numbers are
	decode     func(dst []float32, block []byte)
	encode     func(out []byte, x []float32) []byte
}

var layouts = [...]layout{
	F32:    {"F32", 1, 4, nil, decodeF32, encodeF32},
	F16:    {"F16", 1, 2, []int{0}, decodeF16, encodeF16},
	Q4_0:   {"Q4_0", 32, 18, []int{0}, decodeQ4_0, encodeQ4_0},
	Q4_1:   {"Q4_1", 32, 20, []int{0, 2}, decodeQ4_1, encodeQ4_1},
	Q5_0:   {"Q5_0", 32, 22, []int{0}, decodeQ5_0, encodeQ5_0},
	Q5_1:   {"Q5_1", 32, 24, []int{0, 2}, decodeQ5_1, encodeQ5_1},
	Q8_0:   {"Q8_0", 32, 34, []int{0}, decodeQ8_0, encodeQ8_0},
	9:      {name: "Q8_1", len: 32, bytes: 36},
	10:     {name: "Q2_K", len: 256, bytes: 84},
	11:     {name: "Q3_K", len: 256, bytes: 110},
	Q4_K:   {"Q4_K", 256, 144, []int{0, 2}, decodeQ4_K, encodeQ4_K},
	Q5_K:   {"Q5_K", 256, 176, []int{0, 2}, decodeQ5_K, encodeQ5_K},
	Q6_K:   {"Q6_K", 256, 210, []int{208}, decodeQ6_K, encodeQ6_K},
	15:     {name: "Q8_K", len: 256, bytes: 292},
	16:     {name: "IQ2_XXS", len: 256, bytes: 66},
	17:     {name: "IQ2_XS", len: 256, bytes: 74},
	18:     {name: "IQ3_XXS", len: 256, bytes: 98},
	19:     {name: "IQ1_S", len: 256, bytes: 50},
	IQ4_NL: {"IQ4_NL", 32, 18, []int{0}, decodeIQ4_NL, encodeIQ4_NL},
	21:     {name: "IQ3_S", len: 256, bytes: 110},
	22:     {name: "IQ2_S", len: 256, bytes: 82},
	23:     {name: "IQ4_XS", len: 256, bytes: 136},
	24:     {name: "I8", len: 1, bytes: 1},
	25:     {name: "I16", len: 1, bytes: 2},
	26:     {name: "I32", len: 1, bytes: 4},
	27:     {name: "I64", len: 1, bytes: 8},
	28:     {name: "F64", len: 1, bytes: 8},
	29:     {name: "IQ1_M", len: 256, bytes: 56},
	BF16:   {"BF16", 1, 2, nil, decodeBF16, encodeBF16},
	34:     {name: "TQ1_0", len: 256, bytes: 54},
	35:     {name: "TQ2_0", len: 256, bytes: 66},
	39:     {name: "MXFP4", len: 32, bytes: 17},
}

func (t Type) layout() (layout, bool) {
	if int64(t) >= int64(len(layouts)) || layouts[t].len == 0 {
		return layout{}, false
	}
	return layouts[t], true
}

// String returns the field's name for the type, or "type(N)" for a number without one.
func (t Type) String() string {
	if l, ok := t.layout(); ok {
		return l.name
	}
	return fmt.Sprintf("type(%d)", uint32(t))
}

// BlockLen is the number of elements in a block, 0 for an unknown type.
func (t Type) BlockLen() int { l, _ := t.layout(); return l.len }

// BlockBytes is the size of a block in bytes, 0 for an unknown type.
func (t Type) BlockBytes() int { l, _ := t.layout(); return l.bytes }

// Supported reports whether [Dequantise] reads the type.
func (t Type) Supported() bool { l, _ := t.layout(); return l.decode != nil }

// Types lists the types that [Dequantise] reads, in the order of their numbers.
func Types() []Type {
	var out []Type
	for t, l := range layouts {
		if l.decode != nil {
			out = append(out, Type(t))
		}
	}
	return out
}

// unsupported is the error for a type that can be named but not read. It wraps [errors.ErrUnsupported].
func unsupported(t Type) error {
	var can []string
	for _, t := range Types() {
		can = append(can, t.String())
	}
	return fmt.Errorf("weights of type %s are not supported, only %s: %w", t, strings.Join(can, ", "), errors.ErrUnsupported)
}
