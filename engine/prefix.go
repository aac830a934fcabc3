package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"gnothi/engine/internal/model"
)

// Prefix is an immutable run of tokens with the keys and values that the model has computed for
// them, 4·2·Layers·KVHeads·HeadDim bytes a token (46 KB for the default model). What was continued
// from it shares them, so that forking is free. Nothing needs to be released: what is no longer
// referred to is garbage.
type Prefix struct {
	engine *Engine
	cache  *model.Cache
	ids    []int32
	state  []float32 // final normed state of the last token, from which the next token's logits come; nil after Cut
	hooked bool      // hooks had a part in it
}

// Len is the number of tokens. The nil Prefix is the empty text.
func (p *Prefix) Len() int {
	if p == nil {
		return 0
	}
	return len(p.ids)
}

// IDs returns a copy of the tokens.
func (p *Prefix) IDs() []int32 {
	if p == nil {
		return nil
	}
	return slices.Clone(p.ids)
}

// Common is the number of leading tokens that p shares with ids.
func (p *Prefix) Common(ids []int32) int {
	n := 0
	for p != nil && n < min(len(p.ids), len(ids)) && p.ids[n] == ids[n] {
		n++
	}
	return n
}

// Cut returns the first n tokens of p, n within 0 and Len. It costs nothing: what is computed stays, and
// what continues from the cut pays for its own tokens and, to generate or score right there, for the
// last one of the cut.
func (p *Prefix) Cut(n int) *Prefix {
	switch {
	case n <= 0 || p == nil:
		return nil
	case n >= len(p.ids):
		return p
	}
	return &Prefix{engine: p.engine, cache: p.cache.Cut(n), ids: p.ids[:n:n], hooked: p.hooked}
}

// whole gives a prefix that was cut its last token's state.
func (e *Engine) whole(ctx context.Context, p *Prefix) (*Prefix, error) {
	if p.Len() == 0 || p.state != nil {
		return p, nil
	}
	n := len(p.ids) - 1
	return e.Prefill(ctx, p.Cut(n), p.ids[n:])
}

// KVMemory is the memory of all these prefixes in bytes, what they share counted once.
func KVMemory(prefixes ...*Prefix) int64 {
	var caches []*model.Cache
	for _, p := range prefixes {
		if p != nil {
			caches = append(caches, p.cache)
		}
	}
	return model.Bytes(caches...)
}

func (e *Engine) owns(p *Prefix) error {
	if p != nil && p.engine != e {
		return errors.New("engine: the prefix belongs to another engine")
	}
	return nil
}

// begin checks the arguments of a run of ids after parent and returns the cache to feed them into.
func (e *Engine) begin(parent *Prefix, ids []int32) (*model.Cache, error) {
	if err := e.owns(parent); err != nil {
		return nil, err
	}
	for i, id := range ids {
		if id < 0 || int(id) >= e.info.Vocab {
			return nil, fmt.Errorf("engine: token %d is %d, the vocabulary has %d", i, id, e.info.Vocab)
		}
	}
	if n := parent.Len() + len(ids); n > e.info.Context {
		return nil, &ContextError{Tokens: n, Context: e.info.Context}
	}
	if parent == nil {
		return e.model.NewCache(), nil
	}
	return parent.cache.Fork(), nil
}

// Prefill computes the keys and values of ids after parent (nil: at the beginning) and returns the
// longer prefix. A text longer than the context is a *ContextError. Long prompts are computed piece
// by piece, between the steps of others, and stop soon after ctx ends.
//
// Hooks act on ids alone; the prefix keeps what came of them, and cannot be saved.
func (e *Engine) Prefill(ctx context.Context, parent *Prefix, ids []int32, hooks ...Hook) (*Prefix, error) {
	cache, err := e.begin(parent, ids)
	if err != nil {
		return nil, err
	}
	hook, err := e.hook(hooks)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return parent, nil
	}
	p := &Prefix{engine: e, cache: cache, ids: slices.Concat(parent.IDs(), ids), state: make([]float32, e.info.Dim)}
	p.hooked = hook != nil || parent != nil && parent.hooked
	cache.Grow(len(ids))
	if err := e.sched.run(&feed{ctx: ctx, cache: cache, ids: p.ids[parent.Len():], state: p.state, hook: hook}); err != nil {
		return nil, err
	}
	return p, nil
}

// A saved prefix: magic, version, number of tokens (uint32), key, keys and values in the order
// layer, key or value, head, position, dimension, the last token's final state (float32), and a
// CRC-32C of all before. Little-endian.
const (
	prefixMagic   = "gnothikv"
	prefixVersion = 1
)

// ErrPrefixMismatch means that a saved prefix is of other tokens, other weights, another kernel
// path or another format, or damaged. Compute it anew with Prefill.
var ErrPrefixMismatch = errors.New("engine: saved prefix does not match")

