package gguf

import (
	"encoding/binary"
	"fmt"
)

var le = binary.LittleEndian

// Dequantise expands src, whole blocks of type t, into dst in float32. len(dst) must be a multiple of the block length
// and src exactly as long as that many elements take. It is the reference for faster kernels, not a fast one itself.
// A type that it does not read is an error that wraps [errors.ErrUnsupported].
func Dequantise(dst []float32, t Type, src []byte) error {
	l, ok := t.layout()
	if !ok || l.decode == nil {
		return fmt.Errorf("gguf: %w", unsupported(t))
	}
	if len(dst)%l.len != 0 || len(src) != len(dst)/l.len*l.bytes {
		return fmt.Errorf("gguf: %d bytes of %s do not hold %d elements (blocks of %d in %d bytes)", len(src), t, len(dst), l.len, l.bytes)
	}
	for ; len(dst) > 0; dst, src = dst[l.len:], src[l.bytes:] {
		l.decode(dst[:l.len], src[:l.bytes])
	}
	return nil
}

// Quantise is the plain inverse of [Dequantise]: each block by itself, round to nearest. It serves tests and small
// tools; it does not search for better scales as model publishers do. len(x) must be a multiple of the block length,
// and every x finite and small enough for the type.
func Quantise(t Type, x []float32) ([]byte, error) {
	l, ok := t.layout()
	if !ok || l.encode == nil {
		return nil, fmt.Errorf("gguf: %w", unsupported(t))
	}
	if len(x)%l.len != 0 {
		return nil, fmt.Errorf("gguf: %d elements are not whole blocks of %s (%d)", len(x), t, l.len)
	}
	out := make([]byte, 0, len(x)/l.len*l.bytes)
	for i := 0; i < len(x); i += l.len {
		out = l.encode(out, x[i:i+l.len])
	}
	if err := CheckFinite(Tensor{Type: t, Data: out}); err != nil {
		return nil, fmt.Errorf("gguf: a value is not finite or too large for %s", t)
	}
	return out, nil
}

// CheckFinite reports the first element of an unquantised tensor, or the first block scale or minimum of a quantised
// one, that is NaN or infinite: with none, every weight is finite. It reads the whole tensor.
func CheckFinite(t Tensor) error {
	l, ok := t.Type.layout()
	if !ok || l.decode == nil {
		return fmt.Errorf("gguf: tensor %.80q: %w", t.Name, unsupported(t.Type))
	}
	bad := -1 // byte offset in the tensor
	switch t.Type {
	case F32:
		for i := 0; i+4 <= len(t.Data) && bad < 0; i += 4 {
			if le.Uint32(t.Data[i:])&0x7f800000 == 0x7f800000 {
				bad = i
			}
		}
	case BF16:
		for i := 0; i+2 <= len(t.Data) && bad < 0; i += 2 {
			if le.Uint16(t.Data[i:])&0x7f80 == 0x7f80 {
				bad = i
			}
		}
	default:
		for i := 0; i+l.bytes <= len(t.Data) && bad < 0; i += l.bytes {
			for _, j := range l.halves {
				if le.Uint16(t.Data[i+j:])&0x7c00 == 0x7c00 {
					bad = i + j
					break
				}
			}
		}
	}
	if bad >= 0 {
		return fmt.Errorf("gguf: tensor %.80q: %s weights contain NaN or infinity at byte %d of the tensor; the file is damaged", t.Name, t.Type, bad)
	}
	return nil
}
