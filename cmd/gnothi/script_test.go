package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts of testdata/script run this very program.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gnothi": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}})
}

// TestScripts drives every command as a user would. Scripts with [model] need
// the default model, which `gnothi model pull smollm2-135m` fetches.
func TestScripts(t *testing.T) {
	store := testModels(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Condition: func(name string) (bool, error) {
			return name == "model" && store != "", nil
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("GNOTHI_MODELS", store)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			return nil
		},
	})
}

// testModels is the folder of the user's models if it holds the default one.
func testModels(t testing.TB) string {
	dir := os.Getenv("GNOTHI_MODELS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(cache, "gnothi", "models")
	}
	if _, err := os.Stat(filepath.Join(dir, "smollm2-135m.gguf")); err != nil {
		t.Log("the default model is not here: scripts with [model] are skipped; `gnothi model pull smollm2-135m` fetches it")
		return ""
	}
	return dir
}
