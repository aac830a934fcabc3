package gguf

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"strings"

	"github.com/edsrzf/mmap-go"
)

// File is an open GGUF file. Its methods may be called by several goroutines at once, except Close.
type File struct {
	Tensors []Tensor // in file order

	name        string
	data        []byte
	mapping     mmap.MMap // nil for Decode
	rest        []*File   // the other files of a model in parts
	version     uint32
	align       int
	values      []value
	keyIndex    map[string]int
	tensorIndex map[string]int
}

// Tensor is one array of weights.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int  // Shape[0] is the row length and varies fastest, Shape[1] the number of rows, …; 1 to 4 of them
	Data  []byte // row after row, a view into the file: read-only, and gone after Close
}

// Rows is the number of rows, the product of all dimensions but the first.
func (t Tensor) Rows() int {
	n := 1
	for _, d := range t.Shape[1:] {
		n *= d
	}
	return n
}

// RowBytes is the size of one row.
func (t Tensor) RowBytes() int { return t.Shape[0] / t.Type.BlockLen() * t.Type.BlockBytes() }

// value is where a metadata value lies: n elements of kind in data[off:end].
type value struct {
	key      string
	kind     uint32
	array    bool
	n        int
	off, end int
}

// Open maps the file at path and checks its header. Of a model in parts (model-00001-of-00003.gguf and so on) path names
// the first, and all are opened as one: the metadata are the first's, the tensors those of all. Errors from a header are
// [*Error]. While it is open no file may be shortened by others: reading a mapping past the end of its file kills the
// process.
func Open(path string) (*File, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	if n, ok := f.Uint(splitCount); ok && n > 1 {
		if err := f.join(n); err != nil {
			_ = f.Close()
			return nil, err
		}
	}
	return f, nil
}

const (
	splitNo      = "split.no"
	splitCount   = "split.count"
	splitTensors = "split.tensors.count"
)

// join opens the other parts of a model in count of them.
func (f *File) join(count uint64) error {
	stem, ok := strings.CutSuffix(f.name, fmt.Sprintf("-00001-of-%05d.gguf", count))
	if no, _ := f.Uint(splitNo); no != 0 || !ok {
		return fmt.Errorf("gguf: %s is one of %d parts: open the first, whose name ends in -00001-of-%05d.gguf, in a folder with the others", f.name, count, count)
	}
	for i := uint64(1); i < count; i++ {
		part, err := open(fmt.Sprintf("%s-%05d-of-%05d.gguf", stem, i+1, count))
		if err != nil {
			return fmt.Errorf("part %d of %d: %w", i+1, count, err)
		}
		f.rest = append(f.rest, part)
		no, _ := part.Uint(splitNo)
		if n, _ := part.Uint(splitCount); no != i || n != count {
			return fmt.Errorf("gguf: %s says it is part %d of %d (keys %q and %q)", part.name, no+1, n, splitNo, splitCount)
		}
		for _, t := range part.Tensors {
			if _, dup := f.tensorIndex[t.Name]; dup {
				return fmt.Errorf("gguf: %s: tensor %.80q is in an earlier part too", part.name, t.Name)
			}
			f.tensorIndex[t.Name] = len(f.Tensors)
			f.Tensors = append(f.Tensors, t)
		}
	}
	if n, ok := f.Uint(splitTensors); ok && n != uint64(len(f.Tensors)) {
		return fmt.Errorf("gguf: %s: key %q says %d tensors, the %d parts have %d", f.name, splitTensors, n, count, len(f.Tensors))
	}
	return nil
}

// open opens one file.
func open(path string) (*File, error) {
	info, err := os.Stat(path) // before opening, which would wait for ever on a pipe
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("gguf: %s is not a regular file", path)
	}
	h, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	defer h.Close() // the mapping outlives the descriptor
	if info, err = h.Stat(); err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	if info.Size() == 0 { // cannot be mapped
		return Decode(path, nil)
	}
	m, err := mmap.Map(h, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("gguf: %s cannot be mapped into memory: %w", path, err)
	}
	f, err := Decode(path, m)
	if err != nil {
		_ = m.Unmap()
		return nil, err
	}
	f.mapping = m
	return f, nil
}

