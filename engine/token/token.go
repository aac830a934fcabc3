package token

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"gnothi/engine/gguf"
)

// The kinds of tokens, as numbered in tokenizer.ggml.token_type.
const (
	kindNormal      = 1
	kindUnknown     = 2
	kindControl     = 3
	kindUserDefined = 4
	kindUnused      = 5
	kindByte        = 6
)

// none is the id of a token that a vocabulary does not have.
const none int32 = -1

// endings are the names in use for tokens that end a turn or a text. Files seldom list all that they have, and some call
// them user-defined, which would let a user's text end the turn: they are control tokens whatever the file says.
var endings = []string{"<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|end_of_text|>", "<end_of_turn>", "</s>"}

// Tokenizer is a vocabulary with its rules.
type Tokenizer struct {
	pieces  pieces
	kinds   []uint8
	bytes   [256]int32 // the token of each single byte, or none
	special trie

	// A vocabulary is of one of two kinds. Byte-level: words, and merges in their order.
	nextWord func(string) int
	merges   merges
	whole    bool // a word that is a token is not put together from its parts
	// SentencePiece: scores.
	scores      []uint32 // the better, the smaller; nil for byte-level
	spacePrefix bool     // a text begins as if after a blank
	unknown     int32    // what has no token and no bytes

	index *index // of the tokens that merging may make; nil where merges are all that is needed

	bos, eos       int32
	addBOS, addEOS bool
	eog            []int32 // sorted
}

// Options say what Encode does beside encoding plain text.
type Options struct {
	AddSpecial   bool // put the beginning- and end-of-sequence tokens where the file asks for them
	ParseSpecial bool // read control tokens spelled out in the text; only for text that nobody untrusted has written
}

// New builds the tokenizer of a model file. It keeps no reference to f.
func New(f *gguf.File) (*Tokenizer, error) {
	t, err := build(f)
	if err != nil {
		return nil, fmt.Errorf("token: %s: %w", f.Name(), err)
	}
	return t, nil
}

func build(f *gguf.File) (*Tokenizer, error) {
	t := &Tokenizer{unknown: none}
	for b := range t.bytes {
		t.bytes[b] = none
	}
	var err error
	switch model, _ := f.String("tokenizer.ggml.model"); model {
	case "gpt2":
		err = t.readByteLevel(f)
	case "llama":
		err = t.readSentencePiece(f)
	default:
		err = fmt.Errorf(`tokenizer model %.80q is not supported, only byte-level BPE ("gpt2") and SentencePiece BPE ("llama")`, model)
	}
	if err != nil {
		return nil, err
	}
	return t, t.readSpecial(f)
}

func (t *Tokenizer) readByteLevel(f *gguf.File) error {
	name, _ := f.String("tokenizer.ggml.pre")
	i := slices.IndexFunc(splitters, func(s splitter) bool { return slices.Contains(s.names, name) })
	if i < 0 {
		var known []string
		for _, s := range splitters {
			known = append(known, s.names[0])
		}
		return fmt.Errorf("pre-tokenizer %.80q is not supported; these are: %s", name, strings.Join(known, ", "))
	}
	t.nextWord, t.whole, t.addBOS = splitters[i].next, splitters[i].whole, splitters[i].bos
	index, err := t.readPieces(f, unmap)
	if err != nil {
		return err
	}
	for b := range t.bytes {
		t.bytes[b] = index.find([]byte{byte(b)})
	}
	if t.whole {
		t.index = index
	}
	t.merges, err = readMerges(f, index)
	return err
}

