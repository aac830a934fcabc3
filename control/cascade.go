package control

import (
	"context"
	"fmt"

	"gnothi/monitor"
)

// Cascade runs a policy and, where its answer scores below the threshold, the
// next one. The trial is the same, so what the first has bought the next has.
type Cascade struct {
	First     Policy
	Signal    monitor.Signal
	Threshold float64
	Next      Policy
}

// String implements Policy.
func (c Cascade) String() string {
	return fmt.Sprintf("cascade(%v, %s<%g, %v)", c.First, c.Signal.Name(), c.Threshold, c.Next)
}

// Run implements Policy. A signal that cannot be read counts as doubt.
func (c Cascade) Run(ctx context.Context, t *monitor.Trial) (Result, error) {
	first, err := c.First.Run(ctx, t)
	if err != nil || first.Best == nil {
		return first, err
	}
	r, err := monitor.ScoreOne(ctx, c.Signal, t, first.Best)
	if err == nil && r.Score >= c.Threshold {
		first.Stopped = fmt.Sprintf("%s %.2f", c.Signal.Name(), r.Score)
		return first, nil
	}
	if ctx.Err() != nil {
		return first, ctx.Err()
	}
	next, err := c.Next.Run(ctx, t)
	if err != nil && next.Best == nil {
		if ctx.Err() != nil {
			return first, err
		}
		first.Stopped = err.Error() // the first answer is paid for and stands
		return first, nil
	}
	return next, err
}
