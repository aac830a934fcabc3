package control

import (
	"context"
	"fmt"

	"gnothi/monitor"
)

// Sampler provides the first n candidates of its kind, in an order that does
// not depend on n. With an error it returns those it has.
type Sampler interface {
	Draw(ctx context.Context, t *monitor.Trial, n int) ([]*monitor.Candidate, error)
	String() string
}

// Greedy is the one most likely answer.
type Greedy struct{}

// Draw implements Sampler.
func (Greedy) Draw(ctx context.Context, t *monitor.Trial, _ int) ([]*monitor.Candidate, error) {
	return t.Samples(ctx, monitor.Sampling{}, 1)
}

func (Greedy) String() string { return "greedy" }

// Independent draws samples that know nothing of each other. With First the
// greedy answer comes before them and has a vote.
type Independent struct {
	Sampling monitor.Sampling
	First    bool
}

// Draw implements Sampler.
func (s Independent) Draw(ctx context.Context, t *monitor.Trial, n int) ([]*monitor.Candidate, error) {
	if !s.First {
		return t.Samples(ctx, s.Sampling, n)
	}
	greedy, err := monitor.Get(ctx, t, monitor.Greedy{})
	if err != nil {
		return nil, err
	}
	drawn, err := t.Samples(ctx, s.Sampling, n-1)
	return append([]*monitor.Candidate{greedy}, drawn...), err
}

func (s Independent) String() string {
	d := fmt.Sprintf("independent T=%g", s.Sampling.Temperature)
	if s.Sampling.TopP > 0 {
		d += fmt.Sprintf(" p=%g", s.Sampling.TopP)
	}
	if s.Sampling.TopK > 0 {
		d += fmt.Sprintf(" k=%d", s.Sampling.TopK)
	}
	if s.First {
		d = "greedy then " + d
	}
	return d
}
