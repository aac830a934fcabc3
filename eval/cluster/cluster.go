package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/store/postgres"
)

// Lease is how long a worker that gives no sign of life is believed to live,
// unless told otherwise.
const Lease = 30 * time.Second

// Run is a run that many machines share: an [eval.Folder] whose rows are in a
// database.
type Run struct {
	*eval.Folder
	name string
	run  *postgres.Run
}

// kept closes the database with the run.
type kept struct {
	*postgres.Run
	db *postgres.DB
}

// Close implements [eval.Keeper].
func (k kept) Close() error {
	err := k.Run.Close()
	k.db.Close()
	return err
}

// Create makes a run of all items of a suite in the database at an address, whole
// or not at all. A name that is taken is an error that wraps
// [postgres.ErrExists].
func Create(ctx context.Context, address, name string, h eval.Header, pace postgres.Pace, suite eval.Suite, o eval.Options) error {
	var tasks func(func(eval.Task, error) bool)
	var err error
	h.Schema = 1
	if h.Items, h.Digest, tasks, err = eval.Tasks(suite, o); err != nil {
		return err
	}
	header, err := json.Marshal(h)
	if err != nil {
		return err
	}
	db, err := postgres.Open(ctx, address)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Create(ctx, name, header, pace, func(yield func(postgres.Task, error) bool) {
		tasks(func(t eval.Task, err error) bool {
			return yield(postgres.Task{Item: t.Index, Key: t.Key, Body: t.Item}, err)
		})
	})
}

// Free gives the first of NAME-1, NAME-2 and so on that no run in a database
// has.
func Free(ctx context.Context, address, name string) (string, error) {
	db, err := postgres.Open(ctx, address)
	if err != nil {
		return "", err
	}
	defer db.Close()
	names, err := db.Runs(ctx)
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for _, n := range names {
		taken[n] = true
	}
	for i := 1; ; i++ {
		if free := fmt.Sprintf("%s-%d", name, i); !taken[free] {
			return free, nil
		}
	}
}

// Open finds a run, to look at it or to work on it. There being none is an error
// that wraps store.ErrNoRun.
func Open(ctx context.Context, address, name string) (*Run, error) {
	db, err := postgres.Open(ctx, address)
	if err != nil {
		return nil, err
	}
	run, err := db.Open(ctx, name)
	if err != nil {
		db.Close()
		return nil, err
	}
	folder, err := eval.NewFolder(ctx, kept{run, db}, run.Where(), filepath.Join("runs", "postgres", name))
	if err != nil {
		return nil, err
	}
	return &Run{folder, name, run}, nil
}

// Name is the run's name in its database.
func (r *Run) Name() string { return r.name }

// Check refuses a suite whose items are not those of the run, as far as they can
// be made here: its data may be on another machine.
func (r *Run) Check(suite eval.Suite, o eval.Options) error {
	n, digest, _, err := eval.Tasks(suite, o)
	if err == nil && (n != r.Header.Items || digest != r.Header.Digest) {
		err = fmt.Errorf("run %s: %w: it had %d items, there are %d (digest %.8s, now %.8s): use the gnothi and the data that it was begun with, or begin a new run",
			r.Where(), eval.ErrChanged, r.Header.Items, n, r.Header.Digest, digest)
	}
	return err
}

// SetPace replaces the ceilings and the rate limits that workers keep together;
// change is told those that hold.
func (r *Run) SetPace(ctx context.Context, change func(*postgres.Pace)) error {
	pace, _, _, err := r.run.Pace(ctx)
	if err != nil {
		return err
	}
	change(&pace)
	return r.run.SetPace(ctx, pace)
}

// Reopen has everything asked about that is not done: what a budget left out,
// and items that were forgotten.
func (r *Run) Reopen(ctx context.Context) (int64, error) { return r.run.Reopen(ctx) }

// Quota is a limit that the workers on the run keep together, by the name of the
// model: so many requests and tokens a minute, unless the run has its own.
func (r *Run) Quota(name string, rpm, tpm int64) llm.Quota { return r.run.Rate(name, rpm, tpm) }

// lookEvery is how often the progress of all workers is looked at.
const lookEvery = time.Second

