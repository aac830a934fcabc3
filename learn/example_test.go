package learn_test

import (
	"context"
	"fmt"

	"gnothi/learn"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
)

// Samples of a question whose answer is known become a ranking and pairs.
func Example() {
	model := script.Texts("Lyon", "Paris", "Lyon")
	p := learn.Prompt{ID: "1", Question: "What is the capital of France?", Answers: []string{"Paris"}}
	q := p.Trial() // a trial never sees the answers
	made, err := learn.SelfMotivated(3, false).Run(context.Background(), monitor.NewTrial(monitor.TrialOptions{
		Model: model, Question: q, Request: prompt.Chat.Request(q), Seed: 1,
	}), p)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range made.Rows {
		if r.Kind == learn.Pair {
			fmt.Println(r.Chosen, "over", r.Rejected)
		}
	}
	// Output: Paris over Lyon
}
