package likelihood

import (
	"math"

	"gnothi/llm"
	"gnothi/monitor"
)

// The figures here read the likeliest alternatives at each token, which APIs
// give, and not the full distribution, which they do not; they have names of
// their own, for they are other figures.

// overTops makes a signal of the mean or the minimum of a figure of the k
// likeliest tokens at each place; k may differ from place to place, two or more.
// A repeat of one token there counts once.
func overTops(name string, lowest bool, figure func(p []float64) (score, raw float64)) monitor.Signal {
	return monitor.Needs(monitor.AnswerTokens|monitor.Alternatives, overTokens(name, "top-k", func(ts []llm.Token) (float64, float64, error) {
		var p []float64
		score, raw := 0.0, 0.0
		if lowest {
			score = math.Inf(1)
		}
		for i, t := range ts {
			var err error
			if p, err = topProbs(p[:0], i, t); err != nil {
				return 0, 0, err
			}
			s, r := figure(p)
			switch {
			case !lowest:
				score, raw = score+s, raw+r
			case s < score:
				score, raw = s, r
			}
		}
		if n := float64(len(ts)); !lowest {
			score, raw = score/n, raw/n
		}
		return math.Max(0, score), raw, nil
	}))
}

// TopEntropy is likelihood/top-k-entropy: the entropy of the k likeliest tokens at
// each place, renormalised to sum to 1. raw is its mean in nats over the answer's
// tokens; the score is the mean of 1 − H/ln k, the negentropy. It is not
// likelihood/token-entropy, which knows the tail.
func TopEntropy() monitor.Signal {
	return overTops("likelihood/top-k-entropy", false, negentropy)
}

// MaxTopEntropy is likelihood/max-top-k-entropy: as [TopEntropy], at the token
// where the negentropy is lowest.
func MaxTopEntropy() monitor.Signal {
	return overTops("likelihood/max-top-k-entropy", true, negentropy)
}

func negentropy(p []float64) (score, raw float64) {
	sum, plogp := 0.0, 0.0
	for _, v := range p {
		sum += v
		if v > 0 {
			plogp += v * math.Log(v)
		}
	}
	h := math.Max(0, math.Log(sum)-plogp/sum)
	return 1 - h/math.Log(float64(len(p))), h
}

// Margin is likelihood/margin: raw and score are the mean over the answer's tokens
// of the probability of the likeliest token less that of the next. On the span of
// the final answer alone it is likelihood/answer-span-gap.
func Margin() monitor.Signal {
	return overTops("likelihood/margin", false, func(p []float64) (float64, float64) {
		first, second := 0.0, 0.0
		for _, v := range p {
			switch {
			case v > first:
				first, second = v, first
			case v > second:
				second = v
			}
		}
		return first - second, first - second
	})
}

// TailMass is likelihood/tail-mass: raw is the mean probability that the k
// likeliest tokens leave to all others; the score is 1 − raw. What is published as
// self-certainty from top-k log-probabilities spreads this mass evenly over the
// vocabulary and is a monotone function of it, hence the name; the true one is
// likelihood/self-certainty. Compare it at equal k only.
func TailMass() monitor.Signal {
	return overTops("likelihood/tail-mass", false, func(p []float64) (float64, float64) {
		tail := 1.0
		for _, v := range p {
			tail -= v
		}
		tail = math.Max(0, tail)
		return 1 - tail, tail
	})
}

// Renyi is likelihood/renyi (RenyiNeg, Darrin et al. 2023): raw is the mean over
// the answer's tokens of the Rényi divergence of order ½ between the k likeliest
// tokens at temperature 2, renormalised, and the uniform distribution over k, in
// nats; the score 1 − e^(−raw). The paper's is over the whole vocabulary, and
// equal to this one where k is all of it.
func Renyi() monitor.Signal {
	return overTops("likelihood/renyi", false, func(p []float64) (float64, float64) {
		d := -2 * math.Log(cosineToUniform(p))
		return 1 - math.Exp(-d), d
	})
}

// FisherRao is likelihood/fisher-rao (Darrin et al. 2023): raw and score are the
// mean over the answer's tokens of the Fisher–Rao distance, by its greatest,
// between the k likeliest tokens at temperature 2, renormalised, and the uniform
// distribution over k; see [Renyi] on k.
func FisherRao() monitor.Signal {
	return overTops("likelihood/fisher-rao", false, func(p []float64) (float64, float64) {
		d := 2 / math.Pi * math.Acos(math.Min(1, cosineToUniform(p)))
		return d, d
	})
}

// cosineToUniform is Σ √(q·1/k), the Bhattacharyya coefficient of the uniform
// distribution and q, the distribution p at temperature 2.
func cosineToUniform(p []float64) float64 {
	sum, roots := 0.0, 0.0
	for _, v := range p {
		q := math.Sqrt(v)
		sum += q
		roots += math.Sqrt(q)
	}
	return roots / math.Sqrt(sum*float64(len(p)))
}
