package main

import (
	"context"
	"io"
	"os"
	"testing"
)

// BenchmarkScoreFile scores the file of GNOTHI_EVIDENCE (bench/score/make.py makes one), end to end.
func BenchmarkScoreFile(b *testing.B) {
	path := os.Getenv("GNOTHI_EVIDENCE")
	if path == "" {
		b.Skip("GNOTHI_EVIDENCE=FILE names the evidence: bench/score/make.py 2000 10 makes some")
	}
	for b.Loop() {
		root := rootCmd()
		root.SetArgs([]string{"score", "--in", path, "--quiet"})
		root.SetOut(io.Discard)
		if err := root.ExecuteContext(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
