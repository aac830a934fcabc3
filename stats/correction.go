package stats

import (
	"fmt"
	"math/rand/v2"
)

// Correction splits what a second answer does to accuracy into keeping right answers and mending wrong ones (Yang et al.
// 2025, census slug confidence-vs-critique). With m runs of a question, P(a) is the share right before, P(b|a) and
// P(b|¬a) the share right after among runs that were right or wrong before; then exactly
//
//	After = Before·Confidence + (1 − Before)·Critique.
//
// A Confidence or Critique whose condition never occurs is null; its weight in After is 0.
type Correction struct {
	Items int `json:"items"`
	Runs  int `json:"runs"` // over all items; the four counts add up to it

	RightRight int `json:"right_right"`
	RightWrong int `json:"right_wrong"`
	WrongRight int `json:"wrong_right"`
	WrongWrong int `json:"wrong_wrong"`

	Before     Figure `json:"before"`     // accuracy before, Acc1
	After      Figure `json:"after"`      // accuracy after, Acc2
	Change     Figure `json:"change"`     // After − Before
	Confidence Figure `json:"confidence"` // CL = Σ P(a)P(b|a) / Σ P(a): right answers that stay right
	Critique   Figure `json:"critique"`   // CS = Σ (1−P(a))P(b|¬a) / Σ (1−P(a)): wrong answers that become right
	Relative   Figure `json:"relative"`   // RSS, see RelativeScore
	McNemar    *Test  `json:"mcnemar"`    // exact, of no change; only with one run of each item and no clusters
}

// RelativeScore is the paper's RSS, the place of the accuracy after between the bounds that the accuracy before allows,
// before² and 2·before − before²: (after − before²) / (2·before·(1 − before)). ½ is no change; it may leave [0,1].
// ErrOneClass when before is 0 or 1, where nothing can be mended or nothing lost.
func RelativeScore(before, after float64) (float64, error) {
	if err := checkUnit([]float64{before, after}); err != nil {
		return 0, err
	}
	if before == 0 || before == 1 {
		return 0, fmt.Errorf("stats: relative score: accuracy before is %g: %w", before, ErrOneClass)
	}
	return (after - before*before) / (2 * before * (1 - before)), nil
}

// Correction measures before[i][j] and after[i][j], whether run j of question i was right. Every question needs a run.
// Intervals are over questions, never over runs: Wilson's, Tango's and an exact test where each question has one run and
// there are no clusters, else the bootstrap.
func (b Bootstrap) Correction(rng *rand.Rand, before, after [][]bool) (Correction, error) {
	n := len(before)
	if n == 0 {
		return Correction{}, fmt.Errorf("stats: correction: %w", ErrEmpty)
	}
	if len(after) != n {
		return Correction{}, fmt.Errorf("stats: correction: %d questions before, %d after: %w", n, len(after), ErrLength)
	}
	if b.Level == 0 {
		b.Level = 0.95
	}
	if err := checkLevel(b.Level); err != nil {
		return Correction{}, err
	}
	if err := checkLabels(b.Cluster, n); err != nil {
		return Correction{}, err
	}
	c := Correction{Items: n}
	// Shares of each question's runs: right before, right after, right both times.
	first, second, both := make([]float64, n), make([]float64, n), make([]float64, n)
	single := b.Cluster == nil
	for i := range before {
		m := len(before[i])
		if m == 0 || len(after[i]) != m {
			return Correction{}, fmt.Errorf("stats: correction: question %d has %d runs before, %d after: %w", i, m, len(after[i]), ErrLength)
		}
		single = single && m == 1
		c.Runs += m
		for j, was := range before[i] {
			is := after[i][j]
			if was {
				first[i] += 1 / float64(m)
			}
			if is {
				second[i] += 1 / float64(m)
			}
			switch {
			case was && is:
				both[i] += 1 / float64(m)
				c.RightRight++
			case was:
				c.RightWrong++
			case is:
				c.WrongRight++
			default:
				c.WrongWrong++
			}
		}
	}

	figure := func(f Figure, err error) Figure {
		if err != nil {
			return Missing(n, err)
		}
		return f
	}
	resampled := func(stat func(a1, a2, kept float64) (float64, error)) Figure {
		return figure(b.Figure(rng, n, func(idx []int) (float64, error) {
			var a1, a2, kept float64
			for _, i := range idx {
				a1 += first[i]
				a2 += second[i]
				kept += both[i]
			}
			k := float64(len(idx))
			// Sums of m-ths may end a rounding error away from 0 or 1, which decides whether a condition ever occurs.
			return stat(snapped(a1/k), snapped(a2/k), snapped(kept/k))
		}))
	}
	confidence := func(a1, _, kept float64) (float64, error) {
		if a1 == 0 {
			return 0, fmt.Errorf("stats: confidence: nothing was right before: %w", ErrOneClass)
		}
		return kept / a1, nil
	}
	critique := func(a1, a2, kept float64) (float64, error) {
		if a1 == 1 {
			return 0, fmt.Errorf("stats: critique: nothing was wrong before: %w", ErrOneClass)
		}
		return (a2 - kept) / (1 - a1), nil
	}
	c.Relative = resampled(func(a1, a2, _ float64) (float64, error) { return RelativeScore(a1, a2) })
	if single {
		right := c.RightRight + c.RightWrong
		c.Before = figure(Wilson(right, n, b.Level))
		c.After = figure(Wilson(c.RightRight+c.WrongRight, n, b.Level))
		c.Change = tango(second, first, b.Level)
		if _, err := confidence(float64(right), 0, 0); err != nil {
			c.Confidence = Missing(0, err)
		} else {
			c.Confidence = figure(Wilson(c.RightRight, right, b.Level))
		}
		if _, err := critique(float64(right)/float64(n), 0, 0); err != nil {
			c.Critique = Missing(0, err)
		} else {
			c.Critique = figure(Wilson(c.WrongRight, n-right, b.Level))
		}
		exact, _, err := McNemar(c.WrongRight, c.RightWrong)
		if err != nil {
			return Correction{}, err
		}
		c.McNemar = &exact
		c.Change = c.Change.tested(exact.P)
		return c, nil
	}
	c.Before = resampled(func(a1, _, _ float64) (float64, error) { return a1, nil })
	c.After = resampled(func(_, a2, _ float64) (float64, error) { return a2, nil })
	b.null = true
	c.Change = resampled(func(a1, a2, _ float64) (float64, error) { return a2 - a1, nil })
	b.null = false
	c.Confidence, c.Critique = resampled(confidence), resampled(critique)
	return c, nil
}

// DecomposeCorrection is the decomposition from probabilities, for a model whose log-probabilities are at hand: right[i] is the
// probability of the right answer to question i, keep[i] and mend[i] that of the right answer after a right and after a
// wrong one (the paper's greedy variant). It returns CL, CS and the accuracy after; one without weight is 0.
func DecomposeCorrection(right, keep, mend []float64) (confidence, critique, after float64, err error) {
	if err := checkUnit(right, keep, mend); err != nil {
		return 0, 0, 0, err
	}
	var was, wrong, kept, mended float64
	for i, p := range right {
		was += p
		wrong += 1 - p
		kept += p * keep[i]
		mended += (1 - p) * mend[i]
	}
	if was > 0 {
		confidence = kept / was
	}
	if wrong > 0 {
		critique = mended / wrong
	}
	return confidence, critique, (kept + mended) / float64(len(right)), nil
}

func snapped(v float64) float64 {
	switch {
	case v < 1e-12:
		return 0
	case v > 1-1e-12:
		return 1
	}
	return v
}
