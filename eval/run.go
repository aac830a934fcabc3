package eval

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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

// Task is an item to ask about.
type Task struct {
	Index int             `json:"index"` // its place in the run
	Key   string          `json:"key"`   // hangs on the item alone
	Item  json.RawMessage `json:"item"`
}

// plan is what there is to ask: the items are gone through once to make it.
type plan struct {
	suite  Suite
	source func() Source
	chosen []bool // of the items of the source; nil: all
	keys   []string
	digest string
}

// newPlan goes through the items.
func newPlan(suite Suite, o Options) (*plan, error) {
	name := suite.Describe().Name
	if err := o.check(); err != nil {
		return nil, err
	}
	p := &plan{suite: suite, source: func() Source {
		s := o.Source
		s.Rand = rand.New(rand.NewPCG(llm.Derive(o.Seed, "eval/"+name, 0), llm.Derive(o.Seed, "eval/"+name, 1)))
		return s
	}}
	source := p.source()
	var sums [][sha256.Size]byte
	for raw, err := range suite.items(source) {
		if err != nil {
			return nil, err
		}
		sums = append(sums, sha256.Sum256(raw))
	}
	if n := source.N; n > 0 && n < len(sums) {
		p.chosen = make([]bool, len(sums))
		for _, i := range source.Rand.Perm(len(sums))[:n] {
			p.chosen[i] = true
		}
	}
	whole, seen := sha256.New(), make(map[uint64]int, len(sums))
	for i, sum := range sums {
		if p.chosen != nil && !p.chosen[i] {
			continue
		}
		whole.Write(sum[:])
		key, short := hex.EncodeToString(sum[:8]), binary.BigEndian.Uint64(sum[:8])
		if seen[short]++; seen[short] > 1 { // items may be equal
			key = fmt.Sprintf("%s-%d", key, seen[short])
		}
		p.keys = append(p.keys, key)
	}
	if len(p.keys) == 0 {
		return nil, errors.New("no items")
	}
	p.digest = hex.EncodeToString(whole.Sum(nil)[:16])
	return p, nil
}

// Count says how many items a run would have.
func Count(suite Suite, o Options) (int, error) {
	p, err := newPlan(suite, o)
	if err != nil {
		return 0, fmt.Errorf("study %s: %w", suite.Describe().Name, err)
	}
	return len(p.keys), nil
}

// tasks goes through the items once more.
func (p *plan) tasks() iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		place, index := -1, -1
		for raw, err := range p.suite.items(p.source()) {
			if place++; err == nil && (p.chosen != nil && (place >= len(p.chosen) || !p.chosen[place])) {
				continue
			}
			index++
			if err == nil && index >= len(p.keys) {
				err = errors.New("there are more items than a moment ago")
			}
			if err != nil {
				yield(Task{}, err)
				return
			}
			if !yield(Task{index, p.keys[index], raw}, nil) {
				return
			}
		}
	}
}

// Tasks says what there is to ask about: how many items, a digest of them, and the
// items one after the other.
func Tasks(suite Suite, o Options) (n int, digest string, tasks iter.Seq2[Task, error], err error) {
	p, err := newPlan(suite, o)
	if err != nil {
		return 0, "", nil, fmt.Errorf("study %s: %w", suite.Describe().Name, err)
	}
	return len(p.keys), p.digest, p.tasks(), nil
}

// Run asks about every item of a suite and reports. When a budget ends, the
// items that could not be asked are counted as such and the report is of the
// others. With a cancelled context or a closed [Options.Stop] it returns the
// reason and the report of what there is. With a log of an earlier life of the
// run it asks only about what is missing.
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
	done, err := o.Log.Begin(ctx, len(p.keys), p.digest)
	if err != nil {
		return fail(err)
	}
	r := &tally{Progress: Progress{Total: len(p.keys)}, tell: o.Progress}
	finished := make([]bool, len(p.keys))
	unfinished := map[int]Spend{} // paid for items that have no record
	for _, d := range done {
		if d.Outcome == "" && d.Index >= 0 && d.Index < len(p.keys) {
			unfinished[d.Index] = d.Spend
			w.charge(d.Spend)
			continue
		}
		if d.Index < 0 || d.Index >= len(p.keys) || d.Key != p.keys[d.Index] || !r.Outcomes.count(d.Outcome) {
			return fail(fmt.Errorf("item %d of the run (key %s, outcome %q) is none of this suite: the run was changed by something else than gnothi; begin a new one", d.Index, d.Key, d.Outcome))
		}
		finished[d.Index] = true
		r.Spend = r.Spend.Plus(d.Spend)
		r.Before++
		w.charge(d.Spend)
	}
	r.Done = r.Before
	if o.Progress != nil {
		o.Progress(r.Progress)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	down := &outage{most: max(leastOutage, 2*o.Concurrency)}
	var group errgroup.Group
	group.SetLimit(max(1, o.Concurrency))
	gate := newGate(w.account)
	var paid sync.Mutex // of unfinished
	for task, err := range p.tasks() {
		if err != nil {
			cancel(err)
		}
		if ctx.Err() != nil || stopped(o.Stop) {
			break
		}
		if finished[task.Index] {
			continue
		}
		gate.enter()
		group.Go(func() error {
			var rec Record
			defer func() { gate.leave(rec.Spend, rec.Outcome != OutcomeUnasked && rec.Outcome != "") }()
			if ctx.Err() != nil || stopped(o.Stop) {
				return nil
			}
			paid.Lock()
			before := unfinished[task.Index]
			delete(unfinished, task.Index)
			paid.Unlock()
			w.charge(before.negated()) // the journal charges it again, call by call
			rec = w.Ask(ctx, task)
			if rec.Outcome == OutcomeUnasked {
				paid.Lock()
				unfinished[task.Index] = rec.Spend
				paid.Unlock()
				return nil
			}
			for _, rec := range down.pass(rec, cancel) {
				if err := o.Log.Add(rec, func() { r.add(rec.Outcome, rec.Spend) }); err != nil {
					cancel(err)
				}
			}
			return nil
		})
	}
	_ = group.Wait() // no work returns an error: what became of an item is in its record
	for _, rec := range down.rest() {
		if err := o.Log.Add(rec, func() { r.add(rec.Outcome, rec.Spend) }); err != nil {
			cancel(err)
		}
	}
	err = o.Log.Flush()
	if cause := context.Cause(ctx); cause != nil && (err == nil || errors.Is(err, cause)) {
		err = cause
	}
	if err == nil && stopped(o.Stop) {
		err = llm.ErrStopped
	}
	report, reportErr := NewReport(suite, subject.Model.ID().String(), len(p.keys), o.Log.Records(context.WithoutCancel(ctx), 0))
	if report != nil {
		report.Unfinished = sumSpend(unfinished)
	}
	if err == nil {
		err = reportErr
	}
	if err != nil {
		err = fmt.Errorf("study %s: %w", suite.Describe().Name, err)
	}
	return report, err
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
	tell func(Progress)
}

func (t *tally) add(outcome string, spend Spend) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Done++
	t.Outcomes.count(outcome)
	t.Spend = t.Spend.Plus(spend)
	if t.tell != nil {
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

// sortDone puts what is done in order.
func sortDone(done []Done) {
	slices.SortFunc(done, func(a, b Done) int { return a.Index - b.Index })
}
