package learn_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gnothi/learn"
	"gnothi/llm"
	"gnothi/llm/local"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// trial puts a prompt to a model as the command does.
func trial(m llm.Model, p learn.Prompt, seed uint64) *monitor.Trial {
	q := p.Trial()
	return monitor.NewTrial(monitor.TrialOptions{Model: m, Question: q, Request: prompt.Chat.Request(q), Seed: seed})
}

// makes runs a recipe on prompts and gives the rows and the report.
func makes(t *testing.T, r learn.Recipe, m llm.Model, ps ...learn.Prompt) ([]learn.Row, learn.Report) {
	t.Helper()
	tally := learn.NewTally(r, m)
	ledger := llm.NewLedger(llm.Limits{})
	var rows []learn.Row
	for i, p := range ps {
		if p.ID == "" {
			p.ID = fmt.Sprint(i + 1)
		}
		made, err := r.Run(t.Context(), trial(m, p, uint64(i+1)), p)
		if err != nil {
			t.Fatalf("%s, prompt %s: %v", r.Name, p.ID, err)
		}
		tally.Add(made)
		rows = append(rows, made.Rows...)
	}
	rows = tally.Choose(r, rows)
	for _, row := range rows {
		if err := row.Check(); err != nil {
			t.Errorf("%s: %v: %+v", r.Name, err, row)
		}
		if row.Recipe != r.Name || row.ID == "" || row.Model == "" {
			t.Errorf("row without its origin: %+v", row)
		}
		tally.Row(row)
	}
	return rows, tally.Report(ledger)
}

// of gives the rows of a kind and role.
func of(rows []learn.Row, kind learn.Kind, role string) (out []learn.Row) {
	for _, r := range rows {
		if r.Kind == kind && r.Role == role {
			out = append(out, r)
		}
	}
	return out
}

// one is a judge that votes once, without reasons.
func one(j judge.Judge) *judge.Judge {
	j.Votes, j.Reason = 1, false
	return &j
}

// says makes a model of rules: the first whose words stand in the prompt gives
// the reply, of several by repeat index; the words of role:NAME are the role.
func says(rules ...[]string) *script.Model {
	return script.New(func(op llm.Op, i int) script.Reply {
		p := script.Prompt(op.Request)
		for _, r := range rules {
			role, isRole := strings.CutPrefix(r[0], "role:")
			if isRole && op.Role == role || !isRole && strings.Contains(p, r[0]) {
				return script.Reply{Text: r[1+i%(len(r)-1)]}
			}
		}
		return script.Failure(500, "no rule for: "+p)
	})
}

// preferring makes a duel's verdict: whichever candidate contains the word.
func preferring(p, word string) script.Reply {
	a, b, _ := strings.Cut(p[strings.Index(p, "Candidate A:"):], "Candidate B:")
	b, _, _ = strings.Cut(b, "Which candidate")
	switch first, second := strings.Contains(a, word), strings.Contains(b, word); {
	case first == second:
		return script.Reply{Text: "Verdict: tie"}
	case first:
		return script.Reply{Text: "Verdict: A"}
	}
	return script.Reply{Text: "Verdict: B"}
}

func question(s string, answers ...string) learn.Prompt {
	return learn.Prompt{Question: s, Answers: answers, Kind: text.Free}
}

// data returns a file of the shared data folder, or skips the test.
func data(t *testing.T, name ...string) string {
	t.Helper()
	root := os.Getenv("GNOTHI_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	path := filepath.Join(append([]string{root}, name...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no data: %v (set GNOTHI_DATA)", err)
	}
	return path
}

// realModel opens the default model, or skips.
func realModel(t *testing.T) llm.Model {
	t.Helper()
	if testing.Short() {
		t.Skip("asks a real model")
	}
	path := os.Getenv("GNOTHI_TEST_MODEL")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		path = filepath.Join(cache, "gnothi", "models", "smollm2-135m.gguf")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("the default model is not here: gnothi model pull smollm2-135m")
	}
	m, err := local.Open(local.File{Path: path, Name: "smollm2-135m"}, local.Options{Constant: []string{prompt.ShotsPrefix()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return llm.Metered(m, nil)
}
