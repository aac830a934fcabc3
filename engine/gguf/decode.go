package gguf

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Bounds on what a header may ask for. They are far above any published model (a few thousand tensors, a few dozen
// keys) and keep the memory that a hostile header costs small.
const (
	maxTensors = 1 << 16
	maxKeys    = 1 << 16
	maxName    = 1 << 16 // bytes in a key or a tensor name
	maxDims    = 4
)

// The kinds of metadata values, as numbered in files.
const (
	kindUint8 = iota
	kindInt8
	kindUint16
	kindInt16
	kindUint32
	kindInt32
	kindFloat32
	kindBool
	kindString
	kindArray
	kindUint64
	kindInt64
	kindFloat64
)

// width is the size of a kind's value in bytes; strings and arrays have none.
var width = [...]int{
	kindUint8: 1, kindInt8: 1, kindUint16: 2, kindInt16: 2, kindUint32: 4, kindInt32: 4, kindFloat32: 4, kindBool: 1,
	kindString: 0, kindArray: 0, kindUint64: 8, kindInt64: 8, kindFloat64: 8,
}

// Error is a fault in a file: which file, what was being read, and where.
type Error struct {
	File   string // the path given to [Open] or the name given to [Decode]
	Item   string // what was read: "header", `key "…"`, `tensor "…"`
	Offset int64  // byte offset in the file where the item's faulty part starts
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("gguf: %s: %s (byte %d): %s", e.File, e.Item, e.Offset, e.Reason)
}

// reader walks over the header. A fault ends the walk by a panic with *Error that Decode recovers: the header is some
// thousand small reads, and a check after each would hide what is being read.
type reader struct {
	file string
	data []byte
	pos  int
	item string
}

func (r *reader) fail(at int, format string, args ...any) {
	panic(&Error{File: r.file, Item: r.item, Offset: int64(at), Reason: fmt.Sprintf(format, args...)})
}

// take returns the next n bytes.
func (r *reader) take(n uint64, what string) []byte {
	if left := len(r.data) - r.pos; n > uint64(left) {
		r.fail(r.pos, "%s takes %d bytes and only %d are left; the file is truncated or damaged", what, n, left)
	}
	b := r.data[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}

func (r *reader) u32(what string) uint32 { return le.Uint32(r.take(4, what)) }
func (r *reader) u64(what string) uint64 { return le.Uint64(r.take(8, what)) }

// str reads a length and that many bytes.
func (r *reader) str(what string) []byte {
	at := r.pos
	n := r.u64(what)
	if n > uint64(len(r.data)-r.pos) {
		r.fail(at, "%s says it has %d bytes and only %d are left", what, n, len(r.data)-r.pos)
	}
	return r.take(n, what)
}

// name reads a key or tensor name.
func (r *reader) name(what string) string {
	at := r.pos
	b := r.str(what)
	if len(b) == 0 || len(b) > maxName {
		r.fail(at, "%s has %d bytes, not 1 to %d", what, len(b), maxName)
	}
	return string(b)
}

// Decode checks the header of a GGUF file that is in memory. name stands in error messages. The result keeps data and
// its tensors are views into it.
func Decode(name string, data []byte) (f *File, err error) {
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(*Error)
			if !ok {
				panic(p)
			}
			f, err = nil, e
		}
	}()
	r := &reader{file: name, data: data, item: "header"}
	f = &File{name: name, data: data, align: 32}
	f.version = r.magic()
	nTensors, nKeys := r.u64("tensor count"), r.u64("key count")
	// The smallest tensor record has 33 bytes, the smallest key 14.
	left := uint64(len(data) - r.pos)
	if nTensors > maxTensors || nTensors > left/33 {
		r.fail(8, "%d tensors are more than the file can hold (at most %d)", nTensors, min(maxTensors, left/33))
	}
	if nKeys > maxKeys || nKeys > left/14 {
		r.fail(16, "%d keys are more than the file can hold (at most %d)", nKeys, min(maxKeys, left/14))
	}
	r.keys(f, int(nKeys))
	r.tensors(f, int(nTensors))
	return f, nil
}

func (r *reader) magic() uint32 {
	if m := r.data[:min(4, len(r.data))]; !bytes.Equal(m, []byte("GGUF")) {
		switch string(m) {
		case "lmgg", "fmgg", "tjgg", "algg":
			r.fail(0, "this is a model in the format that came before GGUF; convert it with llama.cpp's tools")
		}
		r.fail(0, "not a GGUF file: it starts with %q instead of \"GGUF\"", m)
	}
	r.pos = 4
	v := r.u32("version")
	switch {
	case v == 2 || v == 3:
	case v == 1:
		r.fail(4, "GGUF version 1 is not supported; convert the file again with a current llama.cpp")
	case v != 0 && v&0xffff == 0:
		r.fail(4, "the file is big-endian (version field %#x); only little-endian files are supported", v)
	default:
		r.fail(4, "GGUF version %d is not supported, only 2 and 3", v)
	}
	return v
}

func (r *reader) keys(f *File, n int) {
	f.values = make([]value, 0, n)
	f.keyIndex = make(map[string]int, n)
	for i := range n {
		r.item = fmt.Sprintf("key %d of %d", i+1, n)
		at := r.pos
		key := r.name("the key's name")
		r.item = fmt.Sprintf("key %.80q", key)
		if _, dup := f.keyIndex[key]; dup {
			r.fail(at, "appears twice")
		}
		f.keyIndex[key] = len(f.values)
		f.values = append(f.values, r.value(key))
	}
	if i, ok := f.keyIndex["general.alignment"]; ok {
		v := f.values[i]
		r.item = `key "general.alignment"`
		a, ok := f.Uint("general.alignment")
		if !ok || a < 8 || a > 1<<20 || a&(a-1) != 0 {
			r.fail(v.off, "must be a power of two between 8 and %d", 1<<20)
		}
		f.align = int(a)
	}
}

