package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gnothi/engine"
	"gnothi/engine/enginetest"
	"gnothi/engine/gguf"
)

// FuzzOpen changes bytes of a whole model file of some architecture: it is refused, or it runs and says what it says, but
// nothing panics.
func FuzzOpen(f *testing.F) {
	var files [][]byte
	for i, arch := range []string{"llama", "qwen2", "qwen3", "gemma3", "phi3"} {
		var b bytes.Buffer
		m := enginetest.Tiny{Arch: arch, Type: gguf.Q4_1, Layers: 1, Dim: 32, FeedForward: 32, Untied: arch == "phi3"}
		if err := m.Write(&b); err != nil {
			f.Fatal(err)
		}
		files = append(files, b.Bytes())
		for at := range 40 {
			f.Add(uint8(i), uint32(at*61), []byte{0xff, 0xff})
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, which uint8, at uint32, change []byte) {
		file := bytes.Clone(files[int(which)%len(files)])
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

// A header that asks for much gets little: it is refused before anything of the sizes that it claims is allocated.
func TestBoundedMemory(t *testing.T) {
	const most = uint32(1 << 22)
	for _, claims := range [][]gguf.KV{
		{{Key: "llama.block_count", Value: uint32(1 << 10)}},
		{{Key: "llama.feed_forward_length", Value: most}, {Key: "llama.context_length", Value: most}},
		{{Key: "llama.attention.head_count", Value: uint32(1 << 10)}, {Key: "llama.attention.key_length", Value: uint32(1 << 12)}, {Key: "llama.attention.value_length", Value: uint32(1 << 12)}},
		{{Key: "llama.embedding_length", Value: most}},
	} {
		path := enginetest.Tiny{Meta: claims}.File(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		e, err := engine.Open(path, engine.Options{Threads: 1})
		if err == nil {
			e.Close()
			t.Errorf("%v is believed", claims)
			continue
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 || !strings.Contains(err.Error(), `tensor "`) {
			t.Errorf("%v: %d bytes allocated before %v", claims, n, err)
		}
	}
}
