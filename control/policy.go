package control

import (
	"context"

	"gnothi/monitor"
	"gnothi/text"
)

// Policy spends calls on a trial and comes back with an answer.
type Policy interface {
	Run(ctx context.Context, t *monitor.Trial) (Result, error)
	// String describes the policy with every setting that bears on its answers;
	// calibrators are keyed by it.
	String() string
}

// Result is what a policy found.
type Result struct {
	Best    *monitor.Candidate   // nil if there is no answer
	Pool    []*monitor.Candidate // everything considered, in order
	Classes []Class              // answers that mean the same, heaviest first
	Tie     bool                 // whether the winner only came first among equals
	Stopped string               // why it stopped
	Trace   []Step               // the before and after of a loop
}

// Class is a set of equal answers among the pool.
type Class struct {
	Answer  text.Answer
	Members []int   // indexes into the pool
	Weight  float64 // the votes it got
}

// Step is one revision of a loop: the record that confidence (right to wrong)
// and critique (wrong to right) are measured from.
type Step struct {
	Round         int
	Before, After *monitor.Candidate
	Feedback      string
	Kept          bool
}
