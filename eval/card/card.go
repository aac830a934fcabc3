package card

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gnothi/eval"
	"gnothi/internal/jsonl"
	"gnothi/llm"
	"gnothi/stats"
	"gnothi/store"
)

// Card is what a model knows about itself. It holds no clock: the same model and
// seed give the same bytes.
type Card struct {
	Schema  int        `json:"schema"` // 1
	Set     int        `json:"set"`    // version of the suites and rows
	Gnothi  string     `json:"gnothi"` // version
	Model   string     `json:"model"`
	Seed    uint64     `json:"seed"`
	Limits  Limits     `json:"limits"`
	Groups  []Group    `json:"groups"`
	Suites  []Ran      `json:"suites"`
	LeftOut []LeftOut  `json:"left_out"`
	Spend   eval.Spend `json:"spend"`
}

// Limits are the budget; 0 is none.
type Limits struct {
	Calls   int64 `json:"calls"`
	Tokens  int64 `json:"tokens"`
	NanoUSD int64 `json:"nano_usd"`
}

// Group is rows under one heading.
type Group struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Rows  []Row  `json:"rows"`
}

// Paper is where a row comes from.
type Paper struct {
	Slug  string `json:"slug"`
	Title string `json:"title"`
}

// The grades of a row. A row that is held against no level has none.
const (
	Better  = "better than chance"
	Same    = "not told apart from chance"
	Worse   = "worse than chance"
	Fair    = "no bias seen"
	Biased  = "biased"
	NoValue = "no interval"
)

// Row is one thing that the card tells.
type Row struct {
	ID     string       `json:"id"`
	Title  string       `json:"title"`
	Study  string       `json:"study"` // which suite it is counted in
	Papers []Paper      `json:"papers"`
	Kind   string       `json:"kind"` // share, mean, auroc, excess, ece
	Figure stats.Figure `json:"figure"`
	// Level is what a model without the ability, or without the bias, gets, and
	// LevelIs why; null where no such level is defensible.
	Level   *float64 `json:"level"`
	LevelIs string   `json:"level_is,omitempty"`
	Lower   bool     `json:"lower_is_better,omitempty"`
	Grade   string   `json:"grade,omitempty"`
	// Unseen is the smallest distance from the level that so many items would show
	// (power 0.8 at α = 0.05; of shares half the length of an interval at it); null
	// without a level.
	Unseen  *float64   `json:"smallest_effect_seen"`
	Control *Control   `json:"control,omitempty"`
	Says    string     `json:"says"` // what it means, in one sentence
	Asked   int        `json:"asked"`
	Cost    eval.Spend `json:"cost"` // of its suite, which it may share with other rows
	Items   []Item     `json:"items"`
	percent bool
	gauge   [2]float64
}

// Control is what the figure of a row is to be seen beside.
type Control struct {
	Name   string       `json:"name"`
	Figure stats.Figure `json:"figure"`
}

// Ran is a suite that was run.
type Ran struct {
	Study    string        `json:"study"`
	About    string        `json:"about"`
	N        int           `json:"n"`
	Outcomes eval.Outcomes `json:"outcomes"`
	Spend    eval.Spend    `json:"spend"`
	Errors   []string      `json:"errors,omitempty"`
}

// Files of a card's folder.
const (
	PlanFile  = "plan.json"
	JSONFile  = "card.json"
	HTMLFile  = "card.html"
	BadgeFile = "card.svg"
)

// Options say how a card is made.
type Options struct {
	Dir         string // where it is kept
	Concurrency int    // items at a time; 0 is 4
	// Title gives the title of a paper by its census slug.
	Title func(slug string) string
	Stop  <-chan struct{} // closed: the calls under way end and no others begin
	// Progress hears how far a suite is, the i-th of n.
	Progress func(study string, i, n int, p eval.Progress)
}

