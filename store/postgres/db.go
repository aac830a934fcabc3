package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"gnothi/store"
)

// schema is where all tables are.
const schema = "gnothi"

// version is that of the tables.
const version = 1

// tables makes them.
const tables = `
CREATE TABLE gnothi.run (
	run      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name     text NOT NULL UNIQUE,
	header   bytea NOT NULL,
	created  timestamptz NOT NULL DEFAULT clock_timestamp(),
	-- ceilings; 0: none
	calls    bigint NOT NULL,
	tokens   bigint NOT NULL,
	nano_usd bigint NOT NULL,
	rpm      bigint NOT NULL,
	tpm      bigint NOT NULL
);
CREATE TABLE gnothi.task (run bigint, item int, key text NOT NULL, body bytea NOT NULL, PRIMARY KEY (run, item));
CREATE TABLE gnothi.call (run bigint, item int, key text, value bytea NOT NULL, PRIMARY KEY (run, item, key));
CREATE TABLE gnothi.item (
	run bigint, item int, key text NOT NULL, outcome text NOT NULL, summary bytea, body bytea NOT NULL,
	PRIMARY KEY (run, item)
);
CREATE TABLE gnothi.worker (
	worker   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	run      bigint NOT NULL,
	name     text NOT NULL UNIQUE,     -- as River's jobs have it
	lease    interval NOT NULL,
	beat     timestamptz NOT NULL DEFAULT clock_timestamp(),
	ended    timestamptz,
	spent    bigint[] NOT NULL DEFAULT '{0,0,0}', -- calls, tokens, nano-dollars
	reserved bigint[] NOT NULL DEFAULT '{0,0,0}'
);
CREATE INDEX worker_run ON gnothi.worker (run);
-- What it holds is worth seconds: it need not survive a crash.
CREATE UNLOGGED TABLE gnothi.rate (
	run bigint, name text, requests float8 NOT NULL, tokens float8 NOT NULL, at timestamptz NOT NULL,
	PRIMARY KEY (run, name)
);`

// DB is a database that runs are kept in.
type DB struct {
	pool  *pgxpool.Pool
	where string
}

// ErrExists says that there is a run of the name.
var ErrExists = errors.New("there is one already")

// Open connects to a database: postgres://user@host/database, as
// https://www.postgresql.org/docs/current/libpq-connect.html has it. The
// password may be in the environment (PGPASSWORD) or in ~/.pgpass; no message
// of this package shows it.
func Open(ctx context.Context, address string) (*DB, error) {
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return nil, errors.New("not the address of a PostgreSQL database: want postgres://user@host/database")
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil { // its words quote the address
		return nil, errors.New("the address of the PostgreSQL database cannot be read: want postgres://user@host/database, with characters like / @ : # % ? in a user or password written as %2F and so on")
	}
	db := &DB{where: where(config.ConnConfig.Config)}
	config.MaxConns = max(config.MaxConns, 6)
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "gnothi"
	}
	if db.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, db.fail(err)
	}
	if err := db.pool.Ping(ctx); err != nil {
		db.pool.Close()
		return nil, db.fail(err)
	}
	return db, nil
}

// where is what messages call a database: its address without the user's part.
func where(c pgconn.Config) string {
	host := c.Host
	if strings.HasPrefix(host, "/") {
		return "postgres:///" + c.Database + "?host=" + host
	}
	if c.Port != 0 && c.Port != 5432 {
		host = net.JoinHostPort(host, strconv.Itoa(int(c.Port)))
	}
	return "postgres://" + host + "/" + c.Database
}

// Where is what messages call the database: its address without user and
// password.
func (db *DB) Where() string { return db.where }

// Close closes the connections.
func (db *DB) Close() { db.pool.Close() }

func (db *DB) fail(err error) error { return fmt.Errorf("%s: %w", db.where, hinted(err)) }

// hinted says what may be done about an error.
func hinted(err error) error {
	hint := ""
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "3F000"):
		hint = ": no run was ever made there"
	case errors.As(err, &pg) && pg.Code == "42501":
		hint = ": the user may not do that; a run is made by one who may create the schema " + schema
	case errors.As(err, &pg) && pg.Code == "53100":
		hint = ": make room on the database's disk and resume; what was finished before is kept"
	case errors.As(err, &pg) && pg.Code[:2] == "28":
		hint = ": is that the user, and its password (PGPASSWORD, ~/.pgpass)?"
	case errors.As(err, &connect), errors.As(err, &pg) && pg.Code[:2] == "57":
		hint = ": is the database up, and may it be reached from here?"
	}
	return fmt.Errorf("%w%s", err, hint)
}

