package gguf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gnothi/engine/gguf"
)

// bin builds file headers by hand.
type bin []byte

func (b bin) u32(v uint32) bin        { return binary.LittleEndian.AppendUint32(b, v) }
func (b bin) u64(v uint64) bin        { return binary.LittleEndian.AppendUint64(b, v) }
func (b bin) raw(s string) bin        { return append(b, s...) }
func (b bin) str(s string) bin        { return b.u64(uint64(len(s))).raw(s) }
func (b bin) zeros(n int) bin         { return append(b, make([]byte, n)...) }
func (b bin) pad(n int) bin           { return b.zeros((n - len(b)%n) % n) }
func header(tensors, keys uint64) bin { return bin("GGUF").u32(3).u64(tensors).u64(keys) }

// tensor adds a tensor record.
func (b bin) tensor(name string, typ uint32, offset uint64, dims ...uint64) bin {
	b = b.str(name).u32(uint32(len(dims)))
	for _, d := range dims {
		b = b.u64(d)
	}
	return b.u32(typ).u64(offset)
}

func TestHostileFiles(t *testing.T) {
	const u8, u32, boolean, str, array = 0, 4, 7, 8, 9
	one := func(dims ...uint64) bin { return header(1, 0).tensor("w", 0, 0, dims...).pad(32).zeros(128) }
	key := func() bin { return header(0, 1).str("k") }
	for _, c := range []struct {
		name   string
		data   bin
		want   string // in the message
		offset int64
	}{
		{"empty", nil, "not a GGUF file", 0},
		{"short magic", bin("GG"), "not a GGUF file", 0},
		{"a web page", bin("<!DOCTYPE html>"), `"<!DO"`, 0},
		{"GGML", bin("lmgg").zeros(40), "before GGUF", 0},
		{"no version", bin("GGUF"), "truncated", 4},
		{"version 1", bin("GGUF").u32(1).zeros(40), "version 1 is not supported", 4},
		{"version 99", bin("GGUF").u32(99).zeros(40), "version 99", 4},
		{"big-endian", bin("GGUF").raw("\x00\x00\x00\x03").zeros(40), "big-endian", 4},
		{"no counts", bin("GGUF").u32(3).u32(0), "tensor count", 8},
		{"absurd tensors", header(1<<60, 0).zeros(100), "tensors are more", 8},
		{"absurd keys", header(0, math.MaxUint64).zeros(100), "keys are more", 16},
		{"more keys than fit", header(0, 8).zeros(8 * 13), "keys are more", 16},
		{"endless key", header(0, 1).u64(1 << 62).zeros(20), `key 1 of 1`, 24},
		{"empty key", header(0, 1).str("").u32(u8).zeros(20), "0 bytes", 24},
		{"long key", header(0, 1).str(strings.Repeat("k", 1<<16+1)).u32(u8).zeros(20), "65537 bytes", 24},
		{"unknown kind", key().u32(13).zeros(20), `key "k"`, 33},
		{"cut value", key().u32(10).zeros(2), "truncated", 37},
		{"endless string", key().u32(str).u64(math.MaxUint64), "18446744073709551615 bytes", 37},
		{"truth of 2", key().u32(boolean).raw("\x02").zeros(8), "truth value is 2", 37},
		{"truths of 2", key().u32(array).u32(boolean).u64(2).raw("\x01\x02"), "truth value is 2", 50},
		{"nested array", key().u32(array).u32(array).u64(1).zeros(50), "arrays of arrays", 37},
		{"array of unknown", key().u32(array).u32(77).u64(1).zeros(50), "kind 77", 37},
		{"endless array", key().u32(array).u32(u32).u64(1 << 62).zeros(50), "array of", 41},
		{"endless strings", key().u32(array).u32(str).u64(7).zeros(50), "array of 7", 41},
		{"cut strings", key().u32(array).u32(str).u64(2).str("abcdefgh").u32(0), "a string", 65},
		{"endless string in array", key().u32(array).u32(str).u64(1).u64(9).zeros(8), "9 bytes", 49},
		{"equal keys", header(0, 2).str("k").u32(u8).zeros(1).str("k").u32(u8).zeros(1), "twice", 38},
		{"alignment 12", header(0, 1).str("general.alignment").u32(u32).u32(12), "power of two", 53},
		{"alignment 0", header(0, 1).str("general.alignment").u32(u32).u32(0), "power of two", 53},
		{"alignment 2^31", header(0, 1).str("general.alignment").u32(u32).u32(1 << 31), "power of two", 53},
		{"alignment of text", header(0, 1).str("general.alignment").u32(str).str("32"), "power of two", 53},
		{"no name", header(1, 0).tensor("", 0, 0, 32).zeros(200), "0 bytes", 24},
		{"no dimensions", one(), "0 dimensions", 33},
		{"five dimensions", one(1, 1, 1, 1, 1), "5 dimensions", 33},
		{"absurd dimensions", header(1, 0).str("w").u32(math.MaxUint32).zeros(40), "4294967295 dimensions", 33},
		{"empty tensor", one(32, 0), "not empty", 45},
		{"2^64 elements", one(1<<32, 1<<32), "fewer than 2^63", 45},
		{"2^63 elements", one(1 << 63), "fewer than 2^63", 37},
		{"2^65 bytes", one(1<<62, 1), "larger than the file", 53},
		{"larger than the file", one(1 << 20), "larger than the file", 45},
		{"unknown type", header(1, 0).tensor("w", 31, 0, 32).zeros(200), "type number 31", 45},
		{"huge type", header(1, 0).tensor("w", math.MaxUint32, 0, 32).zeros(200), "type number 4294967295", 45},
		{"cut block", header(1, 0).tensor("w", 8, 0, 33).zeros(200), "whole blocks of Q8_0", 45},
		{"cut super-block", header(1, 0).tensor("w", 12, 0, 576).zeros(2000), "whole blocks of Q4_K", 45},
		{"misaligned", header(1, 0).tensor("w", 0, 4, 32).zeros(200), "alignment 32", 24},
		{"past the end", header(1, 0).tensor("w", 0, 64, 32).pad(32).zeros(128), "end after the file", 24},
		{"far past the end", header(1, 0).tensor("w", 0, math.MaxUint64&^31, 32).pad(32).zeros(128), "end after the file", 24},
		{"no data", header(1, 0).tensor("w", 0, 0, 1), "end after the file", 24},
		{"no room for padding", header(1, 0).tensor("w", 0, 0, 1).zeros(3), "end after the file", 24},
		{"equal tensors", header(2, 0).tensor("w", 0, 0, 8).tensor("w", 0, 32, 8).pad(32).zeros(64), "twice", 57},
		{"overlap", header(2, 0).tensor("a", 0, 0, 16).tensor("b", 0, 32, 8).pad(32).zeros(64), `overlaps that of tensor "a"`, 57},
		{"same place", header(2, 0).tensor("a", 0, 0, 8).tensor("b", 0, 0, 8).pad(32).zeros(64), "overlaps", 57},
	} {
		_, err := gguf.Decode("evil.gguf", c.data)
		var e *gguf.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "evil.gguf") || e.Offset != c.offset {
			t.Errorf("%s: %v, want %q at byte %d", c.name, err, c.want, c.offset)
		}
	}
}

