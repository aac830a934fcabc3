package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// trialsSchema is the version of the tables of trials.
const trialsSchema = 1

const (
	// trialsEvery is how long what is handed over may wait for company.
	trialsEvery = 100 * time.Millisecond
	// trialsQueued and trialsHeld bound what waits, in trials and in bytes.
	trialsQueued = 4096
	trialsHeld   = 8 << 20
	// trimEvery is how often trials that are too old are looked for.
	trimEvery = time.Minute
	// scanned is how many trials a search looks at in one go, searchTime how long
	// it goes on before it tells what it has.
	scanned    = 2000
	searchTime = 700 * time.Millisecond
)

// ErrNoTrial says that no trial has an ID.
var ErrNoTrial = errors.New("no such trial")

// Trial is what is kept of an answer.
type Trial struct {
	Seq   int64 // its number, in the order of keeping; given by the store
	ID    string
	At    time.Time
	Key   string // the name of the client's key, never the key
	Model string
	// Name is what the client called the model; Policy its specification.
	Name, Policy, Form string
	Decision           string
	Outcome            string // parsed, refused, unparsed, failed
	Status             string // of the calibration
	Calibrator         string // which one gave the probability; empty: none of the model's own
	Probability        *float64
	Low, High          *float64
	Calls, Tokens      int64
	NanoUSD            *int64 // nil where no price is known
	WallMS             int64
	// Audit is the chance that the answer had to be marked for labelling, Marked
	// whether it was.
	Audit            float64
	Marked           bool
	Question, Answer string // the beginnings, for lists
	Body             []byte // JSON; all the rest
	Texts            string // what a search looks through beside the beginnings; only for [Trials.Add]

	// Correct is the latest verdict. Own tells that one came of its own accord and
	// not because the answer was marked. Judged is when the first one came.
	Correct *bool
	Own     bool
	Judged  time.Time
}

// Verdict is somebody's word on an answer.
type Verdict struct {
	At      time.Time
	Correct bool
	By      string // client, page, audit
	Key     string // name of the key
}

// ByAudit is a verdict that was sought because the answer was marked.
const ByAudit = "audit"

// TrialOptions limit what is kept. Zero fields have the defaults given.
type TrialOptions struct {
	Keep     time.Duration // default 30 days; sums by day are kept 400 days
	MaxBytes int64         // of texts and bodies, default 512 MiB
	// Report, if set, is told what goes wrong once the store is open.
	Report func(error)
	// Now, if set, replaces the clock.
	Now func() time.Time
}

// daysKept is how long sums by day are kept.
const daysKept = 400 * 24 * time.Hour

// Trials keeps answers and what was said of them. Whoever hands one over does not
// wait: one writer commits groups of them. One process writes to a file at a time.
type Trials struct {
	db   *sql.DB
	name string // for errors
	o    TrialOptions

	queue   chan pending
	held    atomic.Int64 // bytes that wait
	flushes chan chan struct{}
	closing chan struct{}
	ended   chan struct{}
	shut    sync.Once

	addHead, addBody              *sql.Stmt // the writer's
	written, dropped, kept, bytes atomic.Int64
	// next is the number of the next trial, trimmed when retention was last seen
	// to; both are the writer's.
	next    int64
	trimmed time.Time

	mu      sync.Mutex
	changed chan struct{}
}

type pending struct {
	size int64
	make func() Trial
}

// OpenTrials opens the trials in a file, and makes the file and its folder if they
// are not there; without a path they are kept in memory. A file of a newer gnothi
// is an error.
func OpenTrials(ctx context.Context, path string, o TrialOptions) (*Trials, error) {
	t := newTrials(path, o)
	var err error
	if path == "" {
		t.name = "in memory"
		if t.db, err = sql.Open("sqlite", ":memory:"); err == nil {
			t.db.SetMaxOpenConns(1) // each connection would have trials of its own
		}
	} else if t.db, err = openPrivate(path, "cache_size(-1000)"); err == nil {
		t.db.SetMaxOpenConns(4)
	}
	if err != nil {
		return nil, t.fail(err)
	}
	if err := t.prepare(ctx); err != nil {
		return nil, errors.Join(t.fail(err), t.db.Close())
	}
	go t.writer()
	return t, nil
}

