package control_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/local"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/likelihood"
	"gnothi/monitor/prompt"
	"gnothi/monitor/verbal"
)

// realModel opens the default model, or skips.
func realModel(t *testing.T) llm.Model {
	t.Helper()
	if testing.Short() {
		t.Skip("asks a real model")
	}
	path := os.Getenv("GNOTHI_TEST_MODEL")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		path = filepath.Join(cache, "gnothi", "models", "smollm2-135m.gguf")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("the default model is not here: gnothi model pull smollm2-135m")
	}
	m, err := local.Open(local.File{Path: path, Name: "smollm2-135m"}, local.Options{Constant: []string{prompt.ShotsPrefix()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return llm.Metered(m, nil)
}

// terse keeps a model's replies short, for the sake of time, and counts what is
// asked in vain.
type terse struct {
	llm.Model
	late *atomic.Int32 // calls after their context had ended
}

func (m terse) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	if ctx.Err() != nil {
		m.late.Add(1)
	}
	op.Request.MaxTokens = min(op.Request.MaxTokens, 24)
	return m.Model.Do(ctx, op)
}

// Every policy on the real model: it answers, keeps its budget, and stops at
// once when it is cancelled. Whether it answers well is not for this size.
func TestPoliciesOnTheRealModel(t *testing.T) {
	m := terse{realModel(t), new(atomic.Int32)}
	policies := map[string]control.Policy{
		"reflect-retry by P(True)": control.ReflectRetry(&control.Verifier{Signal: verbal.PTrue(), At: 0.9}, "advice", 1),
		"cot-decoding":             control.CoTDecoding(4, likelihood.AnswerSpanGap()),
		"deepening":                control.Vote{Stop: control.Fixed(1), Sampler: control.Deepening{Sampling: monitor.DefaultSampling, Start: 16, Growth: 2, Max: 48}},
		"self-verify":              control.SelfVerify(2, 1),
		"tournament":               control.Tournament(3, (&judge.Judge{}).Duel),
		"step-search":              control.StepSearch(2, (&judge.Judge{}).Duel),
	}
	maps.Copy(policies, loops())
	q := monitor.Question{Text: "Who wrote the play Hamlet?"}
	ask := func(ctx context.Context, p control.Policy, limits llm.Limits) (control.Result, *monitor.Trial, error) {
		req := prompt.ShotsRaw.Request(q)
		trial := monitor.NewTrial(monitor.TrialOptions{Model: m, Question: q, Request: req, Ledger: llm.NewLedger(limits), Seed: 1})
		res, err := p.Run(ctx, trial)
		return res, trial, err
	}
	for name, p := range policies {
		t.Run(name, func(t *testing.T) {
			const calls, tokens = 5, 6000
			res, trial, err := ask(t.Context(), p, llm.Limits{Calls: calls, Tokens: tokens})
			if spent := trial.Ledger.Spent(); spent.Calls > calls || spent.Tokens() > tokens {
				t.Errorf("spent %+v", spent)
			}
			if err != nil && !errors.Is(err, llm.ErrBudget) || err == nil && (res.Best == nil || res.Stopped == "") {
				t.Errorf("%+v, stopped by %q, %v", res.Best, res.Stopped, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			m.late.Store(0)
			if _, _, err := ask(ctx, p, llm.Limits{}); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("cancelled: %v", err)
			}
			if n := m.late.Load(); n > 2 {
				t.Errorf("%d calls after the context had ended", n)
			}
		})
	}
}

// The measure of summaries in full: with the whole vocabulary shown, on the real
// model, a list of the answers tells all that they do, and a wrong summary less
// than an honest one.
func TestFaithfulnessOnTheRealModel(t *testing.T) {
	m := realModel(t)
	answers := []string{"Paris", "Paris", "Lyon"}
	measure := func(summary string) float64 {
		w, err := control.Faithfulness(t.Context(), m, "Which city hosts the fair?", summary, answers, []string{"Paris"}, 1<<17)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	list, honest, wrong := measure("x_1 = 'Paris'\nx_2 = 'Paris'\nx_3 = 'Lyon'"), measure("Most likely Paris, it could also be Lyon"), measure("Most likely Oslo")
	if list > 1e-9 || !(honest > 0 && honest < wrong && wrong <= 2) {
		t.Errorf("the list %v, honest %v, wrong %v", list, honest, wrong)
	}
}
