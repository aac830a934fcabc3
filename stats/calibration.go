package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
)

// Binning says how items are put into bins by their probability. Published ECE values differ by nothing but this rule.
type Binning int

const (
	// WidthRight: m equal bins (lo,hi], 0 in the first. The rule of lm-polygraph and uqlm, and the default here.
	WidthRight Binning = iota
	// WidthLeft: m equal bins [lo,hi), 1 in the last. The rule of netcal and relplot.
	WidthLeft
	// MassQuantile: edges are linear quantiles, a value on an edge goes below. Ties stay together, so the
	// result does not hang on input order: the equal-mass rule to report.
	MassQuantile
	// MassSplit: the sorted items cut into m runs of nearly equal length. Splits ties by input order.
	MassSplit
	// Unique: one bin for each distinct value; m is ignored.
	Unique
)

// Bin is one non-empty bin of a reliability diagram.
type Bin struct {
	Low  float64 `json:"low"` // edges for equal width, smallest and largest member otherwise
	High float64 `json:"high"`
	P    float64 `json:"p"` // mean probability
	Y    float64 `json:"y"` // mean outcome
	N    int     `json:"n"`

	varP, cov float64 // within-bin sums, for the decomposition of the Brier score
}

// Gap is what the bin claims beyond what came out: positive is over-confidence.
func (b Bin) Gap() float64 { return b.P - b.Y }

// Rate is the bin's outcome with its Wilson interval, for drawing. Outcomes must be 0 or 1.
func (b Bin) Rate(level float64) (Figure, error) {
	return Wilson(int(math.Round(b.Y*float64(b.N))), b.N, level)
}

// Bins sorts items with probability p and outcome y (both in [0,1]) into at most m non-empty bins, lowest first.
// There is at least one: the figures below mean nothing (NaN) without bins.
func Bins(p, y []float64, rule Binning, m int) ([]Bin, error) {
	if err := checkUnit(p, y); err != nil {
		return nil, err
	}
	if rule != Unique && (m < 1 || m > maxBins) {
		return nil, rangeError("number of bins", m, fmt.Sprintf("1 to %d", maxBins))
	}
	place, edges, err := assign(p, rule, m)
	if err != nil {
		return nil, err
	}
	all := make([]Bin, slices.Max(place)+1)
	for i, k := range place {
		b := &all[k]
		if b.N == 0 {
			b.Low, b.High = p[i], p[i]
		}
		b.Low, b.High = min(b.Low, p[i]), max(b.High, p[i])
		b.P += p[i]
		b.Y += y[i]
		b.N++
	}
	for k := range all {
		b := &all[k]
		b.P /= float64(b.N)
		b.Y /= float64(b.N)
		if edges != nil {
			b.Low, b.High = edges[k], edges[k+1]
		}
	}
	for i, k := range place {
		b := &all[k]
		b.varP += (p[i] - b.P) * (p[i] - b.P)
		b.cov += (p[i] - b.P) * (y[i] - b.Y)
	}
	return slices.DeleteFunc(all, func(b Bin) bool { return b.N == 0 }), nil
}

const maxBins = 1 << 20

// assign gives each item its bin number, ascending with p, and for equal width the edges.
func assign(p []float64, rule Binning, m int) (place []int, edges []float64, err error) {
	place = make([]int, len(p))
	switch rule {
	case WidthRight, WidthLeft:
		// i·(1/m) and not i/m: the edges of numpy.linspace, on which published values with p on an edge rest.
		edges = make([]float64, m+1)
		for i := range m {
			edges[i] = float64(i) * (1 / float64(m))
		}
		edges[m] = 1
		for i, v := range p {
			k := min(int(v*float64(m)), m-1) // right up to rounding
			for k > 0 && (v < edges[k] || rule == WidthRight && v == edges[k]) {
				k--
			}
			for k < m-1 && (v > edges[k+1] || rule == WidthLeft && v == edges[k+1]) {
				k++
			}
			place[i] = k
		}
	case MassQuantile:
		sorted := slices.Sorted(slices.Values(p))
		cuts := make([]float64, m-1)
		for i := range cuts {
			cuts[i] = quantile(sorted, float64(i+1)*(1/float64(m)))
		}
		for i, v := range p {
			place[i] = sort.SearchFloat64s(cuts, v)
		}
	case MassSplit: // the first len%m runs are one longer
		size, longer := len(p)/m, len(p)%m
		for r, i := range ascending(p) {
			if r < longer*(size+1) {
				place[i] = r / (size + 1)
			} else {
				place[i] = longer + (r-longer*(size+1))/size
			}
		}
	case Unique:
		order := ascending(p)
		for r, i := range order[1:] {
			place[i] = place[order[r]]
			if p[i] != p[order[r]] {
				place[i]++
			}
		}
	default:
		return nil, nil, rangeError("binning rule", int(rule), "one of the named ones")
	}
	return place, edges, nil
}