// prepare makes the tables where they are not there.
func (db *DB) prepare(ctx context.Context) error {
	if found, err := db.version(ctx); err != nil || found == version {
		return err
	}
	tx, err := db.pool.Begin(ctx)
	if err != nil {
		return db.fail(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after a commit it does nothing
	// One at a time: two machines may begin at the same moment. River migrates on
	// a connection of its own, as it has steps that cannot share a transaction.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('gnothi'))`); err != nil {
		return db.fail(err)
	}
	if found, err := db.version(ctx); err != nil || found == version {
		return err
	}
	if _, err := db.pool.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+schema); err != nil {
		return db.fail(err)
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(db.pool), &rivermigrate.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return db.fail(err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return db.fail(err)
	}
	if _, err := tx.Exec(ctx, tables+fmt.Sprintf("CREATE TABLE gnothi.version AS SELECT %d AS version", version)); err != nil {
		return db.fail(err)
	}
	if err := tx.Commit(ctx); err != nil {
		return db.fail(err)
	}
	return nil
}

// version is that of the tables that are there; 0: none are.
func (db *DB) version(ctx context.Context) (found int, err error) {
	var there bool
	if err = db.pool.QueryRow(ctx, `SELECT to_regclass('gnothi.version') IS NOT NULL`).Scan(&there); err == nil && there {
		err = db.pool.QueryRow(ctx, `SELECT version FROM gnothi.version`).Scan(&found)
	}
	if err != nil {
		return 0, db.fail(err)
	}
	if found > version {
		return 0, fmt.Errorf("%s: the version of its tables is %d, this gnothi knows %d: use the newer gnothi", db.where, found, version)
	}
	return found, nil
}

// Task is one item to do.
type Task struct {
	Item int // its place, from 0
	Key  string
	Body []byte
}

// Pace is what all workers on a run may do together. A zero field sets no limit.
type Pace struct {
	Ceiling  Cost
	RPM, TPM int64 // requests and tokens a minute to each model
}

// Cost is what calls cost, or may.
type Cost struct{ Calls, Tokens, NanoUSD int64 }

func (c Cost) plus(o Cost) Cost {
	return Cost{c.Calls + o.Calls, c.Tokens + o.Tokens, c.NanoUSD + o.NanoUSD}
}

func (c Cost) minus(o Cost) Cost {
	return Cost{c.Calls - o.Calls, c.Tokens - o.Tokens, c.NanoUSD - o.NanoUSD}
}

// batch is how many tasks are written at a time.
const batch = 5000

// Create makes a run with all its tasks, whole or not at all. One of the same
// name is an error that wraps [ErrExists].
func (db *DB) Create(ctx context.Context, name string, header []byte, pace Pace, tasks iter.Seq2[Task, error]) error {
	if err := db.prepare(ctx); err != nil {
		return err
	}
	tx, err := db.pool.Begin(ctx)
	if err != nil {
		return db.fail(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after a commit it does nothing
	var run int64
	err = tx.QueryRow(ctx, `INSERT INTO gnothi.run (name, header, calls, tokens, nano_usd, rpm, tpm) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (name) DO NOTHING RETURNING run`,
		name, header, pace.Ceiling.Calls, pace.Ceiling.Tokens, pace.Ceiling.NanoUSD, pace.RPM, pace.TPM).Scan(&run)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("run %s#%s: %w: resume it, or choose another name", db.where, name, ErrExists)
	}
	if err != nil {
		return db.fail(err)
	}
	client, err := river.NewClient(riverpgxv5.New(db.pool), &river.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return db.fail(err)
	}
	var rows [][]any
	var jobs []river.InsertManyParams
	write := func() error {
		if len(rows) == 0 {
			return nil
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{schema, "task"}, []string{"run", "item", "key", "body"}, pgx.CopyFromRows(rows)); err != nil {
			return db.fail(err)
		}
		if _, err := client.InsertManyFastTx(ctx, tx, jobs); err != nil {
			return db.fail(err)
		}
		rows, jobs = rows[:0], jobs[:0]
		return nil
	}
	options := &river.InsertOpts{Queue: queue(run), MaxAttempts: 1 << 14}
	for task, err := range tasks {
		if err != nil {
			return err
		}
		rows = append(rows, []any{run, task.Item, task.Key, task.Body})
		jobs = append(jobs, river.InsertManyParams{Args: jobArgs{task.Item}, InsertOpts: options})
		if len(rows) == batch {
			if err := write(); err != nil {
				return err
			}
		}
	}
	if err := write(); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return db.fail(err)
	}
	return nil
}

// queue is the name of a run's queue.
func queue(run int64) string { return "run_" + strconv.FormatInt(run, 10) }

// jobArgs is what a job says: which task it is.
type jobArgs struct {
	Item int `json:"item"`
}

// Kind implements river.JobArgs.
func (jobArgs) Kind() string { return "gnothi_item" }

var _ rivertype.JobArgs = jobArgs{}

// Runs lists the names of the runs, the oldest first.
func (db *DB) Runs(ctx context.Context) ([]string, error) {
	if found, err := db.version(ctx); err != nil || found == 0 {
		return nil, err
	}
	found, err := db.pool.Query(ctx, `SELECT name FROM gnothi.run ORDER BY run`)
	if err != nil {
		return nil, db.fail(err)
	}
	names, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return nil, db.fail(err)
	}
	return names, nil
}

// Open finds a run. To look at it is all that can be done before [Run.Join].
// There being none is an error that wraps [store.ErrNoRun].
func (db *DB) Open(ctx context.Context, name string) (*Run, error) {
	r := &Run{db: db, name: name}
	found, err := db.version(ctx)
	if err == nil && found == 0 {
		err = pgx.ErrNoRows
	}
	if err == nil {
		err = db.pool.QueryRow(ctx, `SELECT run FROM gnothi.run WHERE name = $1`, name).Scan(&r.run)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("run %s: %w", r.Where(), store.ErrNoRun)
	}
	if err != nil {
		return nil, r.fail(err)
	}
	return r, nil
}
