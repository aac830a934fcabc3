package studies_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/llm"
)

var asked = regexp.MustCompile(`What is \d+ - \d+\?`)

// coined is a choice by chance that hangs on the question and a name: true with
// so many percent.
func coined(prompt, name string, percent uint64) bool {
	all := asked.FindAllString(prompt, -1) // the last one: examples come before it
	if len(all) == 0 {
		return false
	}
	return llm.Derive(7, name+all[len(all)-1], 0)%100 < percent
}

func answer(right bool) string {
	if right {
		return "Answer: 7"
	}
	return "Answer: 40"
}

func TestPaperSecondLooks(t *testing.T) {
	t.Run("confidence-vs-critique", func(t *testing.T) {
		// Right first in 60 %. "Keep" keeps everything, "it is wrong" turns every
		// answer over, "again" answers anew by chance.
		m := model("second", func(prompt, _ string, _ int) string {
			first := coined(prompt, "first", 60)
			switch {
			case strings.Contains(prompt, "Keep it unless"), strings.Contains(prompt, "If you are very confident"):
				return answer(first)
			case strings.Contains(prompt, "That answer is wrong"):
				return answer(!first)
			case strings.Contains(prompt, "Answer the question again"), strings.Contains(prompt, "Find the problem"):
				return answer(coined(prompt, "again", 50))
			}
			return answer(first)
		})
		report, _ := runs[studies.Looks](t, studies.ConfidenceVsCritique(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: sums(t, 300)}})
		is(t, report.Measures, "keep: confidence level, right that stay right", 1, 0)
		is(t, report.Measures, "keep: critique score, wrong that become right", 0, 0)
		is(t, report.Measures, "keep: relative score RSS, ½ is no change", .5, 1e-9)
		is(t, report.Measures, "it is wrong: confidence level, right that stay right", 0, 0)
		is(t, report.Measures, "it is wrong: critique score, wrong that become right", 1, 0)
		is(t, report.Measures, "again: confidence level, right that stay right", .5, .1)
		is(t, report.Measures, "another sample: confidence level, right that stay right", 1, 0)
		before, after := figure(t, report.Measures, "again: accuracy before").Figure.Value, figure(t, report.Measures, "again: accuracy after").Figure.Value
		cl, cs := figure(t, report.Measures, "again: confidence level, right that stay right").Figure.Value, figure(t, report.Measures, "again: critique score, wrong that become right").Figure.Value
		if d := before*cl + (1-before)*cs - after; d > 1e-9 || d < -1e-9 {
			t.Errorf("accuracy after is not what the parts give: %v", d)
		}
		for name, want := range map[string]float64{"keep": 1, "it is wrong": 1, "again": 1} {
			is(t, report.Measures, name+": on the frontier of keeping and mending", want, 0)
		}
	})

	t.Run("if-or-else-ioe", func(t *testing.T) {
		// The second answer is always wrong; shown both, the model decides rightly.
		var turns []string
		m := model("reviewer", func(prompt, _ string, _ int) string {
			switch {
			case strings.Contains(prompt, "Two different answers"):
				turns = append(turns, between(prompt, "First: ", "\n")+between(prompt, "Second: ", "\n"))
				return answer(true)
			case strings.Contains(prompt, "Review the earlier answer"), strings.Contains(prompt, "Criticism of it"):
				return answer(false)
			case strings.Contains(prompt, "Check the proposed answer"):
				return "It is too small."
			}
			return answer(true)
		})
		report, results := runs[studies.Looks](t, studies.IfOrElse(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: sums(t, 10)}, Concurrency: 1})
		l := results[0].Looks["very confident"]
		if l.Changed || l.Before.String() != "right" || l.After.String() != "right" || len(turns) != 20 || turns[0] != `"Answer: 7""Answer: 40"` {
			t.Errorf("%+v after %q", l, turns)
		}
		is(t, report.Measures, "very confident: answers that changed", 0, 0)
		is(t, report.Measures, "find problems and improve: confidence level, right that stay right", 0, 0)
		is(t, report.Measures, "very confident less find problems and improve, right", 1, 0)
		for _, r := range results {
			if v := r.Looks["votes of equal tokens"]; v.Tokens < r.Looks["very confident"].Tokens {
				t.Errorf("votes cost %d tokens, less than %d", v.Tokens, r.Looks["very confident"].Tokens)
			}
		}
	})

	t.Run("self-contrast", func(t *testing.T) {
		// Perspectives give 7, 40, 7; every revision says 40: right became wrong.
		m := model("contrast", func(prompt, _ string, _ int) string {
			switch {
			case strings.Contains(prompt, "different ways in which"):
				return "1. Count up.\n2. Guess.\n3. Count down."
			case strings.Contains(prompt, "Answer it in this way"):
				return answer(!strings.Contains(prompt, "Guess"))
			case strings.Contains(prompt, "Points to examine again"):
				return answer(false)
			case strings.Contains(prompt, "disagree"):
				if !strings.Contains(prompt, "7") || !strings.Contains(prompt, "40") {
					t.Errorf("the difference is not shown: %q", prompt)
				}
				return "They differ in the result."
			case strings.Contains(prompt, "checklist"):
				return "1. Look at the signs."
			case strings.Contains(prompt, "Check the proposed answer"):
				return "NO CHANGE"
			}
			return answer(true)
		})
		report, _ := runs[studies.Looks](t, studies.SelfContrast(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: sums(t, 5)}})
		is(t, report.Measures, "self-contrast: toxic, right that became wrong", 1, 0)
		is(t, report.Measures, "reflection: toxic, right that became wrong", 0, 0)
		if f := figure(t, report.Measures, "self-contrast: invalid, wrong that stayed wrong").Figure; f.N != 0 {
			t.Errorf("nothing was wrong before: %v", f)
		}
	})

	t.Run("recursive-self-critique", func(t *testing.T) {
		// Two answers that differ, critics who are right in 80 %, a judge who follows
		// them or, without them, takes the first.
		m := model("critic", func(prompt, role string, _ int) string {
			right := coined(prompt, "critic", 80)
			first := strings.Contains(between(prompt, "Answer 1: ", "\n"), "7")
			switch {
			case strings.Contains(prompt, "Which answer is right?"):
				said := between(prompt, "may be mistaken: ", "Which answer is right?")
				if !strings.Contains(said, "Supports") {
					return "Confidence: 2\n" + answer(first)
				}
				return "Confidence: 4\n" + answer(strings.Contains(said, "Supports: 1") == first)
			case strings.Contains(prompt, "Supports:"):
				return fmt.Sprintf("Supports: %d", map[bool]int{true: 1, false: 2}[right == first])
			}
			return answer(coined(prompt, "greedy", 50) == (role != "sample"))
		})
		report, results := runs[studies.OrderResult](t, studies.RecursiveCritique(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: sums(t, 100)}})
		is(t, report.Measures, "order 1: accuracy", .8, .1)
		is(t, report.Measures, "order 0: accuracy", .5, .12)
		is(t, report.Measures, "order 1, critiques hidden less order 0, right", 0, 0)
		is(t, report.Measures, "order 1: stated confidence of the judge, where answers differed", .75, 1e-9)
		for _, r := range results {
			if r.Looks["order 0"].After != r.Looks["order 1, critiques hidden"].After {
				t.Fatal("a judge who sees no critique decides otherwise than order 0")
			}
			for k, calls := range []int64{3, 5, 7, 9} {
				if got := r.Calls[fmt.Sprintf("order %d", k)]; got != calls {
					t.Fatalf("order %d: %d calls, want %d", k, got, calls)
				}
			}
			if r.Calls["votes of as many calls as order 3"] != 9 {
				t.Fatalf("%v", r.Calls)
			}
		}
	})
}
