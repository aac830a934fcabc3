// Package model is a transformer's forward pass over the weights of a GGUF file.
//
// There is one forward pass. What distinguishes an architecture is a Spec, which is data; what
// distinguishes a model is its Config, read from the file. Weights stay in the file's mapping in the
// file's own format, and the kernels read them there; only norms are copied. Activations, keys and
// values are float32 throughout.
//
// A row of a batch (one token of some text) gets the same bits whatever else is in the batch and
// however its text was cut into batches: see package kernel on the order of additions.
//
// Of ours the package imports engine/gguf, engine/internal/kernel and engine/internal/pool.
package model
