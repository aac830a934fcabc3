package studies_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gnothi/control"
	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/text"
)

// sure answers by what the prompt holds, the greedy answer with log-probability
// −0.1 a token; its i-th sample is another answer where i is divisible by 3.
func sure(answer func(prompt string) string) llm.Model {
	return llm.Metered(script.New(func(op llm.Op, i int) script.Reply {
		said := answer(script.Prompt(op.Request))
		if op.Role == "sample" && i%3 == 0 {
			said = "Nothing of the kind"
		}
		return script.Reply{Text: said, Tokens: script.Words(said, -0.1)}
	}, llm.LogProbs), &llm.Price{})
}

func plainFolder(t *testing.T) string {
	dir := t.TempDir()
	writeLines(t, filepath.Join(dir, "questions.jsonl"),
		`{"id":"paris","question":"What is the capital of France?","answers":["Paris"],"kind":"capital","cluster":"france"}`,
		`{"id":"rome","question":"What is the capital of Italy?","answers":["Rome","Roma"],"kind":"capital","cluster":"italy"}`,
		`{"id":"tomorrow","question":"What will I eat tomorrow?","unanswerable":true,"answers":[]}`,
		`{"id":"blue","question":"Which of these is a colour?","options":{"x":"blue","y":"seven","z":"aloud"},"answers":["blue"]}`,
		`{"id":"ice","question":"Is ice cold?","answers":["yes"],"reads":"bool"}`,
		`{"id":"given","question":"Where does Anna live?","context":"Anna lives in Bergen.","answers":["Bergen"]}`,
	)
	return dir
}

func plainAnswer(prompt string) string {
	prompt = prompt[max(0, strings.LastIndex(prompt, "Question:")):] // after the examples
	switch {
	case strings.Contains(prompt, "France"):
		return "Paris"
	case strings.Contains(prompt, "Italy"):
		return "Milan"
	case strings.Contains(prompt, "tomorrow"):
		return "I don't know."
	case strings.Contains(prompt, "colour"):
		return letterOf(prompt, "blue")
	case strings.Contains(prompt, "ice"):
		return "No."
	case strings.Contains(prompt, "Anna lives in Bergen"):
		return "Bergen"
	}
	return ""
}

func TestPlainQA(t *testing.T) {
	dir := plainFolder(t)
	byID := func(o eval.Options) (*eval.Report, map[string]studies.PlainAnswer) {
		t.Helper()
		o.Source.Dir = dir
		report, results := runs[studies.PlainAnswer](t, studies.PlainQA(), eval.Subject{Model: sure(plainAnswer)}, o)
		out := map[string]studies.PlainAnswer{}
		for i, r := range results {
			out[[]string{"paris", "rome", "tomorrow", "blue", "ice", "given"}[i]] = r
		}
		return report, out
	}
	report, got := byID(eval.Options{})
	if o := report.Outcomes; o.Right != 4 || o.Wrong != 2 || report.Spend.Calls != 6 {
		t.Errorf("outcomes %+v, spent %+v", o, report.Spend)
	}
	for id, want := range map[string]text.Outcome{"paris": text.Right, "rome": text.Wrong, "tomorrow": text.Right, "blue": text.Right, "ice": text.Wrong, "given": text.Right} {
		if got[id].Grade != want {
			t.Errorf("%s: %+v, want %v", id, got[id], want)
		}
	}
	if p := got["paris"].Confidences()["likelihood/mean-logprob"]; p != .9048374 {
		t.Errorf("the signal is %v: %v", p, got["paris"].Confidences())
	}
	if r := got["blue"]; r.Option != "x" || r.Answer != "blue" || r.Options != 3 {
		t.Errorf("an option: %+v", r)
	}
	if right, said, ok := got["ice"].Choice(); !ok || right != 1 || said != 0 {
		t.Errorf("yes was right and no was said: %d, %d, %t", right, said, ok)
	}
	if _, _, ok := got["paris"].Choice(); ok || got["paris"].Cluster() != "france" || !got["tomorrow"].Declined {
		t.Errorf("%+v", got)
	}
	is(t, report.Measures, "accuracy of the answers", 3./5, 1e-9)
	is(t, report.Measures, "unanswerable: declined", 1, 0)
	is(t, report.Measures, "declining where nothing can be known, F1", 1, 0)
	is(t, report.Measures, "accuracy of guessing among the options", 1./3, 1e-9)

	// By votes: the samples' agreement is a confidence, and what lost is told.
	vote := control.Vote{Sampler: control.Independent{Sampling: monitor.DefaultSampling}, Stop: control.Fixed(6)}
	report, got = byID(eval.Options{Policy: vote})
	if report.Spend.Calls != 36 || got["paris"].Grade != text.Right {
		t.Errorf("votes: %+v, spent %+v", got["paris"], report.Spend)
	}
	if a := got["paris"].Confidences()["consistency/agreement"]; a != short(4./6) {
		t.Errorf("agreement %v: %v", a, got["paris"].Confidences())
	}
	if o := got["paris"].Others; len(o) != 1 || o[0].Count != 2 || o[0].Answer != "Nothing of the kind" {
		t.Errorf("what lost: %+v", o)
	}
	if names := slices.Sorted(maps.Keys(got["paris"].Confidences())); !slices.Contains(names, "likelihood/mean-logprob") || !slices.Contains(names, "probability") {
		t.Errorf("confidences %v", names)
	}

	// A policy that revises tells what the first answer was.
	_, got = byID(eval.Options{Policy: control.Retry(nil, 1)})
	if first, ok := got["paris"].First(); !ok || first != text.Right {
		t.Errorf("the first answer: %v, %t", first, ok)
	}

	// A budget that ends in the middle of a vote leaves the question unasked: an
	// answer of fewer samples is another policy's.
	report, got = byID(eval.Options{Policy: vote, Limits: llm.Limits{Calls: 9}, Concurrency: 1})
	if report.Outcomes.Unasked != 5 || len(got) != 1 || report.Spend.Calls > 9 {
		t.Errorf("budget: %+v, %d results, %+v", report.Outcomes, len(got), report.Spend)
	}
}

