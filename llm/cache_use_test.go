package llm_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gnothi/llm"
	"gnothi/llm/script"
)

// counted answers with the number of the call.
func counted(calls *atomic.Int64) llm.Model {
	return script.New(func(_ llm.Op, _ int) script.Reply { return script.Reply{Text: fmt.Sprint(calls.Add(1))} })
}

func TestCacheUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		inner := counted(&calls)
		memory := llm.NewMemory(1 << 20)
		always, demand := llm.Cached(inner, memory), llm.CachedOnDemand(inner, memory)
		op := llm.Op{Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: "Which?"}}}}
		for _, step := range []struct {
			name string
			m    llm.Model
			use  *llm.CacheUse
			want string
			err  error
			wait time.Duration
		}{
			{"on demand without demand makes it", demand, nil, "1", nil, 0},
			{"only what is kept: nothing is", always, &llm.CacheUse{Only: true}, "", llm.ErrNotCached, 0},
			{"kept", always, nil, "2", nil, 0},
			{"read", always, nil, "2", nil, 0},
			{"read on demand", demand, &llm.CacheUse{}, "2", nil, 0},
			{"off", always, &llm.CacheUse{Off: true}, "3", nil, 0},
			{"off kept nothing", always, nil, "2", nil, 0},
			{"fresh", always, &llm.CacheUse{Fresh: true}, "4", nil, 0},
			{"fresh is kept", always, &llm.CacheUse{Only: true}, "4", nil, 10 * time.Second},
			{"young enough", always, &llm.CacheUse{MaxAge: time.Minute}, "4", nil, time.Minute},
			{"too old", always, &llm.CacheUse{MaxAge: time.Minute}, "5", nil, 0},
			{"and young again", always, &llm.CacheUse{MaxAge: time.Minute, Only: true}, "5", nil, 0},
		} {
			ctx := t.Context()
			if step.use != nil {
				ctx = llm.WithCache(ctx, *step.use)
			}
			res, err := step.m.Do(ctx, op)
			if !errors.Is(err, step.err) {
				t.Errorf("%s: error %v, want %v", step.name, err, step.err)
			}
			if err == nil && res.Choices[0].Text != step.want {
				t.Errorf("%s: %q, want %q", step.name, res.Choices[0].Text, step.want)
			}
			time.Sleep(step.wait) // of the bubble's clock
		}
	})
}

// Whoever only wants what is kept must not fail one who wants it made.
func TestOnlyCachedDoesNotStopOthers(t *testing.T) {
	var calls atomic.Int64
	m := llm.Cached(counted(&calls), llm.NewMemory(1<<20))
	op := llm.Op{Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: "Which?"}}}}
	for range 20 {
		done := make(chan error, 1)
		go func() { _, err := m.Do(llm.WithCache(context.Background(), llm.CacheUse{Only: true}), op); done <- err }()
		if _, err := m.Do(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil && !errors.Is(err, llm.ErrNotCached) {
			t.Fatal(err)
		}
		op.Request.Messages[0].Text += "!"
	}
}
