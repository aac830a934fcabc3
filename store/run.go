package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// runSchema is the version of the tables of a run.
const runSchema = 1

// groupEvery is how often what was finished is made durable. A kill loses at
// most this much and what is in flight.
const groupEvery = 40 * time.Millisecond

// queued bounds what waits to be written; who writes more waits.
const queued = 4096

// ErrLocked says that another process writes to a run.
var ErrLocked = errors.New("another process works on this run")

// ErrForeign says that something else than gnothi wrote to a run.
var ErrForeign = errors.New("the run was changed by something else than gnothi")

// ErrNoRun says that a folder holds no run.
var ErrNoRun = errors.New("no run there")

// Run keeps what a run finishes in a SQLite file: each call as soon as it is
// answered, each item when all is known of it. Writes are grouped: they are
// handed over at once and durable, in the order of the handing over, within
// 100 ms.
type Run struct {
	db    *sql.DB
	path  string
	lock  *flock.Flock
	queue chan write
	ended chan struct{}

	mu     sync.Mutex
	err    error // the first write that failed; nothing is written after it
	closed bool

	preparing sync.Mutex
	prepared  map[string]*sql.Stmt // of what is read item by item; they end with db
}

// Row is an item that is done.
type Row struct {
	Item    int
	Key     string
	Outcome string
	Summary []byte // small: what counting needs
	Body    []byte // all the rest
}

// Call is one finished call of an item.
type Call struct {
	Key   string
	Value []byte
}

type write struct {
	item    int
	calls   []Call
	row     *Row
	durable func()
	flushed chan struct{}
	last    bool
}

// CreateRun makes a run's file and its folder. A folder that holds a run
// already, or anything else, is an error.
func CreateRun(ctx context.Context, path string, header []byte) (*Run, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("run %s: %w", path, err)
	}
	r, err := openRun(ctx, path, true, true)
	if err != nil {
		return nil, err
	}
	if _, err := r.db.ExecContext(ctx, `
		CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
		CREATE TABLE calls (item INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (item, key)) WITHOUT ROWID;
		CREATE TABLE items (item INTEGER PRIMARY KEY, key TEXT NOT NULL, outcome TEXT NOT NULL, summary BLOB);
		CREATE TABLE bodies (item INTEGER PRIMARY KEY, body BLOB NOT NULL);
		PRAGMA user_version = 1`); err != nil {
		return nil, errors.Join(r.fail(err), r.shut())
	}
	if _, err := r.db.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('header', ?)`, header); err != nil {
		return nil, errors.Join(r.fail(err), r.shut())
	}
	go r.writer()
	return r, nil
}

// OpenRun opens a run to go on with it, and refuses if another process does.
func OpenRun(ctx context.Context, path string) (*Run, error) {
	r, err := openRun(ctx, path, true, false)
	if err != nil {
		return nil, err
	}
	if err := r.check(ctx); err != nil {
		return nil, errors.Join(err, r.shut())
	}
	go r.writer()
	return r, nil
}

// ReadRun opens a run to look at it, also while another process works on it.
func ReadRun(ctx context.Context, path string) (*Run, error) {
	r, err := openRun(ctx, path, false, false)
	if err != nil {
		return nil, err
	}
	if err := r.check(ctx); err != nil {
		return nil, errors.Join(err, r.shut())
	}
	return r, nil
}

func openRun(ctx context.Context, path string, writes, fresh bool) (*Run, error) {
	r := &Run{path: path, queue: make(chan write, queued), ended: make(chan struct{})}
	query := url.Values{"_pragma": {"busy_timeout(10000)"}, "_txlock": {"immediate"}}
	_, missing := os.Stat(path)
	if errors.Is(missing, fs.ErrNotExist) && !fresh {
		return nil, fmt.Errorf("run %s: %w", path, ErrNoRun)
	}
	if writes {
		query["_pragma"] = append(query["_pragma"], "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(4000)")
		r.lock = flock.New(path + ".lock")
		switch ok, err := r.lock.TryLock(); {
		case err != nil:
			return nil, fmt.Errorf("run %s: %w", path, err)
		case !ok:
			return nil, fmt.Errorf("run %s: %w: wait until it ends, or look at the run with `gnothi eval report`", path, ErrLocked)
		}
		if _, err := os.Stat(path); fresh && err == nil {
			return nil, errors.Join(fmt.Errorf("run %s: there is one already: resume it, or choose another folder", path), r.unlock())
		}
	} else {
		query["_pragma"] = append(query["_pragma"], "query_only(1)")
		if query.Set("mode", "rw"); whole(path) { // not ro: who is the last to look takes SQLite's own files away again
			query.Set("mode", "ro")
			query.Set("immutable", "1")
		}
	}
	source := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("run %s: %w", path, err), r.unlock())
	}
	if writes {
		db.SetMaxOpenConns(3) // the writer keeps one
	}
	r.db = db
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(r.fail(err), r.shut())
	}
	return r, nil
}

// whole tells that a run lies in a folder where nothing may be written, all of it
// in its file: SQLite, which writes down who reads, need not there.
func whole(path string) bool {
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return false
	}
	probe, err := os.CreateTemp(filepath.Dir(path), ".probe-*")
	if err != nil {
		return true
	}
	_ = errors.Join(probe.Close(), os.Remove(probe.Name())) // empty, and of no use to anybody
	return false
}

// check says what is wrong with the file.
func (r *Run) check(ctx context.Context) error {
	var version int
	if err := r.db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return r.fail(err)
	}
	var tables int
	if err := r.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name IN ('meta', 'calls', 'items', 'bodies')`).Scan(&tables); err != nil {
		return r.fail(err)
	}
	switch {
	case version == 0 && tables == 0:
		return fmt.Errorf("run %s: the file is empty: the run was cut off before it began; remove the folder and begin again", r.path)
	case version != runSchema:
		return fmt.Errorf("run %s: its version is %d, this gnothi knows %d: use the gnothi that made it", r.path, version, runSchema)
	case tables != 4:
		return fmt.Errorf("run %s: tables are missing: %w", r.path, ErrForeign)
	}
	return nil
}

