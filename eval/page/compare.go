package page

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"

	"gnothi/eval"
	"gnothi/internal/web"
	"gnothi/stats"
)

// mostChanged bounds how many of the items that changed a comparison shows.
const mostChanged = 500

// inComparison is how much is shown of an item of which there are two.
var inComparison = clip{text: 1200, whole: 4000, fields: 40}

// comparison is what the template shows of two runs.
type comparison struct {
	*view
	C            *eval.Comparison
	NameA, NameB string
	Right        *square
	Table        *table
	Outcomes     []string
	Matrix       []matrixRow
	Kinds        []kind
	Changed      []changed
	More, Differ int
}

// square is the 2 × 2 of right and wrong.
type square struct {
	stats.Correction
	A, B, Change, P string
	Detectable      string
}

type matrixRow struct {
	Name  string
	Cells []matrixCell
}

type matrixCell struct {
	N    int
	Same bool
}

// kind is a way in which items changed.
type kind struct {
	A, B string
	N    int
}

// changed is an item that came out otherwise.
type changed struct {
	eval.Change
	Question string
	Of       []item // in A, in B
}

// WriteComparison writes compare.html: what two runs of a study differ in, with
// the items that came out otherwise side by side.
func WriteComparison(ctx context.Context, w io.Writer, c *eval.Comparison, a, b *eval.Folder) error {
	if err := writeComparison(ctx, w, c, a, b); err != nil {
		return fmt.Errorf("compare.html of runs %s and %s: %w", a.Where(), b.Where(), err)
	}
	return nil
}

func writeComparison(ctx context.Context, w io.Writer, c *eval.Comparison, a, b *eval.Folder) error {
	t, err := templates()
	if err != nil {
		return err
	}
	v := &comparison{C: c, Differ: len(c.Changed), view: &view{
		Title: fmt.Sprintf("%s: %s and %s · gnothi", c.Study, c.A, c.B), Header: b.Header, Policy: policy("default-src 'none'"),
		Style: template.CSS(web.Style()), Command: "gnothi eval compare A B --out compare.html", //nolint:gosec // our own
		Facts: []field{
			{"A", c.A}, {"B", c.B}, {"items in both", thousands(int64(c.Pairs))}, {"only in A, only in B", thousands(int64(c.OnlyA)) + ", " + thousands(int64(c.OnlyB))},
			{"cost of A", cost(c.SpendA)}, {"cost of B", cost(c.SpendB)},
		},
	}}
	v.NameA, v.NameB = a.Header.Model, b.Header.Model
	if v.NameA == v.NameB {
		v.NameA, v.NameB = c.A, c.B
	}
	if a.Header.Policy != b.Header.Policy {
		v.Facts = append(v.Facts, field{"policy of A", cmp.Or(a.Header.Policy, "the study's")}, field{"policy of B", cmp.Or(b.Header.Policy, "the study's")})
	}
	v.differences()
	v.square()
	v.matrix()
	for _, change := range c.Changed[:min(len(c.Changed), mostChanged)] {
		ch := changed{Change: change}
		for _, side := range []struct {
			folder *eval.Folder
			index  int
		}{{a, change.IndexA}, {b, change.IndexB}} {
			rec, calls, ok, err := load(ctx, side.folder, side.index)
			if err != nil {
				return err
			}
			if ok {
				ch.Of = append(ch.Of, see(rec, calls, nil, inComparison))
				ch.Question = ch.Of[0].Question
			}
		}
		v.Changed = append(v.Changed, ch)
	}
	v.More = len(c.Changed) - len(v.Changed)
	out := bufio.NewWriterSize(w, 1<<16)
	if err := t.ExecuteTemplate(out, "comparison", v); err != nil {
		return err
	}
	return out.Flush()
}

// differences lays out the measures' differences on one scale around 0.
func (v *comparison) differences() {
	far := 0.0
	for _, d := range v.C.Differences {
		for _, x := range []float64{d.Difference.Value, d.Difference.Low, d.Difference.High} {
			if math.Abs(x) <= 1 {
				far = max(far, math.Abs(x))
			}
		}
	}
	far = max(0.1, min(1, math.Ceil(far*10)/10))
	a, t := axis{-far, far}, &table{Name: "B less A"}
	t.Axis.Low, t.Axis.Middle, t.Axis.High = tick(-far), "0", tick(far)
	for _, d := range v.C.Differences {
		r := row{
			Name: web.Visible(d.Name), Value: signed(d.Difference.Value) + d.Difference.Suffix(), Interval: interval(d.Difference), N: d.Difference.N, Note: v.note(d.Difference.Method),
			P: tested(d.Difference), Plot: a.forest(eval.Measure{Figure: d.Difference}), Published: []string{number(d.A.Value) + d.A.Suffix(), number(d.B.Value) + d.B.Suffix()},
		}
		t.Drawn = t.Drawn || r.Plot != ""
		t.Tested = t.Tested || r.P != ""
		t.Rows = append(t.Rows, r)
	}
	v.Table = t
}

func (v *comparison) square() {
	r := v.C.Right
	if r == nil {
		return
	}
	s := &square{Correction: *r, A: number(r.Before.Value), B: number(r.After.Value), Change: signed(r.Change.Value) + ", 95 % interval " + interval(r.Change), P: tested(r.Change)}
	if d := v.C.Detectable; d != nil && !math.IsNaN(d.Figure.Value) {
		s.Detectable = number(d.Figure.Value)
	}
	v.Right = s
}

// matrix counts items by their outcome in A and in B.
func (v *comparison) matrix() {
	for _, o := range outcomeOrder {
		used := len(v.C.Table[o]) > 0
		for _, row := range v.C.Table {
			used = used || row[o] > 0
		}
		if used {
			v.Outcomes = append(v.Outcomes, o)
		}
	}
	for _, a := range v.Outcomes {
		row := matrixRow{Name: a}
		for _, b := range v.Outcomes {
			n := v.C.Table[a][b]
			row.Cells = append(row.Cells, matrixCell{n, a == b})
			if a != b && n > 0 {
				v.Kinds = append(v.Kinds, kind{a, b, n})
			}
		}
		v.Matrix = append(v.Matrix, row)
	}
	slices.SortStableFunc(v.Kinds, func(a, b kind) int { return b.N - a.N })
}

// signed writes a difference with its sign.
func signed(v float64) string {
	s := number(v)
	if v > 0 && s != "0.000" {
		return "+" + s
	}
	return s
}

func cost(s eval.Spend) string {
	return fmt.Sprintf("%s calls, %s tokens, %s", thousands(s.Calls), thousands(s.PromptTokens+s.CompletionTokens), dollars(s))
}
