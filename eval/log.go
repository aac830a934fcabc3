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
	// Begin says what the run is of: how many items, and a digest of them. A log
	// of an earlier life of the same run says what is done, and what was paid for
	// items that are not; of another run, it is an error that wraps [ErrChanged].
	Begin(ctx context.Context, items int, digest string) ([]Done, error)
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

// Done is an item that has a record, or, with no outcome, one that has calls.
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

// Begin implements [Log].
func (m *memory) Begin(_ context.Context, items int, digest string) ([]Done, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.digest != "" && (m.digest != digest || m.items != items) {
		return nil, fmt.Errorf("%w: it had %d items, there are %d", ErrChanged, m.items, items)
	}
	m.items, m.digest = items, digest
	var done []Done
	for _, r := range m.records {
		done = append(done, Done{r.Index, r.Key, r.Outcome, r.Spend})
	}
	sortDone(done)
	return done, nil
}

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
