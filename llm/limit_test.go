package llm_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/script"
)

// upstreamOf answers after a time, or with an error, that depends on how many
// calls are in flight, itself included, and on how many there were.
type upstreamOf struct {
	llm.Model
	answer func(inFlight, number int) (time.Duration, error)
	usage  llm.Usage

	mu                     sync.Mutex
	inFlight, highest, all int
	begun                  []time.Time
	asked                  []string
	area                   time.Duration // the integral of inFlight
	last                   time.Time
}

func newUpstream(answer func(inFlight, number int) (time.Duration, error)) *upstreamOf {
	return &upstreamOf{Model: script.Texts("yes"), answer: answer}
}

// after answers all after the same time.
func after(d time.Duration) *upstreamOf {
	return newUpstream(func(int, int) (time.Duration, error) { return d, nil })
}

func (u *upstreamOf) step(by int) (inFlight, number int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if !u.last.IsZero() {
		u.area += time.Duration(u.inFlight) * now.Sub(u.last)
	}
	u.last = now
	u.inFlight += by
	u.highest = max(u.highest, u.inFlight)
	if by > 0 {
		u.all++
		u.begun = append(u.begun, now)
	}
	return u.inFlight, u.all
}

func (u *upstreamOf) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	took, err := u.answer(u.step(1))
	defer u.step(-1)
	u.mu.Lock()
	u.asked = append(u.asked, op.Role)
	u.mu.Unlock()
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &llm.Result{Choices: []llm.Choice{{Text: "yes"}}, Usage: u.usage}, nil
}

// meanInFlight is over the time from the first call to the last answer.
func (u *upstreamOf) meanInFlight() float64 {
	return float64(u.area) / float64(u.last.Sub(u.begun[0]))
}

// ask makes so many calls at once, in order, and gives how many failed.
func ask(t *testing.T, m llm.Model, n int) (failed int) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		op := llmtest.Question("well?")
		op.Role = fmt.Sprint(i)
		wg.Go(func() {
			if _, err := m.Do(t.Context(), op); err != nil {
				mu.Lock()
				failed++
				mu.Unlock()
			}
		})
		synctest.Wait() // so that they come in this order
	}
	wg.Wait()
	return failed
}

func TestConcurrencyIsWhatIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := after(20 * time.Millisecond)
		l := llm.NewLimiter(llm.LimitOptions{Concurrency: 64})
		ask(t, l.Wrap(u), 640)
		if u.highest != 64 || u.meanInFlight() != 64 {
			t.Errorf("in flight: at most %d, %.2f in the mean, want 64", u.highest, u.meanInFlight())
		}
		if took := u.last.Sub(u.begun[0]); took != 200*time.Millisecond {
			t.Errorf("640 calls of 20 ms, 64 at once, took %v", took)
		}
		for i, role := range u.asked {
			if batch := i / 64; !between(role, batch*64, batch*64+63) {
				t.Fatalf("call %s went out as number %d: not in the order they came", role, i)
			}
		}
		if s := l.Stats(); s.Highest != 64 || s.InFlight != 0 || s.Waiting != 0 || s.Requests != 640 || s.Limit != 64 {
			t.Errorf("%+v", s)
		}
	})
}

func between(s string, low, high int) bool {
	var n int
	_, err := fmt.Sscan(s, &n)
	return err == nil && low <= n && n <= high
}

func TestModelsShareALimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := after(time.Second)
		l := llm.NewLimiter(llm.LimitOptions{Concurrency: 4})
		subject, judge := l.Wrap(llm.Metered(u, nil)), l.Wrap(u)
		var wg sync.WaitGroup
		wg.Go(func() { flow(t, subject, 10, 10) })
		wg.Go(func() { flow(t, judge, 10, 10) })
		wg.Wait()
		if u.highest != 4 || u.last.Sub(u.begun[0]) != 5*time.Second {
			t.Errorf("%d in flight, %v", u.highest, u.last.Sub(u.begun[0]))
		}
	})
}

func TestRequestsAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := after(30 * time.Second) // longer than the gaps: the rate, not the places, sets the pace
		for _, rpm := range []int{3, 600, 2400} {
			u.begun = nil
			n := 3*rpm + rpm/2
			ask(t, llm.NewLimiter(llm.LimitOptions{RPM: int64(rpm)}).Wrap(u), n)
			if got := u.begun[n-1].Sub(u.begun[0]); got < time.Duration(n-rpm/600-1)*time.Minute/time.Duration(rpm)-time.Millisecond || got > 212*time.Second {
				t.Errorf("%d requests at %d a minute began within %v", n, rpm, got)
			}
			for i := range u.begun {
				if next := i + rpm; next < n && u.begun[next].Sub(u.begun[i]) < time.Minute {
					t.Fatalf("more than %d requests in a minute: %d in %v", rpm, rpm+1, u.begun[next].Sub(u.begun[i]))
				}
			}
		}
	})
}

func TestTokensAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := after(time.Second)
		u.usage = llm.Usage{PromptTokens: 20, CompletionTokens: 30}
		l := llm.NewLimiter(llm.LimitOptions{TPM: 6000, Concurrency: 32})
		ask(t, l.Wrap(u), 600) // 30,000 tokens: five minutes; reserved for each: over 1,000
		took := u.last.Sub(u.begun[0])
		if took < 4*time.Minute+50*time.Second || took > 6*time.Minute {
			t.Errorf("30,000 tokens at 6,000 a minute took %v", took)
		}
		for i := range u.begun {
			if next := i + 122; next < len(u.begun) && u.begun[next].Sub(u.begun[i]) < time.Minute {
				t.Fatalf("more than 6100 tokens in %v", u.begun[next].Sub(u.begun[i]))
			}
		}
	})
}

func TestRetryAfterHoldsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(func(_, number int) (time.Duration, error) {
			if number == 3 {
				return time.Second, &llm.APIError{Status: 429, Temporary: true, RetryAfter: 20 * time.Second}
			}
			return 5 * time.Second, nil
		})
		l := llm.NewLimiter(llm.LimitOptions{Concurrency: 3})
		if failed := ask(t, llm.Retry(l.Wrap(u), llm.RetryOptions{}), 9); failed != 0 {
			t.Errorf("%d failed", failed)
		}
		var early []time.Duration
		for _, b := range u.begun[3:] {
			if d := b.Sub(u.begun[0]); d < 21*time.Second {
				early = append(early, d)
			}
		}
		if len(early) > 0 || u.all != 10 {
			t.Errorf("%d calls; told after 1s to wait for 20s, some began after %v", u.all, early)
		}
		if s := l.Stats(); s.Throttled != 1 {
			t.Errorf("%+v", s)
		}

		// Nobody is stopped for hours, and not at all by what no wait mends.
		for _, c := range []struct {
			e    llm.APIError
			want time.Duration
		}{
			{llm.APIError{Status: 429, Temporary: true, RetryAfter: 5 * time.Hour}, time.Minute},
			{llm.APIError{Status: 429, RetryAfter: 5 * time.Hour}, 0},
		} {
			u = newUpstream(func(_, number int) (time.Duration, error) {
				if number == 1 {
					return 0, &c.e
				}
				return 0, nil
			})
			m := llm.NewLimiter(llm.LimitOptions{Concurrency: 1}).Wrap(u)
			if ask(t, m, 2) != 1 || u.begun[1].Sub(u.begun[0]) != c.want {
				t.Errorf("%+v: the next call began after %v, want %v", c.e, u.begun[1].Sub(u.begun[0]), c.want)
			}
		}
	})
}

func TestWhoLeavesTheQueueLosesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := after(time.Minute)
		l := llm.NewLimiter(llm.LimitOptions{Concurrency: 2, RPM: 6000})
		m := l.Wrap(u)
		gone := errors.New("gone")
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if i%3 > 0 {
					time.AfterFunc(time.Duration(i)*time.Second, func() { cancel(gone) })
				}
				_, err := m.Do(ctx, llmtest.Question("well?"))
				if i%3 > 0 && i < 60 && !errors.Is(err, gone) || i%3 == 0 && err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if s := l.Stats(); s.InFlight != 0 || s.Waiting != 0 || s.Highest != 2 {
			t.Errorf("%+v", s)
		}
		begin := time.Now()
		if ask(t, m, 4) != 0 || time.Since(begin) != 2*time.Minute {
			t.Errorf("four calls of a minute, two at once, took %v", time.Since(begin))
		}
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		if _, err := m.Do(ended, llmtest.Question("well?")); !errors.Is(err, gone) {
			t.Errorf("an ended context: %v", err)
		}
	})
}

