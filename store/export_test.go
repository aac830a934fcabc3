package store

import (
	"fmt"
	"testing"
)

// FillDisk lets a run's file grow no further, as a full disk would. Nothing has
// been written since the run was opened.
func FillDisk(t *testing.T, r *Run) {
	t.Helper()
	r.db.SetMaxOpenConns(1) // the limit is the connection's
	var pages int
	if err := r.db.QueryRowContext(t.Context(), `PRAGMA page_count`).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := r.db.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+4)); err != nil {
		t.Fatal(err)
	}
}
