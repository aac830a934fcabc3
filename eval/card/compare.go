package card

import (
	_ "embed" // the page
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"gnothi/eval"
	"gnothi/stats"
)

// Comparison is two cards row by row.
type Comparison struct {
	Schema int         `json:"schema"` // 1
	Models [2]string   `json:"models"`
	Seeds  [2]uint64   `json:"seeds"`
	Rows   []RowsApart `json:"rows"`
	Tested int         `json:"tested"` // rows with a p-value, over which Holm's correction goes
}

// RowsApart is one row of both cards.
type RowsApart struct {
	ID      string          `json:"id"`
	Title   string          `json:"title"`
	Lower   bool            `json:"lower_is_better,omitempty"`
	Figures [2]stats.Figure `json:"figures"` // a missing one is null
	// Difference is the second less the first, with its p-value, raw and adjusted.
	Difference stats.Figure `json:"difference"`
	// Paired: over the items that both have, Shared of them.
	Paired bool   `json:"paired"`
	Shared int    `json:"shared"`
	How    string `json:"how"`
	rows   [2]Row
}

// fewestPairs is below what shared items are not paired (chosen).
const fewestPairs = 6

// Compare sets two cards beside one another. Rows whose values are means are
// compared over the items that both cards have, if both were asked the same; all
// others as independent samples. P-values are corrected over the rows (Holm).
func Compare(a, b *Card) (*Comparison, error) {
	if a.Set != b.Set {
		return nil, fmt.Errorf("the cards are of different sets of suites, %d and %d: their rows do not count the same; make one of them again", a.Set, b.Set)
	}
	out := &Comparison{Schema: Schema, Models: [2]string{a.Model, b.Model}, Seeds: [2]uint64{a.Seed, b.Seed}}
	find := func(c *Card, id string) (Row, bool) {
		for _, g := range c.Groups {
			for _, r := range g.Rows {
				if r.ID == id {
					return r, true
				}
			}
		}
		return Row{}, false
	}
	for _, g := range groups() {
		for _, rule := range g.rules {
			x, inA := find(a, rule.id)
			y, inB := find(b, rule.id)
			if !inA && !inB {
				continue
			}
			r := RowsApart{ID: rule.id, Title: rule.title, Lower: rule.lower, rows: [2]Row{x, y}}
			missing := errors.New("not on this card")
			for i, row := range r.rows {
				if r.Figures[i] = row.Figure; row.ID == "" {
					r.Figures[i] = stats.Missing(0, missing)
					r.rows[i].present(rule)
				}
			}
			if inA && inB {
				rule.apart(&r)
			} else {
				r.Difference, r.How = stats.Missing(0, errors.New("on one card only")), "on one card only"
			}
			out.Rows = append(out.Rows, r)
		}
	}
	if len(out.Rows) == 0 {
		return nil, errors.New("the cards have no row in common")
	}
	var figures []*stats.Figure
	for i := range out.Rows {
		figures = append(figures, &out.Rows[i].Difference)
		if out.Rows[i].Difference.Tested() {
			out.Tested++
		}
	}
	return out, stats.AdjustFigures(stats.Holm, figures...)
}

// apart is the difference of a row of two cards.
func (r rule) apart(to *RowsApart) {
	a, b := to.rows[0].Items, to.rows[1].Items
	second := map[string]Item{}
	for _, i := range b {
		second[i.Key] = i
	}
	var x, y []float64 // of shared items
	for _, i := range a {
		if j, ok := second[i.Key]; ok {
			x, y = append(x, r.single(i)), append(y, r.single(j))
		}
	}
	to.Shared = len(x)
	var err error
	switch {
	case r.kind == ece:
		err = errors.New("calibration errors are biased by their n: not compared")
	case r.kind == auroc:
		to.How = "unpaired: each model has its own right and wrong answers"
		if r.study == "unknowns" {
			to.How = "unpaired"
		}
		to.Difference, err = between(to.Figures[0], to.Figures[1])
	case len(x) >= fewestPairs && 2*len(x) >= max(len(a), len(b)):
		to.Paired, to.How = true, fmt.Sprintf("paired over %d shared items", len(x))
		to.Difference, err = r.pairs(x, y)
	default:
		to.How = fmt.Sprintf("unpaired: %d shared items", len(x))
		to.Difference, err = between(to.Figures[0], to.Figures[1])
	}
	if err != nil {
		to.Difference = stats.Missing(min(len(a), len(b)), err)
		if to.How == "" {
			to.How = err.Error()
		}
	}
}