// network makes a request for each choice, side by side, as providers do.
type network struct{ *upstreamOf }

func (n network) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	var wg sync.WaitGroup
	for range op.N() {
		wg.Go(func() {
			place, err := llm.Admit(ctx)
			if err != nil {
				return
			}
			defer place.Leave()
			_, err = n.upstreamOf.Do(ctx, op)
			place.Answered(err)
		})
	}
	wg.Wait()
	return &llm.Result{}, nil
}

func TestEachRequestTakesAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := after(time.Second)
		l := llm.NewLimiter(llm.LimitOptions{Concurrency: 3, RPM: 60000})
		m := l.Wrap(network{u})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				op := llmtest.Question("well?")
				op.Indices = llm.Range(0, 6)
				if _, err := m.Do(t.Context(), op); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if u.highest != 3 || u.all != 60 || u.last.Sub(u.begun[0]) != 20*time.Second {
			t.Errorf("60 requests: %d went out, %d in flight, %v", u.all, u.highest, u.last.Sub(u.begun[0]))
		}
		if s := l.Stats(); s.Requests != 60 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
		// One operation of a model that is not on a network is one.
		u = after(time.Second)
		l = llm.NewLimiter(llm.LimitOptions{Concurrency: 3})
		op := llmtest.Question("well?")
		op.Indices = llm.Range(0, 6)
		if _, err := l.Wrap(u).Do(t.Context(), op); err != nil || l.Stats().Requests != 1 {
			t.Errorf("%+v, %v", l.Stats(), err)
		}
	})
}

func TestWhatWasNeverSentIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := after(0)
		l := llm.NewLimiter(llm.LimitOptions{RPM: 1})
		m := l.Wrap(llm.Metered(u, nil))
		broke := llm.WithLedger(t.Context(), llm.NewLedger(llm.Limits{Tokens: 1}))
		begin := time.Now()
		for range 20 {
			if _, err := m.Do(broke, llmtest.Question("well?")); !errors.Is(err, llm.ErrBudget) {
				t.Fatal(err)
			}
		}
		if ask(t, m, 1) != 0 || time.Since(begin) != 0 {
			t.Errorf("calls that were never made took %v of the rate", time.Since(begin))
		}
	})
}

// shared is a quota that other processes draw from as well.
type shared struct {
	requests, tokens, most int64
	err                    error
}

func (s *shared) Take(ctx context.Context, requests, tokens int64) error {
	if s.err != nil {
		return s.err
	}
	if s.requests+requests > s.most {
		<-ctx.Done()
		return ctx.Err()
	}
	s.requests += requests
	s.tokens += tokens
	return nil
}

func (s *shared) Settle(requests, tokens int64) { s.requests -= requests; s.tokens -= tokens }

func TestQuotaKeptElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := after(0)
		u.usage = llm.Usage{PromptTokens: 7, CompletionTokens: 5}
		quota := &shared{most: 3}
		l := llm.NewLimiter(llm.LimitOptions{Concurrency: 1, Quota: quota})
		m := l.Wrap(u)
		for range 3 {
			if _, err := m.Do(t.Context(), llmtest.Question("well?")); err != nil {
				t.Fatal(err)
			}
		}
		if quota.requests != 3 || quota.tokens != 36 {
			t.Errorf("%+v after three calls of twelve tokens", quota)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := m.Do(ctx, llmtest.Question("well?")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no quota left: %v", err)
		}
		quota.err = errors.New("no connection")
		if _, err := m.Do(t.Context(), llmtest.Question("well?")); !errors.Is(err, quota.err) {
			t.Errorf("a quota that fails: %v", err)
		}
		if s := l.Stats(); s.InFlight != 0 || s.Requests != 3 || u.all != 3 || quota.tokens != 36 {
			t.Errorf("%+v, %+v", s, quota)
		}
	})
}

