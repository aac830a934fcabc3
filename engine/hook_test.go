package engine_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gnothi/engine"
	"gnothi/engine/enginetest"
	"gnothi/engine/gguf"
)

func allSites(e *engine.Engine) (sites []engine.Site) {
	for l := range e.Info().Layers {
		for _, p := range engine.Points() {
			if p != engine.Embedding && p != engine.FinalNorm || l == 0 {
				sites = append(sites, engine.Site{Layer: l, Point: p})
			}
		}
	}
	return sites
}

func trace(t testing.TB, e *engine.Engine, parent *engine.Prefix, ids []int32, sites ...engine.Site) map[engine.Site]engine.Matrix {
	t.Helper()
	ms, err := e.Trace(bg, parent, ids, sites...)
	if err != nil {
		t.Fatal(err)
	}
	out := map[engine.Site]engine.Matrix{}
	for _, m := range ms {
		out[m.Site] = m
	}
	return out
}

// TestTrace: the states add up as the architecture says, and are the same however the text is cut.
func TestTrace(t *testing.T) {
	e := tiny(t, engine.Options{})
	ids := randomIDs(20, 100) // more than a batch
	sites := allSites(e)
	all := trace(t, e, nil, ids, sites...)
	at := func(p engine.Point, l int) engine.Matrix { return all[engine.Site{Layer: l, Point: p}] }
	sum := func(a, b engine.Matrix) []float32 {
		x := slices.Clone(a.Data)
		for i, v := range b.Data {
			x[i] += v
		}
		return x
	}
	before := at(engine.Embedding, 0).Data
	for l := range e.Info().Layers {
		if !slices.Equal(at(engine.ResidPre, l).Data, before) {
			t.Errorf("layer %d does not begin where the one before ended", l)
		}
		if !slices.Equal(sum(at(engine.ResidPre, l), at(engine.AttnOut, l)), at(engine.ResidMid, l).Data) {
			t.Errorf("layer %d: resid_pre + attn_out is not resid_mid", l)
		}
		if before = at(engine.ResidPost, l).Data; !slices.Equal(sum(at(engine.ResidMid, l), at(engine.MLPOut, l)), before) {
			t.Errorf("layer %d: resid_mid + mlp_out is not resid_post", l)
		}
		// The first token can attend to itself only.
		value, head := at(engine.Value, l), at(engine.HeadOut, l)
		dim, group := e.Info().HeadDim, e.Info().Heads/e.Info().KVHeads
		for h := range e.Info().Heads {
			for i := range dim {
				if a, b := head.Row(0)[h*dim+i], value.Row(0)[h/group*dim+i]; math.Abs(float64(a-b)) > 1e-5 {
					t.Fatalf("layer %d, head %d: the first position's mix %g is not its value %g", l, h, a, b)
				}
			}
		}
	}
	p := prefill(t, e, nil, ids[:37])
	for site, m := range trace(t, e, p, ids[37:], sites...) {
		if m.Rows != 63 || !slices.Equal(m.Data, all[site].Data[37*m.Cols:]) {
			t.Errorf("%v after a prefix differs", site)
		}
	}
	states, err := e.Hidden(bg, p, ids[37:], sites...)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range states {
		if m := all[sites[i]]; !slices.Equal(x, m.Row(99)) {
			t.Errorf("%v: Hidden and Trace differ", sites[i])
		}
	}
}

