package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/text"
)

func TestGivenEvidenceStandsAsIfGathered(t *testing.T) {
	model := script.Texts("9")
	q := monitor.Question{Text: "How many?", Kind: text.Number}
	given := monitor.Given{Answer: &llm.Choice{Text: "It is 4."}, Samples: []llm.Choice{{Text: "4"}, {Text: "5"}, {Text: "4"}}}
	trial, c := monitor.NewGiven(monitor.TrialOptions{Model: model, Question: q}, given)
	greedy, err := monitor.Get(t.Context(), trial, monitor.Greedy{})
	if err != nil || greedy != c || c.Origin != monitor.FromOutside || c.Answer.Text != "4" {
		t.Errorf("the given answer: %+v, %v", greedy, err)
	}
	drawn, how := trial.Drawn()
	if len(drawn) != 3 || how != monitor.DefaultSampling || drawn[2].Index != 2 || drawn[0].Key != c.Key || drawn[0] == drawn[2] {
		t.Errorf("%d samples, drawn with %+v", len(drawn), how)
	}
	if model.Calls() != 0 {
		t.Errorf("%d calls for what was given", model.Calls())
	}
	// Whoever wants more pays for what is lacking only.
	if cs, err := trial.Samples(t.Context(), monitor.DefaultSampling, 5); err != nil || len(cs) != 5 || cs[0] != drawn[0] || model.Calls() != 2 {
		t.Errorf("five of three: %d, %v, %d calls", len(cs), err, model.Calls())
	}
	fact := newFact(func(context.Context, *monitor.Trial) (string, error) { return "gathered", nil })
	monitor.Know(trial, fact, "given")
	if v, err := monitor.Get(t.Context(), trial, fact); err != nil || v != "given" || fact.begun.Load() != 0 {
		t.Errorf("known evidence: %q, %v, gathered %d times", v, err, fact.begun.Load())
	}
}

func TestGivenWithoutAModelAsksNobody(t *testing.T) {
	trial, c := monitor.NewGiven(monitor.TrialOptions{Question: monitor.Question{Text: "How many?"}}, monitor.Given{})
	if c != nil {
		t.Errorf("an answer out of nothing: %+v", c)
	}
	for want, ask := range map[string]func() error{
		"an answer": func() error { _, err := monitor.Get(t.Context(), trial, monitor.Greedy{}); return err },
		"samples":   func() error { _, err := trial.Samples(t.Context(), monitor.DefaultSampling, 2); return err },
		"a model to ask (judge)": func() error {
			_, err := trial.Aside(t.Context(), monitor.Aside{Role: "judge", Text: "?"})
			return err
		},
	} {
		if err := ask(); !errors.Is(err, monitor.ErrMissing) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func ExampleNewGiven() {
	trial, answer := monitor.NewGiven(monitor.TrialOptions{Question: monitor.Question{Text: "2 + 2?", Kind: text.Number}}, monitor.Given{
		Answer:  &llm.Choice{Text: "4"},
		Samples: []llm.Choice{{Text: "four"}, {Text: "The answer is 4."}, {Text: "5"}},
	})
	r, err := monitor.ScoreOne(context.Background(), consistency.Agreement(0), trial, answer)
	fmt.Printf("%.2f %v\n", r.Score, err)
	// Output: 0.67 <nil>
}