// ReadTrials opens a file of trials to look at it, also while a server writes to
// it.
func ReadTrials(ctx context.Context, path string) (*Trials, error) {
	t := newTrials(path, TrialOptions{})
	close(t.ended)
	var err error
	if t.db, err = sql.Open("sqlite", source(path, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}})); err != nil {
		return nil, t.fail(err)
	}
	tx, err := t.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err == nil {
		var v int
		if v, err = version(ctx, tx, trialsSchema); err == nil && v == 0 {
			err = errors.New("it holds no trials")
		}
		err = errors.Join(err, tx.Rollback())
	}
	if err != nil {
		return nil, errors.Join(t.fail(err), t.db.Close())
	}
	return t, nil
}

func newTrials(path string, o TrialOptions) *Trials {
	o.Keep, o.MaxBytes = cmp.Or(o.Keep, 30*24*time.Hour), cmp.Or(o.MaxBytes, 512<<20)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	return &Trials{
		name: path, o: o, queue: make(chan pending, trialsQueued), flushes: make(chan chan struct{}),
		closing: make(chan struct{}), ended: make(chan struct{}), changed: make(chan struct{}),
	}
}

func (t *Trials) fail(err error) error { return fmt.Errorf("store: trials %s: %w", t.name, err) }

func (t *Trials) prepare(ctx context.Context) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if _, err := version(ctx, tx, trialsSchema); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`
		CREATE TABLE IF NOT EXISTS trials (
			seq INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, -- Unix milliseconds
			key TEXT NOT NULL, model TEXT NOT NULL, name TEXT NOT NULL, policy TEXT NOT NULL, form TEXT NOT NULL,
			decision TEXT NOT NULL, outcome TEXT NOT NULL, status TEXT NOT NULL, calibrator TEXT NOT NULL,
			probability REAL, low REAL, high REAL,
			calls INTEGER NOT NULL, tokens INTEGER NOT NULL, nanousd INTEGER, wall_ms INTEGER NOT NULL,
			audit REAL NOT NULL, marked INTEGER NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL, size INTEGER NOT NULL,
			correct INTEGER, own INTEGER NOT NULL DEFAULT 0, judged INTEGER NOT NULL DEFAULT 0);
		CREATE INDEX IF NOT EXISTS trials_id ON trials (id);
		CREATE INDEX IF NOT EXISTS trials_judged ON trials (judged) WHERE judged > 0;
		CREATE INDEX IF NOT EXISTS trials_marked ON trials (seq) WHERE marked;
		CREATE TABLE IF NOT EXISTS bodies (seq INTEGER PRIMARY KEY, texts TEXT NOT NULL, body BLOB);
		CREATE TABLE IF NOT EXISTS verdicts (seq INTEGER NOT NULL, at INTEGER NOT NULL, correct INTEGER NOT NULL, by TEXT NOT NULL, key TEXT NOT NULL);
		CREATE INDEX IF NOT EXISTS verdicts_seq ON verdicts (seq);
		CREATE TABLE IF NOT EXISTS days (
			day TEXT NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL, policy TEXT NOT NULL,
			trials INTEGER NOT NULL, failed INTEGER NOT NULL, calls INTEGER NOT NULL, tokens INTEGER NOT NULL, nanousd INTEGER NOT NULL, unpriced INTEGER NOT NULL,
			PRIMARY KEY (day, key, model, policy)) WITHOUT ROWID;
		CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
		PRAGMA user_version = %d`, trialsSchema)); err != nil {
		return err
	}
	var last, kept, bytes sql.NullInt64
	if err := tx.QueryRowContext(ctx, `SELECT MAX(seq), COUNT(*), SUM(size) FROM trials`).Scan(&last, &kept, &bytes); err != nil {
		return err
	}
	t.next = last.Int64 + 1
	gone, freed, err := t.trim(ctx, tx, bytes.Int64)
	if err != nil {
		return err
	}
	t.kept.Store(kept.Int64 - gone)
	t.bytes.Store(bytes.Int64 - freed)
	if err := tx.Commit(); err != nil {
		return err
	}
	if t.addHead, err = t.db.PrepareContext(ctx, "INSERT INTO trials ("+trialColumns+", size) VALUES (?"+strings.Repeat(",?", strings.Count(trialColumns, ",")+1)+")"); err != nil {
		return err
	}
	t.addBody, err = t.db.PrepareContext(ctx, "INSERT INTO bodies (seq, texts, body) VALUES (?, ?, ?)")
	return err
}

