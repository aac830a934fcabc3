package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// KV is one metadata entry for [Write]. Value is a bool, string, float32, float64 or an integer of fixed width, or a
// slice of one of these.
type KV struct {
	Key   string
	Value any
}

// alignment is what Write pads tensors to, the format's default.
const alignment = 32

// Write writes a file of version 3 with the given metadata and tensors in the given order. Each tensor's Data must have
// the length that its Shape and Type ask for, and keys and names must be distinct: what [Open] would refuse is not
// written.
func Write(w io.Writer, meta []KV, tensors []Tensor) error {
	b := []byte("GGUF")
	b = le.AppendUint32(b, 3)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(meta)))
	seen := make(map[string]bool, len(meta))
	for _, kv := range meta {
		kind, array, ok := kindOf(kv.Value)
		switch {
		case !ok:
			return fmt.Errorf("gguf: key %q: a %T cannot be written", kv.Key, kv.Value)
		case kv.Key == "" || len(kv.Key) > maxName || seen[kv.Key]:
			return fmt.Errorf("gguf: key %.80q is empty, too long or given twice", kv.Key)
		case kv.Key == "general.alignment" && kv.Value != uint32(alignment):
			return fmt.Errorf("gguf: key %q: only uint32(%d) is written", kv.Key, alignment)
		}
		seen[kv.Key] = true
		b = appendString(b, kv.Key)
		if array {
			b = le.AppendUint32(b, kindArray)
		}
		b = le.AppendUint32(b, kind)
		b = appendValue(b, kv.Value)
	}
	offset := 0
	clear(seen)
	for _, t := range tensors {
		if err := checkTensor(t); err != nil {
			return err
		}
		if seen[t.Name] {
			return fmt.Errorf("gguf: tensor %.80q is given twice", t.Name)
		}
		seen[t.Name] = true
		b = appendString(b, t.Name)
		b = le.AppendUint32(b, uint32(len(t.Shape)))
		for _, d := range t.Shape {
			b = le.AppendUint64(b, uint64(d))
		}
		b = le.AppendUint32(b, uint32(t.Type))
		b = le.AppendUint64(b, uint64(offset))
		offset += len(t.Data) + padding(len(t.Data))
	}
	out := bufio.NewWriterSize(w, 1<<16)
	var zeros [alignment]byte
	write := func(b []byte) { // bufio keeps the first error for Flush
		_, _ = out.Write(b)
		_, _ = out.Write(zeros[:padding(len(b))])
	}
	write(b)
	for _, t := range tensors {
		write(t.Data)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

func padding(n int) int { return (alignment - n%alignment) % alignment }

func checkTensor(t Tensor) error {
	l, ok := t.Type.layout()
	if !ok {
		return fmt.Errorf("gguf: tensor %.80q has the unknown type number %d", t.Name, uint32(t.Type))
	}
	if t.Name == "" || len(t.Name) > maxName || len(t.Shape) < 1 || len(t.Shape) > maxDims {
		return fmt.Errorf("gguf: tensor %.80q: the name is empty or too long, or the shape %v has not 1 to %d dimensions", t.Name, t.Shape, maxDims)
	}
	n := 1
	for _, d := range t.Shape {
		if d < 1 || n > len(t.Data)*l.len/d {
			return fmt.Errorf("gguf: tensor %.80q: %d bytes of %s do not fill the shape %v", t.Name, len(t.Data), t.Type, t.Shape)
		}
		n *= d
	}
	if t.Shape[0]%l.len != 0 || len(t.Data) != n/l.len*l.bytes {
		return fmt.Errorf("gguf: tensor %.80q: %d bytes of %s do not fill the shape %v", t.Name, len(t.Data), t.Type, t.Shape)
	}
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(le.AppendUint64(b, uint64(len(s))), s...)
}

// kindOf maps Go types to the format's kinds.
func kindOf(v any) (kind uint32, array, ok bool) {
	switch v.(type) {
	case uint8:
		return kindUint8, false, true
	case int8:
		return kindInt8, false, true
	case uint16:
		return kindUint16, false, true
	case int16:
		return kindInt16, false, true
	case uint32:
		return kindUint32, false, true
	case int32:
		return kindInt32, false, true
	case float32:
		return kindFloat32, false, true
	case bool:
		return kindBool, false, true
	case string:
		return kindString, false, true
	case uint64:
		return kindUint64, false, true
	case int64:
		return kindInt64, false, true
	case float64:
		return kindFloat64, false, true
	case []uint8:
		return kindUint8, true, true
	case []int8:
		return kindInt8, true, true
	case []uint16:
		return kindUint16, true, true
	case []int16:
		return kindInt16, true, true
	case []uint32:
		return kindUint32, true, true
	case []int32:
		return kindInt32, true, true
	case []float32:
		return kindFloat32, true, true
	case []bool:
		return kindBool, true, true
	case []string:
		return kindString, true, true
	case []uint64:
		return kindUint64, true, true
	case []int64:
		return kindInt64, true, true
	case []float64:
		return kindFloat64, true, true
	}
	return 0, false, false
}

// appendValue writes a value that kindOf knows. For slices of numbers encoding/binary gives the elements, and the
// number of them is the encoded size over the element size.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case []string:
		b = le.AppendUint64(b, uint64(len(v)))
		for _, s := range v {
			b = appendString(b, s)
		}
		return b
	}
	if kind, array, _ := kindOf(v); array {
		b = le.AppendUint64(b, uint64(binary.Size(v)/width[kind]))
	}
	b, err := binary.Append(b, le, v)
	if err != nil {
		panic(err) // kindOf admits only what encoding/binary takes
	}
	return b
}
