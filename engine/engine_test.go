package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gnothi/engine"
	"gnothi/engine/enginetest"
	"gnothi/engine/gguf"
	"gnothi/llm/llmtest"
)

var bg = context.Background()

func TestMain(m *testing.M) { llmtest.Main(m) }

func tiny(t testing.TB, opts engine.Options) *engine.Engine {
	return open(t, enginetest.Tiny{Seed: 1, Type: gguf.Q4_1}.File(t), opts)
}

func randomIDs(seed uint64, n int) []int32 {
	rng := rand.New(rand.NewPCG(seed, 0))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = rng.Int32N(enginetest.Vocab)
	}
	return ids
}

func prefill(t testing.TB, e *engine.Engine, parent *engine.Prefix, ids []int32) *engine.Prefix {
	t.Helper()
	p, err := e.Prefill(bg, parent, ids)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func score(t testing.TB, e *engine.Engine, parent *engine.Prefix, ids []int32) []engine.Scored {
	t.Helper()
	s, err := e.Score(bg, parent, ids, engine.Stats{Top: 3})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// generate returns all steps by sequence.
func generate(t testing.TB, e *engine.Engine, p *engine.Prefix, s ...engine.Sampling) [][]engine.Step {
	t.Helper()
	out := make([][]engine.Step, len(s))
	err := e.Generate(bg, p, s, func(seq int, step engine.Step) bool {
		out[seq] = append(out[seq], step)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// reference is a float64 forward pass written down as plainly as possible, over the dequantised
// weights of a file. It returns the logits after each token.
func reference(t *testing.T, path string, ids []int32) [][]float64 {
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	num := func(key string) int {
		v, ok := f.Uint("llama." + key)
		if !ok {
			t.Fatalf("no key %q", key)
		}
		return int(v)
	}
	load := func(name string) [][]float64 {
		x, ok := f.Tensor(name)
		if !ok {
			return nil
		}
		flat := make([]float32, x.Rows()*x.Shape[0])
		if err := gguf.Dequantise(flat, x.Type, x.Data); err != nil {
			t.Fatal(err)
		}
		var rows [][]float64
		for row := range slices.Chunk(flat, x.Shape[0]) {
			r := make([]float64, len(row))
			for i, v := range row {
				r[i] = float64(v)
			}
			rows = append(rows, r)
		}
		return rows
	}
	mul := func(w [][]float64, x []float64) []float64 {
		y := make([]float64, len(w))
		for r := range w {
			for i, v := range x {
				y[r] += w[r][i] * v
			}
		}
		return y
	}
	norm := func(x []float64, w []float64) []float64 {
		ss := 0.0
		for _, v := range x {
			ss += v * v
		}
		y := make([]float64, len(x))
		for i, v := range x {
			y[i] = v / math.Sqrt(ss/float64(len(x))+1e-5) * w[i]
		}
		return y
	}
	heads, kvHeads, dim, rot := num("attention.head_count"), num("attention.head_count_kv"), num("attention.key_length"), num("rope.dimension_count")
	base, _ := f.Float("llama.rope.freq_base")
	factors := load("rope_freqs.weight")
	rope := func(x []float64, pos int) {
		for i := range rot / 2 {
			a := float64(pos) * math.Pow(base, -2*float64(i)/float64(rot))
			if factors != nil {
				a /= factors[0][i]
			}
			s, c := math.Sincos(a)
			x[2*i], x[2*i+1] = x[2*i]*c-x[2*i+1]*s, x[2*i]*s+x[2*i+1]*c
		}
	}
	embed := load("token_embd.weight")
	x := make([][]float64, len(ids))
	for t, id := range ids {
		x[t] = slices.Clone(embed[id])
	}
	add := func(x, y []float64) {
		for i := range x {
			x[i] += y[i]
		}
	}
	for l := range num("block_count") {
		w := func(name string) [][]float64 { return load(fmt.Sprintf("blk.%d.%s.weight", l, name)) }
		var keys, values [][]float64
		for pos := range x {
			h := norm(x[pos], w("attn_norm")[0])
			q, k, v := mul(w("attn_q"), h), mul(w("attn_k"), h), mul(w("attn_v"), h)
			for i := range heads {
				rope(q[i*dim:(i+1)*dim], pos)
			}
			for i := range kvHeads {
				rope(k[i*dim:(i+1)*dim], pos)
			}
			keys, values = append(keys, k), append(values, v)
			out := make([]float64, heads*dim)
			for i := range heads {
				j := i / (heads / kvHeads)
				p, sum := make([]float64, pos+1), 0.0
				for t := range p {
					for d := range dim {
						p[t] += q[i*dim+d] * keys[t][j*dim+d]
					}
					p[t] = math.Exp(p[t] / math.Sqrt(float64(dim)))
					sum += p[t]
				}
				for t := range p {
					for d := range dim {
						out[i*dim+d] += p[t] / sum * values[t][j*dim+d]
					}
				}
			}
			add(x[pos], mul(w("attn_output"), out))
		}
		for pos := range x {
			h := norm(x[pos], w("ffn_norm")[0])
			g, u := mul(w("ffn_gate"), h), mul(w("ffn_up"), h)
			for i := range g {
				g[i] *= u[i] / (1 + math.Exp(-g[i]))
			}
			add(x[pos], mul(w("ffn_down"), g))
		}
	}
	head := load("output.weight")
	if head == nil {
		head = embed
	}
	var logits [][]float64
	for _, v := range x {
		logits = append(logits, mul(head, norm(v, load("output_norm.weight")[0])))
	}
	return logits
}

// TestReference covers what the real model does not: other formats, head counts and options.
func TestReference(t *testing.T) {
	models := map[string]enginetest.Tiny{
		"f32":       {Type: gguf.F32},
		"f16":       {Type: gguf.F16, Untied: true},
		"bf16":      {Type: gguf.BF16, Heads: 4, KVHeads: 1, HeadDim: 40},
		"q8_0":      {Type: gguf.Q8_0, Heads: 4, KVHeads: 4, RopeFactors: true},
		"q4_0":      {Type: gguf.Q4_0, Heads: 6, KVHeads: 2, HeadDim: 16, RopeDims: 8},
		"q4_1":      {Type: gguf.Q4_1, Heads: 8, KVHeads: 2, HeadDim: 8, Layers: 3},
		"one layer": {Type: gguf.Q4_1, Layers: 1, Dim: 32, FeedForward: 32},
	}
	for name, m := range models {
		t.Run(name, func(t *testing.T) {
			path := m.File(t)
			e := open(t, path, engine.Options{})
			ids := randomIDs(7, 40)
			want := reference(t, path, ids)
			got := score(t, e, nil, ids)
			for i := 1; i < len(ids); i++ {
				row := want[i-1]
				sum, mean := 0.0, 0.0
				for _, l := range row {
					sum += math.Exp(l)
					mean += l / float64(len(row))
				}
				logZ := math.Log(sum)
				entropy, best := 0.0, 0
				for j, l := range row {
					entropy -= math.Exp(l-logZ) * (l - logZ)
					if l > row[best] {
						best = j
					}
				}
				s := got[i]
				for what, pair := range map[string][2]float64{
					"log Z":           {s.LogZ, logZ},
					"log-probability": {s.LogProb, row[ids[i]] - logZ},
					"entropy":         {s.Entropy, entropy},
					"self-certainty":  {s.SelfCertainty, logZ - mean - math.Log(float64(len(row)))},
					"top":             {s.Top[0].LogProb, row[best] - logZ},
				} {
					if math.Abs(pair[0]-pair[1]) > 1e-4 {
						t.Errorf("%s at %d: %v, reference %v", what, i, pair[0], pair[1])
					}
				}
				if int(s.Top[0].ID) != best || len(s.Top) != 3 || s.Top[1].LogProb < s.Top[2].LogProb {
					t.Errorf("top at %d: %+v, reference has %d first", i, s.Top, best)
				}
			}
		})
	}
}

// TestPieces: however a text is cut into prefixes, its numbers are the same bits.
func TestPieces(t *testing.T) {
	e := tiny(t, engine.Options{})
	ids := randomIDs(1, 150)
	rest := ids[140:]
	whole := prefill(t, e, nil, ids[:140])
	want := score(t, e, whole, rest)
	straight := score(t, e, nil, ids)
	if !reflect.DeepEqual(straight[140:], want) {
		t.Error("scoring the whole text and scoring its end after a prefix differ")
	}
	var p *engine.Prefix
	for lo, n := 0, 1; lo < 140; lo, n = lo+n, n*2 {
		p = prefill(t, e, p, ids[lo:min(lo+n, 140)])
	}
	if !slices.Equal(p.IDs(), ids[:140]) || p.Len() != 140 {
		t.Fatalf("the prefix holds %v", p.IDs())
	}
	if !reflect.DeepEqual(score(t, e, p, rest), want) {
		t.Error("a prefix made of pieces differs from one made at once")
	}
	// Forks do not disturb each other or their parent.
	a, b := prefill(t, e, p, rest[:5]), prefill(t, e, p, randomIDs(2, 5))
	if !reflect.DeepEqual(score(t, e, a, rest[5:]), want[5:]) {
		t.Error("a fork differs")
	}
	score(t, e, b, rest)
	if !reflect.DeepEqual(score(t, e, p, rest), want) {
		t.Error("the parent changed under its forks")
	}
	// Token by token, as generation does: greedy text scored afterwards.
	steps := generate(t, e, p, engine.Sampling{MaxTokens: 70, Stats: engine.Stats{Top: 3}})[0]
	var text []int32
	for _, s := range steps {
		text = append(text, s.ID)
	}
	for i, s := range score(t, e, p, text) {
		if !reflect.DeepEqual(s.Token, steps[i].Token) {
			t.Fatalf("token %d: generated %+v, scored %+v", i, steps[i].Token, s.Token)
		}
	}
}

// TestBatchInvariance: a seed gives the same text and numbers alone, in company, on any number of
// threads.
func TestBatchInvariance(t *testing.T) {
	path := enginetest.Tiny{Seed: 1, Type: gguf.Q4_1}.File(t)
	ids := randomIDs(3, 20)
	var samplings []engine.Sampling
	for i := range 21 {
		samplings = append(samplings, engine.Sampling{Seed: uint64(i), Temperature: 1.2, TopP: 0.95, MaxTokens: 5 + 3*i, Stats: engine.Stats{Top: 2}})
	}
	var want [][]engine.Step
	alone := open(t, path, engine.Options{Threads: 1, Sequences: 1})
	p := prefill(t, alone, nil, ids)
	for _, s := range samplings {
		want = append(want, generate(t, alone, p, s)...)
	}
	texts := map[string]bool{}
	for i, w := range want {
		if len(w) != samplings[i].MaxTokens || w[len(w)-1].Finish != engine.Length {
			t.Fatalf("sequence %d ended after %d tokens with %v", i, len(w), w[len(w)-1].Finish)
		}
		texts[fmt.Sprint(w[0].ID, w[1].ID, w[2].ID)] = true
	}
	if len(texts) < 15 {
		t.Errorf("only %d different beginnings in 21 samples", len(texts))
	}
	e := open(t, path, engine.Options{Threads: 2, Sequences: 7})
	p = prefill(t, e, nil, ids)
	if got := generate(t, e, p, samplings...); !reflect.DeepEqual(got, want) {
		t.Error("together the samples differ from those taken alone")
	}
	// Many callers at once, with prompts and scores in between.
	var callers sync.WaitGroup
	for i := range samplings {
		callers.Go(func() {
			q, err := e.Prefill(bg, nil, ids)
			if err != nil {
				t.Error(err)
				return
			}
			var got []engine.Step
			err = e.Generate(bg, q, samplings[i:i+1], func(_ int, s engine.Step) bool {
				got = append(got, s)
				return true
			})
			if err != nil || !reflect.DeepEqual(got, want[i]) {
				t.Errorf("sequence %d differs in company (%v)", i, err)
			}
		})
		callers.Go(func() {
			if _, err := e.Score(bg, nil, randomIDs(uint64(i), 100), engine.Stats{}); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
}

func TestFinish(t *testing.T) {
	e := tiny(t, engine.Options{Context: 50})
	if got := e.Info().Context; got != 50 {
		t.Fatalf("context %d", got)
	}
	p := prefill(t, e, nil, randomIDs(4, 20))
	s := engine.Sampling{Seed: 5, Temperature: 1}
	free := generate(t, e, p, s)[0]
	if len(free) != 30 || free[29].Finish != engine.Length {
		t.Fatalf("%d tokens to a full context, finish %v", len(free), free[len(free)-1].Finish)
	}
	s.Stop = []int32{free[7].ID}
	at := slices.IndexFunc(free, func(s engine.Step) bool { return s.ID == free[7].ID })
	stopped := generate(t, e, p, s)[0]
	if len(stopped) != at+1 || stopped[at].Finish != engine.Stop || stopped[at].LogProb != free[at].LogProb {
		t.Errorf("stop token: %d tokens, want %d", len(stopped), at+1)
	}
	// A callback ends one sequence and not the others.
	n := map[int]int{}
	err := e.Generate(bg, p, []engine.Sampling{{MaxTokens: 9}, {MaxTokens: 9}, {MaxTokens: 1}}, func(seq int, s engine.Step) bool {
		n[seq]++
		return seq != 1 || n[seq] < 4
	})
	if err != nil || n[0] != 9 || n[1] != 4 || n[2] != 1 {
		t.Errorf("tokens by sequence %v, want 9, 4, 1 (%v)", n, err)
	}
	if err := e.Generate(bg, p, nil, nil); err != nil {
		t.Errorf("no samplings: %v", err)
	}
}

func TestContext(t *testing.T) {
	e := tiny(t, engine.Options{Context: 50})
	p := prefill(t, e, nil, randomIDs(4, 45))
	_, tooLong := e.Prefill(bg, p, randomIDs(5, 6))
	_, tooLongScore := e.Score(bg, nil, randomIDs(5, 51), engine.Stats{})
	full := prefill(t, e, p, randomIDs(5, 5))
	noRoom := e.Generate(bg, full, []engine.Sampling{{}}, func(int, engine.Step) bool { return true })
	for _, err := range []error{tooLong, tooLongScore, noRoom} {
		var ce *engine.ContextError
		if !errors.As(err, &ce) || ce.Tokens != 51 || ce.Context != 50 {
			t.Errorf("error %v, want one of 51 tokens for 50", err)
		} else if !strings.Contains(err.Error(), "51") || !strings.Contains(err.Error(), "50") {
			t.Errorf("error %q does not name both lengths", err)
		}
	}
}

func TestArguments(t *testing.T) {
	e, other := tiny(t, engine.Options{}), tiny(t, engine.Options{})
	ids := randomIDs(6, 5)
	p, foreign := prefill(t, e, nil, ids), prefill(t, other, nil, ids)
	none := func(int, engine.Step) bool { t.Error("a step in spite of an error"); return false }
	gen := func(p *engine.Prefix, s engine.Sampling) error { return e.Generate(bg, p, []engine.Sampling{s}, none) }
	nan := math.NaN()
	for what, err := range map[string]error{
		"no prefix":       gen(nil, engine.Sampling{}),
		"foreign prefix":  gen(foreign, engine.Sampling{}),
		"temperature":     gen(p, engine.Sampling{Temperature: -1}),
		"temperature NaN": gen(p, engine.Sampling{Temperature: nan}),
		"top p":           gen(p, engine.Sampling{TopP: 1.5}),
		"min p":           gen(p, engine.Sampling{MinP: nan}),
		"top k":           gen(p, engine.Sampling{TopK: -1}),
		"token":           second(e.Prefill(bg, nil, []int32{enginetest.Vocab})),
		"token below":     second(e.Score(bg, p, []int32{-1}, engine.Stats{})),
		"top":             second(e.Score(bg, p, ids, engine.Stats{Top: -1})),
		"foreign":         second(e.Score(bg, foreign, ids, engine.Stats{})),
		"layer":           second(e.Hidden(bg, nil, ids, engine.Site{Layer: 2})),
		"no token":        second(e.Hidden(bg, p, nil, engine.Site{})),
		"options":         second(engine.Open(e.Info().Path, engine.Options{Sequences: 41})),
		"no file":         second(engine.Open(e.Info().Path+"x", engine.Options{})),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if p, err := e.Prefill(bg, nil, nil); p.Len() != 0 || p.IDs() != nil || err != nil {
		t.Errorf("the empty prefix: %v, %v", p, err)
	}
	if s := score(t, e, nil, ids[:1]); len(s) != 1 || s[0].Conditioned {
		t.Errorf("a single token alone: %+v", s)
	}
}

func second[T any](_ T, err error) error { return err }

func TestSavePrefix(t *testing.T) {
	path := enginetest.Tiny{Seed: 1, Type: gguf.Q4_1}.File(t)
	e := open(t, path, engine.Options{})
	ids := randomIDs(8, 30)
	p := prefill(t, e, prefill(t, e, nil, ids[:11]), ids[11:])
	var file bytes.Buffer
	if err := e.SavePrefix(&file, p); err != nil {
		t.Fatal(err)
	}
	again := open(t, path, engine.Options{})
	q, err := again.LoadPrefix(bytes.NewReader(file.Bytes()), ids)
	if err != nil {
		t.Fatal(err)
	}
	more := randomIDs(9, 10)
	if !reflect.DeepEqual(score(t, again, q, more), score(t, e, p, more)) {
		t.Error("a loaded prefix continues differently")
	}
	changed := func(i int) []byte {
		b := slices.Clone(file.Bytes())
		b[i] ^= 1
		return b
	}
	n := file.Len()
	other := open(t, enginetest.Tiny{Seed: 2, Type: gguf.Q4_1}.File(t), engine.Options{})
	if other.PrefixKey(ids) == e.PrefixKey(ids) || again.PrefixKey(ids) != e.PrefixKey(ids) {
		t.Error("keys do not tell models apart")
	}
	for what, err := range map[string]error{
		"other tokens":  second(e.LoadPrefix(bytes.NewReader(file.Bytes()), ids[:29])),
		"no tokens":     second(e.LoadPrefix(bytes.NewReader(file.Bytes()), nil)),
		"other weights": second(other.LoadPrefix(bytes.NewReader(file.Bytes()), ids)),
		"magic":         second(e.LoadPrefix(bytes.NewReader(changed(0)), ids)),
		"version":       second(e.LoadPrefix(bytes.NewReader(changed(8)), ids)),
		"count":         second(e.LoadPrefix(bytes.NewReader(changed(12)), ids)),
		"payload":       second(e.LoadPrefix(bytes.NewReader(changed(n/2)), ids)),
		"checksum":      second(e.LoadPrefix(bytes.NewReader(changed(n-1)), ids)),
		"empty":         second(e.LoadPrefix(bytes.NewReader(nil), ids)),
		"short":         second(e.LoadPrefix(bytes.NewReader(file.Bytes()[:n-1]), ids)),
		"half":          second(e.LoadPrefix(bytes.NewReader(file.Bytes()[:n/2]), ids)),
	} {
		if !errors.Is(err, engine.ErrPrefixMismatch) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := e.SavePrefix(&file, nil); err == nil {
		t.Error("the empty prefix was saved")
	}
}

func TestCancel(t *testing.T) {
	e := open(t, enginetest.Tiny{Type: gguf.Q4_1, Layers: 12, Context: 1 << 16}.File(t), engine.Options{Sequences: 2})
	p := prefill(t, e, nil, randomIDs(1, 10))
	// In the middle of generation, with sequences running and waiting.
	ctx, cancel := context.WithCancel(bg)
	n := 0
	err := e.Generate(ctx, p, make([]engine.Sampling, 5), func(int, engine.Step) bool {
		if n++; n == 20 {
			cancel()
		}
		return true
	})
	if !errors.Is(err, context.Canceled) || n != 20 {
		t.Errorf("%d steps, %v", n, err)
	}
	// In the middle of a prompt.
	ctx, cancel = context.WithTimeout(bg, 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = e.Prefill(ctx, nil, randomIDs(2, 1<<16))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 2*time.Minute { // all of it takes far longer
		t.Errorf("prefill: %v after %v", err, time.Since(start))
	}
	// Before it begins.
	if _, err = e.Score(ctx, p, randomIDs(3, 3), engine.Stats{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("score: %v", err)
	}
	// All slots are free again.
	if got := generate(t, e, p, engine.Sampling{MaxTokens: 3}, engine.Sampling{MaxTokens: 3}, engine.Sampling{MaxTokens: 3}); len(got[2]) != 3 {
		t.Errorf("after cancellation: %v", got)
	}
}

func TestSlowCallback(t *testing.T) {
	e := tiny(t, engine.Options{})
	p := prefill(t, e, nil, randomIDs(1, 10))
	slow, release := make(chan bool), make(chan bool)
	done := make(chan error)
	go func() {
		first := true
		done <- e.Generate(bg, p, []engine.Sampling{{MaxTokens: 3}}, func(int, engine.Step) bool {
			if !first {
				slow <- true
				<-release
			}
			first = false
			return true
		})
	}()
	<-slow // holds a slot and does not answer
	if got := generate(t, e, p, engine.Sampling{MaxTokens: 50}); len(got[0]) != 50 {
		t.Errorf("%d tokens beside a slow callback", len(got[0]))
	}
	release <- true
	<-slow
	release <- true
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestFair: a long prompt keeps neither sequences nor short prompts waiting until it is through.
func TestFair(t *testing.T) {
	e := open(t, enginetest.Tiny{Type: gguf.Q4_1, Layers: 4, Context: 1 << 16}.File(t), engine.Options{})
	p := prefill(t, e, nil, randomIDs(1, 10))
	ctx, cancel := context.WithCancel(bg)
	long := make(chan error)
	go func() { long <- second(e.Prefill(ctx, nil, randomIDs(2, 1<<16))) }()
	if got := generate(t, e, p, engine.Sampling{MaxTokens: 20}); len(got[0]) != 20 {
		t.Errorf("%d tokens beside a long prompt", len(got[0]))
	}
	score(t, e, p, randomIDs(3, 50))
	cancel()
	if err := <-long; !errors.Is(err, context.Canceled) {
		t.Errorf("the long prompt was through before 20 tokens and a short prompt were: %v", err)
	}
}

func TestClose(t *testing.T) {
	e := open(t, enginetest.Tiny{Type: gguf.Q4_1, Context: 1 << 16}.File(t), engine.Options{})
	p := prefill(t, e, nil, randomIDs(1, 10))
	var running sync.WaitGroup
	started := make(chan bool, 8)
	for i := range 4 {
		running.Go(func() {
			first := true
			err := e.Generate(bg, p, []engine.Sampling{{Seed: uint64(i), Temperature: 1}}, func(int, engine.Step) bool {
				if first {
					started <- true
				}
				first = false
				return true
			})
			if !errors.Is(err, engine.ErrClosed) {
				t.Errorf("generate: %v", err)
			}
		})
		running.Go(func() {
			if _, err := e.Prefill(bg, nil, randomIDs(2, 1<<16)); !errors.Is(err, engine.ErrClosed) {
				t.Errorf("prefill: %v", err)
			}
		})
	}
	for range 4 {
		<-started
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	running.Wait()
	if err := e.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if _, err := e.Score(bg, p, randomIDs(1, 3), engine.Stats{}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if e.Tokenizer().Vocab() != enginetest.Vocab {
		t.Error("the tokenizer is gone after Close")
	}
}

// TestNotFinite: no answer from numbers that are none.
func TestNotFinite(t *testing.T) {
	spoil := func(name string, with func(gguf.Tensor)) string {
		return enginetest.Tiny{Type: gguf.Q4_1, Edit: func(ts []gguf.Tensor) []gguf.Tensor {
			for _, x := range ts {
				if x.Name == name {
					with(x)
				}
			}
			return ts
		}}.File(t)
	}
	for _, name := range []string{"token_embd.weight", "blk.1.attn_k.weight", "blk.0.ffn_norm.weight"} {
		path := spoil(name, func(x gguf.Tensor) {
			if x.Type == gguf.F32 {
				binary.LittleEndian.PutUint32(x.Data[4:], math.Float32bits(float32(math.Inf(-1))))
			} else {
				binary.LittleEndian.PutUint16(x.Data[x.Type.BlockBytes():], 0x7e00) // a NaN scale
			}
		})
		if _, err := engine.Open(path, engine.Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s with a NaN: %v", name, err)
		}
	}
	// Finite weights whose products overflow.
	path := spoil("blk.0.ffn_norm.weight", func(x gguf.Tensor) {
		for i := 0; i < len(x.Data); i += 4 {
			binary.LittleEndian.PutUint32(x.Data[i:], math.Float32bits(1e30))
		}
	})
	e := open(t, path, engine.Options{})
	if _, err := e.Prefill(bg, nil, randomIDs(1, 5)); !errors.Is(err, engine.ErrNotFinite) {
		t.Errorf("prefill: %v", err)
	}
	if _, err := e.Score(bg, nil, randomIDs(1, 5), engine.Stats{}); !errors.Is(err, engine.ErrNotFinite) {
		t.Errorf("score: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	meta := func(key string, value any) enginetest.Tiny {
		return enginetest.Tiny{Meta: []gguf.KV{{Key: key, Value: value}}}
	}
	edit := func(f func([]gguf.Tensor) []gguf.Tensor) enginetest.Tiny { return enginetest.Tiny{Edit: f} }
	for want, m := range map[string]enginetest.Tiny{
		`"mamba"`:           meta("general.architecture", "mamba"),
		`llama.block_count`: meta("llama.block_count", "two"),
		`blk.2.`:            meta("llama.block_count", uint32(3)),
		`4294967295`:        meta("llama.embedding_length", uint32(1<<32-1)),
		`epsilon`:           meta("llama.attention.layer_norm_rms_epsilon", float32(math.NaN())),
		`heads`:             meta("llama.attention.head_count_kv", uint32(3)),
		`values of 16`:      meta("llama.attention.key_length", uint32(24)),
		`12 dimensions`:     {HeadDim: 12},
		`scaling "yarn"`:    meta("llama.rope.scaling.type", "yarn"),
		`mixtures`:          meta("llama.expert_count", uint32(8)),
		`tokenizer`:         meta("tokenizer.ggml.model", "none"),
		`has 259 tokens`: edit(func(ts []gguf.Tensor) []gguf.Tensor {
			ts[0].Shape, ts[0].Data = []int{64, 200}, ts[0].Data[:4*64*200]
			return ts
		}),
		`multiples of 32`:        {Dim: 48, HeadDim: 16},
		`"output_norm.weight"`:   edit(func(ts []gguf.Tensor) []gguf.Tensor { return slices.Delete(ts, 1, 2) }),
		`"token_embd.weight" is`: edit(func(ts []gguf.Tensor) []gguf.Tensor { return ts[1:] }),
		`"extra.weight"`: edit(func(ts []gguf.Tensor) []gguf.Tensor {
			return append(ts, gguf.Tensor{Name: "extra.weight", Type: gguf.F32, Shape: []int{1}, Data: make([]byte, 4)})
		}),
		`64 × 63`: edit(func(ts []gguf.Tensor) []gguf.Tensor {
			i := slices.IndexFunc(ts, func(x gguf.Tensor) bool { return x.Name == "blk.0.attn_q.weight" })
			ts[i].Shape = []int{63, 64}
			ts[i].Data = ts[i].Data[:4*63*64]
			return ts
		}),
	} {
		var b bytes.Buffer
		if err := m.Write(&b); err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		path := t.TempDir() + "/m.gguf"
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Open(path, engine.Options{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v does not say %s or the file", err, want)
		}
	}
}

func TestInfo(t *testing.T) {
	a, b := tiny(t, engine.Options{Threads: 3}), open(t, enginetest.Tiny{Seed: 2, Type: gguf.Q4_1}.File(t), engine.Options{})
	i := a.Info()
	if i.Architecture != "llama" || i.Name != "tiny 1" || i.FileType != "Q4_1" || i.Layers != 2 || i.Dim != 64 || i.Vocab != enginetest.Vocab || i.Context != 256 || i.Threads != 3 {
		t.Errorf("info %+v", i)
	}
	if want := int64(enginetest.Vocab*64 + 64 + 2*(2*64+64*64+2*64*32+64*64+3*64*96)); i.Parameters != want {
		t.Errorf("%d parameters, want %d", i.Parameters, want)
	}
	if i.Fingerprint == b.Info().Fingerprint || i.Fingerprint != tiny(t, engine.Options{}).Info().Fingerprint {
		t.Error("the fingerprint does not tell models apart")
	}
	sum, err := a.SHA256()
	if err != nil || len(sum) != 64 {
		t.Errorf("SHA-256 %q, %v", sum, err)
	}
}