// Add hands a trial over without waiting. size is about what it holds in memory,
// in bytes; make makes the trial, later and elsewhere. It says no, and counts, if
// too much waits already.
func (t *Trials) Add(size int, make func() Trial) bool {
	p := pending{int64(max(1, size)), make}
	if t.held.Add(p.size) <= trialsHeld || p.size > trialsHeld && len(t.queue) == 0 {
		select {
		case <-t.closing:
		default:
			select {
			case t.queue <- p:
				return true
			default:
			}
		}
	}
	t.held.Add(-p.size)
	t.dropped.Add(1)
	return false
}

// Flush waits until what was handed over before can be found.
func (t *Trials) Flush(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case t.flushes <- done:
	case <-t.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close writes what was handed over and closes the file.
func (t *Trials) Close() (err error) {
	t.shut.Do(func() {
		close(t.closing)
		<-t.ended
		if err = t.db.Close(); err != nil {
			err = t.fail(err)
		}
	})
	return err
}

// TrialCounts say what became of trials.
type TrialCounts struct {
	Written, Dropped int64 // by this process
	Kept, Bytes      int64
}

// Counts counts.
func (t *Trials) Counts() TrialCounts {
	return TrialCounts{Written: t.written.Load(), Dropped: t.dropped.Load(), Kept: t.kept.Load(), Bytes: t.bytes.Load()}
}

// Changed gives a channel that is closed when trials or verdicts have come.
func (t *Trials) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

func (t *Trials) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.changed)
	t.changed = make(chan struct{})
}

// writer makes trials as they come, since what they are made of is much larger than
// they are, and commits those of a while together.
func (t *Trials) writer() {
	defer close(t.ended)
	var trials []Trial
	var size int64 // of what they were made of
	take := func(p pending) {
		x := p.make()
		x.Seq = t.next + int64(len(trials))
		trials, size = append(trials, x), size+p.size
	}
	var due <-chan time.Time
	for {
		var waiting []chan struct{}
		last := false
		select {
		case p := <-t.queue:
			take(p)
			if len(trials) == 1 {
				due = time.After(trialsEvery)
			}
			if len(trials) < trialsQueued {
				continue
			}
		case <-due:
		case done := <-t.flushes:
			waiting = append(waiting, done)
		case <-t.closing:
			last = true
		}
		for more := last || waiting != nil; more; {
			select {
			case p := <-t.queue:
				take(p)
			default:
				more = false
			}
		}
		if len(trials) > 0 {
			t.write(trials)
			t.held.Add(-size)
			clear(trials)
			trials, size, due = trials[:0], 0, nil
		} else if last {
			return
		}
		for _, done := range waiting {
			close(done)
		}
	}
}

// write commits a group; what cannot be written is dropped, and told.
func (t *Trials) write(trials []Trial) {
	if err := t.commit(trials); err != nil {
		t.dropped.Add(int64(len(trials)))
		t.o.Report(t.fail(err))
		return
	}
	t.next += int64(len(trials))
	t.written.Add(int64(len(trials)))
	t.tell()
}

