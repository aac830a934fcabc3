package calibrate

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"gnothi/stats"
)

// Pool fits the prior of a signal over models, a hierarchical model: each unit (a
// model on a set of questions) has a line of log-odds of its own, drawn from a
// normal distribution whose mean and covariance are found by maximum likelihood
// with each unit's sampling error taken off (empirical Bayes, by expectation and
// maximisation).
func Pool(signal string, units map[string][]Example) (*Prior, error) {
	p := &Prior{Schema: Schema, Signal: signal}
	var lines []pair
	var errs []sym
	for _, name := range slices.Sorted(maps.Keys(units)) {
		line, cov, err := slope(signal, units[name])
		if err != nil {
			return nil, fmt.Errorf("prior of %s: %s: %w", signal, name, err)
		}
		lines, errs = append(lines, line), append(errs, cov)
		p.Models = append(p.Models, name)
		p.N += len(units[name])
	}
	n := float64(len(lines))
	if n < 2 {
		return nil, fmt.Errorf("prior of %s: %d units: how much models differ takes at least 2", signal, len(lines))
	}
	var mean pair
	for _, l := range lines {
		mean = mean.plus(l.times(1 / n))
	}
	var between sym
	for _, l := range lines {
		between = between.plus(outer(l.plus(mean.times(-1))).times(1 / (n - 1)))
	}
	for range poolRounds {
		var moved pair
		var spread, left sym
		own := make([]pair, len(lines))
		precision := between.inverse()
		for u, l := range lines {
			posterior := precision.plus(errs[u].inverse()).inverse()
			own[u] = posterior.of(precision.of(mean).plus(errs[u].inverse().of(l)))
			left = left.plus(posterior.times(1 / n))
			moved = moved.plus(own[u].times(1 / n))
		}
		for _, o := range own {
			spread = spread.plus(outer(o.plus(moved.times(-1))).times(1 / (n - 1)))
		}
		mean, between = moved, spread.plus(left)
	}
	var information sym
	for _, e := range errs {
		information = information.plus(between.plus(e).inverse())
	}
	p.Coef, p.Between, p.Cov = mean, between.square(), information.inverse().square()
	return p, nil
}

// poolRounds is enough: with some hundred answers a unit the sampling error is
// small, and the first round is nearly the last.
const poolRounds = 200

// slope fits intercept and slope of one unit on the signal's own log-odds, and
// their covariance.
func slope(signal string, examples []Example) (line pair, cov sym, err error) {
	x, y := make([][]float64, len(examples)), make([]float64, len(examples))
	for i, e := range examples {
		if x[i], err = Features([]string{signal}, e.Readings); err != nil {
			return line, cov, err
		}
		if e.Right {
			y[i] = 1
		}
	}
	fit, err := stats.FitLogistic(x, y, penalty)
	if err != nil {
		return line, cov, err
	}
	if fit.Scale[0] == 0 {
		return line, cov, fmt.Errorf("the score is the same for all %d answers", len(examples))
	}
	// From the standardised scale to the signal's own.
	scale, shift := 1/fit.Scale[0], -fit.Mean[0]/fit.Scale[0]
	line = pair{fit.Intercept + shift*fit.Coef[0], scale * fit.Coef[0]}
	c := fit.Cov
	cov = sym{
		c[0][0] + 2*shift*c[0][1] + shift*shift*c[1][1],
		scale * (c[0][1] + shift*c[1][1]),
		scale * scale * c[1][1],
	}
	return line, cov, nil
}

// Update is what the prior becomes by labelled answers of a new model, few as
// they may be: the most probable line and, by Laplace's approximation, what is
// still unknown of it. Apply then speaks of that model.
func (p *Prior) Update(examples []Example) (*Prior, error) {
	x := make([]float64, len(examples))
	for i, e := range examples {
		f, err := Features([]string{p.Signal}, e.Readings)
		if err != nil {
			return nil, fmt.Errorf("answer %d: %w", i+1, err)
		}
		x[i] = f[0]
	}
	before := pair(p.Coef)
	precision := symOf(p.Between).plus(symOf(p.Cov)).inverse()
	loss := func(l pair) float64 {
		d := l.plus(before.times(-1))
		sum := dot(d, precision.of(d)) / 2
		for i, e := range examples {
			z := l[0] + l[1]*x[i]
			if !e.Right {
				z = -z
			}
			sum += math.Log1p(math.Exp(-math.Abs(z))) + max(0, -z)
		}
		return sum
	}
	line := before
	information := precision
	for range 100 {
		gradient := precision.of(line.plus(before.times(-1)))
		information = precision
		for i, e := range examples {
			at := pair{1, x[i]}
			q := stats.Sigmoid(dot(line, at))
			y := 0.0
			if e.Right {
				y = 1
			}
			gradient = gradient.plus(at.times(q - y))
			information = information.plus(outer(at).times(q * (1 - q)))
		}
		step := information.inverse().of(gradient)
		next, now := line, loss(line)
		for size := 1.0; size > 1e-6; size /= 2 {
			if next = line.plus(step.times(-size)); loss(next) <= now {
				break
			}
		}
		line = next
		if math.Abs(step[0])+math.Abs(step[1]) < 1e-9 {
			break
		}
	}
	out := *p
	out.Coef, out.Between, out.Cov = line, information.inverse().square(), [2][2]float64{}
	out.Own += len(examples)
	return &out, nil
}

// pair is a line, or a point of one; sym a symmetric matrix: its upper left, off
// diagonal and lower right.
type (
	pair [2]float64
	sym  [3]float64
)

func (a pair) plus(b pair) pair     { return pair{a[0] + b[0], a[1] + b[1]} }
func (a pair) times(k float64) pair { return pair{k * a[0], k * a[1]} }
func dot(a, b pair) float64         { return a[0]*b[0] + a[1]*b[1] }
func outer(a pair) sym              { return sym{a[0] * a[0], a[0] * a[1], a[1] * a[1]} }
func (m sym) plus(o sym) sym        { return sym{m[0] + o[0], m[1] + o[1], m[2] + o[2]} }
func (m sym) times(k float64) sym   { return sym{k * m[0], k * m[1], k * m[2]} }
func (m sym) of(a pair) pair        { return pair{m[0]*a[0] + m[1]*a[1], m[1]*a[0] + m[2]*a[1]} }
func (m sym) square() [2][2]float64 { return [2][2]float64{{m[0], m[1]}, {m[1], m[2]}} }
func symOf(m [2][2]float64) sym     { return sym{m[0][0], (m[0][1] + m[1][0]) / 2, m[1][1]} }

// inverse of a matrix that is positive definite, or all but: a millionth of its
// trace keeps models that do not differ in one direction from dividing by 0.
func (m sym) inverse() sym {
	ridge := 1e-6*(m[0]+m[2]) + 1e-12
	a, c := m[0]+ridge, m[2]+ridge
	det := a*c - m[1]*m[1]
	return sym{c / det, -m[1] / det, a / det}
}
