package model

import (
	"math"
	"slices"
	"testing"
)

// TestRotate turns pairs by hand in both layouts.
func TestRotate(t *testing.T) {
	sin, cos := make([]float32, 2), make([]float32, 2)
	for i, a := range []float64{math.Pi / 2, math.Pi / 6} {
		sin[i], cos[i] = float32(math.Sin(a)), float32(math.Cos(a))
	}
	r3 := float32(math.Sqrt(3))
	for _, c := range []struct {
		halves  bool
		x, want []float32
	}{
		{false, []float32{1, 2, 2, 4, 7}, []float32{-2, 1, r3 - 2, 1 + 2*r3, 7}},
		{true, []float32{1, 2, 2, 4, 7}, []float32{-2, r3 - 2, 1, 1 + 2*r3, 7}},
	} {
		rotate(c.x, sin, cos, c.halves)
		for i := range c.x {
			if math.Abs(float64(c.x[i]-c.want[i])) > 1e-6 {
				t.Errorf("halves %v: %v, want %v", c.halves, c.x, c.want)
				break
			}
		}
	}
}

// TestCache: what a cache holds stays in place as it grows and forks.
func TestCache(t *testing.T) {
	cfg := Config{Layers: 2, KVHeads: 2, HeadDim: 8}
	put := func(c *Cache, x float32) {
		s, at := c.find(c.next())
		for l := range cfg.Layers {
			for kv := range 2 {
				for h := range cfg.KVHeads {
					s.at(&cfg, l, kv, h)[at*cfg.HeadDim] = x
				}
			}
		}
	}
	first := func(c *Cache) (got []float32) { // of layer 1, values, head 1
		i, pieces := 0, cfg.Layers*2*cfg.KVHeads
		var all [][]float32
		c.Floats(false, func(piece []float32) bool {
			all = append(all, slices.Clone(piece))
			return true
		})
		per := len(all) / pieces
		for _, piece := range all[(pieces-1)*per:] {
			for ; len(piece) > 0; piece = piece[cfg.HeadDim:] {
				got = append(got, piece[0])
				i++
			}
		}
		return got
	}
	check := func(c *Cache, want ...float32) {
		t.Helper()
		got := first(c)
		if len(got) != len(want) || c.Len() != len(want) {
			t.Fatalf("cache of %d holds %v, want %v", c.Len(), got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("cache holds %v, want %v", got, want)
			}
		}
	}
	a := &Cache{cfg: &cfg}
	put(a, 1)
	put(a, 2)
	b, c := a.Fork(), a.Fork() // the segment has room left, which is neither fork's
	put(b, 3)
	put(c, 4)
	c.Grow(2)
	put(c, 5)
	check(a, 1, 2)
	check(b, 1, 2, 3)
	check(c, 1, 2, 4, 5)
	d := &Cache{cfg: &cfg}
	want := make([]float32, 200)
	for i := range want {
		want[i] = float32(i)
		put(d, want[i])
	}
	check(d, want...)
}
