package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestReadEvidence(t *testing.T) {
	e, err := readEvidence(`{"id":"a","answer":"x\u00e9","tokens":[{"token":"x","logprob":-1,"top":[{"token":"x","logprob":-1},{"token":"y","logprob":-Infinity}],"dist":{"entropy":1,"log_z":2,"kl_uniform":3,"vocab":4}},{"token":"é","logprob":null}],"samples":["s",{"text":"t","tokens":[{"token":"t","logprob":-2}],"relevance":[1]}],"x":{"y":[1e3]}}`)
	if err != nil {
		t.Fatal(err)
	}
	tok := e.answer.Tokens
	if e.id != `"a"` || e.answer.Text != "xé" || len(tok) != 2 || !math.IsInf(tok[0].Top[1].LogProb, -1) || tok[0].Dist.Vocab != 4 || !math.IsNaN(tok[1].LogProb) {
		t.Errorf("read as %+v", e.answer)
	}
	if len(e.samples) != 2 || e.samples[1].Tokens[0].LogProb != -2 || len(e.sampleRelevance) != 2 || e.sampleRelevance[0] != nil || e.sampleRelevance[1][0] != 1 {
		t.Errorf("samples %+v, relevance %v", e.samples, e.sampleRelevance)
	}
	if got := string(e.kept); got != `,"answer":"x\u00e9","x":{"y":[1e3]},"samples":["s","t"]` {
		t.Errorf("kept %s", got)
	}
	for line, want := range map[string]string{
		`{"answer": 7}`:                  `field "answer": want text, found a number`,
		`{"id": {}}`:                     `field "id": want text or a number, found an object`,
		`{"tokens": {}}`:                 `field "tokens": want a list, found an object`,
		`{"tokens": [{"logprob": "x"}]}`: `field "tokens": 1: want a number, found text`,
		`{"samples": [{}]}`:              `a sample without "text"`,
		`{"x": 01}`:                      `not JSON`,
		`{"x": NaN}`:                     `not JSON`,
		`{"x": tru}`:                     `field "x"`,
		`{"x": 1} {}`:                    `more than one JSON value`,
		`{"x": "` + "\t" + `"}`:          `a control character`,
		`{"x" 1}`:                        `want a colon`,
		`{"x": 1,}`:                      `want text`,
		`{"nli": {"entailment": [[1, 0], [0]], "contradiction": []}}`: `1 figures, the row before has 2`,
		`{"x": ` + strings.Repeat("[", 300) + `}`:                     `deep in one another`,
	} {
		if _, err := readEvidence(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", line, err, want)
		}
	}
}

// What the reader takes is JSON but for NaN and Infinity, and what it keeps is JSON.
func FuzzReadEvidence(f *testing.F) {
	f.Add(`{"id": 1, "answer": "a", "tokens": [{"token": "a", "logprob": -1, "top": []}], "samples": ["b", {"text": "\u0041"}], "x": [true, null, {"y": 1e5}]}`)
	f.Add(`{"logprobs": {"content": [{"token": "a", "logprob": -1, "bytes": [1]}]}, "nli": {"entailment": [[1]], "contradiction": [[0]]}, "samples": ["a"], "likeness": [[1]]}`)
	f.Add(`{"tokens":[{"logprob":NaN}]}`)
	f.Fuzz(func(t *testing.T, line string) {
		e, err := readEvidence(line)
		if err != nil {
			return
		}
		plain := strings.NewReplacer("NaN", "1", "-Infinity", "1", "Infinity", "1").Replace(line)
		if !json.Valid([]byte(line)) && !json.Valid([]byte(plain)) {
			t.Errorf("took %q", line)
		}
		if kept := "{\"id\":1" + string(e.kept) + "}"; !json.Valid([]byte(kept)) {
			t.Errorf("of %q it keeps %q", line, kept)
		}
	})
}

// Memory does not grow with the file: ten times the lines, the same heap.
func TestScoreMemoryIsBounded(t *testing.T) {
	line := `{"answer": "a b c", "tokens": [{"token": "a", "logprob": -1}], "samples": ["a", "b c", "a b c"], "pad": "` + strings.Repeat("x", 10_000) + `"}` + "\n"
	peak := func(lines int) uint64 {
		path := t.TempDir() + "/e.jsonl"
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		for range lines {
			if _, err := f.WriteString(line); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		var out heapWatch
		root := rootCmd()
		root.SetArgs([]string{"score", "--in", path, "--quiet"})
		root.SetOut(&out)
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if out.lines != lines {
			t.Errorf("%d lines came of %d", out.lines, lines)
		}
		return out.most
	}
	small, large := peak(300), peak(3000)
	if large > small+8<<20 {
		t.Errorf("heap in use: %d kB for 300 lines, %d kB for 3000", small>>10, large>>10)
	}
}

// heapWatch counts lines and looks at the heap as they come.
type heapWatch struct {
	lines int
	most  uint64
}

func (h *heapWatch) Write(p []byte) (int, error) {
	h.lines += bytes.Count(p, []byte("\n"))
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.most = max(h.most, m.HeapAlloc)
	return len(p), nil
}
