package engine_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"gnothi/engine"
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
