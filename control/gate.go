package control

import (
	"context"
	"fmt"

	"gnothi/llm"
	"gnothi/monitor"
)

// Gate reads a signal of the question before anything is answered and withholds
// the answer where it is below a threshold: prevention in place of correction
// (self-familiarity, Luo et al. 2023, with verbal/familiarity). The threshold is
// chosen on questions about things that the model is sure to know, as the 5th
// percentile of their scores; the study self-familiarity measures it.
type Gate struct {
	Signal monitor.Signal // of the question: it reads no candidate
	At     float64
	Next   Policy // what answers
}

// String implements Policy.
func (g Gate) String() string {
	return fmt.Sprintf("gate(%s>=%g, %v)", g.Signal.Name(), g.At, g.Next)
}

// Run implements Policy. A signal that cannot be read (a question without a
// concept in it) holds nothing back; a model that fails is an error.
func (g Gate) Run(ctx context.Context, t *monitor.Trial) (Result, error) {
	nothing := t.Candidate(llm.Choice{}, monitor.FromOutside, nil)
	r, err := monitor.ScoreOne(ctx, g.Signal, t, nothing)
	if err == nil && r.Score < g.At {
		why := fmt.Sprintf("%s %.2f is below %g", g.Signal.Name(), r.Score, g.At)
		if r.Why != "" {
			why += " (" + r.Why + ")"
		}
		return Result{Best: nothing, Pool: []*monitor.Candidate{nothing}, Stopped: why, Withhold: why}, nil
	}
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	return g.Next.Run(ctx, t)
}
