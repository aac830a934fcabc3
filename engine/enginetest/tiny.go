package enginetest

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"gnothi/engine/gguf"
)

// Tiny describes a random model. Zero fields get the defaults given beside them.
type Tiny struct {
	Seed uint64
	Arch string    // "llama", or another architecture that the engine knows
	Type gguf.Type // of all matrices but the embedding; zero is F32

	Layers, Dim, FeedForward int // 2, 64, 96
	Heads, KVHeads, HeadDim  int // 4, 2, Dim/Heads
	Context                  int // 256
	RopeDims                 int // HeadDim
	Window                   int // of gemma3, 16
	Untied                   bool
	RopeFactors              bool // with stretched wavelengths, as in Llama 3

	// Edit, if not nil, may change tensors before they are written.
	Edit func(tensors []gguf.Tensor) []gguf.Tensor
	// Meta is added to the metadata; a key that is there already is replaced.
	Meta []gguf.KV
}

// Ids of the control tokens. Byte b is token FirstByte+b; Vocab is the number of tokens.
const (
	EndOfText = 0
	ImStart   = 1
	ImEnd     = 2
	FirstByte = 3
	Vocab     = FirstByte + 256
)

func (m *Tiny) defaults() {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&m.Layers, 2)
	set(&m.Dim, 64)
	set(&m.FeedForward, 96)
	set(&m.Heads, 4)
	set(&m.KVHeads, 2)
	set(&m.HeadDim, m.Dim/m.Heads)
	set(&m.Context, 256)
	set(&m.RopeDims, m.HeadDim)
	set(&m.Window, 16)
	if m.Arch == "" {
		m.Arch = "llama"
	}
}

// Write writes the model's file.
func (m Tiny) Write(w io.Writer) error {
	m.defaults()
	var tensors []gguf.Tensor
	var failed error
	rng := rand.New(rand.NewPCG(m.Seed, 0))
	add := func(name string, t gguf.Type, centre, spread float64, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(centre + spread*rng.NormFloat64())
		}
		data, err := gguf.Quantise(t, x)
		if err != nil && failed == nil {
			failed = fmt.Errorf("enginetest: %s: %w", name, err)
		}
		tensors = append(tensors, gguf.Tensor{Name: name, Type: t, Shape: shape, Data: data})
	}
	matrix := func(name string, in, out int) { add(name+".weight", m.Type, 0, 1.5/math.Sqrt(float64(in)), in, out) }
	norm := func(name string, n int) { add(name+".weight", gguf.F32, 1, 0.2, n) }
	headNorms, postNorms := m.Arch == "qwen3" || m.Arch == "gemma3", m.Arch == "gemma3"
	biases, fused := m.Arch == "qwen2", m.Arch == "phi3"
	embed := gguf.Q8_0
	if m.Type == gguf.F32 {
		embed = gguf.F32
	}
	add("token_embd.weight", embed, 0, 0.5, m.Dim, Vocab)
	norm("output_norm", m.Dim)
	if m.Untied {
		matrix("output", m.Dim, Vocab)
	}
	if m.RopeFactors {
		add("rope_freqs.weight", gguf.F32, 3, 0.5, m.RopeDims/2)
	}
	q, kv := m.Heads*m.HeadDim, m.KVHeads*m.HeadDim
	for i := range m.Layers {
		blk := fmt.Sprintf("blk.%d.", i)
		norm(blk+"attn_norm", m.Dim)
		if fused {
			matrix(blk+"attn_qkv", m.Dim, q+2*kv)
		} else {
			matrix(blk+"attn_q", m.Dim, q)
			matrix(blk+"attn_k", m.Dim, kv)
			matrix(blk+"attn_v", m.Dim, kv)
		}
		if biases {
			add(blk+"attn_q.bias", gguf.F32, 0, 0.5, q)
			add(blk+"attn_k.bias", gguf.F32, 0, 0.5, kv)
			add(blk+"attn_v.bias", gguf.F32, 0, 0.5, kv)
		}
		if headNorms {
			norm(blk+"attn_q_norm", m.HeadDim)
			norm(blk+"attn_k_norm", m.HeadDim)
		}
		matrix(blk+"attn_output", q, m.Dim)
		norm(blk+"ffn_norm", m.Dim)
		if fused {
			matrix(blk+"ffn_up", m.Dim, 2*m.FeedForward)
		} else {
			matrix(blk+"ffn_gate", m.Dim, m.FeedForward)
			matrix(blk+"ffn_up", m.Dim, m.FeedForward)
		}
		matrix(blk+"ffn_down", m.FeedForward, m.Dim)
		if postNorms {
			norm(blk+"post_attention_norm", m.Dim)
			norm(blk+"post_ffw_norm", m.Dim)
		}
	}
	if failed != nil {
		return failed
	}
	if m.Edit != nil {
		tensors = m.Edit(tensors)
	}
	return gguf.Write(w, m.meta(), tensors)
}

func (m *Tiny) meta() []gguf.KV {
	tokens := []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
	types := []int32{3, 3, 3}
	next := rune(256)
	for b := range rune(256) { // byte-level BPE writes printable bytes as themselves, others from U+0100 on
		r := b
		if b < '!' || b > '~' && b < '¡' || b == 0xad {
			r, next = next, next+1
		}
		tokens, types = append(tokens, string(r)), append(types, 1)
	}
	meta := []gguf.KV{
		{Key: "general.architecture", Value: m.Arch},
		{Key: "general.name", Value: fmt.Sprintf("tiny %d", m.Seed)},
		{Key: m.Arch + ".block_count", Value: uint32(m.Layers)},
		{Key: m.Arch + ".embedding_length", Value: uint32(m.Dim)},
		{Key: m.Arch + ".feed_forward_length", Value: uint32(m.FeedForward)},
		{Key: m.Arch + ".attention.head_count", Value: uint32(m.Heads)},
		{Key: m.Arch + ".attention.head_count_kv", Value: uint32(m.KVHeads)},
		{Key: m.Arch + ".attention.key_length", Value: uint32(m.HeadDim)},
		{Key: m.Arch + ".attention.value_length", Value: uint32(m.HeadDim)},
		{Key: m.Arch + ".attention.layer_norm_rms_epsilon", Value: float32(1e-5)},
		{Key: m.Arch + ".context_length", Value: uint32(m.Context)},
		{Key: m.Arch + ".rope.dimension_count", Value: uint32(m.RopeDims)},
		{Key: m.Arch + ".rope.freq_base", Value: float32(10000)},
		{Key: "tokenizer.ggml.model", Value: "gpt2"},
		{Key: "tokenizer.ggml.pre", Value: "smollm"},
		{Key: "tokenizer.ggml.tokens", Value: tokens},
		{Key: "tokenizer.ggml.token_type", Value: types},
		{Key: "tokenizer.ggml.merges", Value: []string{}},
		{Key: "tokenizer.ggml.bos_token_id", Value: uint32(ImStart)},
		{Key: "tokenizer.ggml.eos_token_id", Value: uint32(ImEnd)},
	}
	if m.Arch == "gemma3" {
		meta = append(meta, gguf.KV{Key: "gemma3.attention.sliding_window", Value: uint32(m.Window)})
	}
next:
	for _, kv := range m.Meta {
		for i := range meta {
			if meta[i].Key == kv.Key {
				meta[i] = kv
				continue next
			}
		}
		meta = append(meta, kv)
	}
	return meta
}

// File writes the model into a directory of the test and returns its path.
func (m Tiny) File(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "tiny.gguf")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	err = m.Write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		tb.Fatal(err)
	}
	return path
}
