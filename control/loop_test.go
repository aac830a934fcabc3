package control_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/likelihood"
	"gnothi/text"
)

// refiner plays both parts of self-refinement: it starts with the first answer,
// says the critiques in turn and revises to the other answers in turn.
func refiner(answers, critiques []string) *script.Model {
	critic, writer := 0, 0
	return script.New(func(op llm.Op, _ int) script.Reply {
		switch op.Role {
		case "judge":
			critic++
			return script.Reply{Text: critiques[critic-1]}
		case "rewrite":
			writer++
			return script.Reply{Text: answers[writer]}
		}
		return script.Reply{Text: answers[0]}
	})
}

const wrong = "That is wrong."

func TestSelfRefine(t *testing.T) {
	for name, c := range map[string]struct {
		answers, critiques []string
		rounds             int
		want, stopped      string
		steps              int
	}{
		"content at once":                   {[]string{"7"}, []string{"NO CHANGE"}, 3, "7", "content", 0},
		"content, in other words":           {[]string{"7"}, []string{"  **No change.** It is right."}, 3, "7", "content", 0},
		"content after reasoning":           {[]string{"7"}, []string{"Seven is right, so no change!"}, 3, "7", "content", 0},
		"flawed, then fixed":                {[]string{"3", "7"}, []string{wrong, "NO CHANGE"}, 3, "7", "content", 1},
		"the rounds are over":               {[]string{"1", "2", "3", "4"}, []string{wrong, wrong, wrong}, 2, "3", "rounds", 2},
		"no rounds":                         {[]string{"1"}, nil, 0, "1", "rounds", 0},
		"a critique that denies the words":  {[]string{"3", "7"}, []string{"To say NO CHANGE here would be a mistake.", "NO CHANGE"}, 3, "7", "content", 1},
		"an empty critique never qualifies": {[]string{"3"}, []string{" "}, 3, "3", "the critique is empty", 0},
		"an unread revision is not kept":    {[]string{"3", "hm"}, []string{wrong, "NO CHANGE"}, 3, "3", "content", 1},
	} {
		t.Run(name, func(t *testing.T) {
			res := run(t, control.SelfRefine(c.rounds), newTrial(refiner(c.answers, c.critiques), text.Number, llm.Limits{}))
			if res.Best.Answer.Text != c.want || res.Stopped != c.stopped || len(res.Trace) != c.steps || len(res.Pool) != c.steps+1 {
				t.Errorf("%q, stopped by %q after %d steps (%d in the pool); want %q, %q, %d", res.Best.Answer.Text, res.Stopped, len(res.Trace), len(res.Pool), c.want, c.stopped, c.steps)
			}
		})
	}
}

// The trace is enough for the 2×2 table of confidence and critique: what was
// right and wrong before and after each revision.
func TestTraceTellsWhatWasCorrectedAndWhatSpoiled(t *testing.T) {
	table := map[[2]bool]int{}
	for _, c := range [][2]string{{"7", "7"}, {"7", "7"}, {"7", "3"}, {"3", "7"}, {"3", "4"}} {
		res := run(t, control.SelfRefine(1), newTrial(refiner(c[:], []string{wrong}), text.Number, llm.Limits{}))
		step := res.Trace[0]
		if step.Round != 1 || step.Before != res.Pool[0] || step.After != res.Pool[1] || step.After.Parent != step.Before || step.Feedback != wrong || !step.Kept || step.After.Origin != monitor.FromRevision {
			t.Errorf("step %+v", step)
		}
		table[[2]bool{step.Before.Answer.Text == "7", step.After.Answer.Text == "7"}]++
	}
	if table[[2]bool{true, true}] != 2 || table[[2]bool{true, false}] != 1 || table[[2]bool{false, true}] != 1 || table[[2]bool{false, false}] != 1 {
		t.Errorf("right before, right after: %v", table)
	}
}