// rests lets whoever answers have the processor between a few trials and the next:
// a large group in one go would hold answers up for many milliseconds.
func rests(n int) func(i int) {
	step := max(4, n/30) // so that a group takes about as long as it waited, not longer
	return func(i int) {
		if i%step == step-1 {
			time.Sleep(time.Millisecond)
		}
	}
}

const trialColumns = "seq, id, at, key, model, name, policy, form, decision, outcome, status, calibrator, probability, low, high, calls, tokens, nanousd, wall_ms, audit, marked, question, answer"

func (t *Trials) commit(trials []Trial) error {
	ctx := context.Background()
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	head, body := tx.StmtContext(ctx, t.addHead), tx.StmtContext(ctx, t.addBody)
	defer head.Close()
	defer body.Close()
	var size int64
	days := map[[4]string]Day{}
	rest := rests(len(trials))
	for i, x := range trials {
		rest(i)
		bytes := int64(len(x.Question) + len(x.Answer) + len(x.Texts) + len(x.Body))
		size += bytes
		if _, err := head.ExecContext(ctx, x.Seq, x.ID, x.At.UnixMilli(), x.Key, x.Model, x.Name, x.Policy, x.Form, x.Decision, x.Outcome, x.Status, x.Calibrator,
			x.Probability, x.Low, x.High, x.Calls, x.Tokens, x.NanoUSD, x.WallMS, x.Audit, x.Marked, x.Question, x.Answer, bytes); err != nil {
			return err
		}
		if _, err := body.ExecContext(ctx, x.Seq, x.Texts, x.Body); err != nil {
			return err
		}
		policy, _, _ := strings.Cut(x.Policy, "?") // clients choose its parameters
		k := [4]string{x.At.UTC().Format(time.DateOnly), x.Key, x.Name, policy}
		d := days[k]
		d.Trials++
		d.Calls += x.Calls
		d.Tokens += x.Tokens
		if x.NanoUSD != nil {
			d.NanoUSD += *x.NanoUSD
		} else {
			d.Unpriced++
		}
		if x.Outcome == "failed" {
			d.Failed++
		}
		days[k] = d
	}
	for k, d := range days {
		if _, err := tx.ExecContext(ctx, `INSERT INTO days VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET
			trials = trials + excluded.trials, failed = failed + excluded.failed, calls = calls + excluded.calls, tokens = tokens + excluded.tokens,
			nanousd = nanousd + excluded.nanousd, unpriced = unpriced + excluded.unpriced`,
			k[0], k[1], k[2], k[3], d.Trials, d.Failed, d.Calls, d.Tokens, d.NanoUSD, d.Unpriced); err != nil {
			return err
		}
	}
	n := int64(len(trials))
	if t.bytes.Load()+size > t.o.MaxBytes || t.o.Now().Sub(t.trimmed) > trimEvery {
		gone, freed, err := t.trim(ctx, tx, t.bytes.Load()+size)
		if err != nil {
			return err
		}
		n, size = n-gone, size-freed
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	t.kept.Add(n)
	t.bytes.Add(size)
	return nil
}

// trim keeps the limits: the oldest go, while they are too old or all are too
// large. It says how many went, of how many bytes.
func (t *Trials) trim(ctx context.Context, tx *sql.Tx, bytes int64) (gone, freed int64, err error) {
	t.trimmed = t.o.Now()
	over := bytes - t.o.MaxBytes
	if over > 0 {
		over += t.o.MaxBytes / 10 // so that this is not done for each trial
	}
	var upTo int64
	oldest, err := tx.QueryContext(ctx, `SELECT seq, at, size FROM trials ORDER BY seq`)
	if err != nil {
		return 0, 0, err
	}
	defer oldest.Close()
	for oldest.Next() {
		var seq, at, size int64
		if err := oldest.Scan(&seq, &at, &size); err != nil {
			return 0, 0, err
		}
		if freed >= over && at >= t.trimmed.Add(-t.o.Keep).UnixMilli() {
			break
		}
		upTo, gone, freed = seq, gone+1, freed+size
	}
	if err := errors.Join(oldest.Err(), oldest.Close()); err != nil {
		return 0, 0, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM days WHERE day < ?`, t.trimmed.Add(-daysKept).UTC().Format(time.DateOnly)); err != nil || gone == 0 {
		return 0, 0, err
	}
	for _, table := range []string{"trials", "bodies", "verdicts"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE seq <= ?`, upTo); err != nil {
			return 0, 0, err
		}
	}
	return gone, freed, nil
}

