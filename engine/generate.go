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
	None     Finish = iota
	Stop            // the token is one of Sampling.Stop
	Length          // Sampling.MaxTokens are reached, or the context is full
	Complete        // the text is what Sampling.Grammar asks for, and nothing can follow or there is no room
)

func (f Finish) String() string {
	switch f {
	case None:
		return "none"
	case Stop:
		return "stop"
	case Length:
		return "length"
	case Complete:
		return "complete"
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
		if err := samplings[i].check(e); err != nil {
			return fmt.Errorf("%w (sequence %d)", err, i)
		}
	}
	if len(samplings) == 0 {
		return nil
	}
	p, err := e.whole(ctx, p)
	if err != nil {
		return err
	}
	g := &generation{ctx: ctx, steps: make(chan *sequence, len(samplings))}
	seqs := make([]*sequence, len(samplings))
	for i, s := range samplings {
		seqs[i] = &sequence{gen: g, index: i, sampler: newSampler(s, p.ids), cache: p.cache.Fork(), len: p.Len(), room: e.info.Context}
		if seqs[i].hook, err = e.hook(s.Hooks); err != nil {
			return fmt.Errorf("%w (sequence %d)", err, i)
		}
		if s.Done != nil {
			seqs[i].ids, seqs[i].state = slices.Clone(p.ids), slices.Clone(p.state)
		}
	}
	// The first token of all of them comes from one row of logits.
	err = e.sched.run(&feed{ctx: ctx, lead: p.state, logits: func(worker, _ int, row []float32) error {
		for _, q := range seqs {
			if err := q.sample(row, &e.sched.scratch[worker]); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return err
	}
	goesOn := func(q *sequence) bool {
		if yield(q.index, q.step) && q.step.Finish == None {
			return true
		}
		if done := q.sampler.Done; done != nil {
			done(&Prefix{engine: e, cache: q.cache.Fork(), ids: q.ids, state: q.state, hooked: p.hooked || q.hook != nil})
		}
		return false
	}
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

	last   int32 // the newest token
	fresh  bool  // it has not been fed
	asked  bool  // its step is with yield
	late   bool  // for longer than a step can wait
	parked bool  // it had to give up its slot for that
	n      int   // generated tokens
	len    int   // all tokens
	room   int   // most tokens

	ids   []int32   // all tokens that have been fed, if Sampling.Done wants them
	state []float32 // final state of the last of these

	step Step
	err  error
}

func (q *sequence) isFresh() bool   { return q.fresh }
func (q *sequence) isAwaited() bool { return q.asked && !q.late }

// sample draws the sequence's next token.
func (q *sequence) sample(row []float32, sc *scratch) error {
	d, ok := describe(row, sc.weights, &q.sampler.Stats)
	if !ok {
		return ErrNotFinite
	}
	left := q.room - q.len
	if q.sampler.MaxTokens > 0 {
		left = min(left, q.sampler.MaxTokens-q.n)
	}
	id, finish, err := q.sampler.next(row, sc, left)
	if err != nil {
		return err
	}
	q.n++
	q.len++
	q.last = id
	q.step = Step{Token: Token{ID: id, LogProb: d.logProb(row, id), Dist: d}, Finish: finish}
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
	parked := q.parked
	q.asked, q.late, q.parked, q.fresh = false, false, false, goesOn
	switch {
	case !goesOn:
		s.leave(func(o *sequence) bool { return o == q })
	case parked:
		s.waiting = slices.Insert(s.waiting, 0, q)
	}
}
