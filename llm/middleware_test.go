package llm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/replay"
	"gnothi/llm/script"
)

func count(role string, indices ...int) llm.Op {
	op := llmtest.Question("count")
	op.Role, op.Indices = role, indices
	return op
}

// numbered says its repeat index and how often it was asked for it.
func numbered(calls *[10]atomic.Int32, delay time.Duration) *script.Model {
	return script.New(func(_ llm.Op, i int) script.Reply {
		return script.Reply{Text: fmt.Sprintf("choice %d, time %d", i, calls[i].Add(1)), Delay: delay}
	})
}

func texts(t *testing.T, m llm.Model, op llm.Op) []string {
	t.Helper()
	res, err := m.Do(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for k, c := range res.Choices {
		if c.Index != op.Index(k) {
			t.Errorf("choice %d has index %d, want %d", k, c.Index, op.Index(k))
		}
		s = append(s, c.Text)
	}
	return s
}

func TestChainConforms(t *testing.T) {
	llmtest.Run(t, func(t *testing.T) (llm.Model, llmtest.Fixture) {
		inner := script.New(func(op llm.Op, i int) script.Reply {
			r := script.Reply{Text: "one two three four five six", Tokens: script.Words("one two three four five six", -0.5), Raw: []byte(`{"x_vendor":1}`)}
			if strings.Contains(script.Prompt(op.Request), "slowly") {
				r.Hang = true
			}
			if op.Kind == llm.Score {
				r.Tokens = script.Words(op.Continuation, -0.5)
			}
			return r
		}, llm.LogProbs, llm.ScoreText)
		slow := llmtest.Question("slowly")
		return llm.Cached(llm.Retry(llm.Metered(inner, nil), llm.RetryOptions{}), llm.NewMemory(1<<20)), llmtest.Fixture{Slow: &slow, Unknown: "x_vendor"}
	})
}

func TestCacheAsksOnlyForWhatIsMissing(t *testing.T) {
	var calls [10]atomic.Int32
	inner := numbered(&calls, 0)
	m := llm.Cached(llm.Metered(inner, nil), llm.NewMemory(1<<20))
	ledger := llm.NewLedger(llm.Limits{Calls: 4})
	ctx := llm.WithLedger(t.Context(), ledger)
	if _, err := m.Do(ctx, count("sample", 0, 2)); err != nil {
		t.Fatal(err)
	}
	res, err := m.Do(ctx, count("judge", 3, 2, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range res.Choices {
		got = append(got, fmt.Sprintf("%d %v %s", c.Index, c.Cached, c.Text))
	}
	want := []string{"3 false choice 3, time 1", "2 true choice 2, time 1", "1 false choice 1, time 1", "0 true choice 0, time 1"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if ops := inner.Ops(); len(ops) != 2 || fmt.Sprint(ops[1].Indices) != "[3 1]" {
		t.Errorf("the model was asked for %v, want [3 1] in one operation", ops)
	}
	if s := ledger.ByRole()["judge"]; s.Calls != 2 || s.CachedCalls != 2 {
		t.Errorf("the ledger has %+v, want 2 calls and 2 cached", s)
	}
	if res.Usage.CompletionTokens != 16 {
		t.Errorf("usage %+v is not that of the answer, 4 choices of 4 tokens", res.Usage)
	}
	// The budget is spent, but cached choices are free.
	if _, err := m.Do(ctx, count("", 0, 1, 2, 3)); err != nil {
		t.Error(err)
	}
	if _, err := m.Do(ctx, count("", 4)); !errors.Is(err, llm.ErrBudget) {
		t.Errorf("got %v, want the budget's end", err)
	}
}

func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls [10]atomic.Int32
		m := llm.Cached(numbered(&calls, time.Second), llm.NewMemory(1<<20))
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				events := ""
				op := count("", g%3, 3)
				op.Stream = func(e llm.Event) error { events += e.Text; return nil }
				got := strings.Join(texts(t, m, op), "")
				if want := fmt.Sprintf("choice %d, time 1choice 3, time 1", g%3); got != want || len(events) != len(want) {
					t.Errorf("got %q, events %q", got, events)
				}
			})
		}
		wg.Wait()
		for i := range 4 {
			if n := calls[i].Load(); n != 1 {
				t.Errorf("choice %d was made %d times", i, n)
			}
		}
	})
}

func TestFlightEndsWithItsLastWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopped atomic.Bool
		inner := script.New(func(llm.Op, int) script.Reply { return script.Reply{Text: "late", Delay: time.Minute} })
		m := llm.Cached(watch{inner, &stopped}, llm.NewMemory(1<<20))
		ctx1, leave1 := context.WithCancel(t.Context())
		ctx2, leave2 := context.WithCancel(t.Context())
		defer leave2()
		var wg sync.WaitGroup
		for _, ctx := range []context.Context{ctx1, ctx2} {
			wg.Go(func() {
				if _, err := m.Do(ctx, count("")); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
			synctest.Wait()
		}
		leave1()
		synctest.Wait()
		if stopped.Load() {
			t.Error("the call ended though somebody waits")
		}
		leave2()
		synctest.Wait()
		if !stopped.Load() {
			t.Error("the call goes on though nobody waits")
		}
		wg.Wait()
		// A newcomer does not join what was stopped.
		if got := texts(t, m, count("")); got[0] != "late" {
			t.Errorf("got %q", got)
		}
	})
}

type watch struct {
	llm.Model
	stopped *atomic.Bool
}

func (w watch) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	res, err := w.Model.Do(ctx, op)
	w.stopped.Store(ctx.Err() != nil)
	return res, err
}

func TestAnotherCallersBudgetIsNotMine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls [10]atomic.Int32
		m := llm.Cached(late{llm.Metered(numbered(&calls, 0), nil)}, llm.NewMemory(1<<20))
		var wg sync.WaitGroup
		wg.Go(func() {
			poor := llm.WithLedger(t.Context(), llm.NewLedger(llm.Limits{Tokens: 1}))
			if _, err := m.Do(poor, count("")); !errors.Is(err, llm.ErrBudget) {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if got := texts(t, m, count("")); got[0] != "choice 0, time 1" {
				t.Errorf("got %q", got)
			}
		})
		wg.Wait()
	})
}

type late struct{ llm.Model }

func (l late) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	time.Sleep(time.Second)
	return l.Model.Do(ctx, op)
}