// readPieces fills pieces, kinds and the trie of special tokens, and returns an index of the tokens that BPE may make.
// Control tokens are not among them: no sequence of merges can forge one.
// convert makes a normal token's bytes from its text.
func (t *Tokenizer) readPieces(f *gguf.File, convert func(dst, token []byte) []byte) (*index, error) {
	const tokens, types = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
	n, _ := f.Len(tokens)
	if n == 0 || n > math.MaxInt32 {
		return nil, fmt.Errorf("key %q: no vocabulary", tokens)
	}
	var kinds []int64
	if f.Has(types) {
		if k, _ := f.Len(types); k == n { // before they are copied
			kinds, _ = f.Ints(types)
		}
		if kinds == nil {
			return nil, fmt.Errorf("key %q: not one number for each of the %d tokens", types, n)
		}
	}
	t.kinds = make([]uint8, n)
	size := 0
	for i, text := range f.ByteStrings(tokens) {
		t.kinds[i] = kindNormal
		if kinds != nil {
			if kinds[i] < 0 || kinds[i] > 6 {
				return nil, fmt.Errorf("key %q: token %d has the unknown type %d", types, i, kinds[i])
			}
			t.kinds[i] = uint8(kinds[i])
			if kinds[i] == kindUserDefined && slices.Contains(endings, string(text)) {
				t.kinds[i] = kindControl
			}
		}
		size += len(text)
	}
	if uint64(size) > math.MaxUint32 {
		return nil, fmt.Errorf("key %q: a vocabulary of %d bytes is too large", tokens, size)
	}
	t.pieces = newPieces(n, size)
	ix := newIndex(&t.pieces, n)
	for i, text := range f.ByteStrings(tokens) {
		if len(text) == 0 {
			return nil, fmt.Errorf("key %q: token %d is empty", tokens, i)
		}
		id, dup := int32(i), none
		switch t.kinds[i] {
		case kindNormal:
			t.pieces.append(convert, text)
			dup = ix.insert(id)
		case kindUserDefined:
			t.pieces.append(literal, text)
			// In byte-level vocabularies merges may lead through it. With scores it is never come by: a text
			// that contains it is cut there first.
			if t.nextWord != nil {
				dup = ix.insert(id)
			}
			if dup == none {
				dup = t.special.insert(text, id)
			}
		case kindByte:
			b, ok := byteToken(text)
			if !ok || t.bytes[b] != none {
				return nil, fmt.Errorf("key %q: token %d, %.80q, does not name one byte, or one that another token names", tokens, i, text)
			}
			t.bytes[b] = id
			t.pieces.append(literal, []byte{b})
		case kindControl, kindUnknown:
			t.pieces.append(literal, text)
			dup = t.special.insert(text, id)
		default: // unused tokens have a text and no way to it
			t.pieces.append(literal, text)
		}
		if dup != none {
			return nil, fmt.Errorf("key %q: tokens %d and %d are the same, %.80q", tokens, dup, i, text)
		}
		if t.special.full() {
			return nil, fmt.Errorf("key %q: the special tokens up to %d take more than %d bytes", tokens, i, maxTrie)
		}
	}
	return ix, nil
}

// readSpecial reads which tokens begin and end a text.
func (t *Tokenizer) readSpecial(f *gguf.File) error {
	id := func(name string) (int32, error) {
		key := "tokenizer.ggml." + name + "_token_id"
		if !f.Has(key) {
			return none, nil
		}
		u, ok := f.Uint(key)
		if !ok || u >= uint64(len(t.kinds)) {
			return none, fmt.Errorf("key %q: not the id of one of the %d tokens", key, len(t.kinds))
		}
		return int32(u), nil
	}
	var err error
	if t.bos, err = id("bos"); err != nil {
		return err
	}
	for _, name := range []string{"eos", "eot", "eom"} {
		e, err := id(name)
		if err != nil {
			return err
		}
		if name == "eos" {
			t.eos = e
		}
		if e != none {
			t.eog = append(t.eog, e)
		}
	}
	for _, name := range endings {
		if e, ok := t.Control(name); ok {
			t.eog = append(t.eog, e)
		}
	}
	slices.Sort(t.eog)
	t.eog = slices.Compact(t.eog)
	if add, ok := f.Bool("tokenizer.ggml.add_bos_token"); ok {
		t.addBOS = add
	}
	t.addEOS, _ = f.Bool("tokenizer.ggml.add_eos_token")
	if t.addBOS && t.bos == none || t.addEOS && t.eos == none {
		return fmt.Errorf("the file asks for a token at the beginning or end of each text and does not say which")
	}
	return nil
}

