package catalog_test

import (
	"fmt"

	"gnothi/catalog"
)

func ExampleFind() {
	p, _ := catalog.Find("self-consistency")
	fmt.Printf("%s (paper %d, tier %s): %s\n", p.Title, p.Number, p.Tier, p.State)
	if _, ok := catalog.Find("metamimd"); !ok {
		fmt.Println("did you mean", catalog.NearestPaper("metamimd")+"?")
	}
	// Output:
	// Self-Consistency Improves Chain of Thought Reasoning in Language Models (paper 104, tier A): works
	// did you mean metamind?
}
