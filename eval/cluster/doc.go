// Package cluster shares a run of eval between machines: its items are jobs in
// a PostgreSQL database ([gnothi/store/postgres]), and every worker asks about
// those that it gets ([Run.Work]). Budgets and rate limits hold for all workers
// together. A run is created once, from the study and its data; workers need
// neither.
//
// It may import what eval may.
package cluster
