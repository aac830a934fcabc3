package page

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/script"
)

// book is a journal in memory.
type book struct {
	mu      sync.Mutex
	entries []llm.JournalEntry
}

func (b *book) Get(string) ([]byte, bool) { return nil, false }

func (b *book) Put(entries []llm.JournalEntry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, entries...)
	return nil
}

// A role that asks several questions, each for several replies, has each shown
// with its own, also those that were asked for later.
func TestRepliesStandWithTheirQuestion(t *testing.T) {
	b := &book{}
	m := llm.Journalled(script.New(func(op llm.Op, _ int) script.Reply {
		last := op.Request.Messages[len(op.Request.Messages)-1].Text
		return script.Reply{Text: "about " + strings.TrimSuffix(last, "?")}
	}), b)
	for _, indices := range [][]int{{0, 1, 2}, {3, 4}, {5}} {
		for _, q := range []string{"fish?", "fowl?"} {
			op := llmtest.Question(q)
			op.Role, op.Indices = "judge", indices
			if _, err := m.Do(t.Context(), op); err != nil {
				t.Fatal(err)
			}
		}
	}
	single := llmtest.Question("flesh?")
	single.Role = "judge"
	if _, err := m.Do(t.Context(), single); err != nil {
		t.Fatal(err)
	}
	var calls []llm.Written
	for _, e := range b.entries {
		var w llm.Written
		if err := json.Unmarshal(e.Value, &w); err != nil {
			t.Fatal(err)
		}
		if w.Prompt == "flesh?" && w.Op != "" {
			t.Errorf("one choice, which has its prompt, is given the name %s besides", w.Op)
		}
		calls = append(calls, w)
	}
	slices.SortStableFunc(calls, func(a, b llm.Written) int { return a.Index - b.Index }) // as a run gives them
	for _, named := range []bool{true, false} {
		got := map[string]int{}
		if !named { // an older run: all that is known of a reply is its role
			for i := range calls {
				calls[i].Op = ""
			}
		}
		for _, a := range group(calls, inFull) {
			for _, c := range a.Classes {
				got[a.Prompt+" "+c.Text] += c.N
			}
		}
		if named && (got["fish? about fish"] != 6 || got["fowl? about fowl"] != 6 || got["flesh? about flesh"] != 1 || len(got) != 3) {
			t.Errorf("%v", got)
		}
		if sum := got[" about fish"] + got["fish? about fish"]; !named && sum != 6 {
			t.Errorf("an older run: %v", got)
		}
	}
}
