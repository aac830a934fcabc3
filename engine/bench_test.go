package engine_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"gnothi/engine"
	"gnothi/engine/grammar"
	"gnothi/engine/token"
)

// benchIDs are random tokens, the same for every benchmark.
func benchIDs(n int) []int32 {
	rng := rand.New(rand.NewPCG(0, 0))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = 300 + rng.Int32N(39700)
	}
	return ids
}

func BenchmarkPrefill(b *testing.B) {
	for _, n := range []int{64, 512, 1500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e := open(b, modelPath(b), engine.Options{})
			ids := benchIDs(n)
			prefill(b, e, nil, ids[:16])
			for b.Loop() {
				prefill(b, e, nil, ids)
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "tok/s")
		})
	}
}

// BenchmarkDecode generates S samples that share a prompt of 128 tokens, with all their statistics.
func BenchmarkDecode(b *testing.B) {
	for _, s := range []int{1, 4, 8, 16} {
		b.Run(fmt.Sprint(s), func(b *testing.B) {
			e := open(b, modelPath(b), engine.Options{})
			p := prefill(b, e, nil, benchIDs(128))
			samplings := make([]engine.Sampling, s)
			for i := range samplings {
				samplings[i] = engine.Sampling{Seed: uint64(i), Temperature: 1, MaxTokens: 33}
			}
			for b.Loop() {
				generate(b, e, p, samplings...)
			}
			b.ReportMetric(float64(32*s*b.N)/b.Elapsed().Seconds(), "tok/s") // the first token is the prompt's
		})
	}
}

// BenchmarkCallers is Decode/8 with eight callers of one sample each, which the engine has to bring
// together by itself.
func BenchmarkCallers(b *testing.B) {
	const callers = 8
	e := open(b, modelPath(b), engine.Options{})
	p := prefill(b, e, nil, benchIDs(128))
	for b.Loop() {
		var group sync.WaitGroup
		for i := range callers {
			group.Go(func() { generate(b, e, p, engine.Sampling{Seed: uint64(i), Temperature: 1, MaxTokens: 33}) })
		}
		group.Wait()
	}
	b.ReportMetric(float64(32*callers*b.N)/b.Elapsed().Seconds(), "tok/s")
}

// BenchmarkFirstToken opens the model, reads a prompt of five tokens and generates one.
func BenchmarkFirstToken(b *testing.B) {
	path, ids := modelPath(b), benchIDs(5)
	for b.Loop() {
		e, err := engine.Open(path, engine.Options{})
		if err != nil {
			b.Fatal(err)
		}
		generate(b, e, prefill(b, e, nil, ids), engine.Sampling{MaxTokens: 1})
		e.Close()
	}
}

// BenchmarkStream reads memory, a baseline that shows how the machine is doing.
func BenchmarkStream(b *testing.B) {
	x := make([]byte, 96<<20)
	for i := range x {
		x[i] = byte(i)
	}
	var sum uint64
	b.SetBytes(int64(len(x)))
	for b.Loop() {
		for i := 0; i < len(x); i += 64 {
			sum += binary.LittleEndian.Uint64(x[i:])
		}
	}
	if sum == 1 {
		b.Log(time.Now())
	}
}

// BenchmarkGrammar is what a schema costs a step: the mask, applied to a row, and taking the token. "new"
// meets every state for the first time, "known" for the second. Set it against BenchmarkDecode.
func BenchmarkGrammar(b *testing.B) {
	const schema = `{"type":"object","properties":{"name":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}},"notes":{"type":"array","items":{"type":"object","properties":{"text":{"type":"string","maxLength":200},"weight":{"type":"number"}},"required":["text","weight"]}}},"required":["name","tags","notes"]}`
	const text = `{"name": "Ada Lovelace", "tags": ["mathematics", "computing", "poetry"], "notes": [{"text": "She wrote the first published algorithm meant for a machine.", "weight": 0.75}, {"text": "Her notes are longer than the paper that they explain.", "weight": 1}]}`
	e := open(b, modelPath(b), engine.Options{})
	ids := e.Tokenizer().Encode(text, token.Options{})
	row := make([]float32, e.Info().Vocab)
	write := func(g *grammar.Grammar) {
		m := g.Matcher()
		for _, id := range ids {
			for i, word := range m.Mask() {
				if word != 1<<64-1 {
					for j := range row[64*i : min(64*i+64, len(row))] {
						if word>>j&1 == 0 {
							row[64*i+j] = -1
						}
					}
				}
			}
			if err := m.Accept(id); err != nil {
				b.Fatal(err)
			}
		}
	}
	compile := func(n int) *grammar.Grammar {
		g, err := e.Grammar(fmt.Appendf(nil, `{"title":"%d",%s`, n, schema[1:]))
		if err != nil {
			b.Fatal(err)
		}
		return g
	}
	known := compile(0)
	write(known)
	perStep := func(b *testing.B) {
		b.ReportMetric(1e6*b.Elapsed().Seconds()/float64(b.N*len(ids)), "µs/step")
	}
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			write(known)
		}
		perStep(b)
	})
	b.Run("new", func(b *testing.B) {
		for n := 0; b.Loop(); {
			n++
			write(compile(n))
		}
		perStep(b)
	})
}

// BenchmarkHook is Prefill/64 and Decode/1 without hooks, with one that looks at one layer, and with
// one that looks at every point of every layer.
func BenchmarkHook(b *testing.B) {
	e := open(b, modelPath(b), engine.Options{})
	look := func(engine.At, []float32) error { return nil }
	var all []engine.Hook
	for _, p := range engine.Points() {
		all = append(all, engine.Hook{Point: p, Do: look})
	}
	ids := benchIDs(64)
	p := prefill(b, e, nil, ids)
	for _, c := range []struct {
		name  string
		hooks []engine.Hook
	}{{"none", nil}, {"one", []engine.Hook{{Point: engine.ResidPost, Layers: []int{7}, Do: look}}}, {"all", all}} {
		b.Run("prefill/"+c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := e.Prefill(bg, nil, ids, c.hooks...); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decode/"+c.name, func(b *testing.B) {
			for b.Loop() {
				generate(b, e, p, engine.Sampling{MaxTokens: 17, Hooks: c.hooks})
			}
		})
	}
}
