package gnothi_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/script"

	"gnothi"
)

func TestMindIsAModel(t *testing.T) {
	const numbers = "one two three four five six seven eight nine ten"
	llmtest.Run(t, func(t *testing.T) (llm.Model, llmtest.Fixture) {
		m := script.New(func(op llm.Op, _ int) script.Reply {
			r := script.Reply{Tokens: script.Words(numbers, -0.1)}
			if op.Kind == llm.Score {
				r.Tokens = script.Words(op.Continuation, -0.2)
			}
			if strings.Contains(script.Prompt(op.Request), "slow") {
				r.Hang = true
			}
			return r
		}, llm.LogProbs, llm.ScoreText)
		slow := llmtest.Question("Be slow.")
		return newMind(t, m, gnothi.WithPolicy("direct", control.Direct())), llmtest.Fixture{Slow: &slow}
	})
}

func TestMindDeliberatesForEachChoice(t *testing.T) {
	m := witness("Lyon", "Paris", "Paris", "Lyon", "Paris")
	mind := newMind(t, m, five())
	op := llmtest.Question(question)
	op.Indices = []int{3, 0}
	var streamed []string
	op.Stream = func(e llm.Event) error { streamed = append(streamed, e.Text); return nil }
	ledger := llm.NewLedger(llm.Limits{})
	res, err := mind.Do(llm.WithLedger(t.Context(), ledger), op)
	if err != nil {
		t.Fatal(err)
	}
	for k, c := range res.Choices {
		if c.Text != "Paris" || c.Index != op.Index(k) || c.Tokens != nil {
			t.Errorf("choice %d: %+v", k, c)
		}
	}
	// What was spent is all of it, and the caller's ledger knows.
	if len(res.Choices) != 2 || m.Calls() != 10 || res.Usage.CompletionTokens != 10 || ledger.Spent().Calls != 10 {
		t.Errorf("%d calls, usage %+v, charged %+v", m.Calls(), res.Usage, ledger.Spent())
	}
	if !slices.Equal(streamed, []string{"Paris", "", "Paris", ""}) {
		t.Errorf("streamed %q", streamed)
	}
	// Deliberations of two choices draw with seeds of their own.
	if ops := m.Ops(); ops[0].Seed == ops[2].Seed {
		t.Error("two choices share a seed")
	}
	op.Stream, op.Request.LogProbs = nil, true
	if res, err := mind.Do(t.Context(), op); err != nil || len(res.Choices[0].Tokens) != 1 {
		t.Errorf("with log-probabilities: %+v, %v", res, err)
	}
}

func TestMindAsAModelKeepsToBudgets(t *testing.T) {
	op := llmtest.Question(question)
	op.Indices = llm.Range(0, 3)
	for name, m := range map[string]*gnothi.Mind{
		"the caller's": newMind(t, witness("Paris"), five()),
		"its own":      newMind(t, witness("Paris"), five(), gnothi.WithLimits(llm.Limits{Calls: 7})),
	} {
		ctx := t.Context()
		if name == "the caller's" {
			ctx = llm.WithLedger(ctx, llm.NewLedger(llm.Limits{Calls: 7}))
		}
		// Seven calls: a deliberation of five, one cut short, none for the third.
		res, err := m.Do(ctx, op)
		if !errors.Is(err, llm.ErrBudget) || res == nil || len(res.Choices) != 2 {
			t.Errorf("%s: %+v, %v; want the two that were paid for", name, res, err)
		}
	}
}

func TestMindIsAnotherModelToACache(t *testing.T) {
	inner := witness("Paris")
	direct := newMind(t, inner, gnothi.WithPolicy("direct", control.Direct()))
	keys := map[string]bool{inner.ID().Key(): true, direct.ID().Key(): true, newMind(t, inner, five()).ID().Key(): true}
	if len(keys) != 3 || direct.ID().String() != "script:witness+direct" {
		t.Errorf("keys %v, id %s", keys, direct.ID())
	}
	// A mind over a mind.
	over := newMind(t, direct, five())
	if b := ask(t, over); *b.Answer != "Paris" || b.Model != "script:witness+direct" || b.Spend.Calls != 10 {
		t.Errorf("a mind over a mind: %s for %d calls as charged at both levels", *b.Answer, b.Spend.Calls)
	}
}
