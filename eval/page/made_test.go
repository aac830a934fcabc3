package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/store"
	"gnothi/text"
)

// question and result are a study as others are: a graded answer with a
// confidence.
type question struct {
	Question string   `json:"question"`
	Answers  []string `json:"answers"`
	Kind     string   `json:"kind,omitempty"`
}

type result struct {
	Grade   text.Outcome `json:"grade"`
	Sure    float64      `json:"sure"`
	Verdict string       `json:"verdict,omitempty"` // of a judge, in words
}

func (r result) Outcome() text.Outcome { return r.Grade }

func (r result) Confidences() map[string]float64 { return map[string]float64{"stated": r.Sure} }

func suite() eval.Suite {
	return eval.Study[question, result]{
		Name: "demo", About: "a demonstration", Needs: "text",
		Items: eval.List(func(eval.Source) ([]question, error) { return nil, nil }),
		Ask:   func(context.Context, *eval.Session, question) (result, error) { return result{}, nil },
		Measure: func(rs []result) []eval.Measure {
			sure := make([]float64, len(rs))
			for i, r := range rs {
				sure[i] = r.Sure
			}
			return []eval.Measure{eval.Average("stated confidence", sure, eval.Published{Value: 0.8, Of: "somebody"})}
		},
	}
}

// thing is an item of a made-up run.
type thing struct {
	rec   eval.Record
	calls []reply
}

type reply struct {
	role, prompt, text string
	index              int
}

// made writes a run of n items, as far as things are given.
func made(tb testing.TB, n int, things func(yield func(thing) bool)) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "run")
	header, err := json.Marshal(eval.Header{
		Schema: 1, Gnothi: "v1", Study: "demo", Model: "test:model", Spec: "test:model", Seed: 7, Limit: n,
		Created: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Items: n, Digest: "0123456789abcdef",
	})
	if err != nil {
		tb.Fatal(err)
	}
	run, err := store.CreateRun(tb.Context(), filepath.Join(dir, "run.sqlite"), header)
	if err != nil {
		tb.Fatal(err)
	}
	for t := range things {
		var calls []store.Call
		for i, c := range t.calls {
			w := llm.Written{Role: c.role, Index: c.index, Prompt: c.prompt, Model: "model"}
			b, err := json.Marshal(w)
			if err != nil {
				tb.Fatal(err)
			}
			var raw map[string]any
			if err := json.Unmarshal(b, &raw); err != nil {
				tb.Fatal(err)
			}
			raw["choice"] = map[string]any{"index": c.index, "text": c.text, "finish": "stop"}
			if !utf8.ValidString(c.text) {
				raw["choice"] = map[string]any{"index": c.index, "text": map[string][]byte{"bytes": []byte(c.text)}, "finish": "length"}
			}
			if b, err = json.Marshal(raw); err != nil {
				tb.Fatal(err)
			}
			calls = append(calls, store.Call{Key: fmt.Sprintf("%08d-%d", t.rec.Index, i), Value: b})
		}
		body, err := json.Marshal(map[string]any{"error": t.rec.Error, "item": t.rec.Item, "result": t.rec.Result})
		if err != nil {
			tb.Fatal(err)
		}
		s := t.rec.Spend
		summary := fmt.Sprintf("[%d,%d,%d,%d,%d,%d]", s.Calls, s.PromptTokens, s.CompletionTokens, s.NanoUSD, s.Unpriced, t.rec.WallMS)
		if err := run.AddCalls(t.rec.Index, calls); err != nil {
			tb.Fatal(err)
		}
		if err := run.AddRow(store.Row{Item: t.rec.Index, Key: t.rec.Key, Outcome: t.rec.Outcome, Summary: []byte(summary), Body: body}, nil); err != nil {
			tb.Fatal(err)
		}
	}
	if err := run.Close(); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// ordinary is an item as most are: asked once, checked by a judge, with three
// samples.
func ordinary(i int) thing {
	rng := rand.New(rand.NewPCG(3, uint64(i)))
	sure := float64(rng.IntN(21)) / 20
	outcome := eval.OutcomeWrong
	switch x := rng.Float64(); {
	case x < 0.02:
		outcome = eval.OutcomeRefused
	case x < 0.04:
		outcome = eval.OutcomeUnparsed
	case x < 0.05:
		outcome = eval.OutcomeFailed
	case rng.Float64() < 0.2+0.6*sure:
		outcome = eval.OutcomeRight
	}
	city := []string{"Paris", "Lima", "Oslo", "Quito", "Accra"}[rng.IntN(5)]
	q := fmt.Sprintf("Which city is meant in riddle %d of the collection?", i)
	t := thing{rec: eval.Record{
		Study: "demo", Key: fmt.Sprintf("%016x", uint64(i)*0x9e3779b97f4a7c15), Index: i, Outcome: outcome,
		Item: encode(question{q, []string{city, "the city of " + city}, "riddles"}), WallMS: int64(rng.IntN(3000)),
		Spend: eval.Spend{Calls: 5, PromptTokens: int64(100 + rng.IntN(200)), CompletionTokens: int64(10 + rng.IntN(60))},
	}}
	answer := city
	switch outcome {
	case eval.OutcomeRight:
		t.rec.Result = encode(result{Grade: text.Right, Sure: sure, Verdict: "The answer is the expected one."})
	case eval.OutcomeWrong:
		answer = "Atlantis"
		t.rec.Result = encode(result{Grade: text.Wrong, Sure: sure, Verdict: "The answer names another city."})
	default:
		t.rec.Error = fmt.Sprintf("item %d: status %d", i, 500+i%3)
	}
	t.calls = []reply{
		{"answer", q, answer, 0},
		{"sample", q, answer, 0}, {"sample", "", answer + ".", 1}, {"sample", "", "Perhaps " + city + "?", 2},
		{"judge", "Is " + answer + " what was asked for? " + q, "I compared both. Verdict: fine", 0},
	}
	return t
}

func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a type of this file that is no JSON
	}
	return b
}

func ordinaries(n int) func(yield func(thing) bool) {
	return func(yield func(thing) bool) {
		for i := range n {
			if !yield(ordinary(i)) {
				return
			}
		}
	}
}

// open opens a run to look at it.
func open(tb testing.TB, dir string) *eval.Folder {
	tb.Helper()
	f, err := eval.ReadRun(tb.Context(), dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	return f
}
