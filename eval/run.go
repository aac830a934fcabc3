package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/text"
)

// Options say how a suite is run.
type Options struct {
	Source
	Seed        uint64         // root of everything random; Source.Rand is made from it
	Concurrency int            // items at a time; 0 is 4. How many calls a model takes at a time is the model's ([llm.Limiter])
	Limits      llm.Limits     // ceilings on the whole run
	Account     llm.Account    // what the run spends where that is counted elsewhere, with its ceilings instead of Limits; nil: here
	MaxTokens   int            // ceiling on every reply, whatever a study asks for; 0: none
	Policy      control.Policy // how questions are answered, for studies that leave it open; nil: as the study has it
	// Log keeps the run; nil keeps it in memory.
	Log Log
	// Stop, once closed, lets the calls under way end and begins no others.
	Stop <-chan struct{}
	// Progress, if set, hears how far the run is, each time items have become
	// durable. It is not called by two at once.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	Done, Total int
	Before      int // of those done, how many were so when the run was resumed
	Outcomes    Outcomes
	Spend       Spend
}

// Run asks about every item of a suite and reports. When a budget ends, the
// items that could not be asked are counted as such and the report is of the
// others. With a cancelled context or a closed [Options.Stop] it returns the
// reason and the report of what there is. With a log of an earlier life of the
// run it asks only about what is missing.
//
// The first calls of a run may be made before all items have been gone through. An
// item that cannot be had ends the run, without a report; what was asked by then
// is kept, and a run that is begun with the same log once that is mended goes on.
func Run(ctx context.Context, suite Suite, subject Subject, o Options) (*Report, error) {
	fail := func(err error) (*Report, error) {
		return nil, fmt.Errorf("study %s: %w", suite.Describe().Name, err)
	}
	w, err := NewWorker(suite, subject, &o)
	if err != nil {
		return fail(err)
	}
	p, err := newPlan(suite, o)
	if err != nil {
		return fail(err)
	}
	r := &running{worker: w, tally: tally{tell: o.Progress}, earlier: newEarlier(), down: outage{most: max(leastOutage, 2*o.Concurrency)}, gate: newGate(w.account)}
	ctx, r.cancel = context.WithCancelCause(ctx)
	defer r.cancel(nil)
	tasks := newFeed()
	var looking sync.WaitGroup
	looking.Go(func() { r.earlier.read(ctx, o.Log) })
	looking.Go(func() { r.survey(ctx, p, tasks) })
	lost := r.askAll(ctx, tasks.all(p, func(i int) bool { return r.finished != nil && r.finished[i] }))
	looking.Wait()
	for _, rec := range r.down.rest() {
		r.add(rec)
	}
	err = o.Log.Flush()
	if lost == nil {
		lost = tasks.err // the run was stopped before it came to that
	}
	if lost != nil {
		if r.asked {
			lost = fmt.Errorf("%w; what was asked before is kept: once it is mended, resume the run", lost)
		}
		return fail(errors.Join(lost, err))
	}
	if cause := context.Cause(ctx); cause != nil && (err == nil || errors.Is(err, cause)) {
		err = cause
	}
	if err == nil && stopped(o.Stop) {
		err = llm.ErrStopped
	}
	report, reportErr := NewReport(suite, subject.Model.ID().String(), p.n, o.Log.Records(context.WithoutCancel(ctx), 0))
	if report != nil {
		report.Unfinished = sumSpend(r.earlier.unfinished)
	}
	if err == nil {
		return report, reportErr // it names the study
	}
	return report, fmt.Errorf("study %s: %w", suite.Describe().Name, err)
}

// running is a run that goes on.
type running struct {
	worker *Worker
	tally
	earlier  *earlier
	finished []bool     // in an earlier life; nil: there was none, or it is not known yet
	paid     sync.Mutex // of earlier.unfinished
	down     outage
	gate     *gate
	cancel   context.CancelCauseFunc
	asked    bool // some item was
}

// survey goes through the items and feeds those that are to be asked. A run
// without an earlier life asks meanwhile, others know first that their items are
// the same.
func (r *running) survey(ctx context.Context, p *plan, tasks *feed) {
	log := r.worker.o.Log
	items, digest := log.Known()
	fresh := digest == "" && r.worker.o.N == 0
	err := p.survey(ctx, func(t Task) {
		if !r.earlier.has(t.Index) {
			tasks.put(t, fresh && r.earlier.nothing())
		}
	})
	r.earlier.has(math.MaxInt - 1) // all is read
	if err == nil && digest != "" && (digest != p.digest || items != p.n) {
		err = log.Begin(ctx, p.n, p.digest) // says what is wrong
	}
	if err == nil {
		err = r.earlier.check(p, digest != "")
	}
	if err == nil {
		err = log.Begin(ctx, p.n, p.digest)
	}
	if err == nil {
		r.begin(p.n)
	}
	tasks.end(p.chosen != nil, err)
}

// begin takes over what an earlier life has done.
func (r *running) begin(n int) {
	e := r.earlier
	if len(e.done) > 0 {
		r.finished = make([]bool, n)
		for _, k := range e.done {
			r.finished[k.index] = true
		}
	}
	r.worker.charge(e.spend)
	r.worker.charge(e.owed)
	r.start(n, len(e.done), e.outcomes, e.spend)
	e.done = nil
}

