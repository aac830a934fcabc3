package page

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"gnothi/eval"
	"gnothi/internal/plot"
	"gnothi/internal/web"
	"gnothi/stats"
)

// The numbers in what is drawn here are the only text of it, so that nothing has
// to be escaped.

// share is a part of a bar.
type share struct {
	Name    string // outcome
	N       int
	Percent float64
	X       float64 // where it starts, in per cent
}

// shares divides a bar among outcomes, in the order in which they are told.
func shares(o eval.Outcomes) []share {
	all := []share{
		{Name: eval.OutcomeRight, N: o.Right}, {Name: eval.OutcomeWrong, N: o.Wrong}, {Name: eval.OutcomeMeasured, N: o.Measured},
		{Name: eval.OutcomeRefused, N: o.Refused}, {Name: eval.OutcomeUnparsed, N: o.Unparsed}, {Name: eval.OutcomeFailed, N: o.Failed}, {Name: eval.OutcomeUnasked, N: o.Unasked},
	}
	total := 0
	for _, s := range all {
		total += s.N
	}
	x := 0.0
	for i := range all {
		all[i].X = x
		if total > 0 {
			all[i].Percent = 100 * float64(all[i].N) / float64(total)
		}
		x += all[i].Percent
	}
	// Right and wrong are told even if there are none, unless nothing is graded.
	return slices.DeleteFunc(all, func(s share) bool {
		switch s.Name {
		case eval.OutcomeRight, eval.OutcomeWrong:
			return o.Right+o.Wrong == 0
		case eval.OutcomeMeasured, eval.OutcomeUnasked:
			return s.N == 0
		}
		return false
	})
}

