package llm

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// Store keeps bytes by key for a cache. It may forget what it likes; what goes
// wrong in it is its own to report, since an answer does not fail for that. It is
// safe for concurrent use.
type Store interface {
	Get(key string) ([]byte, bool)
	Put(key string, value []byte)
}

// Cached answers from the store what was asked before, choice by choice: the
// key is the schema version, [ID.Key], all of the request, the repeat index, and
// the seed if the model is [Seeded]. How many choices are asked for together
// plays no part, so only those that are missing are asked of the model, in one
// operation.
//
// Callers who want a choice that is being made wait for it. The making goes on
// until the last of them leaves, and is paid by the ledger of the first. Choices
// from the store, and those that another caller paid for, are marked
// [Choice.Cached] and counted by [Ledger.CountCached]; the usage in the result
// includes theirs, as that of the answer.
//
// The usual chain is Cached(Retry(Metered(provider))): a cached choice costs
// nothing, and every try is paid for. A context says how a call is to use the
// cache ([WithCache]). Traces, and bodies that are passed as they are, are not kept.
func Cached(m Model, s Store) Model {
	return &cached{Model: m, store: s, flights: map[string]*flight{}}
}

// CachedOnDemand is [Cached] for calls whose context asks for it, and nothing for others.
func CachedOnDemand(m Model, s Store) Model {
	return &cached{Model: m, store: s, demand: true, flights: map[string]*flight{}}
}

// CacheUse is how a call uses a cache.
type CacheUse struct {
	Off    bool          // as if there were none
	Fresh  bool          // what is kept is not read, only replaced
	Only   bool          // what is not kept is not made: [ErrNotCached]
	MaxAge time.Duration // the oldest that is read; 0: any
	Space  string        // who sees it: nothing that is kept under another one is read
}

// ErrNotCached is the error of a call that was to be answered from the cache alone.
var ErrNotCached = errors.New("the answer is not in the cache")

type cacheKey struct{}

// WithCache makes calls under the context use caches in a certain way.
func WithCache(ctx context.Context, u CacheUse) context.Context {
	return context.WithValue(ctx, cacheKey{}, u)
}

// cacheUse is how a call uses this cache.
func (c *cached) cacheUse(ctx context.Context, op Op) CacheUse {
	u, said := ctx.Value(cacheKey{}).(CacheUse)
	if c.demand && !said || op.Kind == Trace || op.Kind == Pass { // cheap to make again and long to keep; not known for what it is
		u.Off = true
	}
	return u
}

type cached struct {
	Model
	store  Store
	demand bool // only for calls whose context asks

	mu      sync.Mutex
	flights map[string]*flight // by the key of each choice that is being made
}

// entry is a choice in the store, with its part of the answer it came in.
type entry struct {
	Choice savedChoice     `json:"choice"`
	Usage  savedUsage      `json:"usage"`
	Model  string          `json:"model,omitempty"`
	Raw    json.RawMessage `json:"raw,omitempty"`
	At     int64           `json:"at,omitempty"` // Unix seconds; 0 is long ago
}

// old tells an entry that is older than a call wants.
func (e *entry) old(u CacheUse) bool {
	return u.Fresh || u.MaxAge > 0 && time.Since(time.Unix(e.At, 0)) > u.MaxAge
}

// flight makes some choices for one or several callers.
type flight struct {
	keys   []string
	cancel context.CancelFunc
	done   chan struct{}
	seat   *seat
	// waiting is guarded by the cache's mutex; the rest is set before done closes.
	waiting int
	stored  map[string]entry // by key, from the store
	made    map[string]Choice
	res     *Result // of the model
	err     error
}

// seat is where the events of a flight go: to the caller that began it, for as
// long as that one stays.
type seat struct {
	mu     sync.Mutex
	stream func(Event) error
	failed chan error // the reader's own error, once
}

func (s *seat) deliver(e Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream == nil {
		return nil
	}
	if err := s.stream(e); err != nil {
		s.stream = nil
		s.failed <- err
	}
	return nil
}

