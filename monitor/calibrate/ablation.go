package calibrate

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gnothi/stats"
)

// Contribution is what one signal is worth, by cross-fitted probabilities.
type Contribution struct {
	Signal string `json:"signal"`
	// Alone is the AUROC of the signal by itself, calibrated.
	Alone stats.Figure `json:"alone"`
	// AUROC and LogLoss are what is lost without the signal: the AUROC of all less
	// that without it, and the log loss without it less that of all, in nats.
	AUROC   stats.Figure `json:"auroc"`
	LogLoss stats.Figure `json:"log_loss"`
	Coef    float64      `json:"coef"` // of the fit on all signals, standardised
}

// Ablate leaves out each signal of labelled answers in turn. Folds are the same
// throughout, so that only the signal makes the difference; intervals are over
// clusters. all are the cross-fitted probabilities with every signal. It takes
// the signals that all of the answers have, two at least, and with hidden states
// the probe's.
func Ablate(examples []Example, seed uint64) (contributions []Contribution, all []float64, err error) {
	if len(examples) < MinExamples {
		return nil, nil, fmt.Errorf("%d labelled answers: at least %d are needed", len(examples), MinExamples)
	}
	y, groups := outcomes(examples)
	fold, err := foldsOf(groups, seed)
	if err != nil {
		return nil, nil, err
	}
	if _, examples, err = withProbe(examples, y, fold); err != nil {
		return nil, nil, err
	}
	names := common(examples)
	if len(names) < 2 {
		return nil, nil, errors.New("fewer than two signals were read for all answers: there is nothing to leave out")
	}
	x := make([][]float64, len(examples))
	for i, e := range examples {
		if x[i], err = Features(names, e.Readings); err != nil {
			return nil, nil, err
		}
	}
	// One penalty throughout, so that only the signal makes the difference.
	l2, err := bestPenalty(x, y, weights(examples), fold)
	if err != nil {
		return nil, nil, err
	}
	held := func(keep func(j int) bool) ([]float64, error) {
		part := make([][]float64, len(x))
		for i := range x {
			for j, v := range x[i] {
				if keep(j) {
					part[i] = append(part[i], v)
				}
			}
		}
		return crossFit(part, y, weights(examples), fold, withPenalty(l2))
	}
	if all, err = held(func(int) bool { return true }); err != nil {
		return nil, nil, err
	}
	fit, err := stats.FitLogisticWeighted(x, y, weights(examples), l2)
	if err != nil {
		return nil, nil, err
	}
	boot := stats.Bootstrap{Cluster: groups}
	lossAll := losses(all, y)
	rng := rand.New(rand.NewPCG(seed, 1))
	for j, name := range names {
		alone, err := held(func(k int) bool { return k == j })
		if err != nil {
			return nil, nil, err
		}
		without, err := held(func(k int) bool { return k != j })
		if err != nil {
			return nil, nil, err
		}
		c := Contribution{Signal: name, Coef: fit.Coef[j]}
		if c.Alone, err = boot.AUROC(rng, alone, y); err != nil {
			return nil, nil, err
		}
		if c.AUROC, err = boot.AUROCDifference(rng, all, without, y); err != nil {
			return nil, nil, err
		}
		more := losses(without, y)
		for i := range more {
			more[i] -= lossAll[i]
		}
		if c.LogLoss, err = stats.Mean(more, groups, 0.95); err != nil {
			return nil, nil, err
		}
		c.LogLoss.Unit = " nats"
		contributions = append(contributions, c)
	}
	return contributions, all, nil
}

// losses are the log losses of the answers, in nats.
func losses(p, y []float64) []float64 {
	out := make([]float64, len(p))
	for i := range p {
		q := min(max(p[i], stats.Clip), 1-stats.Clip)
		out[i] = -y[i]*math.Log(q) - (1-y[i])*math.Log1p(-q)
	}
	return out
}
