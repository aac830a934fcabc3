package consistency

import (
	"context"
	"maps"
	"math"
	"slices"

	"gnothi/monitor"
)

// Entropy is consistency/entropy, discrete semantic entropy (Farquhar et al.
// 2024, with classes by equal answers): raw is H = −Σ (c/n) ln(c/n) over the
// classes of n samples, each unread sample a class of its own; the score is
// 1 − H/ln n. It is of the question: every candidate gets the same.
func Entropy(n int) monitor.Signal { return entropy{n} }

type entropy struct{ n int }

func (entropy) Name() string { return "consistency/entropy" }

func (s entropy) Score(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) ([]monitor.Reading, error) {
	byKey, n, err := counts(ctx, t, s.n)
	if err != nil {
		return nil, err
	}
	if n < 2 {
		return nil, &monitor.MissingError{Needs: "two samples or more"}
	}
	classes := slices.Sorted(maps.Values(byKey)) // a sum in the order of a map would differ in its last bits
	read := 0
	for _, k := range classes {
		read += k
	}
	h := 0.0
	for _, k := range append(slices.Repeat([]int{1}, n-read), classes...) {
		q := float64(k) / float64(n)
		h -= q * math.Log(q)
	}
	r := monitor.Reading{Score: max(0, 1-h/math.Log(float64(n))), Raw: h, Source: "samples", Reads: n}
	return slices.Repeat([]monitor.Reading{r}, len(cs)), nil
}
