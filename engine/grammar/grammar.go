package grammar

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// Grammar is a compiled schema for one vocabulary. It may be shared by any number of texts at once.
type Grammar struct {
	net   *network
	vocab *Vocabulary

	mu        sync.Mutex // guards what is found out as texts go on
	frames    map[frameKey]*frame
	lastFrame uint64
	states    map[string]*state
	masks     int
	start     *state
	walk      []*state
	buffers   buffers
}

// state is a set of places in the network. Its fields are guarded by the grammar's mutex, once they
// are set they do not change.
type state struct {
	configs []config
	accept  bool
	dist    int      // fewest bytes to an end, 0 if this is one
	next    []*state // by byte class; nil is not known yet
	mask    []uint64
	plan    []int32 // tokens of a short way to an end
	planned bool
}

// dead is where nothing fits.
var dead = &state{dist: far}

// What is kept of a grammar's states stays within these numbers; beyond, all is forgotten and found
// anew where it is needed.
const (
	maxStates    = 1 << 13
	maxMaskBytes = 6 << 20
)

func newGrammar(w *network, v *Vocabulary) *Grammar {
	g := &Grammar{net: w, vocab: v}
	g.forget()
	return g
}

// forget begins anew. Texts that are under way keep the states that they can still reach.
func (g *Grammar) forget() {
	g.frames, g.states, g.masks, g.walk = map[frameKey]*frame{}, map[string]*state{}, 0, nil
	g.start = g.intern([]config{{g.net.rules[0].start, nil}})
}

// intern gives the state of a set of configs.
func (g *Grammar) intern(from []config) *state {
	configs, accept := g.closure(from)
	if len(configs) == 0 && !accept {
		return dead
	}
	key := g.buffers.key[:0]
	for _, c := range configs {
		key = binary.LittleEndian.AppendUint32(key, uint32(c.node))
		key = binary.LittleEndian.AppendUint64(key, c.top.number())
	}
	if accept {
		key = append(key, 1)
	}
	g.buffers.key = key
	if s := g.states[string(key)]; s != nil {
		return s
	}
	s := &state{configs: slices.Clone(configs), accept: accept, dist: far, next: make([]*state, g.net.classes)}
	for _, c := range configs {
		s.dist = min(s.dist, int(c.dist(g.net)))
	}
	if accept {
		s.dist = 0
	}
	g.states[string(key)] = s
	return s
}

// step is where a byte leads.
func (g *Grammar) step(s *state, b byte) *state {
	if s == dead {
		return dead
	}
	c := g.net.class[b]
	if n := s.next[c]; n != nil {
		return n
	}
	to := g.buffers.from[:0]
	for _, k := range s.configs {
		for _, e := range g.net.nodes[k.node].bytes {
			if e.lo <= b && b <= e.hi {
				to = append(to, config{e.to, k.top})
			}
		}
	}
	g.buffers.from = to
	n := dead
	if len(to) > 0 {
		n = g.intern(to)
	}
	s.next[c] = n
	return n
}

// maskOf is the set of tokens that fit at a state.
func (g *Grammar) maskOf(s *state) []uint64 {
	if s.mask != nil {
		return s.mask
	}
	mask := make([]uint64, g.vocab.words())
	nodes := g.vocab.nodes
	at := append(g.walk[:0], s) // by depth
	for i := int32(0); int(i) < len(nodes); {
		n := &nodes[i]
		to := g.step(at[n.depth-1], n.b)
		if to == dead {
			i = n.skip
			continue
		}
		at = append(at[:n.depth], to)
		for _, id := range g.vocab.ids[n.lo:n.hi] {
			mask[id/64] |= 1 << (id % 64)
		}
		i++
	}
	g.walk = at
	s.mask = mask
	g.masks++
	return mask
}

// planOf is a short sequence of tokens from a state to an end, which is empty at an end.
func (g *Grammar) planOf(s *state) []int32 {
	if s.planned || s == dead {
		return s.plan
	}
	var text []byte
	for at := s; at.dist > 0; {
		b, next := byte(0), dead
		for _, k := range at.configs {
			for _, e := range g.net.nodes[k.node].bytes {
				if to := g.step(at, e.lo); to.dist < next.dist || to.dist == next.dist && e.lo < b {
					b, next = e.lo, to
				}
			}
		}
		text, at = append(text, b), next
	}
	s.plan, s.planned = g.vocab.tokens(text), true
	return s.plan
}

// Matcher follows one text. It is not for use by several goroutines at once.
type Matcher struct {
	g  *Grammar
	at *state
}

// Matcher begins a text.
func (g *Grammar) Matcher() *Matcher {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &Matcher{g, g.start}
}

// Vocabulary is what the grammar was compiled for.
func (g *Grammar) Vocabulary() *Vocabulary { return g.vocab }

// Mask is the set of tokens that may come next: bit id%64 of word id/64. It must not be changed. Which
// tokens may end the text, and whether, is not in it; see CanEnd.
func (m *Matcher) Mask() []uint64 {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	if len(m.g.states) > maxStates || 8*m.g.masks*m.g.vocab.words() > maxMaskBytes {
		m.g.forget()
	}
	return m.g.maskOf(m.at)
}

// CanEnd reports whether the text is complete as it is.
func (m *Matcher) CanEnd() bool { return m.at.accept }

// MustEnd reports whether the text is complete and nothing can follow.
func (m *Matcher) MustEnd() bool { return m.at.accept && len(m.at.configs) == 0 }

// Accept takes a token, which has to be in the mask.
func (m *Matcher) Accept(id int32) error {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	to := m.after(id)
	if to == dead {
		return fmt.Errorf("grammar: token %d does not fit here", id)
	}
	m.at = to
	return nil
}

func (m *Matcher) after(id int32) *state {
	if id < 0 || int(id) >= len(m.g.vocab.pieces) || m.g.vocab.pieces[id] == nil {
		return dead
	}
	to := m.at
	for _, b := range m.g.vocab.pieces[id] {
		to = m.g.step(to, b)
	}
	return to
}

// Fits reports whether the text can be completed with left tokens after id.
func (m *Matcher) Fits(id int32, left int) bool {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	to := m.after(id)
	return to.dist == 0 || to.dist < far && len(m.g.planOf(to)) > 0 && len(m.g.planOf(to)) <= left
}

// Plan is a short sequence of tokens that completes the text, empty if it is complete. ok is false
// if the vocabulary has none.
func (m *Matcher) Plan() (ids []int32, ok bool) {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	ids = m.g.planOf(m.at)
	return ids, m.at.dist == 0 || len(ids) > 0
}