// TrialQuery says which trials are wanted. Zero fields want all.
type TrialQuery struct {
	ID         string
	Words      []string // that stand in question, answer, samples or ID
	Key, Name  string
	Policy     string // with any parameters
	Decision   string
	Outcome    string
	Status     string
	Calibrator string
	Correct    *bool // the latest verdict
	Judged     bool  // there is a verdict
	Unjudged   bool
	Marked     bool // for labelling
	Audited    bool // they might have been marked
	Believed   bool // they have a probability
	After      int64
	Before     int64 // of Seq, both excluded
	Since      time.Time
	ByVerdict  bool // in the order of the first verdicts, instead of that of the trials
	Oldest     bool // the oldest come first
	Limit      int  // 0: no limit
	Bodies     bool
}

func (q TrialQuery) where() (string, []any) {
	var and []string
	var args []any
	add := func(condition string, values ...any) {
		and = append(and, condition)
		args = append(args, values...)
	}
	for _, f := range [][2]string{{"id", q.ID}, {"key", q.Key}, {"name", q.Name}, {"decision", q.Decision}, {"outcome", q.Outcome}, {"status", q.Status}, {"calibrator", q.Calibrator}} {
		if f[1] != "" {
			add("t."+f[0]+" = ?", f[1])
		}
	}
	if q.Policy != "" {
		add(`(t.policy = ? OR t.policy LIKE ? ESCAPE '\')`, q.Policy, escapeLike(q.Policy)+"?%")
	}
	if q.Correct != nil {
		add("t.correct = ?", *q.Correct)
	}
	for _, c := range []struct {
		wanted    bool
		condition string
	}{{q.Judged, "t.judged > 0"}, {q.Unjudged, "t.judged = 0"}, {q.Marked, "t.marked"}, {q.Audited, "t.audit > 0"}, {q.Believed, "t.probability IS NOT NULL"}} {
		if c.wanted {
			add(c.condition)
		}
	}
	if !q.Since.IsZero() {
		add("t.at >= ?", q.Since.UnixMilli())
	}
	for _, w := range q.Words {
		like := "%" + escapeLike(w) + "%"
		add(`(t.question LIKE ? ESCAPE '\' OR t.answer LIKE ? ESCAPE '\' OR t.id = ? OR b.texts LIKE ? ESCAPE '\')`, like, like, w, like)
	}
	if len(and) == 0 {
		return "1", nil
	}
	return strings.Join(and, " AND "), args
}

func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// List gives trials, the latest first. A search that takes long stops: next is
// then where to go on (as Before, or as After with Oldest), else 0.
func (t *Trials) List(ctx context.Context, q TrialQuery) (found []Trial, next int64, err error) {
	if q.ByVerdict || q.ID != "" || q.Marked { // an index leads there
		found, err = t.query(ctx, q, q.After, q.Before)
		return found, 0, err
	}
	low, high, err := t.ends(ctx)
	if err != nil {
		return nil, 0, err
	}
	low, high = max(low, q.After+1), high+1
	if q.Before > 0 {
		high = min(high, q.Before)
	}
	start := time.Now()
	for low < high {
		from, to := max(low, high-scanned), high
		if q.Oldest {
			from, to = low, min(high, low+scanned)
		}
		part := q
		if q.Limit > 0 {
			part.Limit = q.Limit - len(found)
		}
		some, err := t.query(ctx, part, from-1, to)
		if err != nil {
			return nil, 0, err
		}
		found = append(found, some...)
		if q.Limit > 0 && len(found) >= q.Limit {
			return found, 0, nil
		}
		if q.Oldest {
			low = to
		} else {
			high = from
		}
		if time.Since(start) > searchTime && low < high {
			if q.Oldest {
				return found, low - 1, nil
			}
			return found, high, nil
		}
	}
	return found, 0, nil
}