// Close unmaps the file. No view into it (Tensor.Data, ByteStrings) may be used afterwards. Closing twice does nothing.
func (f *File) Close() error {
	m, rest := f.mapping, f.rest
	f.mapping, f.rest, f.data, f.Tensors, f.values, f.keyIndex, f.tensorIndex = nil, nil, nil, nil, nil, nil, nil
	var errs []error
	if m != nil {
		if err := m.Unmap(); err != nil {
			errs = append(errs, fmt.Errorf("gguf: %s: %w", f.name, err))
		}
	}
	for _, part := range rest {
		errs = append(errs, part.Close())
	}
	return errors.Join(errs...)
}

// Release tells the system that the file's pages are not needed for now, so that they stop counting as this process's
// memory. Views stay valid: touching one reads the page again. It does nothing where the system has no such call.
func (f *File) Release() error {
	if f.mapping != nil {
		if err := release(f.mapping); err != nil {
			return fmt.Errorf("gguf: %s: %w", f.name, err)
		}
	}
	for _, part := range f.rest {
		if err := part.Release(); err != nil {
			return err
		}
	}
	return nil
}

// Name is the path given to Open.
func (f *File) Name() string { return f.name }

// Names lists the paths of all parts, in order; most models have one.
func (f *File) Names() []string {
	names := []string{f.name}
	for _, part := range f.rest {
		names = append(names, part.name)
	}
	return names
}

// Size is the length in bytes of the file, or of all parts.
func (f *File) Size() int64 {
	n := int64(len(f.data))
	for _, part := range f.rest {
		n += part.Size()
	}
	return n
}

// Version is the version of the format, 2 or 3.
func (f *File) Version() int { return int(f.version) }

// Tensor returns the tensor of that name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.tensorIndex[name]
	if !ok {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// Keys yields the metadata keys in file order.
func (f *File) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, v := range f.values {
			if !yield(v.key) {
				return
			}
		}
	}
}

// Has reports whether the key is there, of whatever kind: a getter returns false for a wrong kind too.
func (f *File) Has(key string) bool { _, ok := f.keyIndex[key]; return ok }

func (f *File) scalar(key string) (value, bool) {
	i, ok := f.keyIndex[key]
	if !ok || f.values[i].array {
		return value{}, false
	}
	return f.values[i], true
}

func (f *File) array(key string) (value, bool) {
	i, ok := f.keyIndex[key]
	if !ok || !f.values[i].array {
		return value{}, false
	}
	return f.values[i], true
}

// integer decodes an element of any integer kind; neg says that u is the two's complement of a negative number.
func integer(kind uint32, b []byte) (u uint64, neg, ok bool) {
	var i int64
	switch kind {
	case kindUint8:
		return uint64(b[0]), false, true
	case kindUint16:
		return uint64(le.Uint16(b)), false, true
	case kindUint32:
		return uint64(le.Uint32(b)), false, true
	case kindUint64:
		return le.Uint64(b), false, true
	case kindInt8:
		i = int64(int8(b[0]))
	case kindInt16:
		i = int64(int16(le.Uint16(b)))
	case kindInt32:
		i = int64(int32(le.Uint32(b)))
	case kindInt64:
		i = int64(le.Uint64(b))
	default:
		return 0, false, false
	}
	return uint64(i), i < 0, true
}

func float(kind uint32, b []byte) (float64, bool) {
	switch kind {
	case kindFloat32:
		return float64(math.Float32frombits(le.Uint32(b))), true
	case kindFloat64:
		return math.Float64frombits(le.Uint64(b)), true
	}
	return 0, false
}

// Uint returns an integer of any width that is not negative.
func (f *File) Uint(key string) (uint64, bool) {
	v, ok := f.scalar(key)
	if !ok {
		return 0, false
	}
	u, neg, ok := integer(v.kind, f.data[v.off:])
	if !ok || neg {
		return 0, false
	}
	return u, true
}

// Int returns an integer of any width that fits int64.
func (f *File) Int(key string) (int64, bool) {
	v, ok := f.scalar(key)
	if !ok {
		return 0, false
	}
	return int64Of(v.kind, f.data[v.off:])
}

func int64Of(kind uint32, b []byte) (int64, bool) {
	u, neg, ok := integer(kind, b)
	if !ok || (!neg && u > math.MaxInt64) {
		return 0, false
	}
	return int64(u), true
}

