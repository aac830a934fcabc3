// Package consistency holds the signals that compare an answer with other
// samples of the same question. An answer's class is the set of answers that
// mean the same; a sample that could not be read is in none, but
// it counts in the denominator.
//
// It may import monitor, text and stats.
package consistency

import (
	"context"

	"gnothi/monitor"
)

// Samples is the number of samples that a signal draws when it is told 0 and
// the trial has not drawn any.
const Samples = 10

// counts takes n samples, or with 0 those that the trial has, and counts the classes of their answers.
func counts(ctx context.Context, t *monitor.Trial, n int) (byKey map[string]int, total int, err error) {
	cs, sampling := t.Drawn()
	if n == 0 && len(cs) < 2 {
		n = Samples
	}
	if n > 0 {
		if cs, err = t.Samples(ctx, sampling, n); err != nil {
			return nil, 0, err
		}
	}
	byKey = map[string]int{}
	for _, c := range cs {
		if c.Key != "" {
			byKey[c.Key]++
		}
	}
	return byKey, len(cs), nil
}
