package monitor

import (
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

// Question is what is asked, without what the right answer is: a trial never
// sees the label.
type Question struct {
	Text    string
	Kind    text.Kind // type of the expected answer
	Options []text.Option
	Context string
}

// Task is how replies to the question are read and compared.
func (q Question) Task() text.Task {
	return text.Task{Kind: q.Kind, Question: q.Text, Options: q.Options}
}
