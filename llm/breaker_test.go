package llm_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gnothi/llm"
	"gnothi/llm/script"
)

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, calls := 503, 0
		var states []string
		b := llm.NewBreaker("up", llm.BreakerOptions{Failures: 3, Open: 10 * time.Second, Notify: func(s llm.BreakerState) { states = append(states, s.State) }})
		m := b.Wrap(script.New(func(llm.Op, int) script.Reply {
			if calls++; status == 0 {
				return script.Reply{Text: "fine"}
			}
			return script.Failure(status, "ill")
		}))
		ask := func() error { _, err := m.Do(t.Context(), count("x")); return err }
		for range 3 {
			if err := ask(); err == nil {
				t.Fatal("no failure")
			}
		}
		time.Sleep(3 * time.Second)
		var api *llm.APIError
		err := ask()
		if !errors.As(err, &api) || api.Status != 503 || api.RetryAfter != 7*time.Second || api.Temporary || calls != 3 || !strings.Contains(err.Error(), "ill") {
			t.Errorf("open: %v (%+v) after %d calls", err, api, calls)
		}
		if s := b.State(); s.State != "open" || s.Opened != 1 || s.Refused != 1 || s.Upstream != "up" {
			t.Errorf("%+v", s)
		}
		time.Sleep(8 * time.Second)
		if ask(); calls != 4 {
			t.Errorf("%d calls: half-open lets one through", calls)
		}
		if ask(); calls != 4 {
			t.Errorf("%d calls: the one failed", calls)
		}
		time.Sleep(11 * time.Second)
		status = 0
		for range 3 {
			if err := ask(); err != nil {
				t.Errorf("well again: %v", err)
			}
		}
		if got := strings.Join(states, " "); got != "open half-open open half-open closed" {
			t.Error(got)
		}
	})
}

// What is not the upstream's failure does not open it.
func TestBreakerCountsOnlyUpstreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := llm.NewBreaker("up", llm.BreakerOptions{Failures: 2})
		for _, status := range []int{400, 401, 404, 422, 429, 501} {
			m := b.Wrap(script.New(func(llm.Op, int) script.Reply { return script.Failure(status, "no") }))
			for range 5 {
				_, _ = m.Do(t.Context(), count("x"))
			}
			if s := b.State(); s.State != "closed" {
				t.Fatalf("%d opened it", status)
			}
		}
		ctx, leave := context.WithCancel(t.Context())
		leave()
		slow := b.Wrap(llm.NewLimiter(llm.LimitOptions{Concurrency: 1}).Wrap(script.Texts("x")))
		for range 5 {
			if _, err := slow.Do(ctx, count("x")); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if s := b.State(); s.State != "closed" {
			t.Error("callers that leave opened it")
		}
	})
}

// A share of failures opens it too, although some calls in between succeed.
func TestBreakerShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		b := llm.NewBreaker("up", llm.BreakerOptions{})
		m := b.Wrap(script.New(func(llm.Op, int) script.Reply {
			if n++; n%3 == 0 {
				return script.Reply{Text: "fine"}
			}
			return script.Failure(500, "ill")
		}))
		for range 30 {
			_, _ = m.Do(t.Context(), count("x"))
		}
		if n < 20 || n > 21 {
			t.Errorf("opened after %d calls, want 20 or 21", n)
		}
	})
}

func TestRetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ops := 0
		budget := llm.NewRetryBudget(0.2)
		ill := script.New(func(llm.Op, int) script.Reply { return script.Failure(503, "ill") })
		m := llm.Retry(ill, llm.RetryOptions{Wait: time.Millisecond, Most: time.Millisecond, Budget: budget})
		var wg sync.WaitGroup
		for range 1000 {
			ops++
			wg.Go(func() { _, _ = m.Do(t.Context(), count("x")) })
		}
		wg.Wait()
		retries, refused := budget.Stats()
		if extra := ill.Calls() - ops; int64(extra) != retries || extra > 1000/5+10+1 || extra < 100 || refused == 0 {
			t.Errorf("%d further tries of %d operations (%d, %d refused)", extra, ops, retries, refused)
		}
	})
}

func TestGuards(t *testing.T) {
	g := &llm.Guards{Breaker: llm.BreakerOptions{Failures: 1}}
	a, b := llm.ID{Provider: "openai", Name: "a"}, llm.ID{Provider: "openai", Name: "b", Host: "http://127.0.0.1:1/v1"}
	if g.Known(a) != nil || g.Of(a) != g.Of(a) || g.Of(a) == g.Of(b) || g.Known(a) == nil { //nolint:staticcheck // the second asking gives what the first made
		t.Error("one guard for a model")
	}
	other := g.Of(llm.ID{Provider: "openai", Name: "well", Host: b.Host})
	m := g.Of(b).Wrap(script.New(func(llm.Op, int) script.Reply { return script.Failure(500, "ill") }), llm.RetryOptions{Tries: 1})
	_, _ = m.Do(t.Context(), count("x"))
	if other.State().State != "closed" || g.Of(b).State().State != "open" || len(g.States()) != 2 {
		t.Errorf("a model that is ill keeps others of its host from theirs: %+v", g.States())
	}
	for _, s := range g.States() {
		if want := map[bool]string{true: "open", false: "closed"}[s.Upstream == b.Host]; s.State != want {
			t.Errorf("%+v", s)
		}
	}
}