func (t *Trials) ends(ctx context.Context) (first, last int64, err error) {
	var a, b sql.NullInt64
	if err := t.db.QueryRowContext(ctx, `SELECT (SELECT MIN(seq) FROM trials), (SELECT MAX(seq) FROM trials)`).Scan(&a, &b); err != nil {
		return 0, 0, t.fail(err)
	}
	return a.Int64, b.Int64, nil
}

func (t *Trials) query(ctx context.Context, q TrialQuery, after, before int64) ([]Trial, error) {
	where, args := q.where()
	if after > 0 {
		where, args = where+" AND t.seq > ?", append(args, after)
	}
	if before > 0 {
		where, args = where+" AND t.seq < ?", append(args, before)
	}
	body, join := "NULL", ""
	if q.Bodies {
		body = "b.body"
	}
	if q.Bodies || len(q.Words) > 0 {
		join = " LEFT JOIN bodies b ON b.seq = t.seq"
	}
	order := "t.seq DESC"
	switch {
	case q.ByVerdict && q.Oldest:
		order = "t.judged, t.seq"
	case q.ByVerdict:
		order = "t.judged DESC, t.seq DESC"
	case q.Oldest:
		order = "t.seq"
	}
	limit := -1
	if q.Limit > 0 {
		limit = q.Limit
	}
	statement := "SELECT t." + strings.ReplaceAll(trialColumns, ", ", ", t.") + ", t.correct, t.own, t.judged, " + body + " FROM trials t" + join + " WHERE " + where + " ORDER BY " + order + " LIMIT ?"
	found, err := t.db.QueryContext(ctx, statement, append(args, limit)...)
	if err != nil {
		return nil, t.fail(err)
	}
	defer found.Close()
	var out []Trial
	for found.Next() {
		var x Trial
		var at, judged int64
		if err := found.Scan(&x.Seq, &x.ID, &at, &x.Key, &x.Model, &x.Name, &x.Policy, &x.Form, &x.Decision, &x.Outcome, &x.Status, &x.Calibrator, &x.Probability, &x.Low, &x.High,
			&x.Calls, &x.Tokens, &x.NanoUSD, &x.WallMS, &x.Audit, &x.Marked, &x.Question, &x.Answer, &x.Correct, &x.Own, &judged, &x.Body); err != nil {
			return nil, t.fail(err)
		}
		x.At = time.UnixMilli(at)
		if judged > 0 {
			x.Judged = time.UnixMilli(judged)
		}
		out = append(out, x)
	}
	if err := found.Err(); err != nil {
		return nil, t.fail(err)
	}
	return out, nil
}

// Get gives the latest trial with an ID, with its body.
func (t *Trials) Get(ctx context.Context, id string) (Trial, error) {
	q := TrialQuery{ID: id, Limit: 1, Bodies: true}
	found, _, err := t.List(ctx, q)
	if err == nil && len(found) == 0 && t.held.Load() > 0 { // it may be about to be written
		if err := t.Flush(ctx); err != nil {
			return Trial{}, err
		}
		found, _, err = t.List(ctx, q)
	}
	switch {
	case err != nil:
		return Trial{}, err
	case len(found) == 0:
		return Trial{}, fmt.Errorf("%q: %w", id, ErrNoTrial)
	}
	return found[0], nil
}

