package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"gnothi/engine/internal/model"
	"gnothi/engine/internal/pool"
)

const (
	// promptShare is how many prompt tokens join a step in which sequences are being generated:
	// enough to pay for dequantisation, few enough that nobody's next token waits long.
	promptShare = 24
	// grace is how long a step waits for callbacks to say whether their sequences go on. Who takes
	// longer misses a step and holds nobody up.
	grace = 500 * time.Microsecond
	// logitBytes bounds the buffer of logits.
	logitBytes = 8 << 20
)

// feed is a run of tokens on its way through the model.
type feed struct {
	ctx   context.Context
	cache *model.Cache
	ids   []int32
	lead  []float32 // final state before ids[0]: its logits come first, as number −1

	// logits, if not nil, gets the logits that follow ids[i]. It may run on any goroutine and at
	// the same time for several i; the row is gone afterwards.
	logits func(worker, i int, row []float32) error
	hook   *model.Hook
	state  []float32   // receives the final state of the last id
	finish func(error) // runs on the loop, once

	fed int   // ids that are through
	err error // why it ends early
}

// scheduler serves all work of an engine with one loop, which owns every field below inbox.
type scheduler struct {
	vocab int
	pass  *model.Pass
	pool  *pool.Pool
	slots int // sequences that may run at once

	mu      sync.Mutex
	inbox   []func()
	closing bool
	wake    chan struct{} // holds a token when the inbox has something
	done    chan struct{} // closed when the loop has ended

	feeds   []*feed
	turn    int         // which feed is first served
	running []*sequence // have a slot
	waiting []*sequence // have none yet
	timer   *time.Timer

	rows   []model.Row
	owners []owner   // of the rows
	states []float32 // final states of the rows
	heads  []head    // final states whose logits somebody wants
	logits []float32

	scratch []scratch // each worker's, for sampling
}

// owner says whose token a row is: ids[i] of a feed, or the next one of a sequence.
type owner struct {
	feed *feed
	i    int
	seq  *sequence
}

type head struct {
	owner
	state []float32
	err   error
}

// logitRows is how many rows the buffer of logits holds.
func logitRows(vocab int) int { return min(max(logitBytes/(4*vocab), 4), model.MaxRows) }

func newScheduler(e *Engine, slots int) *scheduler {
	v := e.info.Vocab
	n := logitRows(v)
	s := &scheduler{
		vocab: v, pass: model.NewPass(e.model, e.pool), pool: e.pool, slots: slots,
		wake: make(chan struct{}, 1), done: make(chan struct{}), timer: time.NewTimer(time.Hour),
		states: make([]float32, model.MaxRows*e.info.Dim), logits: make([]float32, n*v),
	}
	s.scratch = make([]scratch, e.pool.Size())
	for i := range s.scratch {
		s.scratch[i].weights = make([]float32, v)
	}
	go s.loop()
	return s
}

