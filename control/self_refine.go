package control

import (
	"strings"

	"gnothi/monitor/prompt"
)

var (
	critiqueAsk = Ask{Role: "judge", MaxTokens: 256, Template: prompt.Template{Name: "critique", Version: 1, Text: "Question: {question}\nProposed answer: {answer}\nCheck the proposed answer. If it is right, reply only: NO CHANGE. Otherwise say in one or two sentences what is wrong with it."}}
	reviseAsk   = Ask{Role: "rewrite", MaxTokens: 256, Template: prompt.Template{Name: "revise", Version: 1, Text: "Question: {question}\nEarlier answer: {answer}\nCriticism of it, which may be mistaken: {feedback}\nAnswer the question again. Give only the answer, in a few words."}}
)

// SelfRefine lets the model criticise and revise its own answer for at most so
// many rounds (self-language-feedback, Lu et al. 2023; Self-Refine, Madaan et
// al. 2023). A revision whose own critique is content is qualified and ends the
// loop; where none qualifies, the last stands, and Stopped says so. A critique
// without the verdict never qualifies. There is no verifier: whether it
// corrects more than it spoils is for its trace to say. The paper trains the
// model to give feedback; here it is asked for.
func SelfRefine(rounds int) Policy {
	return Loop{Name: named("self-refine", critiqueAsk, reviseAsk), Feedback: critiqueAsk.Feedback(qualified), Revise: reviseAsk.Reviser(), Rounds: rounds}
}

// qualified reads the verdict that has nothing against an answer. It stands
// first or last: amidst other words it may well be denied.
func qualified(words string) bool {
	const noChange = "NO CHANGE"
	verdict := strings.Trim(strings.ToUpper(words), " \n\t.!*\"'`")
	return strings.HasPrefix(verdict, noChange) || strings.HasSuffix(verdict, noChange)
}
