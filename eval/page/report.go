package page

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"gnothi/eval"
	"gnothi/internal/web"
	"gnothi/stats"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.js
	scriptText string
)

// templates are parsed once for each report or explorer.
func templates() (*template.Template, error) {
	return template.New("page").Funcs(template.FuncMap{
		"words": words, "gauge": web.Gauge, "places": places, "role": role,
	}).Parse(pageText)
}

// Options say what a report shows.
type Options struct {
	// Items is how many items it holds besides those that failed, at most; 0 is
	// [DefaultItems], less than 0 none.
	Items int
}

// plain is how many items can be read without a script.
const plain = 100

// chunk is how many items the script reads at a time.
const chunk = 250

// Write writes report.html: the report of a run, with a choice of its items. The
// run is gone through item by item, and no more is held than what it costs and
// came to; a run that goes on is shown as far as it is.
func Write(ctx context.Context, w io.Writer, f *eval.Folder, suite eval.Suite, report *eval.Report, o Options) error {
	if err := write(ctx, w, f, suite, report, o); err != nil {
		return fmt.Errorf("report.html of run %s: %w", f.Where(), err)
	}
	return nil
}

func write(ctx context.Context, w io.Writer, f *eval.Folder, suite eval.Suite, report *eval.Report, o Options) error {
	t, err := templates()
	if err != nil {
		return err
	}
	done, err := briefs(ctx, f)
	if err != nil {
		return err
	}
	v, err := newView(ctx, f, suite, report, done)
	if err != nil {
		return err
	}
	most := o.Items
	if most == 0 {
		most = DefaultItems
	}
	chosen := choose(done, max(0, most), f.Header.Seed)
	v.Script = template.JS(scriptText) //nolint:gosec // our own
	v.Policy = policy("default-src 'none'")
	v.Held = held(len(chosen), len(done), f.Header.Seed)
	out := bufio.NewWriterSize(w, 1<<16)
	for _, name := range []string{"report", "explorer"} {
		if err := t.ExecuteTemplate(out, name, v); err != nil {
			return err
		}
	}
	for i, index := range chosen {
		if i == plain {
			break
		}
		shown, ok, err := one(ctx, f, suite, index)
		if err != nil {
			return err
		}
		if ok {
			if err := t.ExecuteTemplate(out, "item", shown); err != nil {
				return err
			}
		}
	}
	if err := t.ExecuteTemplate(out, "listfoot", v); err != nil {
		return err
	}
	if err := embed(ctx, out, f, suite, chosen); err != nil {
		return err
	}
	if err := t.ExecuteTemplate(out, "foot", v); err != nil {
		return err
	}
	return out.Flush()
}

func one(ctx context.Context, f *eval.Folder, suite eval.Suite, index int) (item, bool, error) {
	rec, calls, ok, err := load(ctx, f, index)
	if err != nil || !ok {
		return item{}, false, err
	}
	return see(rec, calls, confidence(suite, rec), inReport), true, nil
}

// embed writes the items as data: encoding/json escapes what could end the
// element or a line of a script.
func embed(ctx context.Context, w *bufio.Writer, f *eval.Folder, suite eval.Suite, chosen []int) error {
	for len(chosen) > 0 {
		part := chosen[:min(chunk, len(chosen))]
		chosen = chosen[len(part):]
		separator := `<script type="application/json" class="items">[`
		for _, index := range part {
			shown, ok, err := one(ctx, f, suite, index)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			b, err := json.Marshal(shown)
			if err != nil {
				return err
			}
			_, _ = w.WriteString(separator) // an error stays until Flush
			_, _ = w.Write(b)
			separator = ",\n"
		}
		if separator == ",\n" {
			_, _ = w.WriteString("]</script>\n")
		}
	}
	return nil
}

// policy names the only style and the only script that a page has.
func policy(rest string) string {
	return rest + "; base-uri 'none'; style-src " + web.Sum(web.Style()) + "; script-src " + web.Sum(scriptText)
}

