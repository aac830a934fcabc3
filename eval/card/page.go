package card

import (
	"cmp"
	_ "embed" // the page
	"encoding/xml"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"gnothi/eval"
	"gnothi/stats"
)

//go:embed page.html
var pageHTML string

// count is a number of rows of a grade.
type count struct {
	N     int
	What  string
	Class string
}

// view is what the page shows.
type view struct {
	Card        *Card
	Title, Name string
	Spec        string
	Items       int
	Cost        string
	Counts      []count
	Groups      []groupView
	Held        int // rows that are held against a level
	Tests       []test
	Papers      []Paper
	Priced      bool
}

type groupView struct {
	ID, Title string
	Picture   template.HTML
	Rows      []rowView
}

// test is a level with the rows that are held against it.
type test struct{ Is, Rows string }

type rowView struct {
	Row
	Gauge       template.HTML
	Says, Small string
}

// unbroken keeps a number and its unit on one line.
func unbroken(s string) string { return strings.ReplaceAll(s, " %", "\u00a0%") }

// Lost words what of a suite came to nothing.
func (view) Lost(o eval.Outcomes) string {
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{o.Refused, "refused"}, {o.Unparsed, "unread"}, {o.Failed, "failed"}, {o.Unasked, "not asked"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "–")
}

// Class is the colour of a grade.
func (view) Class(grade string) string {
	switch grade {
	case Better, Fair:
		return "good"
	case Worse, Biased:
		return "bad"
	case Same, NoValue:
		return "same"
	}
	return "plain"
}

// Short is a grade in fewer words.
func (view) Short(grade string) string {
	if grade == Same {
		return "not told apart"
	}
	return grade
}

// Tokens is how many a suite took.
func (view) Tokens(s eval.Spend) int64 { return s.PromptTokens + s.CompletionTokens }

// USD is what a suite cost.
func (view) USD(s eval.Spend) string {
	if s.Unpriced > 0 {
		return "not known"
	}
	return fmt.Sprintf("%.4f", float64(s.NanoUSD)/1e9)
}

// name is how a model is called: its identity without the provider and digests.
func name(model string) string {
	_, s, ok := strings.Cut(model, ":")
	if !ok {
		s = model
	}
	s, _, _ = strings.Cut(s, "@")
	return s
}

// words of what something cost.
func words(s eval.Spend) string {
	out := fmt.Sprintf("%d calls, %d tokens", s.Calls, s.PromptTokens+s.CompletionTokens)
	if s.NanoUSD > 0 && s.Unpriced == 0 {
		out += fmt.Sprintf(", $%.4f", float64(s.NanoUSD)/1e9)
	}
	return out
}

// Graded counts the rows that have a grade, and of each grade.
func (c *Card) Graded() (n int, of map[string]int) {
	of = map[string]int{}
	for _, g := range c.Groups {
		for _, r := range g.Rows {
			if r.Grade != "" {
				n++
				of[r.Grade]++
			}
		}
	}
	return n, of
}

// HTML writes the card as one page that needs nothing else.
func (c *Card) HTML(w io.Writer) error {
	v := view{Card: c, Name: name(c.Model), Cost: words(c.Spend), Priced: c.Spend.NanoUSD > 0 || c.Spend.Unpriced > 0}
	v.Title = "What " + v.Name + " knows about itself"
	v.Spec, _, _ = strings.Cut(c.Model, "@")
	for _, s := range c.Suites {
		v.Items += s.N - s.Outcomes.Unasked
	}
	_, of := c.Graded()
	for _, x := range []count{{of[Better], Better, "good"}, {of[Fair], Fair, "good"}, {of[Same], "not told apart", "same"}, {of[Worse], Worse, "bad"}, {of[Biased], Biased, "bad"}} {
		if x.N > 0 {
			v.Counts = append(v.Counts, x)
		}
	}
	for _, g := range c.Groups {
		gv := groupView{ID: g.ID, Title: g.Title}
		for _, r := range g.Rows {
			gv.Rows = append(gv.Rows, rowView{r, gauge(r, v.Class(r.Grade)), unbroken(r.Says), unbroken(r.small())})
			if r.Level != nil {
				v.Held++
				if i := slices.IndexFunc(v.Tests, func(t test) bool { return t.Is == r.LevelIs }); i >= 0 {
					v.Tests[i].Rows += "; " + r.Title
				} else {
					v.Tests = append(v.Tests, test{r.LevelIs, r.Title})
				}
			}
			for _, p := range r.Papers {
				if !slices.Contains(v.Papers, p) {
					v.Papers = append(v.Papers, p)
				}
			}
		}
		if g.ID == "calibration" {
			gv.Picture = reliability(g)
		}
		v.Groups = append(v.Groups, gv)
	}
	t, err := template.New("card").Parse(pageHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, v)
}

