package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/monitor/likelihood"
	"gnothi/monitor/verbal"
	"gnothi/text"
)

func TestMain(m *testing.M) { llmtest.Main(m) }

// patience bounds what must not hang.
const patience = 2 * time.Minute

// fact is evidence that a test makes up; its pointer is the key.
type fact struct {
	gather func(ctx context.Context, t *monitor.Trial) (string, error)
	begun  atomic.Int32
}

func (f *fact) Gather(ctx context.Context, t *monitor.Trial) (string, error) {
	f.begun.Add(1)
	return f.gather(ctx, t)
}

func newFact(gather func(ctx context.Context, t *monitor.Trial) (string, error)) *fact {
	return &fact{gather: gather}
}

// newTrial puts a question to a model.
func newTrial(m llm.Model, kind text.Kind, l *llm.Ledger) *monitor.Trial {
	q := monitor.Question{Text: "How many strings does a bass have?", Kind: kind}
	return monitor.NewTrial(monitor.TrialOptions{Model: m, Question: q, Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: q.Text}}}, Ledger: l, Seed: 7})
}

func idle() *monitor.Trial { return newTrial(script.Texts("4"), text.Number, nil) }

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s: still waiting after %v", what, patience)
	}
}

func TestEvidenceIsGatheredOnceForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trial, release := idle(), make(chan struct{})
		f := newFact(func(context.Context, *monitor.Trial) (string, error) { <-release; return "known", nil })
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				if v, err := monitor.Get(t.Context(), trial, f); v != "known" || err != nil {
					t.Errorf("got %q, %v", v, err)
				}
			})
		}
		synctest.Wait() // until all of them have come while it is under way
		close(release)
		wg.Wait()
		if v, err := monitor.Get(t.Context(), trial, f); v != "known" || err != nil {
			t.Errorf("asked afterwards: %q, %v", v, err)
		}
		if n := f.begun.Load(); n != 1 {
			t.Errorf("gathered %d times", n)
		}
	})
}

func TestTenSignalsCostWhatTheDearestCosts(t *testing.T) {
	model := script.New(func(op llm.Op, i int) script.Reply {
		if op.Role == "judge" {
			return script.Reply{Tokens: []llm.Token{{Text: "Yes", LogProb: -0.1, Top: []llm.TopToken{{Text: "Yes", LogProb: -0.1}, {Text: "No", LogProb: -2.4}}}}}
		}
		return script.Reply{Tokens: script.Words([]string{"4", "5"}[i%2], -0.2)}
	}, llm.LogProbs)
	ledger := llm.NewLedger(llm.Limits{})
	trial := newTrial(llm.Metered(model, nil), text.Number, ledger)
	greedy, err := monitor.Get(t.Context(), trial, monitor.Greedy{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, s := range []monitor.Signal{
		consistency.Agreement(10), consistency.Agreement(3), consistency.Agreement(5), consistency.Entropy(10), consistency.Entropy(2),
		likelihood.MeanLogProb(), likelihood.MinLogProb(), likelihood.SequenceLogProb(), verbal.PTrue(), verbal.PTrue(),
	} {
		wg.Go(func() {
			if _, err := monitor.ScoreOne(t.Context(), s, trial, greedy); err != nil {
				t.Errorf("%s: %v", s.Name(), err)
			}
		})
	}
	wg.Wait()
	// One greedy answer, ten samples, one verdict.
	if n := model.Calls(); n != 12 {
		t.Errorf("the model was asked for %d choices, want 12", n)
	}
	for role, want := range map[string]int64{"answer": 1, "sample": 10, "judge": 1} {
		if got := ledger.ByRole()[role].Calls; got != want {
			t.Errorf("%d calls charged as %s, want %d", got, role, want)
		}
	}
}

func TestCancelledEvidenceIsForgotten(t *testing.T) {
	trial := idle()
	began, ended := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	f := newFact(func(ctx context.Context, _ *monitor.Trial) (string, error) {
		if !first.CompareAndSwap(false, true) {
			return "known", nil
		}
		close(began)
		<-ctx.Done()
		close(ended)
		return "", fmt.Errorf("the upstream says: %v", ctx.Err()) // an error that does not wrap the context's
	})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() { _, err := monitor.Get(ctx, trial, f); got <- err }()
	await(t, "the gathering begins", began)
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	await(t, "the gathering is cancelled", ended)
	if v, err := monitor.Get(t.Context(), trial, f); v != "known" || err != nil {
		t.Errorf("asked again: %q, %v", v, err)
	}
}

func TestGatheringEndsWithTheLastWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trial := idle()
		began, ended := make(chan struct{}), make(chan struct{})
		f := newFact(func(ctx context.Context, _ *monitor.Trial) (string, error) {
			close(began)
			<-ctx.Done()
			close(ended)
			return "", ctx.Err()
		})
		// Two waiters; the deadline of the one who came first is not the other's.
		ctx1, cancel1 := context.WithTimeout(t.Context(), time.Hour)
		defer cancel1()
		ctx2, cancel2 := context.WithCancel(t.Context())
		defer cancel2()
		got1, got2 := make(chan error, 1), make(chan error, 1)
		go func() { _, err := monitor.Get(ctx1, trial, f); got1 <- err }()
		await(t, "the gathering begins", began)
		go func() { _, err := monitor.Get(ctx2, trial, f); got2 <- err }()
		synctest.Wait() // until the second waits too
		cancel1()
		<-got1
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("the gathering ended while one still waited for it")
		default:
		}
		cancel2()
		<-got2
		await(t, "the gathering ends with the last waiter", ended)
		if n := f.begun.Load(); n != 1 {
			t.Errorf("gathered %d times", n)
		}
	})
}

