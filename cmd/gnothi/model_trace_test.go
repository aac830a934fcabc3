package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gnothi/engine/enginetest"
)

// A trace lists what it wrote, overwrites nothing, and says what is wrong with its flags.
func TestModelTrace(t *testing.T) {
	t.Setenv("GNOTHI_MODELS", t.TempDir())
	file, dir := enginetest.Tiny{Seed: 1}.File(t), filepath.Join(t.TempDir(), "a", "b")
	out, _, err := runModel(t, "trace", file, "Hello", "world", "--json", "--out", dir, "--points", "all")
	var got struct {
		Tokens []struct{ Text string }
		Files  []struct {
			Layer, Rows, Cols int
			Point, Path       string
		}
	}
	if err != nil || json.Unmarshal([]byte(out), &got) != nil {
		t.Fatalf("%q, %v", out, err)
	}
	if len(got.Tokens) != 11 || got.Tokens[0].Text != "H" || len(got.Files) != 2+2*9 {
		t.Errorf("%d tokens, %d files: %s", len(got.Tokens), len(got.Files), out)
	}
	for _, f := range got.Files {
		info, err := os.Stat(f.Path)
		if err != nil || f.Rows != 11 || info.Size()%64 != int64(4*f.Rows*f.Cols)%64 || info.Size() <= int64(4*f.Rows*f.Cols) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if last := got.Files[len(got.Files)-1]; last.Point != "final_norm" || last.Layer != 1 {
		t.Errorf("the last file is %+v", last)
	}
	if _, _, err = runModel(t, "trace", file, "x", "--out", dir); err == nil || !strings.Contains(err.Error(), "resid_post.npy") {
		t.Errorf("files that are there: %v", err)
	}
	out, _, err = runModel(t, "trace", file, "x", "--out", t.TempDir(), "--layers", "1", "--kv", "f16")
	if err != nil || !strings.Contains(out, "01.resid_post.npy") || strings.Contains(out, "00.") {
		t.Errorf("%q, %v", out, err)
	}
	for _, bad := range [][]string{{"--layers", "2"}, {"--layers", "1-0"}, {"--layers", "x"}, {"--points", "nowhere"}, {"--kv", "q8"}} {
		_, _, err := runModel(t, append([]string{"trace", file, "x", "--out", t.TempDir()}, bad...)...)
		if exitCode(t.Context(), err) != exitUsage {
			t.Errorf("%v: %v", bad, err)
		}
	}
	out, _, err = runModel(t, "info", file, "--context", "100", "--json")
	var sheet modelSheet
	if err != nil || json.Unmarshal([]byte(out), &sheet) != nil || sheet.Memory == nil || sheet.Memory.KVF32 != 100*4*2*2*2*16 || sheet.Memory.KVF16*2 != sheet.Memory.KVF32 || sheet.Memory.Context != 100 {
		t.Errorf("info: %+v, %v", sheet.Memory, err)
	}
	if out, _, err = runModel(t, "info", file); err != nil || !strings.Contains(out, "memory of 256 tokens") {
		t.Errorf("info: %q, %v", out, err)
	}
}
