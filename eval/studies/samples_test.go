package studies_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/learn"
	"gnothi/llm"
	"gnothi/llm/script"
)

// categorical answers 7 with probability .2 and each of eight others with .1,
// and gives the probabilities.
func categorical() llm.Model {
	return named{llm.Metered(script.New(func(op llm.Op, i int) script.Reply {
		u := llm.Derive(op.Seed, "draw", i) % 10
		if u < 2 || op.Request.Temperature == nil || *op.Request.Temperature == 0 {
			return script.Reply{Text: "7", Tokens: script.Words("7", math.Log(.2))}
		}
		s := fmt.Sprint(100 + u)
		return script.Reply{Text: s, Tokens: script.Words(s, math.Log(.1))}
	}, llm.LogProbs), &llm.Price{}), "categorical"}
}

func TestPaperSamples(t *testing.T) {
	t.Run("sharpening-mechanism", func(t *testing.T) {
		report, results := runs[studies.SharpeningResult](t, studies.Sharpening(), eval.Subject{Model: categorical()}, eval.Options{Source: eval.Source{Dir: sums(t, 300)}})
		// The most probable of N is the mode wherever the mode is among them: 1 − .8^N.
		for _, n := range []int{1, 2, 4, 8, 16} {
			is(t, report.Measures, fmt.Sprintf("most probable, sum of %d", n), 1-math.Pow(.8, float64(n)), .07)
		}
		is(t, report.Measures, "greedy", 1, 0)
		// Where it is drawn its share is .2 on average over the pool; C = E[1/share] is a little above 5.
		if c := figure(t, report.Measures, "coverage C").Figure; c.Value < 5 || c.Value > 7.5 || !(c.Low < c.Value && c.Value < c.High) {
			t.Errorf("coverage %v", c)
		}
		for _, r := range results {
			if r.Right[0] != (*r.Scores["sum"][0] > math.Log(.15)) {
				t.Fatalf("%+v", r)
			}
		}
		if _, err := eval.Run(t.Context(), studies.Sharpening(), eval.Subject{Model: script.Texts("7")}, eval.Options{}); err == nil {
			t.Error("no log-probabilities, and no error")
		}
	})

	t.Run("self-certainty-bon", func(t *testing.T) {
		// The wrong majority is unsure of itself.
		v := func(x ...float64) (out []*float64) {
			for _, f := range x {
				out = append(out, &f)
			}
			return out
		}
		r := studies.Sampled{
			Right: []bool{false, true, false, true, false}, Class: []int{0, 1, 0, 1, 0},
			Scores: map[string][]*float64{"self-certainty": v(1, 9, 2, 8, 3), "perplexity": v(-1, -9, -2, -8, -3)},
		}
		ms := measured(t, studies.SelfCertaintyBoN(), []studies.Sampled{r, r})
		for name, want := range map[string]float64{
			"self-certainty, best of 1": 0, "self-certainty, best of 2": 1, "self-certainty, best of 16": 1, "perplexity, best of 16": 0,
			"majority of 2": 0, "majority of 16": 0, "self-certainty, Borda of 16": 1, // √5 + √4 = 4.24 against √3 + √2 + 1 = 4.15
		} {
			is(t, ms, name, want, 0)
		}
		if _, err := eval.Run(t.Context(), studies.SelfCertaintyBoN(), eval.Subject{Model: categorical()}, eval.Options{}); err == nil {
			t.Error("no distributions, and no error")
		}
	})

	t.Run("b-star", func(t *testing.T) {
		for _, c := range []struct {
			correct, selected int
			want              float64
		}{{4, 5, .4}, {8, 16, .5}, {10, 10, 1}, {0, 0, 0}} {
			if got := learn.Balance(c.correct, c.selected, 8); math.Abs(got-c.want) > 1e-12 {
				t.Errorf("%d of %d: %v, want %v", c.correct, c.selected, got, c.want)
			}
		}
		report, results := runs[studies.BStarResult](t, studies.BStar(), eval.Subject{Model: categorical()}, eval.Options{Source: eval.Source{Dir: sums(t, 20)}})
		// Only the right answer has a probability above .15: a threshold there selects it alone.
		if at := figure(t, report.Measures, "best threshold").Figure.Value; at <= .1 || at > .2 {
			t.Errorf("best threshold %v", at)
		}
		is(t, report.Measures, "balance there, questions with a selected sample (the code's mean)", .25, 1e-12) // one right text of the four wanted
		for _, r := range results {
			for k := range r.Right {
				if n := len(r.Right[k]); n > 9 || slices.Index(r.Right[k], true) >= 0 != slices.ContainsFunc(r.Reward[k], func(w float64) bool { return w > .15 }) {
					t.Fatalf("%+v", r)
				}
			}
		}
	})
}
