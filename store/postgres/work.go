package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
)

// Verdict is what came of a task.
type Verdict int

const (
	// Done: its row was handed over and is durable.
	Done Verdict = iota
	// Back: another worker may do it, or this one later.
	Back
	// Later is Back, but after the others.
	Later
	// Park: nobody is to do it until [Run.Reopen].
	Park
)

// lookEvery is how often a worker who has nothing in hand asks whether all is
// done.
const lookEvery = 100 * time.Millisecond

// Work has do see to tasks of the run, up to slots at a time, until all are over,
// also those that others have in hand: they may come back. Once stop is closed
// it begins no others and waits for those in hand. do's context ends with ctx and
// with the lease.
func (r *Run) Work(ctx context.Context, slots int, stop <-chan struct{}, do func(context.Context, Task) Verdict) error {
	m := r.member
	if m == nil {
		return fmt.Errorf("run %s: %w", r.Where(), errLookedAt)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, &jobWorker{work: func(_ context.Context, job *river.Job[jobArgs]) error { return m.work(ctx, job, stop, do) }}); err != nil {
		return r.fail(err)
	}
	client, err := river.NewClient(riverpgxv5.New(m.jobs), &river.Config{
		ID: m.name, Schema: schema, Workers: workers,
		Queues: map[string]river.QueueConfig{queue(r.run): {MaxWorkers: slots}},
		// Jobs come all at once, at the beginning, and are done over and over only when
		// a worker died: there is nothing to be told of in between, and nothing that a
		// leader would have to see to. River's own rescuer goes by how long a job
		// takes; the lease goes by whether the worker lives.
		PollOnly: true, LeaderElectionDisabled: true,
		FetchCooldown: 10 * time.Millisecond, FetchPollInterval: 250 * time.Millisecond,
		JobTimeout: -1, RetryPolicy: atOnce{}, ErrorHandler: panics{m},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return r.fail(err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return r.fail(err)
	}
	err = m.watch(ctx, stop)
	if err == nil {
		stopped := make(chan error, 1)
		go func() { stopped <- client.Stop(context.WithoutCancel(ctx)) }()
		select {
		case err := <-stopped:
			return r.fail(err)
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-m.ended:
			err = m.failed()
		}
	}
	cancel()
	// River waits for its jobs, and tells a database that may be away about them.
	patience, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	_ = client.StopAndCancel(patience) // why it ends is known
	return err
}

// watch returns when no more is to be done: nil, or why not.
func (m *member) watch(ctx context.Context, stop <-chan struct{}) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-m.ended:
			return m.failed()
		case <-stop:
			return nil
		case <-ticker.C:
		}
		m.mu.Lock()
		idle, err := len(m.active) == 0, m.err
		m.mu.Unlock()
		if err != nil {
			return err
		}
		if !idle {
			continue
		}
		// An error is the writer's to tell, once the lease is over.
		if open, err := m.r.Open(ctx); err == nil && !open {
			return nil
		}
	}
}

// Open tells whether tasks are left that are neither over nor set aside.
func (r *Run) Open(ctx context.Context) (open bool, err error) {
	err = r.db.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM gnothi.river_job
		WHERE queue = $1 AND state IN ('available', 'running', 'retryable', 'scheduled', 'pending'))`, queue(r.run)).Scan(&open)
	return open, r.fail(err)
}

func (m *member) work(ctx context.Context, job *river.Job[jobArgs], stop <-chan struct{}, do func(context.Context, Task) Verdict) error {
	m.mu.Lock()
	m.active[job.Args.Item] = job.ID
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.active, job.Args.Item)
	}()
	select {
	case <-stop:
		return river.JobSnooze(0)
	default:
	}
	var done bool
	t := Task{Item: job.Args.Item}
	err := m.r.db.pool.QueryRow(ctx, `SELECT key, body, EXISTS (SELECT FROM gnothi.item i WHERE i.run = t.run AND i.item = t.item) FROM gnothi.task t WHERE t.run = $1 AND t.item = $2`,
		m.r.run, t.Item).Scan(&t.Key, &t.Body, &done)
	switch {
	case err != nil:
		return river.JobSnooze(time.Second)
	case done:
		return nil
	}
	verdict := do(ctx, t)
	if verdict != Done {
		_ = m.r.Flush() // whoever gets it finds the calls that were made
		m.mu.Lock()
		m.given[job.ID] = time.Now()
		m.mu.Unlock()
	}
	switch verdict {
	case Back:
		return river.JobSnooze(0)
	case Later:
		return river.JobSnooze(time.Second)
	case Park:
		return river.JobCancel(errors.New("set aside"))
	}
	return nil
}

type jobWorker struct {
	river.WorkerDefaults[jobArgs]
	work func(context.Context, *river.Job[jobArgs]) error
}

// Work implements river.Worker.
func (w *jobWorker) Work(ctx context.Context, job *river.Job[jobArgs]) error { return w.work(ctx, job) }

// atOnce has a job that failed available again at once.
type atOnce struct{}

// NextRetry implements river.ClientRetryPolicy.
func (atOnce) NextRetry(*rivertype.JobRow) time.Time { return time.Now() }

// panics has a panic in a task end the run, where River would try it for ever.
type panics struct{ m *member }

// HandleError implements river.ErrorHandler.
func (panics) HandleError(context.Context, *rivertype.JobRow, error) *river.ErrorHandlerResult {
	return nil
}

// HandlePanic implements river.ErrorHandler.
func (p panics) HandlePanic(_ context.Context, job *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if p.m.err == nil {
		p.m.err = fmt.Errorf("run %s: task %s: panic: %v\n%s", p.m.r.Where(), job.EncodedArgs, value, trace)
	}
	return nil
}
