package gguf

import (
	"errors"
	"fmt"
	"strings"
)

// Type is how a tensor's elements are stored, with the numbers that GGUF files use.
type Type uint32

// The types that [Dequantise] reads. The Q types store blocks of 32 elements of one row: Q8_0 and Q4_0 as a float16
// scale d and integers, x = d·q (Q4_0: d·(q−8)), Q4_1 with a float16 minimum m, x = d·q + m.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q4_1 Type = 3
	Q8_0 Type = 8
	BF16 Type = 30
)

// layout describes one block of a type. Types without dequantisation are listed so that a file that has them can be
// opened and described, and refused by name.
type layout struct {
	name       string
	len, bytes int
	supported  bool
}

var layouts = [...]layout{
	F32:  {"F32", 1, 4, true},
	F16:  {"F16", 1, 2, true},
	Q4_0: {"Q4_0", 32, 18, true},
	Q4_1: {"Q4_1", 32, 20, true},
	6:    {"Q5_0", 32, 22, false},
	7:    {"Q5_1", 32, 24, false},
	Q8_0: {"Q8_0", 32, 34, true},
	9:    {"Q8_1", 32, 36, false},
	10:   {"Q2_K", 256, 84, false},
	11:   {"Q3_K", 256, 110, false},
	12:   {"Q4_K", 256, 144, false},
	13:   {"Q5_K", 256, 176, false},
	14:   {"Q6_K", 256, 210, false},
	15:   {"Q8_K", 256, 292, false},
	16:   {"IQ2_XXS", 256, 66, false},
	17:   {"IQ2_XS", 256, 74, false},
	18:   {"IQ3_XXS", 256, 98, false},
	19:   {"IQ1_S", 256, 50, false},
	20:   {"IQ4_NL", 32, 18, false},
	21:   {"IQ3_S", 256, 110, false},
	22:   {"IQ2_S", 256, 82, false},
	23:   {"IQ4_XS", 256, 136, false},
	24:   {"I8", 1, 1, false},
	25:   {"I16", 1, 2, false},
	26:   {"I32", 1, 4, false},
	27:   {"I64", 1, 8, false},
	28:   {"F64", 1, 8, false},
	29:   {"IQ1_M", 256, 56, false},
	BF16: {"BF16", 1, 2, true},
	34:   {"TQ1_0", 256, 54, false},
	35:   {"TQ2_0", 256, 66, false},
	39:   {"MXFP4", 32, 17, false},
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
func (t Type) Supported() bool { l, _ := t.layout(); return l.supported }

// unsupported is the error for a type that can be named but not read. It wraps [errors.ErrUnsupported].
func unsupported(t Type) error {
	var can []string
	for _, l := range layouts {
		if l.supported {
			can = append(can, l.name)
		}
	}
	return fmt.Errorf("weights of type %s are not supported, only %s: %w", t, strings.Join(can, ", "), errors.ErrUnsupported)
}