// Binned makes a [Metric] of a figure of bins, for [Bootstrap] and [PerfectForecaster]: Binned(WidthRight, 10, ECE).
func Binned(rule Binning, m int, figure func([]Bin) float64) Metric {
	return func(p, y []float64) (float64, error) {
		bins, err := Bins(p, y, rule, m)
		if err != nil {
			return 0, err
		}
		return figure(bins), nil
	}
}

func total(bins []Bin) (n float64) {
	for _, b := range bins {
		n += float64(b.N)
	}
	return n
}

// ECE is the expected calibration error: the mean absolute gap, weighted by bin size (Naeini et al., AAAI 2015).
// It is biased upwards: show it beside [PerfectForecaster] and [DebiasedECE].
func ECE(bins []Bin) float64 {
	var s float64
	for _, b := range bins {
		s += float64(b.N) * math.Abs(b.Gap())
	}
	return s / total(bins)
}

// MCE is the largest absolute gap.
func MCE(bins []Bin) float64 {
	var m float64
	for _, b := range bins {
		m = max(m, math.Abs(b.Gap()))
	}
	return m
}

// RMSCE is the root of the weighted mean squared gap.
func RMSCE(bins []Bin) float64 {
	var s float64
	for _, b := range bins {
		s += float64(b.N) * b.Gap() * b.Gap()
	}
	return math.Sqrt(s / total(bins))
}

// ACE is the unweighted mean absolute gap over non-empty bins.
func ACE(bins []Bin) float64 {
	var s float64
	for _, b := range bins {
		s += math.Abs(b.Gap())
	}
	return s / float64(len(bins))
}

// DebiasedECE takes from each bin's gap the bias that sampling noise adds to its absolute value, estimated at the gap
// itself: 2|g| − E|N(g, s²)| with s² = ȳ(1−ȳ)/n. This is the estimator of Kumar, Liang and Ma (NeurIPS 2019), who draw
// the normals; the expectation is a folded normal's mean, so no draws are needed. It is not below 0. For a calibrated
// forecaster about three fifths of the plug-in's bias are left, since |·| has no unbiased estimator at 0; the squared form,
// [DebiasedRMSCE], has.
func DebiasedECE(bins []Bin) float64 {
	var sum float64
	for _, b := range bins {
		g := math.Abs(b.Gap())
		s := math.Sqrt(b.Y * (1 - b.Y) / float64(b.N))
		sum += float64(b.N) * (2*g - foldedNormalMean(g, s))
	}
	return max(0, sum/total(bins))
}

// DebiasedRMSCE is the root of the squared calibration error less the noise ȳ(1−ȳ)/(n−1) of each bin, 0 where that is
// negative (Bröcker 2012; Ferro and Fricker 2012; Kumar et al. 2019). Its square is unbiased. Bins of one item have no
// noise estimate and are left out; with no other bin the result is 0.
func DebiasedRMSCE(bins []Bin) float64 {
	var sum, n float64
	for _, b := range bins {
		if b.N > 1 {
			sum += float64(b.N) * (b.Gap()*b.Gap() - b.Y*(1-b.Y)/float64(b.N-1))
			n += float64(b.N)
		}
	}
	if n == 0 {
		return 0
	}
	return math.Sqrt(max(0, sum/n))
}

// foldedNormalMean is E|X| for X ~ N(mu, s²), mu ≥ 0.
func foldedNormalMean(mu, s float64) float64 {
	if s == 0 {
		return mu
	}
	z := mu / s
	return s*math.Sqrt(2/math.Pi)*math.Exp(-z*z/2) + mu*math.Erf(z/math.Sqrt2)
}

// Brier is the mean squared error of p (Brier 1950). p and y in [0,1].
func Brier(p, y []float64) (float64, error) {
	if err := checkUnit(p, y); err != nil {
		return 0, err
	}
	var s float64
	for i := range p {
		s += (p[i] - y[i]) * (p[i] - y[i])
	}
	return s / float64(len(p)), nil
}

// Murphy is the decomposition of the Brier score over bins (Murphy 1973; the within-bin terms: Stephenson et al. 2008).
// With [Unique] bins both within-bin terms are 0.
type Murphy struct {
	Reliability         float64 `json:"reliability"` // squared gap: lower is better
	Resolution          float64 `json:"resolution"`  // spread of the outcome over bins: higher is better
	Uncertainty         float64 `json:"uncertainty"` // variance of the outcome: the questions' own
	WithinBinVariance   float64 `json:"within_bin_variance"`
	WithinBinCovariance float64 `json:"within_bin_covariance"`
}

