package eval

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"golang.org/x/sync/errgroup"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/text"
)

// Options say how a suite is run.
type Options struct {
	Source
	Seed        uint64     // root of everything random; Source.Rand is made from it
	Concurrency int        // items at a time; 0 is 4
	Limits      llm.Limits // ceilings on the whole run
	MaxTokens   int        // ceiling on every reply, whatever a study asks for; 0: none
	// Record, if set, hears what became of each item, in the order of the items.
	Record func(Record) error
	// Progress, if set, hears how many items are done, of how many.
	Progress func(done, total int)
}

// Run implements [Suite]. When a budget ends, the items that could not be asked
// are counted as such and the report is of the others.
func (s Study[I, R]) Run(ctx context.Context, subject Subject, o Options) (*Report, error) {
	fail := func(err error) (*Report, error) { return nil, fmt.Errorf("study %s: %w", s.Name, err) }
	if err := subject.lacks(s.Needs); err != nil {
		return fail(err)
	}
	if err := o.Source.check(); err != nil {
		return fail(err)
	}
	subject = subject.shortened(o.MaxTokens)
	o.Source.Rand = rand.New(rand.NewPCG(llm.Derive(o.Seed, "eval/"+s.Name, 0), llm.Derive(o.Seed, "eval/"+s.Name, 1)))
	items, err := s.Items(o.Source)
	if err == nil {
		if items = limit(o.Source, items); len(items) == 0 {
			err = errors.New("no items")
		}
	}
	if err != nil {
		return fail(err)
	}
	records, err := records(s.Name, items)
	if err != nil {
		return fail(err)
	}
	r := &runner{ctx: ctx, options: o, records: records, done: make([]bool, len(records)), account: llm.NewLedger(o.Limits)}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group errgroup.Group
	group.SetLimit(max(1, o.concurrency()))
	for i := range items {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			if ctx.Err() == nil {
				s.one(ctx, subject, o.Seed, r.account, items[i], &records[i])
			}
			if err := r.finish(i); err != nil {
				cancel(err)
			}
			return nil
		})
	}
	_ = group.Wait() // no work returns an error: what became of an item is in its record
	report, err := s.Report(subject.Model.ID().String(), records)
	if cause := context.Cause(ctx); err == nil && cause != nil {
		err = fmt.Errorf("study %s: %w", s.Name, cause)
	}
	return report, err
}

func (o Options) concurrency() int {
	if o.Concurrency == 0 {
		return 4
	}
	return o.Concurrency
}

// records are those of items that nobody has asked about yet.
func records[I any](study string, items []I) ([]Record, error) {
	out, seen := make([]Record, len(items)), map[string]int{}
	for i, item := range items {
		raw, err := json.Marshal(item)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		sum := sha256.Sum256(raw)
		key := hex.EncodeToString(sum[:8])
		if seen[key]++; seen[key] > 1 { // items may be equal
			key = fmt.Sprintf("%s-%d", key, seen[key])
		}
		out[i] = Record{Study: study, Key: key, Index: i, Outcome: OutcomeUnasked, Item: raw}
	}
	return out, nil
}

// one asks about an item and fills its record.
func (s Study[I, R]) one(ctx context.Context, subject Subject, seed uint64, account *llm.Ledger, item I, rec *Record) {
	ledger := account.Sub()
	t := monitor.NewTrial(monitor.TrialOptions{Model: subject.Model, Ledger: ledger, Seed: llm.Derive(seed, "eval/"+s.Name+"/"+rec.Key, 0)})
	session := &Session{Trial: t, OwnJudge: subject.Judge == nil}
	for i, m := range subject.Peers {
		session.Peers = append(session.Peers, t.Child("peer", i, m, llm.Request{}))
	}
	session.Judge = t.Child("judge", 0, subject.Judge, llm.Request{})
	result, err := s.Ask(ctx, session, item)
	rec.Spend = spendOf(ledger.Spent())
	if err == nil {
		rec.Result, err = json.Marshal(result)
	}
	if err != nil {
		rec.Error, rec.Result = err.Error(), nil
	}
	switch {
	case err == nil:
		rec.Outcome = OutcomeMeasured
		if g, ok := any(result).(Graded); ok {
			if o := g.Outcome(); o != text.Parsed {
				rec.Outcome = o.String()
			}
		}
	case ctx.Err() != nil, errors.Is(err, llm.ErrBudget):
		rec.Outcome = OutcomeUnasked
	case errors.Is(err, ErrRefused):
		rec.Outcome = OutcomeRefused
	case errors.Is(err, ErrUnparsed), errors.Is(err, text.ErrNoConfidence):
		rec.Outcome = OutcomeUnparsed
	default:
		rec.Outcome = OutcomeFailed
	}
}

// runner tells of records in their order, as they are done.
type runner struct {
	ctx     context.Context
	options Options
	account *llm.Ledger
	records []Record

	mu    sync.Mutex
	done  []bool
	next  int // the first record that is not told yet
	count int
}

func (r *runner) finish(i int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[i] = true
	if r.count++; r.options.Progress != nil {
		r.options.Progress(r.count, len(r.records))
	}
	for ; r.next < len(r.done) && r.done[r.next]; r.next++ {
		rec := r.records[r.next]
		if r.options.Record == nil || rec.Outcome == OutcomeUnasked {
			continue
		}
		if err := r.options.Record(rec); err != nil {
			return fmt.Errorf("record of item %d: %w", r.next, err)
		}
	}
	return nil
}
