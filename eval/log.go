package eval

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"gnothi/llm"
)

// Log is where a run is kept. It is safe for concurrent use.
type Log interface {
	// Known is what the run was begun with: how many items, and a digest of them;
	// none if that was not told yet.
	Known() (items int, digest string)
	// Begin tells that, once it is known; items may have been added by then. Of
	// another run it is an error that wraps [ErrChanged].
	Begin(ctx context.Context, items int, digest string) error
	// Done gives the items that have a record, in their order.
	Done(ctx context.Context) iter.Seq2[Done, error]
	// Unfinished gives what an earlier life paid for each item that has calls and no
	// record.
	Unfinished(ctx context.Context) (map[int]Spend, error)
	// Journal is where the calls of an item are written down; nil: nowhere.
	Journal(item int) llm.Journal
	// Add hands over what became of an item, after its calls. durable is called
	// once that cannot be lost any more.
	Add(rec Record, durable func()) error
	// Flush waits until everything that was handed over is durable.
	Flush() error
	// Records gives what is durable, in the order of the items, from one on.
	Records(ctx context.Context, from int) iter.Seq2[Record, error]
}

// Done is an item that has a record.
type Done struct {
	Index   int
	Key     string
	Outcome string
	Spend   Spend
}

// ErrChanged says that a run was begun with other items than the suite has now.
var ErrChanged = errors.New("the suite or its data are not those that the run was begun with")

// NewMemory keeps a run for as long as the process lives.
func NewMemory() Log { return &memory{records: map[int]Record{}} }

type memory struct {
	mu      sync.Mutex
	items   int
	digest  string
	records map[int]Record
}

// Known implements [Log].
func (m *memory) Known() (int, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.items, m.digest
}

// Begin implements [Log].
func (m *memory) Begin(_ context.Context, items int, digest string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.digest != "" && (m.digest != digest || m.items != items) {
		return fmt.Errorf("%w: it had %d items, there are %d", ErrChanged, m.items, items)
	}
	m.items, m.digest = items, digest
	return nil
}

// Done implements [Log].
func (m *memory) Done(ctx context.Context) iter.Seq2[Done, error] {
	return func(yield func(Done, error) bool) {
		for r, err := range m.Records(ctx, 0) {
			if !yield(Done{r.Index, r.Key, r.Outcome, r.Spend}, err) {
				return
			}
		}
	}
}

// Unfinished implements [Log].
func (m *memory) Unfinished(context.Context) (map[int]Spend, error) { return nil, nil }

// Journal implements [Log].
func (m *memory) Journal(int) llm.Journal { return nil }

// Add implements [Log].
func (m *memory) Add(rec Record, durable func()) error {
	m.mu.Lock()
	m.records[rec.Index] = rec
	m.mu.Unlock()
	durable()
	return nil
}

// Flush implements [Log].
func (m *memory) Flush() error { return nil }

// Records implements [Log].
func (m *memory) Records(_ context.Context, from int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		m.mu.Lock()
		var indexes []int
		for i := range m.records {
			if i >= from {
				indexes = append(indexes, i)
			}
		}
		m.mu.Unlock()
		slices.Sort(indexes)
		for _, i := range indexes {
			m.mu.Lock()
			rec := m.records[i]
			m.mu.Unlock()
			if !yield(rec, nil) {
				return
			}
		}
	}
}
