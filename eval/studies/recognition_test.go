package studies_test

import (
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/llm"
)

func TestPaperSecurityQuestions(t *testing.T) {
	t.Run("self-recognition-security-questions", func(t *testing.T) {
		// Models that always say A are right in exactly one order of n.
		a := func(name string) llm.Model {
			return model(name, func(_, role string, _ int) string {
				switch role {
				case "write":
					return "What do you think of Mondays?"
				case "answer":
					return "Sure, here is my answer. I am " + name + " and I like them."
				}
				return "A"
			})
		}
		report, results := runs[studies.SecurityResult](t, studies.SecurityQuestions(), eval.Subject{Model: a("one"), Peers: []llm.Model{a("two"), a("three")}}, eval.Options{Source: eval.Source{N: 12}})
		is(t, report.Measures, "picks its own answer, above chance", 0, 1e-12)
		is(t, report.Measures, "the same, all models", 0, 1e-12)
		is(t, report.Measures, "position bias among 2: greatest deviation of a letter from chance", .5, 1e-12)
		is(t, report.Measures, "position bias among 3: greatest deviation of a letter from chance", 2.0/3, 1e-12)
		is(t, report.Measures, "names the same author in every order", 0, 0)
		is(t, report.Measures, "picks as its own what it prefers", 1, 0)
		writers := map[int]int{}
		for _, r := range results {
			writers[r.Writer]++
		}
		if len(writers) != 3 || report.Outcomes.Failed != 0 {
			t.Errorf("writers %v, %+v", writers, report.Outcomes)
		}

		// One that knows its own style, whatever the order; preambles are gone before anyone sees an answer.
		knows := model("knows", func(prompt, role string, _ int) string {
			switch role {
			case "write":
				return "What do you think of Mondays?"
			case "answer":
				return "Certainly! Mondays are green."
			}
			if strings.Contains(prompt, "Certainly") {
				return "neither"
			}
			if strings.Contains(prompt, `A) "Mondays are green."`) {
				return "A"
			}
			return "B"
		})
		report, _ = runs[studies.SecurityResult](t, studies.SecurityQuestions(), eval.Subject{Model: knows, Peers: []llm.Model{a("two")}}, eval.Options{Source: eval.Source{N: 4}})
		is(t, report.Measures, "picks its own answer, above chance", .5, 1e-12)
		is(t, report.Measures, "names the same author in every order", 1, 0)
		if report.Outcomes.Right != 4 {
			t.Errorf("%+v", report.Outcomes)
		}
		if _, err := eval.Run(t.Context(), studies.SecurityQuestions(), eval.Subject{Model: knows}, eval.Options{}); err == nil || !strings.Contains(err.Error(), "--peer") {
			t.Errorf("without peers: %v", err)
		}
	})
}

func TestPaperSelfPreference(t *testing.T) {
	t.Run("self-recognition-self-preference", func(t *testing.T) {
		// Always A: every pair a tie, half of them right by chance.
		first := model("first", func(_, role string, _ int) string {
			return map[string]string{"summarise": "It rained.", "recognise": "A", "prefer": "A", "mine": "Yes", "score": "3"}[role]
		})
		report, results := runs[studies.PreferenceResult](t, studies.SelfPreference(), eval.Subject{Model: first}, eval.Options{Source: eval.Source{N: 4}})
		is(t, report.Measures, "tells its own in pairs, ties half", .5, 0)
		is(t, report.Measures, "orders disagree about whose it is", 1, 0)
		is(t, report.Measures, "says it wrote its own, less others'", 0, 0)
		if r := results[0]; len(r.Pairs) != 1 || r.Pairs[0].Other != "person" || len(r.Singles) != 2 {
			t.Errorf("%+v", r)
		}
		// One that knows and prefers its own.
		vain := model("vain", func(prompt, role string, _ int) string {
			own := strings.Contains(prompt, `A) "It rained."`) || strings.Contains(prompt, `Summary: "It rained."`)
			switch {
			case role == "summarise":
				return "It rained."
			case role == "mine":
				return map[bool]string{true: "Yes", false: "No"}[own]
			case role == "score":
				return map[bool]string{true: "5", false: "2"}[own]
			}
			return map[bool]string{true: "A", false: "B"}[own]
		})
		report, _ = runs[studies.PreferenceResult](t, studies.SelfPreference(), eval.Subject{Model: vain}, eval.Options{Source: eval.Source{N: 4}})
		is(t, report.Measures, "tells its own in pairs, ties half", 1, 0)
		is(t, report.Measures, "prefers its own in pairs, ties half", 1, 0)
		is(t, report.Measures, "says it wrote its own, less others'", 1, 0)
		is(t, report.Measures, "score of its own less others', of 5", 3, 0)
	})
}