// view is what the templates show.
type view struct {
	Title, About, Policy, Command, Held string
	Style                               template.CSS
	Script                              template.JS
	Header                              eval.Header
	Report                              *eval.Report
	Done, Left                          int
	Facts                               []field
	Bar                                 template.HTML
	Shares                              []share
	Tables                              []*table
	Signals                             []signalRow
	Methods                             []field // by the notes of the measures
	Compared                            bool
	Charts                              []template.HTML
	Failures                            []failures

	// Of pages that are served.
	Base    string // relative, of the report; empty in a file
	Live    bool
	Refresh int // seconds, without a script
}

// table is measures that are shown on one scale.
type table struct {
	Name                    string
	Rows                    []row
	Axis                    struct{ Low, Middle, High string }
	Drawn, Tested, Compared bool
}

// signalRow is how far a confidence tells right from wrong.
type signalRow struct {
	Name                    string
	N                       int
	AUROC, ECE, Brier, AURC cell
	Why                     []string
}

// cell is a figure and its interval.
type cell struct{ Value, Interval, Note string }

// row is a measure.
type row struct {
	Name, Note, Value, Interval, P string
	N                              int
	Plot                           template.HTML
	Published                      []string
}

func newView(ctx context.Context, f *eval.Folder, suite eval.Suite, report *eval.Report, done []brief) (*view, error) {
	h := f.Header
	v := &view{
		Title: fmt.Sprintf("%s on %s · gnothi", report.Study, report.Model), About: sentence(suite.Describe().About),
		Style:  template.CSS(web.Style()), //nolint:gosec // our own
		Header: h, Report: report, Left: report.Outcomes.Unasked, Command: command(h), Facts: facts(h, report),
		Shares: shares(report.Outcomes),
	}
	v.Done = report.N - v.Left
	v.Bar = bar(v.Shares)
	v.table("The answers", slices.Concat(report.Headline, revised(report.Revision), only(report.Detectable)))
	v.table("Choices between two", detection(report.Detection))
	v.table("What the study measures", report.Measures)
	for _, s := range report.Signals {
		v.Signals = append(v.Signals, signalRow{web.Visible(s.Name), s.N, v.cell(s.AUROC), v.cell(s.ECE), v.cell(s.Brier), v.cell(s.AURC), s.Why})
	}
	charts := signalCharts(report.Signals)
	if c, ok := costChart(done); ok {
		charts = append(charts, c)
	}
	for _, c := range charts {
		v.Charts = append(v.Charts, web.Chart(c))
	}
	var err error
	v.Failures, err = failed(ctx, f, done)
	return v, err
}

// table adds measures, if there are any.
func (v *view) table(name string, ms []eval.Measure) {
	if len(ms) == 0 {
		return
	}
	a, t := axisOf(ms), &table{Name: name}
	t.Axis.Low, t.Axis.Middle, t.Axis.High = tick(a.low), tick((a.low+a.high)/2), tick(a.high)
	for _, m := range ms {
		r := row{Name: web.Visible(m.Name), Value: number(m.Figure.Value) + m.Figure.Suffix(), Interval: interval(m.Figure), N: m.Figure.N, Note: v.note(m.Figure.Method), P: tested(m.Figure), Plot: a.forest(m)}
		for _, p := range m.Published {
			r.Published = append(r.Published, fmt.Sprintf("%s %s", number(p.Value), p.Of))
		}
		t.Drawn = t.Drawn || r.Plot != ""
		t.Tested = t.Tested || r.P != ""
		t.Compared = t.Compared || len(m.Published) > 0
		t.Rows = append(t.Rows, r)
	}
	v.Compared = v.Compared || t.Compared
	v.Tables = append(v.Tables, t)
}

