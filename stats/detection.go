package stats

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat/distuv"
)

// Detection counts yes-or-no answers: yes is right for signals, no for noise.
type Detection struct {
	Hits, Misses, FalseAlarms, Rejections int
}

// Ends says how rates of 0 and 1, whose normal quantiles are infinite, are handled.
type Ends int

const (
	// EndsLogLinear adds ½ to every count (Hautus 1995): biased least.
	EndsLogLinear Ends = iota
	// EndsClip keeps rates ½/n away from the ends (Macmillan and Kaplan 1985).
	EndsClip
	// EndsRaw takes them as they are; a rate of 0 or 1 is then an error.
	EndsRaw
)

// Sensitivity is what signal detection theory makes of the counts.
type Sensitivity struct {
	DPrime    float64 `json:"d_prime"`   // z(hit rate) − z(false-alarm rate)
	Criterion float64 `json:"criterion"` // −(zH + zF)/2: positive is reluctant to say yes
	LnBeta    float64 `json:"ln_beta"`   // log of the likelihood ratio at the criterion
	APrime    float64 `json:"a_prime"`   // the nonparametric area estimate (Pollack and Norman 1964)
}

// Sensitivity needs at least one signal and one noise trial.
func (d Detection) Sensitivity(ends Ends) (Sensitivity, error) {
	if min(d.Hits, d.Misses, d.FalseAlarms, d.Rejections) < 0 {
		return Sensitivity{}, rangeError("counts", d, "at least 0")
	}
	signal, noise := float64(d.Hits+d.Misses), float64(d.FalseAlarms+d.Rejections)
	if signal == 0 || noise == 0 {
		return Sensitivity{}, fmt.Errorf("stats: detection: %g signals, %g noise trials: %w", signal, noise, ErrOneClass)
	}
	h, f := float64(d.Hits)/signal, float64(d.FalseAlarms)/noise
	switch ends {
	case EndsLogLinear:
		h, f = (float64(d.Hits)+0.5)/(signal+1), (float64(d.FalseAlarms)+0.5)/(noise+1)
	case EndsClip:
		h, f = min(max(h, 0.5/signal), 1-0.5/signal), min(max(f, 0.5/noise), 1-0.5/noise)
	case EndsRaw:
		if h == 0 || h == 1 || f == 0 || f == 1 {
			return Sensitivity{}, rangeError("hit or false-alarm rate", [2]float64{h, f}, "inside (0,1), or another rule for the ends")
		}
	default:
		return Sensitivity{}, rangeError("rule for the ends", int(ends), "EndsLogLinear, EndsClip or EndsRaw")
	}
	zh, zf := distuv.UnitNormal.Quantile(h), distuv.UnitNormal.Quantile(f)
	s := Sensitivity{DPrime: zh - zf, Criterion: -(zh + zf) / 2, LnBeta: (zf*zf - zh*zh) / 2}
	if h >= f {
		s.APrime = 0.5 + (h-f)*(1+h-f)/(4*h*(1-f))
	} else {
		s.APrime = 0.5 - (f-h)*(1+f-h)/(4*f*(1-h))
	}
	return s, nil
}

// Metacognition is how well confidence tells right first-order decisions from wrong ones, on the scale of the decisions
// themselves (Maniscalco and Lau 2012).
type Metacognition struct {
	DPrime    float64 `json:"d_prime"`
	Criterion float64 `json:"criterion"`
	MetaD     float64 `json:"meta_d"`  // the d′ of an ideal observer with this confidence
	MRatio    float64 `json:"m_ratio"` // meta-d′/d′: 1 uses all that the decision used; NaN when d′ is 0
	LogL      float64 `json:"log_likelihood"`
}