// An account within others pays from each, under the lowest ceiling of all, and
// what one refuses no other keeps set aside.
func TestLedgerWithinSeveral(t *testing.T) {
	day, all := llm.NewLedger(llm.Limits{Calls: 5, Tokens: 100}), llm.NewLedger(llm.Limits{Calls: 8})
	l := llm.NewLedger(llm.Limits{Calls: 6, NanoUSD: 7}, day, all)
	if got := l.Limits(); got != (llm.Limits{Calls: 5, Tokens: 100, NanoUSD: 7}) {
		t.Errorf("limits %+v", got)
	}
	settle, err := l.Reserve(llm.Spend{Calls: 4}, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reserve(llm.Spend{Calls: 2}, "a"); !errors.Is(err, llm.ErrBudget) {
		t.Errorf("beyond the day's ceiling: %v", err)
	}
	if _, err := l.Reserve(llm.Spend{Calls: 1, NanoUSD: 8}, "a"); !errors.Is(err, llm.ErrBudget) {
		t.Errorf("beyond its own ceiling: %v", err)
	}
	settle(llm.Spend{Calls: 3})
	for name, c := range map[string]struct{ got, want llm.Limits }{
		"own": {l.Left(), llm.Limits{Calls: 2, Tokens: 100, NanoUSD: 7}}, "day": {day.Left(), llm.Limits{Calls: 2, Tokens: 100, NanoUSD: -1}}, "all": {all.Left(), llm.Limits{Calls: 5, Tokens: -1, NanoUSD: -1}},
	} {
		if c.got != c.want {
			t.Errorf("%s: left %+v, want %+v", name, c.got, c.want)
		}
	}
	if day.Spent().Calls != 3 || all.Spent().Calls != 3 {
		t.Error("not all paid")
	}
}

// A stream that breaks off is charged by what came.
func TestBrokenStreamIsCharged(t *testing.T) {
	l := llm.NewLedger(llm.Limits{})
	inner := streamBreaks{script.Texts("x")}
	op := count("a prompt of some bytes")
	op.Stream = func(llm.Event) error { return nil }
	if _, err := llm.Metered(inner, &llm.Price{Input: 10, Output: 100}).Do(llm.WithLedger(t.Context(), l), op); err == nil {
		t.Fatal("it broke")
	}
	if s := l.Spent(); s.Calls != 1 || s.CompletionTokens != 3 || s.PromptTokens == 0 || s.NanoUSD != 10*s.PromptTokens+300 {
		t.Errorf("%+v", s)
	}
}

type streamBreaks struct{ llm.Model }

func (streamBreaks) Do(_ context.Context, op llm.Op) (*llm.Result, error) {
	for range 3 {
		if err := op.Stream(llm.Event{Text: "a"}); err != nil {
			return nil, err
		}
	}
	return nil, &llm.APIError{Status: 200, Message: "cut"}
}

// What a prompt may need is bounded with its tools and its pictures, which may be
// named by an address of a few bytes.
func TestReservationBoundsPrompts(t *testing.T) {
	reserved := func(op llm.Op) int64 {
		t.Helper()
		l := llm.NewLedger(llm.Limits{Tokens: 1})
		_, err := llm.Metered(script.Texts("x"), nil).Do(llm.WithLedger(t.Context(), l), op)
		var over *llm.BudgetError
		if !errors.As(err, &over) {
			t.Fatal(err)
		}
		return over.Ask
	}
	plain := llm.Op{Request: llm.Request{MaxTokens: 100, Messages: []llm.Message{{Role: "user", Text: "what?"}}}}
	if n := reserved(plain); n < 100+5 || n > 100+50 {
		t.Errorf("plain: %d", n)
	}
	tools := plain
	tools.Request.Extra = map[string]json.RawMessage{"tools": json.RawMessage(`[` + strings.Repeat(" ", 1000) + `]`)}
	if n := reserved(tools); n < 1100 {
		t.Errorf("with tools: %d", n)
	}
	picture := plain
	picture.Request.Messages = []llm.Message{{Role: "user", Text: "what?", Raw: json.RawMessage(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/y.png"}}]}`)}}
	if n := reserved(picture); n < 4000 {
		t.Errorf("with a picture: %d", n)
	}
	unsaid := plain
	unsaid.Request.MaxTokens = 0
	if n := reserved(unsaid); n < 1024 {
		t.Errorf("without a longest answer: %d", n)
	}
}
