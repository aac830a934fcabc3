package consistency

import (
	"context"
	"math"

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
	h, read := 0.0, 0
	for _, k := range byKey {
		read += k
		h -= share(k, n)
	}
	h -= float64(n-read) * share(1, n)
	r := monitor.Reading{Score: 1, Raw: h, Source: "samples", Reads: n}
	if n > 1 {
		r.Score = 1 - h/math.Log(float64(n))
	}
	out := make([]monitor.Reading, len(cs))
	for i := range out {
		out[i] = r
	}
	return out, nil
}

// share is q ln q for q = k/n.
func share(k, n int) float64 {
	q := float64(k) / float64(n)
	return q * math.Log(q)
}