// MetaD fits meta-d′ by maximum likelihood, the standard deviations equal and the relative first-order criterion kept.
// s1[k] counts trials with stimulus S1, s2[k] with S2, by answer and confidence, from "S1, surest" through "S1, least sure"
// and "S2, least sure" to "S2, surest": 2·R counts each for R ratings. pad is added to every count, 1/(2R) being usual;
// 0 needs every rate at every confidence inside (0,1). It needs a decision between two alternatives (true or false): for
// open answers report the type-2 AUROC, which is [AUROC] of the confidence against right or wrong. Where the decisions are
// little better than chance there may be no fit; DPrime and Criterion are returned beside that error.
func MetaD(s1, s2 []int, pad float64) (Metacognition, error) {
	if len(s1) != len(s2) || len(s1) < 4 || len(s1)%2 != 0 {
		return Metacognition{}, fmt.Errorf("stats: meta-d′: %d and %d counts, want an even number of at least 4 for each stimulus: %w", len(s1), len(s2), ErrLength)
	}
	if !(pad >= 0) || math.IsInf(pad, 0) {
		return Metacognition{}, rangeError("pad", pad, "at least 0")
	}
	ratings := len(s1) / 2
	n1, n2 := make([]float64, len(s1)), make([]float64, len(s1))
	var sum1, sum2 float64
	for k := range s1 {
		if s1[k] < 0 || s2[k] < 0 {
			return Metacognition{}, rangeError("count", min(s1[k], s2[k]), "at least 0")
		}
		n1[k], n2[k] = float64(s1[k])+pad, float64(s2[k])+pad
		sum1 += n1[k]
		sum2 += n2[k]
	}
	// z of the rates of answering beyond each boundary, S1 and S2.
	bound := func(k int) (zf, zh float64) {
		var f, h float64
		for j := k; j < len(n1); j++ {
			f += n1[j] / sum1
			h += n2[j] / sum2
		}
		return distuv.UnitNormal.Quantile(min(1, f)), distuv.UnitNormal.Quantile(min(1, h))
	}
	centre := make([]float64, len(n1)) // criteria of an observer with equal variances, for a start
	for k := 1; k < len(n1); k++ {
		zf, zh := bound(k)
		if centre[k] = -(zf + zh) / 2; math.IsInf(centre[k], 0) || math.IsNaN(centre[k]) {
			return Metacognition{}, fmt.Errorf("stats: meta-d′: no trial beyond boundary %d of a stimulus: pad the counts: %w", k, ErrSeparated)
		}
	}
	zf, zh := bound(ratings)
	out := Metacognition{DPrime: zh - zf, Criterion: centre[ratings]}
	if math.Abs(out.DPrime) < 1e-9 {
		return out, fmt.Errorf("stats: meta-d′: d′ is 0, the relative criterion is undefined: %w", ErrConstant)
	}

	// Parameters: meta-d′, then log steps from the first-order criterion outwards on both sides.
	steps := ratings - 1
	x := make([]float64, 1+2*steps)
	x[0] = out.DPrime
	for k := range steps {
		x[1+k] = math.Log(max(0.01, centre[ratings-k]-centre[ratings-k-1]))
		x[1+steps+k] = math.Log(max(0.01, centre[ratings+k+1]-centre[ratings+k]))
	}
	cuts := make([]float64, len(n1)+1)
	loss := func(x []float64) float64 {
		meta := x[0]
		shift := out.Criterion / out.DPrime * meta // meta-c′ = c′
		cuts[0], cuts[ratings], cuts[len(n1)] = math.Inf(-1), shift, math.Inf(1)
		for k := range steps {
			cuts[ratings-k-1] = cuts[ratings-k] - math.Exp(x[1+k])
			cuts[ratings+k+1] = cuts[ratings+k] + math.Exp(x[1+steps+k])
		}
		var l float64
		for s, n := range [][]float64{n1, n2} {
			d := distuv.Normal{Mu: (float64(s) - 0.5) * meta, Sigma: 1}
			below, above := math.Log(d.CDF(shift)), math.Log(d.Survival(shift))
			for k, v := range n {
				p, side := d.CDF(cuts[k+1])-d.CDF(cuts[k]), below
				if k >= ratings {
					p, side = d.Survival(cuts[k])-d.Survival(cuts[k+1]), above
				}
				l -= v * (math.Log(max(p, 1e-300)) - side)
			}
		}
		return l
	}
	numeric := &fd.Settings{Formula: fd.Central, Step: 1e-6}
	slope := func(grad, x []float64) { fd.Gradient(grad, loss, x, numeric) }
	grad := make([]float64, len(x))
	settled := func(x []float64) bool {
		slope(grad, x)
		for _, g := range grad {
			if !(math.Abs(g) < 1e-2) {
				return false
			}
		}
		return true
	}
	// A line search stops early where ratings hardly differ; a walk without slopes gets it going again. What it returns as an
	// error is that it stopped: whether it arrived is judged by the slope.
	for round := 0; round < 4 && !settled(x); round++ {
		if r, _ := optimize.Minimize(optimize.Problem{Func: loss, Grad: slope}, x, &optimize.Settings{GradientThreshold: 1e-4, MajorIterations: 500}, &optimize.BFGS{}); r != nil {
			x = r.X
		}
		if settled(x) {
			break
		}
		if r, _ := optimize.Minimize(optimize.Problem{Func: loss}, x, &optimize.Settings{MajorIterations: 2000}, &optimize.NelderMead{}); r != nil {
			x = r.X
		}
	}
	if !settled(x) {
		return out, fmt.Errorf("stats: meta-d′: the fit did not settle; with d′ = %.2g the relative criterion may mean nothing", out.DPrime)
	}
	out.MetaD, out.MRatio, out.LogL = x[0], x[0]/out.DPrime, -loss(x)
	return out, nil
}

