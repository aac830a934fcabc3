package replay

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"gnothi/llm"
)

// Model answers from a recording. An operation that was recorded several times
// gets its answers in their order and, after the last, that one again. The
// model has the identity and the abilities of the recorded one.
type Model struct {
	path string
	id   llm.ID

	mu    sync.Mutex
	can   []llm.Ability
	calls map[string][]llm.RecordedCall
}

var _ llm.Model = (*Model)(nil)

// Open reads a recording from a file.
func Open(path string) (*Model, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return Parse(path, b)
}

// Parse reads a recording from memory; path stands in messages.
func Parse(path string, b []byte) (*Model, error) {
	rec, err := llm.ReadRecording(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("replay: %s: %w", path, err)
	}
	m := &Model{path: path, id: rec.ID, can: rec.Can, calls: map[string][]llm.RecordedCall{}}
	for _, c := range rec.Calls {
		m.calls[c.Key] = append(m.calls[c.Key], c)
	}
	return m, nil
}

// ID implements [llm.Model].
func (m *Model) ID() llm.ID { return m.id }

// Can implements [llm.Model].
func (m *Model) Can(a llm.Ability) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.can, a)
}

// Do implements [llm.Model]. An operation that is not in the recording is an
// error.
func (m *Model) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	call, ok := m.next(op.Key())
	if !ok {
		return nil, &llm.APIError{Provider: "replay", Message: fmt.Sprintf(
			"%s has no answer to this operation (%d choices, role %q, seed %d): it was recorded with other questions, settings or versions; record again", m.path, op.N(), op.Role, op.Seed)}
	}
	if op.Stream != nil && call.Result != nil {
		for _, c := range call.Result.Choices {
			for _, e := range c.Events() {
				if err := op.Stream(e); err != nil {
					return nil, err
				}
			}
		}
	}
	if call.Result == nil {
		return nil, call.Err
	}
	res := *call.Result
	res.Choices = slices.Clone(res.Choices)
	return &res, call.Err
}

func (m *Model) next(key string) (llm.RecordedCall, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := m.calls[key]
	if len(calls) == 0 {
		return llm.RecordedCall{}, false
	}
	if len(calls) > 1 {
		m.calls[key] = calls[1:]
	}
	if calls[0].Can != nil {
		m.can = calls[0].Can
	}
	return calls[0], true
}