// A good file cut anywhere is refused, but for the padding after its last tensor.
func TestTruncated(t *testing.T) {
	good := sample(t)
	for n := range good { // the last tensor needs no padding
		if _, err := gguf.Decode("cut", good[:n:n]); err == nil {
			t.Errorf("%d of %d bytes are accepted", n, len(good))
		}
	}
}

// A header that asks for much gets little.
func TestBoundedMemory(t *testing.T) {
	file := header(1<<16, 1<<16).zeros(4 << 20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := gguf.Decode("evil", file); err == nil {
		t.Error("accepted")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d bytes allocated for a file of %d", n, len(file))
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.gguf")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                          "not a regular file",
		os.DevNull:                   "not a regular file",
		empty:                        "not a GGUF file",
		filepath.Join(dir, "absent"): "absent",
	} {
		if _, err := gguf.Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if _, err := gguf.Open(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestCheckFinite(t *testing.T) {
	half := func(h uint16, at, size int) []byte {
		b := make([]byte, size)
		binary.LittleEndian.PutUint16(b[at:], h)
		return b
	}
	single := binary.LittleEndian.AppendUint32(make([]byte, 8), math.Float32bits(float32(math.Inf(-1))))
	for _, c := range []struct {
		typ  gguf.Type
		data []byte
		want string
	}{
		{gguf.F32, single, "byte 8"},
		{gguf.F16, half(0x7c00, 4, 8), "byte 4"},
		{gguf.F16, half(0x7bff, 4, 8), ""},
		{gguf.BF16, half(0x7fc0, 6, 8), "byte 6"},
		{gguf.BF16, half(0x7f7f, 6, 8), ""},
		{gguf.Q8_0, half(0xfc00, 34, 68), "byte 34"},
		{gguf.Q8_0, half(0xffff, 36, 68), ""}, // quants may be anything
		{gguf.Q4_0, half(0x7e00, 18, 36), "byte 18"},
		{gguf.Q4_1, half(0x7c01, 22, 40), "byte 22"}, // the minimum of the second block
		{gguf.Q5_0, half(0x7c00, 22, 44), "byte 22"},
		{gguf.Q5_0, half(0xffff, 24, 44), ""}, // its fifth bits
		{gguf.Q5_1, half(0x7c00, 26, 48), "byte 26"},
		{gguf.IQ4_NL, half(0xfe00, 0, 18), "byte 0"},
		{gguf.Q4_K, half(0x7c00, 2, 144), "byte 2"},
		{gguf.Q4_K, half(0xffff, 4, 144), ""}, // its packed scales
		{gguf.Q5_K, half(0x7c00, 176, 352), "byte 176"},
		{gguf.Q6_K, half(0x7c00, 208, 210), "byte 208"},
		{gguf.Q6_K, half(0xffff, 0, 210), ""},
		{gguf.Type(10), make([]byte, 84), "Q2_K are not supported"},
	} {
		err := gguf.CheckFinite(gguf.Tensor{Name: "w", Type: c.typ, Data: c.data})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"w"`)) {
			t.Errorf("%s: %v, want %q", c.typ, err, c.want)
		}
	}
}

// sample is a file with every kind of value and every type of tensor that is read.
func sample(tb testing.TB) []byte {
	tb.Helper()
	x := make([]float32, 512)
	for i := range x {
		x[i] = float32(i%64)/8 - 3
	}
	var tensors []gguf.Tensor
	for _, typ := range supported {
		row := max(32, typ.BlockLen())
		data, err := gguf.Quantise(typ, x[:2*row])
		if err != nil {
			tb.Fatal(err)
		}
		tensors = append(tensors, gguf.Tensor{Name: typ.String(), Type: typ, Shape: []int{row, 2}, Data: data})
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, everyKind, tensors); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// FuzzDecode: whatever the bytes, there is an error or a file whose every part can be used.
func FuzzDecode(f *testing.F) {
	good := sample(f)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(header(1, 1).str("k").u32(9).u32(8).u64(1).str("v").tensor("w", 3, 0, 32).pad(32).zeros(20)))
	f.Add([]byte(header(2, 0).tensor("a", 0, 32, 8).tensor("b", 30, 0, 4, 2, 1, 1).pad(32).zeros(64)))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := gguf.Decode("fuzz", data)
		if err != nil {
			var e *gguf.Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > int64(len(data)) {
				t.Fatalf("%v", err)
			}
			return
		}
		for key := range file.Keys() {
			if _, ok := file.Value(key); !ok {
				t.Fatalf("key %q has no value", key)
			}
			for range file.ByteStrings(key) {
			}
		}
		total := 0
		for _, x := range file.Tensors {
			total += len(x.Data)
			if x.Rows()*x.RowBytes() != len(x.Data) {
				t.Fatalf("tensor %q: %d rows of %d bytes in %d", x.Name, x.Rows(), x.RowBytes(), len(x.Data))
			}
			if same, ok := file.Tensor(x.Name); !ok || &same.Data[0] != &x.Data[0] {
				t.Fatalf("tensor %q is not found", x.Name)
			}
			if !x.Type.Supported() {
				continue
			}
			row := make([]float32, x.Shape[0])
			if err := gguf.Dequantise(row, x.Type, x.Data[:x.RowBytes()]); err != nil {
				t.Fatal(err)
			}
			if gguf.CheckFinite(x) == nil {
				for _, v := range row {
					if v-v != 0 {
						t.Fatalf("tensor %q: %g after CheckFinite", x.Name, v)
					}
				}
			}
		}
		if total > len(data) {
			t.Fatalf("%d bytes of tensors in a file of %d", total, len(data))
		}
	})
}