func (v *view) cell(f stats.Figure) cell {
	if math.IsNaN(f.Value) {
		return cell{Value: "–", Interval: f.Why}
	}
	return cell{number(f.Value), interval(f), v.note(f.Method)}
}

// tested words a p-value and what it is after correction for how many there are.
func tested(f stats.Figure) string {
	if !f.Tested() {
		return ""
	}
	return pValue(f.P) + "\u00a0(" + pValue(f.PAdjusted) + ")"
}

func pValue(p float64) string {
	switch {
	case math.IsNaN(p) || p <= 0:
		return "–"
	case p < 0.001:
		return "<\u00a00.001"
	}
	return strconv.FormatFloat(p, 'f', 3, 64)
}

// detection are the figures of choices between two.
func detection(d *eval.DetectionReport) []eval.Measure {
	if d == nil || d.Why != "" {
		return nil
	}
	return []eval.Measure{
		{Name: "d′", Figure: d.DPrime}, {Name: "criterion", Figure: d.Criterion},
		{Name: "meta-d′ of " + d.Confidence, Figure: d.MetaD}, {Name: "M-ratio of " + d.Confidence, Figure: d.MRatio},
	}
}

// revised are the figures of second answers.
func revised(c *stats.Correction) []eval.Measure {
	if c == nil {
		return nil
	}
	return []eval.Measure{
		{Name: "right at first", Figure: c.Before}, {Name: "right after a second answer", Figure: c.After}, {Name: "what the second answer changes", Figure: c.Change},
		{Name: "right answers that stay right", Figure: c.Confidence}, {Name: "wrong answers that become right", Figure: c.Critique},
	}
}

func only(m *eval.Measure) []eval.Measure {
	if m == nil {
		return nil
	}
	return []eval.Measure{*m}
}

// note gives the letter under which a method is explained.
func (v *view) note(method string) string {
	if method == "" {
		return ""
	}
	i := slices.IndexFunc(v.Methods, func(f field) bool { return f.Text == method })
	if i < 0 {
		i = len(v.Methods)
		v.Methods = append(v.Methods, field{letters(i), method})
	}
	return v.Methods[i].Name
}

// letters numbers notes: a to z, aa and so on.
func letters(i int) string {
	s := string(rune('a' + i%26))
	if i >= 26 {
		return letters(i/26-1) + s
	}
	return s
}

// facts say what was run, and what it cost.
func facts(h eval.Header, r *eval.Report) []field {
	all := []field{
		{"model", r.Model}, {"items", thousands(int64(r.N))}, {"begun", h.Created.UTC().Format("2 Jan 2006, 15:04 UTC")}, {"seed", strconv.FormatUint(h.Seed, 10)},
		{"policy", h.Policy}, {"judge", h.Judge}, {"peers", strings.Join(h.Peers, ", ")},
		{"calls", thousands(r.Spend.Calls)}, {"tokens", fmt.Sprintf("%s + %s", thousands(r.Spend.PromptTokens), thousands(r.Spend.CompletionTokens))},
		{"cost", dollars(r.Spend)}, {"gnothi", h.Gnothi},
	}
	var out []field
	for _, f := range all {
		if f.Text != "" {
			out = append(out, field{f.Name, web.Visible(f.Text)})
		}
	}
	return out
}

// command is how the run is made again. Where the user's data lie is the user's.
func command(h eval.Header) string {
	var b strings.Builder
	fmt.Fprintf(&b, "gnothi eval run %s --model %s --seed %d", h.Study, h.Spec, h.Seed)
	if h.Limit > 0 {
		fmt.Fprintf(&b, " --limit %d", h.Limit)
	}
	if h.Tokens > 0 {
		fmt.Fprintf(&b, " --max-tokens %d", h.Tokens)
	}
	if h.Policy != "" {
		fmt.Fprintf(&b, " --policy %q", h.Policy)
	}
	if h.Judge != "" {
		fmt.Fprintf(&b, " --judge %s", h.Judge)
	}
	for _, p := range h.Peers {
		fmt.Fprintf(&b, " --peer %s", p)
	}
	if h.Data != "" {
		b.WriteString(" --data DIR")
	}
	return b.String()
}

