package jsonl

import (
	"errors"
	"runtime"
	"sync"
)

// EachAhead calls use with what decode makes of every line, in the order of the
// lines and one after the other, while lines further on are decoded on all
// processors: decode is called by several at once and keeps no part of the line.
// Errors of both are those of [Each].
func EachAhead[T any](path string, decode func(n int, line []byte) (T, error), use func(n int, v T) error) error {
	const lines, bytes = 128, 1 << 18 // of a part
	type decoded struct {
		n int
		v T
	}
	type part struct {
		text  []byte
		ends  []int // of the lines, in text
		n     []int // their numbers
		got   []decoded
		err   *LineError // of the line after those got
		ready chan struct{}
	}
	workers := runtime.GOMAXPROCS(0)
	var (
		work  = make(chan *part)
		order = make(chan *part, 2*workers)
		quit  = make(chan struct{})
		ended error // of the reading; known once order is closed
		busy  sync.WaitGroup
	)
	defer busy.Wait()
	defer close(quit)
	name := path
	if path == "-" {
		name = "standard input"
	}
	for range workers {
		busy.Go(func() {
			for p := range work {
				begin := 0
				for i, end := range p.ends {
					v, err := decode(p.n[i], p.text[begin:end])
					if err != nil {
						p.err = &LineError{name, p.n[i], err}
						break
					}
					p.got = append(p.got, decoded{p.n[i], v})
					begin = end
				}
				p.text = nil
				close(p.ready)
			}
		})
	}
	busy.Go(func() {
		defer close(order)
		defer close(work)
		enough := errors.New("enough")
		next := &part{ready: make(chan struct{})}
		hand := func() error {
			for _, to := range []chan *part{order, work} {
				select {
				case to <- next:
				case <-quit:
					return enough
				}
			}
			next = &part{ready: make(chan struct{})}
			return nil
		}
		err := Each(path, func(n int, line []byte) error {
			next.text = append(next.text, line...)
			next.ends, next.n = append(next.ends, len(next.text)), append(next.n, n)
			if len(next.n) == lines || len(next.text) >= bytes {
				return hand()
			}
			return nil
		}, nil)
		if errors.Is(err, enough) {
			return
		}
		// What was read before an error comes before it.
		if ended = err; len(next.n) > 0 {
			_ = hand() // nobody is left to be told
		}
	})
	for p := range order {
		<-p.ready
		for _, d := range p.got {
			if err := use(d.n, d.v); err != nil {
				return &LineError{name, d.n, err}
			}
		}
		if p.err != nil {
			return p.err
		}
	}
	return ended
}
