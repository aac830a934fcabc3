package store

import (
	"context"
	"database/sql"
	"fmt"
)

// booksSchema is the version of the table.
const booksSchema = 1

// Tally is what was spent: choices that models generated or scored, tokens, and
// nano-dollars. Unpriced counts the calls whose price is not known, Served those
// that a cache answered.
type Tally struct {
	Calls, Prompt, Cached, Completion, NanoUSD, Unpriced, Served int64
}

// Bound is a number of calls, tokens and nano-dollars.
type Bound struct{ Calls, Tokens, NanoUSD int64 }

// Entry is a page of the books: what one key spent on one day. The key "" is all
// of them together.
type Entry struct {
	Day, Key string // the day of UTC, as 2026-11-24
	Spent    Tally
	// Ahead bounds what may have been spent: what was settled, what is set aside
	// for calls under way, and some more, so that not each of them has to wait for
	// the disk.
	Ahead Bound
	// Lost is what had been set aside when a server died: it may have been spent.
	Lost Bound
}

// Books keeps what keys spent, by day, in a file of one server.
type Books struct {
	db   *sql.DB
	path string
}

// OpenBooks opens the books in a file, and makes the file and its folder if they
// are not there. A file of a newer gnothi is an error. What was set aside when
// the last server died counts as lost from then on.
func OpenBooks(ctx context.Context, path string) (*Books, error) {
	db, err := openPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("store: books %s: %w", path, err)
	}
	b := &Books{db, path}
	if err := b.prepare(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("store: books %s: %w", path, err)
	}
	return b, nil
}

func (b *Books) prepare(ctx context.Context) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if _, err := version(ctx, tx, booksSchema); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`
		CREATE TABLE IF NOT EXISTS books (
			day TEXT NOT NULL, key TEXT NOT NULL,
			calls INTEGER NOT NULL, prompt INTEGER NOT NULL, cached INTEGER NOT NULL, completion INTEGER NOT NULL,
			nano_usd INTEGER NOT NULL, unpriced INTEGER NOT NULL, served INTEGER NOT NULL,
			ahead_calls INTEGER NOT NULL, ahead_tokens INTEGER NOT NULL, ahead_nano_usd INTEGER NOT NULL,
			lost_calls INTEGER NOT NULL, lost_tokens INTEGER NOT NULL, lost_nano_usd INTEGER NOT NULL,
			PRIMARY KEY (day, key)
		) WITHOUT ROWID;
		UPDATE books SET
			lost_calls = max(lost_calls, ahead_calls - calls),
			lost_tokens = max(lost_tokens, ahead_tokens - prompt - completion),
			lost_nano_usd = max(lost_nano_usd, ahead_nano_usd - nano_usd);
		PRAGMA user_version = %d`, booksSchema)); err != nil {
		return err
	}
	return tx.Commit()
}

// Close closes the file.
func (b *Books) Close() error { return b.db.Close() }

// Put writes entries in place of those that were there.
func (b *Books) Put(ctx context.Context, entries ...Entry) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: books %s: %w", b.path, err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	for _, e := range entries {
		if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO books VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			e.Day, e.Key, e.Spent.Calls, e.Spent.Prompt, e.Spent.Cached, e.Spent.Completion, e.Spent.NanoUSD, e.Spent.Unpriced, e.Spent.Served,
			e.Ahead.Calls, e.Ahead.Tokens, e.Ahead.NanoUSD, e.Lost.Calls, e.Lost.Tokens, e.Lost.NanoUSD); err != nil {
			return fmt.Errorf("store: books %s: %w", b.path, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: books %s: %w", b.path, err)
	}
	return nil
}

// Since gives the entries from a day on, by day and key.
func (b *Books) Since(ctx context.Context, day string) (entries []Entry, err error) {
	rows, err := b.db.QueryContext(ctx, `SELECT * FROM books WHERE day >= ? ORDER BY day, key`, day)
	if err != nil {
		return nil, fmt.Errorf("store: books %s: %w", b.path, err)
	}
	defer rows.Close()
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.Day, &e.Key, &e.Spent.Calls, &e.Spent.Prompt, &e.Spent.Cached, &e.Spent.Completion, &e.Spent.NanoUSD, &e.Spent.Unpriced, &e.Spent.Served,
			&e.Ahead.Calls, &e.Ahead.Tokens, &e.Ahead.NanoUSD, &e.Lost.Calls, &e.Lost.Tokens, &e.Lost.NanoUSD); err != nil {
			return nil, fmt.Errorf("store: books %s: %w", b.path, err)
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: books %s: %w", b.path, err)
	}
	return entries, nil
}
