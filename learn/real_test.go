package learn_test

import (
	"errors"
	"testing"
	"time"

	"gnothi/learn"
	"gnothi/learn/countdown"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// Every recipe runs on the real model: it makes rows, or says what it dropped.
// Its judgements are worth nothing at this size; this proves the plumbing.
func TestRecipesOnTheRealModel(t *testing.T) {
	m := realModel(t)
	short := func(j judge.Judge) *judge.Judge {
		j.MaxTokens = 24
		return one(j)
	}
	rating := &judge.Judge{Low: 0, High: 5, Rubric: judge.Additive, Votes: 3, MaxTokens: 12}
	yes, score := true, 4.0
	times := learn.Prompt{Question: "What is 7 times 8?", Answers: []string{"56"}, Response: "It is 56, I think.", Score: &score}
	puzzle := countdown.Puzzle{Numbers: []int{3, 5, 7}, Target: 22}
	game := learn.Prompt{Question: puzzle.String(), Countdown: &puzzle}
	reward := learn.AnypreferReward()
	for _, c := range []struct {
		r learn.Recipe
		p learn.Prompt
	}{
		{learn.MetaRewarding(2, 0, rating, short(judge.Judge{})), times},
		{learn.SelfReference(2, 0, short(learn.SelfReferenceJudge())), times},
		{learn.OnlyPrompting(1), times},
		{learn.SelfRationalization(1, 2, rating), times},
		{learn.SelfMotivated(4, false), times},
		{learn.CoMAS(2, 1, short(learn.CoMASJudge())), times},
		{learn.Anyprefer(2, 1, .5, short(learn.AnypreferJudge()), short(reward)), times},
		{learn.MultiReward(1, 4, short(learn.Plausibility())), times},
		{learn.Counsellors(2, short(learn.CounsellorJudge())), times},
		{learn.SelfPlay(2, short(judge.Judge{})), times},
		{learn.ProcessSelfRewarding(2, 1, short(judge.Judge{})), times},
		{learn.BStar(3, []float64{.5, 1}, 2), times},
		{learn.SelfFeedback(4, .1), times},
		{learn.SelfImproving(2, true, short(judge.Judge{})), game},
		{learn.Sharpening(4), times},
		{learn.LanguageFeedback(1), times},
		{learn.ReflectRetry(1), game},
		{learn.ThinkTuning(2, .5), times},
		{learn.KnowRL(2), learn.Prompt{Question: "Translate a sentence into French.", Feasible: &yes}},
		{learn.FineGrained(1), times},
	} {
		t.Run(c.r.Name, func(t *testing.T) {
			began := time.Now()
			c.p.ID, c.p.Kind = "1", text.Free
			q := c.p.Trial()
			form, _ := prompt.Select("auto", m, q)
			req := form.Request(q)
			req.MaxTokens = 32
			// To reach the ceiling is an outcome, too, and keeps the test short.
			ledger := llm.NewLedger(llm.Limits{Calls: 16})
			made, err := c.r.Run(t.Context(), monitor.NewTrial(monitor.TrialOptions{Model: m, Question: q, Request: req, Ledger: ledger, Seed: 1}), c.p)
			if err != nil && !errors.Is(err, llm.ErrBudget) {
				t.Fatal(err)
			}
			tally := learn.NewTally(c.r, m)
			tally.Add(made)
			rows := tally.Choose(c.r, made.Rows)
			for _, r := range rows {
				if err := r.Check(); err != nil {
					t.Errorf("%v: %+v", err, r)
				}
				tally.Row(r)
			}
			report := tally.Report(ledger)
			if len(rows) == 0 && len(report.Dropped) == 0 && report.Budget == 0 {
				t.Error("nothing came of it, and nothing says why")
			}
			t.Logf("%v in %v, dropped %v, %d calls", report.Rows, time.Since(began).Round(time.Millisecond), report.Dropped, report.Spend.Calls)
		})
	}
}