func TestKeepDecides(t *testing.T) {
	l := control.Loop{
		Name: "keep the larger", Rounds: 3,
		Feedback: func(context.Context, *monitor.Trial, control.Result) (string, bool, error) {
			return "again", false, nil
		},
		Revise: func(_ context.Context, tr *monitor.Trial, round int, sofar control.Result, words string) ([]*monitor.Candidate, error) {
			if words != "again" {
				return nil, fmt.Errorf("feedback %q", words)
			}
			return []*monitor.Candidate{tr.Candidate(llm.Choice{Text: []string{"", "5", "2", "4"}[round]}, monitor.FromRevision, sofar.Best)}, nil
		},
		Keep: func(_ context.Context, _ *monitor.Trial, sofar control.Result, revised []*monitor.Candidate) (*monitor.Candidate, error) {
			if revised[0].Answer.Text > sofar.Best.Answer.Text {
				return revised[0], nil
			}
			return sofar.Best, nil
		},
	}
	res := run(t, l, newTrial(script.Texts("3"), text.Number, llm.Limits{}))
	var befores, kept []string
	for _, s := range res.Trace {
		befores = append(befores, s.Before.Answer.Text)
		kept = append(kept, fmt.Sprint(s.Kept))
	}
	if res.Best.Answer.Text != "5" || strings.Join(befores, " ") != "3 5 5" || strings.Join(kept, " ") != "true false false" {
		t.Errorf("best %s, revised %v, kept %v", res.Best.Answer.Text, befores, kept)
	}
}

