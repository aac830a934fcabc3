package eval_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/llm/script"
)

// asker says yes and counts how often each item was asked about.
type asker struct {
	first chan struct{} // closed with the first call
	mu    sync.Mutex
	asked map[string]int
}

func newAsker() *asker { return &asker{first: make(chan struct{}), asked: map[string]int{}} }

func (a *asker) model() llm.Model {
	return llm.Metered(script.New(func(op llm.Op, _ int) script.Reply {
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.asked) == 0 {
			close(a.first)
		}
		a.asked[script.Prompt(op.Request)]++
		return script.Reply{Text: "yes"}
	}), &llm.Price{})
}

// many is a study of so many items; one of them, when it is gone through, first
// calls reach, which may say that it cannot be had.
func many(items, one int, what string, reach func() error) eval.Suite {
	s := study()
	s.Items = func(eval.Source) iter.Seq2[item, error] {
		return func(yield func(item, error) bool) {
			for i := range items {
				var err error
				if i == one {
					err = reach()
				}
				if !yield(item{i, what}, err) || err != nil {
					return
				}
			}
		}
	}
	return s
}

const (
	manyItems = 3500
	late      = 3200 // further on than what is looked at before the first call
)

// The first calls do not wait until all items have been gone through, and what
// comes out is the same.
func TestAskedWhileItemsAreCounted(t *testing.T) {
	defer goleak.VerifyNone(t)
	var reports [][]byte
	for _, concurrency := range []int{1, 16} {
		a := newAsker()
		report, err := eval.Run(t.Context(), many(manyItems, late, "yes", func() error {
			select {
			case <-a.first:
				return nil
			case <-t.Context().Done():
				return t.Context().Err()
			}
		}), eval.Subject{Model: a.model()}, eval.Options{Seed: 1, Concurrency: concurrency})
		if err != nil || report.N != manyItems || report.Outcomes.Right != manyItems || len(a.asked) != manyItems {
			t.Fatalf("%v, %+v", err, report)
		}
		b, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, b)
	}
	if !bytes.Equal(reports[0], reports[1]) {
		t.Errorf("%s\n%s", reports[0], reports[1])
	}
}

// An item that cannot be had, far behind those that are asked about by then, ends
// the run in words. What was asked is kept: with the data mended the run goes on
// and asks nothing twice, with others it does not.
func TestItemsBreakOffAfterTheFirstCalls(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir() + "/run"
	folder, err := eval.CreateRun(t.Context(), dir, eval.Header{Study: "demo", Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	a, broken := newAsker(), errors.New("line 3201 is nonsense")
	suite := func(what string, reach func() error) eval.Suite { return many(manyItems, late, what, reach) }
	whole := func() error { return nil }
	run := func(s eval.Suite, f *eval.Folder) (*eval.Report, error) {
		return eval.Run(t.Context(), s, eval.Subject{Model: a.model()}, eval.Options{Seed: 1, Concurrency: 8, Log: f})
	}
	reopen := func() *eval.Folder {
		f, err := eval.OpenRun(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	report, err := run(suite("yes", func() error {
		<-a.first
		return broken
	}), folder)
	if report != nil || !errors.Is(err, broken) || !strings.Contains(err.Error(), "what was asked before is kept") {
		t.Fatalf("%v, %+v", err, report)
	}
	if err := folder.Discard(); err != nil {
		t.Fatal(err)
	}
	before := len(a.asked)
	if before == 0 {
		t.Fatal("nothing was asked")
	}

	folder = reopen()
	if _, digest := folder.Known(); digest != "" {
		t.Error("a digest of what could not be read")
	}
	if _, err := folder.Report(t.Context(), study()); err == nil || !strings.Contains(err.Error(), "resume it") {
		t.Error(err)
	}
	if _, err := run(suite("no", whole), folder); !errors.Is(err, eval.ErrChanged) {
		t.Errorf("other items: %v", err)
	}
	if err := folder.Discard(); err != nil { // it holds something
		t.Fatal(err)
	}
	if len(a.asked) != before {
		t.Error("other items were asked about")
	}

	folder = reopen()
	report, err = run(suite("yes", whole), folder)
	if err != nil || report.N != manyItems || report.Outcomes.Right != manyItems || report.Spend.Calls != manyItems {
		t.Fatalf("%v, %+v", err, report)
	}
	for q, n := range a.asked {
		if n != 1 {
			t.Errorf("%s was asked %d times", q, n)
		}
	}
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	folder = reopen()
	defer folder.Close()
	if _, err := run(many(manyItems+1, late, "yes", whole), folder); !errors.Is(err, eval.ErrChanged) {
		t.Errorf("more items: %v", err)
	}
}

// What is wrong with the first items is told before anything is asked, and leaves
// nothing behind.
func TestItemsBreakOffAtOnce(t *testing.T) {
	dir := t.TempDir() + "/run"
	folder, err := eval.CreateRun(t.Context(), dir, eval.Header{Study: "demo", Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	a, broken := newAsker(), fmt.Errorf("line 1001 is nonsense")
	_, err = eval.Run(t.Context(), many(manyItems, 1000, "yes", func() error { return broken }), eval.Subject{Model: a.model()}, eval.Options{Log: folder})
	if !errors.Is(err, broken) || strings.Contains(err.Error(), "kept") || len(a.asked) > 0 {
		t.Errorf("%v, %d asked", err, len(a.asked))
	}
	if err := folder.Discard(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// More items than there is room for are gone through a second time.
func TestMoreItemsThanAreHeld(t *testing.T) {
	long := strings.Repeat("x", 16<<10)
	s := study()
	s.Items = func(eval.Source) iter.Seq2[item, error] {
		return func(yield func(item, error) bool) {
			for i := range 1200 {
				if !yield(item{i, "yes " + long}, nil) {
					return
				}
			}
		}
	}
	a, log := newAsker(), eval.NewMemory()
	for range 2 { // the second life has nothing to ask
		report, err := eval.Run(t.Context(), s, eval.Subject{Model: a.model()}, eval.Options{Seed: 1, Concurrency: 2, Log: log})
		if err != nil || report.Outcomes.Right != 1200 || len(a.asked) != 1200 {
			t.Fatalf("%v, %+v", err, report)
		}
	}
	for _, n := range a.asked {
		if n != 1 {
			t.Fatalf("asked %d times", n)
		}
	}
}
