package calibrate_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/stats"
)

// twoSignals makes answers of which a/one and a/two each say a part, and a/noise nothing.
func twoSignals(rng *rand.Rand, n int) []calibrate.Example {
	out := make([]calibrate.Example, n)
	for i := range out {
		one, two := rng.NormFloat64(), rng.NormFloat64()
		out[i] = calibrate.Example{
			Readings: []calibrate.Named{reading("a/one", stats.Sigmoid(one)), reading("a/two", stats.Sigmoid(two)), reading("a/noise", rng.Float64())},
			Right:    rng.Float64() < stats.Sigmoid(1.5*one+0.7*two),
		}
	}
	return out
}

func TestAblate(t *testing.T) {
	cs, all, err := calibrate.Ablate(twoSignals(rand.New(rand.NewPCG(5, 0)), 1500), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1500 || len(cs) != 3 {
		t.Fatalf("%d probabilities, %d signals", len(all), len(cs))
	}
	one, two, noise := cs[0], cs[1], cs[2]
	if !(one.AUROC.Low > 0 && two.AUROC.Low > 0 && one.AUROC.Value > two.AUROC.Value && one.LogLoss.Low > two.LogLoss.Value) {
		t.Errorf("what is lost without each: %v, %v; log loss %v, %v", one.AUROC, two.AUROC, one.LogLoss, two.LogLoss)
	}
	if noise.AUROC.Low > 0 || noise.LogLoss.Low > 0 || math.Abs(noise.LogLoss.Value) > 0.005 {
		t.Errorf("noise adds %v, %v", noise.AUROC, noise.LogLoss)
	}
	if noise.Alone.Low > 0.5 || one.Alone.Low < 0.7 {
		t.Errorf("alone: noise %v, one %v", noise.Alone, one.Alone)
	}
	if _, _, err := calibrate.Ablate(simulate(1, 100), 1); err == nil {
		t.Error("one signal gives an ablation")
	}
}

// fixed is a signal whose score is written into the candidate's text.
func fixed(name string, score map[string]float64) monitor.Signal {
	return monitor.Each(name, func(_ context.Context, _ *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		v, ok := score[c.Choice.Text]
		if !ok {
			return monitor.Reading{}, &monitor.MissingError{Needs: "a score"}
		}
		return monitor.Reading{Score: v, Source: "logprobs"}, nil
	})
}

func TestCombinedIsAnOrdinarySignal(t *testing.T) {
	c, _ := fit(t, twoSignals(rand.New(rand.NewPCG(6, 0)), 600))
	parts := []monitor.Signal{
		fixed("a/noise", map[string]float64{"good": .5, "bad": .5, "half": .5}),
		fixed("a/two", map[string]float64{"good": .8, "bad": .2}),
		fixed("a/one", map[string]float64{"good": .9, "bad": .1, "half": .5}),
	}
	s, err := calibrate.Combined(c, parts)
	if err != nil {
		t.Fatal(err)
	}
	trial := monitor.NewTrial(monitor.TrialOptions{Model: script.Texts("x"), Question: monitor.Question{Text: "q"}})
	var cs []*monitor.Candidate
	for _, text := range []string{"good", "bad", "half"} {
		cs = append(cs, trial.Candidate(llm.Choice{Text: text}, monitor.FromOutside, nil))
	}
	rs, err := s.Score(t.Context(), trial, cs)
	if err != nil {
		t.Fatal(err)
	}
	want := apply(t, c, reading("a/one", .9), reading("a/two", .8), reading("a/noise", .5))
	if math.Abs(rs[0].Score-want.P) > 1e-12 || math.Abs(stats.Sigmoid(rs[0].Raw)-want.P) > 1e-12 || rs[1].Score > 0.3 {
		t.Errorf("readings %+v, want %v first", rs, want.P)
	}
	if rs[2].Err == nil || !strings.Contains(rs[2].Err.Error(), "a/two") {
		t.Errorf("a missing part gives %+v", rs[2])
	}
	if _, err := calibrate.Combined(c, parts[:2]); err == nil || !strings.Contains(err.Error(), "a/one") {
		t.Errorf("without a/one: %v", err)
	}
}
