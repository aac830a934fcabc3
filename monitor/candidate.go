package monitor

import (
	"cmp"
	"strings"

	"gnothi/llm"
	"gnothi/text"
)

// Candidate is an answer under consideration. It is immutable and compared by
// pointer, so evidence about it can be remembered.
type Candidate struct {
	llm.Choice             // the model's reply as it came, with token data if it gives them
	Answer     text.Answer // what was read from the reply
	Key        string      // equal for equal answers; empty if none could be read
	Origin     Origin
	Parent     *Candidate // what a revision was made from
}

// Origin says where a candidate came from.
type Origin string

// The origins.
const (
	FromGreedy   Origin = "greedy"
	FromSample   Origin = "sample"
	FromRevision Origin = "revision"
	FromOutside  Origin = "given"
)

// Words is the reply in words, tool calls spelled out.
func (c *Candidate) Words() string {
	if c.IsCall() {
		return strings.TrimSpace(c.Text + "\n" + c.Answer.Text)
	}
	return c.Text
}

// IsCall tells an answer that is a tool call.
func (c *Candidate) IsCall() bool { return c.Answer.Rule == text.RuleCall }

// Question is what is asked, without what the right answer is: a trial never
// sees the label.
type Question struct {
	Text    string
	Kind    text.Kind // type of the expected answer
	Options []text.Option
	Context string
	Images  []string // web or data: URLs of what is to be looked at
}

// Said is the answer of a candidate, or all of its reply where none was read. Of
// an option it is the text, and key is what it stands for; else key is empty.
func (q Question) Said(c *Candidate) (answer, key string) {
	if c.Answer.Status != text.Parsed {
		return strings.TrimSpace(c.Text), ""
	}
	if q.Kind == text.Letter {
		for _, o := range q.Options {
			if strings.EqualFold(o.Letter, c.Answer.Text) {
				return o.Text, cmp.Or(o.Key, o.Text)
			}
		}
	}
	return c.Answer.Text, ""
}

// Task is how replies to the question are read and compared.
func (q Question) Task() text.Task {
	return text.Task{Kind: q.Kind, Question: q.Text, Options: q.Options}
}
