package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"gnothi/llm"
	"gnothi/store"
)

// Books are the accounts of the clients' keys by day, of UTC, and what each key
// has under way. They outlive a gateway. With a file they outlive the process
// too: a call is made only when the file has it that so much may be spent. It is
// safe for concurrent use.
type Books struct {
	store  *store.Books // nil: in memory only
	report func(error)
	now    func() time.Time

	mu    sync.Mutex
	day   string
	pages map[string]*page // of the day, by key; "" is all keys together
	past  []*page          // of earlier days, with calls still under way
	gates map[string]*gate // by key

	stop context.CancelFunc
	done chan struct{}
}

// flushEvery is how old the file's figures may be. Ceilings do not depend on it.
const flushEvery = 250 * time.Millisecond

// BookOptions make books.
type BookOptions struct {
	// Store, if set, keeps them.
	Store *store.Books
	// Report, if set, is told when the store fails: the books then go on in memory.
	Report func(error)
	// Now, if set, replaces the clock.
	Now func() time.Time
}

// OpenBooks opens the books of today. Close writes what is left to write.
func OpenBooks(ctx context.Context, o BookOptions) (*Books, error) {
	b := &Books{store: o.Store, report: o.Report, now: o.Now, pages: map[string]*page{}, gates: map[string]*gate{}, done: make(chan struct{})}
	if b.report == nil {
		b.report = func(error) {}
	}
	if b.now == nil {
		b.now = time.Now
	}
	if b.store == nil {
		b.stop = func() {}
		close(b.done)
		return b, nil
	}
	entries, err := b.store.Since(ctx, dayOf(b.now()))
	if err != nil {
		return nil, err
	}
	b.day = dayOf(b.now())
	for _, e := range entries {
		if e.Day == b.day {
			b.pages[e.Key] = &page{day: e.Day, key: e.Key, spent: spendOf(e.Spent), lost: e.Lost, ahead: e.Ahead}
		}
	}
	ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	go b.flushing(ctx)
	return b, nil
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Close writes the books. Nothing is to be under way any more.
func (b *Books) Close() error {
	b.stop()
	<-b.done
	if b.store == nil {
		return nil
	}
	return b.flush(true)
}

func (b *Books) flushing(ctx context.Context) {
	defer close(b.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := b.flush(false); err != nil {
				b.report(err)
			}
		}
	}
}

// flush writes the pages that changed.
func (b *Books) flush(last bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changed []*page
	var entries []store.Entry
	take := func(p *page) {
		if p.dirty || last {
			if last { // what was saved up for calls to come is not needed
				p.ahead = p.used()
			}
			changed, entries = append(changed, p), append(entries, p.entry())
		}
	}
	for _, p := range b.pages {
		take(p)
	}
	for _, p := range b.past {
		take(p)
	}
	if len(entries) == 0 {
		return nil
	}
	if err := b.store.Put(context.Background(), entries...); err != nil {
		return err
	}
	for _, p := range changed {
		p.dirty = false
	}
	b.past = slices.DeleteFunc(b.past, func(p *page) bool { return p.reserved == llm.Spend{} })
	return nil
}

// page is what a key spends on a day.
type page struct {
	day, key        string
	spent, reserved llm.Spend
	lost            store.Bound
	ahead           store.Bound // what the file says may be spent
	dirty           bool
}

// used bounds what may have been spent.
func (p *page) used() store.Bound {
	s := p.spent.Plus(p.reserved)
	return store.Bound{Calls: s.Calls + p.lost.Calls, Tokens: s.Tokens() + p.lost.Tokens, NanoUSD: s.NanoUSD + p.lost.NanoUSD}
}

func (p *page) entry() store.Entry {
	s := p.spent
	return store.Entry{Day: p.day, Key: p.key, Lost: p.lost, Ahead: highest(p.ahead, p.used()), Spent: store.Tally{
		Calls: s.Calls, Prompt: s.PromptTokens, Cached: s.PromptCached, Completion: s.CompletionTokens, NanoUSD: s.NanoUSD, Unpriced: s.Unpriced, Served: s.CachedCalls,
	}}
}

func spendOf(t store.Tally) llm.Spend {
	return llm.Spend{Calls: t.Calls, PromptTokens: t.Prompt, PromptCached: t.Cached, CompletionTokens: t.Completion, NanoUSD: t.NanoUSD, Unpriced: t.Unpriced, CachedCalls: t.Served}
}

// total is a spend as ceilings see it, with what was lost.
func (p *page) total() llm.Spend {
	return p.spent.Plus(p.reserved).Plus(llm.Spend{Calls: p.lost.Calls, CompletionTokens: p.lost.Tokens, NanoUSD: p.lost.NanoUSD})
}

func highest(a, b store.Bound) store.Bound {
	return store.Bound{Calls: max(a.Calls, b.Calls), Tokens: max(a.Tokens, b.Tokens), NanoUSD: max(a.NanoUSD, b.NanoUSD)}
}

// today gives a key's page. mu is held.
func (b *Books) today(key string) *page {
	if day := dayOf(b.now()); day != b.day {
		for _, p := range b.pages {
			if p.dirty || p.reserved != (llm.Spend{}) {
				b.past = append(b.past, p)
			}
		}
		b.day, b.pages = day, map[string]*page{}
	}
	p := b.pages[key]
	if p == nil {
		p = &page{day: b.day, key: key}
		b.pages[key] = p
	}
	return p
}

// Spent gives what a key, or all together for "", spent today, and what a server
// that died may have spent besides.
func (b *Books) Spent(key string) (spent llm.Spend, lost store.Bound) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.today(key)
	return p.spent, p.lost
}

