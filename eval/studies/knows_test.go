package studies_test

import (
	"math"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/llm"
	"gnothi/llm/script"
)

// A model whose P(True) works: alone it doubts right and wrong answers nearly alike;
// after its own samples it sees which answer it keeps giving. It knows half of the
// questions, says so before answering, and trusts a source.
func TestPaperKnowWhatTheyKnow(t *testing.T) {
	letter := func(p float64) script.Reply {
		return script.Reply{Tokens: []llm.Token{{Text: "A", LogProb: math.Log(max(p, 1-p)), Top: []llm.TopToken{{Text: "A", LogProb: math.Log(p)}, {Text: "B", LogProb: math.Log(1 - p)}}}}}
	}
	yes := func(p float64) script.Reply {
		return script.Reply{Tokens: []llm.Token{{Text: "Yes", LogProb: math.Log(max(p, 1-p)), Top: []llm.TopToken{{Text: "Yes", LogProb: math.Log(p)}, {Text: "No", LogProb: math.Log(1 - p)}}}}}
	}
	m := named{llm.Metered(script.New(func(op llm.Op, i int) script.Reply {
		ask := script.Prompt(op.Request)
		known := !strings.Contains(ask, "hard")
		switch {
		case strings.Contains(ask, "Do you know enough"):
			switch {
			case strings.HasPrefix(ask, "Context:"):
				return yes(.9)
			case known:
				return yes(.7)
			}
			return yes(.3)
		case strings.Contains(ask, "Is the proposed answer:"):
			_, proposed, _ := strings.Cut(ask, "Proposed answer: ")
			right := strings.HasPrefix(proposed, `"Paris"`)
			p := .6 // alone: nothing to tell them by
			if strings.Contains(ask, "brainstormed") {
				p = map[bool]float64{true: .8, false: .4}[right]
			}
			if strings.Contains(ask, "(A) False") {
				p = 1 - p
			}
			return letter(p)
		case known:
			return script.Reply{Text: []string{"Paris", "Paris", "Lyon"}[i%3]}
		}
		return script.Reply{Text: []string{"Rome", "Oslo"}[i%2]}
	}, llm.LogProbs), &llm.Price{}), "knower"}
	dir := t.TempDir()
	var lines []string
	for _, k := range []string{"easy", "hard"} {
		for _, n := range []string{"one", "two", "three", "four"} {
			lines = append(lines, `{"question":"The `+k+` question `+n+`: which city?","answers":["Paris"]}`)
		}
	}
	writeLines(t, dir+"/questions.jsonl", lines...)
	t.Run("p-true-p-ik", func(t *testing.T) {
		report, results := runs[studies.KnowsResult](t, studies.KnowWhatTheyKnow(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}})
		is(t, report.Measures, "P(True): AUROC", .5, 1e-9)
		is(t, report.Measures, "P(True) after own samples: AUROC", 1, 1e-9)
		is(t, report.Measures, "what own samples add to the AUROC", .5, 1e-9)
		is(t, report.Measures, "P(IK)", .5, 1e-9)
		is(t, report.Measures, "P(IK): AUROC of most samples being right", 1, 1e-9)
		is(t, report.Measures, "what a hint adds to P(IK)", .4, 1e-9)
		if f := figure(t, report.Measures, "what a hint adds to P(IK)").Figure; !(f.Low > 0) {
			t.Errorf("P(IK) rises with a hint: %v", f)
		}
		if o := report.Outcomes; o.Right != 4 || o.Wrong != 4 || len(results[0].Proposed) != 2 {
			t.Errorf("%+v, %+v", o, results[0])
		}
	})
}

func TestPaperSelfFamiliarity(t *testing.T) {
	t.Run("self-familiarity", func(t *testing.T) {
		m := model("well-read", func(prompt, role string, _ int) string {
			name := ""
			for _, known := range []string{"aspirin", "gravity", "Mozart", "chess"} {
				if strings.Contains(prompt, known) {
					name = known
				}
			}
			switch role {
			case "concepts":
				return name
			case "explain":
				if name == "" {
					return "It is a thing of some kind that has its uses."
				}
				return "The thing with the secret sign " + strings.ToUpper(name[1:3]) + "-" + name[1:3] + " that everybody knows about."
			}
			for _, known := range []string{"aspirin", "gravity", "Mozart", "chess"} {
				if strings.Contains(prompt, "-"+known[1:3]+" ") {
					return known
				}
			}
			return "some machine"
		})
		dir := t.TempDir()
		var lines []string
		for _, name := range []string{"aspirin", "gravity", "Mozart", "chess"} {
			lines = append(lines, `{"question":"What is `+name+` known for?","known":true}`)
		}
		for _, name := range []string{"Zorblax", "Quivilith", "Lumtaquil"} {
			lines = append(lines, `{"question":"What is `+name+` known for?","known":false}`)
		}
		writeLines(t, dir+"/concepts.jsonl", lines...)
		report, results := runs[studies.FamiliarResult](t, studies.SelfFamiliarity(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}})
		is(t, report.Measures, "existing against made up, AUROC", 1, 1e-9)
		is(t, report.Measures, "withheld at it, of the made up", 1, 0)
		is(t, report.Measures, "withheld at it, of the other half of the known", 0, 0)
		if results[0].F != 1 || results[4].F != 0 {
			t.Errorf("%+v", results)
		}
	})
}
