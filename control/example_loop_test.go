package control_test

import (
	"context"
	"fmt"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// A method of correction is its templates and one literal: here a model is
// asked for a unit of measure that its answer lacks.
func ExampleLoop() {
	model := script.New(func(op llm.Op, _ int) script.Reply {
		return script.Reply{Text: map[string]string{"answer": "300", "judge": "It has no unit.", "rewrite": "300 km"}[op.Role]}
	})
	critic := control.Ask{Role: "judge", Template: prompt.Template{Name: "unit", Version: 1, Text: "Question: {question}\nAnswer: {answer}\nWhat does the answer lack? If nothing, say Complete."}}
	writer := control.Ask{Role: "rewrite", Template: prompt.Template{Name: "with-unit", Version: 1, Text: "Question: {question}\nAnswer: {answer}\nIt lacks: {feedback}\nWrite it again."}}
	units := control.Loop{
		Name:     "units " + critic.Template.ID() + " " + writer.Template.ID(),
		Feedback: critic.Feedback(func(words string) bool { return words == "Complete." }),
		Revise:   writer.Reviser(),
		Rounds:   1,
	}
	trial := monitor.NewTrial(monitor.TrialOptions{Model: model, Question: monitor.Question{Text: "How far is it?", Kind: text.Number}, Request: llm.Request{Prompt: "How far is it?"}, Seed: 1})
	res, err := units.Run(context.Background(), trial)
	if err != nil {
		fmt.Println(err)
		return
	}
	step := res.Trace[0]
	fmt.Printf("%s → %s, because: %s changed: %v\n", step.Before.Text, res.Best.Text, step.Feedback, step.Changed())
	// Output: 300 → 300 km, because: It has no unit. changed: true
}