// Brier puts the parts together again.
func (m Murphy) Brier() float64 {
	return m.Reliability - m.Resolution + m.Uncertainty + m.WithinBinVariance - m.WithinBinCovariance
}

// Decompose computes the parts of the Brier score of outcomes that are 0 or 1 from their bins.
func Decompose(bins []Bin) Murphy {
	n := total(bins)
	var base float64
	for _, b := range bins {
		base += float64(b.N) * b.Y / n
	}
	m := Murphy{Uncertainty: base * (1 - base)}
	for _, b := range bins {
		w := float64(b.N) / n
		m.Reliability += w * b.Gap() * b.Gap()
		m.Resolution += w * (b.Y - base) * (b.Y - base)
		m.WithinBinVariance += b.varP / n
		m.WithinBinCovariance += 2 * b.cov / n
	}
	return m
}

// Clip is how far from 0 and 1 the logarithmic figures keep a probability, unless told: a certain wrong answer costs
// 13.8 nats and not infinity.
const Clip = 1e-6

// LogLoss is the mean of −y ln p − (1−y) ln(1−p) in nats, p clipped to [eps, 1−eps]. eps in [0, ½); with eps 0 a certain
// miss is an error.
func LogLoss(p, y []float64, eps float64) (float64, error) {
	losses, err := logLosses(p, y, eps)
	if err != nil {
		return 0, err
	}
	return mean(losses), nil
}

func logLosses(p, y []float64, eps float64) ([]float64, error) {
	if err := checkUnit(p, y); err != nil {
		return nil, err
	}
	if !(eps >= 0 && eps < 0.5) {
		return nil, rangeError("clip", eps, "[0, 0.5)")
	}
	out := make([]float64, len(p))
	for i := range p {
		q := min(max(p[i], eps), 1-eps)
		out[i] = crossEntropy(q, y[i])
		if math.IsInf(out[i], 0) {
			return nil, fmt.Errorf("stats: log loss of item %d: certain and wrong: %w", i, ErrNotFinite)
		}
	}
	return out, nil
}

// crossEntropy gives 0·ln 0 its limit 0.
func crossEntropy(p, y float64) (h float64) {
	if y > 0 {
		h -= y * math.Log(p)
	}
	if y < 1 {
		h -= (1 - y) * math.Log1p(-p)
	}
	return h
}

// BaseRates is the forecast of one who knows only how often answers are right: for each item the mean outcome of its
// group, or of all items when group is nil. Taken from the items it is scored on, it is a stronger opponent than any
// forecaster of that kind could be beforehand.
func BaseRates(y []float64, group []int) ([]float64, error) {
	if err := checkUnit(y); err != nil {
		return nil, err
	}
	if err := checkLabels(group, len(y)); err != nil {
		return nil, err
	}
	if group == nil {
		group = make([]int, len(y))
	}
	out := make([]float64, len(y))
	for _, items := range members(group) {
		var s float64
		for _, i := range items {
			s += y[i]
		}
		for _, i := range items {
			out[i] = s / float64(len(items))
		}
	}
	return out, nil
}

// LogLossSkill is 1 − loss(p)/loss(base): the share of the base forecast's log loss that p removes. 1 is perfect, 0 is no
// better than base, negative is worse. p is clipped by [Clip]; base is taken as it is.
func LogLossSkill(p, base, y []float64) (float64, error) {
	a, err := LogLoss(p, y, Clip)
	if err != nil {
		return 0, err
	}
	b, err := LogLoss(base, y, 0)
	if err != nil {
		return 0, fmt.Errorf("base forecast: %w", err)
	}
	if b == 0 {
		return 0, fmt.Errorf("stats: log-loss skill: the base forecast is already perfect: %w", ErrOneClass)
	}
	return 1 - a/b, nil
}

// SkillOver is the log-loss skill of p over the base rates of the groups (nil: over the overall rate), with a bootstrap
// interval in which those rates are found anew in every resample.
func SkillOver(boot Bootstrap, rng *rand.Rand, p, y []float64, group []int) (Figure, error) {
	if err := checkUnit(p, y); err != nil {
		return Figure{}, err
	}
	if err := checkLabels(group, len(y)); err != nil {
		return Figure{}, err
	}
	boot, err := boot.checked(len(y))
	if err != nil {
		return Figure{}, err
	}
	unit, units, over := unitsOf(boot.Cluster, len(y))
	k, err := newSkills(p, y, unit, group)
	if err != nil {
		return Figure{}, err
	}
	return boot.resample(rng, len(y), units, over, k.of)
}
