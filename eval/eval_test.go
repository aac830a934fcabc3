package eval_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/store"
	"gnothi/text"
)

type item struct {
	Number int    `json:"number"`
	What   string `json:"what"`
}

type result struct {
	Text string `json:"text"`
	Seed uint64 `json:"seed"`
}

func (r result) Outcome() text.Outcome {
	if r.Text == "yes" {
		return text.Right
	}
	return text.Wrong
}

// study asks one question an item; what the item is about decides its outcome.
func study(items ...item) eval.Study[item, result] {
	return eval.Study[item, result]{
		Name: "demo", About: "a demonstration", Needs: "text",
		Items: eval.List(func(s eval.Source) ([]item, error) { return eval.Lines(s, "demo.jsonl", items) }),
		Ask: func(ctx context.Context, s *eval.Session, i item) (result, error) {
			reply, err := s.Aside(ctx, monitor.Aside{Role: "ask", Text: fmt.Sprintf("%s %d", i.What, i.Number), MaxTokens: 8})
			switch {
			case err != nil:
				return result{}, err
			case reply.Text == "never":
				return result{}, fmt.Errorf("item %d: %w", i.Number, eval.ErrRefused)
			case reply.Text == "well":
				return result{}, eval.ErrUnparsed
			}
			return result{reply.Text, s.SeedFor("x", 0)}, nil
		},
		Measure: func(rs []result) []eval.Measure {
			k := 0
			for _, r := range rs {
				if r.Text == "yes" {
					k++
				}
			}
			return []eval.Measure{eval.Share("yes", k, len(rs), eval.Published{Value: 0.5, Of: "us"})}
		},
	}
}

// echo replies with the first word of the prompt; "boom" fails.
func echo() llm.Model {
	return llm.Metered(script.New(func(op llm.Op, _ int) script.Reply {
		word, number, _ := strings.Cut(script.Prompt(op.Request), " ")
		if word == "boom" {
			return script.Failure(400, "boom")
		}
		delay := time.Duration(0)
		if number == "0" {
			delay = 20 * time.Millisecond // the first comes last
		}
		return script.Reply{Text: word, Delay: delay}
	}), &llm.Price{Input: 1, Output: 10})
}

func mixed() []item {
	var out []item
	for i, what := range []string{"yes", "no", "never", "well", "boom", "yes", "no", "yes"} {
		out = append(out, item{i, what})
	}
	return out
}

func run(t *testing.T, s eval.Suite, o eval.Options) (*eval.Report, []eval.Record, error) {
	t.Helper()
	o.Log = eval.NewMemory()
	report, err := eval.Run(t.Context(), s, eval.Subject{Model: echo()}, o)
	var records []eval.Record
	for r := range o.Log.Records(t.Context(), 0) {
		records = append(records, r)
	}
	return report, records, err
}