func held(n, of int, seed uint64) string {
	switch {
	case n == 0:
		return "This page holds none of the items."
	case n == of:
		return fmt.Sprintf("All %s items that are done.", thousands(int64(of)))
	}
	return fmt.Sprintf("%s of the %s items that are done: those that failed, and a choice by the seed %d. All of them: gnothi serve --run FOLDER.", thousands(int64(n)), thousands(int64(of)), seed)
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.Abs(v) >= 1000:
		return thousands(int64(math.Round(v)))
	}
	s := strconv.FormatFloat(v, 'f', 3, 64)
	if s == "-0.000" {
		s = "0.000"
	}
	return strings.Replace(s, "-", "−", 1)
}

func interval(f stats.Figure) string {
	switch {
	case !math.IsNaN(f.Low) && !math.IsNaN(f.High):
		return number(f.Low) + "\u00a0to\u00a0" + number(f.High)
	case f.Why != "":
		return f.Why
	}
	return "–"
}

func tick(v float64) string {
	return strings.Replace(strconv.FormatFloat(v, 'g', 2, 64), "-", "−", 1)
}

// thousands writes a count with narrow blanks between its thousands.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

func dollars(s eval.Spend) string {
	switch {
	case s.Unpriced > 0:
		return "price not known"
	case s.NanoUSD == 0:
		return "$0"
	}
	return fmt.Sprintf("$%.4f", float64(s.NanoUSD)/1e9)
}

// words are what outcomes are called.
func words(outcome string) string {
	if outcome == eval.OutcomeUnasked {
		return "not asked"
	}
	return outcome
}

// places lists indexes, those that follow each other as ranges; base is where the
// items are served, if they are.
func places(items []int, base string) template.HTML {
	var b strings.Builder
	for i := 0; i < len(items); {
		j := i
		for j+1 < len(items) && items[j+1] == items[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteString(", ")
		}
		href := "#i=%d"
		if base != "" {
			href = template.HTMLEscapeString(base) + "items/%d"
		}
		fmt.Fprintf(&b, `<a href="`+href+`">%d</a>`, items[i], items[i])
		switch {
		case j == i+1:
			j = i // two are no range
		case j > i:
			fmt.Fprintf(&b, "–%d", items[j])
		}
		i = j + 1
	}
	return template.HTML(b.String()) //nolint:gosec // numbers
}

// role says what a group of calls is.
func role(a asked) string {
	n := 0
	for _, c := range a.Classes {
		n += c.N
	}
	s := a.Role
	if s == "" {
		s = "call"
	}
	if a.Prompt == "" {
		s += ": more replies to what was asked in this role"
	}
	if n > 1 {
		s += fmt.Sprintf(" · %d replies, %d different", n, len(a.Classes))
	}
	return web.Visible(s)
}

// Sure is the confidence in words.
func (v item) Sure() string {
	if v.Confidence == nil {
		return ""
	}
	return strconv.FormatFloat(*v.Confidence, 'f', 2, 64)
}

// Cost says what an item cost, briefly.
func (v item) Cost() string {
	if v.NanoUSD > 0 {
		return fmt.Sprintf("$%.4f", float64(v.NanoUSD)/1e9)
	}
	return thousands(v.Tokens) + " tokens"
}

// Spent says what an item cost.
func (v item) Spent() string {
	s := fmt.Sprintf("%d calls, %s tokens", v.Calls, thousands(v.Tokens))
	if v.NanoUSD > 0 {
		s += fmt.Sprintf(", $%.6f", float64(v.NanoUSD)/1e9)
	}
	return s + fmt.Sprintf(", %.1f s", float64(v.WallMS)/1000)
}
