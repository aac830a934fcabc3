package grammar

import (
	"bytes"
	"slices"
)

// Vocabulary is a model's tokens arranged for being walked with an automaton.
type Vocabulary struct {
	pieces [][]byte // by id; nil for those that stand for no text
	ids    []int32  // of those with text, sorted by their bytes
	nodes  []place
}

// place is a node of the tokens' prefix tree. They lie in depth-first order.
type place struct {
	b      byte
	depth  uint16 // of bytes, from 1
	skip   int32  // index of the first place that is not below this one
	lo, hi int32  // in ids: the tokens that end here
}

// NewVocabulary arranges n tokens. piece gives the bytes of a token, nil or none for one that must
// never appear in a text, such as a control token.
func NewVocabulary(n int, piece func(id int32) []byte) *Vocabulary {
	v := &Vocabulary{pieces: make([][]byte, n)}
	for id := range int32(n) {
		if p := piece(id); len(p) > 0 && len(p) < 1<<16 {
			v.pieces[id] = p
			v.ids = append(v.ids, id)
		}
	}
	slices.SortStableFunc(v.ids, func(a, b int32) int { return bytes.Compare(v.pieces[a], v.pieces[b]) })
	var path []int32 // places on the way to the current one
	for i, id := range v.ids {
		p := v.pieces[id]
		common := 0
		for common < len(path) && common < len(p) && v.nodes[path[common]].b == p[common] {
			common++
		}
		v.close(path[common:])
		path = path[:common]
		for d := common; d < len(p); d++ {
			path = append(path, int32(len(v.nodes)))
			v.nodes = append(v.nodes, place{b: p[d], depth: uint16(d + 1), lo: int32(i), hi: int32(i)})
		}
		v.nodes[path[len(p)-1]].hi = int32(i + 1)
	}
	v.close(path)
	return v
}

func (v *Vocabulary) close(path []int32) {
	for _, i := range path {
		v.nodes[i].skip = int32(len(v.nodes))
	}
}

// Len is the number of tokens, those without text included.
func (v *Vocabulary) Len() int { return len(v.pieces) }

// words is the length of a mask.
func (v *Vocabulary) words() int { return (len(v.pieces) + 63) / 64 }

// tokens is a shortest sequence of tokens that spell text, or nil if there is none.
func (v *Vocabulary) tokens(text []byte) []int32 {
	const none = 1 << 30
	best := make([]int, len(text)+1) // tokens needed from each byte on
	first := make([]int32, len(text))
	for i := len(text) - 1; i >= 0; i-- {
		best[i] = none
		v.prefixes(text[i:], func(n int, id int32) {
			if c := best[i+n] + 1; c < best[i] {
				best[i], first[i] = c, id
			}
		})
	}
	if best[0] >= none {
		return nil
	}
	out := make([]int32, 0, best[0])
	for i := 0; i < len(text); i += len(v.pieces[first[i]]) {
		out = append(out, first[i])
	}
	return out
}

// prefixes calls found for every length at which a token spells the beginning of text.
func (v *Vocabulary) prefixes(text []byte, found func(n int, id int32)) {
	i, end := int32(0), int32(len(v.nodes))
	for d := range text {
		for i < end && v.nodes[i].b != text[d] {
			i = v.nodes[i].skip
		}
		if i >= end {
			return
		}
		n := &v.nodes[i]
		if n.lo < n.hi {
			found(d+1, v.ids[n.lo])
		}
		i, end = i+1, n.skip
	}
}
