package eval

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gnothi/llm"
	"gnothi/store"
)

// Header says what a run was begun with: what it takes to go on with it.
type Header struct {
	Schema  int       `json:"schema"` // of the run's folder: 1
	Gnothi  string    `json:"gnothi"` // version
	Study   string    `json:"study"`
	Model   string    `json:"model"` // its identity
	Spec    string    `json:"spec"`  // what the user called it
	Peers   []string  `json:"peers,omitempty"`
	Judge   string    `json:"judge,omitempty"`
	Policy  string    `json:"policy,omitempty"`
	Data    string    `json:"data,omitempty"` // absolute path
	Limit   int       `json:"limit,omitempty"`
	Seed    uint64    `json:"seed"`
	Tokens  int       `json:"max_tokens,omitempty"`
	Pace    string    `json:"concurrency,omitempty"` // what the user asked for; a resumed run keeps it
	Timeout string    `json:"timeout,omitempty"`     // of a call; kept likewise
	Created time.Time `json:"created"`
	// Items and Digest are set when the run begins.
	Items  int    `json:"items"`
	Digest string `json:"digest"`
	// Ended is when the run was last worked on.
	Ended time.Time `json:"ended,omitzero"`
}

// runFile is the name of the file in the folder of a run.
const runFile = "run.sqlite"

// Folder is a run that is kept in a folder: a [Log] that outlives the process.
// One that is kept elsewhere ([NewFolder]) has its reports there.
type Folder struct {
	Header Header
	dir    string
	where  string // what messages call it
	run    Keeper
	begun  map[int]Spend // items with calls of an earlier life, and what those cost; only read
	shared bool          // others work on it too: any item may have such calls
}

// Keeper is what keeps the rows and calls of a run: [store.Run], and its like in
// a database that many machines share.
type Keeper interface {
	Header(ctx context.Context) ([]byte, error)
	SetHeader(ctx context.Context, header []byte) error
	AddCalls(item int, calls []store.Call) error
	AddRow(row store.Row, durable func()) error
	Flush() error
	Rows(ctx context.Context, from int, bodies bool) iter.Seq2[store.Row, error]
	Calls(ctx context.Context, item int) ([]store.Call, error)
	Begun(ctx context.Context) ([]int, error)
	Forget(ctx context.Context, outcome string) (int64, error)
	Close() error
}

// CreateRun begins a run in a folder, which is made; one that holds a run
// already is an error.
func CreateRun(ctx context.Context, dir string, h Header) (*Folder, error) {
	h.Schema = 1
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	run, err := store.CreateRun(ctx, filepath.Join(dir, runFile), raw)
	if err != nil {
		return nil, err
	}
	return &Folder{Header: h, dir: dir, where: dir, run: run}, nil
}

// OpenRun opens a run to go on with it. One that another process works on is an
// error that wraps [store.ErrLocked].
func OpenRun(ctx context.Context, dir string) (*Folder, error) {
	run, err := store.OpenRun(ctx, filepath.Join(dir, runFile))
	if err != nil {
		return nil, err
	}
	return readHeader(ctx, &Folder{dir: dir, where: dir, run: run})
}

// ReadRun opens a run to look at it, also while it goes on.
func ReadRun(ctx context.Context, dir string) (*Folder, error) {
	run, err := store.ReadRun(ctx, filepath.Join(dir, runFile))
	if err != nil {
		return nil, err
	}
	return readHeader(ctx, &Folder{dir: dir, where: dir, run: run})
}

// NewFolder gives a run that many machines share, and that is kept elsewhere:
// where is what messages call that, dir the folder of its reports.
func NewFolder(ctx context.Context, run Keeper, where, dir string) (*Folder, error) {
	return readHeader(ctx, &Folder{dir: dir, where: where, run: run, shared: true})
}

