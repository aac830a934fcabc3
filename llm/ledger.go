package llm

import (
	"context"
	"errors"
	"maps"
	"sync"
)

// Spend is what something cost. A call is one generated or scored choice,
// however the provider batches them, so that figures compare across providers.
type Spend struct {
	Calls            int64
	PromptTokens     int64 // evaluated; without PromptCached
	PromptCached     int64 // prompt tokens that the provider had in its cache
	CompletionTokens int64
	NanoUSD          int64
	Unpriced         int64 // calls whose price is not known
	CachedCalls      int64 // choices served from a cache, which cost nothing
}

// Tokens is the sum of evaluated prompt tokens and completion tokens.
func (s Spend) Tokens() int64 { return s.PromptTokens + s.CompletionTokens }

// USD gives the cost in dollars; ok is false where a call had no known price.
func (s Spend) USD() (usd float64, ok bool) { return float64(s.NanoUSD) / 1e9, s.Unpriced == 0 }

// Plus adds two spends.
func (s Spend) Plus(o Spend) Spend {
	s.Calls += o.Calls
	s.PromptTokens += o.PromptTokens
	s.PromptCached += o.PromptCached
	s.CompletionTokens += o.CompletionTokens
	s.NanoUSD += o.NanoUSD
	s.Unpriced += o.Unpriced
	s.CachedCalls += o.CachedCalls
	return s
}

// Minus takes a spend away.
func (s Spend) Minus(o Spend) Spend {
	return s.Plus(Spend{-o.Calls, -o.PromptTokens, -o.PromptCached, -o.CompletionTokens, -o.NanoUSD, -o.Unpriced, -o.CachedCalls})
}

// Limits are ceilings; zero means none.
type Limits struct {
	Calls   int64
	Tokens  int64
	NanoUSD int64
}

// Check tells whether so much more than what is used stays within the ceilings;
// if not it returns a [BudgetError].
func (l Limits) Check(used, more Spend) error {
	for _, c := range []struct {
		what             string
		limit, used, ask int64
	}{
		{"calls", l.Calls, used.Calls, more.Calls},
		{"tokens", l.Tokens, used.Tokens(), more.Tokens()},
		{"dollars", l.NanoUSD, used.NanoUSD, more.NanoUSD},
	} {
		if c.limit > 0 && c.used+c.ask > c.limit {
			return &BudgetError{What: c.what, Limit: c.limit, Spent: c.used, Ask: c.ask}
		}
	}
	return nil
}

// Left is how much of each ceiling remains; -1 where there is none.
func (l Limits) Left(used Spend) Limits {
	left := func(limit, used int64) int64 {
		if limit == 0 {
			return -1
		}
		return max(0, limit-used)
	}
	return Limits{left(l.Calls, used.Calls), left(l.Tokens, used.Tokens()), left(l.NanoUSD, used.NanoUSD)}
}

// Least gives the lower of each ceiling.
func (l Limits) Least(o Limits) Limits { return l.least(o, 0) }

// least gives the lower of each, where the value none is no ceiling.
func (l Limits) least(o Limits, none int64) Limits {
	low := func(a, b int64) int64 {
		if a == none || b != none && b < a {
			return b
		}
		return a
	}
	return Limits{low(l.Calls, o.Calls), low(l.Tokens, o.Tokens), low(l.NanoUSD, o.NanoUSD)}
}

// Account is what a ledger may be part of: another one, or a budget that is kept
// elsewhere and that several processes spend. It is safe for concurrent use.
type Account interface {
	// Limits gives the ceilings, Left how much of each is neither spent nor
	// reserved, -1 where there is none.
	Limits() Limits
	Left() Limits
	// Reserve sets the most that a call can cost aside, or returns an error that
	// is [ErrBudget]. settle is called exactly once, with the actual spend.
	Reserve(most Spend, role string) (settle func(actual Spend), err error)
	// Charge counts what was spent in an earlier life of the work, also beyond a
	// ceiling.
	Charge(s Spend, role string)
	// CountCached notes choices that a cache served.
	CountCached(n int, role string)
}

