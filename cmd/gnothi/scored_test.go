package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// Whatever a file of scores holds, it is read or refused, and what was read can be measured.
func FuzzReadScored(f *testing.F) {
	for _, seed := range []string{
		`{"score": 0.7, "label": true}`,
		`{"id": 1, "scores": {"a/b": 0.2, "c/d": null}, "label": 0.5, "cluster": "x"}` + "\n" + `{"id": 2, "scores": {"a/b": 1e308}, "label": false}`,
		`{"score": -1e-320, "label": null}`, `{"id": {}, "score": 1, "label": 1}`, `{"label": 2}`, `{"scores": {"": 1}, "score": 2, "label": 1}`, "\xff", "[",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "f.jsonl")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := readScored(path, true)
		if err != nil {
			return
		}
		for _, row := range file.rows {
			if v := row.Label.value; !row.Label.judged || !(v >= 0 && v <= 1) {
				t.Errorf("a label of %v passes", v)
			}
			for name, v := range row.Scores {
				if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
					t.Errorf("score %s is %v", name, *v)
				}
			}
		}
		if len(file.names) == 0 {
			t.Error("no column")
		}
	})
}