func (s *seat) leave() {
	s.mu.Lock()
	s.stream = nil
	s.mu.Unlock()
}

// Do implements [Model].
func (c *cached) Do(ctx context.Context, op Op) (*Result, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	use := c.cacheUse(ctx, op)
	if use.Off {
		if use.Only {
			return nil, ErrNotCached
		}
		return c.Model.Do(ctx, op)
	}
	keys := make([]string, op.N())
	for k := range keys {
		keys[k] = choiceKey(c.Model, op, op.Index(k))
		if use.Space != "" {
			keys[k] += "\n" + use.Space
		}
	}
	for {
		own, flights := c.board(ctx, op, keys, use)
		err := c.wait(ctx, own, flights)
		if own != nil {
			own.seat.leave()
		}
		if err != nil {
			return nil, err
		}
		if again := slices.ContainsFunc(flights, func(f *flight) bool { return f != own && foreign(f.err) }); again {
			continue // what stopped the one who paid need not stop this one
		}
		return c.land(ctx, op, keys, own, flights)
	}
}

// foreign tells errors that concern only the caller who began a flight.
func foreign(err error) bool { return err != nil && saveError(err) == nil }

// board joins the flights that make some of the choices and starts one for the
// others. own is nil if there are none.
func (c *cached) board(ctx context.Context, op Op, keys []string, use CacheUse) (own *flight, flights []*flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var indices []int
	for k, key := range keys {
		f := c.flights[key]
		if f == nil {
			if own == nil {
				own = &flight{done: make(chan struct{}), seat: &seat{stream: op.Stream, failed: make(chan error, 1)}}
			}
			f = own
			c.flights[key] = f
			f.keys, indices = append(f.keys, key), append(indices, op.Index(k))
		}
		if !slices.Contains(flights, f) {
			flights = append(flights, f)
			f.waiting++
		}
	}
	if own != nil {
		var alone context.Context
		alone, own.cancel = context.WithCancel(context.WithoutCancel(ctx))
		go c.fly(alone, own, op, indices, use)
	}
	return own, flights
}

// fly looks the choices up and has the missing ones made.
func (c *cached) fly(ctx context.Context, f *flight, op Op, indices []int, use CacheUse) {
	defer func() {
		c.mu.Lock()
		c.forget(f)
		c.mu.Unlock()
		f.cancel()
		close(f.done)
	}()
	f.stored, f.made = map[string]entry{}, map[string]Choice{}
	var missing []int
	keyOf := map[int]string{}
	for i, key := range f.keys {
		var e entry
		if b, ok := c.store.Get(key); ok && json.Unmarshal(b, &e) == nil && !e.old(use) {
			f.stored[key] = e
			continue
		}
		missing = append(missing, indices[i])
		keyOf[indices[i]] = key
	}
	if len(missing) == 0 {
		return
	}
	if use.Only {
		f.err = ErrNotCached
		return
	}
	if op.Indices != nil || len(missing) > 1 || missing[0] != 0 {
		op.Indices = missing
	}
	if op.Stream != nil {
		op.Stream = f.seat.deliver
	}
	f.res, f.err = c.Model.Do(ctx, op)
	if f.res == nil {
		return
	}
	for i, choice := range f.res.Choices {
		key, ok := keyOf[choice.Index]
		if !ok {
			continue
		}
		f.made[key] = choice
		e := entry{saveChoice(choice), savedUsage(share(f.res.Usage, len(f.res.Choices), i, choice)), f.res.Model, f.res.Raw, time.Now().Unix()}
		if b, err := encode(e); err == nil { // a log-probability that is no number is not kept
			c.store.Put(key, b)
		}
	}
}

// share is a choice's part of a usage.
func share(u Usage, n, i int, c Choice) Usage {
	part := func(total int64) int64 { return total*int64(i+1)/int64(n) - total*int64(i)/int64(n) }
	s := Usage{PromptTokens: part(u.PromptTokens), CompletionTokens: part(u.CompletionTokens)}
	if len(c.Tokens) > 0 {
		s.CompletionTokens = int64(len(c.Tokens))
	}
	return s
}

