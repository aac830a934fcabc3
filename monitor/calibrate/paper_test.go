package calibrate_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gnothi/monitor/calibrate"
	"gnothi/stats"
)

// The acceptance checks of papers whose method lives here.
func TestPaper(t *testing.T) {
	// Four clusters in the plane, labelled in two; in the two others the labels are swapped. Softmax is sure there and wrong;
	// the heads' agreement falls.
	t.Run("t-similarity", func(t *testing.T) {
		gammas := []float64{-1, 0.1, 0.3, 1}
		mean := make([]float64, len(gammas))
		for seed := range uint64(5) {
			rng := rand.New(rand.NewPCG(seed, 1))
			cluster := func(x, y float64, right bool, n int) (points [][]float64, labels []bool) {
				for range n {
					points = append(points, []float64{x + 0.9*rng.NormFloat64(), y + 0.9*rng.NormFloat64()})
					labels = append(labels, right)
				}
				return points, labels
			}
			var seen, all [][]float64
			var labels, truth []bool
			for _, c := range []struct {
				x, y     float64
				right    bool
				labelled bool
			}{{-2, 0, false, true}, {2, 0, true, true}, {4, 6, false, false}, {-4, 6, true, false}} {
				if c.labelled {
					p, l := cluster(c.x, c.y, c.right, 100)
					seen, labels = append(seen, p...), append(labels, l...)
				}
				p, l := cluster(c.x, c.y, c.right, 200)
				all, truth = append(all, p...), append(truth, l...)
			}
			for g, gamma := range gammas {
				s, err := calibrate.FitSimilarity(seen, labels, all, calibrate.SimilarityOptions{Gamma: gamma, Seed: seed})
				if err != nil {
					t.Fatal(err)
				}
				var agree, sure, right []float64
				for i, x := range all {
					p := s.Predict(x)
					agree, sure = append(agree, s.Of(x)), append(sure, math.Max(p, 1-p))
					if (p >= 0.5) == truth[i] {
						right = append(right, 1)
					} else {
						right = append(right, 0)
					}
				}
				bySimilarity, err := stats.AUROC(agree, right)
				if err != nil {
					t.Fatal(err)
				}
				bySoftmax, err := stats.AUROC(sure, right)
				if err != nil {
					t.Fatal(err)
				}
				mean[g] += bySimilarity / 5
				if gamma >= 0.3 && (bySimilarity < 0.75 || bySoftmax > 0.45) {
					t.Errorf("seed %d, gamma %g: AUROC %.2f by agreement, %.2f by softmax; want at least 0.75 and at most 0.45", seed, gamma, bySimilarity, bySoftmax)
				}
			}
		}
		t.Logf("AUROC of right against wrong by agreement at gamma 0, 0.1, 0.3, 1: %.2f", mean)
		for g := 1; g < len(mean); g++ {
			if mean[g] < mean[g-1]-0.02 {
				t.Errorf("AUROC over gamma %v falls: %.2f", gammas, mean)
			}
		}
	})
}

func TestSimilarityRefuses(t *testing.T) {
	x := [][]float64{{1}, {2}}
	for name, err := range map[string]error{
		"one class":     errOf(calibrate.FitSimilarity(x, []bool{true, true}, x, calibrate.SimilarityOptions{})),
		"no unlabelled": errOf(calibrate.FitSimilarity(x, []bool{true, false}, nil, calibrate.SimilarityOptions{})),
		"NaN":           errOf(calibrate.FitSimilarity(x, []bool{true, false}, [][]float64{{math.NaN()}}, calibrate.SimilarityOptions{})),
		"one head":      errOf(calibrate.FitSimilarity(x, []bool{true, false}, x, calibrate.SimilarityOptions{Heads: 1})),
	} {
		if err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func errOf(_ *calibrate.Similarity, err error) error { return err }
