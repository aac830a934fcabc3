package calibrate

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gnothi/monitor"
	"gnothi/monitor/probe"
	"gnothi/stats"
)

// Schema is the version of a stored calibrator.
const Schema = 1

// Key says what a calibrator holds for. Nothing near a key serves in its place.
type Key struct {
	Model  string `json:"model"`  // llm.ID.Key
	Policy string `json:"policy"` // control.Policy.String: every setting, temperature included
	Form   string `json:"form"`   // prompt.Form.ID
	Kind   string `json:"kind"`   // type of answer
}

// Named is a signal's reading of the answer.
type Named struct {
	Name string
	monitor.Reading
}

// Calibrator is a logistic regression on the log-odds of signals' scores. It
// holds numbers only, so it can be read, diffed and committed.
type Calibrator struct {
	Schema   int             `json:"schema"`
	Key      Key             `json:"key"`
	Name     string          `json:"name"`      // for people: model and policy
	On       string          `json:"on"`        // what it was fitted on
	Signals  []string        `json:"signals"`   // in the order of the fit's features
	Fit      *stats.Logistic `json:"fit"`       //
	BaseRate float64         `json:"base_rate"` // share of right answers
	Skill    float64         `json:"skill"`     // cross-fitted log-loss skill over the base rate
	// Probe, if there is one, gives the signal probe/p-ik.
	Probe *probe.PIK `json:"probe,omitempty"`
	// Spread is the inverse covariance of the standardised features, Reach the
	// largest squared Mahalanobis distance that is not called outside.
	Spread [][]float64 `json:"spread"`
	Reach  float64     `json:"reach"`
	// Few, if there is one, stands in place of the fit: a prior over models, updated
	// by fewer than [MinExamples] labelled answers.
	Few *Prior `json:"few,omitempty"`
}

// Level is the level of the intervals.
const Level = 0.90

// Estimate is a calibrated probability.
type Estimate struct {
	P         float64
	Low, High float64 // interval of P, at Level, at these scores
	Outside   bool    // the scores are unlike those that were fitted on
	Terms     []Term  // how it came about
}

// Shift moves the estimate and its interval by evidence that the calibrator did
// not know, in log-odds.
func (e *Estimate) Shift(name string, logOdds float64) {
	if logOdds == 0 {
		return
	}
	for _, p := range []*float64{&e.P, &e.Low, &e.High} {
		*p = stats.Sigmoid(stats.Logit(*p, stats.Clip) + logOdds)
	}
	e.Terms = append(e.Terms, Term{name, logOdds})
}

// Term is one summand of the log-odds.
type Term struct {
	Name  string
	Value float64
}

// Apply estimates the probability that the answer is right. It needs every
// signal that it was fitted with.
func (c *Calibrator) Apply(rs []Named) (Estimate, error) {
	if c.Few != nil {
		return c.Few.Apply(rs)
	}
	x, err := Features(c.Signals, rs)
	if err != nil {
		return Estimate{}, err
	}
	f, err := c.Fit.Interval(x, Level)
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{P: f.Value, Low: f.Low, High: f.High, Terms: []Term{{"base", c.Fit.Intercept}}}
	z := standardised(c.Fit, x)
	for i, name := range c.Signals {
		e.Terms = append(e.Terms, Term{name, c.Fit.Coef[i] * z[i]})
	}
	e.Outside = quad(c.Spread, z) > c.Reach
	return e, nil
}

// Features gives the log-odds of the named signals' scores, in order.
func Features(names []string, rs []Named) ([]float64, error) {
	x := make([]float64, len(names))
	for i, name := range names {
		k := slices.IndexFunc(rs, func(r Named) bool { return r.Name == name })
		if k < 0 {
			return nil, fmt.Errorf("the calibrator needs the signal %s", name)
		}
		x[i] = LogOdds(rs[k].Reading)
	}
	return x, nil
}

// LogOdds is what a reading contributes to a calibrator: the log-odds of its
// score, kept away from 0 and 1 by half a sample where it is a share of samples
// and by a millionth elsewhere.
func LogOdds(r monitor.Reading) float64 {
	s := r.Score
	if r.Source == "samples" && r.Reads > 0 {
		n := float64(r.Reads)
		s = (s*n + 0.5) / (n + 1)
	}
	return stats.Logit(s, 1e-6)
}

// Validate checks a stored calibrator, so that a broken file is an error where
// it is read and not a wrong probability later.
func (c *Calibrator) Validate() error {
	k := len(c.Signals)
	switch {
	case c.Schema != Schema:
		return fmt.Errorf("schema %d, want %d: fit it again with this version", c.Schema, Schema)
	case c.Few != nil:
		return c.Few.validate()
	case c.Fit == nil:
		return errors.New("it has no fit")
	case len(c.Fit.Coef) != k || len(c.Spread) != k:
		return fmt.Errorf("%d signals, %d coefficients, %d rows of spread", k, len(c.Fit.Coef), len(c.Spread))
	case c.Probe != nil && !(finite(c.Probe.Weight...) && finite(c.Probe.Bias) && c.Probe.Depth > 0 && c.Probe.Depth <= 1):
		return errors.New("the probe has a number that is not finite, or a depth outside (0,1]")
	case !finite(c.Reach, c.Skill, c.BaseRate):
		return errors.New("a number is not finite")
	}
	for _, row := range c.Spread {
		if len(row) != k || !finite(row...) {
			return errors.New("the spread is not a square of numbers")
		}
	}
	return c.Fit.Validate()
}

func standardised(m *stats.Logistic, x []float64) []float64 {
	z := make([]float64, len(x))
	for i := range x {
		if m.Scale[i] > 0 {
			z[i] = (x[i] - m.Mean[i]) / m.Scale[i]
		}
	}
	return z
}

func finite(vs ...float64) bool {
	for _, v := range vs {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// quad is x'Mx.
func quad(m [][]float64, x []float64) float64 {
	s := 0.0
	for i, row := range m {
		for j, v := range row {
			s += x[i] * v * x[j]
		}
	}
	return s
}
