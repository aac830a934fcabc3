package control

import (
	"maps"
	"slices"

	"gnothi/monitor/prompt"
)

var (
	hintAsk     = Ask{Role: "judge", Template: prompt.Template{Name: "hint", Version: 1, Text: "Question: {question}\nA student's attempt: {answer}\nYou are the teacher. {kind} First point to the place in the attempt, then show how to go on. Do not finish for the student."}}
	continueAsk = Ask{Role: "rewrite", Template: prompt.Template{Name: "continue", Version: 1, Text: "Question: {question}\nThe attempt so far: {answer}\nA teacher's remark on it, which may be mistaken: {feedback}\nContinue the attempt in the light of the remark and finish it. " + answerLine}}
	guidances   = map[string]string{
		"critique":    "Say what is wrong with the attempt.",
		"conflict":    "Set another possible answer against the attempt's and ask which holds.",
		"agreement":   "Say what is right in the attempt and can be built on.",
		"consultancy": "Ask the question that the student should have asked.",
	}
)

// Guidances names the kinds of remark that a teacher makes, sorted.
func Guidances() []string { return slices.Sorted(maps.Keys(guidances)) }

// Guided is the policy `guided` (thinktuning, RRV et al. 2025), without its
// training: a teacher of the student's own size, here the same model, reads the
// attempt without knowing the right answer and makes a corrective remark; the
// student continues. [Step.Transcript] marks the remark, which training masks
// or weighs. kind is one of [Guidances], the paper's four in our words; another
// is taken for critique.
func Guided(kind string) Policy {
	words, ok := guidances[kind]
	if !ok {
		words = guidances["critique"]
	}
	hint := hintAsk.With("kind", words)
	return Loop{Name: named("guided", hint, continueAsk), Feedback: hint.Feedback(nil), Revise: continueAsk.Reviser(), Rounds: 1}
}