// MetaD is the figure of what (of the meta-d′, say, or the M-ratio) with an interval over trials, which are drawn from both
// stimuli together. A resample on which the fit is undefined is left out, see [Bootstrap.Figure].
func (b Bootstrap) MetaD(rng *rand.Rand, s1, s2 []int, pad float64, what func(Metacognition) float64) (Figure, error) {
	if _, err := MetaD(s1, s2, pad); err != nil {
		return Figure{}, err
	}
	var cells []int // of each trial, those of S2 after those of S1
	for k, n := range append(append([]int(nil), s1...), s2...) {
		for range n {
			cells = append(cells, k)
		}
	}
	counts := make([]int, 2*len(s1))
	return b.Figure(rng, len(cells), func(idx []int) (float64, error) {
		clear(counts)
		for _, i := range idx {
			counts[cells[i]]++
		}
		m, err := MetaD(counts[:len(s1)], counts[len(s1):], pad)
		return what(m), err
	})
}

// Decision is a decision between two alternatives, with how sure it was: any finite number, higher is surer.
type Decision struct {
	Stimulus, Response int // 0 (S1) or 1 (S2)
	Confidence         float64
}

// RatingCounts sorts decisions into the counts that [MetaD] takes. Confidence becomes at most levels ratings (0: 4) of about
// equal size, by quantiles over all decisions; equal confidences stay together, so there may be fewer: len(s1)/2 of them.
// ErrConstant where all confidences are the same, ErrOneClass where one stimulus never came or one response was never given
// (d′ and meta-d′ mean nothing then).
func RatingCounts(decisions []Decision, levels int) (s1, s2 []int, err error) {
	if levels == 0 {
		levels = 4
	}
	if levels < 2 || levels > 100 {
		return nil, nil, rangeError("confidence levels", levels, "2 to 100")
	}
	if len(decisions) == 0 {
		return nil, nil, fmt.Errorf("stats: rating counts: %w", ErrEmpty)
	}
	rating, ratings, err := rate(decisions, levels)
	if err != nil {
		return nil, nil, err
	}
	counts := [2][]int{make([]int, 2*ratings), make([]int, 2*ratings)}
	var seen, given [2]int
	for i, d := range decisions {
		counts[d.Stimulus][cell(d, rating[i], ratings)]++
		seen[d.Stimulus]++
		given[d.Response]++
	}
	for k := range 2 {
		if seen[k] == 0 || given[k] == 0 {
			return nil, nil, fmt.Errorf("stats: rating counts: stimulus %d came %d times, response %d %d times: %w", k, seen[k], k, given[k], ErrOneClass)
		}
	}
	return counts[0], counts[1], nil
}

// rate gives each decision its rating from 0, least sure.
func rate(decisions []Decision, levels int) (rating []int, ratings int, err error) {
	confidence := make([]float64, len(decisions))
	for i, d := range decisions {
		if d.Stimulus < 0 || d.Stimulus > 1 || d.Response < 0 || d.Response > 1 {
			return nil, 0, rangeError(fmt.Sprintf("decision %d", i), [2]int{d.Stimulus, d.Response}, "stimulus and response 0 or 1")
		}
		confidence[i] = d.Confidence
	}
	if err := checkFinite(confidence); err != nil {
		return nil, 0, fmt.Errorf("confidence: %w", err)
	}
	place, _, err := assign(confidence, MassQuantile, levels)
	if err != nil {
		return nil, 0, err
	}
	used := slices.Compact(slices.Sorted(slices.Values(place)))
	if len(used) < 2 {
		// Most are as sure as can be: those, and the rest.
		low, high := slices.Min(confidence), slices.Max(confidence)
		if low == high {
			return nil, 0, fmt.Errorf("stats: rating counts: every confidence is %v: %w", low, ErrConstant)
		}
		for i, v := range confidence {
			place[i] = 0
			if v == high {
				place[i] = 1
			}
		}
		return place, 2, nil
	}
	for i, p := range place {
		place[i], _ = slices.BinarySearch(used, p)
	}
	return place, len(used), nil
}

