package judge_test

import (
	"context"
	"fmt"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/judge"
)

// A judge that always takes what is shown first has no verdict left once both
// orders are asked, and its bias is counted.
func ExampleJudge_Compare() {
	model := script.FirstOf("Verdict: A", "Verdict: B")
	t := monitor.NewTrial(monitor.TrialOptions{Model: model, Question: monitor.Question{Text: "What is the capital of France?"}, Seed: 1})
	paris := t.Candidate(llm.Choice{Text: "Paris"}, monitor.FromOutside, nil)
	lyon := t.Candidate(llm.Choice{Text: "Lyon"}, monitor.FromOutside, nil)

	c, err := new(judge.Judge).Compare(context.Background(), t, paris, lyon)
	var tally judge.Tally
	tally.Compared(c, err)
	fmt.Println(c.Outcome, c.Agree, err)
	fmt.Println("position bias", tally.Bias().Position.Value)
	// Output:
	// 0.5 false <nil>
	// position bias 1
}

// A rating is the mean of an odd number of votes.
func ExampleJudge_Rate() {
	model := script.Texts("Verdict: 4", "Verdict: 5", "Verdict: 3/5")
	t := monitor.NewTrial(monitor.TrialOptions{Model: model, Question: monitor.Question{Text: "What is the capital of France?"}, Seed: 1})
	r, err := (&judge.Judge{Votes: 3}).Rate(context.Background(), t, t.Candidate(llm.Choice{Text: "Paris"}, monitor.FromOutside, nil))
	fmt.Println(r.Score, r.Unit, r.Votes, err)
	// Output: 4 0.75 [4 5 3] <nil>
}

// Self-preference is what a judge gives its own beyond what a panel gives it.
func ExampleSelfPreference() {
	items := []judge.Judged{
		{Own: true, Score: 1, Panel: []float64{1, 1, 0}},
		{Own: true, Score: 1, Panel: []float64{0, 0, 1}},
		{Own: false, Score: 0.5, Panel: []float64{0.5, 0.5, 0.5}},
	}
	dbg, err := judge.SelfPreference(seeded(1), items)
	fmt.Println(dbg.Own.Value, dbg.Others.Value, err)
	// Output: 0.5 0 <nil>
}