func TestPartialResultIsKept(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	m := llm.Cached(script.New(func(_ llm.Op, i int) script.Reply {
		if i == 1 && down.Load() {
			return script.Failure(503, "busy")
		}
		return script.Reply{Text: "fine"}
	}), llm.NewMemory(1<<20))
	res, err := m.Do(t.Context(), count("", 0, 1, 2))
	if err == nil || len(res.Choices) != 2 {
		t.Fatalf("got %+v, %v", res, err)
	}
	down.Store(false)
	res, err = m.Do(t.Context(), count("", 0, 1, 2))
	if err != nil || !res.Choices[0].Cached || res.Choices[1].Cached || !res.Choices[2].Cached {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestMemoryForgetsTheLeastUsed(t *testing.T) {
	s := llm.NewMemory(9)
	for _, k := range []string{"a", "b", "c"} {
		s.Put(k, []byte("xx"))
	}
	s.Get("a")
	s.Put("d", []byte("xx"))
	for k, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if _, ok := s.Get(k); ok != want {
			t.Errorf("%s is there: %v", k, ok)
		}
	}
	s.Put("big", make([]byte, 100))
	if _, ok := s.Get("big"); ok {
		t.Error("a value larger than the store is kept")
	}
}

func TestRetry(t *testing.T) {
	for name, c := range map[string]struct {
		failures []script.Reply // then success
		tries    int
		waits    [2]time.Duration // the least and the most in all
		fails    bool
	}{
		"first try":         {nil, 1, [2]time.Duration{0, 0}, false},
		"two failures":      {[]script.Reply{script.Failure(500, ""), script.Failure(429, "")}, 3, [2]time.Duration{time.Second / 2, 2 * time.Second}, false},
		"asked to wait":     {[]script.Reply{{Err: &llm.APIError{Status: 429, Temporary: true, RetryAfter: 20 * time.Second}}}, 2, [2]time.Duration{20 * time.Second, 20 * time.Second}, false},
		"asked to wait 2 h": {[]script.Reply{{Err: &llm.APIError{Status: 429, Temporary: true, RetryAfter: 2 * time.Hour}}}, 1, [2]time.Duration{0, 0}, true},
		"permanent":         {[]script.Reply{script.Failure(400, "")}, 1, [2]time.Duration{0, 0}, true},
		"other errors":      {[]script.Reply{{Err: errors.New("odd")}}, 1, [2]time.Duration{0, 0}, true},
		"too many":          {[]script.Reply{script.Failure(500, ""), script.Failure(500, ""), script.Failure(500, ""), script.Failure(500, ""), script.Failure(500, "")}, 4, [2]time.Duration{time.Second, 10 * time.Second}, true},
		"in a stream":       {[]script.Reply{{Text: "a b", After: 1, Err: &llm.APIError{Temporary: true}}}, 1, [2]time.Duration{0, 0}, true},
		"before a stream":   {[]script.Reply{{Text: "a b", After: 0, Err: &llm.APIError{Temporary: true}}}, 2, [2]time.Duration{0, time.Second}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				inner := script.New(func(llm.Op, int) script.Reply {
					if n++; n <= len(c.failures) {
						return c.failures[n-1]
					}
					return script.Reply{Text: "fine"}
				})
				notified := 0
				m := llm.Retry(inner, llm.RetryOptions{Notify: func(error, time.Duration) { notified++ }})
				op := count("")
				op.Stream = func(llm.Event) error { return nil }
				start := time.Now()
				_, err := m.Do(t.Context(), op)
				if took := time.Since(start); took < c.waits[0] || took > c.waits[1] {
					t.Errorf("took %v", took)
				}
				var api *llm.APIError
				if n != c.tries || notified != n-1 || (err != nil) != c.fails {
					t.Errorf("%d tries, %d notices, %v", n, notified, err)
				}
				if c.fails && name != "other errors" && !errors.As(err, &api) {
					t.Errorf("the provider's error is lost: %v", err)
				}
			})
		})
	}
}

func TestRetryKeepsWhatWasPaidFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls [10]atomic.Int32
		inner := script.New(func(_ llm.Op, i int) script.Reply {
			if n := calls[i].Add(1); i == 1 && n < 3 {
				return script.Failure(503, "busy")
			}
			return script.Reply{Text: fmt.Sprint(i)}
		})
		got := texts(t, llm.Retry(inner, llm.RetryOptions{}), count("", 2, 1, 0))
		if strings.Join(got, "") != "210" || calls[0].Load() != 1 || calls[1].Load() != 3 {
			t.Errorf("got %v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/4)
		defer cancel()
		calls[1].Store(0)
		if res, err := llm.Retry(inner, llm.RetryOptions{}).Do(ctx, count("", 0, 1)); !errors.Is(err, context.DeadlineExceeded) || len(res.Choices) != 1 {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}

func TestRetryTellsOfEveryTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			failures []script.Reply
			want     string
			status   int // of the last
		}{
			{[]script.Reply{script.Failure(500, "a"), script.Failure(500, "a"), script.Failure(500, "a"), script.Failure(500, "a")}, "script: status 500: a (4 tries)", 500},
			{[]script.Reply{script.Failure(503, "a"), script.Failure(503, "a"), script.Failure(400, "b")}, "tries 1 to 2: script: status 503: a; try 3: script: status 400: b", 400},
			{[]script.Reply{script.Failure(400, "b")}, "script: status 400: b", 400},
		} {
			n := 0
			m := llm.Retry(script.New(func(llm.Op, int) script.Reply { n++; return c.failures[n-1] }), llm.RetryOptions{})
			_, err := m.Do(t.Context(), count(""))
			var last *llm.APIError
			if !errors.As(err, &last) || err.Error() != c.want || !strings.Contains(c.want, last.Message) || last.Status != c.status {
				t.Errorf("%v (the last: %v), want %s", err, last, c.want)
			}
		}
	})
}

