package gnothi_test

import (
	"context"
	"fmt"

	"gnothi"
	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
)

// Ask a model; here one whose replies are written down. With a real one, only
// the first line differs.
func ExampleMind_Ask() {
	model := llm.Metered(script.Texts("Paris", "Paris", "Lyon", "Paris", "Paris"), nil)
	mind, err := gnothi.New(model, gnothi.WithPolicy("five samples", control.Vote{
		Sampler: control.Independent{Sampling: monitor.DefaultSampling},
		Stop:    control.Fixed(5),
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	belief, err := mind.Ask(context.Background(), gnothi.Question{Text: "What is the capital of France?"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(*belief.Answer, "for", belief.Spend.Calls, "calls")
	for _, s := range belief.Signals {
		if s.Name == "consistency/agreement" {
			fmt.Printf("%.0f of %d samples agree\n", s.Raw, s.Reads)
		}
	}
	for _, a := range belief.Alternatives {
		fmt.Println("or perhaps", a.Answer)
	}
	// Output:
	// Paris for 5 calls
	// 4 of 5 samples agree
	// or perhaps Lyon
}
