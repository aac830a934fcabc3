package stats

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Options of [Summarise]; the zero value is 10 bins, 95 % intervals, 1,000 resamples and simulations (above 20,000 items
// 20,000,000/n, at least 200: intervals of many items are narrow, and cost is bounded; chosen), no groups or clusters.
type Options struct {
	Bins      int
	Level     float64
	Resamples int
	Group     []int  // kinds of question: adds figures within them
	Cluster   []int  // items that are not independent
	Drawn     func() // if set, called after each resample
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

// Summarise computes a [Summary]. Bootstrap intervals of all figures come from the same resamples: each is what it would be
// alone. Time is O(n log n + n·resamples), memory O(n). It fails on empty, unequal or non-finite input and on outcomes outside [0,1]; everything
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
	if o.Bins < 1 || o.Bins > maxBins {
		return Summary{}, rangeError("number of bins", o.Bins, fmt.Sprintf("1 to %d", maxBins))
	}
	if o.Level == 0 {
		o.Level = 0.95
	}
	if err := checkLevel(o.Level); err != nil {
		return Summary{}, err
	}
	if o.Resamples == 0 {
		o.Resamples = min(1000, max(200, 20_000_000/n))
	}
	if o.Resamples < 20 {
		return Summary{}, rangeError("resamples", o.Resamples, "at least 20")
	}
	boot := Bootstrap{Resamples: o.Resamples, Level: o.Level, Cluster: o.Cluster, Drawn: o.Drawn}
	figure := func(f Figure, err error) Figure {
		if err != nil {
			return Missing(n, err)
		}
		return f
	}
	s := Summary{N: n, Accuracy: accuracy(y, o), AUROC: figure(DeLong(score, y, o.Level))}
	noGroups := Missing(n, errors.New("no groups given"))
	s.AUROCWithin, s.SkillWithin = noGroups, noGroups
	notProbability := checkUnit(score)
	s.resampled(boot, rng, score, y, o, notProbability == nil, true)

	if err := notProbability; err != nil {
		missing := Missing(n, fmt.Errorf("not a probability: %w", err))
		for _, f := range []*Figure{&s.ECE, &s.ECEMass, &s.ECEDebiased, &s.ECEPerfect, &s.ECEDebiasedPerfect, &s.RMSCEDebiased, &s.MCE, &s.SmECE, &s.Brier, &s.LogLoss, &s.Skill, &s.SkillWithin} {
			*f = missing
		}
		s.Why = []string{missing.Why}
		return s, nil
	}
	if v, sigma, err := SmECE(score, y); err != nil {
		s.SmECE = Missing(n, err)
	} else {
		s.SmECE = pointOnly(v, n, fmt.Sprintf("smooth ECE, kernel width %.4g", sigma), "no interval is computed")
	}
	perfect := perfectBins(rng, score, widthEdges(o.Bins), o.Resamples, ECE, DebiasedECE)
	s.ECEPerfect, s.ECEDebiasedPerfect = perfect[0], perfect[1]
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

// Rankings are the figures of a [Summary] that tell how a score ranks: AUROC (only where there are clusters), AUROC within
// groups, PRR and AURC, from the same resamples. The others are left empty. Cost and errors are those of [Summarise].
func (b Bootstrap) Rankings(rng *rand.Rand, score, y []float64, group []int) (Summary, error) {
	b, err := b.checked(len(y))
	if err == nil {
		err = errors.Join(checkScored(score, y), checkLabels(group, len(y)))
	}
	if err != nil {
		return Summary{}, err
	}
	s := Summary{N: len(y), AUROCWithin: Missing(len(y), errors.New("no groups given"))}
	s.resampled(b, rng, score, y, Options{Bins: 1, Group: group, Cluster: b.Cluster}, false, false)
	return s, nil
}

// resampled fills in the figures with bootstrap intervals; all: also those that
// [Bootstrap.Rankings] leaves empty.
func (s *Summary) resampled(boot Bootstrap, rng *rand.Rand, score, y []float64, o Options, probability, all bool) {
	n := len(y)
	// Items in the order of their scores: then a resample is read from front to back.
	order := ascending(score)
	slices.Reverse(order)
	score, y = take(nil, score, order), take(nil, y, order)
	var group []int
	if o.Group != nil {
		group = permute(o.Group, order)
	}
	var cluster []int
	if o.Cluster != nil {
		cluster = permute(o.Cluster, order)
	}
	unit, units, over := unitsOf(cluster, n)
	byScore := newRanking(score, y, unit)
	_, notBinary := checkBinary(score, y)
	var byOutcome *ranking
	if notBinary != nil {
		byOutcome = newRanking(y, y, unit)
	}
	var byGroup []*ranking
	if group != nil && isBinary(y) {
		byGroup = within(score, y, unit, group)
	}

	var count []int32
	var runs, perfect, wrong []tied
	var quality, area, best float64 // mean outcome, risk–coverage areas of the score and of a perfect one
	var width, mass []Bin
	var edges []float64
	groups := make([][]tied, len(byGroup))
	upper := widthEdges(o.Bins)
	weigh := func(drawn []int32) {
		count = drawn
		runs = byScore.weigh(count)
		if all {
			wrong = reversed(wrong, runs)
		}
		n, right := sums(runs)
		if notBinary == nil {
			perfect = append(perfect[:0], tied{1, right, right}, tied{0, n - right, 0})
			perfect = slices.DeleteFunc(perfect, func(r tied) bool { return r.n == 0 })
		} else {
			perfect = byOutcome.weigh(count)
		}
		quality, area, best = right/n, aurc(runs), aurc(perfect)
		for k, r := range byGroup {
			groups[k] = r.weigh(count)
		}
		if probability {
			edges = massEdges(edges, runs, o.Bins)
			width, mass = cut(width, runs, upper), cut(mass, runs, edges)
		}
	}
	// ranked is a figure of two classes.
	ranked := func(stat func() (float64, error)) func() (float64, error) {
		return func() (float64, error) {
			if notBinary != nil {
				return 0, notBinary
			}
			return stat()
		}
	}
	always := func(stat func() float64) func() (float64, error) {
		return func() (float64, error) { return stat(), nil }
	}
	precision := func(_, precision float64) float64 { return precision }
	list := []estimate{
		{Percentile, &s.AURC, always(func() float64 { return area })},
		{Percentile, &s.PRR, func() (float64, error) { return rejection(quality, 1-area, 1-best) }},
	}
	if all {
		list = append(list,
			estimate{Percentile, &s.APCorrect, ranked(func() (float64, error) { return precisionRecall(runs, precision) })},
			estimate{Percentile, &s.APError, ranked(func() (float64, error) { return precisionRecall(wrong, precision) })},
			estimate{Percentile, &s.EAURC, always(func() float64 { return area - best })},
			estimate{Percentile, &s.PRRHalf, func() (float64, error) { return prr(runs, perfect, 0.5) }})
	}
	if o.Cluster != nil {
		list = append(list, estimate{Percentile, &s.AUROC, ranked(func() (float64, error) { return auroc(runs) })})
	}
	if o.Group != nil {
		list = append(list, estimate{Percentile, &s.AUROCWithin, func() (float64, error) {
			if byGroup == nil {
				return 0, fmt.Errorf("stats: y: %w", ErrNotBinary)
			}
			return auroc(groups...)
		}})
	}
	if !probability {
		boot.together(rng, n, units, over, weigh, list)
		return
	}
	skill := func(into *Figure, group []int) {
		k, err := newSkills(score, y, unit, group)
		if err != nil {
			*into = Missing(n, err)
			return
		}
		list = append(list, estimate{Percentile, into, func() (float64, error) { return k.of(count) }})
	}
	skill(&s.Skill, nil)
	if o.Group != nil {
		skill(&s.SkillWithin, group)
	}
	type gap struct {
		into *Figure
		name string
		of   func() float64
	}
	gaps := []gap{
		{&s.ECE, "equal width (lo,hi]", func() float64 { return ECE(width) }},
		{&s.ECEMass, "equal mass", func() float64 { return ECE(mass) }},
		{&s.ECEDebiased, "equal width (lo,hi], debiased (Kumar et al. 2019)", func() float64 { return DebiasedECE(width) }},
		{&s.RMSCEDebiased, "equal width (lo,hi], root mean square, debiased", func() float64 { return DebiasedRMSCE(width) }},
		{&s.MCE, "equal width (lo,hi], largest", func() float64 { return MCE(width) }},
	}
	// Resampling adds to a binned error the noise that sampling already added; the basic interval takes it off again. It may
	// then lie below the value, which it is made to include.
	for _, g := range gaps {
		list = append(list, estimate{Basic, g.into, always(g.of)})
	}
	boot.together(rng, n, units, over, weigh, list)
	for _, g := range gaps {
		f := g.into
		f.Low, f.High = max(0, min(f.Low, f.Value)), max(f.High, f.Value) // NaN stays
		f.Method = fmt.Sprintf("%s, %d bins; %s", g.name, o.Bins, f.Method)
	}
}

// accuracy has Wilson's interval, for clusters too, where answers are right or wrong.
func accuracy(y []float64, o Options) Figure {
	f, err := Mean(y, o.Cluster, o.Level)
	if isBinary(y) {
		f, err = WilsonClustered(y, o.Cluster, o.Level)
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
