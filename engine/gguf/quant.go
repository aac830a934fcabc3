package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// blockLen is the block length of the quantised types here.
const blockLen = 32

var le = binary.LittleEndian

// Dequantise expands src, whole blocks of type t, into dst in float32. len(dst) must be a multiple of the block length
// and src exactly as long as that many elements take. It is the reference for faster kernels, not a fast one itself.
// A type that it does not read is an error that wraps [errors.ErrUnsupported].
func Dequantise(dst []float32, t Type, src []byte) error {
	l, ok := t.layout()
	if !ok || !l.supported {
		return fmt.Errorf("gguf: %w", unsupported(t))
	}
	if len(dst)%l.len != 0 || len(src) != len(dst)/l.len*l.bytes {
		return fmt.Errorf("gguf: %d bytes of %s do not hold %d elements (blocks of %d in %d bytes)", len(src), t, len(dst), l.len, l.bytes)
	}
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = F16ToF32(le.Uint16(src[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = BF16ToF32(le.Uint16(src[2*i:]))
		}
	case Q8_0:
		for ; len(dst) > 0; dst, src = dst[blockLen:], src[l.bytes:] {
			d := F16ToF32(le.Uint16(src))
			for i, q := range src[2:l.bytes] {
				dst[i] = d * float32(int8(q))
			}
		}
	case Q4_0:
		for ; len(dst) > 0; dst, src = dst[blockLen:], src[l.bytes:] {
			d := F16ToF32(le.Uint16(src))
			for i, q := range src[2:l.bytes] {
				dst[i] = d * float32(int(q&15)-8)
				dst[i+16] = d * float32(int(q>>4)-8)
			}
		}
	case Q4_1:
		for ; len(dst) > 0; dst, src = dst[blockLen:], src[l.bytes:] {
			d, m := F16ToF32(le.Uint16(src)), F16ToF32(le.Uint16(src[2:]))
			for i, q := range src[4:l.bytes] {
				// The conversions keep the compiler from fusing on machines that could: every platform gives the same bits.
				dst[i] = float32(d*float32(q&15)) + m
				dst[i+16] = float32(d*float32(q>>4)) + m
			}
		}
	}
	return nil
}

// Quantise is the plain inverse of [Dequantise]: each block by itself, round to nearest. It serves tests and small
// tools; it does not search for better scales as model publishers do. len(x) must be a multiple of the block length,
// and every x finite and small enough for the type.
func Quantise(t Type, x []float32) ([]byte, error) {
	l, ok := t.layout()
	if !ok || !l.supported {
		return nil, fmt.Errorf("gguf: %w", unsupported(t))
	}
	if len(x)%l.len != 0 {
		return nil, fmt.Errorf("gguf: %d elements are not whole blocks of %s (%d)", len(x), t, l.len)
	}
	out := make([]byte, 0, len(x)/l.len*l.bytes)
	for i := 0; i < len(x); i += l.len {
		out = appendBlock(out, t, x[i:i+l.len])
	}
	if err := CheckFinite(Tensor{Type: t, Data: out}); err != nil {
		return nil, fmt.Errorf("gguf: a value is not finite or too large for %s", t)
	}
	return out, nil
}

func appendBlock(out []byte, t Type, x []float32) []byte {
	lo, hi := x[0], x[0]
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v) // NaN wins both
	}
	// scale returns d as the file will hold it, and its inverse.
	scale := func(d float32) (uint16, float32) {
		h := F32ToF16(d)
		if d = F16ToF32(h); d == 0 {
			return h, 0
		}
		return h, 1 / d
	}
	nibble := func(v float32) byte { return byte(min(15, max(0, math.Round(float64(v))))) }
	switch t {
	case F32:
		return le.AppendUint32(out, math.Float32bits(x[0]))
	case F16:
		return le.AppendUint16(out, F32ToF16(x[0]))
	case BF16:
		return le.AppendUint16(out, F32ToBF16(x[0]))
	case Q8_0:
		h, inv := scale(max(-lo, hi) / 127)
		out = le.AppendUint16(out, h)
		for _, v := range x {
			out = append(out, byte(int8(min(127, max(-127, math.Round(float64(v*inv)))))))
		}
	case Q4_0:
		// The extreme of larger magnitude becomes -8, the end of the range that has one step more.
		ext := lo
		if hi > -lo {
			ext = hi
		}
		h, inv := scale(ext / -8)
		out = le.AppendUint16(out, h)
		for i := range blockLen / 2 {
			out = append(out, nibble(x[i]*inv+8)|nibble(x[i+16]*inv+8)<<4)
		}
	case Q4_1:
		h, inv := scale((hi - lo) / 15)
		m := F32ToF16(lo)
		out = le.AppendUint16(le.AppendUint16(out, h), m)
		for i := range blockLen / 2 {
			out = append(out, nibble((x[i]-F16ToF32(m))*inv)|nibble((x[i+16]-F16ToF32(m))*inv)<<4)
		}
	}
	return out
}

// CheckFinite reports the first element of an unquantised tensor, or the first block scale or minimum of a quantised
// one, that is NaN or infinite: with none, every weight is finite. It reads the whole tensor.
func CheckFinite(t Tensor) error {
	l, ok := t.Type.layout()
	if !ok || !l.supported {
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
	default: // float16 numbers at the start of each block
		halves := 1
		if t.Type == Q4_1 {
			halves = 2
		}
		for i := 0; i+l.bytes <= len(t.Data) && bad < 0; i += l.bytes {
			for j := i; j < i+2*halves; j += 2 {
				if le.Uint16(t.Data[j:])&0x7c00 == 0x7c00 {
					bad = j
				}
			}
		}
	}
	if bad >= 0 {
		return fmt.Errorf("gguf: tensor %.80q: %s weights contain NaN or infinity at byte %d of the tensor; the file is damaged", t.Name, t.Type, bad)
	}
	return nil
}
