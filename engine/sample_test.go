package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// keep is the filters written down plainly: the probability of each token under s.
func keep(logits []float32, s Sampling) []float64 {
	type entry struct {
		id int
		p  float64
	}
	var list []entry
	for i, l := range logits {
		list = append(list, entry{i, math.Exp(float64(l) / s.Temperature)})
	}
	slices.SortStableFunc(list, func(a, b entry) int {
		if a.p != b.p {
			return map[bool]int{true: -1, false: 1}[a.p > b.p]
		}
		return 0
	})
	if s.TopK > 0 && s.TopK < len(list) {
		list = list[:s.TopK]
	}
	sum := func() (t float64) {
		for _, e := range list {
			t += e.p
		}
		return
	}
	if s.TopP > 0 && s.TopP < 1 {
		need, have := s.TopP*sum(), 0.0
		for i, e := range list {
			if have += e.p; have >= need {
				list = list[:i+1]
				break
			}
		}
	}
	for i, e := range list {
		if e.p < s.MinP*list[0].p {
			list = list[:i]
			break
		}
	}
	out, total := make([]float64, len(logits)), sum()
	for _, e := range list {
		out[e.id] = e.p / total
	}
	return out
}

// TestDraw compares frequencies with probabilities, by chi-square, and that nothing filtered out is
// ever drawn.
func TestDraw(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	small := make([]float32, 12)
	for i := range small {
		small[i] = float32(rng.NormFloat64() * 1.5)
	}
	wide := make([]float32, 2500) // several runs
	for i := range wide {
		wide[i] = float32(rng.NormFloat64())
	}
	for _, logits := range [][]float32{small, wide} {
		for _, s := range []Sampling{
			{Temperature: 1}, {Temperature: 0.5}, {Temperature: 2.5},
			{Temperature: 1, TopK: 1}, {Temperature: 1, TopK: 5}, {Temperature: 1, TopK: 1 << 30},
			{Temperature: 1, TopP: 0.7}, {Temperature: 1, TopP: 0.999}, {Temperature: 0.8, TopP: 1e-9},
			{Temperature: 1, MinP: 0.2}, {Temperature: 1, MinP: 1}, {Temperature: 3, MinP: 1e-5},
			{Temperature: 1.3, TopK: 6, TopP: 0.8, MinP: 0.1}, {Temperature: 1.3, TopP: 0.8, MinP: 0.1},
		} {
			want := keep(logits, s)
			s.Seed = 42
			q := newSampler(s, nil)
			weights := make([]float32, len(logits))
			n := 4e6 / float64(len(logits)+1000)
			count := make([]float64, len(logits))
			for range int(n) {
				count[q.draw(logits, weights)]++
			}
			// Cells that expect fewer than five go together.
			chi, df, rest, restCount := 0.0, -1, 0.0, 0.0
			for i, p := range want {
				switch {
				case p == 0 && count[i] > 0:
					t.Fatalf("%+v: token %d was filtered out and drawn", s, i)
				case p*n >= 5:
					chi += (count[i] - p*n) * (count[i] - p*n) / (p * n)
					df++
				default:
					rest, restCount = rest+p*n, restCount+count[i]
				}
			}
			if rest >= 5 {
				chi += (restCount - rest) * (restCount - rest) / rest
				df++
			}
			if limit := float64(df) + 4*math.Sqrt(2*float64(df)) + 4; chi > limit {
				t.Errorf("%d tokens, %+v: chi-square %.1f with %d degrees of freedom", len(logits), s, chi, df)
			}
			again := newSampler(s, nil)
			first := again.draw(logits, weights)
			if q2 := newSampler(s, nil); q2.draw(logits, weights) != first {
				t.Errorf("%+v: one seed, two tokens", s)
			}
		}
		greedy := newSampler(Sampling{Seed: 1}, nil)
		if got := greedy.draw(logits, make([]float32, len(logits))); logits[got] != slices.Max(logits) {
			t.Errorf("greedy took %d", got)
		}
		if cold := newSampler(Sampling{Temperature: 1e-300}, nil).draw(logits, make([]float32, len(logits))); logits[cold] != slices.Max(logits) {
			t.Errorf("the lowest temperature took %d", cold)
		}
	}
}

func TestLargest(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		x := make([]float32, 1+rng.IntN(50))
		for i := range x {
			x[i] = float32(rng.IntN(10)) // with ties
		}
		all := make([]scored, len(x))
		for i, v := range x {
			all[i] = scored{int32(i), v}
		}
		slices.SortStableFunc(all, falling)
		n := 1 + rng.IntN(len(x))
		if got := largest(x, n); !slices.Equal(got, all[:n]) {
			t.Fatalf("largest(%v, %d) = %v, want %v", x, n, got, all[:n])
		}
	}
}

// BenchmarkDescribe is what a row's statistics cost, for the default model's vocabulary and Gemma's.
func BenchmarkDescribe(b *testing.B) {
	for _, v := range []int{49152, 262144} {
		rng := rand.New(rand.NewPCG(1, 1))
		logits, weights := make([]float32, v), make([]float32, v)
		for i := range logits {
			logits[i] = float32(3 * rng.NormFloat64())
		}
		for name, want := range map[string]Stats{"plain": {}, "top20": {Top: 20}, "varentropy": {Varentropy: true}, "tokens": {Tokens: []int32{1, 2}}} {
			b.Run(fmt.Sprintf("%d/%s", v, name), func(b *testing.B) {
				for b.Loop() {
					if _, ok := describe(logits, weights, &want); !ok {
						b.Fatal("not finite")
					}
				}
			})
		}
		b.Run(fmt.Sprintf("%d/draw", v), func(b *testing.B) {
			s := newSampler(Sampling{Seed: 1, Temperature: 0.8}, nil)
			for b.Loop() {
				s.draw(logits, weights)
			}
		})
	}
}