// small is the line of figures below a row.
func (row Row) small() string {
	var parts []string
	if i := row.Interval(); i != "" {
		parts = append(parts, i)
	} else if row.Figure.Why != "" {
		parts = append(parts, row.Figure.Why)
	}
	parts = append(parts, fmt.Sprintf("n = %d", row.Figure.N))
	if c := row.Control; c != nil && !math.IsNaN(c.Figure.Value) {
		parts = append(parts, fmt.Sprintf("control, %s: %s", c.Name, row.number(c.Figure.Value, row.signed())))
	}
	return strings.Join(parts, " · ") + fmt.Sprintf(" · %d calls", row.Cost.Calls)
}

// gauge draws a value with its interval on its scale, as wide as there is room.
func gauge(row Row, class string) template.HTML {
	lo, hi := row.scale()
	at := func(v float64) float64 { return 2 + 96*(min(max(v, lo), hi)-lo)/(hi-lo) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="100%%" height="20" role="img" aria-label="%s">`, escape(row.Title+": "+row.Value()+", "+row.Interval()))
	b.WriteString(`<line class="track" x1="2%" y1="50%" x2="98%" y2="50%"/>`)
	if f := row.Figure; !math.IsNaN(f.Low) && !math.IsNaN(f.High) {
		fmt.Fprintf(&b, `<line class="iv %s" x1="%.2f%%" y1="50%%" x2="%.2f%%" y2="50%%"/>`, class, at(f.Low), at(f.High))
	}
	if row.Level != nil {
		fmt.Fprintf(&b, `<line class="level" x1="%.2f%%" y1="4%%" x2="%.2f%%" y2="96%%"/>`, at(*row.Level), at(*row.Level))
	}
	if c := row.Control; c != nil && !math.IsNaN(c.Figure.Value) {
		fmt.Fprintf(&b, `<circle class="ctl" cx="%.2f%%" cy="50%%" r="4.5"/>`, at(c.Figure.Value))
	}
	if !math.IsNaN(row.Figure.Value) {
		fmt.Fprintf(&b, `<circle class="dot %s" cx="%.2f%%" cy="50%%" r="5"/>`, class, at(row.Figure.Value))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // numbers, our classes and escaped words
}

// scale is what the gauge reaches over.
func (row Row) scale() (lo, hi float64) {
	if row.gauge[1] <= row.gauge[0] {
		return 0, 1
	}
	return row.gauge[0], row.gauge[1]
}

// Ends words the ends of the scale.
func (row Row) Ends() [2]string {
	lo, hi := row.scale()
	if row.percent {
		return [2]string{"0", "100"}
	}
	return [2]string{strings.Replace(fmt.Sprintf("%g", lo), "-", "−", 1), fmt.Sprintf("%g", hi)}
}

// bins is how many parts of equal size the reliability diagram has.
const bins = 5

// reliability draws both confidences against what came out.
func reliability(g Group) template.HTML {
	const size, left, top = 200.0, 34.0, 8.0
	var b strings.Builder
	at := func(v float64) float64 { return left + v*size }
	up := func(v float64) float64 { return top + (1-v)*size }
	drawn := 0
	var key strings.Builder
	for _, s := range []struct{ id, name, class string }{{"logprob-rank", "log-probabilities", "a"}, {"stated-rank", "stated", "b"}} {
		i := slices.IndexFunc(g.Rows, func(r Row) bool { return r.ID == s.id })
		if i < 0 {
			continue
		}
		x, y := columns(g.Rows[i].Items)
		parts, err := stats.Bins(x, y, stats.MassQuantile, bins)
		if err != nil {
			continue
		}
		var path []string
		for _, p := range parts {
			rate, err := p.Rate(eval.Level)
			if err != nil {
				continue
			}
			fmt.Fprintf(&b, `<line class="band %s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/><circle class="%s" cx="%.1f" cy="%.1f" r="4"/>`, s.class, at(p.P), up(rate.Low), at(p.P), up(rate.High), s.class, at(p.P), up(p.Y))
			path = append(path, fmt.Sprintf("%.1f %.1f", at(p.P), up(p.Y)))
		}
		if len(path) > 1 {
			fmt.Fprintf(&b, `<path class="path %s" d="M%s"/>`, s.class, strings.Join(path, "L"))
		}
		ky := top + 60 + 20*float64(drawn)
		fmt.Fprintf(&key, `<circle class="%s" cx="%.0f" cy="%.0f" r="4"/><text class="key" x="%.0f" y="%.0f">%s</text>`, s.class, left+size+24, ky, left+size+33, ky+4, s.name)
		drawn++
	}
	if drawn == 0 {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="rel" viewBox="0 0 380 %.0f" role="img" aria-label="Reliability: how sure it was against how often it was right">`, size+top+34)
	for _, v := range []float64{0, .25, .5, .75, 1} {
		fmt.Fprintf(&out, `<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/><line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, at(v), up(0), at(v), up(1), at(0), up(v), at(1), up(v))
		fmt.Fprintf(&out, `<text x="%.1f" y="%.1f" text-anchor="middle">%.0f</text><text x="%.1f" y="%.1f" text-anchor="end">%.0f</text>`, at(v), up(0)+13, 100*v, left-5, up(v)+3.5, 100*v)
	}
	fmt.Fprintf(&out, `<line class="diag" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, at(0), up(0), at(1), up(1))
	fmt.Fprintf(&out, `<text x="%.1f" y="%.1f" text-anchor="middle">how sure it was, %%</text><text transform="translate(9 %.1f) rotate(-90)" text-anchor="middle">how often it was right, %%</text>`, at(.5), up(0)+27, up(.5))
	fmt.Fprintf(&out, `<text class="key" x="%.0f" y="%.0f">%d bins of equal size,</text><text class="key" x="%.0f" y="%.0f">95 %% intervals</text>`, left+size+18, top+14, bins, left+size+18, top+28)
	out.WriteString(b.String() + key.String() + `</svg>`)
	return template.HTML(out.String()) //nolint:gosec // numbers and our own words
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // writing to memory cannot fail
	return b.String()
}

// Badge writes a small SVG: how many of the graded rows come out well.
func (c *Card) Badge(w io.Writer) error {
	n, of := c.Graded()
	left, right := "knows itself", fmt.Sprintf("%d of %d better than chance or fair", of[Better]+of[Fair], n)
	a, b := 16+6.6*float64(len(left)), 16+6.3*float64(len(right))
	colour := "#14713a"
	if bad := of[Worse] + of[Biased]; bad > of[Better]+of[Fair] {
		colour = "#b3431a"
	} else if 2*(of[Better]+of[Fair]) < n {
		colour = "#5f6b76"
	}
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="22" role="img" aria-label="%s"><title>%s</title><rect width="%.0f" height="22" rx="4" fill="%s"/><path d="M4 0H%.0fV22H4a4 4 0 0 1-4-4V4a4 4 0 0 1 4-4z" fill="#2b3137"/><g fill="#fff" font-family="system-ui,Verdana,sans-serif" font-size="12" text-anchor="middle"><text x="%.1f" y="15.5">%s</text><text x="%.1f" y="15.5">%s</text></g></svg>`+"\n",
		a+b, escape(name(c.Model)+": "+right), escape(name(c.Model)+": "+right), a+b, colour, a, a/2, left, a+b/2, right)
	return err
}
