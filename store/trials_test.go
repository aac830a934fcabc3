package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gnothi/store"
)

// day is a clock that stands.
var day = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func openTrials(t *testing.T, path string, o store.TrialOptions) *store.Trials {
	t.Helper()
	if o.Report == nil {
		o.Report = func(err error) { t.Error(err) }
	}
	trials, err := store.OpenTrials(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := trials.Close(); err != nil {
			t.Error(err)
		}
	})
	return trials
}

func trial(i int) store.Trial {
	p := float64(i%10) / 10
	usd := int64(i)
	x := store.Trial{
		ID: fmt.Sprint("id-", i), At: day, Key: []string{"web", "batch"}[i%2], Name: "m", Model: "openai:m@host", Policy: "self-consistency?n=5", Form: "chat",
		Decision: "answer", Outcome: "parsed", Status: "prior", Probability: &p, Low: &p, High: &p, Calls: 5, Tokens: int64(100 + i), NanoUSD: &usd, WallMS: 12,
		Audit: 0.5, Marked: i%2 == 0, Question: fmt.Sprintf("question %d", i), Answer: "Paris", Body: []byte(`{"x":1}`), Texts: fmt.Sprintf("sample %d said 100%% of_it", i),
	}
	return x
}

func add(t *testing.T, trials *store.Trials, list ...store.Trial) {
	t.Helper()
	for _, x := range list {
		if !trials.Add(100, func() store.Trial { return x }) {
			t.Fatal("dropped")
		}
	}
	if err := trials.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func ids(list []store.Trial) string {
	var out []string
	for _, x := range list {
		out = append(out, strings.TrimPrefix(x.ID, "id-"))
	}
	return strings.Join(out, " ")
}

func TestTrials(t *testing.T) {
	for _, path := range []string{"", filepath.Join(t.TempDir(), "state", "trials.sqlite")} {
		trials := openTrials(t, path, store.TrialOptions{Now: func() time.Time { return day }})
		for i := range 20 {
			add(t, trials, trial(i))
		}
		x, err := trials.Get(t.Context(), "id-7")
		want := trial(7)
		if err != nil || x.ID != want.ID || !x.At.Equal(want.At) || *x.Probability != *want.Probability || *x.NanoUSD != 7 || string(x.Body) != string(want.Body) || x.Correct != nil || x.Seq != 8 || x.Marked {
			t.Errorf("%+v %v", x, err)
		}
		if _, err := trials.Get(t.Context(), "nobody"); !errors.Is(err, store.ErrNoTrial) {
			t.Error(err)
		}
		yes, no := true, false
		for _, v := range []struct {
			id      string
			correct bool
			by      string
		}{{"id-3", true, "client"}, {"id-4", false, store.ByAudit}, {"id-5", true, "page"}, {"id-5", false, store.ByAudit}} {
			if _, err := trials.Judge(t.Context(), v.id, store.Verdict{At: day, Correct: v.correct, By: v.by, Key: "web"}); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			q    store.TrialQuery
			want string
		}{
			{store.TrialQuery{Limit: 3}, "19 18 17"},
			{store.TrialQuery{Limit: 3, Before: 18}, "16 15 14"},
			{store.TrialQuery{Limit: 3, After: 3, Oldest: true}, "3 4 5"},
			{store.TrialQuery{Key: "batch", Limit: 2}, "19 17"},
			{store.TrialQuery{Words: []string{"QUESTION 1"}, Limit: 2}, "19 18"},
			{store.TrialQuery{Words: []string{"sample 12 ", "paris"}}, "12"},
			{store.TrialQuery{Words: []string{"100% of_it"}, Limit: 1}, "19"},
			{store.TrialQuery{Words: []string{"100_ of"}}, ""},
			{store.TrialQuery{Words: []string{"id-9"}}, "9"},
			{store.TrialQuery{Policy: "self-consistency", Limit: 1}, "19"},
			{store.TrialQuery{Policy: "self"}, ""},
			{store.TrialQuery{Correct: &yes}, "3"},
			{store.TrialQuery{Correct: &no}, "5 4"},
			{store.TrialQuery{Judged: true, ByVerdict: true, Oldest: true}, "3 4 5"},
			{store.TrialQuery{Marked: true, Unjudged: true, Oldest: true, Limit: 2}, "0 2"},
			{store.TrialQuery{Since: day.Add(time.Second)}, ""},
			{store.TrialQuery{Outcome: "failed"}, ""},
		} {
			found, next, err := trials.List(t.Context(), c.q)
			if err != nil || next != 0 || ids(found) != c.want {
				t.Errorf("%+v: %s, want %s (%v)", c.q, ids(found), c.want, err)
			}
		}
		all, marked, waiting, err := trials.Silent(t.Context(), store.TrialQuery{Believed: true})
		if err != nil || all != 18 || marked != 10 || waiting != 9 {
			t.Errorf("%d %d %d %v", all, marked, waiting, err)
		}
		if v, err := trials.Verdicts(t.Context(), 6); err != nil || len(v) != 2 || !v[0].Correct || v[1].Correct || v[1].By != store.ByAudit {
			t.Errorf("%+v %v", v, err)
		}
		days, err := trials.Days(t.Context(), day)
		if err != nil || len(days) != 2 || days[0].Key != "batch" || days[0].Trials != 10 || days[0].NanoUSD != 100 || days[0].Policy != "self-consistency" || days[0].Calls != 50 {
			t.Errorf("%+v %v", days, err)
		}
		if err := trials.SetNote(t.Context(), "n", []byte("v")); err != nil {
			t.Fatal(err)
		}
		if v, err := trials.Note(t.Context(), "n"); err != nil || string(v) != "v" {
			t.Errorf("%s %v", v, err)
		}
		if path == "" {
			continue
		}
		looked, err := store.ReadTrials(t.Context(), path) // while it is written to
		if err != nil {
			t.Fatal(err)
		}
		if found, _, err := looked.List(t.Context(), store.TrialQuery{Limit: 1}); err != nil || ids(found) != "19" {
			t.Errorf("%v %v", found, err)
		}
		if looked.Add(1, func() store.Trial { return store.Trial{} }) && looked.Counts().Written > 0 {
			t.Error("one who looks has written")
		}
		if err := looked.Close(); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		if err := trials.Close(); err != nil {
			t.Fatal(err)
		}
		again := openTrials(t, path, store.TrialOptions{Now: func() time.Time { return day }})
		if c := again.Counts(); c.Kept != 20 {
			t.Errorf("%+v", c)
		}
		add(t, again, trial(20))
		if x, err := again.Get(t.Context(), "id-20"); err != nil || x.Seq != 21 {
			t.Errorf("%+v %v", x, err)
		}
	}
}

func TestTrialsAreLimited(t *testing.T) {
	now := day
	path := filepath.Join(t.TempDir(), "trials.sqlite")
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	trials := openTrials(t, path, store.TrialOptions{Keep: time.Hour, MaxBytes: 10_000, Now: clock})
	for i := range 100 {
		x := trial(i)
		x.Body = []byte(strings.Repeat("x", 500))
		add(t, trials, x)
	}
	c := trials.Counts()
	if c.Bytes > 10_000 || c.Kept < 10 || c.Kept > 20 || c.Written != 100 {
		t.Errorf("%+v", c)
	}
	if found, _, err := trials.List(t.Context(), store.TrialQuery{Oldest: true, Limit: 1}); err != nil || ids(found) != fmt.Sprint(100-c.Kept) {
		t.Errorf("the oldest is %s (%v)", ids(found), err)
	}
	mu.Lock()
	now = day.Add(2 * time.Hour)
	mu.Unlock()
	x := trial(100)
	x.At = now
	add(t, trials, x)
	if c := trials.Counts(); c.Kept != 1 {
		t.Errorf("what is too old stays: %+v", c)
	}
	if days, err := trials.Days(t.Context(), day); err != nil || days[0].Trials+days[1].Trials != 101 {
		t.Errorf("sums forget: %+v %v", days, err)
	}
	if err := trials.Close(); err != nil {
		t.Fatal(err)
	}
	now = day.Add(500 * 24 * time.Hour)
	again := openTrials(t, path, store.TrialOptions{Keep: time.Hour, Now: clock})
	if c := again.Counts(); c.Kept != 0 || c.Bytes != 0 {
		t.Errorf("%+v", c)
	}
	if days, err := again.Days(t.Context(), day); err != nil || len(days) != 0 {
		t.Errorf("%+v %v", days, err)
	}
}

// Who hands a trial over does not wait: what does not fit is dropped and counted.
func TestTrialsDoNotWait(t *testing.T) {
	trials := openTrials(t, "", store.TrialOptions{})
	gate := make(chan struct{})
	begun := make(chan struct{})
	trials.Add(1, func() store.Trial { close(begun); <-gate; return trial(0) })
	<-begun // the writer is held
	taken := 0
	for i := range 10_000 {
		if trials.Add(1, func() store.Trial { return trial(i + 1) }) {
			taken++
		}
	}
	if c := trials.Counts(); taken == 10_000 || taken < 1000 || c.Dropped != int64(10_000-taken) {
		t.Errorf("%d taken, %+v", taken, c)
	}
	if trials.Add(100<<20, func() store.Trial { return store.Trial{} }) {
		t.Error("a trial that fills the memory was taken while others wait")
	}
	close(gate)
	if err := trials.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := trials.Flush(t.Context()); err != nil { // what came while the first group was written
		t.Fatal(err)
	}
	if c := trials.Counts(); c.Written != int64(taken)+1 {
		t.Errorf("%d taken, %+v", taken, c)
	}
}

func TestTrialsClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trials.sqlite")
	trials, err := store.OpenTrials(t.Context(), path, store.TrialOptions{Now: func() time.Time { return day }})
	if err != nil {
		t.Fatal(err)
	}
	changed := trials.Changed()
	for i := range 500 {
		trials.Add(1, func() store.Trial { return trial(i) })
	}
	if err := trials.Close(); err != nil {
		t.Fatal(err)
	}
	<-changed
	if err := trials.Close(); err != nil {
		t.Error(err)
	}
	if trials.Add(1, func() store.Trial { return trial(1) }) {
		t.Error("taken after the end")
	}
	if err := trials.Flush(context.Background()); err != nil {
		t.Error(err)
	}
	looked, err := store.ReadTrials(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer looked.Close()
	if found, _, err := looked.List(t.Context(), store.TrialQuery{}); err != nil || len(found) != 500 {
		t.Errorf("%d trials: %v", len(found), err)
	}
	if _, err := store.ReadTrials(t.Context(), filepath.Join(t.TempDir(), "none.sqlite")); err == nil {
		t.Error("a file that is not there")
	}
	bad := filepath.Join(t.TempDir(), "bad.sqlite")
	if err := os.WriteFile(bad, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenTrials(t.Context(), bad, store.TrialOptions{}); err == nil || !strings.Contains(err.Error(), bad) {
		t.Error(err)
	}
}

func BenchmarkTrials(b *testing.B) {
	trials, err := store.OpenTrials(b.Context(), filepath.Join(b.TempDir(), "trials.sqlite"), store.TrialOptions{Report: func(err error) { b.Error(err) }})
	if err != nil {
		b.Fatal(err)
	}
	defer trials.Close()
	x := trial(1)
	x.At, x.Body = time.Now(), []byte(strings.Repeat("x", 1500))
	for b.Loop() {
		for !trials.Add(3000, func() store.Trial { return x }) {
			if err := trials.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := trials.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}
