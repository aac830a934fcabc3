// Package engine runs small GGUF language models inside this process, with full access to what they
// compute: every token comes with its log-probability and the whole distribution's statistics, many
// samples share the keys and values of their prompt, and hidden states can be read.
//
//	e, err := engine.Open(path, engine.Options{})
//	p, err := e.Prefill(ctx, nil, ids)                  // a prompt, computed once
//	err = e.Generate(ctx, p, samplings, func(seq int, s engine.Step) bool { … })
//	scores, err := e.Score(ctx, p, answer, engine.Stats{}) // log p(answer[i] | prompt, answer[..i])
//	states, err := e.Hidden(ctx, p, ids, engine.Site{Layer: 7, Point: engine.ResidPost})
//	g, err := e.Grammar(schema)                         // Sampling.Grammar: output in a form
//
// A [Prefix] is an immutable run of tokens with its keys and values. Anything may be continued from
// it any number of times, at no cost for the shared part; it may be cut anywhere ([Prefix.Cut]) and kept
// on disk ([Engine.SavePrefix]). A [Hook] reads or changes what is computed on the way.
//
// All methods may be called from many goroutines. One loop serves them together: at each step it
// gathers the next token of every running sequence and a bounded share of the waiting prompts into
// one batch. Sequences join and leave between steps; a cancelled context ends its work within one.
//
// # Exactness and reproducibility
//
// Activations, keys and values are float32; on the default model the compared logits are within 3e-5 of a float64
// reference, where engines with 8-bit activations are off by up to 2.6 and answer differently. A
// token's results do not depend, bit for bit, on what else runs, on how a prompt was cut into pieces,
// or on the number of threads. So one seed gives one text, on the same kernel path ([Info.Kernels]).
//
// # Limits
//
// Architectures llama, qwen2, qwen3, gemma3 and phi3, in one file or in parts; weights in F32, F16, BF16,
// Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K and IQ4_NL. AVX2 assembly on amd64, plain Go (some twenty
// times slower) elsewhere or with the tag noasm. No cgo. docs/engine.md has figures.
//
// The package imports engine/... only.
package engine
