package studies_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/text"
)

func TestPaperThinkingOutLoud(t *testing.T) {
	t.Run("thinking-out-loud-lrm-calibration", func(t *testing.T) {
		p := []float64{.9, .9, .5, .5}
		var rs []studies.ThinkingResult
		for i, right := range []bool{true, false, true, false} {
			g := text.Wrong
			if right {
				g = text.Right
			}
			rs = append(rs, studies.ThinkingResult{Answered: studies.Answered{Grade: g}, Confidence: &p[i], Tokens: int64(10 * i)})
		}
		rs = append(rs, studies.ThinkingResult{Answered: studies.Answered{Grade: text.Refused}, MayDecline: true}, studies.ThinkingResult{Answered: studies.Answered{Grade: text.Unparsed}})
		ms := measured(t, studies.ThinkingOutLoud(), rs)
		is(t, ms, "Brier score", .33, 1e-9)
		is(t, ms, "ECE, 10 bins", .2, 1e-9)
		is(t, ms, "may decline: says it does not know", 1, 0)
		is(t, ms, "over-confidence: confidence less accuracy", .2, 1e-9)

		// Asked: answers and confidences in their lines, whatever else is said.
		m := model("thinker", func(prompt, _ string, _ int) string {
			if strings.Contains(prompt, "If you do not know") {
				return "Hmm.\nAnswer: I don't know\nConfidence: 5"
			}
			return "Let me think: 12 or 13?\n**Answer:** nonsense\n**Confidence:** 85%"
		})
		report, results := runs[studies.ThinkingResult](t, studies.ThinkingOutLoud(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{N: 20}})
		if o := report.Outcomes; o.Refused != 10 || o.Right+o.Wrong != 10 {
			t.Errorf("%+v", o)
		}
		if r := results[0]; r.Confidence == nil || *r.Confidence != .85 || r.Tokens == 0 {
			t.Errorf("%+v", r)
		}
		is(t, report.Measures, "states a confidence that can be read", 1, 0)
	})
}

func TestPaperConfidenceGap(t *testing.T) {
	t.Run("confidence-competence-gap", func(t *testing.T) {
		// Ratings that know nothing of what came out, all cells equally hard: seen with the same
		// items on both sides the worst look most over-confident; split halves show nothing.
		rng := rand.New(rand.NewPCG(3, 3))
		var rs []studies.GapResult
		for i := range 1200 {
			before, after := 1+rng.IntN(10), 1+rng.IntN(10)
			g := text.Wrong
			if rng.IntN(2) == 0 {
				g = text.Right
			}
			rs = append(rs, studies.GapResult{Answered: studies.Answered{Grade: g}, Kind: fmt.Sprint(i % 12), Level: 1 + i/12%5, Before: &before, After: &after})
		}
		ms := measured(t, studies.ConfidenceGap(), rs)
		naive, fair := figure(t, ms, "over-confidence over accuracy, slope, same items (artefact)").Figure, figure(t, ms, "over-confidence over accuracy, slope, split halves").Figure
		if !(naive.High < -0.5) {
			t.Errorf("naive slope %v, want about -1", naive)
		}
		if !(fair.Low < 0 && fair.High > 0 && fair.Value > -0.3 && fair.Value < 0.3) {
			t.Errorf("split halves %v, want 0 within", fair)
		}

		m := model("proud", func(_, role string, _ int) string {
			switch role {
			case "before":
				return "9"
			case "after":
				return "8/10"
			}
			return "no idea at all"
		})
		report, results := runs[studies.GapResult](t, studies.ConfidenceGap(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{N: 5}})
		if r := results[0]; r.Before == nil || *r.Before != 9 || report.Spend.Calls != 15 {
			t.Errorf("%+v after %d calls", r, report.Spend.Calls)
		}
	})
}

func TestPaperICFExam(t *testing.T) {
	t.Run("icf-exam-metacognition", func(t *testing.T) {
		// The counts whose meta-d′ is known, as results: right option, choice and step of confidence.
		s1, s2 := []int{52, 32, 35, 37, 26, 12, 4, 2}, []int{2, 5, 15, 22, 33, 38, 40, 45}
		var rs []studies.ICFResult
		for right, counts := range [][]int{s1, s2} {
			for at, n := range counts {
				choice, step := 0, 3-at
				if at >= 4 {
					choice, step = 1, at-4
				}
				p := []float64{0, 0}
				p[choice] = 0.5 + 0.125*float64(step) + 0.06
				p[1-choice] = 1 - p[choice]
				for range n {
					rs = append(rs, studies.ICFResult{P: p, Right: right})
				}
			}
		}
		ms := measured(t, studies.ICFExam(), rs)
		is(t, ms, "d′", 1.5350, 5e-5)
		is(t, ms, "meta-d′", 1.6338, 5e-4)
		is(t, ms, "M-ratio", 1.0643, 5e-4)

		m := model("spread", func(_, _ string, i int) string { return "A: 30%\nB) 90%" })
		report, results := runs[studies.ICFResult](t, studies.ICFExam(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{N: 12}})
		if r := results[0]; report.Outcomes.Unparsed != 12 || r.P != nil {
			t.Errorf("%+v: a line that is not in the form is none: %+v", r, report.Outcomes)
		}
		m = model("spread", func(_, _ string, i int) string { return "A: 30%\nB: 90%" })
		report, results = runs[studies.ICFResult](t, studies.ICFExam(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{N: 12}})
		if r := results[0]; r.P == nil || min(r.P[0], r.P[1]) != .25 || report.Outcomes.Right == 0 || report.Outcomes.Wrong == 0 {
			t.Errorf("%+v, %+v", r, report.Outcomes)
		}
		is(t, report.Measures, "mean confidence", .75, 1e-9)
		first := 0
		for _, r := range results {
			if r.P[0] > r.P[1] {
				first++
			}
		}
		if first == 0 || first == len(results) {
			t.Error("the same option stands under B in all questions")
		}
	})
}