// Work asks about items of the run until all are done, by this worker or
// others, and reports on all. What a budget leaves out stays unasked. Once
// [eval.Options.Stop] is closed it lets the calls under way end, gives back what
// it has not begun, and returns [llm.ErrStopped] with the report of what there
// is. [eval.Options.Source], Seed and so on are those of the header; Log and
// Account are the run's.
func (r *Run) Work(ctx context.Context, suite eval.Suite, subject eval.Subject, o eval.Options, lease time.Duration) (*eval.Report, error) {
	fail := func(err error) error { return fmt.Errorf("study %s: %w", suite.Describe().Name, err) }
	o.Log, o.Account = r.Folder, account{r.run}
	w, err := eval.NewWorker(suite, subject, &o)
	if err != nil {
		return nil, fail(err)
	}
	if err := r.run.Join(ctx, lease); err != nil {
		return nil, fail(err)
	}
	watch, enough := context.WithCancel(ctx)
	var watching sync.WaitGroup
	if o.Progress != nil {
		p := r.progress()
		_ = p.look(watch) // it is only for show
		p.Before = p.Done
		o.Progress(p.Progress)
		watching.Go(func() {
			ticker := time.NewTicker(lookEvery)
			defer ticker.Stop()
			for {
				select {
				case <-watch.Done():
					return
				case <-ticker.C:
					if p.look(watch) == nil {
						o.Progress(p.Progress)
					}
				}
			}
		})
	}
	asking, end := context.WithCancelCause(ctx)
	defer end(nil)
	down := outage{most: max(leastOutage, 2*o.Concurrency), doubtful: map[int]bool{}}
	err = r.run.Work(asking, slots(o.Concurrency), o.Stop, func(ctx context.Context, t postgres.Task) postgres.Verdict {
		rec := w.Ask(ctx, eval.Task{Index: t.Item, Key: t.Key, Item: t.Body})
		switch {
		case rec.Outcome == eval.OutcomeUnasked && (ctx.Err() != nil || stopped(o.Stop)):
			return postgres.Back
		case rec.Outcome == eval.OutcomeUnasked:
			return postgres.Park
		case down.doubts(rec, end):
			return postgres.Later
		}
		durable := make(chan struct{})
		if r.Add(rec, func() { close(durable) }) != nil {
			return postgres.Back
		}
		select {
		case <-durable:
			return postgres.Done
		case <-ctx.Done(): // the run ends because nothing can be written
			return postgres.Back
		}
	})
	enough()
	watching.Wait()
	if flushed := r.Flush(); err == nil {
		err = flushed
	}
	if err == nil && stopped(o.Stop) {
		err = llm.ErrStopped
	}
	report, reportErr := r.Report(context.WithoutCancel(ctx), suite)
	if err == nil {
		err = reportErr
	}
	if err != nil {
		return report, fail(err)
	}
	return report, nil
}

// leastOutage is how many items in a row must fail because there was no model,
// before a worker leaves for it; more where more are asked at a time.
const leastOutage = 20

// outage has items that fail because there is no model to be had asked once
// more, after the others: a model may be away for a night, or for one worker
// only. An item that fails so again has failed.
type outage struct {
	most int

	mu       sync.Mutex
	inRow    int
	doubtful map[int]bool
}

// doubts tells that a record does not count yet.
func (o *outage) doubts(rec eval.Record, end context.CancelCauseFunc) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !rec.NoModel():
		o.inRow = 0
		return false
	case o.doubtful[rec.Index]:
		return false
	}
	o.doubtful[rec.Index] = true
	if o.inRow++; o.inRow == o.most {
		end(fmt.Errorf("%w: the last %d items failed for it and are left to others, or to resume: %s", eval.ErrNoModel, o.inRow, rec.Error))
	}
	return true
}

// slots is how many items a worker has in hand so that it asks about so many at
// a time: some wait until they are written, and places are given out some
// hundredths of a second apart.
func slots(asking int) int { return asking + (asking+1)/2 }

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// progress is how far all workers are together.
type progress struct {
	eval.Progress
	run *postgres.Run
}

func (r *Run) progress() *progress {
	return &progress{eval.Progress{Total: r.Header.Items}, r.run}
}

func (p *progress) look(ctx context.Context) error {
	counts, err := p.run.Counts(ctx)
	if err != nil {
		return err
	}
	_, spent, _, err := p.run.Pace(ctx)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(counts) // outcomes are named alike
	if err != nil {
		return err
	}
	p.Done, p.Outcomes = 0, eval.Outcomes{}
	for _, n := range counts {
		p.Done += n
	}
	p.Spend = eval.Spend{Calls: spent.Calls, NanoUSD: spent.NanoUSD}
	return json.Unmarshal(raw, &p.Outcomes)
}

// account is the budget that all workers spend.
type account struct{ run *postgres.Run }

// Limits implements [llm.Account].
func (a account) Limits() llm.Limits {
	limits, _ := a.run.Left()
	return llm.Limits(limits)
}

// Left implements [llm.Account], as of some seconds ago.
func (a account) Left() llm.Limits {
	_, left := a.run.Left()
	return llm.Limits(left)
}

// Reserve implements [llm.Account].
func (a account) Reserve(most llm.Spend, _ string) (func(llm.Spend), error) {
	settle, err := a.run.Reserve(costOf(most))
	var over *postgres.CeilingError
	if errors.As(err, &over) {
		return nil, &llm.BudgetError{What: over.What, Limit: over.Limit, Spent: over.Used, Ask: over.Ask}
	}
	if err != nil {
		return nil, err
	}
	return func(actual llm.Spend) { settle(costOf(actual)) }, nil
}

func costOf(s llm.Spend) postgres.Cost {
	return postgres.Cost{Calls: s.Calls, Tokens: s.Tokens(), NanoUSD: s.NanoUSD}
}

// Charge implements [llm.Account]: what an earlier worker spent on a call that
// is not made again was counted then.
func (account) Charge(llm.Spend, string) {}

// CountCached implements [llm.Account]: that costs nothing.
func (account) CountCached(int, string) {}
