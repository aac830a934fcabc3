package pool

import (
	"runtime"
	"sync"
	"sync/atomic"

	"gnothi/engine/internal/kernel"
)

const (
	pauses = 16  // CPU pauses between two looks, under a microsecond
	spins  = 100 // looks before a worker parks, some tens of microseconds
)

// Pool is a set of workers. Run may be called by one goroutine at a time.
type Pool struct {
	size int
	task func(worker, i int)
	n    int64
	next atomic.Int64

	// gate says which run is open: (run number << 32) | open bit << 31 | workers that joined.
	// A worker that comes too late finds the gate shut and has no part in the run, so that nobody
	// waits for a worker that the system did not wake in time.
	gate atomic.Uint64
	left atomic.Int64 // workers that joined this run and are through

	sleeping atomic.Int64
	wake     chan struct{}
	stop     atomic.Bool
	done     sync.WaitGroup
}

const open = 1 << 31

// New starts a pool of size workers, of which the caller of Run is one; size ≤ 0 means GOMAXPROCS.
func New(size int) *Pool {
	if size <= 0 {
		size = runtime.GOMAXPROCS(0)
	}
	p := &Pool{size: size, wake: make(chan struct{}, size)}
	for w := 1; w < size; w++ {
		p.done.Go(func() { p.work(w) })
	}
	return p
}

// Size is the number of workers; worker indices lie below it.
func (p *Pool) Size() int { return p.size }

// Close stops the workers and waits for them.
func (p *Pool) Close() {
	p.stop.Store(true)
	for range p.size {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.done.Wait()
}

// Run calls task(worker, i) for every i below n and returns when all have returned. No two calls
// with the same worker overlap.
func (p *Pool) Run(n int, task func(worker, i int)) {
	if p.size == 1 || n <= 1 {
		for i := range n {
			task(0, i)
		}
		return
	}
	p.task, p.n = task, int64(n)
	p.next.Store(0)
	p.left.Store(0)
	run := p.gate.Load()>>32 + 1
	p.gate.Store(run<<32 | open)
	for s := min(p.sleeping.Load(), int64(n-1)); s > 0; s-- {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.drain(0)
	joined := int64(p.gate.And(^uint64(open)) & (open - 1))
	for i := 0; p.left.Load() != joined; i++ {
		if i < spins {
			kernel.Pause(pauses)
		} else {
			runtime.Gosched()
		}
	}
}

func (p *Pool) drain(worker int) {
	for {
		i := p.next.Add(1) - 1
		if i >= p.n {
			return
		}
		p.task(worker, int(i))
	}
}

func (p *Pool) work(worker int) {
	var last uint64
	for {
		g, ok := p.await(last)
		if !ok {
			return
		}
		last = g >> 32
		for g&open != 0 && g>>32 == last {
			if p.gate.CompareAndSwap(g, g+1) {
				p.drain(worker)
				p.left.Add(1)
				break
			}
			g = p.gate.Load()
		}
	}
}

// await returns the gate of a run later than last, or false when the pool stops.
func (p *Pool) await(last uint64) (uint64, bool) {
	for {
		for range spins {
			if g := p.gate.Load(); g>>32 != last {
				return g, true
			}
			if p.stop.Load() {
				return 0, false
			}
			kernel.Pause(pauses)
		}
		p.sleeping.Add(1)
		if g := p.gate.Load(); g>>32 != last || p.stop.Load() {
			p.sleeping.Add(-1)
			continue
		}
		<-p.wake
		p.sleeping.Add(-1)
	}
}