// Float returns a float32 or float64 value. It may be NaN or infinite.
func (f *File) Float(key string) (float64, bool) {
	v, ok := f.scalar(key)
	if !ok {
		return 0, false
	}
	return float(v.kind, f.data[v.off:])
}

// Bool returns a truth value.
func (f *File) Bool(key string) (on, ok bool) {
	v, ok := f.scalar(key)
	if !ok || v.kind != kindBool {
		return false, false
	}
	return f.data[v.off] == 1, true
}

// String returns a copy of a string, which need not be valid UTF-8.
func (f *File) String(key string) (string, bool) {
	v, ok := f.scalar(key)
	if !ok || v.kind != kindString {
		return "", false
	}
	return string(f.data[v.off+8 : v.end]), true
}

// Len is the number of elements of an array.
func (f *File) Len(key string) (int, bool) {
	v, ok := f.array(key)
	return v.n, ok
}

// ByteStrings yields the elements of an array of strings with their index, as views into the file: read-only, and gone
// after Close. It yields nothing when the key is missing or of another kind.
func (f *File) ByteStrings(key string) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		v, ok := f.array(key)
		if !ok || v.kind != kindString {
			return
		}
		b := f.data[v.off:v.end]
		for i := range v.n {
			n := 8 + int(le.Uint64(b))
			if !yield(i, b[8:n:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// Strings returns a copy of an array of strings.
func (f *File) Strings(key string) ([]string, bool) {
	v, ok := f.array(key)
	if !ok || v.kind != kindString {
		return nil, false
	}
	out := make([]string, v.n)
	s, at := string(f.data[v.off:v.end]), 0 // one copy; the elements share it
	for i, b := range f.ByteStrings(key) {
		at += 8
		out[i] = s[at : at+len(b)]
		at += len(b)
	}
	return out, true
}

// Ints returns an array of integers of any width, all of which fit int64.
func (f *File) Ints(key string) ([]int64, bool) {
	v, ok := f.array(key)
	if !ok {
		return nil, false
	}
	return collect(f, v, int64Of)
}

// Floats returns an array of float32 or float64 values, the latter rounded.
func (f *File) Floats(key string) ([]float32, bool) {
	v, ok := f.array(key)
	if !ok {
		return nil, false
	}
	return collect(f, v, func(kind uint32, b []byte) (float32, bool) {
		x, ok := float(kind, b)
		return float32(x), ok
	})
}

// Bools returns an array of truth values.
func (f *File) Bools(key string) ([]bool, bool) {
	v, ok := f.array(key)
	if !ok {
		return nil, false
	}
	return collect(f, v, func(kind uint32, b []byte) (bool, bool) { return b[0] == 1, kind == kindBool })
}

func collect[T any](f *File, v value, decode func(kind uint32, b []byte) (T, bool)) ([]T, bool) {
	w := width[v.kind]
	if w == 0 {
		return nil, false
	}
	out := make([]T, v.n)
	for i := range out {
		var ok bool
		if out[i], ok = decode(v.kind, f.data[v.off+i*w:v.off+(i+1)*w]); !ok {
			return nil, false
		}
	}
	return out, true
}

// Value returns a value of any kind: uint64, int64, float64, bool, string, or a slice of int64, uint64 (where one does
// not fit int64), float32, bool or string. It serves printing; code that knows what it wants uses the typed getters.
func (f *File) Value(key string) (any, bool) {
	i, ok := f.keyIndex[key]
	if !ok {
		return nil, false
	}
	v := f.values[i]
	if !v.array {
		if u, ok := f.Uint(key); ok {
			return u, true
		}
		if i, ok := f.Int(key); ok {
			return i, true
		}
		if x, ok := f.Float(key); ok {
			return x, true
		}
		if b, ok := f.Bool(key); ok {
			return b, true
		}
		return f.String(key)
	}
	switch v.kind {
	case kindString:
		return f.Strings(key)
	case kindBool:
		return f.Bools(key)
	case kindFloat32, kindFloat64:
		return f.Floats(key)
	}
	if ints, ok := f.Ints(key); ok {
		return ints, true
	}
	return collect(f, v, func(kind uint32, b []byte) (uint64, bool) {
		u, neg, ok := integer(kind, b)
		return u, ok && !neg
	})
}