// askAll asks about all tasks, so many at a time, and waits for the last. The error
// is that of a task that could not be had.
func (r *running) askAll(ctx context.Context, tasks iter.Seq2[Task, error]) error {
	var busy sync.WaitGroup
	defer busy.Wait()
	work := make(chan Task)
	defer close(work)
	workers := 0
	for task, err := range tasks {
		if err != nil {
			return err
		}
		if ctx.Err() != nil || stopped(r.worker.o.Stop) {
			return nil
		}
		r.asked = true
		r.gate.enter()
		select {
		case work <- task:
			continue
		default:
		}
		if workers >= max(1, r.worker.o.Concurrency) {
			work <- task
			continue
		}
		workers++
		busy.Go(func() {
			r.ask(ctx, task)
			for task := range work { // a stack that has grown serves the next item too
				r.ask(ctx, task)
			}
		})
	}
	return nil
}

// ask finds out about an item, and keeps what becomes of it.
func (r *running) ask(ctx context.Context, task Task) {
	var rec Record
	defer func() { r.gate.leave(rec.Spend, rec.Outcome != OutcomeUnasked && rec.Outcome != "") }()
	if ctx.Err() != nil || stopped(r.worker.o.Stop) {
		return
	}
	unfinished := r.earlier.unfinished
	r.paid.Lock()
	before := unfinished[task.Index]
	delete(unfinished, task.Index)
	r.paid.Unlock()
	r.worker.charge(before.negated()) // the journal charges it again, call by call
	rec = r.worker.Ask(ctx, task)
	if rec.Outcome == OutcomeUnasked {
		r.paid.Lock()
		unfinished[task.Index] = rec.Spend
		r.paid.Unlock()
		return
	}
	for _, rec := range r.down.pass(rec, r.cancel) {
		r.add(rec)
	}
}

func (r *running) add(rec Record) {
	if err := r.worker.o.Log.Add(rec, func() { r.count(rec.Outcome, rec.Spend) }); err != nil {
		r.cancel(err)
	}
}

func sumSpend(of map[int]Spend) (sum Spend) {
	for _, s := range of {
		sum = sum.Plus(s)
	}
	return sum
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// ErrNoModel says that a run ended because its model was no longer there.
var ErrNoModel = errors.New("the model does not answer any more")

// leastOutage is how many items in a row must fail because there was no model,
// before a run ends for it; more where more are asked at a time.
const leastOutage = 20

// outage holds back the items that failed because there was no model to be had
// (no connection, no key, no such model, overloaded for longer than tries went
// on), until another item shows that there is one. If none does, they were not
// asked: a run of thousands does not end in thousands of failures because a
// server was down for the night.
type outage struct {
	most int

	mu    sync.Mutex
	held  []Record
	ended bool
}

// pass gives the records that count now.
func (o *outage) pass(rec Record, end context.CancelCauseFunc) []Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !rec.NoModel() {
		out := append(o.held, rec)
		o.held = nil
		return out
	}
	if o.held = append(o.held, rec); len(o.held) >= o.most && !o.ended {
		o.ended = true
		end(fmt.Errorf("%w: the last %d items failed for it and count as not asked: %s", ErrNoModel, len(o.held), rec.Error))
	}
	return nil
}

// rest gives what was held back at the end of a run that went through.
func (o *outage) rest() []Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return nil
	}
	return o.held
}

// NoModel tells that an item failed because there was no model to be had. A
// record that was read again does not know.
func (r Record) NoModel() bool {
	var e *llm.APIError
	if r.Outcome != OutcomeFailed || !errors.As(r.cause, &e) {
		return false
	}
	switch e.Status {
	case 401, 402, 403, 404:
		return true
	}
	// A 500 is as often what an item does to the server.
	return e.Temporary && e.Status != 500 || e.Status == 0
}

// tally counts what has become durable.
type tally struct {
	mu sync.Mutex
	Progress
	tell func(Progress) // once the items are counted
}

// start says how many items there are, and what was done before.
func (t *tally) start(total, before int, outcomes Outcomes, spend Spend) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Total, t.Before = total, before
	if before > 0 { // otherwise some may be done by now
		t.Done, t.Outcomes, t.Spend = before, outcomes, spend
	}
	t.told()
}

func (t *tally) count(outcome string, spend Spend) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Done++
	t.Outcomes.count(outcome)
	t.Spend = t.Spend.Plus(spend)
	t.told()
}

func (t *tally) told() {
	if t.tell != nil && t.Total > 0 {
		t.tell(t.Progress)
	}
}

// Worker asks about items. It is safe for concurrent use.
type Worker struct {
	suite   Suite
	subject Subject
	o       Options
	account *llm.Ledger
}

