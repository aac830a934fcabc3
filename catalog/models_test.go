package catalog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gnothi/catalog"
	"gnothi/llm"
	"gnothi/llm/llmtest"
)

func TestAliasSaysTheLimits(t *testing.T) {
	var o catalog.ModelOptions
	if err := o.Alias(map[string]any{"model": "openai:x", "rpm": 600, "tpm": 1e6, "concurrency": 64}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(llm.LimitOptions{RPM: 600, TPM: 1e6, Concurrency: 64}, o.Limit); d != "" {
		t.Error(d)
	}
	if err := o.Alias(map[string]any{"model": "openai:x", "concurrency": "adaptive"}); err != nil || !o.Limit.Adaptive {
		t.Errorf("adaptive: %+v, %v", o.Limit, err)
	}
	for _, wrong := range []map[string]any{{"rpm": 0}, {"rpm": -1}, {"tpm": 0.5}, {"tpm": "many"}, {"concurrency": "many"}, {"concurrency": 1e12}, {"rps": 1}} {
		wrong["model"] = "openai:x"
		if err := new(catalog.ModelOptions).Alias(wrong); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}

func TestTwiceTheSameModelSharesItsLimiter(t *testing.T) {
	file := filepath.Join(t.TempDir(), "yes.json")
	if err := os.WriteFile(file, []byte(`{"rules": [{"reply": "yes"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := catalog.ModelOptions{Limit: llm.LimitOptions{Concurrency: 3}, Limiters: &catalog.Limiters{}}
	for range 2 {
		m, closeModel, err := catalog.OpenModel(t.Context(), "script:"+file, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Do(t.Context(), llmtest.Question("well?")); err != nil {
			t.Error(err)
		}
		if err := closeModel(); err != nil {
			t.Error(err)
		}
	}
	stats := o.Limiters.Stats()
	if len(stats) != 1 {
		t.Fatalf("%d limiters: %+v", len(stats), stats)
	}
	for name, s := range stats {
		if !strings.HasPrefix(name, "script:") || s.Requests != 2 || s.Limit != 3 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
