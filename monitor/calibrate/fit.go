package calibrate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"gnothi/stats"
)

// Example is a labelled answer to fit on.
type Example struct {
	Readings []Named
	Right    bool
	State    []float32 // the hidden state after the question, to fit a probe on; optional
	Cluster  string    // questions about the same thing; they are never parted
	// Weight is how many answers this one stands for, where not all were as likely to
	// be labelled; 0 is 1.
	Weight float64
}

// weights gives what the examples stand for, nil if that is one each.
func weights(examples []Example) []float64 {
	if !slices.ContainsFunc(examples, func(e Example) bool { return e.Weight != 0 && e.Weight != 1 }) {
		return nil
	}
	w := make([]float64, len(examples))
	for i, e := range examples {
		w[i] = cmp.Or(e.Weight, 1)
	}
	return w
}

// penalty is the L2 penalty of a fit of one feature, on its standardised scale: a
// prior of coefficients of about 1, which matters for few answers only. Where
// there are several, those of penalties that predicts best is taken.
const penalty = 1

func penalties() []float64 { return []float64{penalty, 10, 100, 1000} }

// folds of cross-fitting, or one for each cluster if there are fewer.
const folds = 10

// MinExamples is the fewest labelled answers that a calibrator is fitted on.
const MinExamples = 30

// Fit fits a calibrator on labelled answers, using the signals that all of them
// have. It also returns the cross-fitted probabilities, in the order of the
// examples, for honest figures.
func Fit(key Key, name, on string, examples []Example, seed uint64) (*Calibrator, []float64, error) {
	if len(examples) < MinExamples {
		return nil, nil, fmt.Errorf("%d labelled answers: at least %d are needed", len(examples), MinExamples)
	}
	c := &Calibrator{Schema: Schema, Key: key, Name: name, On: on}
	y, groups := outcomes(examples)
	w := weights(examples)
	c.BaseRate = mean(y, w)
	fold, err := foldsOf(groups, seed)
	if err != nil {
		return nil, nil, fmt.Errorf("%d answers: %w", len(y), err)
	}
	if c.Probe, examples, err = withProbe(examples, y, fold); err != nil {
		return nil, nil, err
	}
	if c.Signals = common(examples); len(c.Signals) == 0 {
		return nil, nil, fmt.Errorf("no signal was read for all %d answers", len(examples))
	}
	x := make([][]float64, len(examples))
	for i, e := range examples {
		if x[i], err = Features(c.Signals, e.Readings); err != nil {
			return nil, nil, err
		}
	}
	fit, err := fitBest(x, y, w, fold)
	if err != nil {
		return nil, nil, fmt.Errorf("%d answers, %.0f %% of them right: %w", len(y), 100*c.BaseRate, err)
	}
	if err := fit.Clustered(x, y, groups); err != nil {
		return nil, nil, err
	}
	c.Fit = fit
	held, err := crossFit(x, y, w, fold, fitBest)
	if err != nil {
		return nil, nil, fmt.Errorf("%d answers, %.0f %% of them right: %w", len(y), 100*c.BaseRate, err)
	}
	if c.Skill, err = skill(held, y, w); err != nil {
		return nil, nil, err
	}
	if err := c.spread(x, fold); err != nil {
		return nil, nil, err
	}
	return c, held, nil
}

// mean is the mean of x, weighed if there are weights.
func mean(x, w []float64) float64 {
	sum, n := 0.0, 0.0
	for i, v := range x {
		k := 1.0
		if w != nil {
			k = w[i]
		}
		sum, n = sum+k*v, n+k
	}
	return sum / n
}

// skill is what held-out probabilities save of the log loss of the base rate.
func skill(held, y, w []float64) (float64, error) {
	if w == nil {
		base, err := stats.BaseRates(y, nil)
		if err != nil {
			return 0, err
		}
		return stats.LogLossSkill(held, base, y)
	}
	rate := make([]float64, len(y))
	for i := range rate {
		rate[i] = mean(y, w)
	}
	return 1 - mean(losses(held, y), w)/mean(losses(rate, y), w), nil
}

// FitFew fits where there are fewer than [MinExamples] labelled answers, down to
// one: the first of the set's priors whose signal all of them have, updated. The
// probabilities it returns are each from the other answers.
func (s *Set) FitFew(key Key, name, on string, examples []Example) (*Calibrator, []float64, error) {
	if len(examples) == 0 {
		return nil, nil, errors.New("no labelled answers")
	}
	names := common(examples)
	at := slices.IndexFunc(s.priors, func(p *Prior) bool { return slices.Contains(names, p.Signal) })
	if at < 0 {
		return nil, nil, fmt.Errorf("%d labelled answers are too few to start from nothing (%d are not), and there is no prior for %v", len(examples), MinExamples, names)
	}
	prior := s.priors[at]
	held := make([]float64, len(examples))
	for i := range examples {
		others := slices.Delete(slices.Clone(examples), i, i+1)
		p, err := prior.Update(others)
		if err != nil {
			return nil, nil, err
		}
		e, err := p.Apply(examples[i].Readings)
		if err != nil {
			return nil, nil, err
		}
		held[i] = e.P
	}
	few, err := prior.Update(examples)
	if err != nil {
		return nil, nil, err
	}
	y, _ := outcomes(examples)
	c := &Calibrator{Schema: Schema, Key: key, Name: name, On: on, Signals: []string{prior.Signal}, Few: few}
	for _, v := range y {
		c.BaseRate += v / float64(len(y))
	}
	return c, held, nil
}

