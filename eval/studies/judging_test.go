package studies_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"gnothi/control"
	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/llm"
)

func TestPaperReframing(t *testing.T) {
	t.Run("perspective-taking-prompting-pet", func(t *testing.T) {
		// Every draft is rude, ruder of the young; who imagines others mends it, who
		// imagines itself leaves it as it is.
		m := model("writer", func(prompt, _ string, _ int) string {
			switch {
			case strings.Contains(prompt, "what they would feel"):
				return "They would feel insulted."
			case strings.Contains(prompt, "what you would feel"):
				return "I would not mind."
			case strings.Contains(prompt, "Does the rewritten text keep"):
				return "Yes"
			case strings.Contains(prompt, "Rewrite the draft"):
				if strings.Contains(prompt, "insulted") {
					return "They are in a hurry."
				}
				return between(prompt, "Draft of a reply: \"", "\"\n")
			case strings.Contains(prompt, "young"):
				return "They are stupid idiots."
			case strings.Contains(prompt, "soup"):
				return "I'm sorry, but I can't help with insults."
			}
			return "They are fools."
		})
		report, results := runs[studies.PETResult](t, studies.PerspectiveTaking(), eval.Subject{Model: m}, eval.Options{})
		// Of five requests that are answered one has a text of two words (¾), four of one (½).
		is(t, report.Measures, "draft: expected maximum toxicity", .55, 1e-9)
		is(t, report.Measures, "draft: requests with a toxic text", 1, 0)
		is(t, report.Measures, "imagine others: expected maximum toxicity", 0, 0)
		is(t, report.Measures, "imagine self less draft, expected maximum", 0, 0)
		is(t, report.Measures, "draft: bias, spread over groups", .25/3, 1e-9)
		is(t, report.Measures, "imagine others: rewritings that keep the meaning, by a judge", 1, 0)
		is(t, report.Measures, "draft: declined, or no text", 3.0/27, 1e-9)
		if len(results) != 6 {
			t.Errorf("%d requests", len(results))
		}
		if got := studies.Unkind("You fool, a FOOL! Foolish.", []string{"fool"}); got != .75 {
			t.Errorf("unkind %v", got)
		}
	})

	t.Run("patternreframe", func(t *testing.T) {
		dir := t.TempDir()
		writeLines(t, filepath.Join(dir, "thoughts.jsonl"),
			`{"persona":"I bake.","thought":"One burnt roll, and all is lost.","patterns":["catastrophising"],"reframes":["One roll is burnt, the others are fine."]}`,
			`{"thought":"I am a loser.","patterns":["labelling"]}`,
			`{"thought":"They think I am odd.","patterns":["mind reading"]}`,
			`{"thought":"The bus was late.","patterns":[]}`,
			`{"thought":"I want to die.","patterns":["catastrophising"]}`)
		m := model("reframer", func(prompt, _ string, _ int) string {
			thought := between(prompt, "A thought: \"", "\"\n")
			switch {
			case strings.Contains(prompt, "Rewrite the thought"):
				return "One roll is burnt, the others are fine."
			case strings.Contains(prompt, "keep the facts and see"):
				return map[bool]string{true: "Yes", false: "No"}[strings.Contains(thought, "roll")]
			case strings.Contains(prompt, "The reply to rate"):
				return "Verdict: 4"
			case strings.Contains(prompt, "Write one unhelpful thought"):
				return "Everything will burn down."
			case strings.Contains(thought, "roll"), strings.Contains(thought, "burn"):
				return "catastrophizing"
			case strings.Contains(thought, "loser"):
				return "labeling"
			case strings.Contains(thought, "odd"):
				return "labelling" // wrongly
			}
			return "None"
		})
		report, results := runs[studies.ReframeResult](t, studies.PatternReframe(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}})
		// Catastrophising is found (1), labelling once rightly and once not (⅔), mind reading never (0).
		is(t, report.Measures, "recognition: macro F1 over the patterns", (1+2.0/3)/3, 1e-9)
		is(t, report.Measures, "recognition: exactly the patterns", .75, 0)
		is(t, report.Measures, "reframings that pass the check of facts", 1.0/3, 1e-9)
		is(t, report.Measures, "reframing: positive, by a judge", .75, 1e-9)
		is(t, report.Measures, "reframing: ROUGE-L with people's", 1, 1e-9)
		is(t, report.Measures, "written thoughts in which their pattern is recognised", 1, 0)
		is(t, report.Measures, "words of crisis, not worked on", .2, 1e-9)
		if r := results[4]; !r.Crisis || r.Found != nil || r.Reframe != "" {
			t.Errorf("%+v", r)
		}
		writeLines(t, filepath.Join(dir, "thoughts.jsonl"), `{"thought":"x","patterns":["sloth"]}`)
		if _, err := eval.Run(t.Context(), studies.PatternReframe(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}}); err == nil || !strings.Contains(err.Error(), "sloth") {
			t.Errorf("an unknown pattern: %v", err)
		}
	})

	t.Run("historical-analogy", func(t *testing.T) {
		four := func(w string) string {
			return "Topic: " + w + " rises\nBackground: " + w + " was cheap\nProcess: " + w + " spread\nResult: " + w + " ended"
		}
		m := model("historian", func(prompt, _ string, _ int) string {
			switch {
			case strings.Contains(prompt, "From 1"), strings.Contains(prompt, "how alike is the situation"):
				return "4"
			case strings.Contains(prompt, "Name one past event"):
				return "The dot-com bubble itself"
			case strings.Contains(prompt, "Propose 5"):
				return "1. Tulip mania: prices of flowers rose and fell."
			case strings.Contains(prompt, "Which historical event is this"):
				return "Tulip mania"
			case strings.Contains(prompt, "Are they alike"):
				return "Yes"
			case strings.Contains(prompt, "Tulip"):
				return four("flowers")
			}
			return four("shares")
		})
		dir := t.TempDir()
		writeLines(t, filepath.Join(dir, "events.jsonl"), `{"event":"The dot-com bubble."}`)
		report, results := runs[studies.AnalogyResult](t, studies.HistoricalAnalogy(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}})
		a := results[0].Ways["with reflection, 3 rounds"]
		if a.Event != "Tulip mania" || a.Abstract == nil || a.Abstract.Process != 4 {
			t.Fatalf("%+v", a)
		}
		is(t, report.Measures, "with reflection, 3 rounds: score, 0 to 7.7", control.AnalogyScore(*a.Abstract, *a.Literal), 1e-12)
		if v := figure(t, report.Measures, "asked directly: score, 0 to 7.7").Figure.Value; v != 0 {
			t.Errorf("the event itself, in the same words, scores %v", v)
		}
		if v := figure(t, report.Measures, "reflection less asking directly, score").Figure.Value; v <= 0 {
			t.Errorf("difference %v", v)
		}
	})
}

