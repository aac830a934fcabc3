package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// cacheSchema is the version of the tables. An older file is emptied: what a
// cache held can be asked again.
const cacheSchema = 1

// Options limit a cache. Zero fields have the defaults given.
type Options struct {
	MaxBytes int64         // of keys and values; default 1 GiB
	MaxAge   time.Duration // default 90 days
	// Report, if set, is told what goes wrong once the cache is open: it then
	// answers as if it held nothing.
	Report func(error)
	// Now, if set, replaces the clock.
	Now func() time.Time
}

// Cache keeps bytes by key in a file that several processes may use at once.
// What was not used for longest goes first.
type Cache struct {
	db   *sql.DB
	path string
	o    Options

	mu      sync.Mutex
	written int64 // bytes since the limits were last seen to
}

// OpenCache opens the cache in a file, and makes the file and its folder if they
// are not there. A file of a newer gnothi is an error.
func OpenCache(ctx context.Context, path string, o Options) (*Cache, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 30
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 90 * 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	db, err := openPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("store: cache %s: %w", path, err)
	}
	c := &Cache{db: db, path: path, o: o}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("store: cache %s: %w", path, err), db.Close())
	}
	return c, nil
}

func (c *Cache) prepare(ctx context.Context) error {
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	was, err := version(ctx, tx, cacheSchema)
	if err != nil {
		return err
	}
	if was < cacheSchema {
		if _, err := tx.ExecContext(ctx, `DROP TABLE IF EXISTS cache`); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`
		CREATE TABLE IF NOT EXISTS cache (
			key     TEXT PRIMARY KEY,
			value   BLOB NOT NULL,
			size    INTEGER NOT NULL,
			created INTEGER NOT NULL, -- Unix seconds
			used    INTEGER NOT NULL  -- Unix nanoseconds
		) WITHOUT ROWID;
		CREATE INDEX IF NOT EXISTS cache_used ON cache (used);
		PRAGMA user_version = %d`, cacheSchema)); err != nil {
		return err
	}
	if err := c.trim(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Close closes the file.
func (c *Cache) Close() error { return c.db.Close() }

// Get implements llm.Store. What is older than the limit is not there.
func (c *Cache) Get(key string) ([]byte, bool) {
	now := c.o.Now()
	var value []byte
	var used int64
	err := c.db.QueryRowContext(context.Background(), `SELECT value, used FROM cache WHERE key = ? AND created >= ?`,
		key, now.Add(-c.o.MaxAge).Unix()).Scan(&value, &used)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, false
	case err != nil:
		c.report(err)
		return nil, false
	}
	// A write for each read would be dear; the order of use need not be exact.
	if now.UnixNano()-used > int64(time.Hour) {
		if _, err := c.db.ExecContext(context.Background(), `UPDATE cache SET used = ? WHERE key = ?`, now.UnixNano(), key); err != nil {
			c.report(err)
		}
	}
	return value, true
}

// Put implements llm.Store.
func (c *Cache) Put(key string, value []byte) {
	if err := c.put(context.Background(), key, value); err != nil {
		c.report(err)
	}
}

func (c *Cache) put(ctx context.Context, key string, value []byte) error {
	size := int64(len(key) + len(value))
	if size > c.o.MaxBytes {
		return nil
	}
	now := c.o.Now()
	if _, err := c.db.ExecContext(ctx, `INSERT OR REPLACE INTO cache (key, value, size, created, used) VALUES (?, ?, ?, ?, ?)`,
		key, value, size, now.Unix(), now.UnixNano()); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// The sum over the table is seen to when a hundredth of it may have changed.
	if c.written += size; c.written < c.o.MaxBytes/100 {
		return nil
	}
	c.written = 0
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := c.trim(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// trim keeps the limits: first what is too old goes, then what was not used for
// longest.
func (c *Cache) trim(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM cache WHERE created < ?`, c.o.Now().Add(-c.o.MaxAge).Unix()); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		DELETE FROM cache WHERE key IN (
			SELECT key FROM (SELECT key, SUM(size) OVER (ORDER BY used DESC, key) AS total FROM cache) WHERE total > ?)`, c.o.MaxBytes)
	return err
}

func (c *Cache) report(err error) { c.o.Report(fmt.Errorf("store: cache %s: %w", c.path, err)) }

// Stats is what a cache holds.
type Stats struct {
	Choices        int64     `json:"choices"`
	Bytes          int64     `json:"bytes"`
	Oldest, Newest time.Time `json:"-"` // zero if there is nothing
}

// Stats counts.
func (c *Cache) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	var oldest, newest sql.NullInt64
	err := c.db.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(size), 0), MIN(created), MAX(created) FROM cache`).Scan(&s.Choices, &s.Bytes, &oldest, &newest)
	if err != nil {
		return s, fmt.Errorf("store: cache %s: %w", c.path, err)
	}
	if oldest.Valid {
		s.Oldest, s.Newest = time.Unix(oldest.Int64, 0), time.Unix(newest.Int64, 0)
	}
	return s, nil
}

// Group is what a cache holds under keys that begin alike.
type Group struct {
	Name                   string // what stands before the first line break of the keys
	Choices, Bytes         int64
	Oldest, Newest, LastOf time.Time // LastOf is the last use, within an hour
}

// Groups counts by the first line of the keys, the largest group first.
func (c *Cache) Groups(ctx context.Context) ([]Group, error) {
	rows, err := c.db.QueryContext(ctx, `
		SELECT substr(key, 1, instr(key || char(10), char(10)) - 1) AS name, COUNT(*), SUM(size), MIN(created), MAX(created), MAX(used)
		FROM cache GROUP BY name ORDER BY SUM(size) DESC, name`)
	if err != nil {
		return nil, fmt.Errorf("store: cache %s: %w", c.path, err)
	}
	defer rows.Close()
	var groups []Group
	for rows.Next() {
		var g Group
		var oldest, newest, used int64
		if err := rows.Scan(&g.Name, &g.Choices, &g.Bytes, &oldest, &newest, &used); err != nil {
			return nil, fmt.Errorf("store: cache %s: %w", c.path, err)
		}
		g.Oldest, g.Newest, g.LastOf = time.Unix(oldest, 0), time.Unix(newest, 0), time.Unix(0, used)
		groups = append(groups, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: cache %s: %w", c.path, err)
	}
	return groups, nil
}

// Clear forgets what is under keys of a first line (empty: under all) and was kept
// before a time (zero: whenever), gives the space back and says how many choices
// that were.
func (c *Cache) Clear(ctx context.Context, group string, before time.Time) (gone int64, err error) {
	where, args := "1", []any{}
	if group != "" {
		where, args = where+" AND substr(key, 1, instr(key || char(10), char(10)) - 1) = ?", append(args, group)
	}
	if !before.IsZero() {
		where, args = where+" AND created < ?", append(args, before.Unix())
	}
	res, err := c.db.ExecContext(ctx, "DELETE FROM cache WHERE "+where, args...)
	if err == nil {
		gone, err = res.RowsAffected()
	}
	for _, statement := range []string{`VACUUM`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		if err == nil {
			_, err = c.db.ExecContext(ctx, statement)
		}
	}
	if err != nil {
		return gone, fmt.Errorf("store: cache %s: %w", c.path, err)
	}
	return gone, nil
}
