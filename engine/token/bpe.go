package token

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"gnothi/engine/gguf"
)

// merges maps a pair of tokens (left<<32 | right) to how early they merge and into what (rank<<32 | token, ranks from 1
// so that 0 is no merge). Without pointers the map is small, and the garbage collector skips it.
type merges map[uint64]uint64

func pair(left, right int32) uint64 { return uint64(left)<<32 | uint64(uint32(right)) }

func readMerges(f *gguf.File, ix *index) (merges, error) {
	const key = "tokenizer.ggml.merges"
	n, _ := f.Len(key)
	if n > math.MaxInt32 {
		return nil, fmt.Errorf("key %q: %d merges are too many", key, n)
	}
	m := make(merges, n)
	var buf []byte
	for rank, text := range f.ByteStrings(key) {
		cut := -1
		if len(text) > 0 {
			cut = bytes.IndexByte(text[1:], ' ') + 1
		}
		if cut < 1 {
			return nil, fmt.Errorf("key %q: merge %d, %.80q, is not two tokens", key, rank, text)
		}
		buf = unmap(buf[:0], text[:cut])
		k := len(buf)
		buf = unmap(buf, text[cut+1:])
		left, right, both := ix.find(buf[:k]), ix.find(buf[k:]), ix.find(buf)
		if left == none || right == none || both == none {
			return nil, fmt.Errorf("key %q: merge %d, %.80q, has a part or a result that is no token", key, rank, text)
		}
		if p := pair(left, right); m[p] == 0 { // the first of two equal ones counts, as it has the lower rank
			m[p] = uint64(rank+1)<<32 | uint64(both)
		}
	}
	return m, nil
}

// word is the working memory of one call of Encode: the symbols of a word as a doubly linked list, and the pairs that
// may merge.
type word struct {
	id         []int32 // none: no token for this byte or character; merged into the left neighbour it is none or gone
	prev, next []int32
	at         []int32 // where each symbol of a scored text starts
	queue      queue
}

// reset empties the lists and makes room for n symbols.
func (w *word) reset(n int) {
	w.id, w.prev, w.next = slices.Grow(w.id[:0], n), slices.Grow(w.prev[:0], n), slices.Grow(w.next[:0], n)
	w.queue = slices.Grow(w.queue[:0], n)
}

func (w *word) add(id int32) {
	i := int32(len(w.id))
	w.id = append(w.id, id)
	w.prev = append(w.prev, i-1)
	w.next = append(w.next, i+1)
}

// appendWord merges the bytes of one word, lowest rank first, leftmost among equals.
func (t *Tokenizer) appendWord(out []int32, text string, w *word) []int32 {
	if t.whole {
		if id := t.index.find([]byte(text)); id != none {
			return append(out, id)
		}
	}
	w.reset(len(text))
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 && t.bytes[text[i]] == none {
			for _, b := range []byte("\uFFFD") {
				w.add(t.bytes[b])
			}
		} else {
			for _, b := range []byte(text[i : i+n]) {
				w.add(t.bytes[b]) // none keeps its place: it must keep its neighbours from merging
			}
		}
		i += n
	}
	for i := range len(w.id) - 1 {
		t.consider(w, int32(i))
	}
	for len(w.queue) > 0 {
		top := w.queue.pop()
		i := int32(uint32(top))
		j := w.next[i]
		if int(j) >= len(w.id) || w.id[i] == none || w.id[j] == none {
			continue
		}
		m := t.merges[pair(w.id[i], w.id[j])]
		if m>>32 != top>>32 { // one of the two has merged with another since
			continue
		}
		w.id[i], w.id[j] = int32(uint32(m)), none
		w.next[i] = w.next[j]
		if int(w.next[i]) < len(w.id) {
			w.prev[w.next[i]] = i
		}
		if w.prev[i] >= 0 {
			t.consider(w, w.prev[i])
		}
		t.consider(w, i)
	}
	for _, id := range w.id {
		if id != none {
			out = append(out, id)
		}
	}
	return out
}

// consider queues the pair that starts at symbol i if it merges.
func (t *Tokenizer) consider(w *word, i int32) {
	j := w.next[i]
	if int(j) >= len(w.id) || w.id[i] == none || w.id[j] == none {
		return
	}
	if m := t.merges[pair(w.id[i], w.id[j])]; m != 0 {
		w.queue.push(m>>32<<32 | uint64(i))
	}
}

// queue is a binary heap with the smallest number on top. container/heap would box each one.
type queue []uint64

func (q *queue) push(x uint64) {
	h := append(*q, x)
	i := len(h) - 1
	for i > 0 && h[(i-1)/2] > x {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = x
	*q = h
}

func (q *queue) pop() uint64 {
	h := *q
	top, x := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*q = h
	i := 0
	for {
		c := 2*i + 1
		if c+1 < len(h) && h[c+1] < h[c] {
			c++
		}
		if c >= len(h) || h[c] >= x {
			break
		}
		h[i] = h[c]
		i = c
	}
	if len(h) > 0 {
		h[i] = x
	}
	return top
}