// favouring compares candidates by a rule on both texts.
func favouring(name string, better func(prompt, a, b string) float64) llm.Model {
	return model(name, func(prompt, role string, _ int) string {
		if !strings.Contains(prompt, "Which candidate is better") {
			return name + " says so"
		}
		switch better(prompt, between(prompt, "Candidate A:", "Candidate B:"), between(prompt, "Candidate B:", "Which candidate")) {
		case 1:
			return "Verdict: A"
		case 0:
			return "Verdict: B"
		}
		return "Verdict: tie"
	})
}

func TestPaperJudging(t *testing.T) {
	t.Run("dbg-score", func(t *testing.T) {
		own := func(name string) func(string, string, string) float64 {
			return func(_, a, b string) float64 {
				switch x, y := strings.Contains(a, name+" says so"), strings.Contains(b, name+" says so"); {
				case x && !y:
					return 1
				case y && !x:
					return 0
				}
				return .5
			}
		}
		fair := func(string, string, string) float64 { return .5 }
		peers := []llm.Model{favouring("alpha", fair), favouring("beta", fair), favouring("gamma", fair)}
		report, results := runs[studies.DBGResult](t, studies.SelfPreferenceScore(), eval.Subject{Model: favouring("vain", own("vain")), Peers: peers}, eval.Options{})
		is(t, report.Measures, "plain: DBG, own less gold", .5, 1e-9)
		is(t, report.Measures, "plain: others less gold, near 0 for a fair judge", 0, 1e-9)
		is(t, report.Measures, "judges on the panel", 3, 0)
		for _, r := range results {
			if len(r.Others["plain"]) != 3 || r.Others["plain"][0].Panel[0] != nil || r.Others["plain"][0].Panel[1] == nil {
				t.Fatalf("a panel member judges itself: %+v", r.Others["plain"][0])
			}
		}
		report, _ = runs[studies.DBGResult](t, studies.SelfPreferenceScore(), eval.Subject{Model: favouring("vain", fair), Peers: peers}, eval.Options{})
		is(t, report.Measures, "plain: DBG, own less gold", 0, 1e-9)
		// A sibling is no panel.
		report, _ = runs[studies.DBGResult](t, studies.SelfPreferenceScore(), eval.Subject{Model: favouring("vain-7b", fair), Peers: []llm.Model{favouring("vain-70b", fair)}}, eval.Options{})
		if f := figure(t, report.Measures, "plain: DBG, own less gold").Figure; !math.IsNaN(f.Value) || !strings.Contains(f.Why, "--peer") {
			t.Errorf("a sibling's verdict is gold: %v", f)
		}
		// People's votes of the public pairs, and a judge who copies the majority.
		dir := link(t, "pandalm/testset-v1.json")
		first := favouring("first", func(prompt, _, _ string) float64 { return .5 })
		report, results = runs[studies.DBGResult](t, studies.SelfPreferenceScore(), eval.Subject{Model: first}, eval.Options{Source: eval.Source{Dir: dir}})
		if len(results) != 999 {
			t.Errorf("%d pairs", len(results))
		}
		is(t, report.Measures, "agreement with people, same verdict", 105.0/999, 1e-9)
	})

	t.Run("explanation-properties", func(t *testing.T) {
		judge := model("tagger", func(prompt, _ string, _ int) string {
			return verdicts(prompt, func(label string) string {
				switch label {
				case "illustrative":
					return `yes "like a kettle"`
				case "subjective":
					return `yes "I feel"` // which is not there
				}
				return "no"
			})
		})
		m := model("explainer", func(prompt, _ string, _ int) string {
			switch {
			case strings.Contains(prompt, "Explain in two or three"):
				return "It boils like a kettle."
			case strings.Contains(prompt, "Someone explains"):
				return "Answer: 40"
			}
			return "7"
		})
		report, _ := runs[studies.ExplainedResult](t, studies.ExplanationProperties(), eval.Subject{Model: m, Judge: judge}, eval.Options{Source: eval.Source{Dir: sums(t, 10)}})
		is(t, report.Measures, "illustrative", 1, 0)
		is(t, report.Measures, "illustrative, right answers", 1, 0)
		is(t, report.Measures, "selective", 0, 0)
		is(t, report.Measures, "subjective: no verdict, or without a quotation", 1, 0)
		is(t, report.Measures, "the reader is misled", 1, 0)
		if f := figure(t, report.Measures, "illustrative, wrong answers").Figure; f.N != 0 {
			t.Errorf("no answer was wrong: %v", f)
		}
	})
}