// TestTraceTo: what is on disk is a NumPy file with the same numbers; a failure leaves nothing.
func TestTraceTo(t *testing.T) {
	e := tiny(t, engine.Options{})
	ids, dir, sites := randomIDs(21, 30), t.TempDir(), allSites(e)
	want := trace(t, e, nil, ids, sites...)
	files, err := e.TraceTo(bg, dir, nil, ids, sites...)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		m := want[f.Site]
		n := 10 + int(binary.LittleEndian.Uint16(raw[8:]))
		head := string(raw[:n])
		if !strings.HasPrefix(head, "\x93NUMPY\x01\x00") || n%64 != 0 || !strings.HasSuffix(head, "\n") ||
			!strings.Contains(head, fmt.Sprintf("'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", m.Rows, m.Cols)) {
			t.Fatalf("%s: header %q", f.Path, head)
		}
		var data bytes.Buffer
		if err := binary.Write(&data, binary.LittleEndian, m.Data); err != nil || !bytes.Equal(raw[n:], data.Bytes()) {
			t.Errorf("%s: other numbers than Trace gives", f.Path)
		}
	}
	// The first file is there already: nothing is overwritten, and what was begun is gone.
	for _, f := range files[1:] {
		if err := os.Remove(f.Path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.TraceTo(bg, dir, nil, ids, sites[1], sites[0]); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing file: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// TestHooksChange: overwriting, adding and masking have the effect that the architecture gives them.
func TestHooksChange(t *testing.T) {
	e := tiny(t, engine.Options{})
	ids, last := randomIDs(22, 20), e.Info().Layers-1
	site := engine.Site{Layer: last, Point: engine.ResidPost}
	next := []int32{5}
	hooked := func(hooks ...engine.Hook) []engine.Scored {
		p, err := e.Prefill(bg, nil, ids, hooks...)
		if err != nil {
			t.Fatal(err)
		}
		return score(t, e, p, next)
	}
	plain := score(t, e, prefill(t, e, nil, ids), next)
	nothing := engine.Hook{Point: engine.ResidMid, Do: func(engine.At, []float32) error { return nil }}
	if !reflect.DeepEqual(hooked(nothing), plain) {
		t.Error("a hook that only looks changes the numbers")
	}
	// Without any output of attention and MLP the embedding goes through.
	want := trace(t, e, nil, ids, engine.Site{Point: engine.Embedding})[engine.Site{Point: engine.Embedding}]
	var got []float32
	hooked(engine.Hook{Point: engine.AttnOut, Do: engine.Zero()}, engine.Hook{Point: engine.MLPOut, Do: engine.Zero()},
		engine.Hook{Point: engine.ResidPost, Layers: []int{last}, Do: func(_ engine.At, x []float32) error {
			got = append(got, x...)
			return nil
		}})
	if !slices.Equal(got, want.Data) {
		t.Error("with everything masked the embedding does not come through")
	}
	// Another text's last state in place of this one's makes its distribution this one's.
	other := append(randomIDs(23, 30), 7)
	patch := trace(t, e, nil, other, site)[site]
	if !reflect.DeepEqual(hooked(engine.Hook{Point: engine.ResidPost, Layers: []int{last}, From: 19, Do: engine.Set(patch.Row(30))}), score(t, e, prefill(t, e, nil, other), next)) {
		t.Error("patching the last state does not bring the other text's distribution")
	}
	// Zero of one head's output is what zero of all but the others gives; and it changes something.
	first := hooked(engine.Hook{Point: engine.HeadOut, Layers: []int{1}, Heads: []int{2}, Do: engine.Zero()})
	dim := e.Info().HeadDim
	byHand := hooked(engine.Hook{Point: engine.HeadOut, Layers: []int{1}, Do: func(_ engine.At, x []float32) error {
		clear(x[2*dim : 3*dim])
		return nil
	}})
	if !reflect.DeepEqual(first, byHand) || reflect.DeepEqual(first, plain) {
		t.Error("masking a head")
	}
	// Adding scale·v twice is adding it doubled; before the position nothing changes.
	v := patch.Row(0)
	add := func(scale float32) engine.Hook {
		return engine.Hook{Point: engine.ResidPre, Layers: []int{0}, From: 10, Do: engine.Add(scale, v)}
	}
	if a, b := hooked(add(0.25), add(0.25)), hooked(add(0.5)); math.Abs(a[0].LogProb-b[0].LogProb) > 1e-4 || a[0].LogProb == plain[0].LogProb {
		t.Errorf("adding: %g and %g, without %g", a[0].LogProb, b[0].LogProb, plain[0].LogProb)
	}
	scored, err := e.Score(bg, nil, ids, engine.Stats{}, add(3))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range score(t, e, nil, ids) {
		if same := s.LogProb == scored[i].LogProb; same != (i <= 10) {
			t.Errorf("a change from position 10 on: score %d the same is %v", i, same)
		}
	}
	// Generation: hooks see each generated token but the last, which nothing follows.
	p := prefill(t, e, nil, ids)
	var seen []int32
	s := engine.Sampling{MaxTokens: 6, Hooks: []engine.Hook{{Point: engine.FinalNorm, Do: func(at engine.At, _ []float32) error {
		if at.Position != 20+len(seen) {
			t.Errorf("token %d at position %d", len(seen), at.Position)
		}
		seen = append(seen, at.Token)
		return nil
	}}}}
	steps := generate(t, e, p, s)[0]
	for i, id := range seen {
		if len(seen) != 5 || id != steps[i].ID {
			t.Fatalf("hooks saw %v", seen)
		}
	}
	s.Hooks = []engine.Hook{{Point: engine.FinalNorm, Do: engine.Zero()}}
	for _, st := range generate(t, e, p, s)[0][1:] {
		if math.Abs(st.Entropy-math.Log(enginetest.Vocab)) > 1e-6 {
			t.Errorf("no state, but entropy %g", st.Entropy)
		}
	}
	// Such prefixes do not pass for the model's own.
	q, err := e.Prefill(bg, nil, ids, nothing)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.SavePrefix(&bytes.Buffer{}, prefill(t, e, q, next)); err == nil {
		t.Error("a prefix made under hooks was saved")
	}
}

// TestHookFaults: a hook's error, panic or NaN ends its own call and leaves others alone.
func TestHookFaults(t *testing.T) {
	e := tiny(t, engine.Options{})
	ids := randomIDs(24, 80)
	p := prefill(t, e, nil, ids[:10])
	want := generate(t, e, p, engine.Sampling{MaxTokens: 40})
	broken := errors.New("broken")
	faults := map[string]struct {
		do   func(engine.At, []float32) error
		want error
	}{
		"error": {func(engine.At, []float32) error { return broken }, broken},
		"panic": {func(engine.At, []float32) error { panic("oh") }, engine.ErrHookPanicked},
		"nan":   {func(_ engine.At, x []float32) error { x[0] = float32(math.NaN()); return nil }, engine.ErrNotFinite},
	}
	for name, f := range faults {
		hook := engine.Hook{Point: engine.ResidMid, From: 30, Do: f.do}
		company := make(chan [][]engine.Step)
		go func() { company <- generate(t, e, p, engine.Sampling{MaxTokens: 40}) }()
		if _, err := e.Prefill(bg, nil, ids, hook); !errors.Is(err, f.want) {
			t.Errorf("%s in a prompt: %v", name, err)
		}
		if _, err := e.Score(bg, nil, ids, engine.Stats{}, hook); !errors.Is(err, f.want) {
			t.Errorf("%s in a score: %v", name, err)
		}
		n := 0
		err := e.Generate(bg, p, []engine.Sampling{{MaxTokens: 40, Hooks: []engine.Hook{hook}}}, func(int, engine.Step) bool { n++; return true })
		if !errors.Is(err, f.want) || n != 21 {
			t.Errorf("%s in a generation: %v after %d tokens, want 21", name, err, n)
		}
		if got := <-company; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: another's text changed", name)
		}
	}
	do := engine.Zero()
	for name, h := range map[string]engine.Hook{
		"nothing to do": {}, "point": {Point: 11, Do: do}, "layer": {Layers: []int{2}, Do: do}, "positions": {From: 3, To: 3, Do: do},
		"head of the residual": {Heads: []int{0}, Do: do}, "head": {Point: engine.Key, Heads: []int{2}, Do: do},
	} {
		if _, err := e.Prefill(bg, nil, ids, h); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := e.Prefill(bg, nil, ids, engine.Hook{Do: engine.Set([]float32{1})}); err == nil || !strings.Contains(err.Error(), "1 numbers") {
		t.Errorf("a vector that does not fit: %v", err)
	}
}

// TestHalfKV: float16 keys and values take half the memory and cost little, and are saved and read.
func TestHalfKV(t *testing.T) {
	path := enginetest.Tiny{Seed: 1, Type: gguf.Q4_1, Heads: 12, KVHeads: 3, HeadDim: 8}.File(t)
	full, half := open(t, path, engine.Options{}), open(t, path, engine.Options{HalfKV: true})
	if a, b := full.Info().KVBytes, half.Info().KVBytes; a != 4*2*2*3*8 || b != a/2 {
		t.Errorf("%d and %d bytes a token", a, b)
	}
	ids := randomIDs(25, 90)
	want := score(t, full, nil, ids)
	far := false
	for i, s := range score(t, half, nil, ids) {
		if d := math.Abs(s.LogProb - want[i].LogProb); d > 0.02 {
			t.Errorf("token %d: %g, in float32 %g", i, s.LogProb, want[i].LogProb)
		} else if d > 0 {
			far = true
		}
	}
	if !far {
		t.Error("float16 makes no difference at all")
	}
	p := prefill(t, half, nil, ids[:33])
	cut := score(t, half, prefill(t, half, p, ids[33:50]), ids[50:])
	if !reflect.DeepEqual(cut, score(t, half, nil, ids)[50:]) {
		t.Error("cut into pieces it differs")
	}
	var file bytes.Buffer
	if err := half.SavePrefix(&file, p); err != nil {
		t.Fatal(err)
	}
	q, err := half.LoadPrefix(bytes.NewReader(file.Bytes()), ids[:33])
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(score(t, half, q, ids[33:]), score(t, half, p, ids[33:])) {
		t.Error("a loaded prefix continues differently")
	}
	for _, opts := range []engine.Options{{HalfKV: true, Context: 99}, {Threads: 3}} {
		info, memory, err := engine.Foretell(path, opts)
		if err != nil {
			t.Fatal(err)
		}
		e := open(t, path, opts)
		got := e.Info()
		got.Fingerprint, got.Kernels, got.Parameters = "", "", 0
		if info != got {
			t.Errorf("foretold %+v, it is %+v", info, got)
		}
		if memory.KV(10) != 10*int64(got.KVBytes) || memory.Weights != got.Bytes || memory.Buffers < 4*64*3*64 {
			t.Errorf("memory %+v", memory)
		}
	}
	if _, _, err := engine.Foretell(path+"x", engine.Options{}); err == nil {
		t.Error("no file: no error")
	}
	if _, err := full.LoadPrefix(bytes.NewReader(file.Bytes()), ids[:33]); !errors.Is(err, engine.ErrPrefixMismatch) {
		t.Errorf("float16 read as float32: %v", err)
	}
}
