package catalog_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"gnothi/catalog"
)

// Every command that the catalogue shows is run, as a reader would type it, on the default model.
func TestCommandsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("asks a real model")
	}
	env := os.Environ()
	if model := os.Getenv("GNOTHI_TEST_MODEL"); model != "" {
		env = append(env, "GNOTHI_MODEL=local:"+model)
	} else {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(cache, "gnothi", "models", "smollm2-135m.gguf")); err != nil {
			t.Skip("the default model is not here: gnothi model pull smollm2-135m")
		}
	}
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "gnothi"), "gnothi/cmd/gnothi")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	env = append(env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))

	var done []string
	for _, p := range catalog.Papers() {
		if p.Command == "" || slices.Contains(done, p.Command) {
			continue
		}
		done = append(done, p.Command)
		t.Run(p.Slug, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "sh", "-c", p.Command)
			cmd.Dir, cmd.Env = t.TempDir(), env
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%s: %v\n%s%s", p.Command, err, &stdout, &stderr)
			}
			if stdout.Len() == 0 {
				t.Errorf("%s printed nothing", p.Command)
			}
		})
	}
	if len(done) == 0 {
		t.Error("no row has a command")
	}
}
