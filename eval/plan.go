package eval

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gnothi/llm"
	"gnothi/store"
)

// Task is an item to ask about.
type Task struct {
	Index int             `json:"index"` // its place in the run
	Key   string          `json:"key"`   // hangs on the item alone
	Item  json.RawMessage `json:"item"`
}

// plan is what there is to ask. [plan.survey] fills it in.
type plan struct {
	suite  Suite
	source func() Source
	n      int // items to ask about
	digest string
	chosen []bool      // of the items of the source; nil: all
	sums   []uint64    // the beginning of each item's sum: its key
	again  map[int]int // which of equal items one is, from the second on
}

func newPlan(suite Suite, o Options) (*plan, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	name := suite.Describe().Name
	return &plan{suite: suite, again: map[int]int{}, source: func() Source {
		s := o.Source
		s.Rand = rand.New(rand.NewPCG(llm.Derive(o.Seed, "eval/"+name, 0), llm.Derive(o.Seed, "eval/"+name, 1)))
		return s
	}}, nil
}

// survey goes through all items, to count them and to sum them up. On the way it
// shows each to see, unless N of them are to be drawn: then which is known at the
// end only, and what see was shown counts for nothing.
func (p *plan) survey(ctx context.Context, see func(Task)) error {
	source := p.source()
	whole, seen := sha256.New(), map[uint64]int{}
	add := func(sum []byte) {
		_, _ = whole.Write(sum) // never fails
		short := binary.BigEndian.Uint64(sum)
		if seen[short]++; seen[short] > 1 {
			p.again[p.n] = seen[short]
		}
		p.sums = append(p.sums, short)
		p.n++
	}
	var drawn [][sha256.Size]byte // where some may be drawn
	for raw, err := range p.suite.items(source) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		sum := sha256.Sum256(raw)
		if add(sum[:]); source.N > 0 {
			drawn = append(drawn, sum)
		}
		if see != nil {
			see(Task{p.n - 1, p.key(p.n - 1), raw})
		}
	}
	if n := source.N; n > 0 && n < len(drawn) {
		p.chosen = make([]bool, len(drawn))
		for _, i := range source.Rand.Perm(len(drawn))[:n] {
			p.chosen[i] = true
		}
		whole.Reset()
		clear(seen)
		clear(p.again)
		p.n, p.sums = 0, nil
		for i, sum := range drawn {
			if p.chosen[i] {
				add(sum[:])
			}
		}
	}
	if p.n == 0 {
		return ErrNoItems
	}
	p.digest = hex.EncodeToString(whole.Sum(nil)[:16])
	return nil
}

// key names an item by what it is; equal ones are numbered.
func (p *plan) key(i int) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], p.sums[i])
	key := hex.EncodeToString(b[:])
	if n := p.again[i]; n > 0 {
		key += "-" + strconv.Itoa(n)
	}
	return key
}

// holds tells whether an item of an earlier life is one of the plan's.
func (p *plan) holds(k kept) bool {
	return k.index >= 0 && k.index < p.n && p.sums[k.index] == k.sum && p.again[k.index] == k.again
}

// tasks goes through the items once more, after the survey.
func (p *plan) tasks() iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		place, index := -1, -1
		for raw, err := range p.suite.items(p.source()) {
			if place++; err == nil && (p.chosen != nil && (place >= len(p.chosen) || !p.chosen[place])) {
				continue
			}
			index++
			if err == nil {
				sum := sha256.Sum256(raw)
				if index >= p.n || binary.BigEndian.Uint64(sum[:]) != p.sums[index] {
					err = fmt.Errorf("item %d: %w: it is another one than a moment ago", index, ErrChanged)
				}
			}
			if err != nil {
				yield(Task{}, err)
				return
			}
			if !yield(Task{index, p.key(index), raw}, nil) {
				return
			}
		}
	}
}

// Count says how many items a run would have.
func Count(suite Suite, o Options) (int, error) {
	n, _, _, err := Tasks(suite, o)
	return n, err
}

// Tasks says what there is to ask about: how many items, a digest of them, and the
// items one after the other.
func Tasks(suite Suite, o Options) (n int, digest string, tasks iter.Seq2[Task, error], err error) {
	p, err := newPlan(suite, o)
	if err == nil {
		err = p.survey(context.Background(), nil)
	}
	if err != nil {
		return 0, "", nil, fmt.Errorf("study %s: %w", suite.Describe().Name, err)
	}
	return p.n, p.digest, p.tasks(), nil
}

// kept is an item that an earlier life of the run has done: its place and its key.
type kept struct {
	index, again int
	sum          uint64
}

// keptOf reads a key; of one that is none there is no item.
func keptOf(index int, key string) kept {
	name, number, numbered := strings.Cut(key, "-")
	k := kept{index: index}
	sum, err := hex.DecodeString(name)
	if err == nil && numbered {
		k.again, err = strconv.Atoi(number)
	}
	if err != nil || len(sum) != 8 {
		return kept{index: -1}
	}
	k.sum = binary.BigEndian.Uint64(sum)
	return k
}

