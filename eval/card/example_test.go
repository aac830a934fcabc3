package card_test

import (
	"context"
	"fmt"
	"os"

	"gnothi/eval/card"
	"gnothi/llm"
	"gnothi/llm/script"
)

// A card of a model that always says the same, within two hundred calls.
func ExampleMake() {
	m := llm.Metered(script.Texts("Answer: 100"), nil)
	dir, err := os.MkdirTemp("", "card")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	plan, err := card.NewPlan(m, "script:same", 1, llm.Limits{Calls: 200}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := card.Make(context.Background(), plan, m, card.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, g := range c.Groups {
		for _, r := range g.Rows {
			if r.ID == "unanswerable" {
				fmt.Printf("%s: %s (%s). %s\n", r.Title, r.Value(), r.Interval(), r.Says)
			}
		}
	}
	// Output:
	// Answers what cannot be answered: 100 % (74 % to 100 %). It makes up an answer to 100 % of the questions that have none.
}