// all goes through records.
func all(records ...eval.Record) iter.Seq2[eval.Record, error] {
	return func(yield func(eval.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func TestOutcomesAreCountedApart(t *testing.T) {
	report, records, err := run(t, study(mixed()...), eval.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if want := (eval.Outcomes{Right: 3, Wrong: 2, Refused: 1, Unparsed: 1, Failed: 1}); report.Outcomes != want || report.N != 8 {
		t.Errorf("%+v of %d, want %+v", report.Outcomes, report.N, want)
	}
	if m := report.Measures[0]; m.Figure.Value != 0.6 || m.Figure.N != 5 {
		t.Errorf("measured %v", m.Figure)
	}
	if len(report.Errors) != 1 || !strings.Contains(report.Errors[0], "item 4: ") || !strings.Contains(report.Errors[0], "boom") {
		t.Errorf("errors %q", report.Errors)
	}
	for i, r := range records {
		if r.Index != i {
			t.Fatalf("record %d is of item %d: not in order", i, r.Index)
		}
	}
	if report.Spend.Calls != 8 || report.Spend.NanoUSD == 0 {
		t.Errorf("spent %+v", report.Spend)
	}
}

// Same seed, same bytes, whatever runs beside what; an item's seed hangs on the
// item alone; and a report can be had again from the records.
func TestReportsRepeat(t *testing.T) {
	s := study(mixed()...)
	first, records, err := run(t, s, eval.Options{Seed: 7, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := json.Marshal(first)
	for _, workers := range []int{2, 8} {
		again, _, err := run(t, s, eval.Options{Seed: 7, Concurrency: workers})
		if got, _ := json.Marshal(again); err != nil || string(got) != string(want) {
			t.Errorf("%d workers: %s, want %s (%v)", workers, got, want, err)
		}
	}
	var read []eval.Record
	for _, r := range records {
		raw, _ := json.Marshal(r)
		var back eval.Record
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		read = append(read, back)
	}
	again, err := eval.NewReport(s, first.Model, len(read), all(read...))
	if got, _ := json.Marshal(again); err != nil || string(got) != string(want) {
		t.Errorf("from the records: %s (%v), want %s", got, err, want)
	}
	_, few, err := run(t, study(mixed()[5:]...), eval.Options{Seed: 7})
	if err != nil || string(few[0].Result) != string(records[5].Result) || few[0].Key != records[5].Key {
		t.Errorf("the same item alone: %+v, among others %+v (%v)", few[0], records[5], err)
	}
	_, other, _ := run(t, s, eval.Options{Seed: 8})
	if string(other[5].Result) == string(records[5].Result) {
		t.Error("another seed gives the same")
	}
	equal, keys := study(item{1, "yes"}, item{1, "yes"}), map[string]bool{}
	_, twins, err := run(t, equal, eval.Options{Seed: 7})
	for _, r := range twins {
		keys[r.Key] = true
	}
	if err != nil || len(keys) != 2 {
		t.Errorf("two equal items have the keys %v", keys)
	}
	if _, err := eval.NewReport(s, "m", 1, all(eval.Record{Study: "other", Outcome: "right"})); err == nil {
		t.Error("records of another study are measured")
	}
	if _, err := eval.NewReport(s, "m", 1, all(eval.Record{Study: "demo", Outcome: "splendid"})); err == nil {
		t.Error("an outcome that does not exist is counted")
	}
}

// A budget is of the whole run and is never overdrawn; what it left out is told.
func TestBudgetIsACeiling(t *testing.T) {
	var items []item
	for i := range 50 {
		items = append(items, item{i, "yes"})
	}
	report, records, err := run(t, study(items...), eval.Options{Seed: 1, Concurrency: 8, Limits: llm.Limits{Calls: 12}})
	if err != nil || report.Spend.Calls != 12 || report.Outcomes.Right != 12 || report.Outcomes.Unasked != 38 || len(records) != 12 {
		t.Errorf("%+v, %d records, %v", report, len(records), err)
	}
}

// thrice asks three times about each item.
func thrice(items int) eval.Suite {
	var all []item
	for i := range items {
		all = append(all, item{i, "yes"})
	}
	s := study(all...)
	once := s.Ask
	s.Ask = func(ctx context.Context, session *eval.Session, i item) (r result, err error) {
		for k := range 3 {
			if r, err = once(ctx, session, item{3*i.Number + k, i.What}); err != nil {
				return r, err
			}
		}
		return r, nil
	}
	return s
}

// A budget goes to items that it can finish, however many could be asked at a
// time.
func TestBudgetIsNotFrittered(t *testing.T) {
	report, _, err := run(t, thrice(50), eval.Options{Seed: 1, Concurrency: 32, Limits: llm.Limits{Calls: 20}})
	if err != nil || report.Spend.Calls != 18 || report.Unfinished.Calls != 2 || report.Outcomes.Right != 6 || report.Outcomes.Unasked != 44 {
		t.Errorf("%+v, %v", report, err)
	}
}

// What was paid for an item that a budget cut off counts against the ceiling of
// the resumed run, and is not paid again.
func TestUnfinishedIsPaidOnce(t *testing.T) {
	s, m, dir := thrice(4), script.Texts("yes"), filepath.Join(t.TempDir(), "run")
	o := eval.Options{Seed: 1, Concurrency: 1, Limits: llm.Limits{Calls: 5}}
	for _, c := range []struct{ calls, right, spent, unfinished, asked int64 }{
		{calls: 5, right: 1, spent: 3, unfinished: 2, asked: 5},
		{calls: 5, right: 1, spent: 3, unfinished: 2, asked: 5},
		{calls: 10, right: 3, spent: 9, unfinished: 1, asked: 10},
		{calls: 0, right: 4, spent: 12, asked: 12},
	} {
		log, err := eval.OpenRun(t.Context(), dir)
		if errors.Is(err, store.ErrNoRun) {
			log, err = eval.CreateRun(t.Context(), dir, eval.Header{Study: "demo"})
		}
		if err != nil {
			t.Fatal(err)
		}
		o.Log, o.Limits.Calls = log, c.calls
		report, err := eval.Run(t.Context(), s, eval.Subject{Model: llm.Metered(m, &llm.Price{Input: 1, Output: 10})}, o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := log.Report(t.Context(), s)
		if err := errors.Join(err, log.Close()); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*eval.Report{report, again} {
			if r.Outcomes.Right != int(c.right) || r.Spend.Calls != c.spent || r.Unfinished.Calls != c.unfinished || len(m.Ops()) != int(c.asked) {
				t.Errorf("ceiling %d: %+v, unfinished %+v, %d asked", c.calls, r.Outcomes, r.Unfinished, len(m.Ops()))
			}
		}
	}
}

func TestRepliesHaveACeiling(t *testing.T) {
	m := script.Texts("yes")
	if _, err := eval.Run(t.Context(), study(item{1, "yes"}), eval.Subject{Model: m}, eval.Options{MaxTokens: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := eval.Run(t.Context(), study(item{1, "yes"}), eval.Subject{Model: m}, eval.Options{MaxTokens: 30}); err != nil {
		t.Fatal(err)
	}
	if ops := m.Ops(); ops[0].Request.MaxTokens != 3 || ops[1].Request.MaxTokens != 8 {
		t.Errorf("%d and %d tokens, want 3 and 8", ops[0].Request.MaxTokens, ops[1].Request.MaxTokens)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var items []item
	for i := range 50 {
		items = append(items, item{i, "yes"})
	}
	var told atomic.Int32
	report, err := eval.Run(ctx, study(items...), eval.Subject{Model: echo()}, eval.Options{Concurrency: 2, Progress: func(eval.Progress) {
		if told.Add(1) == 10 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || report == nil || report.N != 50 || report.Outcomes.Unasked < 30 || report.Outcomes.Right < 5 || report.Outcomes.Failed != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	full := errors.New("disk full")
	report, err = eval.Run(t.Context(), study(items[1:]...), eval.Subject{Model: echo()}, eval.Options{Concurrency: 1, Log: broken{eval.NewMemory(), full}})
	if !errors.Is(err, full) || report == nil || report.Outcomes.Unasked == 0 {
		t.Errorf("a record that cannot be written: %+v, %v", report, err)
	}
}

// broken is a log that can write nothing.
type broken struct {
	eval.Log
	err error
}

func (b broken) Add(eval.Record, func()) error { return b.err }

// A model that is gone ends the run, and what failed for that was not asked; one
// item that gets through shows that it is not gone.
func TestModelVanishes(t *testing.T) {
	var items []item
	for i := range 200 {
		items = append(items, item{i, "yes"})
	}
	for name, c := range map[string]struct {
		status       int
		until, every int // answers before it is gone; then one in so many
		ends         bool
	}{
		"gone": {503, 50, 0, true}, "key withdrawn": {401, 0, 0, true}, "limping": {503, 50, 10, false}, "a fault of the items": {400, 50, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			m := script.New(func(llm.Op, int) script.Reply {
				if n := int(calls.Add(1)); n > c.until && (c.every == 0 || n%c.every != 0) {
					return script.Failure(c.status, "gone")
				}
				return script.Reply{Text: "yes"}
			})
			log := eval.NewMemory()
			report, err := eval.Run(t.Context(), study(items...), eval.Subject{Model: m}, eval.Options{Concurrency: 1, Log: log}) // one at a time: which items are in hand when it ends is else chance
			if report == nil || errors.Is(err, eval.ErrNoModel) != c.ends {
				t.Fatalf("%+v, %v", report, err)
			}
			if o := report.Outcomes; c.ends && (o.Right != c.until || o.Failed != 0 || o.Unasked != 200-c.until) || !c.ends && (o.Unasked != 0 || o.Failed == 0) {
				t.Errorf("%+v", o)
			}
			if calls.Load() > int32(c.until)+30 && c.ends {
				t.Errorf("%d calls of a model that is gone", calls.Load())
			}
		})
	}
}

func TestLimitChoosesWithTheSeed(t *testing.T) {
	var items []item
	for i := range 100 {
		items = append(items, item{i, "yes"})
	}
	_, a, err := run(t, study(items...), eval.Options{Seed: 1, Source: eval.Source{N: 5}})
	if err != nil || len(a) != 5 {
		t.Fatalf("%d records, %v", len(a), err)
	}
	_, b, _ := run(t, study(items...), eval.Options{Seed: 1, Source: eval.Source{N: 5}})
	_, c, _ := run(t, study(items...), eval.Options{Seed: 2, Source: eval.Source{N: 5}})
	if string(a[4].Item)+a[0].Key != string(b[4].Item)+b[0].Key || string(a[0].Item)+string(a[1].Item) == string(c[0].Item)+string(c[1].Item) {
		t.Errorf("seeds 1, 1, 2 chose\n%s\n%s\n%s", a[0].Item, b[0].Item, c[0].Item)
	}
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	s := study(mixed()...)
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "demo.jsonl"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("{\"number\": 3, \"what\": \"yes\"}\n")
	report, _, err := run(t, s, eval.Options{Source: eval.Source{Dir: dir}})
	if err != nil || report.N != 1 {
		t.Errorf("the user's file: %+v, %v", report, err)
	}
	write("{\"number\": 3}\n{\"number\": \"three\"}\n")
	if _, _, err = run(t, s, eval.Options{Source: eval.Source{Dir: dir}}); err == nil || !strings.Contains(err.Error(), "demo.jsonl:2:") || !strings.Contains(err.Error(), "number") {
		t.Errorf("a broken line: %v", err)
	}
	write("")
	if _, _, err = run(t, s, eval.Options{Source: eval.Source{Dir: dir}}); err == nil {
		t.Error("an empty file is a study")
	}
	if _, _, err = run(t, s, eval.Options{Source: eval.Source{Dir: filepath.Join(dir, "none")}}); err == nil {
		t.Error("a folder that is not there is no error")
	}
	if _, _, err = run(t, study(), eval.Options{}); err == nil || !strings.Contains(err.Error(), "no items") {
		t.Errorf("no items: %v", err)
	}
	s.Needs = "text peers"
	if _, _, err = run(t, s, eval.Options{}); err == nil || !strings.Contains(err.Error(), "--peer") {
		t.Errorf("no peers: %v", err)
	}
	s.Needs = "text logprobs"
	if _, _, err = run(t, s, eval.Options{}); err == nil || !strings.Contains(err.Error(), "log-probabilities") {
		t.Errorf("no log-probabilities: %v", err)
	}
}

func TestMeasuresSayWhyThereIsNoFigure(t *testing.T) {
	m := eval.Share("share", 0, 0)
	if m.Figure.Why == "" || m.Figure.N != 0 {
		t.Errorf("a share of nothing: %+v", m)
	}
	raw, err := json.Marshal(eval.Average("mean", nil))
	if err != nil || !strings.Contains(string(raw), `"value":null`) {
		t.Errorf("a mean of nothing: %s, %v", raw, err)
	}
}

// An item to which nothing was said is unparsed, and told apart from those to
// which something unreadable was, whether the study returns a result or an error.
func TestEmptyRepliesAreCounted(t *testing.T) {
	s := study(item{1, "blank"}, item{2, "blank"}, item{3, "odd"}, item{4, "yes"})
	s.Ask = func(ctx context.Context, session *eval.Session, i item) (result, error) {
		reply, err := session.Aside(ctx, monitor.Aside{Role: "ask", Text: i.What, MaxTokens: 8})
		if err == nil && reply.Text != "yes" {
			err = eval.ErrUnparsed
		}
		return result{Text: reply.Text}, err
	}
	m := script.New(func(op llm.Op, _ int) script.Reply {
		if strings.Contains(script.Prompt(op.Request), "blank") {
			return script.Reply{Text: " \n"}
		}
		return script.Reply{Text: script.Prompt(op.Request)}
	})
	report, err := eval.Run(t.Context(), s, eval.Subject{Model: m}, eval.Options{Seed: 1})
	if want := (eval.Outcomes{Right: 1, Unparsed: 3, Empty: 2}); err != nil || report.Outcomes != want {
		t.Errorf("%+v, %v, want %+v", report.Outcomes, err, want)
	}
}