// fail words an error of the file.
func (r *Run) fail(err error) error {
	hint := ""
	switch words := err.Error(); {
	case strings.Contains(words, "not a database"), strings.Contains(words, "malformed"):
		hint = ": the file is damaged or cut short; bring it back from a copy, or begin a new run"
	case strings.Contains(words, "disk is full"), strings.Contains(words, "no space left"), strings.Contains(words, "disk I/O error"):
		hint = ": make room on the disk and resume; what was finished before is kept"
	case strings.Contains(words, "readonly"), strings.Contains(words, "unable to open"):
		hint = ": is the folder there and may it be written to?"
	}
	return fmt.Errorf("run %s: %w%s", r.path, err, hint)
}

// Header gives what the run was begun with.
func (r *Run) Header(ctx context.Context) ([]byte, error) {
	var header []byte
	if err := r.db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'header'`).Scan(&header); errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("run %s: it has no header: %w", r.path, ErrForeign)
	} else if err != nil {
		return nil, r.fail(err)
	}
	return header, nil
}

// SetHeader replaces what the run was begun with.
func (r *Run) SetHeader(ctx context.Context, header []byte) error {
	if _, err := r.db.ExecContext(ctx, `UPDATE meta SET value = ? WHERE name = 'header'`, header); err != nil {
		return r.fail(err)
	}
	return nil
}

// AddCalls hands over finished calls of an item.
func (r *Run) AddCalls(item int, calls []Call) error { return r.hand(write{item: item, calls: calls}) }

// AddRow hands over an item that is done, after its calls. durable, if set, is
// called once the row cannot be lost any more.
func (r *Run) AddRow(row Row, durable func()) error {
	return r.hand(write{item: row.Item, row: &row, durable: durable})
}

func (r *Run) hand(w write) error {
	r.mu.Lock()
	err, closed := r.err, r.closed
	r.mu.Unlock()
	switch {
	case err != nil:
		return err
	case r.lock == nil:
		return fmt.Errorf("run %s: opened to look at it only", r.path)
	case closed && !w.last:
		return fmt.Errorf("run %s: closed", r.path)
	}
	select {
	case r.queue <- w:
		return nil
	case <-r.ended:
		return r.failed()
	}
}

func (r *Run) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Flush waits until everything that was handed over is durable.
func (r *Run) Flush() error {
	flushed := make(chan struct{})
	if err := r.hand(write{flushed: flushed}); err != nil {
		return err
	}
	select {
	case <-flushed:
	case <-r.ended:
	}
	return r.failed()
}

// writer makes durable what is handed over, in groups.
func (r *Run) writer() {
	defer close(r.ended)
	w := writing{statements: map[string]*sql.Stmt{}}
	defer w.close()
	var group []write
	for last := false; !last; {
		first := <-r.queue
		if first.flushed == nil {
			// What else comes in this time shares the commit.
			time.Sleep(groupEvery)
		}
		group = append(group[:0], first)
		for more := true; more && len(group) < queued; {
			select {
			case w := <-r.queue:
				group = append(group, w)
			default:
				more = false
			}
		}
		if err := w.commit(r.db, group); err != nil {
			r.mu.Lock()
			r.err = r.fail(err)
			r.mu.Unlock()
			return
		}
		for _, w := range group {
			last = last || w.last
			if w.durable != nil {
				w.durable()
			}
			if w.flushed != nil {
				close(w.flushed)
			}
		}
		clear(group) // what is written is not held
	}
}

// writing is the connection that writes, with what is prepared on it.
type writing struct {
	order                []write // of a group, by item
	conn                 *sql.Conn
	statements           map[string]*sql.Stmt
	calls, items, bodies []any
}

func (w *writing) commit(db *sql.DB, group []write) error {
	w.calls, w.items, w.bodies = w.calls[:0], w.items[:0], w.bodies[:0]
	// In the order of the tables, whose pages then fill up instead of being split.
	w.order = append(w.order[:0], group...)
	slices.SortStableFunc(w.order, func(a, b write) int { return cmp.Compare(a.item, b.item) })
	for _, one := range w.order {
		for _, c := range one.calls {
			w.calls = append(w.calls, one.item, c.Key, c.Value)
		}
		if row := one.row; row != nil {
			w.items = append(w.items, row.Item, row.Key, row.Outcome, row.Summary)
			w.bodies = append(w.bodies, row.Item, row.Body)
		}
	}
	if len(w.calls)+len(w.items) == 0 {
		return nil
	}
	ctx := context.Background()
	if w.conn == nil {
		var err error
		if w.conn, err = db.Conn(ctx); err != nil {
			return err
		}
	}
	tx, err := w.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	for _, t := range []struct {
		into   string
		width  int
		values []any
	}{{"calls (item, key, value)", 3, w.calls}, {"items (item, key, outcome, summary)", 4, w.items}, {"bodies (item, body)", 2, w.bodies}} {
		if err := w.insert(ctx, t.into, t.width, t.values); err != nil {
			return err
		}
		clear(t.values)
	}
	return tx.Commit()
}

// insert writes rows, many with one statement: that is half the price of a
// statement for each. How many is a power of two, so that few statements do for
// all and each is prepared once.
func (w *writing) insert(ctx context.Context, into string, width int, values []any) error {
	for len(values) > 0 {
		n := 64
		for n > len(values)/width {
			n /= 2
		}
		one := "(?" + strings.Repeat(",?", width-1) + ")"
		text := "INSERT OR REPLACE INTO " + into + " VALUES " + one + strings.Repeat(","+one, n-1)
		statement := w.statements[text]
		if statement == nil {
			var err error
			if statement, err = w.conn.PrepareContext(ctx, text); err != nil { // it runs within the transaction of its connection
				return err
			}
			w.statements[text] = statement
		}
		if _, err := statement.ExecContext(ctx, values[:n*width]...); err != nil {
			return err
		}
		values = values[n*width:]
	}
	return nil
}

func (w *writing) close() {
	for _, s := range w.statements {
		_ = s.Close() // what it wrote is committed, or told to have failed
	}
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

// query reads with a statement that is prepared once: a report looks at thousands
// of items one by one.
func (r *Run) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	r.preparing.Lock()
	statement := r.prepared[text]
	if statement == nil {
		var err error
		if statement, err = r.db.PrepareContext(ctx, text); err != nil {
			r.preparing.Unlock()
			return nil, err
		}
		if r.prepared == nil {
			r.prepared = map[string]*sql.Stmt{}
		}
		r.prepared[text] = statement
	}
	r.preparing.Unlock()
	return statement.QueryContext(ctx, args...)
}

// Rows gives the items that are done, in their order, from an item on; their
// bodies only if wanted. Summary and Body may be changed by the next step.
func (r *Run) Rows(ctx context.Context, from int, bodies bool) iter.Seq2[Row, error] {
	statement := `SELECT item, key, outcome, summary, NULL FROM items WHERE item >= ? ORDER BY item`
	if bodies {
		statement = `SELECT i.item, i.key, i.outcome, i.summary, b.body FROM items i LEFT JOIN bodies b ON b.item = i.item WHERE i.item >= ? ORDER BY i.item`
	}
	return func(yield func(Row, error) bool) {
		found, err := r.query(ctx, statement, from)
		if err != nil {
			yield(Row{}, r.fail(err))
			return
		}
		defer found.Close()
		var outcome, summary, body sql.RawBytes
		var row Row
		outcomes := map[string]string{} // there are few
		into := []any{&row.Item, &row.Key, &outcome, &summary, &body}
		for found.Next() {
			if err := found.Scan(into...); err != nil {
				yield(Row{}, r.fail(err))
				return
			}
			is, ok := outcomes[string(outcome)]
			if !ok {
				is = string(outcome)
				outcomes[is] = is
			}
			row.Outcome, row.Summary, row.Body = is, summary, body
			if bodies && row.Body == nil {
				yield(row, fmt.Errorf("run %s: item %d: its record is gone, though it is done: %w", r.path, row.Item, ErrForeign))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
		if err := found.Err(); err != nil {
			yield(Row{}, r.fail(err))
		}
	}
}

// Calls gives the calls of an item in the order of their keys.
func (r *Run) Calls(ctx context.Context, item int) ([]Call, error) {
	found, err := r.query(ctx, `SELECT key, value FROM calls WHERE item = ? ORDER BY key`, item)
	if err != nil {
		return nil, r.fail(err)
	}
	defer found.Close()
	var calls []Call
	for found.Next() {
		var c Call
		if err := found.Scan(&c.Key, &c.Value); err != nil {
			return nil, r.fail(err)
		}
		calls = append(calls, c)
	}
	if err := found.Err(); err != nil {
		return nil, r.fail(err)
	}
	return calls, nil
}

// Begun lists the items that have calls and are not done.
func (r *Run) Begun(ctx context.Context) ([]int, error) {
	found, err := r.db.QueryContext(ctx, `SELECT DISTINCT item FROM calls EXCEPT SELECT item FROM items`)
	if err != nil {
		return nil, r.fail(err)
	}
	defer found.Close()
	var items []int
	for found.Next() {
		var i int
		if err := found.Scan(&i); err != nil {
			return nil, r.fail(err)
		}
		items = append(items, i)
	}
	if err := found.Err(); err != nil {
		return nil, r.fail(err)
	}
	return items, nil
}

// Forget makes the items of an outcome undone, with their calls, and says how
// many there were.
func (r *Run) Forget(ctx context.Context, outcome string) (int64, error) {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, r.fail(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	var n int64
	for _, statement := range []string{
		`DELETE FROM calls WHERE item IN (SELECT item FROM items WHERE outcome = ?)`,
		`DELETE FROM bodies WHERE item IN (SELECT item FROM items WHERE outcome = ?)`,
		`DELETE FROM items WHERE outcome = ?`,
	} {
		res, err := tx.ExecContext(ctx, statement, outcome)
		if err == nil {
			n, err = res.RowsAffected()
		}
		if err != nil {
			return 0, r.fail(err)
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, r.fail(err)
	}
	return n, nil
}

// Close makes what was handed over durable and closes the file.
func (r *Run) Close() error {
	r.mu.Lock()
	again := r.closed
	r.closed = true
	r.mu.Unlock()
	if again {
		return nil
	}
	if r.lock != nil {
		_ = r.hand(write{flushed: make(chan struct{}), last: true}) // an error is told below
		<-r.ended
	}
	return errors.Join(r.failed(), r.shut())
}

func (r *Run) shut() error { return errors.Join(r.db.Close(), r.unlock()) }

func (r *Run) unlock() error {
	if r.lock == nil {
		return nil
	}
	return r.lock.Unlock()
}

// ItemCall is a call with the item it belongs to.
type ItemCall struct {
	Item  int
	Value []byte
}

// CallsFrom gives the calls of all items in the order of the items, from one on.
// What it gives may be changed by the next step.
func (r *Run) CallsFrom(ctx context.Context, from int) iter.Seq2[ItemCall, error] {
	return func(yield func(ItemCall, error) bool) {
		found, err := r.db.QueryContext(ctx, `SELECT item, value FROM calls WHERE item >= ? ORDER BY item`, from)
		if err != nil {
			yield(ItemCall{}, r.fail(err))
			return
		}
		defer found.Close()
		for found.Next() {
			var c ItemCall
			var value sql.RawBytes
			if err := found.Scan(&c.Item, &value); err != nil {
				yield(ItemCall{}, r.fail(err))
				return
			}
			c.Value = value
			if !yield(c, nil) {
				return
			}
		}
		if err := found.Err(); err != nil {
			yield(ItemCall{}, r.fail(err))
		}
	}
}

// Counts says how many items are done, by outcome.
func (r *Run) Counts(ctx context.Context) (map[string]int, error) {
	found, err := r.db.QueryContext(ctx, `SELECT outcome, COUNT(*) FROM items GROUP BY outcome`)
	if err != nil {
		return nil, r.fail(err)
	}
	defer found.Close()
	counts := map[string]int{}
	for found.Next() {
		var outcome string
		var n int
		if err := found.Scan(&outcome, &n); err != nil {
			return nil, r.fail(err)
		}
		counts[outcome] = n
	}
	if err := found.Err(); err != nil {
		return nil, r.fail(err)
	}
	return counts, nil
}
