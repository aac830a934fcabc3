package token

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"unicode/utf8"
)

// pieces holds the bytes of all tokens in one allocation without pointers.
type pieces struct {
	text []byte
	ends []uint32
}

func newPieces(n, size int) pieces {
	return pieces{text: make([]byte, 0, size), ends: make([]uint32, 0, n)}
}

func (p *pieces) append(convert func(dst, token []byte) []byte, token []byte) {
	p.text = convert(p.text, token)
	p.ends = append(p.ends, uint32(len(p.text)))
}

func (p *pieces) at(id int32) []byte {
	start, end := uint32(0), p.ends[id]
	if id > 0 {
		start = p.ends[id-1]
	}
	return p.text[start:end:end]
}

// Byte-level vocabularies are written in a printable alphabet: a byte that is a visible character of Latin-1 stands for
// itself, the 68 others, in order, for U+0100 and up (Radford et al. 2019, GPT-2). byteOf inverts it.
var byteOf = func() (table [256 + 68]int16) {
	next := 256
	for b := range 256 {
		switch {
		case b >= '!' && b <= '~', b >= 0xa1 && b <= 0xac, b >= 0xae:
			table[b] = int16(b)
		default:
			table[b] = -1
			table[next] = int16(b)
			next++
		}
	}
	return table
}()

// unmap appends the bytes that a token in the printable alphabet stands for. A token with any other character is
// taken literally.
func unmap(dst, token []byte) []byte {
	start := len(dst)
	for i := 0; i < len(token); {
		r, n := utf8.DecodeRune(token[i:])
		if int(r) >= len(byteOf) || byteOf[r] < 0 {
			return append(dst[:start], token...)
		}
		dst = append(dst, byte(byteOf[r]))
		i += n
	}
	return dst
}

func literal(dst, token []byte) []byte { return append(dst, token...) }

// index finds a token by its bytes, by open addressing. The hash is seeded, so that a file cannot aim at collisions.
type index struct {
	pieces *pieces
	seed   maphash.Seed
	slots  []int32 // ids, or none
}

func newIndex(p *pieces, n int) *index {
	ix := &index{pieces: p, seed: maphash.MakeSeed(), slots: make([]int32, 1<<bits.Len(uint(2*n)))}
	for i := range ix.slots {
		ix.slots[i] = none
	}
	return ix
}

// slot is where b is or would be.
func (ix *index) slot(b []byte) *int32 {
	mask := uint64(len(ix.slots) - 1)
	for h := maphash.Bytes(ix.seed, b); ; h++ {
		if s := &ix.slots[h&mask]; *s == none || bytes.Equal(ix.pieces.at(*s), b) {
			return s
		}
	}
}

func (ix *index) find(b []byte) int32 { return *ix.slot(b) }

// insert adds a token whose piece is stored already, and returns the one that has the same bytes, or none.
func (ix *index) insert(id int32) int32 {
	s := ix.slot(ix.pieces.at(id))
	if *s != none {
		return *s
	}
	*s = id
	return none
}
