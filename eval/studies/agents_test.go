package studies_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/learn/countdown"
	"gnothi/text"
)

func TestPaperAgents(t *testing.T) {
	t.Run("self-reflection-agents", func(t *testing.T) {
		dir := t.TempDir()
		var lines []string
		for i := range 40 {
			lines = append(lines, fmt.Sprintf(`{"question":"Which is number %d?","options":{"a":"red","b":"green","c":"blue"},"answers":["c"]}`, i))
		}
		writeLines(t, filepath.Join(dir, "questions.jsonl"), lines...)
		// Half are right at once. The reflection gives the answer away in each part; who
		// sees it takes it, others guess wrongly, except that the solution helps all.
		m := model("student", func(prompt, _ string, _ int) string {
			// The options are turned from question to question.
			right := letterOf(prompt, "blue")
			wrong := string('A' + (right[0]-'A'+1)%3)
			var n int
			fmt.Sscanf(prompt[strings.Index(prompt, "Which is number"):], "Which is number %d?", &n)
			switch {
			case strings.Contains(prompt, "Write five short parts"):
				if !strings.Contains(prompt, "The right answer is \""+right+") blue\"") {
					t.Errorf("not told the answer: %q", prompt)
				}
				return "Explanation: it was " + right + ", not " + wrong + ".\nKeywords: haste\nSolution: rule out the others, so blue. Answer(\"" + right + "\")\nMind the hint.\nInstructions: A step at a time.\nAdvice: Cats help."
			case strings.Contains(prompt, "the answer was wrong"):
				notes := strings.ReplaceAll(between(prompt, "struck out:", "Think step by step"), text.Redacted, "-")
				if strings.Contains(notes, "was "+right) || strings.Contains(notes, `"`+right+`"`) || strings.Contains(notes, "blue") || strings.Contains(notes, "Mind the hint") {
					return "Answer: " + right
				}
				if strings.Contains(notes, "Cats") && notes != ` "Cats help."`+"\n" {
					t.Errorf("advice is %q", notes)
				}
				return "Answer: " + wrong
			}
			if n%2 == 0 {
				return "Answer: " + right
			}
			return "Answer: " + wrong
		})
		report, results := runs[studies.AgentsResult](t, studies.ReflectionAgents(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}})
		is(t, report.Measures, "before: accuracy", .5, 0)
		for name, want := range map[string]float64{"retry": .5, "keywords": .5, "instructions": .5, "explanation": .5, "solution": 1, "unredacted": 1} {
			is(t, report.Measures, name+": accuracy", want, 0)
		}
		is(t, report.Measures, "solution less retry", .5, 0)
		if p := figure(t, report.Measures, "solution against retry: McNemar, exact p").Figure.Value; p > 1e-4 {
			t.Errorf("p = %v", p)
		}
		for i, r := range results {
			if (i%2 == 0) != (r.Grade == text.Right) || (r.Again == nil) != (i%2 == 0) || i%2 == 1 && r.Redacted < 4 {
				t.Fatalf("item %d: %+v", i, r)
			}
		}
		// Without the user's file, questions of gnothi's own with like options.
		_, results = runs[studies.AgentsResult](t, studies.ReflectionAgents(), eval.Subject{Model: model("a", func(string, string, int) string { return "Answer: A" })}, eval.Options{})
		right := 0
		for _, r := range results {
			right += map[bool]int{true: 1}[r.Grade == text.Right]
		}
		if len(results) != 60 || right < 5 || right > 28 {
			t.Errorf("always A is right in %d of %d", right, len(results))
		}
	})

	t.Run("self-rewarding-self-improving", func(t *testing.T) {
		// Solves one puzzle in two and accepts all that ends in an expression of its own.
		var checks int
		m := model("solver", func(prompt, _ string, i int) string {
			if strings.Contains(prompt, "Write a new puzzle") {
				return "Numbers: 2, 3. Target: 6"
			}
			if strings.Contains(prompt, "What is to be verified") {
				checks++
				return "Looks fine.\nVerdict: Yes"
			}
			var p countdown.Puzzle
			for _, n := range regexp.MustCompile(`\d+`).FindAllString(prompt, -1) { // the target comes last
				v, err := strconv.Atoi(n)
				if err != nil {
					t.Error(err)
				}
				p.Numbers, p.Target = append(p.Numbers, v), v
			}
			p.Numbers = p.Numbers[:len(p.Numbers)-1]
			if expr, ok := p.Solve(); ok && i%2 == 0 {
				return "Answer: " + expr
			}
			return fmt.Sprintf("Answer: %d + %d", p.Numbers[0], p.Numbers[0])
		})
		report, _ := runs[studies.SelfRewardResult](t, studies.SelfImproving(), eval.Subject{Model: m}, eval.Options{Concurrency: 1})
		is(t, report.Measures, "solutions that are right", .5, 0)
		is(t, report.Measures, "judge agrees with the checker", .5, 1e-9)
		is(t, report.Measures, "false accepts, of wrong solutions", 1, 0)
		is(t, report.Measures, "may be used as a reward, 1 yes", 0, 0)
		is(t, report.Measures, "new puzzles that have a solution", 1, 0)
		if checks == 0 {
			t.Error("nothing was judged")
		}
		dir := t.TempDir()
		writeLines(t, filepath.Join(dir, "puzzles.jsonl"), `{"numbers":[25,3,1,7],"target":100}`)
		single := func(expr string) float64 {
			m := model("one", func(prompt, _ string, _ int) string {
				if strings.Contains(prompt, "What is to be verified") {
					return "Verdict: No"
				}
				return "Answer: " + expr
			})
			report, _ := runs[studies.SelfRewardResult](t, studies.SelfImproving(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}})
			return figure(t, report.Measures, "solutions that are right").Figure.Value
		}
		for expr, want := range map[string]float64{"25*(3+1)": 1, "25*(1+1+1+1)": 0, "25*3+25": 0, "7*25*(3+1)/7": 0} {
			if got := single(expr); got != want {
				t.Errorf("%s: %v, want %v", expr, got, want)
			}
		}
		writeLines(t, filepath.Join(dir, "puzzles.jsonl"), `{"numbers":[],"target":100}`)
		if _, err := eval.Run(t.Context(), studies.SelfImproving(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}}); err == nil {
			t.Error("a puzzle without numbers was taken")
		}
	})
}
