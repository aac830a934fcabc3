package studies_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/llm"
	"gnothi/llm/script"
)

func TestPaperRecovery(t *testing.T) {
	t.Run("reflect-retry-reward", func(t *testing.T) {
		dir := t.TempDir()
		var lines []string
		for i := range 40 {
			lines = append(lines, fmt.Sprintf(`{"numbers":[2,3,%d],"target":%d}`, 10+i, 16+i))
		}
		writeLines(t, filepath.Join(dir, "puzzles.jsonl"), lines...)
		// A quarter is solved at once; of the rest every one after a reflection, half
		// after being told, none by another sample.
		m := model("solver", func(prompt, role string, _ int) string {
			var n int
			i := strings.Index(prompt, "2, 3, ")
			if _, err := fmt.Sscanf(prompt[i:], "2, 3, %d", &n); i < 0 || err != nil {
				t.Errorf("%s: no numbers in %q", role, prompt)
			}
			right, wrong := fmt.Sprintf("Answer: 2 * 3 + %d", n), "Answer: 2 + 3"
			switch {
			case role == "judge":
				return "I added where I should have multiplied."
			case strings.Contains(prompt, "should have multiplied"):
				return right
			case strings.Contains(prompt, "attempt was wrong"):
				if n%2 == 0 {
					return right
				}
			case n%4 == 0:
				return right
			}
			return wrong
		})
		report, results := runs[studies.RetriedResult](t, studies.RetryReflected(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}})
		is(t, report.Measures, "solved at the first attempt", .25, 0)
		is(t, report.Measures, "reflection: solved at the second", 1, 0)
		is(t, report.Measures, "told that it was wrong: solved at the second", .5, 0)
		is(t, report.Measures, "another sample: solved at the second", .25, 0)
		is(t, report.Measures, "reflection: failures mended", 1, 0)
		is(t, report.Measures, "told that it was wrong: failures mended", 1./3, 1e-9)
		is(t, report.Measures, "reflection less another sample, solved", .75, 0)
		if o := report.Outcomes; o.Right != 40 {
			t.Errorf("outcomes %+v", o)
		}
		for _, r := range results {
			if r.Once && (r.Tokens["reflection"] != r.Tokens["another sample"]) {
				t.Errorf("what passes at once is not asked again: %+v", r)
			}
		}
	})

	t.Run("selfreflect", func(t *testing.T) {
		dir := t.TempDir()
		writeLines(t, filepath.Join(dir, "questions.jsonl"), `{"question":"Which city?","answers":["Paris"]}`, `{"question":"Which other city?","answers":["Lyon"]}`)
		// Asked for all answers it names the greedy one alone; a summary of samples names
		// both. Who fills the blank is told by what it was shown.
		m := llm.Metered(script.New(func(op llm.Op, i int) script.Reply {
			p := script.Prompt(op.Request)
			switch {
			case op.Kind == llm.Score:
				paris, lyon := float64(strings.Count(p, "Paris")), float64(strings.Count(p, "Lyon"))
				var top []llm.TopToken
				for text, n := range map[string]float64{"Paris": paris, "Lyon": lyon} {
					if n > 0 {
						top = append(top, llm.TopToken{Text: text, LogProb: math.Log(n / (paris + lyon))})
					}
				}
				return script.Reply{Tokens: []llm.Token{{Text: op.Continuation, LogProb: -1, Top: top}}}
			case op.Role == "rewrite":
				return script.Reply{Text: "Most likely Paris, it could also be Lyon."}
			case op.Role == "sample":
				return script.Reply{Text: []string{"Paris", "Lyon"}[i%2]}
			}
			return script.Reply{Text: "Paris"}
		}, llm.ScoreText, llm.LogProbs, llm.Distribution), &llm.Price{})
		report, results := runs[studies.SelfReflectResult](t, studies.SelfReflect(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}})
		if len(results) != 2 || results[0].Same != 3 || results[0].Tests != 5 {
			t.Fatalf("%+v", results)
		}
		greedy, asked, sampled := results[0].W["greedy answer"], results[0].W["asked for all answers"], results[0].W["sample and summarise"]
		if greedy != asked || !(sampled < greedy/2) || !(sampled > 0) {
			t.Errorf("greedy %v, asked %v, sampled %v; want the first two equal and the third far below", greedy, asked, sampled)
		}
		if f := figure(t, report.Measures, "sample and summarise less greedy answer, W").Figure; !(f.Value < 0) {
			t.Errorf("%+v", f)
		}
		is(t, report.Measures, "samples that are the greedy answer", .6, 1e-9)
		// A model that shows no distribution cannot be measured by itself.
		if _, err := eval.Run(t.Context(), studies.SelfReflect(), eval.Subject{Model: sure(func(string) string { return "x" })}, eval.Options{}); err == nil {
			t.Error("a model without distributions was measured")
		}
	})
}
