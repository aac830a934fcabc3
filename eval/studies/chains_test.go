package studies_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
)

var mistakeFiles = []string{"dyck_languages", "logical_deduction", "multistep_arithmetic", "tracking_shuffled_objects", "word_sorting"}

// traces links the files of BIG-Bench Mistake into a folder and reads them.
func traces(t *testing.T) (dir string, all []studies.Chain) {
	t.Helper()
	var paths []string
	for _, f := range mistakeFiles {
		paths = append(paths, "bigbench-mistake/"+f+".jsonl")
	}
	dir = link(t, paths...)
	for _, f := range mistakeFiles {
		b, err := os.ReadFile(filepath.Join(dir, f+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
			var c studies.Chain
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
	}
	return dir, all
}

func TestPaperChains(t *testing.T) {
	t.Run("reflection-in-pretraining", func(t *testing.T) {
		dir, all := traces(t)
		by, nothing := map[string]studies.Chain{}, 0
		for _, c := range all {
			by[c.Input] = c
			if c.Answer == nil || *c.Answer == "" {
				nothing++
			}
		}
		if len(all) != 2186 || nothing != 51 {
			t.Fatalf("%d traces, %d without an answer", len(all), nothing)
		}
		answering := func(name string, say func(c studies.Chain, begun string) string) *eval.Report {
			m := model(name, func(prompt, _ string, _ int) string {
				question, begun, _ := strings.Cut(strings.TrimPrefix(prompt, "Question: "), "\nThink step by step")
				_, begun, _ = strings.Cut(begun, "Solution:\n")
				return say(by[question], begun)
			})
			report, _ := runs[studies.ReflectionResult](t, studies.PretrainingReflection(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}})
			return report
		}
		echo := answering("echo", func(c studies.Chain, begun string) string {
			switch {
			case begun == "":
				return "So the answer is " + c.Target
			case c.Answer == nil:
				return ""
			}
			return "So the answer is " + *c.Answer
		})
		if echo.N != 1523 {
			t.Errorf("%d corrupted chains, want 1,523", echo.N)
		}
		is(t, echo.Measures, "right without a chain", 1, 0)
		is(t, echo.Measures, "no trigger: recovered", 0, 0)
		is(t, echo.Measures, "trigger: recovered", 0, 0)
		is(t, echo.Measures, "trigger: no answer could be read, or declined", 51.0/1523, 1e-9)
		// Recovers only when it is told to wait, and says so in arithmetic alone.
		told := answering("told", func(c studies.Chain, begun string) string {
			switch {
			case !strings.HasSuffix(begun, "\nWait,"):
				return "So the answer is 99999"
			case strings.HasSuffix(c.Input, "="):
				return " that is a mistake. So the answer is " + c.Target
			}
			return " so we go on. So the answer is " + c.Target
		})
		is(t, told.Measures, "trigger: recovered", 1, 0)
		is(t, told.Measures, "recovered, trigger less none", 1, 0)
		is(t, told.Measures, "trigger: explicit, recovered and names the mistake", 255.0/1523, 1e-9)
		is(t, told.Measures, "multistep_arithmetic: recovered with the trigger", 1, 0)

		// The chain is shown up to its first wrong step.
		c := all[0]
		report := answering("looks", func(c studies.Chain, begun string) string {
			if begun != "" && c.Mistake != nil && (!strings.Contains(begun, c.Steps[*c.Mistake]) || strings.Contains(strings.TrimSuffix(begun, "\nWait,"), strings.Join(c.Steps[:*c.Mistake+1], "\n")+"\n")) {
				return "bad"
			}
			return "So the answer is " + c.Target
		})
		if is(t, report.Measures, "no trigger: recovered", 1, 0); c.Mistake == nil {
			t.Error("the first trace has a mistake")
		}
	})

	t.Run("mistake-location", func(t *testing.T) {
		dir, all := traces(t)
		wrong := 0
		m := model("always 1", func(prompt, _ string, _ int) string {
			if strings.Contains(prompt, "first step with a mistake") {
				return "1"
			}
			return "Yes"
		})
		report, results := runs[studies.LocationResult](t, studies.MistakeLocation(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir, N: 200}})
		for _, c := range all {
			if c.Mistake != nil {
				wrong++
			}
		}
		if len(all) != 2186 || wrong != 1708 {
			t.Errorf("%d chains, %d with a mistake", len(all), wrong)
		}
		is(t, report.Measures, "step by step: says that there is none, chains without", 1, 0)
		is(t, report.Measures, "step by step: place of the mistake, chains with one", 0, 0)
		is(t, report.Measures, "whole: says that there is none, chains without", 0, 0)
		first, with := 0.0, 0.0
		for _, r := range results {
			if r.True > 0 {
				with++
			}
			if r.True == 1 {
				first++
			}
		}
		is(t, report.Measures, "whole: place of the mistake, chains with one", first/with, 1e-9)

		// Sums of our own, and a model that can add.
		adder := model("adder", func(prompt, _ string, _ int) string {
			right := func(step string) bool {
				step = strings.Trim(step, "\" \n")
				for _, w := range []string{"First, ", "Then, ", "At last, "} {
					step = strings.TrimPrefix(step, w)
				}
				var a, b, c int
				var op string
				if _, err := fmt.Sscanf(step, "%d %s %d = %d", &a, &op, &b, &c); err != nil {
					t.Errorf("%q: %v", step, err)
				}
				return map[string]int{"+": a + b, "-": a - b, "*": a * b}[op] == c
			}
			if !strings.Contains(prompt, "first step with a mistake") {
				return map[bool]string{true: "Yes", false: "No"}[right(between(prompt, "The next step: ", "\nIs the next"))]
			}
			for i := 1; i <= 3; i++ {
				if _, line, ok := strings.Cut(prompt, fmt.Sprintf("%d. ", i)); ok {
					line, _, _ = strings.Cut(line, "\n")
					if !right(line) {
						return fmt.Sprint(i)
					}
				}
			}
			return "0"
		})
		report, _ = runs[studies.LocationResult](t, studies.MistakeLocation(), eval.Subject{Model: adder}, eval.Options{})
		is(t, report.Measures, "whole: accuracy", 1, 0)
		is(t, report.Measures, "step by step: accuracy", 1, 0)
	})
}
