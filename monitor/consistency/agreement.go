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
func Agreement(n int) monitor.Signal { return AgreementBy(n, ByAnswer) }

// AgreementBy is [Agreement] with classes that are sorted in another way.
func AgreementBy(n int, by By) monitor.Signal { return by.give(0, agreement{n, by}) }

type agreement struct {
	n  int
	by By
}

func (s agreement) Name() string { return s.by.name("consistency/agreement") }

func (s agreement) Score(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) ([]monitor.Reading, error) {
	samples, err := draw(ctx, t, s.n)
	if err != nil {
		return nil, err
	}
	n := len(samples)
	out := make([]monitor.Reading, len(cs))
	for i, c := range cs {
		if c == nil || c.Key == "" {
			out[i].Err = &monitor.MissingError{Needs: "an answer that can be read"}
			continue
		}
		class, err := classify(ctx, t, s.by, c, append([]*monitor.Candidate{c}, samples...))
		if err != nil {
			return nil, err
		}
		k := 0
		for _, other := range class[1:] {
			if other == class[0] {
				k++
			}
		}
		out[i] = monitor.Reading{Score: float64(k) / float64(n), Raw: float64(k), Source: "samples", Reads: n}
	}
	return out, nil
}
