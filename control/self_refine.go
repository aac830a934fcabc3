package control

import (
	"context"
	"errors"
	"strings"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
)

var (
	critiqueTemplate = prompt.Template{Name: "critique", Version: 1, Text: "Question: {question}\nProposed answer: {answer}\nCheck the proposed answer. If it is right, reply only: NO CHANGE. Otherwise say in one or two sentences what is wrong with it."}
	reviseTemplate   = prompt.Template{Name: "revise", Version: 1, Text: "Question: {question}\nEarlier answer: {answer}\nCriticism of it, which may be mistaken: {feedback}\nAnswer the question again. Give only the answer, in a few words."}
)

// SelfRefine lets the model criticise and revise its own answer for at most so
// many rounds, and keeps the last revision (self-language-feedback, Lu et
// al. 2023; Self-Refine, Madaan et al. 2023). There is no verifier: whether it
// corrects more than it spoils is for its trace to say.
func SelfRefine(rounds int) Policy {
	return Loop{Name: "self-refine " + critiqueTemplate.ID() + " " + reviseTemplate.ID(), Feedback: critique, Revise: revise, Rounds: rounds}
}

func critique(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (string, bool, error) {
	reply, err := t.Aside(ctx, monitor.Aside{Role: "judge", Text: critiqueTemplate.Fill("question", t.Question.Text, "answer", c.Text)})
	if err != nil {
		return "", false, err
	}
	words := strings.TrimSpace(reply.Text)
	if words == "" {
		return "", false, errors.New("the critique is empty")
	}
	verdict := strings.Trim(strings.ToUpper(words), " \n\t.!*\"'`")
	return words, strings.HasPrefix(verdict, noChange) || strings.HasSuffix(verdict, noChange), nil
}

// noChange is the verdict of a critique that has nothing against an answer. It
// stands first or last: amidst other words it may well be denied.
const noChange = "NO CHANGE"

func revise(ctx context.Context, t *monitor.Trial, round int, c *monitor.Candidate, feedback string) (*monitor.Candidate, error) {
	reply, err := t.Aside(ctx, monitor.Aside{Role: "rewrite", Index: round, Text: reviseTemplate.Fill("question", t.Question.Text, "answer", c.Text, "feedback", feedback)})
	if err != nil {
		return nil, err
	}
	return t.Candidate(reply, monitor.FromRevision, c), nil
}
