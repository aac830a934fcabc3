package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"gnothi/store"
)

func newRun(t *testing.T) (*store.Run, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "deep", "run.sqlite")
	r, err := store.CreateRun(t.Context(), path, []byte("header"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, path
}

func row(i int, outcome string) store.Row {
	return store.Row{Item: i, Key: fmt.Sprintf("k%d", i), Outcome: outcome, Summary: []byte("s"), Body: []byte(fmt.Sprintf("body %d", i))}
}

func TestRunKeeps(t *testing.T) {
	r, path := newRun(t)
	var durable atomic.Int32
	for i := range 500 { // more than one statement holds
		if err := r.AddCalls(i, []store.Call{{Key: "b", Value: []byte("2")}, {Key: "a", Value: []byte("1")}}); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if err := r.AddRow(row(i, []string{"right", "failed"}[i/2%2]), func() { durable.Add(1) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Flush(); err != nil || durable.Load() != 250 {
		t.Fatalf("%d durable, %v", durable.Load(), err)
	}

	// Another process may look, and not write.
	if _, err := store.OpenRun(t.Context(), path); !errors.Is(err, store.ErrLocked) {
		t.Errorf("two writers: %v", err)
	}
	look, err := store.ReadRun(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	if err := look.AddRow(row(1, "right"), nil); err == nil {
		t.Error("a reader writes")
	}
	n := 0
	for got, err := range look.Rows(t.Context(), 100, true) {
		if err != nil || got.Item != 100+2*n || string(got.Body) != fmt.Sprintf("body %d", got.Item) || got.Key != fmt.Sprintf("k%d", got.Item) {
			t.Fatalf("%+v, %v", got, err)
		}
		n++
	}
	if n != 200 {
		t.Errorf("%d rows from the hundredth on", n)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.AddRow(row(1, "right"), nil); err == nil {
		t.Error("a closed run takes rows")
	}
	if _, err := store.CreateRun(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), "resume") {
		t.Errorf("begun twice: %v", err)
	}

	r, err = store.OpenRun(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if h, err := r.Header(t.Context()); err != nil || string(h) != "header" {
		t.Errorf("%q, %v", h, err)
	}
	if begun, err := r.Begun(t.Context()); err != nil || len(begun) != 250 || begun[0]%2 != 1 {
		t.Errorf("begun: %d, %v", len(begun), err)
	}
	if calls, err := r.Calls(t.Context(), 1); err != nil || len(calls) != 2 || calls[0].Key != "a" || string(calls[0].Value) != "1" {
		t.Errorf("%+v, %v", calls, err)
	}
	if n, err := r.Forget(t.Context(), "failed"); err != nil || n != 125 {
		t.Errorf("%d forgotten, %v", n, err)
	}
	if calls, err := r.Calls(t.Context(), 2); err != nil || len(calls) != 0 {
		t.Errorf("the calls of a forgotten item: %+v, %v", calls, err)
	}
}

func TestRunsThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run.sqlite")
	for _, open := range []func() error{
		func() error { _, err := store.OpenRun(t.Context(), path); return err },
		func() error { _, err := store.ReadRun(t.Context(), path); return err },
	} {
		if err := open(); !errors.Is(err, store.ErrNoRun) {
			t.Errorf("nothing there: %v", err)
		}
	}
	r, err := store.CreateRun(t.Context(), path, []byte("header"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if err := r.AddRow(row(i, "right"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bytes := range map[string][]byte{
		"empty":        {},
		"another file": []byte(strings.Repeat("no database\n", 1000)),
		"cut short":    whole[:len(whole)/2],
		"of a newer version": append(append(append([]byte{}, whole[:60]...), 0, 0, 0, 9), // user_version
			whole[64:]...),
	} {
		if err := os.WriteFile(path, bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		err := func() error {
			r, err := store.ReadRun(t.Context(), path)
			if err != nil {
				return err
			}
			defer r.Close()
			for _, err := range r.Rows(t.Context(), 0, true) {
				if err != nil {
					return err
				}
			}
			return nil
		}()
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v", name, err)
	}
}

// A disk that takes no more fails the run at once and in words; what was durable
// stays.
func TestRunOnAFullDisk(t *testing.T) {
	r, path := newRun(t)
	if err := r.AddRow(row(0, "right"), nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := store.OpenRun(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	store.FillDisk(t, r)
	for i := 1; err == nil && i < 100_000; i++ {
		big := row(i, "right")
		big.Body = make([]byte, 1<<16)
		err = r.AddRow(big, func() {})
	}
	if err == nil {
		err = r.Flush()
	}
	if err == nil || !strings.Contains(err.Error(), "make room") || !strings.Contains(err.Error(), path) {
		t.Fatalf("%v", err)
	}
	if again := r.Close(); again == nil {
		t.Error("closing says nothing of what was lost")
	}
	look, err := store.ReadRun(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	n := 0
	for _, err := range look.Rows(t.Context(), 0, false) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n == 0 {
		t.Error("what was durable is lost")
	}
}

// An item whose record somebody took away is told, not left out of the count.
func TestRecordsThatAreGone(t *testing.T) {
	r, path := newRun(t)
	for i := range 3 {
		if err := r.AddRow(row(i, "right"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `DELETE FROM bodies WHERE item = 1`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	look, err := store.ReadRun(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	var last error
	for _, err := range look.Rows(t.Context(), 0, true) {
		last = err
	}
	if !errors.Is(last, store.ErrForeign) {
		t.Errorf("%v", last)
	}
}

// Who only looks leaves no files behind, and changes nothing.
func TestLookingLeavesNothingBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.sqlite")
	run, err := store.CreateRun(t.Context(), path, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(run.AddRow(store.Row{Item: 0, Key: "k", Outcome: "right", Summary: []byte("[]"), Body: []byte("{}")}, nil), run.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if run, err = store.ReadRun(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	for _, err := range run.Rows(t.Context(), 0, true) {
		if err != nil {
			t.Error(err)
		}
	}
	if err := run.SetHeader(t.Context(), []byte("{1}")); err == nil {
		t.Error("who only looks may write")
	}
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file is another one: %v", err)
	}
	for _, end := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + end); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", end, err)
		}
	}
}
