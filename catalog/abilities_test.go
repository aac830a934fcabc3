package catalog_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gnothi/catalog"
	"gnothi/llm"
)

func TestAbilitiesAreRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "abilities.json")
	var told []string
	a := catalog.NewAbilities(path, func(s string) { told = append(told, s) })
	id := llm.ID{Provider: "openai", Name: "m", Host: "https://h/v1"}
	if got, err := a.Of(id); err != nil || got != nil {
		t.Fatalf("%v, %v", got, err)
	}
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	if err := a.Note(id, llm.Finding{Ability: llm.Tools, Can: true, At: day}, llm.Finding{Ability: llm.LogProbs, Can: true, At: day}); err != nil {
		t.Fatal(err)
	}
	if err := catalog.NewAbilities(path, nil).Note(llm.ID{Provider: "openai", Name: "other"}, llm.Finding{Ability: llm.Tools, At: day}); err != nil {
		t.Fatal(err)
	}
	if err := a.Note(id, llm.Finding{Ability: llm.LogProbs, Why: "refused", At: day.AddDate(0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	got, err := a.Of(id)
	if err != nil || len(got) != 2 || got[0].Ability != llm.LogProbs || got[0].Can || got[0].Why != "refused" || !got[1].Can {
		t.Errorf("%+v, %v", got, err)
	}
	if len(told) != 1 || !strings.Contains(told[0], `no longer has "logprobs", which it had on 2026-11-20`) {
		t.Errorf("told %q", told)
	}
}

// Several processes write at the same time, and a damaged file is replaced.
func TestAbilitiesBearCompanyAndDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "abilities.json")
	if err := os.WriteFile(path, []byte(`{"cut`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.NewAbilities(path, nil).Of(llm.ID{}); err == nil {
		t.Error("a damaged file is read")
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			a := catalog.NewAbilities(path, nil)
			if err := a.Note(llm.ID{Provider: "openai", Name: string(rune('a' + i))}, llm.Finding{Ability: llm.Tools, Can: true}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i := range 8 {
		if got, err := catalog.NewAbilities(path, nil).Of(llm.ID{Provider: "openai", Name: string(rune('a' + i))}); err != nil || len(got) != 1 {
			t.Errorf("%d: %v, %v", i, got, err)
		}
	}
}
