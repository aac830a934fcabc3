package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"gnothi/engine"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: speed FILE THREADS")
	}
	threads, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	// With one thread the clock is the processor's, which a busy machine disturbs less.
	began := time.Now()
	clock := func() time.Duration { return time.Since(began) }
	if threads == 1 {
		clock = spent
	}
	ctx := context.Background()
	out := map[string]float64{}
	rng := rand.New(rand.NewPCG(0, 0))
	ids := make([]int32, 1500)
	for i := range ids {
		ids[i] = 300 + rng.Int32N(39700)
	}

	start := clock()
	e, err := engine.Open(os.Args[1], engine.Options{Threads: threads})
	if err != nil {
		return err
	}
	defer e.Close()
	first := func(n int) error { // reads a prompt and says what comes next
		p, err := e.Prefill(ctx, nil, ids[:n])
		if err != nil {
			return err
		}
		return e.Generate(ctx, p, []engine.Sampling{{MaxTokens: 1}}, func(int, engine.Step) bool { return true })
	}
	if err := first(5); err != nil {
		return err
	}
	out["first_ms"] = float64((clock() - start).Microseconds()) / 1e3
	out["rss_first"] = resident()

	for _, c := range []struct{ n, times int }{{64, 5}, {512, 3}, {1500, 1}} {
		var seconds []float64
		for range c.times {
			start := clock()
			if err := first(c.n); err != nil {
				return err
			}
			seconds = append(seconds, (clock() - start).Seconds())
		}
		slices.Sort(seconds)
		out[fmt.Sprintf("prefill%d", c.n)] = float64(c.n) / seconds[len(seconds)/2]
	}
	p, err := e.Prefill(ctx, nil, ids[:128])
	if err != nil {
		return err
	}
	const steps = 32
	for _, s := range []int{1, 8, 16} {
		samplings := make([]engine.Sampling, s)
		for i := range samplings {
			samplings[i] = engine.Sampling{Seed: uint64(i), Temperature: 1, MaxTokens: steps + 1} // the first token is the prompt's
		}
		start := clock()
		if err := e.Generate(ctx, p, samplings, func(int, engine.Step) bool { return true }); err != nil {
			return err
		}
		out[fmt.Sprintf("decode%d", s)] = float64(s*steps) / (clock() - start).Seconds()
	}
	out["rss_end"] = resident()
	return json.NewEncoder(os.Stdout).Encode(out)
}

// resident is the memory of this process in MiB, where the system tells it.
func resident() float64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		var kb float64
		if _, err := fmt.Sscanf(string(line), "VmRSS: %f", &kb); err == nil {
			return kb / 1024
		}
	}
	return 0
}
