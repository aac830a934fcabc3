package control_test

import (
	"context"
	"fmt"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/text"
)

// Self-consistency that stops as soon as the leading answer is settled.
func ExampleVote() {
	model := script.Texts("3", "7", "It is 7.", "7", "seven", "7.0", "7", "7", "3")
	trial := monitor.NewTrial(monitor.TrialOptions{
		Model:    model,
		Question: monitor.Question{Text: "How many?", Kind: text.Number},
		Request:  llm.Request{Prompt: "How many?"},
		Seed:     1,
	})
	vote := control.Vote{
		Sampler: control.Independent{Sampling: monitor.DefaultSampling},
		Stop:    control.Settled{Conf: 0.95, Max: 40},
	}
	res, err := vote.Run(context.Background(), trial)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("answer", res.Best.Answer.Text, "after", model.Calls(), "samples")
	for _, c := range res.Classes {
		fmt.Println(c.Answer.Text, len(c.Members))
	}
	// Output:
	// answer 7 after 7 samples
	// 7 6
	// 3 1
}
