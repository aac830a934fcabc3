package stats

import "math/rand/v2"

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// draws makes n probabilities, uniform on [0,1], and outcomes that are right with probability truth(p).
func draws(rng *rand.Rand, n int, truth func(p float64) float64) (p, y []float64) {
	p, y = make([]float64, n), make([]float64, n)
	for i := range p {
		p[i] = rng.Float64()
		if rng.Float64() < truth(p[i]) {
			y[i] = 1
		}
	}
	return p, y
}

func honest(p float64) float64 { return p }

func overconfident(p float64) float64 { return Sigmoid(Logit(p, Clip) / 2) }
