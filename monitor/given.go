package monitor

import (
	"context"
	"fmt"

	"gnothi/llm"
)

// Given is evidence about a question that someone else gathered.
type Given struct {
	// Answer is what is to be judged, with token data if there are any. It stands
	// as the trial's greedy answer. Nil: there is none yet.
	Answer *llm.Choice
	// Samples are other answers of the same model to the same question. They stand
	// as drawn in the way of [DefaultSampling], whatever that truly was.
	Samples []llm.Choice
}

// NewGiven makes a trial of given evidence. What it lacks the model gathers; with
// a nil model nothing can be gathered, and whoever needs more gets a
// [MissingError]. The candidate is the given answer, or nil.
func NewGiven(o TrialOptions, g Given) (*Trial, *Candidate) {
	if o.Model == nil {
		o.Model = nobody{}
	}
	t := NewTrial(o)
	seen := make(map[string]*Candidate, len(g.Samples)+1) // reading a reply costs more than all else
	read := func(c llm.Choice, origin Origin) *Candidate {
		if same := seen[c.Text]; same != nil {
			return &Candidate{Choice: c, Answer: same.Answer, Key: same.Key, Origin: origin}
		}
		seen[c.Text] = t.Candidate(c, origin, nil)
		return seen[c.Text]
	}
	var answer *Candidate
	if g.Answer != nil {
		answer = read(*g.Answer, FromOutside)
		t.pools[Sampling{}] = &pool{turn: make(chan struct{}, 1), cs: []*Candidate{answer}}
	}
	if len(g.Samples) > 0 {
		cs := make([]*Candidate, len(g.Samples))
		for i, s := range g.Samples {
			s.Index = i
			cs[i] = read(s, FromSample)
		}
		t.pools[DefaultSampling] = &pool{turn: make(chan struct{}, 1), cs: cs}
	}
	return t, answer
}

// Know tells a trial what evidence is, so that no one gathers it.
func Know[T any, E Evidence[T]](t *Trial, e E, value T) {
	done := make(chan struct{})
	close(done)
	t.memo.mu.Lock()
	defer t.memo.mu.Unlock()
	t.memo.entries[e] = &entry{name: fmt.Sprintf("%T", e), done: done, value: value}
}

// nobody is the model of a trial that has none.
type nobody struct{}

func (nobody) ID() llm.ID           { return llm.ID{Provider: "none"} }
func (nobody) Can(llm.Ability) bool { return false }
func (nobody) Do(_ context.Context, op llm.Op) (*llm.Result, error) {
	what := "a model to ask (" + op.Role + ")"
	switch op.Role {
	case "sample":
		what = "samples"
	case "answer":
		what = "an answer"
	}
	return nil, &MissingError{Needs: what}
}

// Inputs is a set of kinds of evidence that can be given.
type Inputs uint

// The kinds of evidence.
const (
	AnswerTokens    Inputs = 1 << iota // log-probabilities of the answer's tokens
	Alternatives                       // the likeliest alternatives at each token of the answer
	Distributions                      // figures of the full distribution at each token of the answer
	Relevance                          // how much each token of the answer matters
	Samples                            // other answers
	SampleTokens                       // log-probabilities of the samples' tokens
	SampleRelevance                    // how much each token of the samples matters
	Inference                          // what natural language inference says of pairs of answers
	Likeness                           // how alike answers are in meaning, from embeddings or a cross-encoder
)

// Needs makes a signal say what evidence suffices for it, beside the answer.
func Needs(in Inputs, s Signal) Signal { return needing{s, in} }

type needing struct {
	Signal
	in Inputs
}

// NeedsOf tells what evidence suffices for a signal; ok is false if it does not
// say, as one that asks a model.
func NeedsOf(s Signal) (in Inputs, ok bool) {
	n, ok := s.(needing)
	return n.in, ok
}
