package control_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
)

// formal answers as its request's response_format wants, and records who asked for it.
type formal struct {
	answers []string
	asked   map[string]int // calls with a form, by role
	plain   map[string]int
}

func (*formal) ID() llm.ID           { return llm.ID{Provider: "test", Name: "formal"} }
func (*formal) Can(llm.Ability) bool { return false }

func (f *formal) Do(_ context.Context, op llm.Op) (*llm.Result, error) {
	text := "The country is missing."
	_, form := op.Request.Extra["response_format"]
	if form {
		text = f.answers[min(f.asked["answer"]+f.asked["sample"]+f.asked["rewrite"], len(f.answers)-1)]
		f.asked[op.Role]++
	} else {
		f.plain[op.Role]++
	}
	return &llm.Result{Choices: []llm.Choice{{Text: text, Finish: "stop", Index: op.Index(0)}}}, nil
}

func formedTrial(m llm.Model) *monitor.Trial {
	return monitor.NewTrial(monitor.TrialOptions{Model: m, Seed: 1, Question: monitor.Question{Text: "Describe Paris as JSON."}, Request: llm.Request{
		Messages: []llm.Message{{Role: "user", Text: "Describe Paris as JSON."}},
		Extra:    map[string]json.RawMessage{"response_format": json.RawMessage(`{"type":"json_object"}`)},
	}})
}

// A revision keeps to the form of the answer; a criticism does not.
func TestRevisionsKeepTheForm(t *testing.T) {
	m := &formal{answers: []string{`{"name":"Paris"}`, `{"name":"Paris","country":"France"}`}, asked: map[string]int{}, plain: map[string]int{}}
	res, err := control.SelfRefine(1).Run(t.Context(), formedTrial(m))
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Best.Answer.Text; got != m.answers[1] {
		t.Errorf("the answer is %q", got)
	}
	if m.asked["rewrite"] != 1 || m.asked["judge"] != 0 || m.plain["judge"] == 0 || m.plain["rewrite"] != 0 {
		t.Errorf("asked for the form: %v, without: %v", m.asked, m.plain)
	}
}

// Answers in JSON that mean the same are the same answer, however they are written.
func TestFormedAnswersAgree(t *testing.T) {
	m := &formal{answers: []string{"{\"b\": 1, \"a\": \"x\"}", "{\n  \"a\": \"x\",\n  \"b\": 1\n}", `{"a":"y","b":1}`}, asked: map[string]int{}, plain: map[string]int{}}
	trial := formedTrial(m)
	var keys []string
	for i := range 3 {
		c := trial.Candidate(llm.Choice{Text: m.answers[i], Finish: "stop"}, monitor.FromSample, nil)
		if c.Answer.Text != m.answers[i] {
			t.Errorf("of %q was read %q", m.answers[i], c.Answer.Text)
		}
		keys = append(keys, c.Key)
	}
	if keys[0] != keys[1] || keys[0] == keys[2] || keys[0] == "" {
		t.Errorf("keys %q", keys)
	}
	if c := trial.Candidate(llm.Choice{Text: `{"a": "cut o`, Finish: "length"}, monitor.FromSample, nil); c.Key == keys[0] {
		t.Error("a reply that was cut off passes for an answer")
	}
}

// What writes an answer piece by piece says that it cannot.
func TestGrowingRefusesTheForm(t *testing.T) {
	m := &formal{answers: []string{`{}`}, asked: map[string]int{}, plain: map[string]int{}}
	if _, err := control.StepSearch(2, (&judge.Judge{}).Duel).Run(t.Context(), formedTrial(m)); err == nil || !strings.Contains(err.Error(), "response_format") {
		t.Errorf("step by step: %v", err)
	}
}