// earlier is what an earlier life of a run has done. It is read in the order of
// the items, while those are gone through.
type earlier struct {
	mu    sync.Mutex
	grown sync.Cond
	done  []kept
	upTo  int // items below are known: done or not
	at    int // of done, where the survey is

	outcomes Outcomes
	spend    Spend
	owed     Spend // paid for items that have calls and no record
	none     bool  // there was no earlier life
	err      error

	unfinished map[int]Spend // the items of owed; workers change it
}

func newEarlier() *earlier {
	e := &earlier{unfinished: map[int]Spend{}}
	e.grown.L = &e.mu
	return e
}

// read reads all of it.
func (e *earlier) read(ctx context.Context, log Log) {
	var part []kept
	hand := func(upTo int) {
		e.mu.Lock()
		e.done, e.upTo, part = append(e.done, part...), upTo, part[:0]
		e.mu.Unlock()
		e.grown.Broadcast()
	}
	var err error
	for d, rowErr := range log.Done(ctx) {
		if err = rowErr; err != nil {
			break
		}
		if !e.outcomes.count(d.Outcome) {
			err = fmt.Errorf("item %d of the run has the outcome %q: %w; begin a new one", d.Index, d.Outcome, store.ErrForeign)
			break
		}
		e.spend = e.spend.Plus(d.Spend)
		if part = append(part, keptOf(d.Index, d.Key)); len(part) == 1000 {
			hand(d.Index + 1)
		}
	}
	if err == nil {
		var paid map[int]Spend
		if paid, err = log.Unfinished(ctx); paid != nil {
			e.unfinished = paid
		}
	}
	e.owed, e.err = sumSpend(e.unfinished), err
	none := err == nil && len(e.done)+len(part)+len(e.unfinished) == 0
	e.mu.Lock()
	e.none = none
	e.mu.Unlock()
	hand(math.MaxInt)
}

// has tells whether an item was done. Items are asked for in their order.
func (e *earlier) has(index int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.upTo <= index {
		e.grown.Wait()
	}
	for e.at < len(e.done) && e.done[e.at].index < index {
		e.at++
	}
	return e.at < len(e.done) && e.done[e.at].index == index
}

// nothing tells, once all is read, that there was no earlier life.
func (e *earlier) nothing() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.none
}

// check makes sure that what was done is of these items.
func (e *earlier) check(p *plan, known bool) error {
	if e.err != nil {
		return e.err
	}
	i := slices.IndexFunc(e.done, func(k kept) bool { return !p.holds(k) })
	switch {
	case i < 0:
		return nil
	case known:
		return fmt.Errorf("item %d of the run is none of this suite: %w; begin a new one", e.done[i].index, store.ErrForeign)
	}
	return fmt.Errorf("%w: item %d of the run is another one now; put the data back as they were, or begin a new run", ErrChanged, e.done[i].index)
}

// feed hands out the items that are to be asked. It is filled while they are
// surveyed, as far as it has room; the items beyond are gone through once more
// when it is empty.
type feed struct {
	mu     sync.Mutex
	change sync.Cond
	tasks  []Task
	size   int  // bytes of tasks
	open   bool // tasks may be had before the survey has ended
	ended  bool // the survey has
	rest   int  // the first item that found no room; less than 0: none
	err    error
}

const (
	// feedSize is how many bytes of items are held.
	feedSize = 8 << 20
	// looked are how many items, or bytes of them, are surveyed before the first
	// call: what is wrong with a small file is told before anything is paid.
	looked, lookedSize = 2000, 1 << 20
)

func newFeed() *feed {
	f := &feed{rest: -1}
	f.change.L = &f.mu
	return f
}

// put adds a task, if there is room. early: it may be had at once.
func (f *feed) put(t Task, early bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.rest >= 0:
	case f.size+len(t.Item) > feedSize && len(f.tasks) > 0:
		f.rest = t.Index
	default:
		f.tasks = append(f.tasks, t)
		f.size += len(t.Item)
	}
	if early && (t.Index >= looked || f.size >= lookedSize) {
		f.open = true
	}
	if f.open {
		f.change.Signal()
	}
}

// end says that the survey has ended; of the tasks that were put, none counts if
// items were drawn.
func (f *feed) end(drawn bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended, f.err = true, err
	if drawn {
		f.tasks, f.rest = nil, 0
	}
	f.change.Broadcast()
}

// take waits for the next task; without one, items from rest on are still to be
// gone through (none if it is less than 0), unless there is an error.
func (f *feed) take() (t Task, ok bool, rest int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.ended && (!f.open || len(f.tasks) == 0) {
		f.change.Wait()
	}
	if f.err != nil || len(f.tasks) == 0 {
		return t, false, f.rest, f.err
	}
	t = f.tasks[0]
	f.tasks[0] = Task{}
	f.tasks = f.tasks[1:]
	f.size -= len(t.Item)
	return t, true, 0, nil
}

// all gives the tasks of a plan that are not done, in their order.
func (f *feed) all(p *plan, done func(int) bool) iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		for {
			t, ok, rest, err := f.take()
			if err != nil {
				yield(Task{}, err)
				return
			}
			if ok {
				if !yield(t, nil) {
					return
				}
				continue
			}
			if rest < 0 {
				return
			}
			for t, err := range p.tasks() {
				if err == nil && (t.Index < rest || done(t.Index)) {
					continue
				}
				if !yield(t, err) || err != nil {
					return
				}
			}
			return
		}
	}
}
