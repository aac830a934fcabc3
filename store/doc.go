// Package store keeps things on disk, in SQLite: so far the cache of choices
// ([Cache], an llm.Store). It imports nothing of gnothi.
package store
