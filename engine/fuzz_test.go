package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"gnothi/engine"
	"gnothi/engine/enginetest"
	"gnothi/engine/gguf"
)

// FuzzOpen changes bytes of a whole model file: it is refused, or it runs and says what it says, but
// nothing panics.
func FuzzOpen(f *testing.F) {
	var b bytes.Buffer
	if err := (enginetest.Tiny{Type: gguf.Q4_1, Layers: 1, Dim: 32, FeedForward: 32}).Write(&b); err != nil {
		f.Fatal(err)
	}
	for at := range 40 {
		f.Add(uint32(at*61), []byte{0xff, 0xff})
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		file := bytes.Clone(b.Bytes())
		copy(file[int(at)%len(file):], change)
		path := filepath.Join(dir, "m.gguf")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := engine.Open(path, engine.Options{Threads: 1})
		if err != nil {
			return
		}
		defer e.Close()
		p, err := e.Prefill(bg, nil, []int32{1, 5})
		if err != nil {
			return
		}
		if err := e.Generate(bg, p, []engine.Sampling{{Temperature: 1, MaxTokens: 2}}, func(int, engine.Step) bool { return true }); err != nil {
			return
		}
	})
}
