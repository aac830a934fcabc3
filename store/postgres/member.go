package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"gnothi/store"
)

// groupEvery is how long a write waits for others that share its transaction.
// Reservations wait for nobody.
const groupEvery = 10 * time.Millisecond

// mostBeat is the longest time between two signs of life, and between two looks
// for those who give none.
const mostBeat = 2 * time.Second

// queued bounds what waits to be written; who writes more waits.
const queued = 4096

// ErrLease says that a worker did not renew its lease in time, and that others
// do its work.
var ErrLease = errors.New("the lease ran out: other workers have taken over what this one had in hand (was it suspended, or the database slow?)")

// member is a worker on a run: it has a lease, writes, and spends.
type member struct {
	r     *Run
	id    int64
	name  string
	lease time.Duration
	jobs  *pgxpool.Pool // River's connections; given only while the lease holds
	queue chan write
	ended chan struct{} // closed when nothing is written any more
	leave chan struct{} // closed to end the heart
	heart sync.WaitGroup

	// The writer's own.
	spent, reserved Cost

	mu       sync.Mutex
	err      error // why nothing is written any more
	closed   bool
	deadline time.Time           // others may end the lease then
	active   map[int]int64       // jobs in hand, by item
	given    map[int64]time.Time // jobs given back, of which River may not have told yet
	pace     Pace                // as of the last beat, like the two below
	left     Cost
}

type write struct {
	item         int
	calls        []store.Call
	row          *store.Row
	durable      func()
	ask          *ask
	spent, freed Cost
	flushed      chan struct{}
	last         bool
}

// ask is a reservation that waits for its answer.
type ask struct {
	most Cost
	done chan error
}

// CeilingError says that a reservation would go beyond a ceiling.
type CeilingError struct {
	What             string // calls, tokens or dollars
	Limit, Used, Ask int64
}

func (e *CeilingError) Error() string {
	return fmt.Sprintf("budget of %d %s: %d spent or reserved, %d more asked for", e.Limit, e.What, e.Used, e.Ask)
}

// Join makes this process a worker on the run. For a lease after the last sign
// of life it is believed to live: then others take over what it had in hand, and
// what it had reserved is free. [Run.Close] gives all that back at once.
func (r *Run) Join(ctx context.Context, lease time.Duration) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	m := &member{r: r, lease: lease, name: fmt.Sprintf("%s:%d:%s", host, os.Getpid(), rand.Text()[:8]), queue: make(chan write, queued),
		ended: make(chan struct{}), leave: make(chan struct{}), active: map[int]int64{}, given: map[int64]time.Time{}, deadline: time.Now().Add(lease)}
	config := r.db.pool.Config()
	config.MaxConns, config.MinConns = 4, 0
	config.PrepareConn = m.fence
	if m.jobs, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return r.fail(err)
	}
	err = pgx.BeginFunc(ctx, r.db.pool, func(tx pgx.Tx) error {
		if err := r.lock(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `INSERT INTO gnothi.worker (run, name, lease) VALUES ($1, $2, $3) RETURNING worker`, r.run, m.name, lease).Scan(&m.id)
	})
	if err == nil {
		err = m.look(ctx)
	}
	if err != nil {
		m.jobs.Close()
		return r.fail(err)
	}
	r.member = m
	go m.writer()
	m.heart.Go(m.beats)
	return nil
}

