package llm

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"math"
	"slices"
)

// codecSchema is the version of what cache and recordings hold.
const codecSchema = 1

// digest hashes fields, each with its length, so that no two lists of fields
// look alike.
type digest struct{ hash.Hash }

func newDigest(purpose string) digest {
	d := digest{sha256.New()}
	d.text(purpose)
	d.number(codecSchema)
	return d
}

func (d digest) number(n uint64) { d.Write(binary.LittleEndian.AppendUint64(nil, n)) }

func (d digest) text(s string) {
	d.number(uint64(len(s)))
	d.Write([]byte(s))
}

func (d digest) real(f *float64) {
	if f == nil {
		d.text("")
		return
	}
	d.text("f")
	d.number(math.Float64bits(*f))
}

func (d digest) request(r Request) {
	d.number(uint64(len(r.Messages)))
	for _, m := range r.Messages {
		d.text(m.Role)
		d.text(m.Text)
		d.text(string(m.Raw))
	}
	d.text(r.Prompt)
	d.number(uint64(r.MaxTokens))
	d.real(r.Temperature)
	d.real(r.TopP)
	d.real(r.MinP)
	d.number(uint64(r.TopK))
	d.number(uint64(len(r.Stop)))
	for _, s := range r.Stop {
		d.text(s)
	}
	if r.LogProbs {
		d.text("logprobs")
	}
	d.number(uint64(r.TopLogProbs))
	for _, name := range slices.Sorted(maps.Keys(r.Extra)) {
		d.text(name)
		d.text(string(r.Extra[name]))
	}
}

// passed takes in a body that is passed on, as few are.
func (d digest) passed(op Op) {
	if op.Endpoint != "" || op.Body != nil {
		d.text(op.Endpoint)
		d.text(string(op.Body))
	}
}

func (d digest) sum() string { return hex.EncodeToString(d.Sum(nil)) }

// Key identifies an operation in a recording: everything in it but Stream.
func (op Op) Key() string {
	d := newDigest("operation")
	d.number(uint64(op.Kind))
	d.text(op.Continuation)
	d.real(&op.Depth)
	d.number(uint64(op.N()))
	for k := range op.N() {
		d.number(uint64(op.Index(k)))
	}
	d.number(op.Seed)
	d.text(op.Role)
	d.passed(op)
	d.request(op.Request)
	return d.sum()
}

// Stem identifies the draws that an operation is part of: everything in it but
// which choices are wanted, who asks, and Stream. Two operations of one stem
// that want choice i want the same choice.
func (op Op) Stem() string {
	d := newDigest("stem")
	d.number(uint64(op.Kind))
	d.text(op.Continuation)
	d.real(&op.Depth)
	d.number(op.Seed)
	d.passed(op)
	d.request(op.Request)
	return d.sum()
}

// choiceKey identifies one choice in a cache: the model, the request and the
// repeat index; the seed only where it decides what the choice is. Not the role,
// nor how many are asked for. The model's name stands before it, for people.
func choiceKey(m Model, op Op, index int) string {
	d := newDigest("choice")
	d.text(m.ID().Key())
	d.number(uint64(op.Kind))
	d.text(op.Continuation)
	d.real(&op.Depth)
	d.number(uint64(index))
	if m.Can(Seeded) {
		d.number(op.Seed)
	}
	d.request(op.Request)
	return m.ID().String() + "\n" + d.sum()
}
