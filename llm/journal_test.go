package llm_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/script"
)

// notebook is a journal in memory, whose earlier life is old.
type notebook struct {
	mu    sync.Mutex
	old   map[string][]byte
	fresh map[string][]byte
	err   error
}

func (n *notebook) Get(key string) ([]byte, bool) { b, ok := n.old[key]; return b, ok }

func (n *notebook) Put(entries []llm.JournalEntry) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fresh == nil {
		n.fresh = map[string][]byte{}
	}
	for _, e := range entries {
		n.fresh[e.Key] = e.Value
	}
	return n.err
}

// Whether log-probabilities are asked for hangs on what is known of the model by
// then: it is the same call.
func TestJournalWithAndWithoutLogProbs(t *testing.T) {
	for _, first := range []bool{false, true} {
		book, op := &notebook{}, llmtest.Question("Which letter?")
		op.Request.LogProbs = first
		if _, err := llm.Journalled(script.Texts("a"), book).Do(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		op.Request.LogProbs, op.Request.TopLogProbs = !first, 20
		m := script.Texts("another")
		res, err := llm.Journalled(m, &notebook{old: book.fresh}).Do(t.Context(), op)
		if err != nil || res.Choices[0].Text != "a" || m.Calls() != 0 {
			t.Errorf("with %v first: %+v, %v, %d calls", first, res, err, m.Calls())
		}
	}
}

// A second life finds what the first wrote, asks only for the rest, and is
// charged for what the first spent.
func TestJournal(t *testing.T) {
	texts := []string{"a", "b", "c", "d"}
	model := func() (*script.Model, llm.Model) {
		m := script.New(func(_ llm.Op, i int) script.Reply { return script.Reply{Text: texts[i]} })
		return m, llm.Metered(m, &llm.Price{Input: 1, Output: 10})
	}
	op := llmtest.Question("Which letter?")
	op.Indices, op.Seed = llm.Range(0, 3), 7

	book := &notebook{}
	inner, priced := model()
	ledger := llm.NewLedger(llm.Limits{})
	first, err := llm.Journalled(priced, book).Do(llm.WithLedger(t.Context(), ledger), op)
	if err != nil || len(first.Choices) != 3 || len(book.fresh) != 3 || len(inner.Ops()) != 1 {
		t.Fatalf("%+v, %v: %d written, %d operations", first, err, len(book.fresh), len(inner.Ops()))
	}

	again := &notebook{old: maps.Clone(book.fresh)}
	inner, priced = model()
	second := llm.NewLedger(llm.Limits{})
	wide := op
	wide.Indices = []int{3, 2, 1, 0}
	res, err := llm.Journalled(priced, again).Do(llm.WithLedger(t.Context(), second), wide)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for k, c := range res.Choices {
		if c.Index != wide.Indices[k] || c.Cached {
			t.Errorf("choice %d: %+v", k, c)
		}
		got = append(got, c.Text)
	}
	if !slices.Equal(got, []string{"d", "c", "b", "a"}) {
		t.Errorf("%q", got)
	}
	if ops := inner.Ops(); len(ops) != 1 || !slices.Equal(ops[0].Indices, []int{3}) {
		t.Errorf("asked again: %+v", ops)
	}
	if len(again.fresh) != 1 {
		t.Errorf("%d written anew, want the missing one", len(again.fresh))
	}
	if a, b := ledger.Spent(), second.Spent(); b.Calls != 4 || b.NanoUSD <= a.NanoUSD || b.CachedCalls != 0 {
		t.Errorf("first life %+v, both %+v", a, b)
	}

	// Other questions, other seeds and other models are not the same call.
	for _, other := range []func(*llm.Op){func(o *llm.Op) { o.Seed = 8 }, func(o *llm.Op) { o.Request.MaxTokens = 99 }} {
		o := op
		other(&o)
		inner, priced = model()
		if _, err := llm.Journalled(priced, again).Do(t.Context(), o); err != nil || len(inner.Ops()) != 1 {
			t.Errorf("%d operations, %v", len(inner.Ops()), err)
		}
	}
}

// The cost of tries that failed is written with the choice that came in the end.
func TestJournalKeepsTheCostOfTries(t *testing.T) {
	tries := 0
	m := script.New(func(llm.Op, int) script.Reply {
		if tries++; tries < 3 {
			return script.Failure(503, "busy")
		}
		return script.Reply{Text: "yes"}
	})
	chain := llm.Retry(llm.Metered(m, &llm.Price{Input: 1, Output: 1}), llm.RetryOptions{Wait: 1})
	book := &notebook{}
	ledger, later := llm.NewLedger(llm.Limits{}), llm.NewLedger(llm.Limits{})
	op := llmtest.Question("Is it?")
	if _, err := llm.Journalled(chain, book).Do(llm.WithLedger(t.Context(), ledger), op); err != nil {
		t.Fatal(err)
	}
	if _, err := llm.Journalled(chain, &notebook{old: book.fresh}).Do(llm.WithLedger(t.Context(), later), op); err != nil {
		t.Fatal(err)
	}
	if a, b := ledger.Spent(), later.Spent(); a.Calls != 3 || a != b {
		t.Errorf("spent %+v, remembered %+v", a, b)
	}
}

// What cannot be written down does not count.
func TestJournalThatCannotWrite(t *testing.T) {
	full := errors.New("disk full")
	res, err := llm.Journalled(script.Texts("yes"), &notebook{err: full}).Do(t.Context(), llmtest.Question("Is it?"))
	if res != nil || !errors.Is(err, full) {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestStoppable(t *testing.T) {
	stop := make(chan struct{})
	m := llm.Stoppable(script.Texts("yes"), stop)
	if _, err := m.Do(t.Context(), llmtest.Question("Is it?")); err != nil {
		t.Fatal(err)
	}
	close(stop)
	if _, err := m.Do(context.Background(), llmtest.Question("Is it?")); !errors.Is(err, llm.ErrStopped) {
		t.Errorf("%v", err)
	}
}