// lock has those who change who works on a run, or how much is reserved, wait for
// each other.
func (r *Run) lock(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT FROM gnothi.run WHERE run = $1 FOR NO KEY UPDATE`, r.run)
	return err
}

// fence keeps River from the database once the lease may be over: what it would
// say of its jobs then is not for it to say.
func (m *member) fence(context.Context, *pgx.Conn) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.err != nil:
		return true, m.err
	case time.Now().After(m.deadline):
		return true, ErrLease
	}
	return true, nil
}

// beats renews the lease, ends those of the dead, and keeps up with the run's
// ceilings.
func (m *member) beats() {
	ticker := time.NewTicker(min(m.lease/4, mostBeat))
	defer ticker.Stop()
	for {
		select {
		case <-m.leave:
			return
		case <-m.ended:
			return
		case <-ticker.C:
		}
		if m.hand(write{}) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), m.lease)
		_ = m.look(ctx) // a database that does not answer is the writer's to tell
		cancel()
	}
}

// look ends the leases of the dead and sees what ceilings there are.
func (m *member) look(ctx context.Context) error {
	if err := m.r.rescue(ctx, m); err != nil {
		return err
	}
	pace, spent, reserved, err := m.r.Pace(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pace, m.left = pace, pace.Ceiling.minus(spent).minus(reserved)
	return nil
}

// rescue makes available what dead workers had in hand, and what this one is
// said to have in hand and has not.
func (r *Run) rescue(ctx context.Context, m *member) error {
	m.mu.Lock()
	active := make([]int64, 0, len(m.active))
	for _, job := range m.active {
		active = append(active, job)
	}
	for job, when := range m.given {
		if active = append(active, job); time.Since(when) > m.lease {
			delete(m.given, job)
		}
	}
	m.mu.Unlock()
	return pgx.BeginFunc(ctx, r.db.pool, func(tx pgx.Tx) error {
		if err := r.lock(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE gnothi.worker SET ended = clock_timestamp(), reserved = '{0,0,0}'
			WHERE run = $1 AND ended IS NULL AND beat + lease < clock_timestamp()`, r.run); err != nil {
			return err
		}
		// A job of this worker that is not in hand was lost on the way to it or back.
		_, err := tx.Exec(ctx, `UPDATE gnothi.river_job SET state = 'available', scheduled_at = clock_timestamp()
			WHERE queue = $2 AND state = 'running' AND (
				NOT EXISTS (SELECT FROM gnothi.worker w WHERE w.run = $1 AND w.ended IS NULL AND w.name = attempted_by[array_upper(attempted_by, 1)])
				OR attempted_by[array_upper(attempted_by, 1)] = $3 AND attempted_at < clock_timestamp() - $4::interval AND id <> ALL($5))`,
			r.run, queue(r.run), m.name, m.lease, active)
		return err
	})
}

var errLookedAt = errors.New("opened to look at it only")

func (m *member) hand(w write) error {
	if m == nil {
		return errLookedAt
	}
	m.mu.Lock()
	err, closed := m.err, m.closed
	m.mu.Unlock()
	switch {
	case err != nil && !w.last:
		return err
	case closed && !w.last:
		return fmt.Errorf("run %s: closed", m.r.Where())
	}
	select {
	case m.queue <- w:
		return nil
	case <-m.ended:
		return m.failed()
	}
}

func (m *member) failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// AddCalls hands over finished calls of an item.
func (r *Run) AddCalls(item int, calls []store.Call) error {
	return r.member.hand(write{item: item, calls: calls})
}

// AddRow hands over an item that is done, after its calls. durable, if set, is
// called once the row cannot be lost any more; its job is over then, too.
func (r *Run) AddRow(row store.Row, durable func()) error {
	return r.member.hand(write{item: row.Item, row: &row, durable: durable})
}

// Flush waits until everything that was handed over is durable.
func (r *Run) Flush() error {
	flushed := make(chan struct{})
	if err := r.member.hand(write{flushed: flushed}); err != nil {
		return err
	}
	select {
	case <-flushed:
		return nil
	case <-r.member.ended:
		return r.member.failed()
	}
}

// Reserve sets the most that a call can cost aside, or returns a
// [CeilingError]. settle is called once, with the actual cost.
func (r *Run) Reserve(most Cost) (settle func(actual Cost), err error) {
	m := r.member
	if m == nil {
		return nil, errLookedAt
	}
	m.mu.Lock()
	limited := m.pace.Ceiling != Cost{}
	m.mu.Unlock()
	var reserved Cost
	if limited {
		reserved = most
		a := &ask{most, make(chan error, 1)}
		if err := m.hand(write{ask: a}); err != nil {
			return nil, err
		}
		select {
		case err := <-a.done:
			if err != nil {
				return nil, err
			}
		case <-m.ended:
			return nil, fmt.Errorf("run %s: the worker has left: %w", r.Where(), cmp.Or(m.failed(), context.Canceled))
		}
	}
	return func(actual Cost) {
		_ = m.hand(write{spent: actual, freed: reserved}) // if it cannot be written, neither can the call's result
	}, nil
}

