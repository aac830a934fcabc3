package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A run makes much garbage and holds little, so with Go's usual setting the
// collector takes a tenth of the processor time. While little is held it may
// wait longer, for as long as all stays below roomy.
const (
	roomy    = 85 << 20 // bytes of heap
	seldom   = 300      // percent of what is held before the next collection
	usually  = 100      // Go's own
	garbages = time.Second
)

// collectRarely lets the collector wait while the heap is small, until the
// function that it returns is called. What the user set in GOGC or GOMEMLIMIT
// stays.
func collectRarely() (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(seldom)
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for tick := time.NewTicker(garbages); ; {
			select {
			case <-ended:
				tick.Stop()
				return
			case <-tick.C:
			}
			metrics.Read(sample)
			debug.SetGCPercent(patience(sample[0].Value.Uint64()))
		}
	}()
	return func() {
		close(ended)
		<-gone
		debug.SetGCPercent(before)
	}
}

// patience is how many percent of the live bytes may be added before a collection.
func patience(live uint64) int {
	if live == 0 || live >= roomy {
		return usually
	}
	return int(min(seldom, max(usually, (roomy-live)*100/live)))
}
