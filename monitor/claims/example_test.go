package claims_test

import (
	"context"
	"fmt"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/claims"
)

// A text that came from elsewhere is held against a context.
func ExampleSupports() {
	model := script.Texts("1: Yes\n2: No") // any llm.Model
	trial := monitor.NewTrial(monitor.TrialOptions{Model: model, Question: monitor.Question{Context: "The bridge was opened in 1931."}, Seed: 1})
	answer := trial.Candidate(llm.Choice{Text: "It was opened in 1931. It is made of glass."}, monitor.FromOutside, nil)
	report, err := monitor.Get(context.Background(), trial, claims.Supports{Candidate: answer, Source: claims.Context{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, s := range report.Supports {
		fmt.Printf("%s %s %.0f\n", report.Claims[i].Text, s.Status, s.Score)
	}
	// Output:
	// It was opened in 1931. checked 1
	// It is made of glass. checked 0
}

// The symbolic agent of SelfCheckAgent: a word that the samples lack is a surprise.
func ExampleUnigram() {
	u := claims.NewUnigram(1, "Ada wrote programs.", "Ada wrote notes.", "Ada wrote operas.")
	known, _, _ := u.Surprise("Ada wrote notes.")
	made, _, _ := u.Surprise("Ada wrote sermons.")
	fmt.Println(made > known)
	// Output: true
}
