package pool

import (
	"sync/atomic"
	"testing"
	"time"

	"gnothi/llm/llmtest"
)

func TestRun(t *testing.T) {
	defer llmtest.NoLeaks(t)
	for _, size := range []int{1, 2, 5} {
		p := New(size)
		busy := make([]atomic.Bool, size)
		for round := range 3000 {
			n := round % 17
			seen := make([]atomic.Int32, n)
			p.Run(n, func(w, i int) {
				if busy[w].Swap(true) {
					t.Errorf("worker %d runs twice at once", w)
				}
				seen[i].Add(1)
				busy[w].Store(false)
			})
			for i := range seen {
				if c := seen[i].Load(); c != 1 {
					t.Fatalf("size %d round %d: task %d ran %d times", size, round, i, c)
				}
			}
			if round%1000 == 500 {
				time.Sleep(2 * time.Millisecond) // let the workers park
			}
		}
		p.Close()
	}
}

// TestShared: more workers than processors, all pools at once: nobody may wait for ever.
func TestShared(t *testing.T) {
	defer llmtest.NoLeaks(t)
	done := make(chan int64)
	for range 4 {
		go func() {
			p := New(4)
			defer p.Close()
			var sum atomic.Int64
			for range 500 {
				p.Run(8, func(_, i int) { sum.Add(int64(i)) })
			}
			done <- sum.Load()
		}()
	}
	for range 4 {
		if got := <-done; got != 500*28 {
			t.Errorf("sum %d, want %d", got, 500*28)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	p := New(0)
	defer p.Close()
	for b.Loop() {
		p.Run(2*p.Size(), func(int, int) {})
	}
}
