package gateway

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"gnothi/internal/plot"
	"gnothi/internal/web"
	"gnothi/stats"
	"gnothi/store"
	"gnothi/text"
)

const (
	// figuresLevel is that of the intervals of figures over verdicts.
	figuresLevel = 0.95
	// figuresMost is how many verdicts figures are made of, the latest.
	figuresMost = 20_000
	// fewestFigures is the fewest verdicts of which figures are given.
	fewestFigures = 10
	figureBins    = 10
	// labelledEnough is the share of the marked answers that have to have labels.
	labelledEnough = 0.8
)

// labels are answers for which verdicts came, each with what it stands for.
type labels struct {
	p, y, w              []float64
	own, marked, waiting int
	all                  float64 // answers that they stand for
	audited              bool
}

// Labelled gives the trials for which verdicts came and how many answers each
// stands for.
//
// Verdicts that come of their own accord are not like the rest: an answer with
// one was sure to have one, so it stands for itself. Of the answers without, those
// that were marked at random and labelled stand for all, by the inverse of the
// chance that they had to be marked (Horvitz and Thompson 1952). Their weights
// are scaled to the number of answers without a verdict, which takes marked
// answers without a label as missing at random. Where no marked answer has been
// labelled the verdicts stand for themselves only, and audited is false.
func labelled(ctx context.Context, trials *store.Trials, q store.TrialQuery) (found []store.Trial, l labels, err error) {
	q.Judged, q.ByVerdict, q.Believed, q.Limit = true, true, true, figuresMost
	q.Outcome = text.Parsed.String()
	if found, _, err = trials.List(ctx, q); err != nil {
		return nil, l, err
	}
	l.audited = slices.ContainsFunc(found, func(t store.Trial) bool { return t.Marked && !t.Own })
	if l.audited {
		// Before answers were marked nothing is known of those without a verdict.
		found = slices.DeleteFunc(found, func(t store.Trial) bool { return t.Audit == 0 })
		q.Audited = true
	}
	q.Judged, q.ByVerdict, q.Limit = false, false, 0
	silent, _, waiting, err := trials.Silent(ctx, q)
	if err != nil {
		return nil, l, err
	}
	l.waiting = int(waiting)
	inverse := 0.0
	keep := found[:0]
	for _, t := range found {
		w := 1.0
		switch {
		case t.Own:
			l.own++
		case t.Marked:
			l.marked++
			w = 1 / t.Audit
			inverse += w
		default: // sought without being marked: neither
			continue
		}
		keep = append(keep, t)
		y := 0.0
		if *t.Correct {
			y = 1
		}
		l.p, l.y, l.w = append(l.p, *t.Probability), append(l.y, y), append(l.w, w)
	}
	l.all = float64(l.own)
	if inverse > 0 {
		for i, t := range keep {
			if !t.Own {
				l.w[i] *= float64(silent) / inverse
			}
		}
		l.all += float64(silent)
	}
	return keep, l, nil
}

func (l labels) words() string {
	s := fmt.Sprintf("%s verdicts: %s came of their own accord, %s were sought of answers marked at random", thousands(int64(len(l.p))), thousands(int64(l.own)), thousands(int64(l.marked)))
	if l.audited {
		s += fmt.Sprintf("; weighed, they stand for %s answers", thousands(int64(math.Round(l.all))))
	}
	return s + "."
}

func (l labels) caution() string {
	switch {
	case len(l.p) < fewestFigures:
		return fmt.Sprintf("Figures need %d verdicts at least.", fewestFigures)
	case !l.audited:
		return "All of these verdicts came of their own accord. Answers that nobody spoke about may be better or worse, so the figures hold for these answers only; --audit marks a random share to be labelled."
	case float64(l.marked) < labelledEnough*float64(l.marked+l.waiting):
		return fmt.Sprintf("%s of %s marked answers still wait for a label. If those that have one are not like those that wait, the figures are off: label all of them.", thousands(int64(l.waiting)), thousands(int64(l.marked+l.waiting)))
	}
	return ""
}