// PrefixKey names the keys and values of ids under these weights and kernels, as 64 hexadecimal
// digits: good for a file name.
func (e *Engine) PrefixKey(ids []int32) string {
	k := e.prefixKey(ids)
	return hex.EncodeToString(k[:])
}

func (e *Engine) prefixKey(ids []int32) [sha256.Size]byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d %s %s", prefixVersion, e.info.Fingerprint, e.info.Kernels)
	if e.model.Config.HalfKV {
		b.WriteString(" f16")
	}
	binary.Write(&b, binary.LittleEndian, ids)
	return sha256.Sum256(b.Bytes())
}

// SavePrefix writes p so that LoadPrefix can read it later, with the same weights on the same kind
// of machine. It takes as many bytes as p does in memory.
func (e *Engine) SavePrefix(w io.Writer, p *Prefix) error {
	if err := e.owns(p); err != nil {
		return err
	}
	if p.Len() == 0 {
		return errors.New("engine: there is nothing to save in an empty prefix")
	}
	if p.state == nil {
		return errors.New("engine: a prefix that was cut cannot be saved as it is: Prefill its last token anew")
	}
	if p.hooked {
		return errors.New("engine: a prefix made under hooks cannot be saved: it would pass for the model's own")
	}
	buf := bufio.NewWriterSize(w, 1<<16)
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	out := io.MultiWriter(buf, sum)
	key := e.prefixKey(p.ids)
	header := binary.LittleEndian.AppendUint32([]byte(prefixMagic), prefixVersion)
	header = binary.LittleEndian.AppendUint32(header, uint32(len(p.ids)))
	_, err := out.Write(append(header, key[:]...))
	var raw []byte
	write := func(x []float32) bool {
		raw = raw[:0]
		for _, v := range x {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		if err == nil {
			_, err = out.Write(raw)
		}
		return err == nil
	}
	p.cache.Floats(false, write)
	write(p.state)
	if err == nil {
		_, err = buf.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32()))
	}
	if err == nil {
		err = buf.Flush()
	}
	if err != nil {
		return fmt.Errorf("engine: saving a prefix of %d tokens: %w", len(p.ids), err)
	}
	return nil
}

// LoadPrefix reads what SavePrefix wrote for ids. Anything else is an error that wraps
// ErrPrefixMismatch; of a foreign file no more than the header is read.
func (e *Engine) LoadPrefix(r io.Reader, ids []int32) (*Prefix, error) {
	cache, err := e.begin(nil, ids)
	if err != nil {
		return nil, err
	}
	in := &summed{r: bufio.NewReaderSize(r, 1<<16), sum: crc32.New(crc32.MakeTable(crc32.Castagnoli))}
	header := make([]byte, len(prefixMagic)+8+sha256.Size)
	if _, err := io.ReadFull(in, header); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrPrefixMismatch, err)
	}
	rest, ok := bytes.CutPrefix(header, []byte(prefixMagic))
	key := e.prefixKey(ids)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: not a saved prefix", ErrPrefixMismatch)
	case binary.LittleEndian.Uint32(rest) != prefixVersion:
		return nil, fmt.Errorf("%w: format %d, this is %d", ErrPrefixMismatch, binary.LittleEndian.Uint32(rest), prefixVersion)
	case len(ids) == 0 || int(binary.LittleEndian.Uint32(rest[4:])) != len(ids) || !bytes.Equal(rest[8:], key[:]):
		return nil, fmt.Errorf("%w: other tokens, weights or kernels", ErrPrefixMismatch)
	}
	p := &Prefix{engine: e, cache: cache, ids: slices.Clone(ids), state: make([]float32, e.info.Dim)}
	cache.Grow(len(ids))
	cache.Fill(len(ids))
	var raw []byte
	read := func(x []float32) bool {
		raw = slices.Grow(raw[:0], 4*len(x))[:4*len(x)]
		if _, err = io.ReadFull(in, raw); err != nil {
			return false
		}
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		return true
	}
	cache.Floats(true, read)
	if err == nil {
		read(p.state)
	}
	want := in.sum.Sum32()
	var sum [4]byte
	if err == nil {
		_, err = io.ReadFull(in, sum[:])
	}
	if err != nil {
		return nil, fmt.Errorf("%w: cut short: %w", ErrPrefixMismatch, err)
	}
	if binary.LittleEndian.Uint32(sum[:]) != want {
		return nil, fmt.Errorf("%w: checksum is wrong", ErrPrefixMismatch)
	}
	return p, nil
}

// summed is a reader that keeps the checksum of what has been read.
type summed struct {
	r   io.Reader
	sum hash.Hash32
}

func (s *summed) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.sum.Write(b[:n])
	return n, err
}
