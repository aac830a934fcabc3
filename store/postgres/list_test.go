package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"gnothi/store"
	"gnothi/store/postgres"
)

// The runs of a database are listed, and one that nobody works on is removed with
// all that it holds; the calls of all items come in their order, whatever the page.
func TestListAndRemove(t *testing.T) {
	const n, each = 40, 3
	db, _ := create(t, "r", n, postgres.Pace{})
	if err := db.Create(t.Context(), "other", []byte("{}"), postgres.Pace{}, tasks(1)); err != nil {
		t.Fatal(err)
	}
	r := join(t, db, "r", long)
	for i := range n {
		for k := range each {
			if err := r.AddCalls(i, []store.Call{{Key: fmt.Sprint("k", k), Value: []byte{byte(i), byte(k)}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	done(t, r, postgres.Task{Item: 7, Key: "key7", Body: []byte("{}")})
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, from := range []int{0, 13, n} {
		at := from * each
		for c, err := range open(t, db, "r").CallsFrom(t.Context(), from) {
			if err != nil || c.Item != at/each || c.Value[0] != byte(at/each) || c.Value[1] != byte(at%each) {
				t.Fatalf("from %d: call %d is %+v, %v", from, at, c, err)
			}
			at++
		}
		if at != n*each {
			t.Errorf("from %d: the calls end before item %d", from, at/each)
		}
	}
	list, err := db.List(t.Context())
	if err != nil || len(list) != 2 || list[0].Name != "r" || list[0].Items != n || list[0].Done != 1 || list[0].Workers != 1 || list[1].Workers != 0 || len(list[1].Spent) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := db.Remove(t.Context(), "r"); !errors.Is(err, postgres.ErrWorkers) {
		t.Errorf("a run that is worked on: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Remove(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if err := db.Remove(t.Context(), "r"); !errors.Is(err, store.ErrNoRun) {
		t.Errorf("a run that is gone: %v", err)
	}
	if err := r.Join(t.Context(), long); err == nil {
		t.Error("a worker joins a run that is gone")
	}
	if names, err := db.Runs(t.Context()); err != nil || len(names) != 1 || names[0] != "other" {
		t.Errorf("%v, %v", names, err)
	}
}
