package stats

import (
	"math"
	"testing"
)

func TestPaperAcceptance(t *testing.T) {
	t.Run("self-prm", func(t *testing.T) {
		pool := func(right, wrong, acceptedRight, acceptedWrong int) (p []Verified) {
			for i := range right {
				p = append(p, Verified{true, i < acceptedRight})
			}
			for i := range wrong {
				p = append(p, Verified{false, i < acceptedWrong})
			}
			return p
		}
		// Never right and two accepted; a quarter; a half with nothing accepted; always right.
		pools := [][]Verified{pool(0, 8, 0, 2), pool(2, 6, 1, 3), pool(4, 4, 0, 0), pool(8, 0, 6, 0), nil}
		bins, err := AcceptancePrecision(pools, nil, 0.95)
		if err != nil || len(bins) != 4 {
			t.Fatal(bins, err)
		}
		for k, want := range []float64{0, .25, math.NaN(), 1} {
			b := bins[k]
			if b.Questions != 1 || b.Solutions != 8 || (math.Abs(b.Precision.Value-want) > 1e-12) || math.IsNaN(want) != math.IsNaN(b.Precision.Value) {
				t.Errorf("bin %d: %+v, want precision %v", k, b, want)
			}
		}
		if bins[2].Precision.N != 0 || bins[3].Accepted.Value != .75 || bins[1].Over != 0 || bins[1].UpTo != .25 {
			t.Errorf("%+v", bins)
		}
		// Difficulty from an independent half moves a question, not its solutions.
		bins, err = AcceptancePrecision(pools[:1], []float64{.3}, 0.95)
		if err != nil || bins[0].Questions != 0 || bins[2].Questions != 1 {
			t.Errorf("%+v, %v", bins, err)
		}
		if _, err := AcceptancePrecision(pools, []float64{1}, 0.95); err == nil {
			t.Error("one pass rate for five questions")
		}
	})
}
