// Package gguf reads and writes GGUF files, the container in which quantised language models are published.
//
// [Open] maps a file into memory and checks its whole header; nothing of the weights is read until somebody touches
// [Tensor.Data], which is a view into the mapping. [Decode] does the same for bytes that are already in memory.
// Metadata is kept as offsets and decoded when asked for, so opening a file with a vocabulary of 49,152 tokens costs a
// walk over its length fields and no more.
//
// A file is untrusted. Everything that is used later without a check (counts, lengths, offsets, shapes) is checked
// here, a fault is an [*Error] with the file, the key or tensor and the byte offset, and no count in a file makes this
// package allocate more than a small multiple of the bytes that are really there. Whether the weights are numbers is
// not looked at, since that means reading them all: a loader calls [CheckFinite] on each tensor as it takes it over.
//
// [Dequantise] is the plain Go reference for the block formats, and what the assembly kernels are tested against.
// [Write] and [Quantise] make the small files of the tests, and adapters.
//
// Versions 2 and 3, little-endian, in one file or in parts. The package imports nothing of this module.
package gguf
