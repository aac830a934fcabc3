package studies

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"gnothi/control"
	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/likelihood"
	"gnothi/stats"
	"gnothi/text"
)

// SharpeningResult is a pool of samples and the greedy answer.
type SharpeningResult struct {
	Sampled
	Greedy text.Outcome `json:"greedy"`
}

// Sharpening is the study sharpening-mechanism (Huang et al. 2024): what a model
// gains by choosing the sample that it itself finds most probable, and the
// coverage C = E[1/π(y*|x)] that bounds how many samples that takes: about
// C·ln(1/δ) see the best answer with probability 1 − δ. π is estimated by the
// share of the class of the most probable sample. Published: theory, and gains of
// best-of-N by log-probability on several sets. The sum favours short answers;
// the mean is shown beside it. Learning to produce the winners is training.
func Sharpening() eval.Suite {
	return eval.Study[QA, SharpeningResult]{
		Name:  "sharpening-mechanism",
		About: "what choosing the most probable of N samples gains, and the coverage that it rests on",
		Needs: "logprobs",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return qaItems(s, 100, answerable) },
		Ask: func(ctx context.Context, s *eval.Session, q QA) (SharpeningResult, error) {
			d, err := q.pool(ctx, s, "pool", monitor.Sampling{Temperature: 1}, bonSizes[len(bonSizes)-1])
			if err != nil {
				return SharpeningResult{}, err
			}
			greedy, err := monitor.Get(ctx, d.trial, monitor.Greedy{})
			if err != nil {
				return SharpeningResult{}, err
			}
			r := SharpeningResult{d.written(), q.grade(greedy.Answer)}
			if err := r.read(ctx, d, "sum", likelihood.SequenceLogProb(), raw); err != nil {
				return r, err
			}
			return r, r.read(ctx, d, "mean", likelihood.MeanLogProb(), raw)
		},
		Measure: measureSharpening,
	}
}

func measureSharpening(rs []SharpeningResult) []eval.Measure {
	pools := make([]Sampled, len(rs))
	var greedy, passed, sharp, shares []float64
	n := bonSizes[len(bonSizes)-1]
	undefined := 0
	for i, r := range rs {
		pools[i] = r.Sampled
		greedy, passed = append(greedy, one(r.Greedy == text.Right)), append(passed, one(slices.Contains(r.Right, true)))
		sharp = append(sharp, one(r.picks(n, "sum", control.Best{})))
		if p := r.bestShare("sum"); p > 0 {
			shares = append(shares, p)
		} else {
			undefined++
		}
	}
	out := []eval.Measure{eval.Average("greedy", greedy), eval.Average(fmt.Sprintf("pass@%d", n), passed)}
	out = append(out, curve("most probable, sum", "sum", control.Best{}, bonSizes, pools)...)
	out = append(out, curve("most probable, mean", "mean", control.Best{}, bonSizes, pools)...)
	out = append(out, curve("majority", "", control.Mass{}, bonSizes, pools)...)
	out = append(out, paired("most probable of 16 less greedy", sharp, greedy))
	coverage, err := stats.Bootstrap{}.Figure(fixed(), len(shares), func(idx []int) (float64, error) {
		of := make([]float64, len(idx))
		for k, i := range idx {
			of[k] = shares[i]
		}
		return control.Coverage(of)
	})
	out = append(out, eval.Of("coverage C", coverage, err), eval.Share("questions of which no answer could be read", undefined, len(rs)))
	if c, err := control.Coverage(shares); err == nil {
		out = append(out, eval.Value("samples that see the best answer with probability .9", float64(control.CoverageSamples(c, .1)), len(shares), "C·ln 10", "follows from the coverage"))
	}
	return out
}

// bestShare is the share of the class of the sample with the highest score, 0
// where none can be read.
func (r Sampled) bestShare(by string) float64 {
	best := -1
	for i, f := range r.Scores[by] {
		if f != nil && r.Class[i] >= 0 && (best < 0 || *f > *r.Scores[by][best]) {
			best = i
		}
	}
	if best < 0 {
		return 0
	}
	n := 0
	for _, c := range r.Class {
		n += int(one(c == r.Class[best]))
	}
	return float64(n) / float64(len(r.Class))
}
