package claims

import (
	"context"
	"fmt"
	"strings"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

var questionTemplate = prompt.Template{Name: "question-of", Version: 1, Text: "Text: {text}\n" + material +
	"Write the one question that the text as a whole answers. Name its subject, but nothing that the text says about it. Reply with the question alone."}

// questionBytes bounds the text that a question is made from, and the question.
const questionBytes = 2000

// QuestionOf has the model write the question that a text answers, so that
// samples of the same kind can be drawn. It is a guess, to be shown to whoever
// reads the result.
func QuestionOf(ctx context.Context, t *monitor.Trial, answer string) (string, error) {
	reply, err := t.Aside(ctx, monitor.Aside{Role: "rewrite", Text: questionTemplate.Fill("text", cut(answer[:min(len(answer), questionBytes)])[0]), MaxTokens: 64})
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text.Sanitise(reply.Text)) {
		line = strings.Trim(strings.TrimSpace(line), "\"*")
		if strings.HasSuffix(line, "?") && len(line) <= questionBytes/4 {
			return line, nil
		}
	}
	return "", fmt.Errorf("claims: asked for the question that the text answers, the model wrote %q: give the question yourself", text.Clip(text.SanitiseLine(reply.Text), 80))
}
