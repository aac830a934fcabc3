package verifier

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/text"
)

// program writes a shell script and gives its path.
func program(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "checks.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func candidates(replies ...string) (*monitor.Trial, []*monitor.Candidate) {
	trial := monitor.NewTrial(monitor.TrialOptions{
		Model: script.Texts(replies...), Request: llm.Request{Prompt: "Which?"}, Seed: 1,
		Question: monitor.Question{Text: "Which?", Kind: text.Letter, Options: []text.Option{{Letter: "A", Key: "p", Text: "Paris; $(touch owned)"}, {Letter: "B", Key: "l", Text: "Lyon"}}},
	})
	var cs []*monitor.Candidate
	for _, r := range replies {
		cs = append(cs, trial.Candidate(llm.Choice{Text: r}, monitor.FromOutside, nil))
	}
	return trial, cs
}

func TestVerdict(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	signal := New([]string{program(t, `tee -a "$1" | grep -q Lyon && echo '{"score": 0.25, "why": "small"}' || echo '{"score": 1}'`), log})
	if signal.Name() != "verifier/checks.sh" {
		t.Errorf("the name is %s", signal.Name())
	}
	trial, cs := candidates("A", "B", "(A)")
	readings, err := signal.Score(context.Background(), trial, cs)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []monitor.Reading{{Score: 1}, {Score: 0.25, Why: "small"}, {Score: 1}} {
		if got := readings[i]; got.Err != nil || got.Score != want.Score || got.Raw != want.Score || got.Why != want.Why || got.Source != "verifier" {
			t.Errorf("candidate %d: %+v, want %+v", i, got, want)
		}
	}
	seen, _ := os.ReadFile(log)
	want := `{"answer":"Paris; $(touch owned)","question":"Which?"}` + "\n" + `{"answer":"Lyon","question":"Which?"}` + "\n"
	if string(seen) != want {
		t.Errorf("the program was given\n%swant, once for each answer,\n%s", seen, want)
	}
}

func TestBadVerifiers(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"exit status": {`echo noise >&2; echo "no solver here" >&2; exit 3`, "exit status 3: no solver here"},
		"no JSON":     {`echo looks fine`, "want one JSON object"},
		"nothing":     {``, "want one JSON object"},
		"two":         {`echo '{"score":1} {"score":0}'`, "want one JSON object"},
		"no score":    {`echo '{"why":"x"}'`, "a number from 0 to 1"},
		"score above": {`echo '{"score":7}'`, "a number from 0 to 1"},
		"too much":    {`yes`, "more than 1048576 bytes"},
		"hangs":       {`exec sleep 300`, "did not end within"},
		"child hangs": {`sleep 300`, "did not end within"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trial, cs := candidates("A")
			limit := 2 * time.Minute
			if strings.Contains(c.want, "within") {
				limit = 300 * time.Millisecond
			}
			start := time.Now()
			readings, err := limited([]string{program(t, c.body)}, limit).Score(context.Background(), trial, cs)
			if err != nil {
				t.Fatal(err)
			}
			if got := readings[0].Err; got == nil || !strings.Contains(got.Error(), c.want) || !strings.Contains(got.Error(), "checks.sh") {
				t.Errorf("%v, want %q", got, c.want)
			}
			if took := time.Since(start); took > 2*time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
	trial, cs := candidates("A")
	for _, command := range [][]string{nil, {"/nowhere/at/all"}} {
		if readings, err := New(command).Score(context.Background(), trial, cs); err != nil || readings[0].Err == nil {
			t.Errorf("command %q: %v, %+v: want an error in the reading", command, err, readings)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := New([]string{program(t, "exec sleep 60")}).Score(ctx, trial, cs); err == nil {
		t.Error("an interruption is no error")
	}
}

func TestUnreadInput(t *testing.T) {
	trial, cs := candidates("A")
	cs[0] = trial.Candidate(llm.Choice{Text: strings.Repeat("long ", 1<<20)}, monitor.FromOutside, nil)
	readings, err := New([]string{program(t, `echo '{"score":0.5}'`)}).Score(context.Background(), trial, cs)
	if err != nil || readings[0].Err != nil || readings[0].Score != 0.5 {
		t.Errorf("%v, %+v: a program need not read its input", err, readings)
	}
}
