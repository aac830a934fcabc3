package control_test

import (
	"context"
	"errors"
	"testing"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
)

func TestGateWithholdsBeforeAnswering(t *testing.T) {
	score := func(v float64, err error) monitor.Signal {
		return monitor.Each("x/y", func(context.Context, *monitor.Trial, *monitor.Candidate) (monitor.Reading, error) {
			return monitor.Reading{Score: v}, err
		})
	}
	for name, c := range map[string]struct {
		signal   monitor.Signal
		withheld bool
	}{
		"below":          {score(.2, nil), true},
		"at it":          {score(.5, nil), false},
		"nothing to say": {score(0, &monitor.MissingError{Needs: "a concept"}), false},
		"broken":         {score(0, errors.New("boom")), false},
	} {
		m := script.Texts("Paris")
		trial := monitor.NewTrial(monitor.TrialOptions{Model: m, Question: monitor.Question{Text: "?"}, Request: llm.Request{Prompt: "?"}})
		res, err := control.Gate{Signal: c.signal, At: .5, Next: control.Direct()}.Run(t.Context(), trial)
		if err != nil || (res.Withhold != "") != c.withheld || (m.Calls() == 0) != c.withheld || (res.Best.Text == "Paris") == c.withheld {
			t.Errorf("%s: %+v, %v after %d calls", name, res, err, m.Calls())
		}
	}
}
