package consistency

import (
	"context"
	"math"

	"gnothi/monitor"
	"gnothi/monitor/likelihood"
)

// SentenceSAR is consistency/sentence-sar-MEASURE (Duan et al. 2023): raw is the
// entropy of the samples, each of which gains probability from those that are
// like it ([SAR]). The score is e^(−raw) by the most that it can be,
// 1 + 1000·(n−1).
func SentenceSAR(by Measure) monitor.Signal {
	return ofSamples("consistency/sentence-sar-"+string(by), by.needs()|monitor.SampleTokens, func(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) (float64, float64, error) {
		logP, err := logProbs(cs, false)
		if err != nil {
			return 0, 0, err
		}
		return shifted(ctx, t, by, logP)
	})
}

// FullSAR is consistency/sar-MEASURE (Duan et al. 2023): as [SentenceSAR], with
// the tokens of each sample weighed by their relevance
// ([likelihood.Relevances]).
func FullSAR(by Measure) monitor.Signal {
	return ofSamples("consistency/sar-"+string(by), by.needs()|monitor.SampleTokens|monitor.SampleRelevance, func(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) (float64, float64, error) {
		logP := make([]float64, len(cs))
		for i, c := range cs {
			r, err := monitor.ScoreOne(ctx, likelihood.TokenSAR(), t, c)
			if err != nil {
				return 0, 0, err
			}
			logP[i] = r.Raw
		}
		return shifted(ctx, t, by, logP)
	})
}

func shifted(ctx context.Context, t *monitor.Trial, by Measure, logP []float64) (score, raw float64, err error) {
	w, err := monitor.Get(ctx, t, Pairwise{by, nil})
	if err != nil {
		return 0, 0, err
	}
	raw = SAR(logP, w)
	return math.Exp(-raw) / (1 + float64(len(logP)-1)/sarTemperature), raw, nil
}
