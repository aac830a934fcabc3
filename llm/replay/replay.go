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
// gets its answers in their order and, after the last, that one again. One that
// was not recorded, but all of whose choices were drawn in others, gets those: a
// recording of forty samples answers every policy that draws fewer. The model
// has the identity and the abilities of the recorded one.
type Model struct {
	path string
	id   llm.ID

	mu    sync.Mutex
	can   []llm.Ability
	calls map[string][]llm.RecordedCall
	draws map[string]*draws // by [llm.Op.Stem]
}

// draws are the recorded choices of one stem, by repeat index.
type draws struct {
	choices map[int]llm.Choice
	tokens  map[int]int64 // completion tokens of each
	usage   llm.Usage     // of the first recorded call
	served  bool          // whether the prompt was paid for in this replay
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
	m := &Model{path: path, id: rec.ID, can: rec.Can, calls: map[string][]llm.RecordedCall{}, draws: map[string]*draws{}}
	for _, c := range rec.Calls {
		m.calls[c.Key] = append(m.calls[c.Key], c)
		if c.Stem != "" && c.Result != nil {
			m.learn(c)
		}
	}
	return m, nil
}

// learn adds the choices of a call to those of its stem. Completion tokens are
// shared out by each choice's tokens or, where it has none, by its length.
func (m *Model) learn(c llm.RecordedCall) {
	d := m.draws[c.Stem]
	if d == nil {
		d = &draws{choices: map[int]llm.Choice{}, tokens: map[int]int64{}, usage: c.Result.Usage}
		m.draws[c.Stem] = d
	}
	size := func(c llm.Choice) int64 {
		if len(c.Tokens) > 0 {
			return int64(len(c.Tokens))
		}
		return int64(len(c.Text)) + 1
	}
	total := int64(0)
	for _, choice := range c.Result.Choices {
		total += size(choice)
	}
	for _, choice := range c.Result.Choices {
		if _, known := d.choices[choice.Index]; !known {
			d.choices[choice.Index] = choice
			d.tokens[choice.Index] = (c.Result.Usage.CompletionTokens*size(choice) + total/2) / total
		}
	}
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
		call, ok = m.pick(op)
	}
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

// pick answers an operation from choices that others drew. The prompt costs what
// it cost when it was recorded, once a stem; after that it counts as cached.
func (m *Model) pick(op llm.Op) (llm.RecordedCall, bool) {
	if op.Kind != llm.Generate {
		return llm.RecordedCall{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.draws[op.Stem()]
	if d == nil {
		return llm.RecordedCall{}, false
	}
	res := &llm.Result{Usage: llm.Usage{PromptTokens: d.usage.PromptTokens, PromptCached: d.usage.PromptCached}}
	for k := range op.N() {
		choice, ok := d.choices[op.Index(k)]
		if !ok {
			return llm.RecordedCall{}, false
		}
		res.Choices = append(res.Choices, choice)
		res.Usage.CompletionTokens += d.tokens[choice.Index]
	}
	if d.served {
		res.Usage.PromptCached = res.Usage.PromptTokens
	}
	d.served = true
	return llm.RecordedCall{Result: res}, true
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
