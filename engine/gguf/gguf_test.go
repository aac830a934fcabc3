package gguf_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"gnothi/engine/gguf"
)

// modelPath returns the real model file, or skips.
func modelPath(tb testing.TB) string {
	tb.Helper()
	path := os.Getenv("GNOTHI_TEST_MODEL")
	if path == "" {
		if dir, err := os.UserCacheDir(); err == nil {
			path = filepath.Join(dir, "gnothi", "models", "smollm2-135m.gguf")
		}
	}
	if _, err := os.Stat(path); err != nil {
		tb.Skip("no model file; get it with: gnothi model pull smollm2-135m")
	}
	return path
}

func TestRealFile(t *testing.T) {
	f, err := gguf.Open(modelPath(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	types := map[gguf.Type]int{}
	for _, x := range f.Tensors {
		types[x.Type]++
		if err := gguf.CheckFinite(x); err != nil {
			t.Error(err)
		}
	}
	if types[gguf.Q4_1] != 210 || types[gguf.F32] != 61 || types[gguf.Q8_0] != 1 || len(types) != 3 {
		t.Errorf("tensor types %v", types)
	}
	if n, ok := f.Len("tokenizer.ggml.tokens"); !ok || n != 49152 {
		t.Errorf("%d tokens", n)
	}
	if eps, ok := f.Float("llama.attention.layer_norm_rms_epsilon"); !ok || float32(eps) != 1e-5 {
		t.Errorf("epsilon %g", eps)
	}
	if err := f.Release(); err != nil {
		t.Error(err)
	}
	// Released pages come back.
	emb, _ := f.Tensor("token_embd.weight")
	row := make([]float32, emb.Shape[0])
	if err := gguf.Dequantise(row, emb.Type, emb.Data[:emb.RowBytes()]); err != nil {
		t.Error(err)
	}
}

func TestRoundTrip(t *testing.T) {
	x := make([]float32, 64)
	for i := range x {
		x[i] = float32(i) - 20.5
	}
	var tensors []gguf.Tensor
	for _, typ := range []gguf.Type{gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0, gguf.Q4_0, gguf.Q4_1} {
		b, err := gguf.Quantise(typ, x)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, gguf.Tensor{Name: typ.String(), Type: typ, Shape: []int{32, 2}, Data: b})
	}
	var buf bytes.Buffer
	meta := []gguf.KV{{"s", "text"}, {"u", uint32(7)}, {"i", int8(-7)}, {"f", float32(0.5)}, {"b", true}, {"ss", []string{"a", "", "bc"}}, {"fs", []float32{1, 2}}, {"is", []int32{-1, 5}}}
	if err := gguf.Write(&buf, meta, tensors); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Decode("x", buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	worst := map[string]float32{"F32": 0, "F16": 0, "BF16": 0.13, "Q8_0": 0.2, "Q4_0": 3, "Q4_1": 1.1}
	for _, x2 := range f.Tensors {
		got := make([]float32, 64)
		if err := gguf.Dequantise(got, x2.Type, x2.Data); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if d := max(got[i]-x[i], x[i]-got[i]); d > worst[x2.Name] {
				t.Errorf("%s[%d] = %g, want %g", x2.Name, i, got[i], x[i])
			}
		}
	}
	if ss, _ := f.Strings("ss"); len(ss) != 3 || ss[2] != "bc" {
		t.Errorf("strings %q", ss)
	}
}
