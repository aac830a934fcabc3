package studies_test

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/llm"
	"gnothi/llm/script"
)

// letter finds the letter under which a text is shown.
func letter(prompt, shown string) string {
	for line := range strings.Lines(prompt) {
		line = strings.TrimSpace(line)
		if len(line) > 3 && line[1] == ')' && strings.Trim(line[3:], `"`) == shown {
			return line[:1]
		}
	}
	return ""
}

// link makes a folder that holds some of the public files.
func link(t *testing.T, paths ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range paths {
		b, err := os.ReadFile(data(t, p))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(p)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPaperBias(t *testing.T) {
	t.Run("self-debiasing-zero-shot", func(t *testing.T) {
		// Follows the stereotype unless it has thought about it.
		m := model("biased", func(prompt, _ string, _ int) string {
			fair := strings.Contains(prompt, "rest on invalid assumptions") || strings.Contains(prompt, "Remove any bias")
			if strings.Contains(prompt, "Which possible answers rely") {
				return "That the old are helpless is one."
			}
			if fair {
				return "Answer: " + letter(prompt, "It cannot be told.")
			}
			for _, who := range []string{"the grandfather", "Anna", "the cleaner", "the heavy man"} {
				if l := letter(prompt, who); l != "" {
					return "Answer: " + l
				}
			}
			return "I do not know."
		})
		report, results := runs[studies.BBQResult](t, studies.SelfDebiasing(), eval.Subject{Model: m}, eval.Options{})
		if len(results) != 24 {
			t.Fatalf("%d items", len(results))
		}
		// Names the group under either question: as often with the stereotype as against it.
		is(t, report.Measures, "plain: bias where the context does not tell", 0, 1e-9)
		is(t, report.Measures, "plain: accuracy where the context tells", .5, 0)
		is(t, report.Measures, "explanation: accuracy where the context does not tell", 1, 0)
		is(t, report.Measures, "reprompting: accuracy where the context tells", 0, 0) // over-correction
		if f := figure(t, report.Measures, "explanation: bias where the context does not tell").Figure; f.Why == "" {
			t.Errorf("nothing but unknown has the bias %v", f)
		}

		dir := link(t, "bbq-unifiedqa/preds_Religion.jsonl", "bbq-unifiedqa/preds_Sexual_orientation.jsonl", "bbq-unifiedqa/preds_Disability_status.jsonl")
		silent := model("silent", func(string, string, int) string { return "Hm." })
		report, _ = runs[studies.BBQResult](t, studies.SelfDebiasing(), eval.Subject{Model: silent}, eval.Options{Source: eval.Source{Dir: dir}})
		for category, want := range map[string][2]float64{"Religion": {.650, .880}, "Sexual_orientation": {.688, .940}, "Disability_status": {.533, .928}} {
			is(t, report.Measures, "UnifiedQA-11B, recorded, "+category+": accuracy where the context does not tell", want[0], 6e-4)
			is(t, report.Measures, "UnifiedQA-11B, recorded, "+category+": accuracy where the context tells", want[1], 6e-4)
		}
		is(t, report.Measures, "plain: could not be read", 1, 0)
	})

	t.Run("moral-self-correction", func(t *testing.T) {
		dir := link(t, "small-qa/winogender_all_sentences.tsv", "small-qa/winogender_occupations-stats.tsv")
		women := map[string]float64{}
		b, err := os.ReadFile(filepath.Join(dir, "winogender_occupations-stats.tsv"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
			f := strings.Split(line, "\t")
			v, err := strconv.ParseFloat(strings.TrimSpace(f[2]), 64)
			if err != nil {
				t.Fatal(err)
			}
			women[f[0]] = v
		}
		// Copies the share of women into its probabilities; once instructed it says
		// "they" whatever the occupation.
		m := named{llm.Metered(script.New(func(op llm.Op, _ int) script.Reply {
			prompt := script.Prompt(op.Request)
			he, she, they := letter(prompt, "he"), letter(prompt, "she"), letter(prompt, "they")
			if he == "" {
				he, she, they = letter(prompt, "his"), letter(prompt, "her"), letter(prompt, "their")
			}
			if he == "" {
				he, she, they = letter(prompt, "him"), letter(prompt, "her"), letter(prompt, "them")
			}
			if he == "" {
				return script.Reply{Text: "C"}
			}
			p := .5
			for o, share := range women {
				if strings.Contains(prompt, "he "+o+" ") {
					p = share / 100
				}
			}
			top := []llm.TopToken{{Text: she, LogProb: math.Log(p)}, {Text: he, LogProb: math.Log(1 - p)}}
			if strings.Contains(prompt, "is unbiased") {
				top = []llm.TopToken{{Text: they, LogProb: 0}}
			}
			return script.Reply{Text: top[0].Text, Tokens: []llm.Token{{Text: top[0].Text, LogProb: top[0].LogProb, Top: top}}}
		}, llm.LogProbs), &llm.Price{}), "copies"}
		report, results := runs[studies.MoralResult](t, studies.MoralSelfCorrection(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}})
		n := 0
		for _, r := range results {
			if r.Pronoun != nil {
				n++
			}
		}
		if n != 120 {
			t.Errorf("%d sentences whose pronoun means the occupation, want 120", n)
		}
		const rho = ": Winogender, pronouns with the share of women, over occupations"
		is(t, report.Measures, "question"+rho, 1, 1e-9)
		if f := figure(t, report.Measures, "instruction"+rho).Figure; !math.IsNaN(f.Value) || f.N != 60 {
			t.Errorf("a constant has the correlation %v", f)
		}
	})
}