// outcomes gives what is to be predicted, and which examples belong together.
func outcomes(examples []Example) (y []float64, groups []int) {
	y = make([]float64, len(examples))
	clusters := make([]string, len(examples))
	for i, e := range examples {
		if e.Right {
			y[i] = 1
		}
		if clusters[i] = e.Cluster; e.Cluster == "" {
			clusters[i] = fmt.Sprint("#", i)
		}
	}
	return y, stats.Groups(clusters)
}

func foldsOf(groups []int, seed uint64) ([]int, error) {
	clusters := slices.Max(groups) + 1
	return stats.Folds(rand.New(rand.NewPCG(seed, 0)), len(groups), min(folds, clusters), groups)
}

// fitter fits features to outcomes; fold says what belongs together.
type fitter func(x [][]float64, y, w []float64, fold []int) (*stats.Logistic, error)

// withPenalty does not choose.
func withPenalty(l2 float64) fitter {
	return func(x [][]float64, y, w []float64, _ []int) (*stats.Logistic, error) {
		return stats.FitLogisticWeighted(x, y, w, l2)
	}
}

// fitBest fits with the penalty whose cross-fitted log loss is least, which it
// finds on the folds it is given: within a fold that is held out of all of them,
// the choice has not seen what it will be judged on either.
func fitBest(x [][]float64, y, w []float64, fold []int) (*stats.Logistic, error) {
	l2, err := bestPenalty(x, y, w, fold)
	if err != nil {
		return nil, err
	}
	return stats.FitLogisticWeighted(x, y, w, l2)
}

// innerFolds are enough to choose between so few penalties.
const innerFolds = 5

func bestPenalty(x [][]float64, y, w []float64, fold []int) (float64, error) {
	inner := make([]int, len(fold))
	for i, f := range stats.Groups(fold) {
		inner[i] = f % innerFolds
	}
	if len(x[0]) < 2 || slices.Max(inner) < 1 {
		return penalty, nil
	}
	best, least := float64(penalty), math.Inf(1)
	for _, l2 := range penalties() {
		held, err := crossFit(x, y, w, inner, withPenalty(l2))
		if err != nil {
			return 0, err
		}
		if loss := mean(losses(held, y), w); loss < least {
			best, least = l2, loss
		}
	}
	return best, nil
}

func crossFit(x [][]float64, y, w []float64, fold []int, how fitter) ([]float64, error) {
	fit := func(train []int) (*stats.Logistic, error) {
		tx, ty, tf := make([][]float64, len(train)), make([]float64, len(train)), make([]int, len(train))
		for k, i := range train {
			tx[k], ty[k], tf[k] = x[i], y[i], fold[i]
		}
		var tw []float64
		if w != nil {
			for _, i := range train {
				tw = append(tw, w[i])
			}
		}
		return how(tx, ty, tw, tf)
	}
	return stats.CrossFit(fold, fit, func(m *stats.Logistic, i int) (float64, error) { return m.Predict(x[i]) })
}

// common gives the signals that every example has, in the first one's order.
func common(examples []Example) []string {
	count := map[string]int{}
	for _, e := range examples {
		for _, r := range e.Readings {
			count[r.Name]++
		}
	}
	var names []string
	for _, r := range examples[0].Readings {
		if count[r.Name] == len(examples) {
			names = append(names, r.Name)
		}
	}
	return names
}

// alarm is the share of answers like the calibrator's that are called outside.
const alarm = 0.01

// spread sets the ellipsoid that holds 99 of 100 answers like the fitted ones.
// Its size comes from distances to the centre and covariance of the other folds:
// an answer is nearer to what it helped to make than a new one will be.
func (c *Calibrator) spread(x [][]float64, fold []int) error {
	z := make([][]float64, len(x))
	for i := range x {
		z[i] = standardised(c.Fit, x[i])
	}
	all := make([]int, len(x))
	for i := range all {
		all[i] = i
	}
	c.Spread = ellipsoid(z, all).inverse
	held, err := stats.CrossFit(fold, func(train []int) (shape, error) { return ellipsoid(z, train), nil },
		func(s shape, i int) (float64, error) { return s.distance(z[i]), nil })
	if err != nil {
		return err
	}
	if c.Reach, err = stats.ConformalQuantile(held, alarm); err != nil {
		return err
	}
	if math.IsInf(c.Reach, 1) { // fewer than 99: nothing seen is outside
		c.Reach = slices.Max(held)
	}
	return nil
}

// shape is a centre and an inverse covariance.
type shape struct {
	centre  []float64
	inverse [][]float64
}

func (s shape) distance(z []float64) float64 {
	d := slices.Clone(z)
	for i := range d {
		d[i] -= s.centre[i]
	}
	return quad(s.inverse, d)
}

func ellipsoid(z [][]float64, items []int) shape {
	k := len(z[0])
	s := shape{centre: make([]float64, k), inverse: make([][]float64, k)}
	n := float64(len(items))
	for _, i := range items {
		for j, v := range z[i] {
			s.centre[j] += v / n
		}
	}
	cov := mat.NewSymDense(k, nil)
	for _, i := range items {
		for a := range k {
			for b := a; b < k; b++ {
				cov.SetSym(a, b, cov.At(a, b)+(z[i][a]-s.centre[a])*(z[i][b]-s.centre[b])/n)
			}
		}
	}
	for a := range k {
		cov.SetSym(a, a, cov.At(a, a)+0.01) // signals may be all but collinear
	}
	var inv mat.Dense
	// The ridge makes the matrix positive definite; a condition warning is harmless.
	_ = inv.Inverse(cov)
	for a := range k {
		s.inverse[a] = slices.Clone(inv.RawRowView(a))
	}
	return s
}
