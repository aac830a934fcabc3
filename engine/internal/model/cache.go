package model

import (
	"encoding/binary"

	"gnothi/engine/gguf"
	"gnothi/engine/internal/kernel"
)

// Cache holds the keys and values of a run of tokens, as a chain of segments. Segments that came
// from a fork are shared and never written again; only the last one, if it is the cache's own,
// takes new tokens. Nothing is copied by a fork, and what no cache refers to is garbage.
type Cache struct {
	cfg  *Config
	segs []*segment
	n    int // tokens that have their keys and values
	own  bool
}

// segment is room for size consecutive positions, laid out [layer][key, value][head][position][dim],
// so that all positions of a head lie together.
type segment struct {
	start, size int
	data        []float32
	half        []byte // in place of data where Config.HalfKV: the same in float16
}

// NewCache returns an empty cache.
func (m *Model) NewCache() *Cache { return &Cache{cfg: &m.Config} }

// Len is the number of tokens in the cache.
func (c *Cache) Len() int { return c.n }

// Fork returns a cache that begins with all of c, which may go on growing.
func (c *Cache) Fork() *Cache { return c.Cut(c.n) }

// Grow makes room for n tokens more in one piece.
func (c *Cache) Grow(n int) {
	s := &segment{start: c.n, size: n}
	if c.cfg.HalfKV {
		s.size = (n + 3) &^ 3 // whole blocks of the conversion, since heads are multiples of 8 wide
		s.half = make([]byte, 2*s.size*c.cfg.FloatsPerToken())
	} else {
		s.data = make([]float32, n*c.cfg.FloatsPerToken())
	}
	c.segs = append(c.segs, s)
	c.own = true
}

// tailMin and tailMax bound the segments of a text that grows by single tokens.
const tailMin, tailMax = 16, 64

// next returns the position of the next token, for which there is room.
func (c *Cache) next() int {
	if c.n == c.room() {
		size := tailMin
		if c.own {
			size = min(max(2*c.segs[len(c.segs)-1].size, tailMin), tailMax)
		}
		c.Grow(size)
	}
	c.n++
	return c.n - 1
}

// room is the number of tokens for which there is memory. A fork's last segment may be larger than
// what the fork has of it; that part is not the fork's to write.
func (c *Cache) room() int {
	if !c.own {
		return c.n
	}
	s := c.segs[len(c.segs)-1]
	return s.start + s.size
}

// FloatsPerToken is the number of a token's keys and values over all layers.
func (c *Config) FloatsPerToken() int { return 2 * c.Layers * c.kvDim() }

// BytesPerToken is what a token's keys and values take.
func (c *Config) BytesPerToken() int {
	if c.HalfKV {
		return 2 * c.FloatsPerToken()
	}
	return 4 * c.FloatsPerToken()
}

// Cut returns a cache of the first n tokens of c, which may go on growing.
func (c *Cache) Cut(n int) *Cache {
	i := len(c.segs)
	for i > 0 && c.segs[i-1].start >= n {
		i--
	}
	return &Cache{cfg: c.cfg, segs: c.segs[:i:i], n: n}
}

// Bytes is the memory of all caches together, what they share counted once.
func Bytes(caches ...*Cache) int64 {
	seen := map[*segment]bool{}
	total := int64(0)
	for _, c := range caches {
		for _, s := range c.segs {
			if !seen[s] {
				seen[s] = true
				total += int64(4*len(s.data) + len(s.half))
			}
		}
	}
	return total
}

// at returns the rows of a head from the segment's first position on: keys (kv 0) or values (1).
func (s *segment) at(c *Config, layer, kv, head int) []float32 {
	n := s.size * c.HeadDim
	i := (layer*2+kv)*c.KVHeads + head
	return s.data[i*n : (i+1)*n]
}

// get returns the first n rows of a head, which are not to be written, converted into buf if need be.
func (s *segment) get(c *Config, layer, kv, head, n int, buf *[]float32) []float32 {
	if s.half == nil {
		return s.at(c, layer, kv, head)[:n*c.HeadDim]
	}
	x := fit(buf, (n+3)&^3*c.HeadDim)
	kernel.Dequantise(gguf.F16, x, s.halves(c, layer, kv, head)[:2*len(x)])
	return x[:n*c.HeadDim]
}

// put writes rows of a head from a position on.
func (s *segment) put(c *Config, layer, kv, head, at int, x []float32) {
	if s.half == nil {
		copy(s.at(c, layer, kv, head)[at*c.HeadDim:], x)
		return
	}
	h := s.halves(c, layer, kv, head)[2*at*c.HeadDim:]
	for i, v := range x {
		binary.LittleEndian.PutUint16(h[2*i:], gguf.F32ToF16(v))
	}
}

// halves is at for float16.
func (s *segment) halves(c *Config, layer, kv, head int) []byte {
	n := 2 * s.size * c.HeadDim
	i := (layer*2+kv)*c.KVHeads + head
	return s.half[i*n : (i+1)*n]
}

// end is the first position behind the segment among those of a cache with n tokens.
func (c *Cache) end(i, n int) int {
	if i+1 < len(c.segs) {
		n = min(n, c.segs[i+1].start)
	}
	return n
}

// Floats yields all keys and values of the cache piece by piece, each [position][dim] of one head,
// in the order layer, key or value, head, position. With write, what yield leaves in a piece takes
// the place of what was there; the cache must be new then and nobody else have it.
func (c *Cache) Floats(write bool, yield func([]float32) bool) {
	var buf []float32
	for l := range c.cfg.Layers {
		for kv := range 2 {
			for h := range c.cfg.KVHeads {
				for i, s := range c.segs {
					n := c.end(i, c.n) - s.start
					if n <= 0 {
						continue
					}
					x := s.get(c.cfg, l, kv, h, n, &buf)
					if !yield(x) {
						return
					}
					if write {
						s.put(c.cfg, l, kv, h, 0, x)
					}
				}
			}
		}
	}
}

// Fill declares n tokens more to be in the cache, after Grow, for a reader that writes them through
// Floats.
func (c *Cache) Fill(n int) { c.n += n }