// Left gives how much of each ceiling is neither spent nor reserved, as of the
// last beat; of one that is not set, -1.
func (r *Run) Left() (limits, left Cost) {
	m := r.member
	if m == nil {
		return Cost{}, Cost{-1, -1, -1}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	of := func(limit, left int64) int64 {
		if limit == 0 {
			return -1
		}
		return max(0, left)
	}
	c := m.pace.Ceiling
	return c, Cost{of(c.Calls, m.left.Calls), of(c.Tokens, m.left.Tokens), of(c.NanoUSD, m.left.NanoUSD)}
}

// writer makes durable what is handed over, in groups.
func (m *member) writer() {
	defer close(m.ended)
	var group []write
	for last := false; !last; {
		first := <-m.queue
		group = append(group[:0], first)
		hurry := first.ask != nil || first.flushed != nil
		wait := time.NewTimer(groupEvery)
	gather:
		for len(group) < queued {
			if hurry {
				select {
				case w := <-m.queue:
					group = append(group, w)
				default:
					break gather
				}
				continue
			}
			select {
			case w := <-m.queue:
				group = append(group, w)
				hurry = w.ask != nil || w.flushed != nil
			case <-wait.C:
				break gather
			}
		}
		wait.Stop()
		refused, err := m.commit(group)
		if err != nil {
			m.mu.Lock()
			m.err = err
			m.mu.Unlock()
			return
		}
		for _, w := range group {
			last = last || w.last
			if w.ask != nil {
				w.ask.done <- refused[w.ask]
			}
			if w.durable != nil {
				w.durable()
			}
			if w.flushed != nil {
				close(w.flushed)
			}
		}
	}
}

// commit writes a group, and tries again while the lease lasts: what a database
// says twice is written once. It says which reservations were refused.
func (m *member) commit(group []write) (map[*ask]error, error) {
	pause := 50 * time.Millisecond
	for {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), max(m.lease, 5*time.Second))
		refused, err := m.try(ctx, group)
		cancel()
		m.mu.Lock()
		if err == nil {
			m.deadline = begun.Add(m.lease)
		}
		over := time.Now().After(m.deadline)
		m.mu.Unlock()
		switch {
		case err == nil:
			return refused, nil
		case errors.Is(err, ErrLease):
			return nil, fmt.Errorf("run %s: %w", m.r.Where(), err)
		case over || !temporary(err):
			return nil, fmt.Errorf("%w; what was finished before is kept, resume the run when the database can be used", m.r.fail(err))
		}
		time.Sleep(pause)
		pause = min(2*pause, time.Second)
	}
}

// temporary tells whether the same may work in a moment.
func temporary(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return true // the connection
	}
	switch pg.Code[:2] {
	case "08", "40", "57": // connections; conflicts of transactions; shutting down
		return true
	}
	return pg.Code == "53300" // too many connections
}

func (m *member) try(ctx context.Context, group []write) (map[*ask]error, error) {
	spent, reserved := m.spent, m.reserved
	var asks []*ask
	var calls, rows columns
	var jobs []int64
	m.mu.Lock()
	for _, w := range group {
		spent, reserved = spent.plus(w.spent), reserved.minus(w.freed)
		if w.ask != nil {
			asks = append(asks, w.ask)
		}
		for _, c := range w.calls {
			calls.item, calls.key, calls.value = append(calls.item, w.item), append(calls.key, c.Key), append(calls.value, c.Value)
		}
		if row := w.row; row != nil {
			rows.item, rows.key, rows.value = append(rows.item, row.Item), append(rows.key, row.Key), append(rows.value, row.Body)
			rows.outcome, rows.summary = append(rows.outcome, row.Outcome), append(rows.summary, row.Summary)
			if job, ok := m.active[row.Item]; ok {
				jobs = append(jobs, job)
			}
		}
	}
	m.mu.Unlock()
	var refused map[*ask]error
	err := pgx.BeginFunc(ctx, m.r.db.pool, func(tx pgx.Tx) error {
		if len(asks) > 0 {
			if err := m.r.lock(ctx, tx); err != nil {
				return err
			}
		}
		write := func() error {
			alive, err := tx.Exec(ctx, `UPDATE gnothi.worker SET beat = clock_timestamp(), spent = $2, reserved = $3 WHERE worker = $1 AND ended IS NULL`,
				m.id, spent.array(), reserved.array())
			if err == nil && alive.RowsAffected() == 0 {
				err = ErrLease
			}
			return err
		}
		if err := write(); err != nil {
			return err
		}
		if len(asks) > 0 {
			var err error
			if refused, reserved, err = m.grant(ctx, tx, asks, reserved); err != nil {
				return err
			}
			if err := write(); err != nil {
				return err
			}
		}
		// Whatever a worker that died, or a commit whose answer was lost, has written
		// already stays as it is.
		b := &pgx.Batch{}
		if len(calls.item) > 0 {
			b.Queue(`INSERT INTO gnothi.call (run, item, key, value) SELECT $1, * FROM unnest($2::int[], $3::text[], $4::bytea[]) ON CONFLICT DO NOTHING`,
				m.r.run, calls.item, calls.key, calls.value)
		}
		if len(rows.item) > 0 {
			b.Queue(`INSERT INTO gnothi.item (run, item, key, outcome, summary, body)
				SELECT $1, * FROM unnest($2::int[], $3::text[], $4::text[], $5::bytea[], $6::bytea[]) ON CONFLICT DO NOTHING`,
				m.r.run, rows.item, rows.key, rows.outcome, rows.summary, rows.value)
		}
		if len(jobs) > 0 {
			b.Queue(`UPDATE gnothi.river_job SET state = 'completed', finalized_at = clock_timestamp() WHERE id = ANY($1) AND state = 'running'`, jobs)
		}
		return tx.SendBatch(ctx, b).Close()
	})
	if err == nil {
		m.spent, m.reserved = spent, reserved
	}
	return refused, err
}

