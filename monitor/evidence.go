package monitor

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Evidence names something that can be known about a trial and gathers it. Its
// value is the key under which the result is remembered, so it is comparable:
// numbers, names and candidate pointers only.
type Evidence[T any] interface {
	comparable
	Gather(ctx context.Context, t *Trial) (T, error)
}

// Get returns the evidence, gathering it if no one has yet. Callers that ask at
// the same time share one gathering, which is cancelled when the last of them
// leaves. A failure is remembered for the trial, a cancellation is not.
// Evidence that, through whatever chain, asks for itself is an error at once.
func Get[T any, E Evidence[T]](ctx context.Context, t *Trial, e E) (T, error) {
	v, err := t.memo.get(ctx, e, func(ctx context.Context) (any, error) {
		ctx, ended := observed(ctx, func() string { return fmt.Sprintf("%T", e) })
		v, err := e.Gather(ctx, t)
		ended(err)
		return v, err
	})
	out, _ := v.(T)
	return out, err
}

// memo remembers evidence by its key.
type memo struct {
	waits   *waitGraph
	mu      sync.Mutex
	entries map[any]*entry
}

type entry struct {
	name    string
	done    chan struct{}
	cancel  context.CancelFunc
	waiters int
	value   any
	err     error
}

type gathering struct{} // context key: the entry being gathered

func (m *memo) get(ctx context.Context, key any, gather func(context.Context) (any, error)) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e, err := m.join(ctx, key, gather)
	if err != nil {
		return nil, err
	}
	defer m.leave(ctx, key, e)
	select {
	case <-e.done:
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return e.value, e.err
}

// join finds or starts the gathering for a key and counts the caller in.
func (m *memo) join(ctx context.Context, key any, gather func(context.Context) (any, error)) (*entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	asker, _ := ctx.Value(gathering{}).(*entry)
	if e != nil && asker != nil && !m.waits.add(asker, e) {
		return nil, fmt.Errorf("evidence %s asks for itself", e.name)
	}
	if e == nil {
		e = &entry{name: fmt.Sprintf("%T", key), done: make(chan struct{})}
		m.entries[key] = e
		if asker != nil {
			m.waits.add(asker, e)
		}
		run, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), gathering{}, e))
		e.cancel = cancel
		go func() {
			defer cancel()
			defer close(e.done)
			e.value, e.err = gather(run)
		}()
	}
	e.waiters++
	return e, nil
}

// leave counts the caller out. The last one to leave an unfinished gathering
// ends it, and it is forgotten in the same moment: nobody can join what is
// being cancelled.
func (m *memo) leave(ctx context.Context, key any, e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if asker, _ := ctx.Value(gathering{}).(*entry); asker != nil {
		m.waits.drop(asker, e)
	}
	e.waiters--
	select {
	case <-e.done:
		if cancelled(e.err) && m.entries[key] == e {
			delete(m.entries, key)
		}
	default:
		if e.waiters == 0 {
			e.cancel()
			if m.entries[key] == e {
				delete(m.entries, key)
			}
		}
	}
}

func cancelled(err error) bool { return errors.Is(err, context.Canceled) }

// waitGraph knows which gathering waits for which, over a trial and all its
// children, so that a circle is refused instead of deadlocking.
type waitGraph struct {
	mu sync.Mutex
	on map[*entry]map[*entry]int
}

// add notes that a waits for b, or returns false if b waits for a already.
func (g *waitGraph) add(a, b *entry) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a == b || g.reaches(b, a) {
		return false
	}
	if g.on[a] == nil {
		g.on[a] = map[*entry]int{}
	}
	g.on[a][b]++
	return true
}

func (g *waitGraph) reaches(from, to *entry) bool {
	for next := range g.on[from] {
		if next == to || g.reaches(next, to) {
			return true
		}
	}
	return false
}

func (g *waitGraph) drop(a, b *entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.on[a][b]--; g.on[a][b] <= 0 {
		delete(g.on[a], b)
	}
	if len(g.on[a]) == 0 {
		delete(g.on, a)
	}
}