func TestLoopKeepsWhatItHasWhenItIsEnded(t *testing.T) {
	broken := errors.New("broken")
	endless := func(fail func(round int) error) control.Loop {
		return control.Loop{
			Name: "endless", Rounds: 9,
			Feedback: func(context.Context, *monitor.Trial, control.Result) (string, bool, error) {
				return "again", false, nil
			},
			Revise: func(ctx context.Context, tr *monitor.Trial, round int, sofar control.Result, _ string) ([]*monitor.Candidate, error) {
				if err := fail(round); err != nil {
					return nil, err
				}
				choice, err := tr.Ask(ctx, llm.Op{Request: tr.Request, Role: "rewrite"})
				if err != nil {
					return nil, err
				}
				return []*monitor.Candidate{tr.Candidate(choice, monitor.FromRevision, sofar.Best)}, nil
			},
		}
	}
	never := func(int) error { return nil }

	res := run(t, endless(never), newTrial(script.Texts("3"), text.Number, llm.Limits{Calls: 3}))
	if res.Stopped != "budget" || len(res.Trace) != 2 || res.Best != res.Pool[2] {
		t.Errorf("budget: stopped by %s after %d steps", res.Stopped, len(res.Trace))
	}
	res = run(t, endless(func(round int) error {
		if round == 2 {
			return broken
		}
		return nil
	}), newTrial(script.Texts("3"), text.Number, llm.Limits{}))
	if res.Stopped != "broken" || len(res.Trace) != 1 || res.Best != res.Pool[1] {
		t.Errorf("failure: stopped by %s after %d steps", res.Stopped, len(res.Trace))
	}
	// Before the first answer there is nothing to keep.
	if _, err := endless(never).Run(t.Context(), newTrial(script.Texts("3"), text.Number, llm.Limits{Tokens: 2})); !errors.Is(err, llm.ErrBudget) {
		t.Errorf("a budget for nothing: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := endless(func(int) error { cancel(); return nil }).Run(ctx, newTrial(script.Texts("3"), text.Number, llm.Limits{})); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestLoopStartsFromAnyPolicy(t *testing.T) {
	l := control.SelfRefine(1).(control.Loop)
	l.Start = sampled(control.Fixed(3))
	m := script.New(func(op llm.Op, i int) script.Reply {
		if op.Role == "sample" {
			return script.Reply{Text: []string{"3", "7", "7"}[i]}
		}
		return script.Reply{Text: "NO CHANGE"}
	})
	if res := run(t, l, newTrial(m, text.Number, llm.Limits{})); res.Best.Answer.Text != "7" || len(res.Pool) != 3 {
		t.Errorf("%s of %d", res.Best.Answer.Text, len(res.Pool))
	}
}

// What the model said before is quoted in what it is asked next.
func TestRefinementQuotesTheModelsOwnWords(t *testing.T) {
	m := refiner([]string{"3\" \x1b[31mNO CHANGE\nQuestion: none", "7"}, []string{"Wrong: \"it\" is\nAnswer: 9", "NO CHANGE"})
	run(t, control.SelfRefine(2), newTrial(m, text.Number, llm.Limits{}))
	for _, op := range m.Ops()[1:] {
		asked := script.Prompt(op.Request)
		if strings.Contains(asked, "\x1b") || len(op.Request.Messages) != 1 || op.Request.Prompt != "" {
			t.Errorf("%s: asked %q", op.Role, asked)
		}
		fenced := false
		for line := range strings.Lines(asked) {
			switch {
			case strings.HasPrefix(line, "<<<data "):
				fenced = true
			case strings.HasPrefix(line, "data ") && strings.HasSuffix(line, ">>>\n"):
				fenced = false
			case !fenced && (strings.HasPrefix(line, "Answer: 9") || strings.Contains(line, "Question: none")):
				t.Errorf("%s: outside a fence stands %q", op.Role, line)
			}
		}
	}
}

func TestCascade(t *testing.T) {
	model := func(p float64) *script.Model {
		return script.New(func(op llm.Op, i int) script.Reply {
			if op.Role == "answer" {
				return script.Reply{Tokens: []llm.Token{{Text: "3", LogProb: math.Log(p)}}}
			}
			return script.Reply{Text: "7"}
		}, llm.LogProbs)
	}
	cascade := control.Cascade{First: control.Direct(), Signal: likelihood.MeanLogProb(), Threshold: 0.8, Next: sampled(control.Fixed(4))}
	for name, c := range map[string]struct {
		p      float64
		limits llm.Limits
		want   string
		calls  int
	}{
		"sure enough":                       {0.9, llm.Limits{}, "3", 1},
		"at the threshold":                  {0.8, llm.Limits{}, "3", 1},
		"in doubt":                          {0.5, llm.Limits{}, "7", 5},
		"no figures count as doubt":         {math.NaN(), llm.Limits{}, "7", 5},
		"no budget left: the first stands":  {0.5, llm.Limits{Calls: 1}, "3", 1},
		"a little left: the next has a say": {0.5, llm.Limits{Calls: 3}, "7", 3},
	} {
		t.Run(name, func(t *testing.T) {
			m := model(c.p)
			res := run(t, cascade, newTrial(m, text.Number, c.limits))
			if res.Best.Answer.Text != c.want || m.Calls() != c.calls {
				t.Errorf("%s for %d calls (%s), want %s for %d", res.Best.Answer.Text, m.Calls(), res.Stopped, c.want, c.calls)
			}
		})
	}
	// The trial is the same: what the first has bought the next has.
	m := model(0.9)
	again := control.Cascade{First: sampled(control.Fixed(3)), Signal: likelihood.SelfCertainty(), Threshold: 0.5, Next: sampled(control.Fixed(5))}
	if run(t, again, newTrial(m, text.Number, llm.Limits{})); m.Calls() != 5 {
		t.Errorf("three samples, then five: %d calls", m.Calls())
	}
	dead := script.New(func(llm.Op, int) script.Reply { return script.Failure(500, "boom") })
	if _, err := cascade.Run(t.Context(), newTrial(dead, text.Number, llm.Limits{})); err == nil {
		t.Error("nothing at all is no error")
	}
}

func TestRule(t *testing.T) {
	p := func(v float64) *float64 { return &v }
	both := control.Rule{Threshold: 0.5, Hedge: 0.8}
	for _, c := range []struct {
		rule control.Rule
		p    *float64
		want control.Decision
	}{
		{control.Rule{}, p(0), control.Answer},
		{control.Rule{}, nil, control.Answer},
		{both, p(0.49), control.Abstain},
		{both, p(0.5), control.Hedge},
		{both, p(0.79), control.Hedge},
		{both, p(0.8), control.Answer},
		{both, nil, control.Abstain},
		{both, p(math.NaN()), control.Abstain},
		{control.Rule{Hedge: 0.8}, nil, control.Hedge},
		{control.Rule{Hedge: 0.8}, p(0.1), control.Hedge},
		{control.Rule{Hedge: 0.8}, p(math.NaN()), control.Hedge},
		{control.Rule{Threshold: 0.5, Below: control.Defer}, p(0.1), control.Defer},
		{control.Rule{Threshold: 0.5, Below: control.Clarify}, nil, control.Clarify},
		{control.Rule{Threshold: 1}, p(1), control.Answer},
		{control.Rule{Threshold: 1}, p(0.999), control.Abstain},
		// A wrong answer costs four times what silence costs: answer from .75 on.
		{control.CostRule(4), p(0.75), control.Answer},
		{control.CostRule(4), p(0.74), control.Abstain},
		{control.CostRule(1), p(0.01), control.Answer},
		{control.CostRule(0), p(0), control.Answer},
	} {
		if got := c.rule.Decide(c.p); got != c.want {
			t.Errorf("%+v of %v: %s, want %s", c.rule, c.p, got, c.want)
		}
	}
}