// columns are rows for a table.
type columns struct {
	item    []int
	key     []string
	outcome []string
	summary [][]byte
	value   [][]byte
}

func (c Cost) array() []int64 { return []int64{c.Calls, c.Tokens, c.NanoUSD} }

// grant answers reservations in their order; the run is locked.
func (m *member) grant(ctx context.Context, tx pgx.Tx, asks []*ask, reserved Cost) (map[*ask]error, Cost, error) {
	var limit Cost
	if err := tx.QueryRow(ctx, `SELECT calls, tokens, nano_usd FROM gnothi.run WHERE run = $1`, m.r.run).Scan(&limit.Calls, &limit.Tokens, &limit.NanoUSD); err != nil {
		return nil, reserved, err
	}
	spent, held, err := used(ctx, tx, m.r.run)
	if err != nil {
		return nil, reserved, err
	}
	total, refused := spent.plus(held), map[*ask]error{}
	for _, a := range asks {
		if err := total.within(limit, a.most); err != nil {
			refused[a] = err
			continue
		}
		total, reserved = total.plus(a.most), reserved.plus(a.most)
	}
	return refused, reserved, nil
}

// within says what is in the way of spending more.
func (c Cost) within(limit, more Cost) error {
	for _, k := range []struct {
		what             string
		limit, used, ask int64
	}{{"calls", limit.Calls, c.Calls, more.Calls}, {"tokens", limit.Tokens, c.Tokens, more.Tokens}, {"dollars", limit.NanoUSD, c.NanoUSD, more.NanoUSD}} {
		if k.limit > 0 && k.used+k.ask > k.limit {
			return &CeilingError{k.what, k.limit, k.used, k.ask}
		}
	}
	return nil
}

// Close makes what was handed over durable and gives back what this worker has
// in hand and has reserved. The database stays open.
func (r *Run) Close() error {
	m := r.member
	if m == nil {
		return nil
	}
	m.mu.Lock()
	again := m.closed
	m.closed = true
	m.mu.Unlock()
	if again {
		return nil
	}
	close(m.leave)
	m.heart.Wait()
	_ = m.hand(write{flushed: make(chan struct{}), last: true}) // an error is told below
	<-m.ended
	err := m.failed()
	if !errors.Is(err, ErrLease) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, ended := r.db.pool.Exec(ctx, `UPDATE gnothi.worker SET ended = clock_timestamp(), reserved = '{0,0,0}' WHERE worker = $1 AND ended IS NULL`, m.id)
		if ended == nil {
			ended = r.rescue(ctx, m)
		}
		if err == nil { // else it was told
			err = r.fail(ended)
		}
	}
	// River may still hold connections for a while if the database is away.
	closed := make(chan struct{})
	go func() {
		m.jobs.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
	}
	return err
}
