package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/script"
	"gnothi/store"
)

var _ llm.Store = (*store.Cache)(nil)

func open(t *testing.T, path string, o store.Options) *store.Cache {
	t.Helper()
	if o.Report == nil {
		o.Report = func(err error) { t.Error(err) }
	}
	c, err := store.OpenCache(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func file(t *testing.T) string { return filepath.Join(t.TempDir(), "new folder", "cache?100%.db") }

func TestCacheOutlivesTheProcess(t *testing.T) {
	path := file(t)
	c := open(t, path, store.Options{})
	value := []byte("\x00\xff{}")
	c.Put("k", []byte("old"))
	c.Put("k", value)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, path, store.Options{})
	if got, ok := c.Get("k"); !ok || !bytes.Equal(got, value) {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, ok := c.Get("other"); ok {
		t.Error("what was never put is there")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: others could read it", info.Mode(), err)
	}
}

func TestCacheServesAModel(t *testing.T) {
	path := file(t)
	for i := range 2 {
		inner := script.Texts("Paris", "Lyon")
		m := llm.Cached(inner, open(t, path, store.Options{}))
		op := llmtest.Question("capital?")
		op.Indices = []int{0, 1}
		res, err := m.Do(t.Context(), op)
		if err != nil || res.Choices[1].Text != "Lyon" || inner.Calls() != 2*(1-i) {
			t.Errorf("%+v, %v; %d calls", res, err, inner.Calls())
		}
	}
}

func TestAgeAndSize(t *testing.T) {
	now := time.Unix(1e9, 0)
	o := store.Options{MaxBytes: 1000, MaxAge: 48 * time.Hour, Now: func() time.Time { return now }}
	c := open(t, file(t), o)
	has := func(k string) bool { _, ok := c.Get(k); return ok }
	c.Put("a", make([]byte, 300))
	now = now.Add(2 * time.Hour)
	c.Put("b", make([]byte, 300))
	now = now.Add(2 * time.Hour)
	if !has("a") { // used now
		t.Fatal("a is gone too early")
	}
	c.Put("c", make([]byte, 600))
	if !has("a") || has("b") || !has("c") {
		t.Errorf("a %v, b %v, c %v: want the one not used for longest to go", has("a"), has("b"), has("c"))
	}
	c.Put("big", make([]byte, 2000))
	if has("big") || !has("a") {
		t.Error("a value above the limit is kept or drives others out")
	}
	now = now.Add(47 * time.Hour)
	if has("a") || !has("c") {
		t.Error("age is not minded")
	}
	s, err := c.Stats(t.Context())
	if err != nil || s.Choices != 2 || s.Bytes != 902 || s.Oldest != time.Unix(1e9, 0) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := c.Clear(t.Context(), "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Stats(t.Context()); err != nil || s != (store.Stats{}) {
		t.Errorf("after clearing: %+v, %v", s, err)
	}
}

func TestSchemaVersions(t *testing.T) {
	path := file(t)
	version := func(v int) {
		t.Helper()
		db, err := sql.Open("sqlite", "file:"+strings.NewReplacer("?", "%3f", "%", "%25").Replace(path))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA user_version = %d", v)); err != nil {
			t.Fatal(err)
		}
	}
	c := open(t, path, store.Options{})
	c.Put("k", []byte("v"))
	c.Close()
	version(0)
	c = open(t, path, store.Options{})
	if _, ok := c.Get("k"); ok {
		t.Error("a value of an older schema is given")
	}
	c.Close()
	version(99)
	if _, err := store.OpenCache(t.Context(), path, store.Options{}); err == nil || !strings.Contains(err.Error(), "schema version is 99") {
		t.Errorf("got %v", err)
	}
}

func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenCache(t.Context(), path, store.Options{}); err == nil || !strings.Contains(err.Error(), "x.db") {
		t.Errorf("got %v", err)
	}
}

func TestTwoProcesses(t *testing.T) {
	path := file(t)
	caches := []*store.Cache{open(t, path, store.Options{}), open(t, path, store.Options{})}
	var wg sync.WaitGroup
	for g, c := range caches {
		for w := range 4 {
			wg.Go(func() {
				for i := range 20 {
					key := fmt.Sprint(g, w, i)
					c.Put(key, []byte(key))
					if v, ok := c.Get(key); !ok || string(v) != key {
						t.Errorf("%s: %q, %v", key, v, ok)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, c := range caches {
		if s, err := c.Stats(t.Context()); err != nil || s.Choices != 160 {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

func TestTroubleIsReported(t *testing.T) {
	var errs []error
	c := open(t, file(t), store.Options{Report: func(err error) { errs = append(errs, err) }})
	c.Close()
	c.Put("k", nil)
	if _, ok := c.Get("k"); ok || len(errs) != 2 {
		t.Errorf("reported %v", errs)
	}
}

func BenchmarkCache(b *testing.B) {
	c, err := store.OpenCache(context.Background(), filepath.Join(b.TempDir(), "c.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	value := make([]byte, 2000)
	b.Run("put", func(b *testing.B) {
		for i := range b.N {
			c.Put(fmt.Sprint(i), value)
		}
	})
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			c.Get("0")
		}
	})
}

func TestCacheGroups(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	c, err := store.OpenCache(t.Context(), filepath.Join(t.TempDir(), "cache.sqlite"), store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Put("openai:a\n1", []byte("12345"))
	c.Put("openai:a\n2", []byte("123456789"))
	now = now.Add(48 * time.Hour)
	c.Put("openai:a\n3", []byte("1"))
	c.Put("openai:b\n1", []byte("1"))
	groups, err := c.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 2 || groups[0].Name != "openai:a" || groups[0].Choices != 3 || groups[1].Name != "openai:b" || groups[1].Choices != 1 || groups[0].Newest.Sub(groups[0].Oldest) != 48*time.Hour {
		t.Errorf("groups %+v", groups)
	}
	if n, err := c.Clear(t.Context(), "openai:a", now.Add(-24*time.Hour)); err != nil || n != 2 {
		t.Errorf("%d old choices of a went, %v: want 2", n, err)
	}
	if n, err := c.Clear(t.Context(), "openai:b", time.Time{}); err != nil || n != 1 {
		t.Errorf("%d choices of b went, %v: want 1", n, err)
	}
	if _, ok := c.Get("openai:a\n3"); !ok {
		t.Error("the new choice of a went too")
	}
}
