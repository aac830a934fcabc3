package engine

import (
	"cmp"
	"fmt"
	"runtime"

	"gnothi/engine/gguf"
	"gnothi/engine/internal/model"
)

// Memory is what a model takes to run, in bytes.
type Memory struct {
	// Weights are mapped from the file as they are: shared with other processes, and the first to go
	// where memory is short.
	Weights int64 `json:"weights"`
	// Buffers are taken once, for activations and logits. The vocabulary's tables, a few times its text, and
	// what attention over long texts needs come on top.
	Buffers int64 `json:"buffers"`
	// KVToken is what each token of a text takes, as keys and values, in the format that was chosen. A shared
	// beginning is there once.
	KVToken int64 `json:"kv_token"`
}

// KV is the memory of the keys and values of n tokens.
func (m Memory) KV(n int) int64 { return m.KVToken * int64(n) }

// Foretell says what a model file will take without loading it: it reads the header only.
func Foretell(path string, opts Options) (Info, Memory, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return Info{}, Memory{}, fmt.Errorf("engine: %w", err)
	}
	defer f.Close()
	spec, c, err := model.Describe(f)
	if err != nil {
		return Info{}, Memory{}, fmt.Errorf("engine: %s: %w", path, err)
	}
	c.HalfKV = opts.HalfKV
	info := Info{
		Path: f.Name(), Architecture: spec.Arch, FileType: fileType(f), Bytes: f.Size(),
		Layers: c.Layers, Dim: c.Dim, FeedForward: c.Hidden, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim,
		Vocab: c.Vocab, Context: c.Context, KVBytes: c.BytesPerToken(), Threads: cmp.Or(opts.Threads, runtime.GOMAXPROCS(0)),
	}
	info.Name, _ = f.String("general.name")
	if opts.Context > 0 {
		info.Context = min(opts.Context, c.Context)
	}
	rows := int64(logitRows(c.Vocab))
	m := Memory{
		Weights: f.Size(), KVToken: int64(c.BytesPerToken()),
		Buffers: c.PassBytes() + 4*model.MaxRows*int64(c.Dim) + 4*int64(c.Vocab)*(rows+2*int64(info.Threads)),
	}
	return info, m, nil
}
