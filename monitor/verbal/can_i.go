package verbal

import (
	"context"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// CanI is verbal/can-i: the model is asked, before any answer, whether it is able
// to answer the question correctly. It is a signal of the question (the verbal
// form of p-true-p-ik's P(IK), and the feasibility that line-of-duty-feasibility
// asks for): every candidate has the same score. Raw and score are P(Yes) over all
// spellings, averaged over "Yes or No" and "No or Yes"; without log-probabilities
// either order is asked five times.
func CanI() monitor.Signal {
	return monitor.Each("verbal/can-i", func(ctx context.Context, t *monitor.Trial, _ *monitor.Candidate) (monitor.Reading, error) {
		v, err := monitor.Get(ctx, t, Able{})
		return monitor.Reading{Score: v.Yes, Raw: v.Yes, Source: v.Source, Reads: v.Reads}, err
	})
}

var ableTemplate = prompt.Template{Name: "can-i", Version: 1, Text: "{given}Question: {question}\nDo not answer it yet. Do you know enough to answer it correctly? Answer {order}."}

// Able is the evidence of the model's yes or no to the question whether it can
// answer.
type Able struct{}

// Gather implements monitor.Evidence.
func (Able) Gather(ctx context.Context, t *monitor.Trial) (VerdictReading, error) {
	given := ""
	if t.Question.Context != "" {
		given = "Context: " + prompt.Quote(t.Question.Context) + "\n"
	}
	var out VerdictReading
	for i, order := range []string{"Yes or No", "No or Yes"} {
		ask := strings.NewReplacer("{given}", given, "{order}", order, "{question}", prompt.Quote(t.Question.Text)).Replace(ableTemplate.Text)
		greedy := 0.0
		op := llm.Op{Role: "judge", Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: ask}}, MaxTokens: 4, Temperature: &greedy}}
		r, err := decide(ctx, t, op, "can-i", i, yesNo, text.ReadBool)
		if err != nil {
			return VerdictReading{}, err
		}
		out.Yes += r.Yes / 2
		out.Mass += r.Mass / 2
		out.Reads += r.Reads
		out.Source = r.Source
	}
	return out, nil
}
