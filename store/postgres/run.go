package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"gnothi/store"
)

// Run is a run in a database. It is safe for concurrent use.
type Run struct {
	db   *DB
	run  int64
	name string

	*member // nil: only looked at
}

// Where is what messages call the run: its database's address without user and
// password, # and its name.
func (r *Run) Where() string { return r.db.where + "#" + r.name }

func (r *Run) fail(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("run %s: %w", r.Where(), hinted(err))
}

// Header gives what the run was begun with.
func (r *Run) Header(ctx context.Context) (header []byte, err error) {
	err = r.db.pool.QueryRow(ctx, `SELECT header FROM gnothi.run WHERE run = $1`, r.run).Scan(&header)
	return header, r.fail(err)
}

// SetHeader replaces what the run was begun with.
func (r *Run) SetHeader(ctx context.Context, header []byte) error {
	_, err := r.db.pool.Exec(ctx, `UPDATE gnothi.run SET header = $2 WHERE run = $1`, r.run, header)
	return r.fail(err)
}

// SetPace replaces the ceilings, of all workers.
func (r *Run) SetPace(ctx context.Context, p Pace) error {
	_, err := r.db.pool.Exec(ctx, `UPDATE gnothi.run SET calls = $2, tokens = $3, nano_usd = $4, rpm = $5, tpm = $6 WHERE run = $1`,
		r.run, p.Ceiling.Calls, p.Ceiling.Tokens, p.Ceiling.NanoUSD, p.RPM, p.TPM)
	return r.fail(err)
}

// Pace gives the ceilings, and what is spent and reserved of them by all workers
// together, in this life of the run and earlier ones.
func (r *Run) Pace(ctx context.Context) (p Pace, spent, reserved Cost, err error) {
	err = r.db.pool.QueryRow(ctx, `SELECT calls, tokens, nano_usd, rpm, tpm FROM gnothi.run WHERE run = $1`, r.run).
		Scan(&p.Ceiling.Calls, &p.Ceiling.Tokens, &p.Ceiling.NanoUSD, &p.RPM, &p.TPM)
	if err == nil {
		spent, reserved, err = used(ctx, r.db.pool, r.run)
	}
	return p, spent, reserved, r.fail(err)
}

// used sums what workers have spent and reserved.
func used(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, run int64) (spent, reserved Cost, err error) {
	err = q.QueryRow(ctx, `SELECT COALESCE(SUM(spent[1]), 0)::bigint, COALESCE(SUM(spent[2]), 0)::bigint, COALESCE(SUM(spent[3]), 0)::bigint,
			COALESCE(SUM(reserved[1]), 0)::bigint, COALESCE(SUM(reserved[2]), 0)::bigint, COALESCE(SUM(reserved[3]), 0)::bigint
			FROM gnothi.worker WHERE run = $1`, run).
		Scan(&spent.Calls, &spent.Tokens, &spent.NanoUSD, &reserved.Calls, &reserved.Tokens, &reserved.NanoUSD)
	return spent, reserved, err
}

// Task gives one of the tasks.
func (r *Run) Task(ctx context.Context, item int) (Task, error) {
	t := Task{Item: item}
	err := r.db.pool.QueryRow(ctx, `SELECT key, body FROM gnothi.task WHERE run = $1 AND item = $2`, r.run, item).Scan(&t.Key, &t.Body)
	return t, r.fail(err)
}

// Rows gives the items that are done, in their order, from an item on; their
// bodies only if wanted. They are fetched in pages that grow: who wants one row
// does not have the rest sent.
func (r *Run) Rows(ctx context.Context, from int, bodies bool) iter.Seq2[store.Row, error] {
	body := "NULL::bytea"
	if bodies {
		body = "body"
	}
	statement := `SELECT item, key, outcome, summary, ` + body + ` FROM gnothi.item WHERE run = $1 AND item >= $2 ORDER BY item LIMIT $3`
	return func(yield func(store.Row, error) bool) {
		for page := 1; ; page = min(4*page, 500) {
			found, err := r.db.pool.Query(ctx, statement, r.run, from, page)
			if err != nil {
				yield(store.Row{}, r.fail(err))
				return
			}
			rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[store.Row])
			if err != nil {
				yield(store.Row{}, r.fail(err))
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
				from = row.Item + 1
			}
			if len(rows) < page {
				return
			}
		}
	}
}

// Calls gives the calls of an item in the order of their keys.
func (r *Run) Calls(ctx context.Context, item int) ([]store.Call, error) {
	found, err := r.db.pool.Query(ctx, `SELECT key, value FROM gnothi.call WHERE run = $1 AND item = $2 ORDER BY key`, r.run, item)
	if err != nil {
		return nil, r.fail(err)
	}
	calls, err := pgx.CollectRows(found, pgx.RowToStructByPos[store.Call])
	return calls, r.fail(err)
}

// Begun lists the items that have calls and are not done.
func (r *Run) Begun(ctx context.Context) ([]int, error) {
	found, err := r.db.pool.Query(ctx, `SELECT DISTINCT item FROM gnothi.call WHERE run = $1 EXCEPT SELECT item FROM gnothi.item WHERE run = $1`, r.run)
	if err != nil {
		return nil, r.fail(err)
	}
	items, err := pgx.CollectRows(found, pgx.RowTo[int])
	return items, r.fail(err)
}

// Counts counts the items that are done by their outcome.
func (r *Run) Counts(ctx context.Context) (map[string]int, error) {
	found, err := r.db.pool.Query(ctx, `SELECT outcome, COUNT(*) FROM gnothi.item WHERE run = $1 GROUP BY outcome`, r.run)
	if err != nil {
		return nil, r.fail(err)
	}
	counts := map[string]int{}
	var outcome string
	var n int
	_, err = pgx.ForEachRow(found, []any{&outcome, &n}, func() error {
		counts[outcome] = n
		return nil
	})
	return counts, r.fail(err)
}

// Forget makes the items of an outcome undone, with their calls, and says how
// many there were. What they cost stays spent. [Run.Reopen] has them done again.
func (r *Run) Forget(ctx context.Context, outcome string) (n int64, err error) {
	err = pgx.BeginFunc(ctx, r.db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM gnothi.call WHERE run = $1 AND item IN (SELECT item FROM gnothi.item WHERE run = $1 AND outcome = $2)`, r.run, outcome); err != nil {
			return err
		}
		gone, err := tx.Exec(ctx, `DELETE FROM gnothi.item WHERE run = $1 AND outcome = $2`, r.run, outcome)
		n = gone.RowsAffected()
		return err
	})
	return n, r.fail(err)
}

// Reopen makes jobs available again whose items are not done though the jobs
// are over: those that were set aside ([Park]) and those of forgotten items.
func (r *Run) Reopen(ctx context.Context) (int64, error) {
	opened, err := r.db.pool.Exec(ctx, `UPDATE gnothi.river_job j SET state = 'available', finalized_at = NULL, scheduled_at = clock_timestamp()
		WHERE j.queue = $2 AND j.state IN ('completed', 'cancelled', 'discarded')
		AND NOT EXISTS (SELECT FROM gnothi.item i WHERE i.run = $1 AND i.item = (j.args->>'item')::int)`, r.run, queue(r.run))
	return opened.RowsAffected(), r.fail(err)
}