func TestFailureIsRememberedAndCancellationIsNot(t *testing.T) {
	trial, broken := idle(), errors.New("broken")
	f := newFact(func(context.Context, *monitor.Trial) (string, error) { return "", broken })
	for range 3 {
		if _, err := monitor.Get(t.Context(), trial, f); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
	if n := f.begun.Load(); n != 1 {
		t.Errorf("a failure was tried %d times", n)
	}
	// A provider that calls its own trouble a cancellation must not be asked for ever.
	g := newFact(func(context.Context, *monitor.Trial) (string, error) { return "", context.Canceled })
	if _, err := monitor.Get(t.Context(), trial, g); !errors.Is(err, context.Canceled) || g.begun.Load() != 1 {
		t.Errorf("got %v after %d tries", err, g.begun.Load())
	}
	if _, err := monitor.Get(t.Context(), trial, g); !errors.Is(err, context.Canceled) || g.begun.Load() != 2 {
		t.Errorf("asked again: %v after %d tries", err, g.begun.Load())
	}
}

func TestWhoHasLeftStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := newFact(func(context.Context, *monitor.Trial) (string, error) { return "known", nil })
	if _, err := monitor.Get(ctx, idle(), f); !errors.Is(err, context.Canceled) || f.begun.Load() != 0 {
		t.Errorf("got %v after %d tries", err, f.begun.Load())
	}
}

func TestCancellationReachesEvidenceBelow(t *testing.T) {
	trial := idle()
	began, ended := make(chan struct{}), make(chan struct{})
	below := newFact(func(ctx context.Context, _ *monitor.Trial) (string, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return "", ctx.Err()
	})
	above := newFact(func(ctx context.Context, trial *monitor.Trial) (string, error) { return monitor.Get(ctx, trial, below) })
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() { _, err := monitor.Get(ctx, trial, above); got <- err }()
	await(t, "the lower gathering begins", began)
	cancel()
	<-got
	await(t, "the lower gathering is cancelled", ended)
}

func TestEvidenceThatAsksForItself(t *testing.T) {
	ask := func(f **fact) func(context.Context, *monitor.Trial) (string, error) {
		return func(ctx context.Context, trial *monitor.Trial) (string, error) { return monitor.Get(ctx, trial, *f) }
	}
	var direct, one, two, three, inner, outer *fact
	direct = newFact(ask(&direct))
	one, two, three = newFact(ask(&two)), newFact(ask(&three)), newFact(ask(&one))
	// Through a child trial, whose memo is its own.
	inner = newFact(nil)
	outer = newFact(func(ctx context.Context, trial *monitor.Trial) (string, error) {
		inner.gather = func(ctx context.Context, _ *monitor.Trial) (string, error) { return monitor.Get(ctx, trial, outer) }
		return monitor.Get(ctx, trial.Child("inner", 0, nil, llm.Request{}), inner)
	})
	for name, f := range map[string]*fact{"direct": direct, "through others": one, "through a child": outer} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := monitor.Get(ctx, idle(), f)
			if err == nil || !strings.Contains(err.Error(), "asks for itself") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestEvidenceThatWaitsCrosswise(t *testing.T) {
	for range 50 {
		trial := idle()
		var a, b *fact
		both := make(chan struct{})
		var begun atomic.Int32
		meet := func(other **fact) func(context.Context, *monitor.Trial) (string, error) {
			return func(ctx context.Context, trial *monitor.Trial) (string, error) {
				if begun.Add(1) == 2 {
					close(both)
				}
				<-both
				return monitor.Get(ctx, trial, *other)
			}
		}
		a, b = newFact(meet(&b)), newFact(meet(&a))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		errs := make(chan error, 2)
		for _, f := range []*fact{a, b} {
			go func() { _, err := monitor.Get(ctx, trial, f); errs <- err }()
		}
		for range 2 {
			if err := <-errs; err == nil || !strings.Contains(err.Error(), "asks for itself") {
				t.Errorf("got %v", err)
			}
		}
		cancel()
	}
}

func TestDiamondIsNoCircle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trial := idle()
		bottom := newFact(func(context.Context, *monitor.Trial) (string, error) {
			time.Sleep(time.Millisecond) // until both wait for it
			return "known", nil
		})
		through := func() *fact {
			return newFact(func(ctx context.Context, trial *monitor.Trial) (string, error) {
				return monitor.Get(ctx, trial, bottom)
			})
		}
		left, right := through(), through()
		top := newFact(func(ctx context.Context, trial *monitor.Trial) (string, error) {
			var wg sync.WaitGroup
			var values [2]string
			for i, f := range []*fact{left, right} {
				wg.Go(func() { values[i], _ = monitor.Get(ctx, trial, f) })
			}
			wg.Wait()
			return values[0] + values[1], nil
		})
		if v, err := monitor.Get(t.Context(), trial, top); v != "knownknown" || err != nil || bottom.begun.Load() != 1 {
			t.Errorf("got %q, %v; the bottom was gathered %d times", v, err, bottom.begun.Load())
		}
	})
}

func TestMemoDoesNotSpanChildren(t *testing.T) {
	trial := idle()
	f := newFact(func(context.Context, *monitor.Trial) (string, error) { return "known", nil })
	for _, tr := range []*monitor.Trial{trial, trial.Child("a", 0, nil, llm.Request{}), trial.Child("a", 1, nil, llm.Request{})} {
		if _, err := monitor.Get(t.Context(), tr, f); err != nil {
			t.Error(err)
		}
	}
	if n := f.begun.Load(); n != 3 {
		t.Errorf("three trials gathered %d times", n)
	}
}