// Open reads the plan of a card's folder. Where there is none it is
// fs.ErrNotExist.
func Open(dir string) (Plan, error) {
	var p Plan
	b, err := os.ReadFile(filepath.Join(dir, PlanFile))
	if err != nil {
		return p, err
	}
	if err := jsonl.Decode(b, &p); err != nil {
		return p, fmt.Errorf("card %s: %s: %w: it was changed by something else than gnothi", dir, PlanFile, err)
	}
	if p.Schema != Schema {
		return p, fmt.Errorf("card %s: it is of version %d, this gnothi writes version %d: go on with the gnothi that began it", dir, p.Schema, Schema)
	}
	return p, nil
}

// Make runs the suites of a plan, each in a folder of its own below the card's,
// and counts. What an earlier life of the card has done is not asked again, and
// what it spent counts. An interruption is llm.ErrStopped, with the card of what
// there is; the budget's end is no error, its items are counted as not asked.
func Make(ctx context.Context, p Plan, m llm.Model, o Options) (*Card, error) {
	if is := m.ID().String(); is != p.Model {
		return nil, fmt.Errorf("card %s: it is the card of %s; %s is %s now", o.Dir, p.Model, p.Spec, is)
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := write(o.Dir, PlanFile, func(w io.Writer) error { return encode(w, p) }); err != nil {
		return nil, err
	}
	account := llm.NewLedger(p.Limits)
	results := map[string]result{}
	for i, s := range p.Suites {
		r, err := run(ctx, p, s, m, account, o, i)
		if r != nil {
			results[s.Study] = *r
		}
		if err != nil {
			c, cerr := draw(p, m, results, o)
			return c, errors.Join(err, cerr)
		}
	}
	return draw(p, m, results, o)
}

// result is a suite's report with its records.
type result struct {
	report  *eval.Report
	records []eval.Record
}

func run(ctx context.Context, p Plan, s Planned, m llm.Model, account llm.Account, o Options, i int) (r *result, err error) {
	suite, err := s.suite()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(o.Dir, s.Study)
	folder, err := eval.OpenRun(ctx, dir)
	if errors.Is(err, store.ErrNoRun) || errors.Is(err, fs.ErrNotExist) {
		h := eval.Header{Gnothi: p.Gnothi, Study: s.Study, Model: p.Model, Spec: p.Spec, Limit: s.Items, Seed: p.Seed}
		folder, err = eval.CreateRun(ctx, dir, h)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	if h := folder.Header; h.Study != s.Study || h.Model != p.Model || h.Seed != p.Seed || h.Limit != s.Items {
		return nil, fmt.Errorf("run %s: it is of %d items of %s on %s with seed %d, which the card's plan does not have: begin a new card", dir, h.Limit, h.Study, h.Model, h.Seed)
	}
	options := eval.Options{
		Source: eval.Source{N: s.Items}, Seed: p.Seed, Concurrency: o.Concurrency, Account: account, Log: folder, Stop: o.Stop,
	}
	if o.Progress != nil {
		options.Progress = func(done eval.Progress) { o.Progress(s.Study, i, len(p.Suites), done) }
	}
	report, err := eval.Run(ctx, suite, eval.Subject{Model: m}, options)
	if report == nil {
		return nil, err
	}
	r = &result{report: report}
	for rec, rerr := range folder.Records(context.WithoutCancel(ctx), 0) {
		if rerr != nil {
			return r, errors.Join(err, rerr)
		}
		r.records = append(r.records, rec)
	}
	return r, err
}

// draw counts.
func draw(p Plan, m llm.Model, results map[string]result, o Options) (*Card, error) {
	c := &Card{Schema: Schema, Set: Set, Gnothi: p.Gnothi, Model: p.Model, Seed: p.Seed, Limits: Limits(p.Limits), LeftOut: append([]LeftOut{}, p.LeftOut...)}
	for _, s := range p.Suites {
		r, ok := results[s.Study]
		if !ok {
			continue
		}
		c.Suites = append(c.Suites, Ran{s.Study, s.About, r.report.N, r.report.Outcomes, r.report.Spend, r.report.Errors})
		c.Spend = plus(c.Spend, r.report.Spend)
	}
	for _, g := range groups() {
		group := Group{ID: g.id, Title: g.title}
		for _, rule := range g.rules {
			r, ran := results[rule.study]
			if !ran || rule.lacks(m) != "" {
				continue // the plan says why
			}
			row, err := rule.row(r, o.Title)
			if err != nil {
				return nil, err
			}
			if row.Figure.N < fewestItems {
				c.LeftOut = append(c.LeftOut, LeftOut{rule.title, fewToCount(rule, row.Figure.N, r.report)})
				continue
			}
			if math.IsNaN(row.Figure.Value) {
				c.LeftOut = append(c.LeftOut, LeftOut{rule.title, "there is no figure: " + strings.TrimPrefix(row.Figure.Why, "stats: ")})
				continue
			}
			group.Rows = append(group.Rows, row)
		}
		if len(group.Rows) > 0 {
			unjudging(group.Rows)
			c.Groups = append(c.Groups, group)
		}
	}
	return c, nil
}

// unjudging marks what says little of a judge whose verdicts follow the order:
// they contradict each other, which counts as a tie whatever is compared.
func unjudging(rows []Row) {
	i := slices.IndexFunc(rows, func(r Row) bool { return r.ID == "position" })
	if i < 0 || !(rows[i].Figure.Value > .5) {
		return
	}
	for j := range rows {
		if r := &rows[j]; r.ID == "length" && r.Grade == Fair {
			r.Grade, r.Says = "", "Most of its verdicts follow the order, so whether length moves them cannot be said."
		}
	}
}

// fewestItems is below what a row is not shown (chosen): an interval over fewer
// reaches nearly everywhere.
const fewestItems = 5

// fewToCount says why a row has too few items.
func fewToCount(rule rule, n int, r *eval.Report) string {
	o := r.Outcomes
	why := fmt.Sprintf("only %d of %d items could be counted, and fewer than %d say nothing", n, r.N, fewestItems)
	if n == 0 {
		why = fmt.Sprintf("no item of %d could be counted", r.N)
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{o.Unparsed, "not in a form that can be read"}, {o.Refused, "refused"}, {o.Failed, "failed"}, {o.Unasked, "not asked: the budget ended"},
		{o.Right + o.Wrong + o.Measured - n, cmp.Or(rule.uncounted, "without what this row counts")}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(parts) == 0 {
		return why
	}
	return why + " (" + strings.Join(parts, ", ") + ")"
}

func plus(a, b eval.Spend) eval.Spend {
	return eval.Spend{Calls: a.Calls + b.Calls, PromptTokens: a.PromptTokens + b.PromptTokens, CompletionTokens: a.CompletionTokens + b.CompletionTokens,
		NanoUSD: a.NanoUSD + b.NanoUSD, Unpriced: a.Unpriced + b.Unpriced}
}

// items gathers what a reader finds in the records.
func items(records []eval.Record, read func(eval.Record) (float64, float64, bool, error)) ([]Item, error) {
	out := []Item{}
	for _, rec := range records {
		x, y, ok, err := read(rec)
		if err != nil {
			return nil, fmt.Errorf("study %s: %w", rec.Study, err)
		}
		if ok {
			out = append(out, Item{rec.Key, x, y})
		}
	}
	return out, nil
}

var kinds = map[kind]string{share: "share", mean: "mean", auroc: "auroc", excess: "excess", ece: "ece"}

// row counts one row.
func (r rule) row(of result, title func(string) string) (Row, error) {
	out := Row{ID: r.id, Title: r.title, Study: r.study, Kind: kinds[r.kind], LevelIs: r.why, Lower: r.lower, Asked: of.report.N - of.report.Outcomes.Unasked, Cost: of.report.Spend, Papers: []Paper{}}
	out.present(r)
	for _, slug := range r.papers {
		name := slug
		if title != nil {
			name = title(slug)
		}
		out.Papers = append(out.Papers, Paper{slug, name})
	}
	var err error
	if out.Items, err = items(of.records, r.read); err != nil {
		return out, err
	}
	out.Figure = r.figure(out.Items)
	if r.beside != nil {
		beside, err := items(of.records, r.beside)
		if err != nil {
			return out, err
		}
		out.Control = &Control{r.control, r.figure(beside)}
	}
	if r.kind == ece && len(out.Items) > 0 {
		x, y := columns(out.Items)
		s, err := stats.Summarise(fixed(), x, y, stats.Options{})
		if err == nil {
			out.Control = &Control{"a perfect forecaster", s.ECEPerfect}
		}
	}
	if r.against != nothing {
		level := r.level
		out.Level = &level
		if u := r.unseen(out.Figure, out.Items); u > 0 {
			out.Unseen = &u
		}
	}
	out.Grade = r.grade(out.Figure)
	out.Says = r.says(out)
	return out, nil
}

// present gives a row what only drawing needs.
func (row *Row) present(r rule) {
	row.percent, row.gauge = r.percent, [2]float64{r.low, r.high}
}

// grade holds the interval against the level.
func (r rule) grade(f stats.Figure) string {
	switch {
	case r.against == nothing:
		return ""
	case math.IsNaN(f.Low), math.IsNaN(f.High):
		return NoValue
	}
	above, below := f.Low > r.level, f.High < r.level
	switch {
	case r.against == fair && (above || below):
		return Biased
	case r.against == fair:
		return Fair
	case above && !r.lower, below && r.lower:
		return Better
	case above || below:
		return Worse
	}
	return Same
}

// says words what a figure means.
func (r rule) says(row Row) string {
	f := row.Figure
	switch {
	case r.against == nothing:
		return fmt.Sprintf(r.better, row.Value())
	case math.IsNaN(f.Low) || math.IsNaN(f.High):
		return "There is a figure but no interval, so nothing can be said: " + f.Why + "."
	}
	switch row.Grade {
	case Better:
		return r.better
	case Worse:
		return r.worse
	case Biased:
		if f.Low > r.level {
			return r.better
		}
		return r.worse
	}
	s := r.same
	if row.Unseen != nil {
		s = strings.TrimSuffix(s, ".") + fmt.Sprintf(" (%d items would show a difference of %s).", f.N, row.number(*row.Unseen, false))
	}
	return s
}

// Value is the figure as it is shown.
func (row Row) Value() string { return row.number(row.Figure.Value, row.signed()) }

// Interval is the interval as it is shown, or "".
func (row Row) Interval() string {
	if math.IsNaN(row.Figure.Low) || math.IsNaN(row.Figure.High) {
		return ""
	}
	return row.number(row.Figure.Low, row.signed()) + " to " + row.number(row.Figure.High, row.signed())
}

// signed says whether values are differences.
func (row Row) signed() bool { return row.gauge[0] < 0 }

func (row Row) number(v float64, sign bool) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case row.percent:
		return fmt.Sprintf("%.0f %%", math.Abs(100*v))
	case sign && math.Abs(v) >= .005:
		return strings.Replace(fmt.Sprintf("%+.2f", v), "-", "−", 1)
	}
	return fmt.Sprintf("%.2f", math.Abs(v))
}

// Read reads a card: its JSON file, or the folder that holds it.
func Read(path string) (*Card, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, JSONFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &Card{}
	if err := jsonl.Decode(b, c); err != nil {
		return nil, fmt.Errorf("%s: no card: %w", path, err)
	}
	if c.Schema != Schema || c.Model == "" {
		return nil, fmt.Errorf("%s: a card of version %d of model %q: this gnothi reads version %d", path, c.Schema, c.Model, Schema)
	}
	rules := map[string]rule{}
	for _, g := range groups() {
		for _, r := range g.rules {
			rules[r.id] = r
		}
	}
	for i := range c.Groups {
		for j := range c.Groups[i].Rows {
			row := &c.Groups[i].Rows[j]
			row.present(rules[row.ID])
		}
	}
	return c, nil
}

// Write writes the card's files into its folder, each whole or not at all.
func (c *Card) Write(dir string) error {
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{JSONFile, func(w io.Writer) error { return encode(w, c) }}, {HTMLFile, c.HTML}, {BadgeFile, c.Badge}} {
		if err := write(dir, f.name, f.write); err != nil {
			return err
		}
	}
	return nil
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func write(dir, name string, to func(io.Writer) error) error {
	return eval.WriteFile(dir, name, func(f *os.File) error { return to(f) })
}
