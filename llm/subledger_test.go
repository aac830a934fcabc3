package llm_test

import (
	"errors"
	"testing"

	"gnothi/llm"
)

// What a part spends the whole spends, and the whole's ceiling binds every part.
func TestSubLedgersShareTheCeiling(t *testing.T) {
	whole := llm.NewLedger(llm.Limits{Calls: 3})
	a, b := whole.Sub(), whole.Sub()
	for i, l := range []*llm.Ledger{a, b, a} {
		settle, err := l.Reserve(llm.Spend{Calls: 1, CompletionTokens: 9}, "x")
		if err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
		settle(llm.Spend{Calls: 1, CompletionTokens: 4})
	}
	if _, err := b.Reserve(llm.Spend{Calls: 1}, "x"); !errors.Is(err, llm.ErrBudget) {
		t.Errorf("a fourth call: %v", err)
	}
	a.CountCached(2, "x")
	if a.Spent().Calls != 2 || b.Spent().Calls != 1 || whole.Spent().Calls != 3 || whole.Spent().CompletionTokens != 12 || whole.ByRole()["x"].CachedCalls != 2 {
		t.Errorf("a %+v, b %+v, whole %+v", a.Spent(), b.Spent(), whole.Spent())
	}
	if a.Left().Calls != 0 || a.Limits().Calls != 3 {
		t.Errorf("left %+v of %+v", a.Left(), a.Limits())
	}
}