// Bar draws shares as one bar; its parts can be told apart without colours by
// their order and the numbers in them.
func bar(parts []share) template.HTML {
	var b strings.Builder
	b.WriteString(`<svg class="bar" width="100%" height="34" role="img" aria-label="outcomes">`)
	for _, s := range parts {
		if s.N == 0 {
			continue
		}
		fmt.Fprintf(&b, `<rect class="o-%s" x="%.3f%%" width="%.3f%%" height="34"><title>%s: %d</title></rect>`, s.Name, s.X, s.Percent, s.Name, s.N)
		if s.Percent >= 6 {
			fmt.Fprintf(&b, `<text class="on-%s" x="%.3f%%" y="22" text-anchor="middle">%d</text>`, s.Name, s.X+s.Percent/2, s.N)
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // numbers and names of outcomes only
}

// axis is the scale that the measures of a table share.
type axis struct{ low, high float64 }

// axisOf is 0 to 1, or -1 to 1 where a measure is negative.
func axisOf(ms []eval.Measure) axis {
	a := axis{0, 1}
	for _, m := range ms {
		for _, v := range []float64{m.Figure.Value, m.Figure.Low} {
			if a.holds(m.Figure) && v < 0 {
				a.low = -1
			}
		}
	}
	return a
}

// holds tells whether a figure is of the kind that the axis shows.
func (a axis) holds(f stats.Figure) bool {
	return f.Suffix() == "" && math.Abs(f.Value) <= 1 && !(f.Low < -1.0001) && !(f.High > 1.0001)
}

func (a axis) at(v float64) float64 {
	return 100 * (min(max(v, a.low), a.high) - a.low) / (a.high - a.low)
}

// forest draws a measure on the axis, with what was published of it.
func (a axis) forest(m eval.Measure) template.HTML {
	f := m.Figure
	if math.IsNaN(f.Value) || !a.holds(f) {
		return ""
	}
	var b strings.Builder
	b.WriteString(`<svg class="forest" aria-hidden="true">`)
	line := func(class string, x1, y1, x2, y2 float64) {
		fmt.Fprintf(&b, `<line class="%s" x1="%.2f%%" x2="%.2f%%" y1="%g%%" y2="%g%%"/>`, class, x1, x2, y1, y2)
	}
	for _, v := range []float64{a.low, (a.low + a.high) / 2, a.high} {
		line("grid", a.at(v), 0, a.at(v), 100)
	}
	for _, p := range m.Published {
		if p.Value >= a.low && p.Value <= a.high {
			fmt.Fprintf(&b, `<svg x="%.2f%%" y="50%%" overflow="visible"><path class="published" d="M0-6 6 0 0 6-6 0Z"/></svg>`, a.at(p.Value))
		}
	}
	if !math.IsNaN(f.Low) && !math.IsNaN(f.High) {
		line("whisker", a.at(f.Low), 50, a.at(f.High), 50)
	}
	fmt.Fprintf(&b, `<circle class="point" cx="%.2f%%" cy="50%%" r="4.5"/></svg>`, a.at(f.Value))
	return template.HTML(b.String()) //nolint:gosec // numbers only
}

// Dots of more than two confidences hide each other, lines of more than four.
const (
	mostBinned = 2
	mostCurves = 4
)

// calibrated is what studies call the probability that a policy gives: it is
// drawn before what it is made of.
const calibrated = "probability"

// signalCharts draws whether confidences are calibrated, and what is risked at
// each coverage.
func signalCharts(signals []eval.SignalReport) []plot.Chart {
	reliability := web.Reliability()
	risk := plot.Chart{
		Title: "Risk and coverage", X: "share answered, the most confident first", Y: "share of them wrong", XMax: 1,
		Note: "a curve that rises from the left tells right answers from wrong ones",
	}
	signals = slices.Clone(signals)
	slices.SortStableFunc(signals, func(a, b eval.SignalReport) int { return bit(a.Name != calibrated) - bit(b.Name != calibrated) })
	binned, curved := 0, 0
	for _, s := range signals {
		if most := maxCount(s.Bins); most > 0 && binned < mostBinned {
			binned++
			series := plot.Series{Name: s.Name, Dots: true}
			for _, b := range s.Bins {
				p := plot.Point{X: b.P, Y: b.Y, Low: math.NaN(), High: math.NaN(), Size: max(0.2, float64(b.N)/float64(most))}
				if f, err := b.Rate(eval.Level); err == nil {
					p.Low, p.High = f.Low, f.High
				}
				series.Points = append(series.Points, p)
			}
			reliability.Series = append(reliability.Series, series)
		}
		if len(s.Risk) > 1 && curved < mostCurves {
			curved++
			series := plot.Series{Name: s.Name}
			for _, p := range s.Risk {
				series.Points = append(series.Points, plot.At(p.Coverage, p.Risk))
			}
			risk.Series = append(risk.Series, series)
		}
	}
	var out []plot.Chart
	if binned > 0 {
		out = append(out, reliability)
	}
	if curved > 0 {
		out = append(out, risk)
	}
	return out
}

func maxCount(bins []stats.Bin) int {
	n := 0
	for _, b := range bins {
		n = max(n, b.N)
	}
	return n
}

// costChart draws how many of the graded items come out right, by what they cost:
// in five groups of equal size.
func costChart(done []brief) (plot.Chart, bool) {
	type one struct{ cost, right float64 }
	all := make([]one, 0, len(done))
	priced := !slices.ContainsFunc(done, func(d brief) bool { return d.nanoUSD <= 0 })
	for _, d := range done {
		if !d.graded {
			continue
		}
		x := one{cost: float64(d.tokens)}
		if priced {
			x.cost = float64(d.nanoUSD) / 1e9
		}
		if d.right {
			x.right = 1
		}
		all = append(all, x)
	}
	const groups, fewest = 5, 25
	if len(all) < fewest {
		return plot.Chart{}, false
	}
	slices.SortStableFunc(all, func(a, b one) int { return cmp.Compare(a.cost, b.cost) })
	if all[0].cost == all[len(all)-1].cost {
		return plot.Chart{}, false
	}
	what := "tokens of an item"
	if priced {
		what = "dollars of an item"
	}
	s := plot.Series{Dots: true}
	for g := range groups {
		part := all[g*len(all)/groups : (g+1)*len(all)/groups]
		k, cost := 0, 0.0
		for _, x := range part {
			k += int(x.right)
			cost += x.cost
		}
		f, err := stats.Wilson(k, len(part), eval.Level)
		if err != nil {
			return plot.Chart{}, false
		}
		s.Points = append(s.Points, plot.Point{X: cost / float64(len(part)), Y: f.Value, Low: f.Low, High: f.High})
	}
	return plot.Chart{
		Title: "Right, by what it cost", X: what, Y: "share right", YMax: 1, Series: []plot.Series{s},
		Note: fmt.Sprintf("%d graded items in five groups of equal size, by cost; 95 %% Wilson intervals", len(all)),
	}, true
}