// do runs f on the loop, or never if the scheduler is closed; see done.
func (s *scheduler) do(f func()) {
	s.mu.Lock()
	s.inbox = append(s.inbox, f)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// close ends the loop and waits for it. It reports whether this call was the first.
func (s *scheduler) close() bool {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	<-s.done
	return first
}

// run feeds f and waits for it.
func (s *scheduler) run(f *feed) error {
	if err := f.ctx.Err(); err != nil {
		return stopped(err)
	}
	result := make(chan error, 1)
	f.finish = func(err error) { result <- err }
	s.do(func() { s.feeds = append(s.feeds, f) })
	select {
	case err := <-result:
		return err
	case <-f.ctx.Done():
		return stopped(f.ctx.Err())
	case <-s.done:
		return ErrClosed
	}
}

func stopped(err error) error { return fmt.Errorf("engine: stopped: %w", err) }

func (s *scheduler) loop() {
	defer close(s.done)
	for {
		if !s.collect() {
			return
		}
		s.step()
	}
}

// collect takes in what has arrived until there is something to do. It returns false at the end.
func (s *scheduler) collect() bool {
	graceEnds := time.Now().Add(grace)
	for {
		s.mu.Lock()
		inbox, closing := s.inbox, s.closing
		s.inbox = nil
		s.mu.Unlock()
		if closing {
			return false
		}
		for _, f := range inbox {
			f()
		}
		s.admit()
		if len(s.feeds) == 0 && !slices.ContainsFunc(s.running, (*sequence).isFresh) {
			<-s.wake
			continue
		}
		if !slices.ContainsFunc(s.running, (*sequence).isAwaited) {
			return true
		}
		s.timer.Reset(time.Until(graceEnds))
		select {
		case <-s.wake:
		case <-s.timer.C:
			for _, q := range s.running {
				q.late = q.asked
			}
			s.admit()
			return true
		}
	}
}

// admit gives slots to those who wait: first to the call that has the fewest.
func (s *scheduler) admit() {
	for len(s.waiting) > 0 {
		next, fewest := 0, s.slots+1
		for i, q := range s.waiting {
			if n := s.slotsOf(q.gen); n < fewest {
				next, fewest = i, n
			}
		}
		if len(s.running) >= s.slots && !s.vacate(fewest) {
			return
		}
		if q := s.waiting[next]; q.gen.ctx.Err() == nil {
			s.running = append(s.running, q)
		}
		s.waiting = slices.Delete(s.waiting, next, next+1)
	}
}

func (s *scheduler) slotsOf(g *generation) (n int) {
	for _, q := range s.running {
		if q.gen == g {
			n++
		}
	}
	return n
}

// vacate frees a slot: that of a reader who is late, or, for a call that has none, one of a call that
// has several. Who loses a slot keeps its keys and values and its place at the head of the queue.
func (s *scheduler) vacate(has int) bool {
	at, most := -1, 1
	for i, q := range s.running {
		if q.late {
			q.parked = true
			s.running = slices.Delete(s.running, i, i+1)
			return true
		}
		if n := s.slotsOf(q.gen); has == 0 && q.fresh && n > most {
			at, most = i, n
		}
	}
	if at < 0 {
		return false
	}
	q := s.running[at]
	s.running = slices.Delete(s.running, at, at+1)
	s.waiting = append(s.waiting, q)
	return true
}

// leave takes out the sequences that are gone.
func (s *scheduler) leave(gone func(*sequence) bool) {
	s.running = slices.DeleteFunc(s.running, gone)
	s.waiting = slices.DeleteFunc(s.waiting, gone)
}

// step runs one batch and hands out what came of it.
func (s *scheduler) step() {
	s.gather()
	if len(s.rows) > 0 {
		s.pass.Run(s.rows)
	}
	for i, o := range s.owners {
		switch r := &s.rows[i]; {
		case o.seq != nil && r.Err != nil:
			o.seq.err = fault(r.Err)
		case o.seq != nil:
			s.heads = append(s.heads, head{owner: o, state: r.State})
			if q := o.seq; q.state != nil {
				q.ids = append(q.ids, r.Token)
				copy(q.state, r.State)
			}
		case r.Err != nil:
			o.feed.err = fault(r.Err)
		default:
			if o.feed.logits != nil {
				s.heads = append(s.heads, head{owner: o, state: r.State})
			}
			if o.feed.state != nil && o.i == len(o.feed.ids)-1 {
				copy(o.feed.state, r.State)
			}
		}
	}
	s.runHeads()
	for _, h := range s.heads {
		switch {
		case h.err == nil:
		case h.seq != nil:
			h.seq.err = h.err
		default:
			h.feed.err = h.err
		}
	}
	s.feeds = slices.DeleteFunc(s.feeds, func(f *feed) bool {
		if f.err == nil && f.fed < len(f.ids) {
			return false
		}
		f.finish(f.err)
		return true
	})
	for _, o := range s.owners {
		if o.seq != nil {
			s.deliver(o.seq)
		}
	}
}

// gather fills the batch: every running sequence's next token, then a share of each prompt.
func (s *scheduler) gather() {
	s.rows, s.owners, s.heads = s.rows[:0], s.owners[:0], s.heads[:0]
	add := func(id int32, c *model.Cache, h *model.Hook, o owner, wantState bool) {
		n := len(s.rows)
		r := model.Row{Token: id, Cache: c, Hook: h}
		if wantState {
			d := len(s.states) / model.MaxRows
			r.State = s.states[n*d : (n+1)*d]
		}
		s.rows, s.owners = append(s.rows, r), append(s.owners, o)
	}
	s.leave(func(q *sequence) bool { return q.gen.ctx.Err() != nil })
	for _, q := range s.running {
		if q.fresh {
			q.fresh = false
			add(q.last, q.cache, q.hook, owner{seq: q}, true)
		}
	}
	s.feeds = slices.DeleteFunc(s.feeds, func(f *feed) bool {
		err := f.ctx.Err()
		if err != nil {
			f.finish(stopped(err))
		}
		return err != nil
	})
	budget := model.MaxRows
	if len(s.rows) > 0 {
		budget = promptShare
	}
	s.turn++
	for n, left := 0, len(s.feeds); left > 0; n, left = n+1, left-1 {
		f := s.feeds[(s.turn+n)%len(s.feeds)]
		if f.lead != nil && f.fed == 0 {
			s.heads = append(s.heads, head{owner: owner{feed: f, i: -1}, state: f.lead})
			f.lead = nil
		}
		// An even share of what is left; what a short prompt leaves goes to those after it.
		for share := (budget + left - 1) / left; share > 0 && f.fed < len(f.ids); share-- {
			last := f.fed == len(f.ids)-1
			add(f.ids[f.fed], f.cache, f.hook, owner{feed: f, i: f.fed}, f.logits != nil || last)
			f.fed++
			budget--
		}
	}
}

// runHeads computes the logits that are asked for, as many rows at a time as the buffer holds, and
// has them looked at.
func (s *scheduler) runHeads() {
	size := len(s.logits) / s.vocab
	states := make([][]float32, 0, size)
	for todo := s.heads; len(todo) > 0; {
		now := todo[:min(size, len(todo))]
		todo = todo[len(now):]
		states = states[:0]
		for _, h := range now {
			states = append(states, h.state)
		}
		s.pass.Logits(s.logits, states)
		s.pool.Run(len(now), func(w, i int) {
			h, row := &now[i], s.logits[i*s.vocab:(i+1)*s.vocab]
			if h.seq != nil {
				h.err = h.seq.sample(row, &s.scratch[w])
			} else {
				h.err = h.feed.logits(w, h.i, row)
			}
		})
	}
}