// NewWorker prepares the asking and fills in what the options leave open.
func NewWorker(suite Suite, subject Subject, o *Options) (*Worker, error) {
	if err := subject.lacks(suite.Describe().Needs); err != nil {
		return nil, err
	}
	if o.Concurrency == 0 {
		o.Concurrency = 4
	}
	if o.Log == nil {
		o.Log = NewMemory()
	}
	if o.MaxTokens > 0 {
		subject = subject.each(func(m llm.Model) llm.Model { return shortened{m, o.MaxTokens} })
	}
	account := llm.NewLedger(o.Limits)
	if o.Account != nil {
		account = llm.NewLedger(llm.Limits{}, o.Account)
	}
	return &Worker{suite, subject, *o, account}, nil
}

// charge counts what an earlier life of the run spent. What is spent is spent,
// also beyond a ceiling that is lower now.
func (w *Worker) charge(s Spend) {
	w.account.Charge(s.llm(), "")
}

// Ask finds out about one item. What becomes of it is in the record; one that
// could not be asked (a budget, an interruption) is [OutcomeUnasked].
func (w *Worker) Ask(ctx context.Context, task Task) Record {
	start := time.Now()
	name := w.suite.Describe().Name
	rec := Record{Study: name, Key: task.Key, Index: task.Index, Item: task.Item}
	journal := w.o.Log.Journal(task.Index)
	var seen notice
	subject := w.subject.each(func(m llm.Model) llm.Model {
		m = llm.Stoppable(m, w.o.Stop)
		if journal != nil {
			m = llm.Journalled(m, journal)
		}
		return noticing{m, &seen}
	})
	ledger := w.account.Sub()
	t := monitor.NewTrial(monitor.TrialOptions{Model: subject.Model, Ledger: ledger, Seed: llm.Derive(w.o.Seed, "eval/"+name+"/"+task.Key, 0)})
	session := &Session{Trial: t, OwnJudge: subject.Judge == nil, Policy: w.o.Policy}
	for i, m := range subject.Peers {
		session.Peers = append(session.Peers, t.Child("peer", i, m, llm.Request{}))
	}
	session.Judge = t.Child("judge", 0, subject.Judge, llm.Request{})
	var err error
	rec.Result, rec.Outcome, err = w.suite.ask(ctx, session, task.Item)
	rec.Spend, rec.WallMS = spendOf(ledger.Spent()), time.Since(start).Milliseconds()
	if err == nil && (seen.cut.Load() || ctx.Err() != nil) {
		err = llm.ErrStopped
	}
	if err != nil {
		rec.Result, rec.Outcome, rec.Error, rec.cause = nil, outcomeOf(ctx, err), err.Error(), err
	}
	if rec.Outcome == OutcomeUnparsed && seen.replies.Load() && !seen.words.Load() {
		rec.Error = emptyReply
	}
	return rec
}

// outcomeOf is what becomes of an item that has no result.
func outcomeOf(ctx context.Context, err error) string {
	switch {
	case ctx.Err() != nil, errors.Is(err, llm.ErrBudget), errors.Is(err, llm.ErrStopped):
		return OutcomeUnasked
	case errors.Is(err, ErrRefused):
		return OutcomeRefused
	case errors.Is(err, ErrUnparsed), errors.Is(err, text.ErrNoConfidence):
		return OutcomeUnparsed
	}
	return OutcomeFailed
}

// emptyReply is why an item is unparsed to which no reply held a word.
const emptyReply = "empty reply"

// notice is what was noticed of an item's calls.
type notice struct {
	// A call was refused by the stop: what the item came to is not its result, even
	// if its policy bore that.
	cut            atomic.Bool
	replies, words atomic.Bool // there were replies, and words in them
}

// noticing notices what becomes of calls.
type noticing struct {
	llm.Model
	seen *notice
}

// Do implements llm.Model.
func (m noticing) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	res, err := m.Model.Do(ctx, op)
	if errors.Is(err, llm.ErrStopped) {
		m.seen.cut.Store(true)
	}
	if res != nil && op.Kind == llm.Generate {
		for _, c := range res.Choices {
			m.seen.replies.Store(true)
			if strings.TrimSpace(c.Text) != "" {
				m.seen.words.Store(true)
			}
		}
	}
	return res, err
}

// items implements [Suite].
func (s Study[I, R]) items(source Source) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		i := 0
		for item, err := range s.Items(source) {
			var raw json.RawMessage
			if err == nil {
				if raw, err = json.Marshal(item); err != nil {
					err = fmt.Errorf("item %d: %w", i, err)
				}
			}
			if i++; !yield(raw, err) || err != nil {
				return
			}
		}
	}
}

// ask implements [Suite].
func (s Study[I, R]) ask(ctx context.Context, session *Session, raw json.RawMessage) (json.RawMessage, string, error) {
	var item I
	if err := json.Unmarshal(raw, &item); err != nil {
		return nil, "", fmt.Errorf("item: %w", err)
	}
	result, err := s.Ask(ctx, session, item)
	if err != nil {
		return nil, "", err
	}
	out, err := json.Marshal(result)
	if err != nil {
		return nil, "", err
	}
	outcome := OutcomeMeasured
	if g, ok := any(result).(Graded); ok {
		if o := g.Outcome(); o != text.Parsed {
			outcome = o.String()
		}
	}
	return out, outcome, nil
}