func TestRecordAndReplay(t *testing.T) {
	var tape bytes.Buffer
	n := 0
	inner := script.New(func(op llm.Op, i int) script.Reply {
		switch n++; {
		case n == 2:
			return script.Reply{Err: &llm.APIError{Provider: "p", Status: 503, Message: "busy", Temporary: true, RetryAfter: time.Second, Err: errors.New("cause")}}
		case n == 4:
			return script.Reply{Err: context.Canceled}
		}
		return script.Reply{Text: fmt.Sprintf("<é> %d\xc3", n), Tokens: script.Words("a \xc3", -0.1), Raw: []byte(`{"x":"<9007199254740993>"}`)}
	}, llm.LogProbs).Named(llm.ID{Provider: "script", Name: "s", Weights: "abc"})
	rec := llm.Record(inner, &tape)
	op := count("sample", 4)
	op.Request.LogProbs = true
	type answer struct {
		res *llm.Result
		err error
	}
	var want []answer
	for range 3 {
		res, err := rec.Do(t.Context(), op)
		want = append(want, answer{res, err})
	}
	if _, err := rec.Do(t.Context(), op); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	m, err := replay.Parse("tape", append(tape.Bytes(), `{"op":"cut sho`...))
	if err != nil {
		t.Fatal(err)
	}
	if m.ID() != inner.ID() || !m.Can(llm.LogProbs) || m.Can(llm.ScoreText) {
		t.Errorf("identity %+v", m.ID())
	}
	for i, w := range append(want, want[2]) {
		res, err := m.Do(t.Context(), op)
		if d := cmp.Diff(w.res, res); d != "" || fmt.Sprint(err) != fmt.Sprint(w.err) {
			t.Errorf("answer %d: %v, want %v\n%s", i, err, w.err, d)
		}
		var a, b *llm.APIError
		if errors.As(w.err, &a) && (!errors.As(err, &b) || b.Status != a.Status || b.RetryAfter != a.RetryAfter || !b.Temporary) {
			t.Errorf("error %+v, want %+v", b, a)
		}
	}
	op.Seed = 5
	if _, err := m.Do(t.Context(), op); err == nil || !strings.Contains(err.Error(), "tape has no answer") {
		t.Errorf("got %v", err)
	}
	if err := fails(t.Context(), llm.Record(inner, brokenWriter{})); err == nil || !strings.Contains(err.Error(), "recording: disk full") {
		t.Errorf("got %v", err)
	}
}