func short(v float64) float64 { return float64(int(v*1e7+.5)) / 1e7 }

// What could be read of nothing, and what declines, are counted apart.
func TestPlainQAOutcomes(t *testing.T) {
	dir := plainFolder(t)
	for said, want := range map[string]eval.Outcomes{
		"":                   {Unparsed: 6, Empty: 6},
		"I cannot help you.": {Right: 1, Refused: 5},
		"Paris":              {Right: 1, Wrong: 3, Unparsed: 2},
	} {
		report, _ := runs[studies.PlainAnswer](t, studies.PlainQA(), eval.Subject{Model: sure(func(string) string { return said })}, eval.Options{Source: eval.Source{Dir: dir}})
		if report.Outcomes != want {
			t.Errorf("%q: %+v, want %+v", said, report.Outcomes, want)
		}
	}
}

// A question's images go with it, whether or not it has options; a study that asks
// in words only says so.
func TestPlainQAImages(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.png"), []byte("\x89PNG\r\n\x1a\n0000"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeLines(t, filepath.Join(dir, "questions.jsonl"),
		`{"question":"What is it?","answers":["a cat"],"images":["x.png","https://h/y.gif"]}`,
		`{"question":"Which is it?","options":{"c":"a cat","d":"a dog"},"answers":["c"],"images":["x.png"]}`)
	var mu sync.Mutex
	seen := map[string]int{}
	m := llm.Metered(script.New(func(op llm.Op, _ int) script.Reply {
		mu.Lock()
		defer mu.Unlock()
		raw := string(op.Request.Messages[len(op.Request.Messages)-1].Raw)
		for _, url := range []string{"data:image/png;base64,iVBORw0KGgowMDAw", "https://h/y.gif", "B) a", "What is it?"} {
			seen[url] += strings.Count(raw, url)
		}
		return script.Reply{Text: letterOf(raw, "a cat")}
	}, llm.Images), &llm.Price{})
	report, err := eval.Run(t.Context(), studies.PlainQA(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}, Seed: 1})
	if err != nil || report.Outcomes.Right != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if !maps.Equal(seen, map[string]int{"data:image/png;base64,iVBORw0KGgowMDAw": 2, "https://h/y.gif": 1, "B) a": 1, "What is it?": 1}) {
		t.Errorf("the model saw %v", seen)
	}
	_, err = eval.Run(t.Context(), studies.KnowWhatTheyKnow(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}, Seed: 1})
	if err == nil || !strings.Contains(err.Error(), "question 1 has images") {
		t.Errorf("a study in words: %v", err)
	}
}