func readHeader(ctx context.Context, f *Folder) (*Folder, error) {
	raw, err := f.run.Header(ctx)
	if err == nil {
		if err = json.Unmarshal(raw, &f.Header); err == nil && (f.Header.Schema != 1 || f.Header.Study == "") {
			err = fmt.Errorf("its header has version %d of study %q: not one that this gnothi wrote", f.Header.Schema, f.Header.Study)
		}
		if err != nil {
			err = fmt.Errorf("run %s: %w", f.where, err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.run.Close())
	}
	return f, nil
}

// Dir is where the run's reports are, and the run itself unless it is shared.
func (f *Folder) Dir() string { return f.dir }

// Where is what messages call the run.
func (f *Folder) Where() string { return f.where }

// Close makes what was handed over durable and lets the run go.
func (f *Folder) Close() error { return f.run.Close() }

// End notes when the run was last worked on.
func (f *Folder) End(ctx context.Context, at time.Time) error {
	f.Header.Ended = at.UTC().Truncate(time.Second)
	raw, err := json.Marshal(f.Header)
	if err != nil {
		return err
	}
	return f.run.SetHeader(ctx, raw)
}

// Discard lets a run go that has not begun (its items cannot be read, say) and
// takes its file away, so that the same command may be given again. Of one that
// has begun it is Close.
func (f *Folder) Discard() error {
	begun := f.Header.Digest != "" || f.shared || f.holds()
	err := f.run.Close()
	if begun {
		return err
	}
	for _, end := range []string{"", "-wal", "-shm", ".lock"} {
		if gone := os.Remove(filepath.Join(f.dir, runFile+end)); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	_ = os.Remove(f.dir) // stays if there is something else in it
	return err
}

// holds tells that there are calls or records, or that nobody can tell.
func (f *Folder) holds() bool {
	ctx := context.Background()
	if f.run.Flush() != nil {
		return true
	}
	for row, err := range f.run.Rows(ctx, 0, false) {
		return err != nil || row.Key != ""
	}
	begun, err := f.run.Begun(ctx)
	return err != nil || len(begun) > 0
}

// Known implements [Log].
func (f *Folder) Known() (items int, digest string) { return f.Header.Items, f.Header.Digest }

// Begin implements [Log].
func (f *Folder) Begin(ctx context.Context, items int, digest string) error {
	if f.Header.Digest == "" {
		f.Header.Items, f.Header.Digest = items, digest
		raw, err := json.Marshal(f.Header)
		if err != nil {
			return err
		}
		return f.run.SetHeader(ctx, raw)
	}
	if f.Header.Digest != digest || f.Header.Items != items {
		return fmt.Errorf("run %s: %w: it had %d items, there are %d (digest %.8s, now %.8s): put the data back as they were, or begin a new run", f.where, ErrChanged, f.Header.Items, items, f.Header.Digest, digest)
	}
	return nil
}

// Unfinished implements [Log]. Of a run that others work on, too, it gives nothing.
func (f *Folder) Unfinished(ctx context.Context) (map[int]Spend, error) {
	if f.shared {
		return nil, nil
	}
	var err error
	f.begun, err = f.unfinished(ctx)
	return maps.Clone(f.begun), err
}

// unfinished gives what was paid for each item that has calls and no record.
func (f *Folder) unfinished(ctx context.Context) (map[int]Spend, error) {
	begun, err := f.run.Begun(ctx)
	out := make(map[int]Spend, len(begun))
	for _, i := range begun {
		calls, err := f.Calls(ctx, i)
		if err != nil {
			return nil, err
		}
		var sum llm.Spend
		for _, c := range calls {
			if c.Spend != nil {
				sum = sum.Plus(llm.Spend(*c.Spend))
			}
		}
		out[i] = spendOf(sum)
	}
	return out, err
}

// Done implements [Log], without reading the records.
func (f *Folder) Done(ctx context.Context) iter.Seq2[Done, error] {
	return func(yield func(Done, error) bool) {
		for row, err := range f.run.Rows(ctx, 0, false) {
			d := Done{Index: row.Item, Key: row.Key, Outcome: row.Outcome}
			if err == nil {
				var s summary
				if s, err = readSummary(row.Summary); err != nil {
					err = fmt.Errorf("run %s: item %d: %w: %w", f.where, row.Item, err, store.ErrForeign)
				}
				d.Spend, _ = s.spend()
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// summary is what counting needs of a record: calls, prompt tokens, completion
// tokens, nano-dollars, calls without a price, milliseconds.
type summary [6]int64

func (s summary) spend() (Spend, int64) { return Spend{s[0], s[1], s[2], s[3], s[4]}, s[5] }

// readSummary reads what [Folder.Add] writes, whole numbers in brackets: hundreds
// of thousands are read before a run goes on.
func readSummary(b []byte) (s summary, err error) {
	rest, ok := bytes.CutPrefix(b, []byte("["))
	rest, closed := bytes.CutSuffix(rest, []byte("]"))
	for i := range s {
		n, size := int64(0), 0
		for ; ok && size < len(rest) && size < 18 && rest[size] >= '0' && rest[size] <= '9'; size++ {
			n = 10*n + int64(rest[size]-'0')
		}
		s[i], rest = n, rest[size:]
		ok = ok && size > 0
		if i < len(s)-1 {
			var comma bool
			rest, comma = bytes.CutPrefix(rest, []byte(","))
			ok = ok && comma
		}
	}
	if !ok || !closed || len(rest) > 0 {
		return s, json.Unmarshal(b, &s) // says what is wrong, unless somebody wrote it otherwise
	}
	return s, nil
}

// body is the rest of it.
type body struct {
	Error  string          `json:"error,omitempty"`
	Item   json.RawMessage `json:"item"`
	Result json.RawMessage `json:"result,omitempty"`
	// Sum is of the whole record: what somebody changed by hand does not count as
	// what the model did. Empty in runs of before there was one.
	Sum string `json:"sum,omitempty"`
}

// sumOf is the sum of a row whose body is b.
func sumOf(row store.Row, b body) string {
	h := sha256.New()
	var length [8]byte
	for _, part := range [][]byte{strconv.AppendInt(nil, int64(row.Item), 10), []byte(row.Key), []byte(row.Outcome), row.Summary, []byte(b.Error), b.Item, b.Result} {
		binary.LittleEndian.PutUint64(length[:], uint64(len(part)))
		_, _ = h.Write(length[:]) // never fails
		_, _ = h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// Add implements [Log].
func (f *Folder) Add(rec Record, durable func()) error {
	s, err := json.Marshal(summary{rec.Spend.Calls, rec.Spend.PromptTokens, rec.Spend.CompletionTokens, rec.Spend.NanoUSD, rec.Spend.Unpriced, rec.WallMS})
	if err != nil {
		return err
	}
	// As they will be read: without blanks.
	item, err := json.Marshal(rec.Item)
	if err != nil {
		return err
	}
	rest, row := body{Error: strings.ToValidUTF8(rec.Error, "\ufffd"), Item: item}, store.Row{Item: rec.Index, Key: rec.Key, Outcome: rec.Outcome, Summary: s}
	if len(rec.Result) > 0 {
		if rest.Result, err = json.Marshal(rec.Result); err != nil {
			return err
		}
	}
	rest.Sum = sumOf(row, rest)
	if row.Body, err = json.Marshal(rest); err != nil {
		return err
	}
	return f.run.AddRow(row, durable)
}

// Flush implements [Log].
func (f *Folder) Flush() error { return f.run.Flush() }

// Records implements [Log].
func (f *Folder) Records(ctx context.Context, from int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for row, err := range f.run.Rows(ctx, from, true) {
			var rec Record
			if err == nil {
				rec, err = f.record(row)
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

func (f *Folder) record(row store.Row) (Record, error) {
	rec := Record{Study: f.Header.Study, Key: row.Key, Index: row.Item, Outcome: row.Outcome}
	var b body
	s, err := readSummary(row.Summary)
	if err := errors.Join(err, json.Unmarshal(row.Body, &b)); err != nil {
		return rec, fmt.Errorf("run %s: item %d: %w: %w", f.where, row.Item, err, store.ErrForeign)
	}
	if b.Sum != "" && b.Sum != sumOf(row, b) {
		return rec, fmt.Errorf("run %s: item %d: its record is not as it was written: %w", f.where, row.Item, store.ErrForeign)
	}
	rec.Spend, rec.WallMS = s.spend()
	rec.Error, rec.Item, rec.Result = b.Error, b.Item, b.Result
	return rec, nil
}

// Calls gives the calls of an item, in no order that means anything but always
// the same.
func (f *Folder) Calls(ctx context.Context, item int) ([]llm.Written, error) {
	calls, err := f.run.Calls(ctx, item)
	if err != nil {
		return nil, err
	}
	var out []llm.Written
	for _, c := range calls {
		var w llm.Written
		if err := json.Unmarshal(c.Value, &w); err != nil {
			return nil, fmt.Errorf("run %s: item %d: call %s: %w", f.where, item, c.Key, err)
		}
		out = append(out, w)
	}
	slices.SortStableFunc(out, func(a, b llm.Written) int {
		if c := strings.Compare(a.Role, b.Role); c != 0 {
			return c
		}
		return a.Index - b.Index
	})
	return out, nil
}

// Forget makes items of an outcome undone and says how many there were.
func (f *Folder) Forget(ctx context.Context, outcome string) (int64, error) {
	return f.run.Forget(ctx, outcome)
}

// Report measures what the run holds.
func (f *Folder) Report(ctx context.Context, suite Suite) (*Report, error) {
	if f.Header.Digest == "" {
		return nil, fmt.Errorf("run %s: it was cut off before all its items were counted; resume it", f.where)
	}
	report, err := NewReport(suite, f.Header.Model, f.Header.Items, f.Records(ctx, 0))
	if err != nil || report.Outcomes.Unasked == 0 {
		return report, err
	}
	unfinished, err := f.unfinished(ctx)
	report.Unfinished = sumSpend(unfinished)
	return report, err
}

// WriteFile writes a file of the run's folder, whole or not at all.
func (f *Folder) WriteFile(name string, write func(*os.File) error) error {
	if f.shared {
		if err := os.MkdirAll(f.dir, 0o755); err != nil {
			return err
		}
	}
	return WriteFile(f.dir, name, write)
}

// WriteFile writes a file of a folder, whole or not at all.
func WriteFile(dir, name string, write func(*os.File) error) error {
	tmp, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // after the renaming there is none
	err = errors.Join(write(tmp), tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(dir, name))
	}
	return err
}

// Journal implements [Log].
func (f *Folder) Journal(item int) llm.Journal {
	j := &journal{run: f.run, item: item}
	if _, begun := f.begun[item]; f.shared || begun {
		j.old, j.err = f.written(item)
	}
	return j
}

func (f *Folder) written(item int) (map[string][]byte, error) {
	calls, err := f.run.Calls(context.Background(), item)
	old := make(map[string][]byte, len(calls))
	for _, c := range calls {
		old[c.Key] = c.Value
	}
	return old, err
}

type journal struct {
	run  Keeper
	item int
	old  map[string][]byte // of an earlier life
	err  error
}

// Get implements [llm.Journal].
func (j *journal) Get(key string) ([]byte, bool) {
	b, ok := j.old[key]
	return b, ok
}

// Put implements [llm.Journal].
func (j *journal) Put(entries []llm.JournalEntry) error {
	if j.err != nil {
		return j.err
	}
	calls := make([]store.Call, len(entries))
	for i, e := range entries {
		calls[i] = store.Call(e)
	}
	return j.run.AddCalls(j.item, calls)
}