var _ Account = (*Ledger)(nil)

// Ledger counts spend against ceilings that hold under concurrency: a call
// first reserves the most it can cost, then settles for what it did cost.
type Ledger struct {
	limits Limits
	within []Account // also charged

	mu       sync.Mutex
	spent    Spend
	reserved Spend
	roles    map[string]Spend
	refused  *BudgetError
}

// NewLedger opens an account, which may be within others: what it spends they
// spend too, and their ceilings hold beside its own.
func NewLedger(l Limits, within ...Account) *Ledger {
	return &Ledger{limits: l, within: within, roles: map[string]Spend{}}
}

// Sub opens an account within this one.
func (l *Ledger) Sub() *Ledger { return NewLedger(Limits{}, l) }

// Limits gives the ceilings: of each the lowest.
func (l *Ledger) Limits() Limits {
	low := l.limits
	for _, a := range l.within {
		low = low.Least(a.Limits())
	}
	return low
}

// Spent gives what has been settled.
func (l *Ledger) Spent() Spend {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spent
}

// ByRole gives the settled spend of each role.
func (l *Ledger) ByRole() map[string]Spend {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.roles)
}

// Left gives how much of each ceiling is neither spent nor reserved; -1 where
// there is no ceiling.
func (l *Ledger) Left() Limits {
	l.mu.Lock()
	low := l.limits.Left(l.spent.Plus(l.reserved))
	l.mu.Unlock()
	for _, a := range l.within {
		low = low.least(a.Left(), -1)
	}
	return low
}

// Reserve sets the most that a call can cost aside, or returns a [BudgetError].
// The returned function settles for the actual spend; it is called exactly once.
func (l *Ledger) Reserve(most Spend, role string) (settle func(Spend), err error) {
	settles := make([]func(Spend), 0, len(l.within))
	settleAll := func(actual Spend) {
		for _, settle := range settles {
			settle(actual)
		}
	}
	for _, a := range l.within {
		settle, err := a.Reserve(most, role)
		if err != nil {
			settleAll(Spend{})
			l.mu.Lock()
			l.refuse(err)
			l.mu.Unlock()
			return nil, err
		}
		settles = append(settles, settle)
	}
	l.mu.Lock()
	err = l.limits.Check(l.spent.Plus(l.reserved), most)
	if err == nil {
		l.reserved = l.reserved.Plus(most)
	}
	l.refuse(err)
	l.mu.Unlock()
	if err != nil {
		settleAll(Spend{})
		return nil, err
	}
	return func(actual Spend) {
		settleAll(actual)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.reserved = l.reserved.Minus(most)
		l.spent = l.spent.Plus(actual)
		l.roles[role] = l.roles[role].Plus(actual)
	}, nil
}

func (l *Ledger) refuse(err error) {
	if over := (*BudgetError)(nil); errors.As(err, &over) {
		l.refused = over
	}
}

// Refused tells which ceiling kept a call from being made; nil: none did. It was
// reached by the work as a whole, whatever became of it without that call.
func (l *Ledger) Refused() *BudgetError {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// Charge implements [Account].
func (l *Ledger) Charge(s Spend, role string) {
	for _, a := range l.within {
		a.Charge(s, role)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spent = l.spent.Plus(s)
	l.roles[role] = l.roles[role].Plus(s)
}

// CountCached notes choices that a cache served.
func (l *Ledger) CountCached(n int, role string) {
	for _, a := range l.within {
		a.CountCached(n, role)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Spend{CachedCalls: int64(n)}
	l.spent = l.spent.Plus(s)
	l.roles[role] = l.roles[role].Plus(s)
}

type ledgerKey struct{}

// WithLedger makes calls under the context pay from the ledger; the middleware
// [Metered] is where they do.
func WithLedger(ctx context.Context, l *Ledger) context.Context {
	return context.WithValue(ctx, ledgerKey{}, l)
}

// LedgerFrom gives the context's ledger, or nil.
func LedgerFrom(ctx context.Context) *Ledger {
	l, _ := ctx.Value(ledgerKey{}).(*Ledger)
	return l
}