// wait waits for the flights to end. If the caller leaves before, those that
// nobody else waits for are stopped.
func (c *cached) wait(ctx context.Context, own *flight, flights []*flight) error {
	var failed chan error
	if own != nil {
		failed = own.seat.failed
	}
	for i, f := range flights {
		var err error
		select {
		case <-f.done:
		case err = <-failed:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, f := range flights[i:] {
				if f.waiting--; f.waiting == 0 {
					c.forget(f)
					f.cancel()
				}
			}
			return err
		}
	}
	select {
	case err := <-failed: // with the last event
		return err
	default:
		return nil
	}
}

// forget makes a flight one that nobody joins any more.
func (c *cached) forget(f *flight) {
	for _, key := range f.keys {
		if c.flights[key] == f {
			delete(c.flights, key)
		}
	}
}

// land makes the caller's result of the flights'.
func (c *cached) land(ctx context.Context, op Op, keys []string, own *flight, flights []*flight) (*Result, error) {
	res := &Result{}
	var err error
	hits := 0
	if own != nil && own.res != nil {
		*res = *own.res
		res.Choices, res.Body = nil, nil
	}
	for k, key := range keys {
		choice, usage, found := Choice{}, Usage{}, false
		for _, f := range flights {
			if e, ok := f.stored[key]; ok {
				choice, usage, found = e.Choice.choice(), Usage(e.Usage), true
				choice.Cached = true
				if res.Model == "" {
					res.Model, res.Raw = e.Model, e.Raw
				}
			} else if made, ok := f.made[key]; ok {
				choice, found = made, true
				if f != own {
					choice.Cached, usage = true, share(f.res.Usage, len(f.res.Choices), 0, made)
				}
			} else if f.err != nil && slices.Contains(f.keys, key) && err == nil {
				err = f.err
			}
		}
		if !found {
			continue
		}
		choice.Index = op.Index(k)
		if choice.Cached {
			hits++
			res.Usage.PromptTokens += usage.PromptTokens
			res.Usage.CompletionTokens += usage.CompletionTokens
		}
		if choice.Cached { // others came as events while they were made
			if err := replay(op.Stream, choice); err != nil {
				return nil, err
			}
		}
		res.Choices = append(res.Choices, choice)
	}
	if ledger := LedgerFrom(ctx); ledger != nil && hits > 0 {
		ledger.CountCached(hits, op.Role)
	}
	if len(res.Choices) == 0 && err != nil {
		return nil, err
	}
	return res, err
}

// NewMemory makes a store in memory that holds up to some bytes of values and
// forgets what was not used for longest.
func NewMemory(maxBytes int64) Store {
	return &memory{max: maxBytes, items: map[string]*list.Element{}, order: list.New()}
}

type memory struct {
	max   int64
	mu    sync.Mutex
	size  int64
	items map[string]*list.Element
	order *list.List // of item, the last used first
}

type item struct {
	key   string
	value []byte
}

func (m *memory) Get(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.items[key]
	if !ok {
		return nil, false
	}
	m.order.MoveToFront(e)
	return e.Value.(item).value, true
}

func (m *memory) Put(key string, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.items[key]; ok {
		m.drop(old)
	}
	m.items[key] = m.order.PushFront(item{key, value})
	m.size += int64(len(key) + len(value))
	for m.size > m.max && m.order.Len() > 0 {
		m.drop(m.order.Back())
	}
}

func (m *memory) drop(e *list.Element) {
	it := m.order.Remove(e).(item)
	delete(m.items, it.key)
	m.size -= int64(len(it.key) + len(it.value))
}

// CacheModel gives the model of a key in a [Store], as [ID.String] names it.
func CacheModel(key string) string {
	name, _, _ := strings.Cut(key, "\n")
	return name
}
