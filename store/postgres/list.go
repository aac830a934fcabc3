package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"gnothi/store"
)

// ErrWorkers says that somebody works on a run.
var ErrWorkers = errors.New("workers are at it: end them first (one that died counts as alive until its lease is over)")

// Entry is a run of the database, as a list shows it.
type Entry struct {
	Name        string
	Header      []byte
	Created     time.Time
	Items, Done int
	Workers     int     // that give a sign of life
	Spent       []int64 // calls, tokens, nano-dollars
}

// alive are the workers of a run whose lease holds.
const alive = `SELECT COUNT(*) FROM gnothi.worker w WHERE w.run = r.run AND w.ended IS NULL AND w.beat + w.lease > clock_timestamp()`

// List lists the runs, the oldest first.
func (db *DB) List(ctx context.Context) ([]Entry, error) {
	if found, err := db.version(ctx); err != nil || found == 0 {
		return nil, err
	}
	found, err := db.pool.Query(ctx, `SELECT name, header, created,
		(SELECT COUNT(*) FROM gnothi.task t WHERE t.run = r.run), (SELECT COUNT(*) FROM gnothi.item i WHERE i.run = r.run), (`+alive+`),
		(SELECT ARRAY[COALESCE(SUM(spent[1]), 0), COALESCE(SUM(spent[2]), 0), COALESCE(SUM(spent[3]), 0)]::bigint[] FROM gnothi.worker w WHERE w.run = r.run)
		FROM gnothi.run r ORDER BY run`)
	if err != nil {
		return nil, db.fail(err)
	}
	list, err := pgx.CollectRows(found, pgx.RowToStructByPos[Entry])
	if err != nil {
		return nil, db.fail(err)
	}
	return list, nil
}

// Remove takes a run out of the database, with all that it holds. One that
// workers are at is an error that wraps [ErrWorkers], none [store.ErrNoRun].
func (db *DB) Remove(ctx context.Context, name string) error {
	r, err := db.Open(ctx, name)
	if err != nil {
		return err
	}
	return r.fail(pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		// Who joins waits for this lock, and then finds no run.
		workers := 0
		err := tx.QueryRow(ctx, `SELECT (`+alive+`) FROM gnothi.run r WHERE r.run = $1 FOR UPDATE`, r.run).Scan(&workers)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return store.ErrNoRun
		case err != nil:
			return err
		case workers > 0:
			return fmt.Errorf("%d %w", workers, ErrWorkers)
		}
		for _, table := range []string{"rate", "worker", "item", "call", "task"} {
			if _, err := tx.Exec(ctx, `DELETE FROM gnothi.`+table+` WHERE run = $1`, r.run); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM gnothi.river_job WHERE queue = $1`, queue(r.run)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM gnothi.run WHERE run = $1`, r.run)
		return err
	}))
}

// CallsFrom gives the calls of all items in the order of the items, from one on.
// They are fetched in pages that grow: who has found what was looked for does not
// have the rest sent.
func (r *Run) CallsFrom(ctx context.Context, from int) iter.Seq2[store.ItemCall, error] {
	type one struct {
		store.ItemCall
		key string
	}
	return func(yield func(store.ItemCall, error) bool) {
		item, key := from, ""
		for page := 16; ; page = min(4*page, 1000) {
			found, err := r.db.pool.Query(ctx, `SELECT item, value, key FROM gnothi.call WHERE run = $1 AND (item, key) > ($2, $3) ORDER BY item, key LIMIT $4`, r.run, item, key, page)
			if err != nil {
				yield(store.ItemCall{}, r.fail(err))
				return
			}
			calls, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (one, error) {
				var c one
				err := row.Scan(&c.Item, &c.Value, &c.key)
				return c, err
			})
			if err != nil {
				yield(store.ItemCall{}, r.fail(err))
				return
			}
			for _, c := range calls {
				if !yield(c.ItemCall, nil) {
					return
				}
				item, key = c.Item, c.key
			}
			if len(calls) < page {
				return
			}
		}
	}
}
