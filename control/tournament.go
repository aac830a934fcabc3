package control

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gnothi/monitor"
	"gnothi/monitor/judge"
)

// Duel compares two answers to the trial's question and says how far the first
// is better: 1 it is, ½ neither, 0 the second is. It must not depend on the
// order: whoever makes one asks both ways, as [judge.Judge.Duel] does.
type Duel func(ctx context.Context, t *monitor.Trial, a, b *monitor.Candidate) (float64, error)

// Tournament is the policy `tournament` (self-play-preference-optimization-spo,
// Swamy et al. 2024; the part without gradients): of n samples the one with the
// largest share of duels won against the others. With a duel that asks both
// ways, n + n(n−1) calls; samples that say the same are not set against each
// other.
func Tournament(n int, d Duel) Policy {
	return Vote{Sampler: Independent{Sampling: monitor.DefaultSampling}, Stop: Fixed(n), Scorer: WinShare(d), Aggregate: Best{}}
}

// WinShare is the signal tournament/win-share: the mean outcome, in [0,1], of a
// candidate's duels with every other one of the set, which makes it the reward
// of self-play preference optimisation. A single candidate has no duel and no
// score; a duel without a verdict is none, and Reads says how many there were.
// A preference without a best answer (rock, paper, scissors) gives all one half.
func WinShare(d Duel) monitor.Signal { return winShare{d} }

type winShare struct{ duel Duel }

func (winShare) Name() string { return "tournament/win-share" }

// Score implements monitor.Signal.
func (s winShare) Score(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) ([]monitor.Reading, error) {
	out := make([]monitor.Reading, len(cs))
	won, fought := make([]float64, len(cs)), make([]int, len(cs))
	for i, a := range cs {
		for j := i + 1; j < len(cs); j++ {
			share := 0.5
			if b := cs[j]; a.Key == "" || a.Key != b.Key {
				var err error
				if share, err = s.duel(ctx, t, a, b); errors.Is(err, judge.ErrUnparsed) {
					continue
				} else if err != nil {
					return nil, fmt.Errorf("%s: duel of %d and %d: %w", s.Name(), i, j, err)
				}
			}
			won[i] += share
			won[j] += 1 - share
			fought[i]++
			fought[j]++
		}
	}
	for i := range out {
		if fought[i] == 0 {
			out[i].Err = &monitor.MissingError{Needs: "a duel with a verdict: two candidates, and a judge that can be read"}
			continue
		}
		out[i] = monitor.Reading{Score: won[i] / float64(fought[i]), Raw: won[i], Source: "duels", Reads: fought[i]}
	}
	return out, nil
}

// SelfPlay runs multiplicative weights of a preference against itself: prefer[i][j]
// in [0,1] is how far i beats j, start the first weights (nil: uniform), rate the
// step. It returns the average of the weights over the rounds, which approaches
// the preference's minimax winner at O(1/√rounds) whether or not the preference
// is transitive: a mixture where no single best exists.
func SelfPlay(prefer [][]float64, start []float64, rate float64, rounds int) []float64 {
	n := len(prefer)
	w, average := make([]float64, n), make([]float64, n)
	for i := range w {
		w[i] = 1 / float64(n)
		if start != nil {
			w[i] = start[i]
		}
	}
	for range rounds {
		next, sum := make([]float64, n), 0.0
		for i := range w {
			average[i] += w[i] / float64(rounds)
			gain := 0.0
			for j := range w {
				gain += prefer[i][j] * w[j]
			}
			next[i] = w[i] * math.Exp(rate*gain)
			sum += next[i]
		}
		for i := range next {
			w[i] = next[i] / sum
		}
	}
	return average
}
