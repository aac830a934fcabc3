package enginetest

import "gnothi/engine/gguf"

// Case is a tiny model whose logits another program has been asked for.
type Case struct {
	Name string
	Tiny Tiny
	IDs  []int32
}

// Cases lists one model for each architecture and for each type of weights. What llama.cpp says of them is in
// engine/testdata/yardstick.json, written by bench/engine.
func Cases() []Case {
	var cases []Case
	add := func(name string, t Tiny) {
		t.Seed = uint64(len(cases) + 1)
		c := Case{Name: name, Tiny: t}
		for i := range 48 { // longer than the window of gemma3
			c.IDs = append(c.IDs, int32((i*i*7+11*i+len(cases))%Vocab))
		}
		cases = append(cases, c)
	}
	add("llama", Tiny{})
	add("llama, long wavelengths stretched", Tiny{RopeFactors: true, Untied: true})
	add("llama, linear rope scaling", Tiny{Meta: []gguf.KV{{Key: "llama.rope.scaling.type", Value: "linear"}, {Key: "llama.rope.scaling.factor", Value: float32(4)}}})
	add("qwen2", Tiny{Arch: "qwen2"})
	add("qwen3", Tiny{Arch: "qwen3", HeadDim: 32})
	add("phi3", Tiny{Arch: "phi3", Untied: true})
	add("gemma3", Tiny{Arch: "gemma3", Layers: 7, HeadDim: 32})
	for _, t := range gguf.Types() {
		add(t.String(), Tiny{Type: t, Layers: 1, Dim: 256, FeedForward: 256})
	}
	return cases
}