// standing is how a calibrator does on verdicts.
type standing struct {
	Name, Evidence, Standing string
	N                        int
	Share                    float64 // of the evidence that withdraws it
}

func (g *Gateway) reliability(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f := readFilters(r.URL.Query())
	q := store.TrialQuery{Name: f.name, Policy: f.policy, Key: f.key, Status: f.status}
	page := struct {
		view
		Choices         []choice
		Labels, Caution string
		Figures         []fact
		Charts          []template.HTML
		Standings       []standing
		Drift           string
	}{view: g.view("Reliability", "reliability", 0)}
	var err error
	if page.Choices, err = g.choices(ctx, f, false); err != nil {
		return err
	}
	_, l, err := labelled(ctx, g.Trials, q)
	if err != nil {
		return err
	}
	page.Labels, page.Caution = l.words(), l.caution()
	if len(l.p) >= fewestFigures {
		if page.Figures, page.Charts, err = l.figures(); err != nil {
			return err
		}
	}
	if g.Watch != nil {
		page.Standings, page.Drift = g.Watch.standings(), g.Watch.words()
		for i, s := range page.Standings {
			page.Standings[i].Name = web.Visible(s.Name)
		}
	}
	return g.show(w, http.StatusOK, "reliability", page)
}

func (l labels) figures() ([]fact, []template.HTML, error) {
	right, err := stats.WeightedMean(l.y, l.w, figuresLevel)
	if err != nil {
		return nil, nil, err
	}
	mean, err := stats.WeightedMean(l.p, l.w, figuresLevel)
	if err != nil {
		return nil, nil, err
	}
	bins, err := stats.WeightedBins(l.p, l.y, l.w, figureBins, figuresLevel)
	if err != nil {
		return nil, nil, err
	}
	brier := make([]float64, len(l.p))
	for i := range brier {
		brier[i] = (l.p[i] - l.y[i]) * (l.p[i] - l.y[i])
	}
	b, err := stats.WeightedMean(brier, l.w, figuresLevel)
	if err != nil {
		return nil, nil, err
	}
	list := []fact{
		{"right", fmt.Sprintf("%.1f %% (%.1f–%.1f %%)", 100*right.Value, 100*right.Low, 100*right.High)},
		{"probability given, on average", fmt.Sprintf("%.1f %%", 100*mean.Value)},
		{"that is", claims(mean.Value - right.Value)},
		{"calibration error (ECE, 10 bins)", fmt.Sprintf("%.3f", stats.WeightedECE(bins))},
		{"Brier score", fmt.Sprintf("%.3f", b.Value)},
		{"verdicts", fmt.Sprintf("%s, worth %.0f of equal weight", thousands(int64(len(l.p))), stats.EffectiveN(l.w))},
	}
	series := plot.Series{Dots: true}
	most := 0.0
	for _, x := range bins {
		most = max(most, x.W)
	}
	for _, x := range bins {
		series.Points = append(series.Points, plot.Point{X: x.P, Y: x.Rate.Value, Low: x.Rate.Low, High: x.Rate.High, Size: max(0.2, x.W/most)})
	}
	return list, []template.HTML{web.Chart(web.Reliability(series))}, nil
}

func claims(gap float64) string {
	switch points := math.Abs(100 * gap); {
	case points < 0.05:
		return "as many as were right"
	case gap > 0:
		return fmt.Sprintf("%.1f points too sure", points)
	default:
		return fmt.Sprintf("%.1f points not sure enough", points)
	}
}

// spendRow is a line of a table of what was spent.
type spendRow struct{ Name, Trials, Failed, Calls, Tokens, USD string }

type spendTable struct {
	Name string
	Rows []spendRow
}

type tab struct {
	Label, Link string
	Current     bool
}

// linesDrawn is how many keys or models a chart of spend tells apart.
const linesDrawn = 5

