package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gnothi/engine/internal/model"
)

// Step is one generated token.
type Step struct {
	Token
	Finish Finish // why the sequence ends with this token; None if it goes on
}

// Finish says why a sequence ended.
type Finish uint8

const (
	None   Finish = iota
	Stop          // the token is one of Sampling.Stop
	Length        // Sampling.MaxTokens are reached, or the context is full
)

func (f Finish) String() string {
	switch f {
	case None:
		return "none"
	case Stop:
		return "stop"
	case Length:
		return "length"
	}
	return fmt.Sprintf("finish(%d)", uint8(f))
}

// Generate continues p with one sequence for each sampling, side by side; they share p's keys and
// values. yield gets every token, on the calling goroutine, a sequence's tokens in order; what it
// returns says whether the sequence goes on (it matters not with the last one). While it runs, its
// sequence waits and others do not. Generate returns when all sequences have ended.
//
// A sequence depends on p, its Sampling and Info.Kernels only. Each step's statistics are of the
// model's own distribution, whatever the sampling. If ctx ends, so does Generate, with its error.
func (e *Engine) Generate(ctx context.Context, p *Prefix, samplings []Sampling, yield func(seq int, s Step) bool) error {
	if err := e.owns(p); err != nil {
		return err
	}
	if p == nil || p.Len() == 0 {
		return errors.New("engine: generating needs a prefix of at least one token (such as the model's BOS)")
	}
	if p.Len() >= e.info.Context {
		return &ContextError{Tokens: p.Len() + 1, Context: e.info.Context}
	}
	for i := range samplings {
		if err := samplings[i].check(); err != nil {
			return fmt.Errorf("%w (sequence %d)", err, i)
		}
	}
	if len(samplings) == 0 {
		return nil
	}
	g := &generation{ctx: ctx, steps: make(chan *sequence, len(samplings))}
	seqs := make([]*sequence, len(samplings))
	for i, s := range samplings {
		seqs[i] = &sequence{gen: g, index: i, sampler: newSampler(s), cache: p.cache.Fork(), len: p.Len(), room: e.info.Context}
		var err error
		if seqs[i].hook, err = e.hook(s.Hooks); err != nil {
			return fmt.Errorf("%w (sequence %d)", err, i)
		}
	}
	// The first token of all of them comes from one row of logits.
	err := e.sched.run(&feed{ctx: ctx, lead: p.state, logits: func(worker, _ int, row []float32) error {
		for _, q := range seqs {
			if err := q.sample(row, e.sched.weights[worker]); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return err
	}
	goesOn := func(q *sequence) bool { return yield(q.index, q.step) && q.step.Finish == None }
	left := seqs[:0:0]
	for _, q := range seqs {
		if err := ctx.Err(); err != nil {
			return stopped(err)
		}
		if goesOn(q) {
			left = append(left, q)
		}
	}
	defer e.sched.do(func() { e.sched.leave(func(q *sequence) bool { return q.gen == g }) })
	e.sched.do(func() { e.sched.join(left) })
	for n := len(left); n > 0; {
		var q *sequence
		select {
		case q = <-g.steps:
		case <-ctx.Done():
		case <-e.sched.done:
			return ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return stopped(err)
		}
		if q.err != nil {
			return q.err
		}
		on := goesOn(q)
		if !on {
			n--
		}
		e.sched.do(func() { e.sched.answer(q, on) })
	}
	return nil
}

// generation is a running call of Generate.
type generation struct {
	ctx   context.Context
	steps chan *sequence // those with a new step; each is in it once at most, so sending never blocks
}

// sequence is a text that grows. The loop, one worker and Generate's goroutine have it in turn.
type sequence struct {
	gen     *generation
	index   int
	sampler *sampler
	cache   *model.Cache
	hook    *model.Hook

	last  int32 // the newest token
	fresh bool  // it has not been fed
	asked bool  // its step is with yield
	n     int   // generated tokens
	len   int   // all tokens
	room  int   // most tokens

	step Step
	err  error
}

func (q *sequence) isFresh() bool { return q.fresh }
func (q *sequence) isAsked() bool { return q.asked }

// sample draws the sequence's next token. weights is scratch space as long as row.
func (q *sequence) sample(row, weights []float32) error {
	d, ok := describe(row, q.sampler.Top)
	if !ok {
		return ErrNotFinite
	}
	id := q.sampler.draw(row, weights)
	q.n++
	q.len++
	q.last = id
	q.step = Step{Token: Token{ID: id, LogProb: d.logProb(row, id), Dist: d}}
	switch {
	case slices.Contains(q.sampler.Stop, id):
		q.step.Finish = Stop
	case q.n == q.sampler.MaxTokens || q.len >= q.room:
		q.step.Finish = Length
	}
	return nil
}

// join queues sequences for a slot.
func (s *scheduler) join(seqs []*sequence) {
	for _, q := range seqs {
		q.fresh = true
	}
	s.waiting = append(s.waiting, seqs...)
}

// deliver shows a sequence's step to its Generate.
func (s *scheduler) deliver(q *sequence) {
	q.asked = true
	q.gen.steps <- q
}

// answer takes what yield has said.
func (s *scheduler) answer(q *sequence, goesOn bool) {
	q.asked, q.fresh = false, goesOn
	if !goesOn {
		s.leave(func(o *sequence) bool { return o == q })
	}
}
