package main

import (
	"runtime/debug"
	"testing"
)

func TestPatience(t *testing.T) {
	for live, want := range map[uint64]int{0: usually, 1 << 20: seldom, roomy / 4: seldom, roomy * 2 / 5: 150, roomy / 2: usually, roomy * 3: usually} {
		if got := patience(live); got != want && !(live == roomy*2/5 && got >= 149 && got <= 151) {
			t.Errorf("%d bytes: %d, want %d", live, got, want)
		}
	}
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	before := debug.SetGCPercent(usually)
	defer debug.SetGCPercent(before)
	stop := collectRarely()
	stop()
	if now := debug.SetGCPercent(usually); now != usually {
		t.Errorf("the collector is left at %d", now)
	}
}
