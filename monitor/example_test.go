package monitor_test

import (
	"context"
	"fmt"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
)

// Distinct is evidence of how many different answers N samples give. Its value
// is the key under which the trial remembers it.
type Distinct struct{ N int }

// Gather implements monitor.Evidence.
func (d Distinct) Gather(ctx context.Context, t *monitor.Trial) (int, error) {
	cs, err := t.Samples(ctx, monitor.DefaultSampling, d.N)
	if err != nil {
		return 0, err
	}
	seen := map[string]bool{}
	for _, c := range cs {
		seen[c.Key] = true
	}
	return len(seen), nil
}

// Evidence of one's own is a comparable type with a method; whoever asks for it,
// and however often, it is gathered once.
func ExampleGet() {
	model := script.Texts("Paris", "Paris", "Lyon", "paris")
	trial := monitor.NewTrial(monitor.TrialOptions{Model: model, Request: llm.Request{Prompt: "The capital of France?"}, Seed: 1})
	for range 3 {
		n, err := monitor.Get(context.Background(), trial, Distinct{N: 4})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(n, "answers for", model.Calls(), "calls")
	}
	// Output:
	// 2 answers for 4 calls
	// 2 answers for 4 calls
	// 2 answers for 4 calls
}
