package consistency

import (
	"context"

	"gnothi/monitor"
)

// Agreement is consistency/agreement (self-consistency, Wang et al. 2022):
// raw is the number of n samples whose answer is in the candidate's class, the
// score its share of all n, unread samples included. n = 0 reads what the policy
// has drawn. Refusals are a class; a candidate that could not be read is in none,
// and nothing can agree with it.
func Agreement(n int) monitor.Signal { return agreement{n} }

type agreement struct{ n int }

func (agreement) Name() string { return "consistency/agreement" }

func (s agreement) Score(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) ([]monitor.Reading, error) {
	byKey, n, err := counts(ctx, t, s.n)
	if err != nil {
		return nil, err
	}
	out := make([]monitor.Reading, len(cs))
	for i, c := range cs {
		if c.Key == "" {
			out[i].Err = &monitor.MissingError{Needs: "an answer that can be read"}
			continue
		}
		k := byKey[c.Key]
		out[i] = monitor.Reading{Score: float64(k) / float64(n), Raw: float64(k), Source: "samples", Reads: n}
	}
	return out, nil
}
