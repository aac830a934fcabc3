package gguf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gnothi/engine/gguf"
)

// part is one file of a model in parts: what it says it is, and its tensors.
type part struct {
	no, count uint16
	total     int32
	tensors   []string
}

// write writes parts under the names that belong to their places, and returns the first's.
func writeParts(t *testing.T, stem string, parts ...part) string {
	t.Helper()
	dir := t.TempDir()
	path := func(i int) string {
		return filepath.Join(dir, fmt.Sprintf("%s-%05d-of-%05d.gguf", stem, i+1, len(parts)))
	}
	for i, p := range parts {
		f, err := os.Create(path(i))
		if err != nil {
			t.Fatal(err)
		}
		meta := []gguf.KV{{Key: "split.no", Value: p.no}, {Key: "split.count", Value: p.count}, {Key: "split.tensors.count", Value: p.total}}
		var tensors []gguf.Tensor
		for _, name := range p.tensors {
			data, err := gguf.Quantise(gguf.F32, []float32{float32(len(name)), float32(i)})
			if err != nil {
				t.Fatal(err)
			}
			tensors = append(tensors, gguf.Tensor{Name: name, Type: gguf.F32, Shape: []int{2}, Data: data})
		}
		if err := gguf.Write(f, meta, tensors); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return path(0)
}

func TestParts(t *testing.T) {
	first := writeParts(t, "m", part{0, 3, 4, []string{"a", "bb"}}, part{1, 3, 4, nil}, part{2, 3, 4, []string{"ccc", "dddd"}})
	f, err := gguf.Open(first)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	size := int64(0)
	for _, path := range f.Names() {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	for _, x := range f.Tensors {
		names = append(names, x.Name)
		if same, ok := f.Tensor(x.Name); !ok || &same.Data[0] != &x.Data[0] {
			t.Errorf("tensor %q is not found", x.Name)
		}
	}
	if !slices.Equal(names, []string{"a", "bb", "ccc", "dddd"}) || len(f.Names()) != 3 || f.Size() != size {
		t.Errorf("tensors %q, parts %q, %d bytes of %d", names, f.Names(), f.Size(), size)
	}
	x, _ := f.Tensor("dddd")
	got := make([]float32, 2)
	if err := gguf.Dequantise(got, x.Type, x.Data); err != nil || !slices.Equal(got, []float32{4, 2}) {
		t.Errorf("dddd is %v, %v", got, err)
	}
	if err := f.Release(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestPartsRefused(t *testing.T) {
	a, b := part{0, 2, 2, []string{"a"}}, part{1, 2, 2, []string{"b"}}
	second := func(first string) string { return strings.Replace(first, "-00001-", "-00002-", 1) }
	for _, c := range []struct {
		name  string
		parts []part
		open  func(first string) string
		want  string
	}{
		{"the second", []part{a, b}, second, "open the first"},
		{"another name", []part{a, b}, func(first string) string {
			other := filepath.Join(filepath.Dir(first), "model.gguf")
			if err := os.Rename(first, other); err != nil {
				t.Fatal(err)
			}
			return other
		}, "open the first"},
		{"missing", []part{a, b}, func(first string) string { _ = os.Remove(second(first)); return first }, "part 2 of 2"},
		{"swapped", []part{a, {0, 2, 2, []string{"b"}}}, nil, "says it is part 1 of 2"},
		{"of another model", []part{a, {1, 3, 2, []string{"b"}}}, nil, "says it is part 2 of 3"},
		{"twice", []part{a, {1, 2, 2, []string{"a"}}}, nil, `tensor "a" is in an earlier part`},
		{"too few tensors", []part{{0, 2, 3, []string{"a"}}, b}, nil, "says 3 tensors, the 2 parts have 2"},
	} {
		path := writeParts(t, "m", c.parts...)
		if c.open != nil {
			path = c.open(path)
		}
		if _, err := gguf.Open(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
