package stats

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Options of [Summarise]; the zero value is 10 bins, 95 % intervals, 1,000 resamples and simulations (200 above
// 20,000 items), no groups or clusters.
type Options struct {
	Bins      int
	Level     float64
	Resamples int
	Group     []int // kinds of question: adds figures within them
	Cluster   []int // items that are not independent
}

// Summary is everything worth printing about a score and its outcomes. Figures that do not apply are null with a reason:
// calibration of a score outside [0,1], ranking of one class, tests of graded outcomes.
type Summary struct {
	N           int    `json:"n"`
	Accuracy    Figure `json:"accuracy"`
	AUROC       Figure `json:"auroc"`
	AUROCWithin Figure `json:"auroc_within"` // pooled over groups by pairs
	APCorrect   Figure `json:"ap_correct"`
	APError     Figure `json:"ap_error"`
	AURC        Figure `json:"aurc"`
	EAURC       Figure `json:"eaurc"`
	PRR         Figure `json:"prr"`
	PRRHalf     Figure `json:"prr_50"` // rejecting at most half

	ECE                Figure `json:"ece"`          // equal width
	ECEPerfect         Figure `json:"ece_perfect"`  // what a perfect forecaster shows at this n
	ECEMass            Figure `json:"ece_mass"`     // equal mass
	ECEDebiased        Figure `json:"ece_debiased"` // Kumar et al. 2019
	ECEDebiasedPerfect Figure `json:"ece_debiased_perfect"`
	RMSCEDebiased      Figure `json:"rmsce_debiased"` // root of the unbiased squared error
	MCE                Figure `json:"mce"`
	SmECE              Figure `json:"smece"`
	Brier              Figure `json:"brier"`
	LogLoss            Figure `json:"log_loss"`
	Skill              Figure `json:"skill"`        // log-loss skill over the base rate
	SkillWithin        Figure `json:"skill_within"` // over the base rates of the groups
	Murphy             Murphy `json:"brier_parts"`

	Spiegelhalter *Test          `json:"spiegelhalter"`
	Cox           *Recalibration `json:"cox"`
	Why           []string       `json:"why,omitempty"` // reasons for a missing test
	Bins          []Bin          `json:"bins"`
}

// Summarise computes a [Summary]. It fails on empty, unequal or non-finite input and on outcomes outside [0,1]; everything
// else is a reason on the figure concerned.
func Summarise(rng *rand.Rand, score, y []float64, o Options) (Summary, error) {
	if err := checkScored(score, y); err != nil {
		return Summary{}, err
	}
	n := len(y)
	if err := errors.Join(checkLabels(o.Group, n), checkLabels(o.Cluster, n)); err != nil {
		return Summary{}, err
	}
	if o.Bins == 0 {
		o.Bins = 10
	}
	if o.Bins < 1 {
		return Summary{}, rangeError("number of bins", o.Bins, "at least 1")
	}
	if o.Level == 0 {
		o.Level = 0.95
	}
	if err := checkLevel(o.Level); err != nil {
		return Summary{}, err
	}
	if o.Resamples == 0 {
		o.Resamples = 1000
		if n > 20_000 {
			o.Resamples = 200
		}
	}
	if o.Resamples < 20 {
		return Summary{}, rangeError("resamples", o.Resamples, "at least 20")
	}
	boot := Bootstrap{Resamples: o.Resamples, Level: o.Level, Cluster: o.Cluster}
	figure := func(f Figure, err error) Figure {
		if err != nil {
			return Missing(n, err)
		}
		return f
	}
	of := func(kind IntervalKind, m Metric) Figure {
		b := boot
		b.Kind = kind
		return figure(b.Of(rng, m, score, y))
	}
	s := Summary{N: n, Accuracy: accuracy(y, o)}

	if o.Cluster == nil {
		s.AUROC = figure(DeLong(score, y, o.Level))
	} else {
		s.AUROC = figure(boot.AUROC(rng, score, y))
	}
	noGroups := Missing(n, errors.New("no groups given"))
	s.AUROCWithin, s.SkillWithin = noGroups, noGroups
	if o.Group != nil {
		s.AUROCWithin = figure(boot.Figure(rng, n, func(idx []int) (float64, error) {
			group := make([]int, len(idx))
			for i, k := range idx {
				group[i] = o.Group[k]
			}
			return AUROCWithin(take(nil, score, idx), take(nil, y, idx), group)
		}))
	}
	s.APCorrect = of(Percentile, AveragePrecision)
	s.APError = of(Percentile, func(score, y []float64) (float64, error) {
		return AveragePrecision(mapped(score, func(v float64) float64 { return -v }), mapped(y, func(v float64) float64 { return 1 - v }))
	})
	s.AURC, s.EAURC = of(Percentile, AURC), of(Percentile, EAURC)
	prr := func(share float64) Metric {
		return func(score, y []float64) (float64, error) { return PRR(score, y, share) }
	}
	s.PRR, s.PRRHalf = of(Percentile, prr(1)), of(Percentile, prr(0.5))

	if err := checkUnit(score); err != nil {
		missing := Missing(n, fmt.Errorf("not a probability: %w", err))
		for _, f := range []*Figure{&s.ECE, &s.ECEMass, &s.ECEDebiased, &s.ECEPerfect, &s.ECEDebiasedPerfect, &s.RMSCEDebiased, &s.MCE, &s.SmECE, &s.Brier, &s.LogLoss, &s.Skill, &s.SkillWithin} {
			*f = missing
		}
		s.Why = []string{missing.Why}
		return s, nil
	}
	// Resampling adds to a binned error the noise that sampling already added; the basic interval takes it off again. It may
	// then lie below the value, which it is made to include.
	gap := func(rule Binning, name string, f func([]Bin) float64) Figure {
		fig := of(Basic, Binned(rule, o.Bins, f))
		fig.Low, fig.High = max(0, min(fig.Low, fig.Value)), max(fig.High, fig.Value)
		fig.Method = fmt.Sprintf("%s, %d bins; %s", name, o.Bins, fig.Method)
		return fig
	}
	perfect := func(f func([]Bin) float64) Figure {
		c, err := PerfectForecaster(rng, score, y, Binned(WidthRight, o.Bins, f), o.Resamples)
		return figure(c.Perfect, err)
	}
	s.ECE = gap(WidthRight, "equal width (lo,hi]", ECE)
	s.ECEMass = gap(MassQuantile, "equal mass", ECE)
	s.ECEDebiased = gap(WidthRight, "equal width (lo,hi], debiased (Kumar et al. 2019)", DebiasedECE)
	s.RMSCEDebiased = gap(WidthRight, "equal width (lo,hi], root mean square, debiased", DebiasedRMSCE)
	s.MCE = gap(WidthRight, "equal width (lo,hi], largest", MCE)
	if v, sigma, err := SmECE(score, y); err != nil {
		s.SmECE = Missing(n, err)
	} else {
		s.SmECE = pointOnly(v, n, fmt.Sprintf("smooth ECE, kernel width %.4g", sigma), "no interval is computed")
	}
	s.ECEPerfect, s.ECEDebiasedPerfect = perfect(ECE), perfect(DebiasedECE)
	brier := make([]float64, n)
	for i := range y {
		brier[i] = (score[i] - y[i]) * (score[i] - y[i])
	}
	s.Brier = figure(Mean(brier, o.Cluster, o.Level))
	if losses, err := logLosses(score, y, Clip); err != nil {
		s.LogLoss = Missing(n, err)
	} else {
		s.LogLoss = figure(Mean(losses, o.Cluster, o.Level))
		s.LogLoss.Unit = " nats"
	}
	s.Skill = figure(SkillOver(boot, rng, score, y, nil))
	if o.Group != nil {
		s.SkillWithin = figure(SkillOver(boot, rng, score, y, o.Group))
	}
	bins, err := Bins(score, y, WidthRight, o.Bins)
	if err != nil {
		return Summary{}, err
	}
	s.Bins, s.Murphy = bins, Decompose(bins)
	if t, err := Spiegelhalter(score, y); err != nil {
		s.Why = append(s.Why, err.Error())
	} else {
		s.Spiegelhalter = &t
	}
	if c, err := Cox(score, y); err != nil {
		s.Why = append(s.Why, err.Error())
	} else {
		s.Cox = &c
	}
	return s, nil
}

// accuracy is Wilson's interval where that applies: right-or-wrong, independent items.
func accuracy(y []float64, o Options) Figure {
	f, err := Mean(y, o.Cluster, o.Level)
	if isBinary(y) && o.Cluster == nil {
		right := 0
		for _, v := range y {
			right += int(v)
		}
		f, err = Wilson(right, len(y), o.Level)
	}
	if err != nil {
		return Missing(len(y), err)
	}
	f.Low, f.High = max(0, f.Low), min(1, f.High) // NaN stays
	return f
}

func mapped(x []float64, f func(float64) float64) []float64 {
	out := slices.Clone(x)
	for i, v := range out {
		out[i] = f(v)
	}
	return out
}