// value checks one value and steps over it.
func (r *reader) value(key string) value {
	at := r.pos
	v := value{key: key, kind: r.u32("the value's kind"), n: 1}
	if v.kind > kindFloat64 {
		r.fail(at, "values of kind %d do not exist", v.kind)
	}
	if v.kind == kindArray {
		v.array = true
		at = r.pos
		switch v.kind = r.u32("the elements' kind"); {
		case v.kind == kindArray:
			r.fail(at, "arrays of arrays are not supported")
		case v.kind > kindFloat64:
			r.fail(at, "elements of kind %d do not exist", v.kind)
		}
		at = r.pos
		n, least := r.u64("the array's length"), uint64(max(width[v.kind], 1))
		if v.kind == kindString {
			least = 8
		}
		if left := uint64(len(r.data) - r.pos); n > left/least {
			r.fail(at, "an array of %d elements is more than the %d bytes that are left can hold", n, left)
		}
		v.n = int(n)
	}
	v.off = r.pos
	switch v.kind {
	case kindString:
		for range v.n {
			r.str("a string")
		}
	default:
		b := r.take(uint64(v.n)*uint64(width[v.kind]), "the value")
		if v.kind == kindBool {
			if i := slices.IndexFunc(b, func(c byte) bool { return c > 1 }); i >= 0 {
				r.fail(v.off+i, "a truth value is %d instead of 0 or 1", b[i])
			}
		}
	}
	v.end = r.pos
	return v
}

func (r *reader) tensors(f *File, n int) {
	f.Tensors = make([]Tensor, 0, n)
	f.tensorIndex = make(map[string]int, n)
	starts := make([]uint64, 0, n) // relative to the data section
	sizes := make([]uint64, 0, n)
	infos := make([]int, 0, n) // where each record is, for messages
	for i := range n {
		r.item = fmt.Sprintf("tensor %d of %d", i+1, n)
		at := r.pos
		name := r.name("the tensor's name")
		r.item = fmt.Sprintf("tensor %.80q", name)
		if _, dup := f.tensorIndex[name]; dup {
			r.fail(at, "appears twice")
		}
		t, size := r.shape(name)
		starts = append(starts, r.u64("the offset"))
		sizes = append(sizes, size)
		infos = append(infos, at)
		f.tensorIndex[name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
	}
	if n == 0 {
		return
	}
	// The header may end in the file's last bytes with no room for the padding, so compare before slicing.
	base := (uint64(r.pos) + uint64(f.align) - 1) &^ (uint64(f.align) - 1)
	total := uint64(len(r.data))
	for i := range f.Tensors {
		r.item = fmt.Sprintf("tensor %.80q", f.Tensors[i].Name)
		start, size := starts[i], sizes[i]
		if start%uint64(f.align) != 0 {
			r.fail(infos[i], "offset %d is not a multiple of the file's alignment %d", start, f.align)
		}
		if base > total || start > total-base || size > total-base-start {
			r.fail(infos[i], "%d bytes at offset %d of the data end after the file (%d bytes); the file is truncated or damaged", size, start, total)
		}
		from, to := base+start, base+start+size
		f.Tensors[i].Data = r.data[from:to:to]
		starts[i] = from
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(starts[a], starts[b]) })
	for k := 1; k < n; k++ {
		a, b := order[k-1], order[k]
		if starts[a]+sizes[a] > starts[b] {
			r.item = fmt.Sprintf("tensor %.80q", f.Tensors[b].Name)
			r.fail(infos[b], "its data overlaps that of tensor %.80q", f.Tensors[a].Name)
		}
	}
}

// shape reads dimensions and type, and returns how many bytes the tensor takes.
func (r *reader) shape(name string) (Tensor, uint64) {
	at := r.pos
	dims := r.u32("the number of dimensions")
	if dims < 1 || dims > maxDims {
		r.fail(at, "has %d dimensions, not 1 to %d", dims, maxDims)
	}
	t := Tensor{Name: name, Shape: make([]int, dims)}
	elements := uint64(1)
	for i := range t.Shape {
		at := r.pos
		d := r.u64("a dimension")
		hi, lo := bits.Mul64(elements, d)
		if d == 0 || hi != 0 || lo > math.MaxInt {
			r.fail(at, "dimension %d is %d: a tensor is not empty and has fewer than 2^63 elements", i, d)
		}
		elements, t.Shape[i] = lo, int(d)
	}
	at = r.pos
	t.Type = Type(r.u32("the type"))
	l, ok := t.Type.layout()
	if !ok {
		r.fail(at, "has the unknown type number %d", uint32(t.Type))
	}
	if t.Shape[0]%l.len != 0 {
		r.fail(at, "rows of %d elements are not whole blocks of %s (%d)", t.Shape[0], t.Type, l.len)
	}
	hi, size := bits.Mul64(elements/uint64(l.len), uint64(l.bytes))
	if hi != 0 || size > uint64(len(r.data)) {
		r.fail(at, "shape %v in %s is larger than the file (%d bytes)", t.Shape, t.Type, len(r.data))
	}
	return t, size
}