// Vocab is the number of tokens; ids are 0 to Vocab()-1.
func (t *Tokenizer) Vocab() int { return len(t.kinds) }

// BOS is the beginning-of-sequence token, -1 if there is none.
func (t *Tokenizer) BOS() int32 { return t.bos }

// EOS is the end-of-sequence token, -1 if there is none.
func (t *Tokenizer) EOS() int32 { return t.eos }

// AddBOS reports whether the model expects BOS before every text.
func (t *Tokenizer) AddBOS() bool { return t.addBOS }

// EOG reports whether the token ends a generation: the end of a turn, a message or a text.
func (t *Tokenizer) EOG(id int32) bool {
	_, ok := slices.BinarySearch(t.eog, id)
	return ok
}

// Control returns the id of the control token with exactly this text.
func (t *Tokenizer) Control(text string) (int32, bool) {
	id, n := t.special.match(text, func(id int32) bool { return t.IsControl(id) })
	return id, n > 0 && n == len(text)
}

// IsControl reports whether a token stands for a marker and not for text.
func (t *Tokenizer) IsControl(id int32) bool {
	return t.valid(id) && (t.kinds[id] == kindControl || t.kinds[id] == kindUnknown)
}

func (t *Tokenizer) valid(id int32) bool { return id >= 0 && int(id) < len(t.kinds) }

// Encode returns the token ids of text, which may be any bytes. Tokens that the file marks as user-defined are matched
// always, as a whole, the longest first.
//
// A vocabulary may lack single bytes (SmolLM2's lacks 21, most of which no UTF-8 has). In valid UTF-8 such a byte is
// left out, as llama.cpp does; a stray one becomes U+FFFD. Everything else decodes to the same bytes.
func (t *Tokenizer) Encode(text string, o Options) []int32 {
	out := make([]int32, 0, len(text)/4+2)
	if o.AddSpecial && t.addBOS {
		out = append(out, t.bos)
	}
	wanted := func(id int32) bool { return o.ParseSpecial || t.kinds[id] == kindUserDefined }
	var w word
	start := 0
	for at := 0; at < len(text); {
		id, n := t.special.match(text[at:], wanted)
		if n == 0 {
			at++
			continue
		}
		out = t.appendPlain(out, text[start:at], &w)
		out = append(out, id)
		at += n
		start = at
	}
	out = t.appendPlain(out, text[start:], &w)
	if o.AddSpecial && t.addEOS {
		out = append(out, t.eos)
	}
	return out
}

// appendPlain encodes a text that begins or follows a special token.
func (t *Tokenizer) appendPlain(out []int32, text string, w *word) []int32 {
	if t.scores != nil {
		return t.appendScored(out, text, w)
	}
	for len(text) > 0 {
		n := t.nextWord(text)
		out = t.appendWord(out, text[:n], w)
		text = text[n:]
	}
	return out
}

// Piece returns the bytes that a token stands for; for a control token its name. They need not be valid UTF-8 by
// themselves. The slice must not be changed. An id outside the vocabulary has no bytes.
func (t *Tokenizer) Piece(id int32) []byte {
	if !t.valid(id) {
		return nil
	}
	return t.pieces.at(id)
}

// Decode returns the text of ids without control tokens. Cut anywhere, it may begin or end within a character; see
// [Decoder].
func (t *Tokenizer) Decode(ids []int32) string { return t.decode(ids, false) }

// DecodeSpecial is Decode with the control tokens spelled out.
func (t *Tokenizer) DecodeSpecial(ids []int32) string { return t.decode(ids, true) }

func (t *Tokenizer) decode(ids []int32, special bool) string {
	var b []byte
	first := t.spacePrefix // of a text, whose blank Encode has put there
	for _, id := range ids {
		p := t.Piece(id)
		if t.IsControl(id) {
			if !special {
				continue
			}
		} else if first {
			p = bytes.TrimPrefix(p, []byte(" "))
			first = false
		}
		b = append(b, p...)
	}
	return string(b)
}
