// Package enginetest writes tiny random models, so that what uses an engine can be tested in
// milliseconds. Their tokenizer knows single bytes and the three control tokens of ChatML. Of ours the
// package imports engine/gguf.
package enginetest
