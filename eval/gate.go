package eval

import (
	"sync"

	"gnothi/llm"
)

// gate keeps a run with a ceiling from beginning more items than the rest of the
// budget pays for: many items begun and none ended would be money for nothing.
// The first item goes alone, since what it costs says how many the budget bears;
// an item that is the only one may always try.
type gate struct {
	account *llm.Ledger
	open    bool // there is no ceiling

	mu     sync.Mutex
	change sync.Cond
	busy   int64     // items begun and not ended
	ended  int64     // items that ended
	cost   llm.Spend // of those that ended
}

func newGate(account *llm.Ledger) *gate {
	g := &gate{account: account, open: account.Limits() == llm.Limits{}}
	g.change.L = &g.mu
	return g
}

// enter waits until another item may begin.
func (g *gate) enter() {
	if g.open {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.busy > 0 && !g.affords() {
		g.change.Wait()
	}
	g.busy++
}

// affords tells that the budget bears the items that have begun, as if none of
// their calls had been paid yet, and one more.
func (g *gate) affords() bool {
	if g.ended == 0 {
		return false
	}
	left := g.account.Left()
	for _, c := range []struct{ left, cost int64 }{
		{left.Calls, g.cost.Calls}, {left.Tokens, g.cost.Tokens()}, {left.NanoUSD, g.cost.NanoUSD},
	} {
		if c.left >= 0 && float64(c.left)*float64(g.ended) < float64(c.cost)*float64(g.busy+1) {
			return false
		}
	}
	return true
}

// leave says what an item that was begun has cost, and whether it ended.
func (g *gate) leave(cost Spend, ended bool) {
	if g.open {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy--
	if ended {
		g.ended++
		g.cost = g.cost.Plus(cost.llm())
	}
	g.change.Broadcast()
}
