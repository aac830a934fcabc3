package consistency

import (
	"context"
	"math"
	"slices"

	"gnothi/monitor"
)

// Entropy is consistency/entropy, discrete semantic entropy (Farquhar et al.
// 2024): raw is H = −Σ (c/n) ln(c/n) over the classes of equal answers of n
// samples, each unread sample a class of its own; the score is 1 − H/ln n. It is
// of the question: every candidate gets the same.
func Entropy(n int) monitor.Signal { return EntropyBy(n, ByAnswer) }

// EntropyBy is [Entropy] over classes that are sorted in another way, of the
// samples that the trial has where n is 0.
func EntropyBy(n int, by By) monitor.Signal { return by.give(0, entropy{n, by}) }

type entropy struct {
	n  int
	by By
}

func (s entropy) Name() string { return s.by.name("consistency/entropy") }

func (s entropy) Score(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) ([]monitor.Reading, error) {
	samples, err := draw(ctx, t, s.n)
	if err != nil {
		return nil, err
	}
	n := len(samples)
	if n < 2 {
		return nil, &monitor.MissingError{Needs: "two samples or more"}
	}
	class, err := classify(ctx, t, s.by, nil, samples)
	if err != nil {
		return nil, err
	}
	h := ClassEntropy(make([]float64, n), class)
	r := monitor.Reading{Score: max(0, 1-h/math.Log(float64(n))), Raw: h, Source: "samples", Reads: n}
	return slices.Repeat([]monitor.Reading{r}, len(cs)), nil
}
