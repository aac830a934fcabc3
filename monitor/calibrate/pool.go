package calibrate

import (
	"fmt"
	"maps"
	"slices"

	"gnothi/stats"
)

// Pool fits the prior of a signal over models: a line of log-odds for each unit
// (a model on a set of questions), their mean, and how much they differ. The
// difference among units holds the sampling error of each as well, so the
// interval is rather too wide than too narrow.
func Pool(signal string, units map[string][]Example) (*Prior, error) {
	p := &Prior{Schema: Schema, Signal: signal}
	var lines [][2]float64
	for _, name := range slices.Sorted(maps.Keys(units)) {
		line, err := slope(signal, units[name])
		if err != nil {
			return nil, fmt.Errorf("prior of %s: %s: %w", signal, name, err)
		}
		lines = append(lines, line)
		p.Models = append(p.Models, name)
		p.N += len(units[name])
	}
	n := float64(len(lines))
	if n < 2 {
		return nil, fmt.Errorf("prior of %s: %d units: how much models differ takes at least 2", signal, len(lines))
	}
	for _, l := range lines {
		for i := range l {
			p.Coef[i] += l[i] / n
		}
	}
	for _, l := range lines {
		for i := range l {
			for j := range l {
				p.Between[i][j] += (l[i] - p.Coef[i]) * (l[j] - p.Coef[j]) / (n - 1)
			}
		}
	}
	for i := range p.Cov {
		for j := range p.Cov[i] {
			p.Cov[i][j] = p.Between[i][j] / n
		}
	}
	return p, nil
}

// slope fits intercept and slope of one unit on the signal's own log-odds.
func slope(signal string, examples []Example) (line [2]float64, err error) {
	x, y := make([][]float64, len(examples)), make([]float64, len(examples))
	for i, e := range examples {
		if x[i], err = Features([]string{signal}, e.Readings); err != nil {
			return line, err
		}
		if e.Right {
			y[i] = 1
		}
	}
	fit, err := stats.FitLogistic(x, y, penalty)
	if err != nil {
		return line, err
	}
	line[1] = fit.Coef[0] / fit.Scale[0]
	line[0] = fit.Intercept - line[1]*fit.Mean[0]
	return line, nil
}
