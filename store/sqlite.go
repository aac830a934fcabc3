package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// openPrivate opens a SQLite file that only its owner can read, and makes it and
// its folder if they are not there. SQLite gives its other files the same mode.
func openPrivate(path string, pragmas ...string) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	return sql.Open("sqlite", source(path, url.Values{
		"_pragma": append([]string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)"}, pragmas...),
		"_txlock": {"immediate"},
	}))
}

// source is a file as the driver wants it named.
func source(path string, query url.Values) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: query.Encode()}
	return u.String()
}

// version reads a file's schema version. One of a newer gnothi is an error.
func version(ctx context.Context, tx *sql.Tx, known int) (int, error) {
	var v int
	if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&v); err != nil {
		return 0, err
	}
	if v > known {
		return v, fmt.Errorf("its schema version is %d, this version of gnothi knows %d: use the newer one or another file", v, known)
	}
	return v, nil
}
