package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gnothi/store"
)

func openBooks(t *testing.T, path string) *store.Books {
	t.Helper()
	b, err := store.OpenBooks(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBooks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "books.sqlite")
	b := openBooks(t, path)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	const day = "2026-11-25"
	spent := store.Tally{Calls: 3, Prompt: 100, Cached: 7, Completion: 20, NanoUSD: 500, Unpriced: 1, Served: 2}
	first := store.Entry{Day: day, Key: "alice", Spent: spent, Ahead: store.Bound{Calls: 5, Tokens: 150, NanoUSD: 500}}
	all := store.Entry{Day: day, Spent: spent, Ahead: store.Bound{Calls: 3, Tokens: 120, NanoUSD: 500}}
	if err := b.Put(t.Context(), store.Entry{Day: "2026-11-01"}, first, all); err != nil {
		t.Fatal(err)
	}
	got, err := b.Since(t.Context(), day)
	if d := cmp.Diff([]store.Entry{all, first}, got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	b.Close()

	// What was set aside is not lost with the server.
	b = openBooks(t, path)
	first.Lost = store.Bound{Calls: 2, Tokens: 30}
	got, err = b.Since(t.Context(), day)
	if d := cmp.Diff([]store.Entry{all, first}, got); d != "" || err != nil {
		t.Errorf("opened again: %v\n%s", err, d)
	}
}

func TestBooksOfANewerVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.sqlite")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `PRAGMA user_version = 99`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := store.OpenBooks(t.Context(), path); err == nil {
		t.Error("opened")
	}
}
