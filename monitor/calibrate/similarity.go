package calibrate

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gnothi/stats"
)

// Similarity is T-similarity (Odonnat, Feofanov and Redko 2024, census slug
// t-similarity): heads that agree on labelled answers and were trained to disagree
// on unlabelled ones. Where they still agree, the labels decide the matter; where
// they do not, the answer lies outside of what the labels say. It answers "am I
// outside", not "is this a close call": among answers like the labelled ones a
// calibrated probability ranks better, so have both.
//
// Followed: a shared representation that only the prediction head trains, M linear
// heads, cross-entropy on labels less γ times diversity on the unlabelled, Adam,
// 500 steps of 32 and 32. Chosen: two classes, right and wrong; a hidden layer of
// 32 rectified units on standardised features; steps of 0.01.
type Similarity struct {
	Mean, Scale []float64   // of the features, on the labelled
	Weights     [][]float64 // hidden units × (features + 1), the last one the bias
	Prediction  []float64   // hidden units + 1
	Heads       [][]float64
}

// SimilarityOptions of [FitSimilarity]; zero values are the paper's.
type SimilarityOptions struct {
	Heads int     // 0: 5
	Gamma float64 // weight of disagreement; negative: none; 0: 1
	Seed  uint64
}

const (
	similarityHidden = 32
	similaritySteps  = 500
	similarityBatch  = 32
	similarityRate   = 0.01
)

