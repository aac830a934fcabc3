// Package pgtest gives tests a PostgreSQL server of their own: a real one, in a
// folder of its own, reached over a Unix socket with a password. Where the
// programs of PostgreSQL are not installed, tests that ask for one are skipped.
// It imports nothing of gnothi.
package pgtest
