// Package store keeps things on disk, in SQLite: the cache of choices ([Cache],
// an llm.Store) and what a run has finished ([Run]). It imports nothing of gnothi.
package store
