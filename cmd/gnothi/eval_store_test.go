//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"gnothi/internal/pgtest"
)

// TestStoreScripts are those that need a PostgreSQL server.
func TestStoreScripts(t *testing.T) {
	server := pgtest.Start(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/store",
		Setup: func(e *testscript.Env) error {
			address := server.Database(t)
			e.Setenv("STORE", address)
			e.Setenv("PASSWORD", pgtest.Password)
			e.Setenv("WRONG", strings.Replace(address, pgtest.Password, "x"+pgtest.Password, 1))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			return nil
		},
	})
}

func TestWithoutPassword(t *testing.T) {
	for in, want := range map[string]string{
		"postgres://me@db/evals#r":                                         "postgres://me@db/evals",
		"postgres://me:secret@db:5433/evals?sslmode=disable#r":             "postgres://me@db:5433/evals?sslmode=disable",
		"postgres://me:se@cret@db/evals#r":                                 "postgres://me@db/evals",
		"postgresql:///evals?host=/tmp&password=secret&sslpassword=secret": "postgresql:///evals?host=/tmp",
		"postgres://db/evals?password=secret":                              "postgres://db/evals",
	} {
		if got := withoutPassword(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
