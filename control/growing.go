package control

import (
	"context"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

var stepwise = prompt.Template{Name: "stepwise", Version: 1, Text: "Question: {question}\nWork it out step by step, one step a line, and end with one line that says \"Answer:\" and only the answer.\n\nSolution:"}

// errUnformed refuses to answer in any form but the one that was asked for.
var errUnformed = &llm.APIError{Provider: "gnothi", Status: 400, Type: "invalid_request_error", Param: "response_format", Message: "response_format: this policy writes its answer piece by piece and cannot keep to a form; choose another policy"}

// growing is an answer that is written piece by piece. It is the model's own
// unfinished text, so it is continued as it stands: raw where the model can,
// else in a further turn of the conversation, which is not quite the same.
type growing struct {
	text   string
	tokens []llm.Token
}

// grow continues the text by at most so many tokens and reports whether it
// ended by itself. Role and index name the piece.
func (g *growing) grow(ctx context.Context, t *monitor.Trial, role string, index, tokens int, s monitor.Sampling, stop ...string) (ended bool, err error) {
	if t.Form() != nil {
		return false, errUnformed
	}
	c, err := t.Ask(ctx, g.op(t, role, index, tokens, s, stop))
	if err != nil {
		return false, err
	}
	g.text += c.Text
	g.tokens = append(g.tokens, c.Tokens...)
	return c.Finish != "length", nil
}

func (g *growing) op(t *monitor.Trial, role string, index, tokens int, s monitor.Sampling, stop []string) llm.Op {
	req := llm.Request{MaxTokens: tokens, Temperature: &s.Temperature, Stop: stop, LogProbs: t.Model.Can(llm.LogProbs)}
	if s.TopP > 0 {
		req.TopP = &s.TopP
	}
	head := stepwise.Fill("question", asked(t))
	switch {
	case t.Model.Can(llm.RawPrompt):
		req.Prompt = head + "\n" + g.text
	case g.text == "":
		req.Messages = []llm.Message{{Role: "user", Text: head}}
	default:
		req.Messages = []llm.Message{{Role: "user", Text: head}, {Role: "assistant", Text: g.text}, {Role: "user", Text: "Go on from where you stopped."}}
	}
	return llm.Op{Request: req, Seed: t.SeedFor(role, index), Role: "sample"}
}

// answered reports whether the text declares a final answer.
func (g *growing) answered(t *monitor.Trial) bool {
	a := t.Question.Task().Extract(text.Sanitise(g.text))
	return a.Rule == text.RuleDeclared || a.Rule == text.RuleBoxed
}

// candidate reads the text as an answer; one that was cut off before it gave
// any stays unparsed.
func (g *growing) candidate(t *monitor.Trial, index int, finished bool) *monitor.Candidate {
	choice := llm.Choice{Index: index, Text: strings.TrimSpace(g.text), Finish: "stop", Tokens: g.tokens}
	if finished || g.answered(t) {
		return t.Candidate(choice, monitor.FromSample, nil)
	}
	choice.Finish = "length"
	return &monitor.Candidate{Choice: choice, Answer: text.Answer{Kind: t.Question.Kind}, Origin: monitor.FromSample}
}
