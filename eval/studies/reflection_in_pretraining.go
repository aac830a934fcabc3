package studies

import (
	"context"
	"regexp"
	"strings"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/text"
)

// ReflectionResult is how a corrupted chain was continued.
type ReflectionResult struct {
	Task string `json:"task"`
	// Alone is the answer without a chain: what the model can do uncorrupted.
	Alone text.Outcome `json:"alone"`
	// Recovered and Explicit are without a trigger and with it: whether the chain
	// was continued to the right answer, and whether the text names the mistake.
	Recovered [2]text.Outcome `json:"recovered"`
	Explicit  [2]bool         `json:"explicit"`
	Turn      bool            `json:"turn"` // the model continues no raw text: asked in a turn of its own
}

// Outcome implements [eval.Graded]: right is recovery after the trigger.
func (r ReflectionResult) Outcome() text.Outcome { return r.Recovered[1] }

// waitTrigger is what the paper appends.
const waitTrigger = "Wait,"

// namesMistake is the rule list by which a text speaks of a mistake.
var namesMistake = regexp.MustCompile(`(?i)\b(wait|actually|mistakes?n?|incorrect|error|wrong|re-?check|double-?check|let me check|correction|should (?:be|have been)|not right)\b`)

// PretrainingReflection is the study reflection-in-pretraining (Essential AI
// 2025): a chain of thought that somebody else corrupted is put before a model,
// which continues it; does it reach the right answer all the same, and does it
// say that something was wrong? With and without the trigger "Wait,", beside the
// accuracy without any chain. Published: OLMo-2 recovers more with the logarithm
// of pre-training compute, 6 · parameters · tokens: run the study on each
// checkpoint.
//
// The user's folder may hold chains.jsonl or the files of BIG-Bench Mistake
// (Tyen et al. 2023): 2,186 traces, of which the 1,523 that do not end in the
// right answer, blanks aside, are used. A chain is shown up to its first wrong step, whole where none is marked. Chains that come to the
// right answer are left out. Chosen: a rule list tells whether the text names the
// mistake, in place of a few-shot classifier; without the user's files made-up
// sums, one result changed.
func PretrainingReflection() eval.Suite {
	return eval.Study[Chain, ReflectionResult]{
		Name:  "reflection-in-pretraining",
		About: "continues corrupted chains of thought: recovery, explicit and implicit, with and without \"Wait,\"",
		Needs: "text",
		Items: eval.List(func(s eval.Source) ([]Chain, error) {
			all, err := chainItems(s, 80)
			var out []Chain
			for _, c := range all {
				if c.wrong() {
					out = append(out, c)
				}
			}
			return out, err
		}),
		Ask: askReflection, Measure: measureReflection,
	}
}

// corrupted is the chain up to its first wrong step.
func (c Chain) corrupted() string {
	steps := c.Steps
	if c.Mistake != nil {
		steps = steps[:*c.Mistake+1]
	}
	return strings.Join(steps, "\n")
}

func askReflection(ctx context.Context, s *eval.Session, c Chain) (ReflectionResult, error) {
	r := ReflectionResult{Task: c.Task, Turn: !s.Model.Can(llm.RawPrompt)}
	alone, err := continued(ctx, s.Trial, 0, c.Input, "")
	if err != nil {
		return r, err
	}
	r.Alone = c.grade(alone)
	for i, end := range []string{"", "\n" + waitTrigger} {
		reply, err := continued(ctx, s.Trial, i+1, c.Input, c.corrupted()+end)
		if err != nil {
			return r, err
		}
		r.Recovered[i], r.Explicit[i] = c.grade(reply), namesMistake.MatchString(withoutConclusion(reply))
	}
	return r, nil
}

// continued lets the model go on with a solution: as raw text where it can, else
// in a turn that shows what there is.
func continued(ctx context.Context, t *monitor.Trial, i int, question, begun string) (string, error) {
	const how = "\nThink step by step and end with \"So the answer is\" and the answer.\n"
	zero := 0.0
	req := llm.Request{Prompt: "Question: " + question + how + "Solution:\n" + begun, MaxTokens: 400, Temperature: &zero, Stop: []string{"\nQuestion:"}}
	if !t.Model.Can(llm.RawPrompt) {
		ask := "Question: " + question + how
		if begun != "" {
			ask += "This is the beginning of a solution. Continue it from where it stops.\n" + begun
		}
		req = llm.Request{Messages: []llm.Message{{Role: "user", Text: ask}}, MaxTokens: 400, Temperature: &zero}
	}
	reply, err := t.Ask(ctx, llm.Op{Request: req, Seed: t.SeedFor("continue", i), Role: "answer"})
	return reply.Text, err
}

func measureReflection(rs []ReflectionResult) []eval.Measure {
	share := func(name string, of func(ReflectionResult) (yes, counts bool)) eval.Measure {
		k, n := 0, 0
		for _, r := range rs {
			if yes, counts := of(r); counts {
				k, n = k+int(one(yes)), n+1
			}
		}
		return eval.Share(name, k, n)
	}
	out := []eval.Measure{share("right without a chain", func(r ReflectionResult) (bool, bool) { return r.Alone == text.Right, true })}
	for i, how := range []string{"no trigger", "trigger"} {
		right := func(r ReflectionResult) bool { return r.Recovered[i] == text.Right }
		out = append(out,
			share(how+": recovered", func(r ReflectionResult) (bool, bool) { return right(r), true }),
			share(how+": recovered, of what is right without a chain", func(r ReflectionResult) (bool, bool) { return right(r), r.Alone == text.Right }),
			share(how+": explicit, recovered and names the mistake", func(r ReflectionResult) (bool, bool) { return right(r) && r.Explicit[i], true }),
			share(how+": implicit, recovered and does not name it", func(r ReflectionResult) (bool, bool) { return right(r) && !r.Explicit[i], true }),
			share(how+": names a mistake, of those not recovered", func(r ReflectionResult) (bool, bool) { return r.Explicit[i], !right(r) }),
			share(how+": no answer could be read, or declined", func(r ReflectionResult) (bool, bool) {
				return r.Recovered[i] == text.Unparsed || r.Recovered[i] == text.Refused, true
			}),
		)
	}
	with, without := make([]float64, len(rs)), make([]float64, len(rs))
	for i, r := range rs {
		without[i], with[i] = one(r.Recovered[0] == text.Right), one(r.Recovered[1] == text.Right)
	}
	out = append(out, paired("recovered, trigger less none", with, without))
	for _, task := range chainTasks {
		if m := share(task+": recovered with the trigger", func(r ReflectionResult) (bool, bool) { return r.Recovered[1] == text.Right, r.Task == task }); m.Figure.N > 0 {
			out = append(out, m)
		}
	}
	return out
}
