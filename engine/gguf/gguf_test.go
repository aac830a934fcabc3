package gguf_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gnothi/engine/gguf"
)

var supported = gguf.Types()

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
	types := map[gguf.Type]int{}
	for _, x := range f.Tensors {
		types[x.Type]++
		if err := gguf.CheckFinite(x); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(map[gguf.Type]int{gguf.Q4_1: 210, gguf.F32: 61, gguf.Q8_0: 1}, types); diff != "" {
		t.Error(diff)
	}
	if f.Size() != 98_362_432 || f.Version() != 3 {
		t.Errorf("%d bytes of version %d", f.Size(), f.Version())
	}
	if n, ok := f.Len("tokenizer.ggml.tokens"); !ok || n != 49152 {
		t.Errorf("%d tokens", n)
	}
	if eps, ok := f.Float("llama.attention.layer_norm_rms_epsilon"); !ok || float32(eps) != 1e-5 {
		t.Errorf("epsilon %g", eps)
	}
	emb, ok := f.Tensor("token_embd.weight")
	if !ok || !slices.Equal(emb.Shape, []int{576, 49152}) || emb.Rows() != 49152 || emb.RowBytes() != 612 {
		t.Errorf("embedding %v", emb.Shape)
	}
	before := bytes.Clone(emb.Data[:emb.RowBytes()])
	if err := f.Release(); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(before, emb.Data[:emb.RowBytes()]) {
		t.Error("released pages came back different")
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, ok := f.Tensor("token_embd.weight"); ok || f.Has("general.name") {
		t.Error("a closed file still has contents")
	}
}

// everyKind has each kind of value, at its limits.
var everyKind = []gguf.KV{
	{Key: "u8", Value: uint8(255)},
	{Key: "i8", Value: int8(-128)},
	{Key: "u16", Value: uint16(65535)},
	{Key: "i16", Value: int16(-32768)},
	{Key: "u32", Value: uint32(math.MaxUint32)},
	{Key: "i32", Value: int32(math.MinInt32)},
	{Key: "u64", Value: uint64(math.MaxUint64)},
	{Key: "i64", Value: int64(math.MinInt64)},
	{Key: "f32", Value: float32(0.5)},
	{Key: "f64", Value: math.Pi},
	{Key: "bool", Value: true},
	{Key: "string", Value: "γνῶθι\x00\xff"},
	{Key: "strings", Value: []string{"a", "", "bc"}},
	{Key: "bools", Value: []bool{true, false}},
	{Key: "u8s", Value: []uint8{0, 255}},
	{Key: "i8s", Value: []int8{-1, 1}},
	{Key: "u16s", Value: []uint16{1}},
	{Key: "i16s", Value: []int16{-1}},
	{Key: "u32s", Value: []uint32{1, math.MaxUint32}},
	{Key: "i32s", Value: []int32{-1, math.MaxInt32}},
	{Key: "u64s", Value: []uint64{1, math.MaxUint64}},
	{Key: "i64s", Value: []int64{math.MinInt64}},
	{Key: "f32s", Value: []float32{1, -2}},
	{Key: "f64s", Value: []float64{0.25}},
	{Key: "none", Value: []string{}},
}

func TestValues(t *testing.T) {
	f, err := gguf.Decode("sample", sample(t))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"u8": uint64(255), "i8": int64(-128), "u16": uint64(65535), "i16": int64(-32768), "u32": uint64(math.MaxUint32),
		"i32": int64(math.MinInt32), "u64": uint64(math.MaxUint64), "i64": int64(math.MinInt64), "f32": 0.5, "f64": math.Pi,
		"bool": true, "string": "γνῶθι\x00\xff", "strings": []string{"a", "", "bc"}, "bools": []bool{true, false},
		"u8s": []int64{0, 255}, "i8s": []int64{-1, 1}, "u16s": []int64{1}, "i16s": []int64{-1}, "u32s": []int64{1, math.MaxUint32},
		"i32s": []int64{-1, math.MaxInt32}, "u64s": []uint64{1, math.MaxUint64}, "i64s": []int64{math.MinInt64},
		"f32s": []float32{1, -2}, "f64s": []float32{0.25}, "none": []string{},
	}
	got := map[string]any{}
	var keys []string
	for k := range f.Keys() {
		v, _ := f.Value(k)
		got[k], keys = v, append(keys, k)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.EqualFunc(keys, everyKind, func(k string, kv gguf.KV) bool { return k == kv.Key }) {
		t.Errorf("keys in the order %v", keys)
	}
	// A getter of another kind, and one for a missing key, says no.
	for _, key := range append(keys, "missing") {
		_, u := f.Uint(key)
		_, i := f.Int(key)
		_, x := f.Float(key)
		_, b := f.Bool(key)
		_, s := f.String(key)
		_, ss := f.Strings(key)
		_, is := f.Ints(key)
		_, xs := f.Floats(key)
		_, bs := f.Bools(key)
		got := [9]bool{u, i, x, b, s, ss, is, xs, bs}
		var want [9]bool
		switch strings.TrimRight(key, "0123456789s") {
		case "u":
			want = [9]bool{0: true, 1: key != "u64"}
		case "i":
			want = [9]bool{1: true}
		case "f":
			want = [9]bool{2: true}
		case "bool":
			want = [9]bool{3: true}
		case "string":
			want = [9]bool{4: true}
		}
		if strings.HasSuffix(key, "s") { // an array
			want = [9]bool{
				5: key == "strings", 6: strings.Contains("u8s i8s u16s i16s u32s i32s i64s", key),
				7: key == "f32s" || key == "f64s", 8: key == "bools",
			}
		}
		if key == "none" {
			want = [9]bool{5: true}
		}
		if got != want {
			t.Errorf("key %q: getters say %v, want %v", key, got, want)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	ok := gguf.Tensor{Name: "w", Type: gguf.Q8_0, Shape: []int{32}, Data: make([]byte, 34)}
	with := func(change func(*gguf.Tensor)) []gguf.Tensor { x := ok; change(&x); return []gguf.Tensor{x} }
	for name, c := range map[string]struct {
		meta    []gguf.KV
		tensors []gguf.Tensor
	}{
		"value":     {meta: []gguf.KV{{Key: "k", Value: 1}}},
		"no value":  {meta: []gguf.KV{{Key: "k"}}},
		"no key":    {meta: []gguf.KV{{Value: true}}},
		"two keys":  {meta: []gguf.KV{{Key: "k", Value: true}, {Key: "k", Value: true}}},
		"alignment": {meta: []gguf.KV{{Key: "general.alignment", Value: uint32(64)}}},
		"two names": {tensors: []gguf.Tensor{ok, ok}},
		"no name":   {tensors: with(func(x *gguf.Tensor) { x.Name = "" })},
		"type":      {tensors: with(func(x *gguf.Tensor) { x.Type = 77 })},
		"no shape":  {tensors: with(func(x *gguf.Tensor) { x.Shape = nil })},
		"data":      {tensors: with(func(x *gguf.Tensor) { x.Data = x.Data[:33] })},
		"row":       {tensors: with(func(x *gguf.Tensor) { x.Shape = []int{16, 2} })},
		"negative":  {tensors: with(func(x *gguf.Tensor) { x.Shape = []int{-32} })},
		"overflow":  {tensors: with(func(x *gguf.Tensor) { x.Shape = []int{32, math.MaxInt/16 + 1, 2} })},
	} {
		if err := gguf.Write(&bytes.Buffer{}, c.meta, c.tensors); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	full := errors.New("disk full")
	if err := gguf.Write(failing{full}, nil, []gguf.Tensor{ok}); !errors.Is(err, full) {
		t.Errorf("error of the writer: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Blocks written out by hand: the order of nibbles, signs, offsets.
func TestDequantise(t *testing.T) {
	// 0x3800 is 0.5 and 0xc000 is -2.
	q8 := append([]byte{0x00, 0x38}, make([]byte, 32)...)
	q8[2], q8[3], q8[33] = 0x80, 0x7f, 0xff // -128, 127, and -1 at element 31
	q4 := append([]byte{0x00, 0x38}, bytes.Repeat([]byte{0x88}, 16)...)
	q4[2], q4[17] = 0xf0, 0x9f // elements 0 and 16: 0 and 15; 15 and 31: 15 and 9
	q41 := append([]byte{0x00, 0x38, 0x00, 0xc0}, make([]byte, 16)...)
	q41[4], q41[19] = 0xf1, 0x20 // elements 0 and 16: 1 and 15; 31: 2
	// Fifth bits: element 0 of Q5_0 has its own, element 31 of Q5_1.
	q5 := append([]byte{0x00, 0x38, 1, 0, 0, 0}, bytes.Repeat([]byte{0x00}, 16)...)
	q5[6], q5[21] = 0x0f, 0x30 // 31 and 0; 3 at element 31
	q51 := append([]byte{0x00, 0x38, 0x00, 0xc0, 0, 0, 0, 0x80}, make([]byte, 16)...)
	q51[8], q51[23] = 0x21, 0x10
	nl := append([]byte{0x00, 0x38}, bytes.Repeat([]byte{0x88}, 16)...)
	nl[2], nl[17] = 0xf0, 0x9f
	// d is 0.5, dmin -2; groups 0 and 5 have scales and minima with upper bits.
	q4k := append([]byte{0x00, 0x38, 0x00, 0xc0}, make([]byte, 140)...)
	q4k[4], q4k[4+4] = 33, 17            // group 0: scale 33, minimum 17
	q4k[4+9] = 3 | 4<<4                  // group 5: scale 3 + 16·2, minimum 4 + 16·1
	q4k[4+1], q4k[4+5] = 2<<6, 1<<6      // their upper bits, where group 1 leaves room
	q4k[16], q4k[16+64+31] = 0x05, 15<<4 // element 0; element 32·5+31
	q5k := append(bytes.Clone(q4k[:16]), make([]byte, 160)...)
	q5k[16], q5k[16+31] = 1, 1<<5
	q5k[48], q5k[48+64+31] = 0x05, 15<<4
	q6k := make([]byte, 210)
	q6k[209] = 0x38 // 0.5
	for i := range 16 {
		q6k[192+i] = byte(int8(i - 8))
	}
	q6k[0] = 0x21                        // element 0: 1, element 64: 2
	q6k[128] = 1 | 2<<4                  // their upper bits: 17 and 34
	q6k[64+63], q6k[128+63] = 0xf0, 0xc0 // element 255: 15 + 16·3
	wide := func(v func(i int) float32, set map[int]float32) []float32 {
		x := make([]float32, 256)
		for i := range x {
			x[i] = v(i)
		}
		for i, v := range set {
			x[i] = v
		}
		return x
	}
	minima := func(i int) float32 { return map[int]float32{0: 34, 5: 40}[i/32] } // −dmin·minimum
	fill := func(v float32, set map[int]float32) []float32 {
		x := slices.Repeat([]float32{v}, 32)
		for i, v := range set {
			x[i] = v
		}
		return x
	}
	for _, c := range []struct {
		typ  gguf.Type
		src  []byte
		want []float32
	}{
		{gguf.F32, []byte{0, 0, 0x20, 0x41, 0, 0, 0x80, 0xbf}, []float32{10, -1}},
		{gguf.F16, []byte{0x00, 0x38, 0x00, 0xc0, 0x01, 0x00}, []float32{0.5, -2, 0x1p-24}},
		{gguf.BF16, []byte{0x20, 0x41, 0x80, 0xbf}, []float32{10, -1}},
		{gguf.Q8_0, q8, fill(0, map[int]float32{0: -64, 1: 63.5, 31: -0.5})},
		{gguf.Q4_0, q4, fill(0, map[int]float32{0: -4, 16: 3.5, 15: 3.5, 31: 0.5})},
		{gguf.Q4_1, q41, fill(-2, map[int]float32{0: -1.5, 16: 5.5, 31: -1})},
		{gguf.Q5_0, q5, fill(-8, map[int]float32{0: 7.5, 31: -6.5})},
		{gguf.Q5_1, q51, fill(-2, map[int]float32{0: -1.5, 16: -1, 31: 6.5})},
		{gguf.IQ4_NL, nl, fill(0.5, map[int]float32{0: -63.5, 16: 56.5, 15: 56.5, 31: 6.5})},
		{gguf.Q4_K, q4k, wide(minima, map[int]float32{0: 34 + 0.5*33*5, 191: 40 + 0.5*35*15})},
		{gguf.Q5_K, q5k, wide(minima, map[int]float32{0: 34 + 0.5*33*21, 191: 40 + 0.5*35*31})},
		{gguf.Q6_K, q6k, wide(func(i int) float32 { return -16 * float32(i/16-8) }, map[int]float32{0: 60, 64: -4, 255: 0.5 * 7 * 31})},
	} {
		got := make([]float32, len(c.want))
		if err := gguf.Dequantise(got, c.typ, c.src); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.typ, got, err, c.want)
		}
		if err := gguf.Dequantise(got, c.typ, c.src[1:]); err == nil {
			t.Errorf("%s: a short block is read", c.typ)
		}
		if c.typ.BlockLen() > 1 {
			if err := gguf.Dequantise(got[1:], c.typ, c.src); err == nil {
				t.Errorf("%s: half a block is read", c.typ)
			}
		}
	}
	err := gguf.Dequantise(make([]float32, 256), 10, make([]byte, 84))
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "Q2_K") || !strings.Contains(err.Error(), "F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, IQ4_NL, BF16") {
		t.Errorf("unsupported type: %v", err)
	}
}

func TestQuantise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const span = 256
	x := make([]float32, 16*span)
	for i := range x {
		x[i] = float32(rng.NormFloat64()) * float32(i/span)
	}
	// The largest error in a block over its range: half a step, and the rounding of the scale to float16 on top.
	// Q4_0 has one step less on the side of the smaller extreme.
	// IQ4_NL's steps are up to 24 of 240 wide; the K types round their scales too.
	for typ, bound := range map[gguf.Type]float64{
		gguf.F32: 0, gguf.F16: 0x1p-11, gguf.BF16: 0x1p-8, gguf.Q8_0: 0.0025, gguf.Q4_0: 0.064, gguf.Q4_1: 0.035,
		gguf.Q5_0: 0.032, gguf.Q5_1: 0.017, gguf.IQ4_NL: 0.065, gguf.Q4_K: 0.05, gguf.Q5_K: 0.03, gguf.Q6_K: 0.02,
	} {
		b, err := gguf.Quantise(typ, x)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(x))
		if err := gguf.Dequantise(got, typ, b); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(x); i += span {
			reach := float64(max(slices.Max(x[i:i+span]), -slices.Min(x[i:i+span]))) * 2
			for j := i; j < i+span; j++ {
				if d := math.Abs(float64(got[j] - x[j])); d > bound*reach {
					t.Fatalf("%s: %g became %g in a block of range %g", typ, x[j], got[j], reach)
				}
			}
		}
		// What has been quantised once does not change the second time.
		exact := typ.BlockLen() == 1 || typ == gguf.Q8_0
		if again, err := gguf.Quantise(typ, got); err != nil || exact && !bytes.Equal(again, b) {
			t.Errorf("%s: quantised again it differs, %v", typ, err)
		}
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), 1e38} {
		x[5] = bad
		for _, typ := range supported {
			if _, err := gguf.Quantise(typ, x); err == nil && (bad-bad != 0 || typ != gguf.F32 && typ != gguf.BF16) {
				t.Errorf("%s takes %g", typ, bad)
			}
		}
	}
	if _, err := gguf.Quantise(gguf.Q8_0, x[:31]); err == nil {
		t.Error("31 elements are a block")
	}
}

func TestHalf(t *testing.T) {
	value := func(h int) float64 { // by the definition
		exp, frac := h>>10&31, float64(h&0x3ff)
		v := math.Ldexp(frac, -24)
		if exp > 0 {
			v = math.Ldexp(1024+frac, exp-25)
		}
		if h&0x8000 != 0 {
			return -v
		}
		return v
	}
	for h := range 1 << 16 {
		got := gguf.F16ToF32(uint16(h))
		if h&0x7c00 == 0x7c00 {
			if frac := h & 0x3ff; frac != 0 != math.IsNaN(float64(got)) || frac == 0 && !math.IsInf(float64(got), 1-h>>14&2) {
				t.Fatalf("%#x is %g", h, got)
			}
			continue
		}
		if float64(got) != value(h) || math.Signbit(float64(got)) != (h&0x8000 != 0) {
			t.Fatalf("%#x is %g, want %g", h, got, value(h))
		}
		if back := gguf.F32ToF16(got); back != uint16(h) {
			t.Fatalf("%#x came back as %#x", h, back)
		}
		// Between two halves the nearer, in the middle the even one.
		up, even := uint16(h)+1, uint16(h)+uint16(h)&1
		mid := float32(value(h) + math.Copysign(math.Abs(value(h&^0x3ff|0x3ff)-value(h&^0x3ff|0x3fe))/2, value(h)))
		if h&0x8000 != 0 && value(h) == 0 {
			mid = -0x1p-25
		}
		away := math.Nextafter32(mid, float32(math.Inf(1-h>>14&2)))
		if gguf.F32ToF16(mid) != even || gguf.F32ToF16(away) != up || gguf.F32ToF16(math.Nextafter32(mid, 0)) != uint16(h) {
			t.Fatalf("around %#x: the middle gives %#x, above it %#x", h, gguf.F32ToF16(mid), gguf.F32ToF16(away))
		}
	}
	for in, want := range map[float32]uint16{1: 0x3f80, -2: 0xc000, 1.00390625: 0x3f80, 1.01171875: 0x3f82, float32(math.Inf(1)): 0x7f80, math.MaxFloat32: 0x7f80} {
		if got := gguf.F32ToBF16(in); got != want {
			t.Errorf("bfloat16 of %g is %#x, want %#x", in, got, want)
		}
	}
	if h := gguf.F32ToBF16(float32(math.NaN())); gguf.BF16ToF32(h) == gguf.BF16ToF32(h) {
		t.Error("NaN became a number in bfloat16")
	}
	if h := gguf.F32ToF16(float32(math.NaN())); gguf.F16ToF32(h) == gguf.F16ToF32(h) {
		t.Error("NaN became a number in float16")
	}
}

func BenchmarkOpen(b *testing.B) {
	path := modelPath(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := gguf.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
