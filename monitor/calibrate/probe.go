package calibrate

import (
	"fmt"
	"slices"

	"gnothi/monitor"
	"gnothi/monitor/probe"
	"gnothi/stats"
)

// minProbe is the fewest labelled answers that a probe is fitted on: it has as
// many weights as the model has dimensions.
const minProbe = 500

// probePenalty is the probe's L2 penalty on standardised dimensions, chosen on
// the default model among 100, 300, 1,000 and more.
const probePenalty = 100

// withProbe fits a probe where every example has a state and there are enough
// of them, and gives the examples its reading. What an example's own reading
// comes from has not seen its label, nor that of its cluster.
func withProbe(examples []Example, y []float64, fold []int) (*probe.PIK, []Example, error) {
	if len(examples) < minProbe || slices.ContainsFunc(examples, func(e Example) bool { return len(e.State) != len(examples[0].State) || len(e.State) == 0 }) {
		return nil, examples, nil
	}
	x := make([][]float64, len(examples))
	for i, e := range examples {
		x[i] = make([]float64, len(e.State))
		for j, v := range e.State {
			x[i][j] = float64(v)
		}
	}
	held, err := stats.CrossFit(fold, func(train []int) (*probe.PIK, error) { return fitProbe(x, y, train) },
		func(p *probe.PIK, i int) (float64, error) { return p.LogOdds(examples[i].State) })
	if err != nil {
		return nil, nil, fmt.Errorf("probe: %w", err)
	}
	all := make([]int, len(x))
	for i := range all {
		all[i] = i
	}
	p, err := fitProbe(x, y, all)
	if err != nil {
		return nil, nil, fmt.Errorf("probe: %w", err)
	}
	out := make([]Example, len(examples))
	for i, e := range examples {
		out[i] = e
		out[i].Readings = withReading(e.Readings, probe.Reading(held[i]))
	}
	return p, out, nil
}

// WithProbe gives the readings of an example, those of the calibrator's probe
// included.
func (c *Calibrator) WithProbe(e Example) ([]Named, error) {
	if c.Probe == nil {
		return e.Readings, nil
	}
	r, err := c.Probe.Reading(e.State)
	return withReading(e.Readings, r), err
}

// withReading puts a probe's reading before the others, in place of an earlier
// probe's.
func withReading(rs []Named, r monitor.Reading) []Named {
	others := slices.DeleteFunc(slices.Clone(rs), func(r Named) bool { return r.Name == probe.Name })
	return append([]Named{{Name: probe.Name, Reading: r}}, others...)
}

// fitProbe fits on some of the examples and folds the standardisation into the
// weights.
func fitProbe(x [][]float64, y []float64, train []int) (*probe.PIK, error) {
	tx, ty := make([][]float64, len(train)), make([]float64, len(train))
	for k, i := range train {
		tx[k], ty[k] = x[i], y[i]
	}
	m, err := stats.FitLogistic(tx, ty, probePenalty)
	if err != nil {
		return nil, err
	}
	p := &probe.PIK{Depth: probe.Depth, Bias: m.Intercept, Weight: make([]float64, len(m.Coef))}
	for j, c := range m.Coef {
		if m.Scale[j] > 0 {
			p.Weight[j] = c / m.Scale[j]
			p.Bias -= p.Weight[j] * m.Mean[j]
		}
	}
	return p, nil
}
