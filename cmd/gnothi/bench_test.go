package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// benchmarkProcess times whole processes of the built program, from a warm model
// file, on a short factual question.
func benchmarkProcess(b *testing.B, args ...string) {
	dir := testModels(b)
	if dir == "" {
		b.Skip("the default model is not here: `gnothi model pull smollm2-135m` fetches it")
	}
	program := filepath.Join(b.TempDir(), "gnothi")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	b.Setenv("GNOTHI_MODELS", dir)
	b.Setenv("XDG_CONFIG_HOME", b.TempDir())
	b.Setenv("XDG_CACHE_HOME", b.TempDir())
	ask := func() {
		if out, err := exec.Command(program, append([]string{"ask", "--quiet"}, args...)...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	ask() // reads the file once and keeps the constant prefix
	for b.Loop() {
		ask()
	}
}

func BenchmarkAsk(b *testing.B) { benchmarkProcess(b, "What is the capital of France?") }

func BenchmarkAskUnsure(b *testing.B) {
	benchmarkProcess(b, "Who won the chess championship of Oslo in 1932?")
}

func BenchmarkAskDirect(b *testing.B) {
	benchmarkProcess(b, "--policy", "direct", "What is the capital of France?")
}