// account is what a key spends today, under ceilings. It implements
// [llm.Account].
type account struct {
	b       *Books
	key, of string
	limits  llm.Limits
}

// Account gives the account of a key, or of all together for "", under ceilings
// for each day.
func (b *Books) Account(key string, day llm.Limits) llm.Account {
	of := "today, all keys"
	if key != "" {
		of = "today, the key " + key
	}
	return &account{b, key, of, day}
}

// Limits implements [llm.Account].
func (a *account) Limits() llm.Limits { return a.limits }

// Left implements [llm.Account].
func (a *account) Left() llm.Limits {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	return a.limits.Left(a.b.today(a.key).total())
}

// Reserve implements [llm.Account].
func (a *account) Reserve(most llm.Spend, _ string) (settle func(llm.Spend), err error) {
	b := a.b
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.today(a.key)
	if err := a.limits.Check(p.total(), most); err != nil {
		var over *llm.BudgetError
		if errors.As(err, &over) {
			over.Of = a.of
		}
		return nil, err
	}
	p.reserved = p.reserved.Plus(most)
	p.dirty = true
	a.goAhead(p)
	return func(actual llm.Spend) {
		b.mu.Lock()
		defer b.mu.Unlock()
		p.reserved, p.spent, p.dirty = p.reserved.Minus(most), p.spent.Plus(actual), true
		a.goAhead(p) // a call may have cost more than anybody could know
	}, nil
}

// goAhead lets the file say first what may be spent, with a hundredth of the
// ceiling to spare. Its failure is told; it is no reason to serve nobody. mu is
// held.
func (a *account) goAhead(p *page) {
	used, l := p.used(), a.limits
	within := (l.Calls == 0 || used.Calls <= p.ahead.Calls) && (l.Tokens == 0 || used.Tokens <= p.ahead.Tokens) && (l.NanoUSD == 0 || used.NanoUSD <= p.ahead.NanoUSD)
	if a.b.store == nil || within {
		return
	}
	p.ahead = highest(p.ahead, store.Bound{Calls: used.Calls + l.Calls/100, Tokens: used.Tokens + l.Tokens/100, NanoUSD: used.NanoUSD + l.NanoUSD/100})
	if err := a.b.store.Put(context.Background(), p.entry()); err != nil {
		a.b.report(err)
	}
}

// Charge implements [llm.Account].
func (a *account) Charge(s llm.Spend, _ string) {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	p := a.b.today(a.key)
	p.spent, p.dirty = p.spent.Plus(s), true
	a.goAhead(p)
}

// CountCached implements [llm.Account].
func (a *account) CountCached(n int, _ string) {
	a.Charge(llm.Spend{CachedCalls: int64(n)}, "")
}

// gate is what a key has under way and how fast it may go on.
type gate struct {
	inFlight         int
	requests, tokens rate
}

// rate is a bucket that fills at so many a minute. What is taken may be more than
// it holds; then nothing is given until that is made up for.
type rate struct {
	level float64
	at    time.Time
}

// wait is the time until there is at least so much again. A bucket holds the
// part of six seconds, at least one, and makes up for it, so that no minute has
// more than the figure.
func (r *rate) wait(now time.Time, perMinute int64, want float64) time.Duration {
	if perMinute <= 0 {
		return 0
	}
	most := max(1, float64(perMinute)/10)
	fill := float64(perMinute) - (most - 1)
	if r.at.IsZero() {
		r.level = most
	} else {
		r.level = min(most, r.level+fill*max(0, now.Sub(r.at).Minutes()))
	}
	r.at = now
	if r.level >= want {
		return 0
	}
	return time.Duration(math.Ceil((want - r.level) / fill * float64(time.Minute)))
}

// enter lets a request of a key begin, or says when to come again. leave is
// called with the tokens that it needed.
func (b *Books) enter(k *Key) (leave func(tokens int64), err error) {
	if k.Concurrency <= 0 && k.RPM <= 0 && k.TPM <= 0 {
		return func(int64) {}, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.gates[k.Name]
	if g == nil {
		g = &gate{}
		b.gates[k.Name] = g
	}
	now := b.now()
	tooMany := func(what string, wait time.Duration) error {
		return &failure{status: http.StatusTooManyRequests, kind: "rate_limit_error", code: "rate_limit_exceeded", message: "the key's limit is reached: " + what, retryAfter: max(wait, time.Second)}
	}
	if k.Concurrency > 0 && g.inFlight >= k.Concurrency {
		return nil, tooMany("requests at once", 0)
	}
	if wait := g.tokens.wait(now, k.TPM, 1); wait > 0 { // those of the requests before
		return nil, tooMany("tokens a minute", wait)
	}
	if wait := g.requests.wait(now, k.RPM, 1); wait > 0 {
		return nil, tooMany("requests a minute", wait)
	}
	g.requests.level--
	g.inFlight++
	return func(tokens int64) {
		b.mu.Lock()
		defer b.mu.Unlock()
		g.inFlight--
		g.tokens.level -= float64(tokens)
	}, nil
}

// Standing is what a key spent today and has under way.
type Standing struct {
	Key      string
	Spent    llm.Spend
	Lost     store.Bound
	InFlight int
}

// Standings tells of all keys that were used today, "" for all together first.
func (b *Books) Standings() []Standing {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.today("")
	var all []Standing
	for key, p := range b.pages {
		s := Standing{Key: key, Spent: p.spent, Lost: p.lost}
		if g := b.gates[key]; g != nil {
			s.InFlight = g.inFlight
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y Standing) int { return strings.Compare(x.Key, y.Key) })
	return all
}
