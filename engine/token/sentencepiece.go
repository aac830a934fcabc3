package token

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gnothi/engine/gguf"
)

// blank stands for a space in SentencePiece vocabularies.
const blank = "\u2581"

// gone marks a symbol that has merged into its left neighbour.
const gone int32 = -2

func unblank(dst, token []byte) []byte {
	return append(dst, bytes.ReplaceAll(token, []byte(blank), []byte(" "))...)
}

// byteToken reads the name of a byte, <0x41>.
func byteToken(name []byte) (byte, bool) {
	if len(name) != 6 || string(name[:3]) != "<0x" || name[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(string(name[3:5]), 16, 8)
	return byte(b), err == nil
}

// readSentencePiece reads a vocabulary with scores: byte-pair encoding whose merges are those that give a token, the one
// with the best score first (Kudo and Richardson 2018, arXiv 1808.06226). What has no token is written in bytes.
func (t *Tokenizer) readSentencePiece(f *gguf.File) error {
	const key = "tokenizer.ggml.scores"
	var err error
	if t.index, err = t.readPieces(f, unblank); err != nil {
		return err
	}
	var scores []float32
	if n, _ := f.Len(key); n == len(t.kinds) { // before they are copied
		scores, _ = f.Floats(key)
	}
	if scores == nil {
		return fmt.Errorf("key %q: not one number for each of the %d tokens", key, len(t.kinds))
	}
	t.scores = make([]uint32, len(scores))
	for i, x := range scores {
		if x-x != 0 {
			return fmt.Errorf("key %q: the score of token %d is %v", key, i, x)
		}
		t.scores[i] = falling(x)
	}
	t.addBOS, t.spacePrefix = true, true
	if on, ok := f.Bool("tokenizer.ggml.add_space_prefix"); ok {
		t.spacePrefix = on
	}
	if id, ok := f.Uint("tokenizer.ggml.unknown_token_id"); ok && id < uint64(len(t.kinds)) {
		t.unknown = int32(id)
	}
	return nil
}

// falling maps scores to numbers that are the smaller the better the score is.
func falling(x float32) uint32 {
	b := math.Float32bits(x + 0) // −0 is 0
	if b>>31 != 0 {
		return b
	}
	return ^b &^ (1 << 31)
}

// lengths is that of a character by the upper half of its first byte, as SentencePiece counts: bytes that are not UTF-8
// are taken at their word.
var lengths = [16]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4}

// appendScored encodes a text that has no words: it starts as single characters, and of all neighbours that make a
// token together the best merge first, the leftmost among equals.
func (t *Tokenizer) appendScored(out []int32, text string, w *word) []int32 {
	if text == "" {
		return out
	}
	if t.spacePrefix {
		text = " " + text
	}
	text = strings.ReplaceAll(text, blank, " ")
	b := []byte(text)
	w.reset(len(b))
	w.at = slices.Grow(w.at[:0], len(b)+1)
	for i := 0; i < len(b); {
		n := min(lengths[b[i]>>4], len(b)-i)
		w.at = append(w.at, int32(i))
		w.add(t.index.find(b[i : i+n]))
		i += n
	}
	w.at = append(w.at, int32(len(b)))
	for i := range len(w.id) - 1 {
		t.considerScored(w, b, int32(i))
	}
	for len(w.queue) > 0 {
		top := w.queue.pop()
		i := int32(uint32(top))
		id := t.joined(w, b, i)
		if id == none || t.scores[id] != uint32(top>>32) { // one of the two has merged with another since
			continue
		}
		j := w.next[i]
		w.id[i], w.id[j] = id, gone
		w.next[i] = w.next[j]
		if int(w.next[i]) < len(w.id) {
			w.prev[w.next[i]] = i
		}
		if w.prev[i] >= 0 {
			t.considerScored(w, b, w.prev[i])
		}
		t.considerScored(w, b, i)
	}
	for i, id := range w.id {
		switch id {
		case gone:
		case none:
			for _, c := range b[w.at[i]:w.at[i+1]] { // it has never merged: one character
				if id := t.bytes[c]; id != none {
					out = append(out, id)
				} else if t.unknown != none {
					out = append(out, t.unknown)
				}
			}
		default:
			out = append(out, id)
		}
	}
	return out
}

// joined is the token that symbol i and the one after it make, or none.
func (t *Tokenizer) joined(w *word, text []byte, i int32) int32 {
	j := w.next[i]
	if w.id[i] == gone || int(j) >= len(w.id) {
		return none
	}
	return t.index.find(text[w.at[i]:w.at[w.next[j]]])
}

// considerScored queues the pair that starts at symbol i if it makes a token.
func (t *Tokenizer) considerScored(w *word, text []byte, i int32) {
	if id := t.joined(w, text, i); id != none {
		w.queue.push(uint64(t.scores[id])<<32 | uint64(i))
	}
}
