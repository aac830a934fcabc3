package monitor

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"gnothi/llm"
	"gnothi/text"
)

// Trial is one question under study: the model, the request, the ledger, a memo
// of evidence and pools of samples. It knows no kind of evidence itself.
type Trial struct {
	TrialOptions
	path  string
	memo  *memo
	mu    sync.Mutex
	pools map[Sampling]*pool
	last  Sampling // how the latest samples were drawn
}

// TrialOptions is what a trial is made of.
type TrialOptions struct {
	Model    llm.Model
	Question Question
	// Request is the question in the form in which it is asked.
	Request llm.Request
	// Ledger is where calls are charged; nil opens one without ceilings.
	Ledger *llm.Ledger
	// Seed is the root of everything random in the trial.
	Seed uint64
	// Threshold is the probability below which the asker wants no answer, for
	// policies that weigh what more evidence would change; 0: any answer serves.
	Threshold float64
	// Calibrated, if set, gives the calibrated probability that a candidate is
	// right, from what the trial has gathered so far, to compare with Threshold; ok
	// is false where it cannot be had.
	Calibrated func(ctx context.Context, t *Trial, c *Candidate) (p float64, ok bool)
	// Progress, if set, hears how many samples there are after each draw.
	Progress func(drawn int)
}

// NewTrial puts a question to a model.
func NewTrial(o TrialOptions) *Trial {
	if o.Ledger == nil {
		o.Ledger = llm.NewLedger(llm.Limits{})
	}
	return newTrial(o, "", &waitGraph{on: map[*entry]map[*entry]int{}})
}

func newTrial(o TrialOptions, path string, g *waitGraph) *Trial {
	return &Trial{
		TrialOptions: o, path: path, last: DefaultSampling,
		memo:  &memo{waits: g, entries: map[any]*entry{}},
		pools: map[Sampling]*pool{},
	}
}

// Child gives a nested study its own pool, memo and seed path: an inner policy,
// another model, the next question of a chain. Ledger and budget are the
// parent's. A nil model and a request without a prompt keep the parent's.
func (t *Trial) Child(name string, i int, m llm.Model, req llm.Request) *Trial {
	o := t.TrialOptions
	if m != nil {
		o.Model = m
	}
	if req.Messages != nil || req.Prompt != "" {
		o.Request = req
	}
	return newTrial(o, fmt.Sprintf("%s/%s[%d]", t.path, name, i), t.memo.waits)
}

// SeedFor gives the seed for a named use below the trial, never 0.
func (t *Trial) SeedFor(name string, i int) uint64 {
	return llm.Derive(t.Seed, t.path+"/"+name, i)
}

// Do runs an operation on the trial's model and charges the ledger.
func (t *Trial) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	return t.Model.Do(llm.WithLedger(ctx, t.Ledger), op)
}

// Ask puts one operation of a single choice to the trial's model.
func (t *Trial) Ask(ctx context.Context, op llm.Op) (llm.Choice, error) {
	res, err := t.Do(ctx, op)
	switch {
	case err != nil:
		return llm.Choice{}, err
	case len(res.Choices) == 0:
		return llm.Choice{}, fmt.Errorf("model %s returned no choices", t.Model.ID())
	}
	return res.Choices[0], nil
}

// maxReply is the longest reply, in bytes, that is read for an answer in it: a
// longer one, such as a file written out, would cost seconds.
const maxReply = 1 << 20

// Candidate reads a choice as an answer to the trial's question. What only goes
// in circles, or only repeats the question, is unparsed: it would look sure of
// itself to any likelihood. Escape sequences are left out before the reading,
// for the numbers in them are no answers; so spans are of the sanitised reply. A
// tool call is an answer too, compared by structure ([text.Task.Calls]), and so is
// JSON where the request asks for it.
func (t *Trial) Candidate(c llm.Choice, origin Origin, parent *Candidate) *Candidate {
	task := t.Question.Task()
	answer := text.Answer{Kind: t.Question.Kind}
	if len(c.Text) <= maxReply {
		answer = task.Extract(text.Sanitise(c.Text))
		if _, degenerate := text.Degenerate(c.Text, t.Question.Text); degenerate {
			answer = text.Answer{Kind: t.Question.Kind}
		}
	}
	if c.Finish == "content_filter" && strings.TrimSpace(c.Text) == "" {
		answer = text.Answer{Kind: t.Question.Kind, Status: text.Refused} // the provider declined for the model
	}
	if calls := c.Calls(); calls != nil { // the answer, whatever is said beside them
		wanted := make([]text.Call, len(calls))
		for i, call := range calls {
			wanted[i] = text.Call{Name: call.Name, Arguments: call.Arguments, Plain: call.Custom}
		}
		answer = task.Calls(wanted...)
	}
	key := task.Key(answer)
	if t.Form() != nil && c.Finish != "length" {
		if a, k, ok := formed(task, c.Text); ok {
			answer, key = a, k
		}
	}
	return &Candidate{Choice: c, Answer: answer, Key: key, Origin: origin, Parent: parent}
}
