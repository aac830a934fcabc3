package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"gnothi/engine/gguf"
	"gnothi/llm/local/models"
)

// runModel runs "gnothi model ARGS" in a store of its own, under a root that
// has no more than the common flags.
func runModel(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	root := &cobra.Command{Use: "gnothi", SilenceUsage: true, SilenceErrors: true}
	for _, name := range []string{"json", "quiet", "no-color"} {
		root.PersistentFlags().Bool(name, false, "")
	}
	root.AddCommand(modelCmd())
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(append([]string{"model"}, args...))
	err = root.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func TestModelWithoutAnyModel(t *testing.T) {
	t.Setenv("GNOTHI_MODELS", filepath.Join(t.TempDir(), "none"))
	out, _, err := runModel(t, "list")
	if err != nil || !strings.Contains(out, "smollm2-135m") || !strings.Contains(out, "absent") {
		t.Errorf("list: %q, %v", out, err)
	}
	out, _, err = runModel(t, "list", "--json")
	var list []models.Entry
	if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list) != len(models.Known()) || list[0].State != models.Absent {
		t.Errorf("list --json: %q, %v", out, err)
	}
	out, _, err = runModel(t, "info", models.Default)
	if err != nil || !strings.Contains(out, "gnothi model pull "+models.Default) {
		t.Errorf("info: %q, %v", out, err)
	}
	if _, _, err = runModel(t, "rm", models.Default); !errors.Is(err, models.ErrMissing) {
		t.Errorf("rm: %v", err)
	}
	for _, verb := range []string{"info", "rm", "pull"} {
		if _, _, err = runModel(t, verb, "smolm2"); !errors.Is(err, models.ErrUnknown) || !strings.Contains(err.Error(), "did you mean") {
			t.Errorf("%s of an unknown name: %v", verb, err)
		}
	}
}

// A hostile file can print nothing but what is printable.
func TestModelInfoOfAnyFile(t *testing.T) {
	t.Setenv("GNOTHI_MODELS", t.TempDir())
	var b bytes.Buffer
	err := gguf.Write(&b, []gguf.KV{
		{Key: "general.architecture", Value: "ll\x1b[2Jama\n"},
		{Key: "x.\x1b]0;title\a", Value: uint32(7)},
		{Key: "x.nan", Value: float32(math.NaN())},
		{Key: "x.list", Value: []float32{1, float32(math.Inf(1))}},
		{Key: "x.words", Value: []string{"a\x1b", "b"}},
		{Key: "x.long", Value: make([]int32, 17)},
		{Key: "x.text", Value: strings.Repeat("y", 5000)},
	}, []gguf.Tensor{
		{Name: "a", Type: gguf.F32, Shape: []int{32, 3}, Data: make([]byte, 384)},
		{Name: "b", Type: gguf.Q8_0, Shape: []int{64}, Data: make([]byte, 68)},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a\x1bb.gguf")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}

	out, _, err := runModel(t, "info", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"ll\x1b[2Jama\n"`, "0.0 million", "17 items", "not a finite number", `a\x1bb`} {
		if !strings.Contains(out, want) {
			t.Errorf("does not show %q:\n%s", want, out)
		}
	}
	if strings.ContainsAny(out, "\x1b\a") || len(out) > 5000 {
		t.Errorf("shows raw or too much foreign text: %q", out)
	}

	out, _, err = runModel(t, "info", "--json", file)
	if err != nil {
		t.Fatal(err)
	}
	var sheet struct {
		Parameters int64          `json:"parameters"`
		Tensors    []tensorGroup  `json:"tensors"`
		Metadata   map[string]any `json:"metadata"`
	}
	if err := json.Unmarshal([]byte(out), &sheet); err != nil {
		t.Fatal(err)
	}
	if sheet.Parameters != 160 || len(sheet.Tensors) != 2 || sheet.Tensors[0] != (tensorGroup{"F32", 1, 96, 384}) {
		t.Errorf("sheet %+v", sheet)
	}
	if v, ok := sheet.Metadata["x.nan"]; !ok || v != nil {
		t.Errorf("x.nan is %v", v)
	}

	if err := os.WriteFile(file, b.Bytes()[:60], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err = runModel(t, "info", file); err == nil || !strings.Contains(err.Error(), "gguf") {
		t.Errorf("a cut file: %v", err)
	}
}

// The life of the real file, from a mirror to its removal.
func TestModelLife(t *testing.T) {
	file := os.Getenv("GNOTHI_TEST_MODEL")
	if file == "" {
		store, err := models.Open()
		if err != nil {
			t.Fatal(err)
		}
		if file, _, err = store.Resolve(t.Context(), models.Default); err != nil {
			t.Skipf("needs the default model (gnothi model pull %s, or its path in GNOTHI_TEST_MODEL): %v", models.Default, err)
		}
	}
	file, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	mirror := t.TempDir()
	if err := os.Symlink(file, filepath.Join(mirror, models.Default+".gguf")); err != nil {
		t.Skip(err)
	}
	t.Setenv("GNOTHI_MODELS", t.TempDir())
	t.Setenv("GNOTHI_MODEL_MIRROR", mirror)

	out, errs, err := runModel(t, "pull", "--json")
	var r struct {
		Path    string
		Source  string
		Bytes   int64
		Skipped []struct{ Source, Error string }
	}
	if err != nil || json.Unmarshal([]byte(out), &r) != nil {
		t.Fatalf("pull: %q, %v", out, err)
	}
	if m := models.Known()[0]; r.Source != "mirror "+filepath.Join(mirror, models.Default+".gguf") || r.Bytes != m.Size || len(r.Skipped) != 1 {
		t.Errorf("pull: %+v", r)
	}
	if !strings.Contains(errs, "fetching smollm2-135m (98.4 MB) from mirror") || strings.Contains(errs, "\x1b") || strings.Contains(errs, "\r") {
		t.Errorf("a pipe got %q", errs)
	}
	out, errs, err = runModel(t, "pull", "--quiet", models.Default)
	if err != nil || !strings.Contains(out, "here already") || errs != "" {
		t.Errorf("second pull: %q, %q, %v", out, errs, err)
	}
	out, _, err = runModel(t, "info", "local:"+models.Default)
	for _, want := range []string{"llama.block_count", "134.5 million", "Apache-2.0", "Q4_1", "ready"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("info does not show %q: %v\n%s", want, err, out)
		}
	}
	out, _, err = runModel(t, "rm", models.Default)
	if err != nil || !strings.Contains(out, "98.4 MB freed") {
		t.Errorf("rm: %q, %v", out, err)
	}
	if _, err := os.Stat(r.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after rm: %v", err)
	}
}