func fails(ctx context.Context, m llm.Model) error {
	_, err := m.Do(ctx, count(""))
	return err
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestReplayConforms(t *testing.T) {
	tapes := map[string]*bytes.Buffer{}
	part := func(t *testing.T) string { _, name, _ := strings.Cut(t.Name(), "/"); return name }
	model := func() llm.Model {
		return script.New(func(op llm.Op, i int) script.Reply {
			if op.Kind == llm.Score {
				return script.Reply{Tokens: script.Words(op.Continuation, -0.5)}
			}
			return script.Reply{Text: "one two three four five", Tokens: script.Words("one two three four five", -0.5), Raw: []byte(`{"x_vendor":1}`)}
		}, llm.LogProbs, llm.ScoreText)
	}
	llmtest.Run(t, func(t *testing.T) (llm.Model, llmtest.Fixture) {
		tape := &bytes.Buffer{}
		tapes[part(t)] = tape
		rec := llm.Record(model(), tape)
		if _, err := rec.Do(t.Context(), llmtest.Question("Write the numbers from one to twelve in words.")); err != nil {
			t.Fatal(err)
		}
		return rec, llmtest.Fixture{Unknown: "x_vendor"}
	})
	t.Run("replayed", func(t *testing.T) {
		llmtest.Run(t, func(t *testing.T) (llm.Model, llmtest.Fixture) {
			name := strings.TrimPrefix(part(t), "replayed/")
			m, err := replay.Parse(name, tapes[name].Bytes())
			if err != nil {
				t.Fatal(err)
			}
			return m, llmtest.Fixture{Unknown: "x_vendor"}
		})
	})
}

func TestBadRecordings(t *testing.T) {
	for text, want := range map[string]string{
		"":             "the file is empty",
		"{":            "line 1",
		"{}\n":         "line 1: no recording",
		`{"schema":9}`: "schema version 9",
		`{"schema":1,"id":{"provider":"p","name":"n"}}` + "\n{}\n":                                                  "line 2: neither",
		`{"schema":1,"id":{"provider":"p","name":"n"}}` + "\nx\n" + `{"schema":1,"id":{"provider":"p","name":"n"}}`: "line 2",
		`{"schema":1,"id":{"provider":"p","name":"n"}}` + "\n" + `{"schema":1,"id":{"provider":"p","name":"m"}}`:    "line 2: a recording of p:m after one of p:n",
	} {
		if _, err := replay.Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func FuzzReadRecording(f *testing.F) {
	f.Add([]byte(`{"schema":1,"id":{"provider":"p","name":"n"},"can":["seed"]}` + "\n" + `{"op":"k","result":{"choices":[{"text":{"bytes":"w6k="},"raw":{}}]},"error":{"api":{"status":5}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := replay.Parse("f", b); err == nil {
			_, _ = m.Do(t.Context(), llm.Op{}) // no panic
		}
	})
}

func ExampleCached() {
	provider := script.Texts("Paris", "Lyon")
	m := llm.Cached(llm.Retry(llm.Metered(provider, nil), llm.RetryOptions{}), llm.NewMemory(64<<20))

	ledger := llm.NewLedger(llm.Limits{Calls: 10})
	ctx := llm.WithLedger(context.Background(), ledger)
	op := llm.Op{Indices: []int{0, 1}, Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: "Capital of France?"}}}}
	for range 3 {
		if _, err := m.Do(ctx, op); err != nil {
			panic(err)
		}
	}
	fmt.Println(ledger.Spent().Calls, "paid,", ledger.Spent().CachedCalls, "from the cache")
	// Output: 2 paid, 4 from the cache
}

func ExampleRecord() {
	var tape bytes.Buffer
	op := llm.Op{Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: "Capital of France?"}}}}
	ctx := context.Background()
	if _, err := llm.Record(script.Texts("Paris"), &tape).Do(ctx, op); err != nil {
		panic(err)
	}
	m, err := replay.Parse("tape", tape.Bytes())
	if err != nil {
		panic(err)
	}
	res, err := m.Do(ctx, op)
	if err != nil {
		panic(err)
	}
	fmt.Println(res.Choices[0].Text)
	// Output: Paris
}

// A ceiling of dollars is refused where it could not hold.
func TestDollarsNeedAPrice(t *testing.T) {
	m := script.Texts("x")
	ctx := llm.WithLedger(t.Context(), llm.NewLedger(llm.Limits{NanoUSD: 1e9}))
	if _, err := llm.Metered(m, nil).Do(ctx, count("")); !errors.Is(err, llm.ErrBudget) || !strings.Contains(err.Error(), "price") || m.Calls() != 0 {
		t.Errorf("got %v after %d calls", err, m.Calls())
	}
	if _, err := llm.Metered(m, &llm.Price{Input: 1}).Do(ctx, count("")); err != nil {
		t.Error(err)
	}
}