// FitSimilarity trains on features of labelled answers, which need both classes,
// and of unlabelled ones.
func FitSimilarity(labelled [][]float64, right []bool, unlabelled [][]float64, o SimilarityOptions) (*Similarity, error) {
	switch {
	case len(labelled) == 0 || len(unlabelled) == 0:
		return nil, fmt.Errorf("similarity: %d labelled and %d unlabelled answers: some of both are needed", len(labelled), len(unlabelled))
	case len(right) != len(labelled):
		return nil, fmt.Errorf("similarity: %d labels for %d answers", len(right), len(labelled))
	}
	both := false
	for _, r := range right {
		both = both || r != right[0]
	}
	if !both {
		return nil, errors.New("similarity: all labels are the same")
	}
	if o.Heads == 0 {
		o.Heads = 5
	}
	if o.Heads < 2 {
		return nil, fmt.Errorf("similarity: %d heads cannot disagree", o.Heads)
	}
	switch {
	case o.Gamma == 0:
		o.Gamma = 1
	case o.Gamma < 0:
		o.Gamma = 0
	}
	d := len(labelled[0])
	for _, rows := range [][][]float64{labelled, unlabelled} {
		for i, row := range rows {
			if len(row) != d || !finite(row...) {
				return nil, fmt.Errorf("similarity: answer %d: want %d finite features", i+1, d)
			}
		}
	}
	s := &Similarity{Mean: make([]float64, d), Scale: make([]float64, d)}
	n := float64(len(labelled))
	for _, row := range labelled {
		for j, v := range row {
			s.Mean[j] += v / n
		}
	}
	for j := range d {
		for _, row := range labelled {
			s.Scale[j] += (row[j] - s.Mean[j]) * (row[j] - s.Mean[j]) / n
		}
		if s.Scale[j] = math.Sqrt(s.Scale[j]); s.Scale[j] == 0 {
			s.Scale[j] = 1
		}
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	random := func(k int, sd float64) []float64 {
		w := make([]float64, k+1)
		for i := range k {
			w[i] = sd * rng.NormFloat64()
		}
		return w
	}
	for range similarityHidden {
		s.Weights = append(s.Weights, random(d, math.Sqrt(2/float64(d))))
	}
	sd := math.Sqrt(1 / float64(similarityHidden))
	s.Prediction = random(similarityHidden, sd)
	for range o.Heads {
		s.Heads = append(s.Heads, random(similarityHidden, sd))
	}
	s.train(labelled, right, unlabelled, o.Gamma, rng)
	return s, nil
}

// train runs Adam. The representation moves by the prediction head's loss alone.
func (s *Similarity) train(labelled [][]float64, right []bool, unlabelled [][]float64, gamma float64, rng *rand.Rand) {
	var params [][]float64
	params = append(params, s.Weights...)
	params = append(params, s.Prediction)
	params = append(params, s.Heads...)
	grads, first, second := like(params), like(params), like(params)
	hidden := len(s.Weights)
	ofHead := grads[hidden+1:]
	p := make([]float64, len(s.Heads))
	for step := 1; step <= similaritySteps; step++ {
		for _, g := range grads {
			clear(g)
		}
		for range similarityBatch {
			i := rng.IntN(len(labelled))
			y := 0.0
			if right[i] {
				y = 1
			}
			x := s.standard(labelled[i])
			h := s.represent(x)
			miss := (stats.Sigmoid(affine(s.Prediction, h)) - y) / similarityBatch
			addScaled(grads[hidden], h, miss)
			for u := range hidden {
				if h[u] > 0 {
					addScaled(grads[u], x, miss*s.Prediction[u])
				}
			}
			for m, w := range s.Heads {
				addScaled(ofHead[m], h, (stats.Sigmoid(affine(w, h))-y)/similarityBatch/float64(len(s.Heads)))
			}
			// Unlabelled: similarity is what is made small.
			h = s.represent(s.standard(unlabelled[rng.IntN(len(unlabelled))]))
			sum := 0.0
			for m, w := range s.Heads {
				p[m] = stats.Sigmoid(affine(w, h))
				sum += 2*p[m] - 1
			}
			k := float64(len(p))
			for m := range p {
				slope := 2 * (sum - (2*p[m] - 1)) / (k * (k - 1))
				addScaled(ofHead[m], h, gamma*slope*p[m]*(1-p[m])/similarityBatch)
			}
		}
		const b1, b2 = 0.9, 0.999
		c1, c2 := 1-math.Pow(b1, float64(step)), 1-math.Pow(b2, float64(step))
		for a := range params {
			for j, g := range grads[a] {
				first[a][j] = b1*first[a][j] + (1-b1)*g
				second[a][j] = b2*second[a][j] + (1-b2)*g*g
				params[a][j] -= similarityRate * first[a][j] / c1 / (math.Sqrt(second[a][j]/c2) + 1e-8)
			}
		}
	}
}

func like(x [][]float64) [][]float64 {
	out := make([][]float64, len(x))
	for i := range x {
		out[i] = make([]float64, len(x[i]))
	}
	return out
}

// affine is w·x + bias, the bias being the last weight.
func affine(w, x []float64) float64 {
	sum := w[len(x)]
	for i, v := range x {
		sum += w[i] * v
	}
	return sum
}

func addScaled(g, x []float64, k float64) {
	for i, v := range x {
		g[i] += k * v
	}
	g[len(x)] += k
}

func (s *Similarity) standard(x []float64) []float64 {
	z := make([]float64, len(x))
	for i, v := range x {
		z[i] = (v - s.Mean[i]) / s.Scale[i]
	}
	return z
}

func (s *Similarity) represent(z []float64) []float64 {
	h := make([]float64, len(s.Weights))
	for u, w := range s.Weights {
		h[u] = max(0, affine(w, z))
	}
	return h
}

// Of is the T-similarity of an answer with these features, in [0,1]: the mean over
// pairs of heads of the probability that two answers drawn from them agree.
func (s *Similarity) Of(x []float64) float64 {
	h := s.represent(s.standard(x))
	var sum, pairs float64
	p := make([]float64, len(s.Heads))
	for m, w := range s.Heads {
		p[m] = stats.Sigmoid(affine(w, h))
		for _, q := range p[:m] {
			sum += p[m]*q + (1-p[m])*(1-q)
			pairs++
		}
	}
	return sum / pairs
}

// Predict is the prediction head's probability of right, which is not calibrated.
func (s *Similarity) Predict(x []float64) float64 {
	return stats.Sigmoid(affine(s.Prediction, s.represent(s.standard(x))))
}
