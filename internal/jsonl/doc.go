// Package jsonl reads and writes JSON Lines files, plain, gzip or zstd by their
// suffix, "-" being standard input, with errors that name file, line and field.
// It imports nothing of gnothi.
package jsonl