// flow keeps so many callers busy until so many calls are made in all.
func flow(t *testing.T, m llm.Model, callers, calls int) {
	t.Helper()
	var wg sync.WaitGroup
	work := make(chan struct{}, calls)
	for range calls {
		work <- struct{}{}
	}
	close(work)
	for range callers {
		wg.Go(func() {
			for range work {
				if _, err := m.Do(t.Context(), llmtest.Question("well?")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestAdaptiveReachesItsCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := after(200 * time.Millisecond)
		l := llm.NewLimiter(llm.LimitOptions{Adaptive: true})
		flow(t, l.Wrap(u), 400, 5000)
		if s := l.Stats(); s.Limit != 256 || s.Highest != 256 || s.Latency != 200*time.Millisecond || !strings.Contains(s.Why, "up from 128") {
			t.Errorf("%+v", s)
		}
		if took := u.last.Sub(u.begun[0]); took > 6*time.Second { // 256 from the start: 4 s
			t.Errorf("5000 calls took %v", took)
		}
		// Who asks for few at a time is given no more.
		l = llm.NewLimiter(llm.LimitOptions{Adaptive: true})
		flow(t, l.Wrap(after(time.Second)), 6, 600)
		if s := l.Stats(); s.Limit != 8 || s.Highest != 6 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAdaptiveKeepsBelowWhatIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(func(inFlight, _ int) (time.Duration, error) {
			if inFlight > 40 {
				return 5 * time.Millisecond, &llm.APIError{Status: 429, Temporary: true}
			}
			return 100 * time.Millisecond, nil
		})
		l := llm.NewLimiter(llm.LimitOptions{Adaptive: true})
		flow(t, llm.Retry(l.Wrap(u), llm.RetryOptions{Tries: 10}), 300, 10000)
		s := l.Stats()
		if s.Limit < 20 || s.Limit > 44 || s.Throttled == 0 || s.Throttled > 500 {
			t.Errorf("%+v, of %d calls", s, u.all)
		}
		if mean := u.meanInFlight(); mean < 28 {
			t.Errorf("%.1f in flight in the mean, of 40 that the upstream bears", mean)
		}
	})
}

// Each refusal costs all callers what its Retry-After says: the limit is found
// with few of them, whether the upstream counts requests at once or a second.
func TestAdaptiveIsFastAgainstRetryAfter(t *testing.T) {
	refused := func(wait time.Duration) error {
		return &llm.APIError{Status: 429, Temporary: true, RetryAfter: wait}
	}
	for _, c := range []struct {
		name     string
		upstream func() func(inFlight, number int) (time.Duration, error)
		calls    int
		within   time.Duration
		most     int64 // refusals
		ends     [2]int
	}{
		{"24 at once", func() func(int, int) (time.Duration, error) {
			return func(inFlight, _ int) (time.Duration, error) {
				if inFlight > 24 {
					return time.Millisecond, refused(time.Second)
				}
				return 100 * time.Millisecond, nil
			}
		}, 1000, 11 * time.Second, 150, [2]int{20, 24}}, // 4.2 s with 24 from the start; a pause for each probe: 16
		{"2 at once, 10 s", func() func(int, int) (time.Duration, error) {
			return func(inFlight, _ int) (time.Duration, error) {
				if inFlight > 2 {
					return time.Millisecond, refused(10 * time.Second)
				}
				return 100 * time.Millisecond, nil
			}
		}, 1000, 100 * time.Second, 60, [2]int{2, 2}}, // 50 s
		{"50 a second", func() func(int, int) (time.Duration, error) {
			var window time.Time
			n := 0
			return func(int, int) (time.Duration, error) {
				now := time.Now()
				if now.Sub(window) >= time.Second {
					window, n = now, 0
				}
				if n++; n > 50 {
					return time.Millisecond, refused(window.Add(time.Second).Sub(now))
				}
				return 100 * time.Millisecond, nil
			}
		}, 1000, 40 * time.Second, 600, [2]int{1, 256}}, // 20 s
		{"24 at once, then 60", func() func(int, int) (time.Duration, error) {
			return func(inFlight, number int) (time.Duration, error) {
				bears := 24
				if number > 3000 {
					bears = 60
				}
				if inFlight > bears {
					return time.Millisecond, refused(time.Second)
				}
				return 100 * time.Millisecond, nil
			}
		}, 40000, 130 * time.Second, 400, [2]int{50, 60}}, // 76 s
	} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			answer := c.upstream()
			u := newUpstream(func(inFlight, number int) (time.Duration, error) {
				mu.Lock()
				defer mu.Unlock()
				return answer(inFlight, number)
			})
			l := llm.NewLimiter(llm.LimitOptions{Adaptive: true})
			flow(t, llm.Retry(l.Wrap(u), llm.RetryOptions{Tries: 20}), 300, c.calls)
			s, took := l.Stats(), u.last.Sub(u.begun[0])
			t.Logf("%s: %v, %d refused, %+v", c.name, took, s.Throttled, s)
			if took > c.within || s.Throttled > c.most || s.Limit < c.ends[0] || s.Limit > c.ends[1] {
				t.Errorf("%s: %d calls took %v, %d were refused, %+v", c.name, c.calls, took, s.Throttled, s)
			}
		})
	}
}

func TestAdaptiveNoticesAQueueUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const capacity = 50
		u := newUpstream(func(inFlight, _ int) (time.Duration, error) {
			return 100 * time.Millisecond * time.Duration(max(capacity, inFlight)) / capacity, nil
		})
		l := llm.NewLimiter(llm.LimitOptions{Adaptive: true, Concurrency: 512})
		flow(t, l.Wrap(u), 1000, 40000)
		if s := l.Stats(); s.Limit > 2*capacity || u.highest > 3*capacity {
			t.Errorf("the upstream works on %d at once; %d were in flight, %+v", capacity, u.highest, s)
		}
		if took := u.last.Sub(u.begun[0]).Seconds(); took > 1.1*40000/capacity/10 {
			t.Errorf("took %.1f s, the best is 80 s", took)
		}
	})
}

func TestAdaptiveTellsLongerWorkFromASlowerUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(func(_, number int) (time.Duration, error) {
			if number > 3000 {
				return 3 * time.Second, nil
			}
			return 100 * time.Millisecond, nil
		})
		l := llm.NewLimiter(llm.LimitOptions{Adaptive: true, Concurrency: 128})
		flow(t, l.Wrap(u), 200, 6000)
		if s := l.Stats(); s.Limit != 128 || s.Latency != 3*time.Second {
			t.Errorf("%+v", s)
		}
	})
}

// elsewhere is an account that is no ledger.
type elsewhere struct{ *llm.Ledger }

func TestLedgerWithinAnAccountElsewhere(t *testing.T) {
	budget := elsewhere{llm.NewLedger(llm.Limits{Calls: 3})}
	var account llm.Account = budget
	a, b := llm.NewLedger(llm.Limits{}, account), llm.NewLedger(llm.Limits{}, account).Sub()
	m := llm.Metered(script.Texts("yes"), &llm.Price{Output: 5})
	var outcomes []bool
	for _, l := range []*llm.Ledger{a, b, a, b} {
		_, err := m.Do(llm.WithLedger(t.Context(), l), llmtest.Question("well?"))
		outcomes = append(outcomes, errors.Is(err, llm.ErrBudget))
	}
	if !slices.Equal(outcomes, []bool{false, false, false, true}) {
		t.Errorf("which of four calls met the end of a budget of three: %v", outcomes)
	}
	a.CountCached(2, "x")
	whole := budget.Spent()
	if a.Spent().Calls != 2 || b.Spent().Calls != 1 || whole.Calls != 3 || whole.CachedCalls != 2 || whole.NanoUSD != a.Spent().NanoUSD+b.Spent().NanoUSD || whole.NanoUSD == 0 {
		t.Errorf("a %+v, b %+v, whole %+v", a.Spent(), b.Spent(), whole)
	}
	if cmp.Or(a.Left().Calls, b.Left().Calls) != 0 || b.Limits().Calls != 3 {
		t.Errorf("left %+v of %+v", a.Left(), b.Limits())
	}
}

// Subject and judge are the same model: ten calls of both, three at once.
func ExampleLimiter() {
	l := llm.NewLimiter(llm.LimitOptions{Concurrency: 3, RPM: 600000})
	model := script.New(func(llm.Op, int) script.Reply { return script.Reply{Text: "yes", Delay: time.Millisecond} })
	subject, judge := llm.Retry(l.Wrap(model), llm.RetryOptions{}), llm.Retry(l.Wrap(model), llm.RetryOptions{})
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { _, _ = subject.Do(context.Background(), llmtest.Question("well?")) })
		wg.Go(func() { _, _ = judge.Do(context.Background(), llmtest.Question("well?")) })
	}
	wg.Wait()
	s := l.Stats()
	fmt.Println(s.Requests, "requests, at most", s.Limit, "in flight, now", s.InFlight)
	// Output: 10 requests, at most 3 in flight, now 0
}
