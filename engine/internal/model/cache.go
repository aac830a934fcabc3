package model

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
}

// NewCache returns an empty cache.
func (m *Model) NewCache() *Cache { return &Cache{cfg: &m.Config} }

// Len is the number of tokens in the cache.
func (c *Cache) Len() int { return c.n }

// Fork returns a cache that begins with all of c, which must not grow any more.
func (c *Cache) Fork() *Cache {
	return &Cache{cfg: c.cfg, segs: c.segs[:len(c.segs):len(c.segs)], n: c.n}
}

// Grow makes room for n tokens more in one piece.
func (c *Cache) Grow(n int) {
	s := &segment{start: c.n, size: n, data: make([]float32, n*c.cfg.FloatsPerToken())}
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

// FloatsPerToken is the size of a token's keys and values over all layers.
func (c *Config) FloatsPerToken() int { return 2 * c.Layers * c.kvDim() }

// at returns the rows of a head from the segment's first position on: keys (kv 0) or values (1).
func (s *segment) at(c *Config, layer, kv, head int) []float32 {
	n := s.size * c.HeadDim
	i := (layer*2+kv)*c.KVHeads + head
	return s.data[i*n : (i+1)*n]
}

// end is the first position behind the segment among those of a cache with n tokens.
func (c *Cache) end(i, n int) int {
	if i+1 < len(c.segs) {
		n = min(n, c.segs[i+1].start)
	}
	return n
}

// Floats yields all keys and values of the cache piece by piece, each [position][dim] of one head,
// in the order layer, key or value, head, position. The pieces may be written while the cache is
// new and nobody else has it.
func (c *Cache) Floats(yield func([]float32) bool) {
	for l := range c.cfg.Layers {
		for kv := range 2 {
			for h := range c.cfg.KVHeads {
				for i, s := range c.segs {
					n := c.end(i, c.n) - s.start
					if n > 0 && !yield(s.at(c.cfg, l, kv, h)[:n*c.cfg.HeadDim]) {
						return
					}
				}
			}
		}
	}
}

// Fill declares n tokens more to be in the cache, after Grow, for a reader that writes them through
// Floats.
func (c *Cache) Fill(n int) { c.n += n }
