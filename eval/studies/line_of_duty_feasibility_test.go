package studies_test

import (
	"encoding/csv"
	"os"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
)

func TestPaperLineOfDuty(t *testing.T) {
	t.Run("line-of-duty-feasibility", func(t *testing.T) {
		// A model that makes up a feasible task and then calls every task infeasible.
		m := model("shy", func(prompt, role string, _ int) string {
			switch {
			case role == "task":
				return `{"task": "Sort these names: Zoe, Adam."}`
			case role == "classify":
				return "Category: Infeasible\nType: Temporal Perception\nReason: Outside Training Cutoff"
			}
			return "It demands sorting.\n**Category:** Feasible"
		})
		report, results := runs[studies.FeasibilityResult](t, studies.LineOfDuty(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{N: 22}})
		if o := report.Outcomes; o.Right != 11 || o.Wrong != 11 || report.Spend.Calls != 66 {
			t.Errorf("%+v after %d calls", o, report.Spend.Calls)
		}
		is(t, report.Measures, "over-confidence: infeasible, now feasible", 0, 0)
		is(t, report.Measures, "conservatism: feasible, now infeasible", 1, 0)
		is(t, report.Measures, "agreement, type and reason too", 1.0/22, 1e-9)
		is(t, report.Measures, "challenged: over-confidence", 1, 0)
		if r := results[1]; r.Said != "Infeasible" || r.DoneType != "Temporal Perception" || r.Task != "Sort these names: Zoe, Adam." {
			t.Errorf("%+v", r)
		}
	})
	t.Run("line-of-duty-feasibility/golden", func(t *testing.T) {
		f, err := os.Open(data(t, "self-knowledge-feasibility/classifications.csv"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		rows, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		of := map[string][]studies.FeasibilityResult{}
		for _, r := range rows[1:] { // prompt,id,llm,gen_category,gen_type,gen_reason,cls_category,cls_type,cls_reason
			key := strings.SplitN(r[0], "_", 2)[0] + " " + r[2]
			of[key] = append(of[key], studies.FeasibilityResult{
				SelfClaim: studies.SelfClaim{Kind: r[4], Said: r[3], Done: r[6]}, Reason: r[5], DoneType: r[7], DoneReason: r[8]})
		}
		const eps = 0.00051                           // the published values are rounded to a tenth of a point
		for key, want := range map[string][4]float64{ // agreement, with type and reason, over-confidence, conservatism
			"vanilla claude-3-5-sonnet-latest":   {.834, .738, .028, .305},
			"vanilla gemini-1.5-flash":           {.912, .740, .112, .062},
			"vanilla gpt-4o":                     {.909, .769, .052, .130},
			"vanilla gpt-4o-mini":                {.796, .700, .215, .192},
			"vanilla mistral-large-latest":       {.885, .796, .075, .155},
			"challenge claude-3-5-sonnet-latest": {.819, .738, .012, .350},
			"challenge gemini-1.5-flash":         {.889, .734, .102, .120},
			"challenge gpt-4o":                   {.891, .800, .012, .205},
			"challenge gpt-4o-mini":              {.788, .712, .238, .188},
			"challenge mistral-large-latest":     {.864, .759, .070, .202},
		} {
			if len(of[key]) != 800 {
				t.Fatalf("%s: %d rows", key, len(of[key]))
			}
			ms := measured(t, studies.LineOfDuty(), of[key])
			is(t, ms, "agreement", want[0], eps)
			is(t, ms, "agreement, type and reason too", want[1], eps)
			is(t, ms, "over-confidence: infeasible, now feasible", want[2], eps)
			is(t, ms, "conservatism: feasible, now infeasible", want[3], eps)
		}
		// By type: what lies in time or context is told least surely from the other limits.
		var all []studies.FeasibilityResult
		for _, rs := range of {
			all = append(all, rs...)
		}
		ms := measured(t, studies.LineOfDuty(), all)
		for kind, want := range map[string]float64{"Contextual Awareness": .506, "Temporal Perception": .693, "Identification of Ambiguity": .898, "Functional Ceiling": .930, "Ethical Integrity": .949} {
			is(t, ms, "infeasible both times, for the same type: "+kind, want, eps)
		}
		is(t, ms, "agreement: Identification of Ambiguity", .915, eps)
		is(t, ms, "agreement: Functional Ceiling", .784, eps)
	})
}