// cell is the place of a rated decision in the counts of its stimulus.
func cell(d Decision, rating, ratings int) int {
	if d.Response == 0 {
		return ratings - 1 - rating
	}
	return ratings + rating
}

// Metacognitive are the figures of [Metacognition] with intervals.
type Metacognitive struct {
	DPrime    Figure `json:"d_prime"`
	Criterion Figure `json:"criterion"`
	MetaD     Figure `json:"meta_d"`
	MRatio    Figure `json:"m_ratio"`
	Type2     Figure `json:"type2_auroc"` // of confidence, for right against wrong
	Levels    int    `json:"levels"`      // ratings that confidence was cut into
}

// Metacognition is what decisions and their confidence tell: sensitivity, criterion, meta-d′, M-ratio, and the type-2 AUROC,
// which needs no model. Confidence is cut as in [RatingCounts], once and not in each resample; counts are padded by
// 1/(2·ratings). Where the interval of d′ holds 0 the M-ratio, which divides by it, has a value and no interval. Each
// resample is a fit of half a millisecond, so Resamples 0 are 500 (chosen). Errors are those of RatingCounts.
func (b Bootstrap) Metacognition(rng *rand.Rand, decisions []Decision, levels int) (Metacognitive, error) {
	b.Resamples = cmp.Or(b.Resamples, 500)
	b, err := b.checked(len(decisions))
	if err != nil {
		return Metacognitive{}, err
	}
	if b.Kind == BCa {
		return Metacognitive{}, rangeError("interval kind", int(b.Kind), "Percentile or Basic: a jackknife of fits is not worth its time")
	}
	first, _, err := RatingCounts(decisions, levels)
	if err != nil {
		return Metacognitive{}, err
	}
	ratings := len(first) / 2
	rating, _, err := rate(decisions, cmp.Or(levels, 4))
	if err != nil {
		return Metacognitive{}, err
	}
	cells := make([]int, len(decisions))
	confidence, right := make([]float64, len(decisions)), make([]float64, len(decisions))
	for i, d := range decisions {
		cells[i] = d.Stimulus*2*ratings + cell(d, rating[i], ratings)
		confidence[i] = d.Confidence
		if d.Stimulus == d.Response {
			right[i] = 1
		}
	}
	unit, units, over := unitsOf(b.Cluster, len(decisions))
	ranking := newRanking(confidence, right, unit)
	counts := make([]int, 4*ratings)
	var runs []tied
	var fit Metacognition
	var failed error
	weigh := func(count []int32) {
		clear(counts)
		for i, c := range cells {
			counts[c] += int(count[unit[i]])
		}
		runs = ranking.weigh(count)
		fit, failed = MetaD(counts[:2*ratings], counts[2*ratings:], 1/float64(2*ratings))
	}
	out := Metacognitive{Levels: ratings}
	b.together(rng, len(decisions), units, over, weigh, []estimate{
		{b.Kind, &out.DPrime, func() (float64, error) { return fit.DPrime, nil }},
		{b.Kind, &out.Criterion, func() (float64, error) { return fit.Criterion, nil }},
		{b.Kind, &out.MetaD, func() (float64, error) { return fit.MetaD, failed }},
		{b.Kind, &out.MRatio, func() (float64, error) { return fit.MRatio, failed }},
		{b.Kind, &out.Type2, func() (float64, error) { return auroc(runs) }},
	})
	if d := out.DPrime; d.Low <= 0 && d.High >= 0 && !math.IsNaN(out.MRatio.Value) {
		out.MRatio = pointOnly(out.MRatio.Value, out.MRatio.N, out.MRatio.Method, "d′ may be 0, and a ratio to it anything")
	}
	return out, nil
}
