package upstream

import (
	"cmp"
	"errors"
	"slices"
	"sync"

	"gnothi/llm"
)

// Each makes a call for every index, up to a number of them side by side.
// Failures leave the other choices; after one that no repetition mends, no
// further call is begun.
func Each(indices []int, concurrency int, call func(index int) (*llm.Result, error)) (*llm.Result, error) {
	if len(indices) == 1 {
		return call(indices[0])
	}
	results := make([]*llm.Result, len(indices))
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed error
		stop   bool
	)
	slots := make(chan struct{}, max(1, concurrency))
	for i, index := range indices {
		slots <- struct{}{}
		mu.Lock()
		stopped := stop
		mu.Unlock()
		if stopped {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			res, err := call(index)
			if results[i] = res; err == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			var api *llm.APIError
			failed = cmp.Or(failed, err)
			stop = stop || !errors.As(err, &api) || !api.Temporary
		})
	}
	wg.Wait()
	return Join(indices, results), failed
}

// Join makes one result of those of several calls, in the order of the indices.
// Those that are nil are left out; nil is all of nothing.
func Join(indices []int, results []*llm.Result) *llm.Result {
	var all *llm.Result
	for _, r := range results {
		switch {
		case r == nil:
		case all == nil:
			whole := *r
			all = &whole
		default:
			all.Body = nil
			all.Choices = append(slices.Clip(all.Choices), r.Choices...)
			all.Usage.PromptTokens += r.Usage.PromptTokens
			all.Usage.PromptCached += r.Usage.PromptCached
			all.Usage.CompletionTokens += r.Usage.CompletionTokens
		}
	}
	if all != nil {
		slices.SortStableFunc(all.Choices, func(a, b llm.Choice) int {
			return cmp.Compare(slices.Index(indices, a.Index), slices.Index(indices, b.Index))
		})
	}
	return all
}

// Indices are the repeat indexes that an operation asks for.
func Indices(op llm.Op) []int {
	indices := make([]int, op.N())
	for k := range indices {
		indices[k] = op.Index(k)
	}
	return indices
}

// OneAtATime makes a stream's reader safe for calls side by side; nil stays nil.
func OneAtATime(stream func(llm.Event) error) func(llm.Event) error {
	if stream == nil {
		return nil
	}
	var mu sync.Mutex
	return func(e llm.Event) error {
		mu.Lock()
		defer mu.Unlock()
		return stream(e)
	}
}
