package studies

import (
	"context"
	"iter"
	"math"

	"gnothi/control"
	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/likelihood"
)

// bonSizes are the sizes of the pools that are compared.
var bonSizes = []int{1, 2, 4, 8, 16}

// SelfCertaintyBoN is the study self-certainty-bon (Kang et al. 2025): accuracy
// over the number of samples of choosing the one of most self-certainty, of
// choosing by perplexity, of majority voting (self-consistency, Wang et al. 2022)
// and of Borda voting by self-certainty. Every way reads the same samples, and
// none costs a call beside them. Published: best-of-N by self-certainty rises
// with N where perplexity does not, and voting with it beats self-consistency.
// Chosen: 16 samples (the paper up to 64) at temperature 0.7.
func SelfCertaintyBoN() eval.Suite {
	return eval.Study[QA, Sampled]{
		Name:  "self-certainty-bon",
		About: "best-of-N by self-certainty beside majority voting, over the number of samples",
		Needs: "distribution",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return qaItems(s, 100, answerable) },
		Ask: func(ctx context.Context, s *eval.Session, q QA) (Sampled, error) {
			d, err := q.pool(ctx, s, "pool", monitor.DefaultSampling, bonSizes[len(bonSizes)-1])
			if err != nil {
				return Sampled{}, err
			}
			r := d.written()
			if err := r.read(ctx, d, "self-certainty", likelihood.SelfCertainty(), raw); err != nil {
				return r, err
			}
			return r, r.read(ctx, d, "perplexity", likelihood.MeanLogProb(), raw)
		},
		Measure: func(rs []Sampled) []eval.Measure {
			var out []eval.Measure
			out = append(out, curve("self-certainty, best", "self-certainty", control.Best{}, bonSizes, rs)...)
			out = append(out, curve("perplexity, best", "perplexity", control.Best{}, bonSizes, rs)...)
			out = append(out, curve("majority", "", control.Mass{}, bonSizes, rs)...)
			out = append(out, curve("self-certainty, Borda", "self-certainty", control.Borda{P: -1}, bonSizes, rs)...)
			n := bonSizes[len(bonSizes)-1]
			borda, majority := make([]float64, len(rs)), make([]float64, len(rs))
			for i, r := range rs {
				borda[i], majority[i] = one(r.picks(n, "self-certainty", control.Borda{P: -1})), one(r.picks(n, "", control.Mass{}))
			}
			return append(out, paired("Borda less majority, of 16", borda, majority))
		},
	}
}

func raw(r monitor.Reading) float64 {
	if math.IsNaN(r.Raw) || math.IsInf(r.Raw, 0) {
		return math.Copysign(1e9, r.Raw)
	}
	return r.Raw
}