func (g *Gateway) spend(w http.ResponseWriter, r *http.Request) error {
	days := 30
	if n, err := strconv.Atoi(r.URL.Query().Get("days")); err == nil && n >= 1 && n <= 400 {
		days = n
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	found, err := g.Trials.Days(r.Context(), today.AddDate(0, 0, 1-days))
	if err != nil {
		return err
	}
	page := struct {
		view
		Lead, Unpriced string
		Tabs           []tab
		Charts         []template.HTML
		Tables         []spendTable
	}{view: g.view("Spend", "spend", 0)}
	for _, n := range []int{7, 30, 90, 365} {
		page.Tabs = append(page.Tabs, tab{fmt.Sprintf("%d days", n), "spend?" + url.Values{"days": {strconv.Itoa(n)}}.Encode(), n == days})
	}
	var all store.Day
	for _, d := range found {
		all = sum(all, d)
	}
	page.Lead = fmt.Sprintf("The last %d days: %s answers, %s calls, %s tokens, %s. Days are UTC's.", days, thousands(all.Trials), thousands(all.Calls), thousands(all.Tokens), usd(all))
	if all.Unpriced > 0 {
		page.Unpriced = fmt.Sprintf("Of %s of %s answers no price is known: dollars are without them.", thousands(all.Unpriced), thousands(all.Trials))
	}
	groups := []struct {
		name  string
		of    func(store.Day) string
		drawn bool
	}{
		{"key", func(d store.Day) string { return cmp.Or(d.Key, "no key") }, true}, {"model", func(d store.Day) string { return d.Name }, true},
		{"policy", func(d store.Day) string { return d.Policy }, false}, {"day", func(d store.Day) string { return d.Day }, false},
	}
	for _, by := range groups {
		sums := map[string]store.Day{}
		for _, d := range found {
			sums[by.of(d)] = sum(sums[by.of(d)], d)
		}
		var names []string
		for name := range sums {
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int {
			if by.name == "day" {
				return cmp.Compare(b, a)
			}
			return cmp.Or(cmp.Compare(sums[b].NanoUSD, sums[a].NanoUSD), cmp.Compare(sums[b].Tokens, sums[a].Tokens), cmp.Compare(a, b))
		})
		table := spendTable{Name: by.name}
		for _, name := range names {
			d := sums[name]
			table.Rows = append(table.Rows, spendRow{web.Visible(name), thousands(d.Trials), thousands(d.Failed), thousands(d.Calls), thousands(d.Tokens), usd(d)})
		}
		page.Tables = append(page.Tables, table)
		if by.drawn && len(found) > 0 {
			page.Charts = append(page.Charts, web.Chart(spendChart(by.name, by.of, names[:min(len(names), linesDrawn)], found, today, days, all.NanoUSD > 0)))
		}
	}
	return g.show(w, http.StatusOK, "spend", page)
}

func sum(a, b store.Day) store.Day {
	a.Trials += b.Trials
	a.Failed += b.Failed
	a.Calls += b.Calls
	a.Tokens += b.Tokens
	a.NanoUSD += b.NanoUSD
	a.Unpriced += b.Unpriced
	return a
}

func usd(d store.Day) string {
	if d.Unpriced == d.Trials && d.NanoUSD == 0 {
		return "price unknown"
	}
	return dollars(d.NanoUSD)
}

// spendChart draws what was spent on each day.
func spendChart(name string, of func(store.Day) string, names []string, found []store.Day, today time.Time, days int, priced bool) plot.Chart {
	c := plot.Chart{Title: "By " + name, X: "days before today", Y: "tokens a day", XMin: float64(1 - days)}
	if priced {
		c.Y = "dollars a day"
	}
	top := 0.0
	for _, n := range names {
		at := make([]float64, days)
		for _, d := range found {
			day, err := time.Parse(time.DateOnly, d.Day)
			if i := days - 1 - int(today.Sub(day).Hours()/24); err == nil && of(d) == n && i >= 0 && i < days {
				if priced {
					at[i] += float64(d.NanoUSD) / 1e9
				} else {
					at[i] += float64(d.Tokens)
				}
			}
		}
		s := plot.Series{Name: web.Visible(n)}
		for i, v := range at {
			s.Points = append(s.Points, plot.At(float64(i+1-days), v))
			top = max(top, v)
		}
		c.Series = append(c.Series, s)
	}
	c.YMax = cmp.Or(1.1*top, 1)
	return c
}