// Judge keeps a verdict on the latest trial with an ID, and gives the trial with
// it.
func (t *Trials) Judge(ctx context.Context, id string, v Verdict) (Trial, error) {
	x, err := t.Get(ctx, id)
	if err != nil {
		return x, err
	}
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return x, t.fail(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	at := v.At.UnixMilli()
	if _, err = tx.ExecContext(ctx, `INSERT INTO verdicts (seq, at, correct, by, key) VALUES (?,?,?,?,?)`, x.Seq, at, v.Correct, v.By, v.Key); err == nil {
		_, err = tx.ExecContext(ctx, `UPDATE trials SET correct = ?, own = own OR ?, judged = CASE judged WHEN 0 THEN ? ELSE judged END WHERE seq = ?`, v.Correct, v.By != ByAudit, at, x.Seq)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return x, t.fail(err)
	}
	x.Correct, x.Own = &v.Correct, x.Own || v.By != ByAudit
	if x.Judged.IsZero() {
		x.Judged = v.At
	}
	t.tell()
	return x, nil
}

// Verdicts gives all that was said of a trial, in order.
func (t *Trials) Verdicts(ctx context.Context, seq int64) ([]Verdict, error) {
	found, err := t.db.QueryContext(ctx, `SELECT at, correct, by, key FROM verdicts WHERE seq = ? ORDER BY at, rowid`, seq)
	if err != nil {
		return nil, t.fail(err)
	}
	defer found.Close()
	var out []Verdict
	for found.Next() {
		var v Verdict
		var at int64
		if err := found.Scan(&at, &v.Correct, &v.By, &v.Key); err != nil {
			return nil, t.fail(err)
		}
		v.At = time.UnixMilli(at)
		out = append(out, v)
	}
	if err := found.Err(); err != nil {
		return nil, t.fail(err)
	}
	return out, nil
}

// Silent counts the wanted trials for which no verdict came of its own accord, how
// many of them are marked for labelling, and how many of those have no verdict.
func (t *Trials) Silent(ctx context.Context, q TrialQuery) (all, marked, waiting int64, err error) {
	where, args := q.where()
	err = t.db.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(t.marked), 0), COALESCE(SUM(t.marked AND t.judged = 0), 0) FROM trials t WHERE t.own = 0 AND `+where, args...).Scan(&all, &marked, &waiting)
	if err != nil {
		return 0, 0, 0, t.fail(err)
	}
	return all, marked, waiting, nil
}

// Day is what one day came to, of a key, model and policy.
type Day struct {
	Day, Key, Name, Policy        string
	Trials, Failed, Calls, Tokens int64
	NanoUSD                       int64
	Unpriced                      int64 // trials without a known price
}

// Days gives the sums of days, the latest first.
func (t *Trials) Days(ctx context.Context, since time.Time) ([]Day, error) {
	found, err := t.db.QueryContext(ctx, `SELECT day, key, model, policy, trials, failed, calls, tokens, nanousd, unpriced FROM days WHERE day >= ? ORDER BY day DESC, nanousd DESC, tokens DESC`, since.UTC().Format(time.DateOnly))
	if err != nil {
		return nil, t.fail(err)
	}
	defer found.Close()
	var out []Day
	for found.Next() {
		var d Day
		if err := found.Scan(&d.Day, &d.Key, &d.Name, &d.Policy, &d.Trials, &d.Failed, &d.Calls, &d.Tokens, &d.NanoUSD, &d.Unpriced); err != nil {
			return nil, t.fail(err)
		}
		out = append(out, d)
	}
	if err := found.Err(); err != nil {
		return nil, t.fail(err)
	}
	return out, nil
}

// Note gives what was noted under a name, nil if nothing was.
func (t *Trials) Note(ctx context.Context, name string) ([]byte, error) {
	var value []byte
	err := t.db.QueryRowContext(ctx, `SELECT value FROM notes WHERE name = ?`, name).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, t.fail(err)
	}
	return value, nil
}

// SetNote notes something under a name.
func (t *Trials) SetNote(ctx context.Context, name string, value []byte) error {
	if _, err := t.db.ExecContext(ctx, `INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)`, name, value); err != nil {
		return t.fail(err)
	}
	return nil
}
