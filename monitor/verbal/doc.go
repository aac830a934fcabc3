// Package verbal holds the signals that ask the model about its own answer.
// Each asks in a fresh context, which does not carry the conversation that made
// the answer. What they are worth differs greatly between models: on the small
// default model they are close to nothing, and a calibrator weights them so.
//
// It may import monitor, monitor/prompt, llm and text.
package verbal

import (
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
)

// question asks about a candidate, greedily and in a fresh context.
func question(t *monitor.Trial, about prompt.Template, c *monitor.Candidate, maxTokens int) llm.Op {
	greedy := 0.0
	ask := about.Fill("question", t.Question.Text, "answer", c.Words())
	return llm.Op{Role: "judge", Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: ask}}, MaxTokens: maxTokens, Temperature: &greedy}}
}
