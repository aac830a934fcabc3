package postgres

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Rate is a limit of requests and tokens a minute that all workers on a run keep
// together. It is safe for concurrent use.
type Rate struct {
	r        *Run
	name     string
	rpm, tpm int64

	mu      sync.Mutex
	queue   []*taker
	running bool
	// Given back and not yet told.
	requests, tokens float64
}

// mostWait is how long nobody asks the database though somebody waits.
const mostWait = time.Second

type taker struct {
	requests, tokens int64
	done             chan error // 1
	gone             bool
}

// Rate gives the limit of that name. The run's own figures ([Pace]) go before
// those given here; without either there is no limit.
func (r *Run) Rate(name string, rpm, tpm int64) *Rate {
	q := &Rate{r: r, name: name, rpm: rpm, tpm: tpm}
	return q
}

// limits gives requests and tokens a minute; 0: none.
func (q *Rate) limits() (rpm, tpm int64) {
	rpm, tpm = q.rpm, q.tpm
	if m := q.r.member; m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.pace.RPM > 0 {
			rpm = m.pace.RPM
		}
		if m.pace.TPM > 0 {
			tpm = m.pace.TPM
		}
	}
	return rpm, tpm
}

// Take waits until so many may be spent, and spends them. It fails when the
// context ends before.
func (q *Rate) Take(ctx context.Context, requests, tokens int64) error {
	if rpm, tpm := q.limits(); rpm == 0 && tpm == 0 {
		return ctx.Err()
	}
	t := &taker{requests, tokens, make(chan error, 1), false}
	q.mu.Lock()
	q.queue = append(q.queue, t)
	q.start()
	q.mu.Unlock()
	select {
	case err := <-t.done:
		return err
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case err := <-t.done: // at the same moment
		if err == nil {
			q.requests, q.tokens = q.requests+float64(requests), q.tokens+float64(tokens)
			q.start()
		}
	default:
		t.gone = true
	}
	return context.Cause(ctx)
}

// Settle gives back what was taken and not used; negative numbers are what was
// used beyond it.
func (q *Rate) Settle(requests, tokens int64) {
	if requests == 0 && tokens == 0 {
		return
	}
	if rpm, tpm := q.limits(); rpm == 0 && tpm == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.requests, q.tokens = q.requests+float64(requests), q.tokens+float64(tokens)
	q.start()
}

// start has somebody ask the database, once for all who wait. mu is held.
func (q *Rate) start() {
	if !q.running {
		q.running = true
		go q.serve()
	}
}

// serve asks the database until nobody waits.
func (q *Rate) serve() {
	for {
		q.mu.Lock()
		waiting := q.queue[:0]
		for _, t := range q.queue {
			if !t.gone {
				waiting = append(waiting, t)
			}
		}
		q.queue = waiting
		if len(q.queue) == 0 && q.requests == 0 && q.tokens == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		asked := append([]*taker(nil), q.queue...)
		requests, tokens := q.requests, q.tokens
		q.requests, q.tokens = 0, 0
		q.mu.Unlock()

		n, wait, err := q.take(asked, requests, tokens)
		if err != nil && q.r.member.failed() == nil && temporary(err) {
			q.mu.Lock()
			q.requests, q.tokens = q.requests+requests, q.tokens+tokens
			q.mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			continue
		}
		q.mu.Lock()
		if err != nil {
			n = len(asked)
			q.requests, q.tokens = 0, 0 // nobody to tell it to
		}
		for _, t := range asked[:n] {
			if t.gone {
				q.requests, q.tokens = q.requests+float64(t.requests), q.tokens+float64(t.tokens)
			}
			t.done <- q.r.fail(err)
		}
		q.queue = q.queue[n:]
		if len(q.queue) == 0 {
			wait = 0
		}
		q.mu.Unlock()
		// What comes in between is served with the others. Others may give back.
		time.Sleep(min(wait, mostWait))
	}
}

// take gives back, and serves the first n of those who wait; the next one has to
// wait yet.
func (q *Rate) take(asked []*taker, requests, tokens float64) (n int, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	rpm, tpm := q.limits()
	err = pgx.BeginFunc(ctx, q.r.db.pool, func(tx pgx.Tx) error {
		var r, t bucket
		var passed float64
		r.of(rpm)
		t.of(tpm)
		// The bucket is full when it is new, also after a crash of the database.
		if _, err := tx.Exec(ctx, `INSERT INTO gnothi.rate (run, name, requests, tokens, at) VALUES ($1, $2, $3, $4, clock_timestamp()) ON CONFLICT DO NOTHING`,
			q.r.run, q.name, r.most, t.most); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT requests, tokens, GREATEST(0, extract(epoch FROM clock_timestamp() - at))::float8
			FROM gnothi.rate WHERE run = $1 AND name = $2 FOR UPDATE`, q.r.run, q.name).Scan(&r.level, &t.level, &passed); err != nil {
			return err
		}
		r.fill(passed, requests)
		t.fill(passed, tokens)
		for _, a := range asked {
			if wait = max(r.wait(a.requests), t.wait(a.tokens)); wait > 0 {
				break
			}
			r.level -= float64(a.requests)
			t.level -= float64(a.tokens)
			n++
		}
		_, err := tx.Exec(ctx, `UPDATE gnothi.rate SET requests = $3, tokens = $4, at = GREATEST(at, at + make_interval(secs => $5)) WHERE run = $1 AND name = $2`,
			q.r.run, q.name, r.level, t.level, passed)
		return err
	})
	if err != nil {
		n = 0
	}
	return n, wait, err
}

// bucket holds up to what comes in a second, and fills so much slower that no
// minute, wherever it begins, has more requests than the figure. As with llm's
// limiter, what is taken may be more than it holds, and who comes next then waits
// until that is made up for.
type bucket struct{ rate, most, level float64 }

func (b *bucket) of(perMinute int64) {
	b.most = float64(max(1, perMinute/60))
	b.rate = max(0, float64(perMinute)-(b.most-1)) / 60
}

func (b *bucket) fill(seconds, back float64) {
	b.level = min(b.most, b.level+back+b.rate*seconds)
}

func (b *bucket) wait(n int64) time.Duration {
	if b.rate == 0 || n == 0 {
		return 0
	}
	lacks := min(float64(n), b.most) - b.level
	if lacks < 1e-6 {
		return 0
	}
	return time.Duration(math.Ceil(lacks / b.rate * float64(time.Second)))
}
