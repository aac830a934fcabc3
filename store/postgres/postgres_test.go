//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gnothi/internal/pgtest"
	"gnothi/llm"
	"gnothi/store"
	"gnothi/store/postgres"
)

var _ llm.Quota = (*postgres.Rate)(nil)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// long is the lease of workers that live, however slow the machine is.
const long = 10 * time.Minute

func database(t *testing.T, address string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func tasks(n int) iter.Seq2[postgres.Task, error] {
	return func(yield func(postgres.Task, error) bool) {
		for i := range n {
			if !yield(postgres.Task{Item: i, Key: fmt.Sprint("key", i), Body: []byte{byte(i), 0, 255}}, nil) {
				return
			}
		}
	}
}

// create makes a run of n tasks and gives its database.
func create(t *testing.T, name string, n int, pace postgres.Pace) (db *postgres.DB, address string) {
	t.Helper()
	address = pgtest.Shared(t).Database(t)
	db = database(t, address)
	if err := db.Create(t.Context(), name, []byte("{}"), pace, tasks(n)); err != nil {
		t.Fatal(err)
	}
	return db, address
}

func open(t *testing.T, db *postgres.DB, name string) *postgres.Run {
	t.Helper()
	r, err := db.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func join(t *testing.T, db *postgres.DB, name string, lease time.Duration) *postgres.Run {
	t.Helper()
	r := open(t, db, name)
	if err := r.Join(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// done writes a task's row and waits for it.
func done(t *testing.T, r *postgres.Run, task postgres.Task) postgres.Verdict {
	durable := make(chan struct{})
	if err := r.AddRow(store.Row{Item: task.Item, Key: task.Key, Outcome: "right", Summary: []byte("[1]"), Body: task.Body}, func() { close(durable) }); err != nil {
		t.Error(err)
		return postgres.Back
	}
	<-durable
	return postgres.Done
}

func TestRowsAndCalls(t *testing.T) {
	const n = 12
	db, _ := create(t, "r", n, postgres.Pace{})
	r := join(t, db, "r", long)
	var seen atomic.Int32
	err := r.Work(t.Context(), 3, nil, func(_ context.Context, task postgres.Task) postgres.Verdict {
		seen.Add(1)
		if task.Key != fmt.Sprint("key", task.Item) || !slices.Equal(task.Body, []byte{byte(task.Item), 0, 255}) {
			t.Errorf("task %+v", task)
		}
		if task.Item == 5 {
			return postgres.Park
		}
		if err := r.AddCalls(task.Item, []store.Call{{Key: "b", Value: []byte{1}}, {Key: "a", Value: []byte{0}}}); err != nil {
			t.Error(err)
		}
		return done(t, r, task)
	})
	if err != nil || seen.Load() != n {
		t.Fatalf("%d tasks, %v", seen.Load(), err)
	}
	look := open(t, db, "r")
	var items []int
	for row, err := range look.Rows(t.Context(), 3, true) {
		if err != nil || row.Outcome != "right" || string(row.Summary) != "[1]" || row.Body[0] != byte(row.Item) {
			t.Fatalf("%+v, %v", row, err)
		}
		items = append(items, row.Item)
	}
	if !slices.Equal(items, []int{3, 4, 6, 7, 8, 9, 10, 11}) {
		t.Errorf("items %v", items)
	}
	for row := range look.Rows(t.Context(), 0, false) {
		if row.Body != nil {
			t.Fatal("a body that nobody wanted")
		}
	}
	calls, err := look.Calls(t.Context(), 3)
	if err != nil || len(calls) != 2 || calls[0].Key != "a" || calls[1].Value[0] != 1 {
		t.Errorf("%v, %v", calls, err)
	}
	counts, err := look.Counts(t.Context())
	if err != nil || counts["right"] != n-1 || len(counts) != 1 {
		t.Errorf("%v, %v", counts, err)
	}
	if err := look.SetHeader(t.Context(), []byte("new")); err != nil {
		t.Fatal(err)
	}
	if header, err := look.Header(t.Context()); err != nil || string(header) != "new" {
		t.Errorf("%s, %v", header, err)
	}
	names, err := db.Runs(t.Context())
	if err != nil || !slices.Equal(names, []string{"r"}) {
		t.Errorf("%v, %v", names, err)
	}
	if err := look.Work(t.Context(), 1, nil, nil); err == nil {
		t.Error("who only looks can work")
	}

	// What was set aside, and what was forgotten, is there again when it is opened.
	if forgotten, err := look.Forget(t.Context(), "right"); err != nil || forgotten != n-1 {
		t.Fatalf("%d, %v", forgotten, err)
	}
	if opened, err := look.Reopen(t.Context()); err != nil || opened != n {
		t.Fatalf("%d opened, %v", opened, err)
	}
	if begun, err := look.Begun(t.Context()); err != nil || len(begun) != 0 {
		t.Errorf("calls of %v are left", begun)
	}
	seen.Store(0)
	if err := r.Work(t.Context(), 3, nil, func(_ context.Context, task postgres.Task) postgres.Verdict {
		seen.Add(1)
		return done(t, r, task)
	}); err != nil || seen.Load() != n {
		t.Fatalf("%d tasks, %v", seen.Load(), err)
	}
}

// Many reserve at once, in two workers; neither together nor alone do they pass
// a ceiling, and what is settled for less is free again.
func TestCeilings(t *testing.T) {
	ceiling := postgres.Cost{Calls: 50, Tokens: 1000}
	db, _ := create(t, "r", 1, postgres.Pace{Ceiling: ceiling})
	runs := []*postgres.Run{join(t, db, "r", long), join(t, db, "r", long)}
	var granted, refused, held, highest atomic.Int64
	var wg sync.WaitGroup
	for i := range 120 {
		wg.Go(func() {
			settle, err := runs[i%2].Reserve(postgres.Cost{Calls: 1, Tokens: 100})
			var over *postgres.CeilingError
			switch {
			case errors.As(err, &over):
				refused.Add(1)
				return
			case err != nil:
				t.Error(err)
				return
			}
			now := held.Add(100)
			for was := highest.Load(); now > was && !highest.CompareAndSwap(was, now); was = highest.Load() {
			}
			held.Add(-100)
			granted.Add(1)
			settle(postgres.Cost{Calls: 1, Tokens: 10})
		})
	}
	wg.Wait()
	for _, r := range runs {
		if err := r.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	_, spent, reserved, err := runs[0].Pace(t.Context())
	if err != nil || spent != (postgres.Cost{Calls: granted.Load(), Tokens: 10 * granted.Load()}) || reserved != (postgres.Cost{}) {
		t.Errorf("spent %+v, reserved %+v, %d granted, %v", spent, reserved, granted.Load(), err)
	}
	if granted.Load() > 50 || granted.Load() < 10 || refused.Load() != 120-granted.Load() || highest.Load() > 1000 {
		t.Errorf("%d granted, %d refused, %d tokens held at once", granted.Load(), refused.Load(), highest.Load())
	}
	// One at a time they come to the ceiling exactly.
	for granted.Load() < 50 {
		settle, err := runs[0].Reserve(postgres.Cost{Calls: 1})
		if err != nil {
			t.Fatal(err)
		}
		settle(postgres.Cost{Calls: 1})
		granted.Add(1)
	}
	if _, err := runs[1].Reserve(postgres.Cost{Calls: 1}); err == nil || !strings.Contains(err.Error(), "50 calls") {
		t.Errorf("one too many: %v", err)
	}
}

// A worker whose lease is over is told so, and nothing that it hands over counts;
// what it had in hand goes to another.
func TestLeaseIsOver(t *testing.T) {
	db, address := create(t, "r", 4, postgres.Pace{Ceiling: postgres.Cost{Calls: 10}})
	slow, quick := join(t, db, "r", long), open(t, db, "r")
	inHand, over := make(chan struct{}, 4), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- slow.Work(t.Context(), 4, nil, func(_ context.Context, task postgres.Task) postgres.Verdict {
			if _, err := slow.Reserve(postgres.Cost{Calls: 1}); err != nil {
				t.Error(err)
			}
			inHand <- struct{}{}
			<-over
			if slow.AddRow(store.Row{Item: task.Item, Outcome: "wrong", Body: []byte{}}, nil) == nil {
				_ = slow.Flush()
			}
			return postgres.Back
		})
	}()
	for range 4 {
		<-inHand
	}
	pgtest.Exec(t, address, `UPDATE gnothi.worker SET ended = clock_timestamp()`) // as others do once a lease is over
	close(over)
	if err := <-result; !errors.Is(err, postgres.ErrLease) || !strings.Contains(err.Error(), "#r: ") {
		t.Errorf("the slow one: %v", err)
	}
	if err := slow.Close(); !errors.Is(err, postgres.ErrLease) {
		t.Errorf("closing it: %v", err)
	}
	if err := quick.Join(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	defer quick.Close()
	if err := quick.Work(t.Context(), 2, nil, func(_ context.Context, task postgres.Task) postgres.Verdict { return done(t, quick, task) }); err != nil {
		t.Fatal(err)
	}
	if counts, err := quick.Counts(t.Context()); err != nil || counts["right"] != 4 || counts["wrong"] != 0 {
		t.Errorf("%v, %v", counts, err)
	}
}

// A lease that is short ends by itself, while another worker is at it.
func TestShortLease(t *testing.T) {
	db, address := create(t, "r", 6, postgres.Pace{Ceiling: postgres.Cost{Calls: 6}})
	pgtest.Exec(t, address, `INSERT INTO gnothi.worker (run, name, lease, reserved) SELECT run, 'dead', '300 milliseconds', '{5,0,0}' FROM gnothi.run;
		UPDATE gnothi.river_job SET state = 'running', attempted_at = now(), attempted_by = '{someone,dead}' WHERE (args->>'item')::int < 3`)
	r := join(t, db, "r", long)
	var seen atomic.Int32
	if err := r.Work(t.Context(), 2, nil, func(_ context.Context, task postgres.Task) postgres.Verdict {
		seen.Add(1)
		return done(t, r, task)
	}); err != nil || seen.Load() != 6 {
		t.Errorf("%d tasks, %v", seen.Load(), err)
	}
	if _, _, reserved, err := r.Pace(t.Context()); err != nil || reserved != (postgres.Cost{}) {
		t.Errorf("%+v is reserved yet, %v", reserved, err)
	}
}

// A panic in a task ends the work, where River alone would try again for ever.
func TestPanic(t *testing.T) {
	db, _ := create(t, "r", 1, postgres.Pace{})
	r := join(t, db, "r", long)
	err := r.Work(t.Context(), 1, nil, func(context.Context, postgres.Task) postgres.Verdict { panic("oh no") })
	if err == nil || !strings.Contains(err.Error(), "oh no") {
		t.Errorf("got %v", err)
	}
}

// Two workers take from one rate; together they get no more than it gives, and
// what is given back can be taken again. Time is the database's.
func TestRate(t *testing.T) {
	const rpm = 3000 // 50 at once, and so many a second that no minute has more
	const rate = (rpm - 49) / 60.0
	db, address := create(t, "r", 1, postgres.Pace{RPM: rpm})
	quotas := []*postgres.Rate{join(t, db, "r", long).Rate("m", 7, 0), join(t, db, "r", long).Rate("m", 7, 0)}
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	clock := func() (now float64) {
		if err := c.QueryRow(t.Context(), `SELECT extract(epoch FROM clock_timestamp())::float8`).Scan(&now); err != nil {
			t.Fatal(err)
		}
		return now
	}
	begun := clock()
	var wg sync.WaitGroup
	for i := range 160 {
		wg.Go(func() {
			if err := quotas[i%2].Take(t.Context(), 1, 0); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := clock() - begun; took < 110/rate-0.001 {
		t.Errorf("160 requests in %.3f s", took)
	}
	// One who goes away takes nothing along.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := quotas[0].Take(gone, 1, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	quotas[0].Settle(-1_000_000, 0) // a debt of hours
	still, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := quotas[1].Take(still, 1, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in debt: %v", err)
	}
	quotas[1].Settle(2_000_000, 0)
	if err := quotas[0].Take(t.Context(), 1, 0); err != nil {
		t.Error(err)
	}
	// Without a limit nobody is asked.
	free := postgres.Pace{}
	if err := open(t, db, "r").SetPace(t.Context(), free); err != nil {
		t.Fatal(err)
	}
	if err := open(t, db, "r").Rate("m", 0, 0).Take(t.Context(), 1, 1); err != nil {
		t.Error(err)
	}
}

func TestBadDatabases(t *testing.T) {
	address := pgtest.Shared(t).Database(t)
	db := database(t, address)
	if names, err := db.Runs(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("nothing was ever there: %v, %v", names, err)
	}
	broken := errors.New("line 3 is broken")
	err := db.Create(t.Context(), "half", []byte("{}"), postgres.Pace{}, func(yield func(postgres.Task, error) bool) {
		_ = yield(postgres.Task{Body: []byte{}}, nil) && yield(postgres.Task{}, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := db.Open(t.Context(), "half"); !errors.Is(err, store.ErrNoRun) {
		t.Errorf("half a run is there: %v", err)
	}
	// Several begin at the same moment on a database where nothing is.
	empty := pgtest.Shared(t).Database(t)
	var wg sync.WaitGroup
	var made atomic.Int32
	for range 4 {
		own := database(t, empty)
		wg.Go(func() {
			switch err := own.Create(t.Context(), "same", []byte("{}"), postgres.Pace{}, tasks(3)); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, postgres.ErrExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d made the same run", made.Load())
	}
	pgtest.Exec(t, address, `UPDATE gnothi.version SET version = 99`)
	if _, err := db.Open(t.Context(), "half"); err == nil || !strings.Contains(err.Error(), "99") {
		t.Errorf("tables of another version: %v", err)
	}
}
