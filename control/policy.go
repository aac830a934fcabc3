package control

import (
	"context"
	"strings"

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
	Bought  []Purchase           // what [Auto] bought, in order
	Clarify string               // the question to ask back, where the question is ambiguous
	// Withhold is why no answer is given whatever its probability; Best then has none.
	Withhold string
	// LogOdds is what evidence beside the draws, which no calibrator knows, added to
	// the log-odds that Best is right.
	LogOdds float64
	Verdict string // the feedback that was content and ended a loop, in its words
}

// Class is a set of equal answers among the pool.
type Class struct {
	Answer  text.Answer
	Members []int   // indexes into the pool
	Weight  float64 // the votes it got
}

// First is the answer before any revision: what a loop began with, and Best
// where nothing was revised.
func (r Result) First() *monitor.Candidate {
	if len(r.Trace) == 0 {
		return r.Best
	}
	return r.Trace[0].Before
}

// Step is one revision of a loop: the record that confidence (right to wrong)
// and critique (wrong to right) are measured from. Of several revisions in one
// round After is the one that was kept, else the first.
type Step struct {
	Round         int
	Before, After *monitor.Candidate
	Feedback      string
	Kept          bool
}

// Changed reports whether the revision gives another answer than what it
// revises: by equivalence of the answers, never by text. One that can not be
// read is no other answer.
func (s Step) Changed() bool { return s.After.Key != "" && s.After.Key != s.Before.Key }

// Transcript is the step as one text, attempt, feedback and second attempt,
// and where in it the feedback stands: the part that the training of
// reflections rewards (reflect-retry-reward, Bensal et al. 2025) or that a
// teacher wrote (thinktuning, RRV et al. 2025).
func (s Step) Transcript() (string, text.Span) {
	attempt := strings.TrimSpace(s.Before.Text) + "\n\n"
	end := len(attempt) + len(s.Feedback)
	return attempt + s.Feedback + "\n\n" + strings.TrimSpace(s.After.Text), text.Span{Start: len(attempt), End: end}
}
