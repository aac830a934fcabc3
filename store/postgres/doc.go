// Package postgres keeps runs in a PostgreSQL database, so that many machines
// work on one: [DB.Create] makes a run of tasks, [DB.Open] joins it, and
// [Run.Work] does its tasks, which are jobs of River
// (github.com/riverqueue/river). What a [Run] keeps, and how it gives it back,
// is as with the file of package store.
//
// All tables are in the schema "gnothi": River's, and these.
//
//	run     a name, a header, ceilings
//	task    what there is to do: one row an item, from the beginning
//	call    finished calls
//	item    what became of the items that are done
//	worker  who works, until when that is believed (the lease), what it has
//	        spent and reserved
//	rate    how full the buckets of shared rate limits are
//
// A worker writes in groups, each one transaction: what it spent and wants to
// reserve, calls, items, and that the jobs of those items are completed. Each
// such transaction renews the lease and fails if others have ended it; so what
// a worker that is taken for dead does counts for nothing from then on, and
// nothing of a worker that lives is done twice.
//
// It imports nothing of gnothi but package store.
package postgres