// single is what an item adds to a mean.
func (r rule) single(i Item) float64 {
	if r.kind == excess {
		return i.X - i.Y
	}
	return i.X
}

// pairs is the mean difference over shared items, with a permutation test.
func (r rule) pairs(x, y []float64) (stats.Figure, error) {
	span := rule{low: r.low - r.high, high: r.high - r.low}
	f, err := span.average(less(y, x))
	if err != nil {
		return f, err
	}
	t, err := stats.PairedPermutation(fixed(), y, x)
	f.P, f.Method = t.P, f.Method+"; "+t.Method
	return f, err
}

// between is the difference of two independent figures, from their intervals
// (Newcombe's square-and-add) with a z test of the standard errors in them.
func between(a, b stats.Figure) (stats.Figure, error) {
	for _, f := range []stats.Figure{a, b} {
		if math.IsNaN(f.Value) || math.IsNaN(f.Low) || math.IsNaN(f.High) {
			return stats.Figure{}, errors.New("a figure has no value or no interval")
		}
	}
	d := b.Value - a.Value
	out := stats.Figure{Value: d, N: min(a.N, b.N), Method: "difference of independent figures: squares of the arms of both intervals added"}
	out.Low = d - math.Hypot(b.Value-b.Low, a.High-a.Value)
	out.High = d + math.Hypot(b.High-b.Value, a.Value-a.Low)
	// The arm that points to no difference is the one that the test is about.
	arm := d - out.Low
	if d < 0 {
		arm = out.High - d
	}
	const z95 = 1.959963984540054
	if arm > 0 {
		out.P = max(math.Erfc(math.Abs(d)/arm*z95/math.Sqrt2), math.SmallestNonzeroFloat64)
	}
	return out, nil
}

// Words is what a row's difference means.
func (r RowsApart) Words() string {
	d := r.Difference
	switch {
	case math.IsNaN(d.Value):
		return d.Why
	case d.Tested() && d.PAdjusted <= 1-eval.Level:
		return "differs"
	}
	return "not told apart"
}

// Number words a figure of one of the cards, or the difference.
func (r RowsApart) Number(v float64, difference bool) string {
	if math.IsNaN(v) {
		return "–"
	}
	row := r.rows[0]
	if difference {
		if row.percent {
			return strings.Replace(fmt.Sprintf("%+.0f pts", 100*v), "-", "−", 1)
		}
		return strings.Replace(fmt.Sprintf("%+.2f", v), "-", "−", 1)
	}
	return row.number(v, row.signed())
}

// Interval words the interval of the difference.
func (r RowsApart) Interval() string {
	if math.IsNaN(r.Difference.Low) || math.IsNaN(r.Difference.High) {
		return ""
	}
	return r.Number(r.Difference.Low, true) + " to " + r.Number(r.Difference.High, true)
}

// P words the adjusted p-value.
func (r RowsApart) P() string {
	switch d := r.Difference; {
	case !d.Tested():
		return "–"
	case d.PAdjusted < .001:
		return "< .001"
	default:
		return fmt.Sprintf("%.3f", d.PAdjusted)
	}
}

// Forest draws the difference on a scale of −1 to 1.
func (r RowsApart) Forest() template.HTML {
	row := Row{Title: r.Title, Figure: r.Difference, Level: new(float64), gauge: [2]float64{-1, 1}}
	class := "same"
	if r.Words() == "differs" {
		class = "plain"
	}
	return gauge(row, class)
}

// Names are how the models are called.
func (c *Comparison) Names() [2]string { return [2]string{name(c.Models[0]), name(c.Models[1])} }

//go:embed compare.html
var compareHTML string

// HTML writes the comparison as one page that needs nothing else.
func (c *Comparison) HTML(w io.Writer) error {
	_, rest, _ := strings.Cut(pageHTML, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	t, err := template.New("compare").Parse(strings.Replace(compareHTML, "/*style*/", style, 1))
	if err != nil {
		return err
	}
	return t.Execute(w, c)
}
