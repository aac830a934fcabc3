package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gnothi/engine"
	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/local"
)

// path is the default model's file; without it the test is skipped.
func path(t *testing.T) string {
	t.Helper()
	p := os.Getenv("GNOTHI_TEST_MODEL")
	if p == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		p = filepath.Join(cache, "gnothi", "models", "smollm2-135m.gguf")
	}
	if _, err := os.Stat(p); err != nil {
		t.Skip("the default model is not here: gnothi model pull smollm2-135m")
	}
	return p
}

func open(t *testing.T, o local.Options) *local.Model {
	t.Helper()
	m, err := local.Open(local.File{Path: path(t), Name: "smollm2-135m", SHA256: "test"}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("asks a real model")
	}
	llmtest.Run(t, func(t *testing.T) (llm.Model, llmtest.Fixture) {
		m := open(t, local.Options{Engine: engine.Options{Context: 1024}})
		slow := llmtest.Question("Count from one to one thousand in words.")
		slow.Request.MaxTokens = 900
		return m, llmtest.Fixture{Slow: &slow, Close: func() { _ = m.Close() }}
	})
}

const constant = "Question: What is the capital of Portugal?\nAnswer: Lisbon\n\nQuestion:"

func ask(t *testing.T, m *local.Model) *llm.Result {
	t.Helper()
	greedy := 0.0
	res, err := m.Do(context.Background(), llm.Op{Request: llm.Request{Prompt: constant + " What is the capital of France?\nAnswer:", Stop: []string{"\n"}, MaxTokens: 8, Temperature: &greedy, LogProbs: true}})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// A constant beginning is evaluated once, kept on disk, and makes no difference
// to the answer; a damaged file is made again.
func TestConstantBeginning(t *testing.T) {
	dir := t.TempDir()
	plain := ask(t, open(t, local.Options{}))
	o := local.Options{Constant: []string{constant}, CacheDir: dir}
	for _, state := range []string{"empty", "kept", "damaged"} {
		kept, err := filepath.Glob(filepath.Join(dir, "*.kv"))
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]int{"empty": 0}[state]; state == "empty" && len(kept) != want || state != "empty" && len(kept) != 1 {
			t.Fatalf("%s: %d files", state, len(kept))
		}
		if state == "damaged" {
			if err := os.WriteFile(kept[0], []byte("nonsense"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got := ask(t, open(t, o))
		if got.Choices[0].Text != plain.Choices[0].Text || got.Choices[0].Tokens[0].LogProb != plain.Choices[0].Tokens[0].LogProb {
			t.Errorf("%s: %+v, without a constant beginning %+v", state, got.Choices[0], plain.Choices[0])
		}
		if got.Usage.PromptCached == 0 || got.Usage.PromptTokens != plain.Usage.PromptTokens {
			t.Errorf("%s: usage %+v", state, got.Usage)
		}
	}
	if text := strings.TrimSpace(plain.Choices[0].Text); text != "Paris" {
		t.Errorf("the capital of France is %q", text)
	}
}

func TestTraceIsPartOfTheAnswer(t *testing.T) {
	m := open(t, local.Options{})
	req := llm.Request{Prompt: "The capital of France is", MaxTokens: 1}
	first, err := m.Do(context.Background(), llm.Op{Kind: llm.Trace, Request: req, Depth: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	state := first.Choices[0].State
	norm := 0.0
	for _, v := range state {
		norm += float64(v) * float64(v)
	}
	if len(state) != m.Engine().Info().Dim || norm == 0 || math.IsNaN(norm) {
		t.Errorf("a state of %d dimensions and norm %g", len(state), norm)
	}
	after, err := m.Do(context.Background(), llm.Op{Request: req, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if left := after.Usage.PromptTokens - after.Usage.PromptCached; left != 1 {
		t.Errorf("%d prompt tokens were evaluated again, want the last one alone", left)
	}
}

type rawJSON = json.RawMessage

func TestRefuses(t *testing.T) {
	m := open(t, local.Options{})
	user := func(s string) []llm.Message { return []llm.Message{{Role: "user", Text: s}} }
	var long *llm.ContextLengthError
	if _, err := m.Do(context.Background(), llm.Op{Request: llm.Request{Messages: user(strings.Repeat("word ", 200_000))}}); !errors.As(err, &long) || long.Context != 8192 {
		t.Errorf("a megabyte: %v", err)
	}
	var lacks *llm.UnsupportedError
	for name, req := range map[string]llm.Request{
		"tools": {Messages: user("x"), Extra: map[string]rawJSON{"tools": rawJSON(`[{"type":"function"}]`)}},
		"image": {Messages: []llm.Message{{Role: "user", Raw: rawJSON(`{"role":"user","content":[{"type":"image_url"}]}`)}}},
	} {
		if _, err := m.Do(context.Background(), llm.Op{Request: req}); !errors.As(err, &lacks) {
			t.Errorf("%s: %v, want an UnsupportedError", name, err)
		}
	}
	var refused *llm.APIError
	if _, err := m.Do(context.Background(), llm.Op{Request: llm.Request{Messages: []llm.Message{{Role: "tool", Text: "42"}}}}); !errors.As(err, &refused) || refused.Status != 400 || refused.Param != "messages[0].role" {
		t.Errorf("a role that there is not: %v, want status 400", err)
	}
	if _, err := m.ApplyTemplate([]llm.Message{{Role: "robot", Text: "x"}}, true); !errors.As(err, &refused) || refused.Status != 400 {
		t.Errorf("a role that there is not, in the template: %v, want status 400", err)
	}
}
