package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi/internal/plot"
	"gnothi/stats"
)

type statsOptions struct {
	in, calibration, figure, main string
	versus                        []string
	skipBad                       bool
	risk, delta, threshold        float64
	seed                          uint64
	resamples                     int
	exact                         bool // so many resamples, however many lines there are
	bar                           progress
}

func statsCmd() *cobra.Command {
	var o statsOptions
	cmd := &cobra.Command{
		Use:   "stats --in FILE",
		Short: "Is a score calibrated, does it rank, what can be promised on it",
		Long: `Measure scores against what came out. A line is {"score": 0.7, "label": true,
"cluster"?, "kind"?, "id"?}, or what score writes, with "scores": {name: x} and a
label. Ranking figures take any finite score; calibration figures need one in
[0,1]. Equal scores never leak the order of the lines.

Several signals, or --versus FILE with the same ids, are compared in pairs:
DeLong's test, a bootstrap over clusters, McNemar's test of the decisions at
--threshold; p-values are adjusted by Holm and by Benjamini and Hochberg.

--risk R finds the threshold above which at most the share R of the answers given
is wrong, except with probability --delta over the labels. The promise is for
answers from the same source: with --calibration FILE the threshold is found
there, and tried on --in, whose scores must look alike. Lines with "options":
{key: probability} and "right": key get answer sets that miss the right option
with probability at most R.`,
		Example: `  gnothi stats --in scores.jsonl --json
  gnothi stats --in mine.jsonl --versus theirs.jsonl --figure figures
  gnothi score --in evidence.jsonl | gnothi stats --in -
  gnothi stats --in new.jsonl --calibration old.jsonl --risk .1 --delta .05`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return abandon(cmd.Context(), func() error { return o.run(cmd) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.in, "in", "", "scores and labels, JSON Lines; - is standard input")
	f.StringVar(&o.main, "signal", "", "the signal that is measured, and that others are compared with (default: the best)")
	f.StringArrayVar(&o.versus, "versus", nil, "another score of the same ids; may be given again")
	f.StringVar(&o.figure, "figure", "", "folder for reliability.svg and risk-coverage.svg")
	f.BoolVar(&o.skipBad, "skip-bad", false, "go past bad lines and list them")
	f.Float64Var(&o.risk, "risk", 0, "most of the answers given that may be wrong, as a share")
	f.Float64Var(&o.delta, "delta", 0.05, "probability that --risk is not kept, over the labels")
	f.StringVar(&o.calibration, "calibration", "", "labelled scores on which the threshold is found (default: --in itself)")
	f.Float64Var(&o.threshold, "threshold", 0.5, "where decisions are compared, for scores in [0,1]")
	f.Uint64Var(&o.seed, "seed", 1, "root of everything random")
	f.IntVar(&o.resamples, "resamples", 2000, "of each bootstrap; unless they are given, fewer for figures that cost much, and above 20,000 lines")
	return cmd
}

// column is one score of every item.
type column struct {
	name  string
	score []float64
}

// sample is what is measured: complete cases of all columns.
type sample struct {
	columns       []column
	y             []float64
	cluster, kind []int // nil if no line has one
	rows          []scored
	dropped       int // lines that lack one of the columns
}

// statsReport is what stats says with --json: the figures of the main signal, then the rest.
type statsReport struct {
	Signal string `json:"signal,omitempty"`
	*stats.Summary
	Unjudged  int              `json:"unjudged"`   // lines whose label is null
	Bad       int              `json:"bad"`        // lines that --skip-bad went past
	Dropped   int              `json:"incomplete"` // lines that lack one of the signals compared
	Signals   []signalFigures  `json:"signals,omitempty"`
	Versus    []versus         `json:"versus,omitempty"`
	Guarantee *guaranteed      `json:"guarantee,omitempty"`
	AnswerSet *stats.AnswerSet `json:"answer_set,omitempty"`
	Figures   []string         `json:"figures,omitempty"` // files
	Warnings  []string         `json:"warnings,omitempty"`
}

// signalFigures are those of one of several signals.
type signalFigures struct {
	Signal      string       `json:"signal"`
	AUROC       stats.Figure `json:"auroc"`
	AUROCWithin stats.Figure `json:"auroc_within"`
	PRR         stats.Figure `json:"prr"`
	AURC        stats.Figure `json:"aurc"`
}

// versus compares the main signal with another one.
type versus struct {
	Signal     string       `json:"signal"`
	Difference stats.Figure `json:"auroc_difference"` // main less other, bootstrap over clusters
	DeLong     *stats.Test  `json:"delong"`
	Holm       *float64     `json:"p_holm"` // of DeLong's test
	BH         *float64     `json:"p_bh"`
	McNemar    *stats.Test  `json:"mcnemar"` // decisions at the threshold
	Why        string       `json:"why,omitempty"`
}

// guaranteed is a threshold and how it does on the answers at hand.
type guaranteed struct {
	stats.Guarantee
	On       string       `json:"on"`       // file the threshold was found on
	Realised stats.Figure `json:"realised"` // share of wrong answers among those given of --in
	Coverage stats.Figure `json:"coverage"` // share of answers given of --in
	Drift    *stats.Test  `json:"drift"`    // do the scores of --in differ from those it was found on
}

func (o statsOptions) run(cmd *cobra.Command) error {
	if o.in == "" {
		return usagef("give --in FILE, or --in - for standard input")
	}
	if o.risk != 0 && !(o.risk > 0 && o.risk < 1) || !(o.delta > 0 && o.delta < 1) {
		return usagef("--risk %g --delta %g: want shares between 0 and 1, such as .1 and .05", o.risk, o.delta)
	}
	if o.calibration != "" && o.risk == 0 {
		return usagef("--calibration is for a threshold: give --risk, such as .1")
	}
	if o.resamples < 100 || o.resamples > 1_000_000 {
		return usagef("--resamples %d: want 100 to 1000000", o.resamples)
	}
	o.exact = cmd.Flags().Changed("resamples")
	main, err := readScored(o.in, o.skipBad)
	if err != nil {
		return err
	}
	main.tell(cmd)
	r := statsReport{Unjudged: len(main.unjudged), Bad: len(main.bad)}
	if len(main.rows) == 0 && o.calibration != "" {
		return o.unlabelled(cmd, main, &r)
	}
	if err := main.labelled(); err != nil {
		return err
	}
	s, err := o.align(cmd, main)
	if err != nil {
		return err
	}
	r.Dropped = s.dropped
	o.bar = newProgress(cmd, o.draws(s), "resamples")
	defer o.bar.done()
	if err := o.order(&s, &r); err != nil {
		return err
	}
	first := s.columns[0]
	summary, err := stats.Summarise(o.rng(0), first.score, s.y, stats.Options{Resamples: o.fewer(2, len(s.y)), Group: s.kind, Cluster: s.cluster, Drawn: o.bar.add})
	if err != nil {
		return usage(err)
	}
	r.Summary = &summary
	if first.name != "score" || len(s.columns) > 1 {
		r.Signal = first.name
	}
	if err := o.compare(s, &r); err != nil {
		return err
	}
	if o.risk > 0 {
		if err := o.promise(main, s, &r); err != nil {
			return err
		}
	}
	if o.figure != "" {
		if err := o.draw(s, &r); err != nil {
			return err
		}
	}
	o.bar.done()
	return printOrEncode(cmd, r)
}

// draws is how many resamples there will be.
func (o statsOptions) draws(s sample) int {
	n, signals := len(s.y), len(s.columns)
	all := o.fewer(2, n) + (signals-1)*o.bounded(n)
	if signals > 1 {
		all += signals * o.fewer(4, n)
		if s.cluster != nil {
			all += signals * o.bounded(n)
		}
	}
	return all
}

func printOrEncode(cmd *cobra.Command, r statsReport) error {
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return encode(cmd, r)
	}
	return printStats(cmd.OutOrStdout(), r)
}

// unlabelled is for scores of which nothing is known but what they may be compared with.
func (o statsOptions) unlabelled(cmd *cobra.Command, main *scoredFile, r *statsReport) error {
	if o.main == "" && len(main.names) > 1 {
		return usagef("--signal: say which of %s", strings.Join(main.names, ", "))
	}
	r.Signal = o.main
	if r.Signal == "" {
		r.Signal = main.columnName(main.names[0])
	}
	if _, ok := main.key(r.Signal); !ok {
		return usagef("--signal %s: the file has %s", r.Signal, strings.Join(main.names, ", "))
	}
	if err := o.promise(main, sample{columns: []column{{name: r.Signal}}}, r); err != nil {
		return err
	}
	return printOrEncode(cmd, *r)
}

func (o statsOptions) rng(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(o.seed, stream)) }

// fewer is how many resamples figures get that must be computed anew on each: a share of the usual number, and a quarter
// of that for many items, whose intervals are narrow; what was asked for, if it was.
func (o statsOptions) fewer(share, n int) int {
	if o.exact {
		return o.resamples
	}
	if n > 5000 {
		share *= 4
	}
	return max(100, o.resamples/share)
}

// bounded is how many resamples AUROCs and their differences get: above 20,000 items, unless a number was asked for, at most
// 40,000,000/n, but 500 in any case: intervals of many items are narrow, and cost is bounded.
func (o statsOptions) bounded(n int) int {
	if n <= 20_000 || o.exact {
		return o.resamples
	}
	return min(o.resamples, max(500, 40_000_000/n))
}

// align puts the columns of all files side by side, item by item.
func (o statsOptions) align(cmd *cobra.Command, main *scoredFile) (sample, error) {
	type source struct {
		file   *scoredFile
		signal string
		byID   map[lineID]*scored
	}
	var sources []source
	for _, name := range main.names {
		sources = append(sources, source{main, name, nil})
	}
	for _, path := range o.versus {
		f, err := readScored(path, o.skipBad)
		if err != nil {
			return sample{}, err
		}
		f.tell(cmd)
		byID := map[lineID]*scored{}
		for i := range f.rows {
			if f.rows[i].ID == "" {
				return sample{}, usagef("%s: a line without \"id\": --versus pairs lines by their ids", path)
			}
			byID[f.rows[i].ID] = &f.rows[i]
		}
		for _, name := range f.names {
			sources = append(sources, source{f, name, byID})
		}
	}
	s := sample{columns: make([]column, len(sources))}
	for i, src := range sources {
		name := src.file.columnName(src.signal)
		for slices.ContainsFunc(s.columns[:i], func(c column) bool { return c.name == name }) {
			name += "'"
		}
		s.columns[i].name = name
	}
	var clusters, kinds []string
	values := make([]float64, len(sources))
lines:
	for n := range main.rows {
		row := &main.rows[n]
		if row.ID == "" && len(o.versus) > 0 {
			return sample{}, usagef("%s: a line without \"id\": --versus pairs lines by their ids", o.in)
		}
		for i, src := range sources {
			from := row
			if src.byID != nil {
				from = src.byID[row.ID]
			}
			if from == nil || from.Scores[src.signal] == nil {
				s.dropped++
				continue lines
			}
			if from.Label.value != row.Label.value {
				return sample{}, usagef("%s: id %s has the label %g, %g in %s: is it the same answer?", src.file.path, row.ID, from.Label.value, row.Label.value, o.in)
			}
			values[i] = *from.Scores[src.signal]
		}
		for i, v := range values {
			s.columns[i].score = append(s.columns[i].score, v)
		}
		s.y = append(s.y, row.Label.value)
		s.rows = append(s.rows, *row)
		cluster := row.Cluster
		if cluster == "" {
			cluster = fmt.Sprint("#", n)
		}
		clusters, kinds = append(clusters, cluster), append(kinds, row.Kind)
	}
	if len(s.y) == 0 {
		return sample{}, usagef("no item has all of the scores; %d have some: are the ids the same?", s.dropped)
	}
	if s.dropped > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d lines lack one of the signals and are left out\n", s.dropped)
	}
	s.cluster = shared(clusters)
	if slices.ContainsFunc(kinds, func(k string) bool { return k != kinds[0] }) {
		s.kind = stats.Groups(kinds)
	}
	return s, nil
}

// order measures each of several columns and puts the main one first.
func (o statsOptions) order(s *sample, r *statsReport) error {
	if o.main != "" {
		at := slices.IndexFunc(s.columns, func(c column) bool { return c.name == o.main })
		if at < 0 {
			return usagef("--signal %s: the file has %s", o.main, strings.Join(names(s.columns), ", "))
		}
		s.columns[0], s.columns[at] = s.columns[at], s.columns[0]
	}
	if len(s.columns) < 2 {
		return nil
	}
	boot := stats.Bootstrap{Resamples: o.bounded(len(s.y)), Cluster: s.cluster, Drawn: o.bar.add}
	few := stats.Bootstrap{Resamples: o.fewer(4, len(s.y)), Cluster: s.cluster, Drawn: o.bar.add}
	figure := func(f stats.Figure, err error) stats.Figure {
		if err != nil {
			return stats.Missing(len(s.y), err)
		}
		return f
	}
	for i, c := range s.columns {
		f := signalFigures{Signal: c.name}
		if s.cluster == nil {
			f.AUROC = figure(stats.DeLong(c.score, s.y, 0.95))
		} else {
			f.AUROC = figure(boot.AUROC(o.rng(uint64(10+i)), c.score, s.y))
		}
		all, err := few.Rankings(o.rng(uint64(10+i)), c.score, s.y, s.kind)
		if err != nil {
			return usage(err)
		}
		if f.AUROCWithin, f.PRR, f.AURC = all.AUROCWithin, all.PRR, all.AURC; s.kind == nil {
			f.AUROCWithin = stats.Missing(len(s.y), fmt.Errorf("the lines name no kinds"))
		}
		r.Signals = append(r.Signals, f)
	}
	rank := func(f signalFigures) float64 { // AUROC, or PRR where labels are graded; what has neither comes last
		for _, v := range []float64{f.AUROC.Value, f.PRR.Value} {
			if !math.IsNaN(v) {
				return v
			}
		}
		return math.Inf(-1)
	}
	byRank := func(a, b signalFigures) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(a.Signal, b.Signal))
	}
	main := s.columns[0].name
	slices.SortFunc(r.Signals, byRank)
	if o.main == "" && len(o.versus) == 0 {
		main = r.Signals[0].Signal
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s was chosen as the best of %d on these very lines, which flatters it; --signal names one beforehand", main, len(s.columns)))
	}
	// The main one first, then the best.
	place := func(c column) int {
		if c.name == main {
			return -1
		}
		return slices.IndexFunc(r.Signals, func(f signalFigures) bool { return f.Signal == c.name })
	}
	slices.SortFunc(s.columns, func(a, b column) int { return place(a) - place(b) })
	return nil
}

func at[T any](x []T, idx []int) []T {
	out := make([]T, len(idx))
	for i, k := range idx {
		out[i] = x[k]
	}
	return out
}

func names(cs []column) []string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = c.name
	}
	return out
}

// compare sets the main column beside each other one.
func (o statsOptions) compare(s sample, r *statsReport) error {
	main := s.columns[0]
	boot := stats.Bootstrap{Resamples: o.bounded(len(s.y)), Cluster: s.cluster, Drawn: o.bar.add}
	var ps []float64
	var tested []int
	for i, c := range s.columns[1:] {
		v := versus{Signal: c.name}
		f, err := boot.AUROCDifference(o.rng(uint64(100+i)), main.score, c.score, s.y)
		if err != nil {
			f, v.Why = stats.Missing(len(s.y), err), err.Error()
		}
		v.Difference = f
		if d, err := stats.DeLongPaired(main.score, c.score, s.y, 0.95); err == nil {
			v.DeLong = &d.Test
			ps, tested = append(ps, d.Test.P), append(tested, i)
		}
		if inUnit(main.score) && inUnit(c.score) && err == nil {
			b, c := o.discordant(main.score, c.score, s.y)
			exact, _, err := stats.McNemar(b, c)
			if err != nil {
				return err
			}
			exact.Method += fmt.Sprintf(" of the decisions at %g", o.threshold)
			v.McNemar = &exact
		}
		r.Versus = append(r.Versus, v)
	}
	if len(ps) == 0 {
		return nil
	}
	holm, err := stats.Adjust(ps, stats.Holm)
	if err != nil {
		return err
	}
	bh, err := stats.Adjust(ps, stats.BenjaminiHochberg)
	if err != nil {
		return err
	}
	for k, i := range tested {
		r.Versus[i].Holm, r.Versus[i].BH = &holm[k], &bh[k]
	}
	if s.cluster != nil {
		r.Warnings = append(r.Warnings, "DeLong's and McNemar's tests take lines as independent, and these come in clusters: go by the bootstrap interval")
	}
	return nil
}

func inUnit(x []float64) bool { return slices.Min(x) >= 0 && slices.Max(x) <= 1 }

// discordant counts where one of two scores decides rightly at the threshold and the other does not.
func (o statsOptions) discordant(a, b, y []float64) (onlyA, onlyB int) {
	for i := range y {
		right := y[i] == 1
		byA, byB := (a[i] >= o.threshold) == right, (b[i] >= o.threshold) == right
		switch {
		case byA && !byB:
			onlyA++
		case byB && !byA:
			onlyB++
		}
	}
	return onlyA, onlyB
}

// promise finds a threshold, and sets.
func (o statsOptions) promise(main *scoredFile, s sample, r *statsReport) error {
	score, y, cluster, on := s.columns[0].score, s.y, s.cluster, o.in
	g := &guaranteed{}
	fresh := slices.Clone(score) // the scores of --in, labelled or not
	if signal, ok := main.key(s.columns[0].name); ok {
		for _, row := range main.unjudged {
			if v := row.Scores[signal]; v != nil {
				fresh = append(fresh, *v)
			}
		}
	}
	if o.calibration != "" {
		f, err := readScored(o.calibration, o.skipBad)
		if err != nil {
			return err
		}
		if err := f.labelled(); err != nil {
			return err
		}
		name, ok := f.key(s.columns[0].name)
		if !ok {
			return usagef("%s has no score %q", o.calibration, s.columns[0].name)
		}
		score, y, on = nil, nil, o.calibration
		var clusters []string
		for i, row := range f.rows {
			if v := row.Scores[name]; v != nil {
				score, y = append(score, *v), append(y, row.Label.value)
				if row.Cluster == "" {
					row.Cluster = fmt.Sprint("#", i)
				}
				clusters = append(clusters, row.Cluster)
			}
		}
		cluster = stats.Groups(clusters)
		drift, err := stats.KolmogorovSmirnov(score, fresh)
		if err != nil {
			return err
		}
		if g.Drift = &drift; drift.P < 0.01 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("the guarantee does not hold here: the scores of %s differ from those of %s (Kolmogorov–Smirnov distance %.2f, p = %.2g); label some of the new answers", o.in, o.calibration, drift.Statistic, drift.P))
		}
	}
	// Lines of one cluster are not independent: one of each, chosen by seed, is.
	if cluster != nil {
		var keep []int
		pick := o.rng(1000)
		for _, members := range membersOf(cluster) {
			keep = append(keep, members[pick.IntN(len(members))])
		}
		if len(keep) < len(score) {
			r.Warnings = append(r.Warnings, fmt.Sprintf("the threshold was found on one line of each of %d clusters", len(keep)))
			score, y = at(score, keep), at(y, keep)
		}
	}
	var err error
	if g.Guarantee, err = stats.LearnThenTest(score, y, o.risk, o.delta); err != nil {
		return usage(err)
	}
	g.On = on
	if len(r.Signals) > 1 && o.main == "" && len(o.versus) == 0 && o.calibration == "" {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the guarantee is for a signal named beforehand (--signal): this one is the best of %d on these very lines, so delta is up to %d times as large", len(s.columns), len(s.columns)))
	}
	if !g.Holds {
		r.Warnings = append(r.Warnings, "no guarantee: "+g.Why)
	}
	shown := 0
	for _, v := range fresh {
		if g.Gives(v) {
			shown++
		}
	}
	given, wrong := 0, 0
	binary := true
	for i, v := range s.columns[0].score {
		binary = binary && (s.y[i] == 0 || s.y[i] == 1)
		if g.Gives(v) {
			given++
			if s.y[i] == 0 {
				wrong++
			}
		}
	}
	if g.Coverage, err = stats.Wilson(shown, len(fresh), 0.95); err != nil {
		return err
	}
	switch {
	case given == 0:
		g.Realised = stats.Missing(0, fmt.Errorf("no answer with a label is given"))
	case !binary:
		g.Realised = stats.Missing(given, fmt.Errorf("graded labels"))
	default:
		if g.Realised, err = stats.Wilson(wrong, given, 0.95); err != nil {
			return err
		}
		if o.calibration != "" && g.Realised.Low > o.risk {
			r.Warnings = append(r.Warnings, fmt.Sprintf("the guarantee is broken on %s: %d of %d answers given are wrong", o.in, wrong, given))
		}
	}
	r.Guarantee = g
	return o.sets(s, r)
}

// membersOf lists the items of each label, in order.
func membersOf(cluster []int) [][]int {
	out := make([][]int, slices.Max(cluster)+1)
	for i, c := range cluster {
		out[c] = append(out[c], i)
	}
	return out
}

// sets calibrates answer sets where the lines have probabilities of options.
func (o statsOptions) sets(s sample, r *statsReport) error {
	var p [][]float64
	var right []int
	for _, row := range s.rows {
		if len(row.Options) == 0 || row.Right == "" {
			continue
		}
		keys := slices.Sorted(maps.Keys(row.Options))
		k := slices.Index(keys, row.Right)
		if k < 0 {
			return usagef("%s: id %s: the right option %q is not among its options", o.in, row.ID, row.Right)
		}
		q := make([]float64, len(keys))
		for i, key := range keys {
			q[i] = row.Options[key]
		}
		p, right = append(p, q), append(right, k)
	}
	if len(p) == 0 {
		return nil
	}
	set, err := stats.FitAnswerSet(p, right, o.risk)
	if err != nil {
		return usage(err)
	}
	if set.Why != "" {
		r.Warnings = append(r.Warnings, "answer sets: "+set.Why)
	}
	r.AnswerSet = &set
	return nil
}

// draw writes the pictures.
func (o statsOptions) draw(s sample, r *statsReport) error {
	if err := os.MkdirAll(o.figure, 0o755); err != nil {
		return err
	}
	curve, err := riskCoverageChart(s, o.rng(2000), r.Guarantee)
	if err != nil {
		return err
	}
	charts := map[string]io.WriterTo{"risk-coverage.svg": curve}
	if len(r.Bins) > 0 {
		charts["reliability.svg"] = reliabilityChart(*r.Summary, s.columns[0].name)
	}
	for _, name := range slices.Sorted(maps.Keys(charts)) {
		path := filepath.Join(o.figure, name)
		if err := writeChart(path, charts[name]); err != nil {
			return err
		}
		r.Figures = append(r.Figures, path)
	}
	return nil
}

func writeChart(path string, chart io.WriterTo) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err = chart.WriteTo(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// reliabilityChart shows what came out for what was claimed.
func reliabilityChart(s stats.Summary, name string) plot.Chart {
	c := plot.Chart{
		Title: "Reliability of " + name, X: "claimed", Y: "came out right", XMax: 1, YMax: 1, Percent: true,
		Note:   fmt.Sprintf("n = %d. Bars are 95 %% Wilson intervals; a dot's area goes with its share of answers.", s.N),
		Series: []plot.Series{{Name: "perfect", Points: []plot.Point{plot.At(0, 0), plot.At(1, 1)}, Faint: true}},
	}
	dots := plot.Series{Name: "bins", Dots: true}
	for _, b := range s.Bins {
		p := plot.Point{X: b.P, Y: b.Y, Low: math.NaN(), High: math.NaN(), Size: max(0.3, 6*float64(b.N)/float64(s.N))}
		if f, err := b.Rate(0.95); err == nil {
			p.Low, p.High = f.Low, f.High
		}
		dots.Points = append(dots.Points, p)
	}
	c.Series = append(c.Series, dots)
	return c
}

// riskCoverageChart shows how often those answers are wrong that are given when only the surest are. The main signal has a
// band: pointwise 95 % of resamples.
func riskCoverageChart(s sample, rng *rand.Rand, g *guaranteed) (plot.Chart, error) {
	c := plot.Chart{
		Title: "Risk and coverage", X: "answers given", Y: "of them wrong", XMax: 1, Percent: true,
		Note: fmt.Sprintf("n = %d. Only the surest answers are given; equal scores together. Band: pointwise 95 %%, bootstrap.", len(s.y)),
	}
	overall := 0.0
	for _, v := range s.y {
		overall += (1 - v) / float64(len(s.y))
	}
	c.Series = append(c.Series, plot.Series{Name: "random order", Faint: true, Points: []plot.Point{plot.At(0, overall), plot.At(1, overall)}})
	if g != nil {
		c.Series = append(c.Series, plot.Series{Name: fmt.Sprintf("risk %g", g.Risk), Faint: true, Points: []plot.Point{plot.At(0, g.Risk), plot.At(1, g.Risk)}})
	}
	for i, col := range s.columns[:min(len(s.columns), 5)] {
		points, err := stats.RiskCoverage(col.score, s.y)
		if err != nil {
			return c, usage(err)
		}
		line := plot.Series{Name: col.name}
		// Fewer than one answer in forty say nothing but noise.
		for _, p := range points {
			if p.N >= max(1, len(s.y)/40) {
				line.Points = append(line.Points, plot.At(p.Coverage, p.Risk))
			}
		}
		if i == 0 {
			if err := band(rng, &line, col.score, s); err != nil {
				return c, err
			}
		}
		c.Series = append(c.Series, line)
	}
	return c, nil
}

// band gives the points of a risk–coverage curve their intervals.
func band(rng *rand.Rand, line *plot.Series, score []float64, s sample) error {
	if len(line.Points) > 200 {
		thin := make([]plot.Point, 200)
		for i := range thin {
			thin[i] = line.Points[i*(len(line.Points)-1)/199]
		}
		line.Points = thin
	}
	const resamples = 200
	n := len(s.y)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(score[b], score[a]) })
	clusters := [][]int(nil)
	if s.cluster != nil {
		clusters = membersOf(s.cluster)
	}
	risks := make([][]float64, len(line.Points))
	count := make([]float64, n)
	for range resamples {
		clear(count)
		for range max(len(clusters), n*btoi(clusters == nil)) {
			if clusters == nil {
				count[rng.IntN(n)]++
				continue
			}
			for _, i := range clusters[rng.IntN(len(clusters))] {
				count[i]++
			}
		}
		total := 0.0
		for _, c := range count {
			total += c
		}
		var seen, wrong float64
		k := 0
		for _, i := range order {
			seen += count[i]
			wrong += count[i] * (1 - s.y[i])
			for k < len(line.Points) && seen >= line.Points[k].X*total-1e-9 && seen > 0 {
				risks[k] = append(risks[k], wrong/seen)
				k++
			}
		}
	}
	for k := range line.Points {
		slices.Sort(risks[k])
		if m := len(risks[k]); m > resamples/2 {
			line.Points[k].Low, line.Points[k].High = risks[k][m/40], risks[k][m-1-m/40]
		}
	}
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

type namedFigure struct {
	name string
	f    stats.Figure
}

// summaryRows are the figures that a person reads first.
func summaryRows(s stats.Summary) []namedFigure {
	return []namedFigure{
		{"accuracy", s.Accuracy}, {"log-loss skill over the base rate", s.Skill}, {"  over the base rate of each kind", s.SkillWithin},
		{"AUROC", s.AUROC}, {"  within kinds", s.AUROCWithin}, {"ECE, debiased", s.ECEDebiased}, {"  of a perfect forecaster (raw)", s.ECEPerfect}, {"  raw", s.ECE},
		{"Brier", s.Brier}, {"log loss", s.LogLoss}, {"risk-coverage area", s.AURC}, {"PRR", s.PRR},
	}
}

func printCalibrationTests(w io.Writer, s stats.Summary) {
	if s.Spiegelhalter != nil {
		fmt.Fprintf(w, "  calibration test (Spiegelhalter)\tz = %.2f, p = %.3f\n", s.Spiegelhalter.Statistic, s.Spiegelhalter.P)
	}
	if s.Cox != nil {
		fmt.Fprintf(w, "  calibration test (Cox)\tintercept %.2f, slope %.2f, p = %.3f\n", s.Cox.Intercept.Value, s.Cox.Slope.Value, s.Cox.Test.P)
	}
}

func printStats(w io.Writer, r statsReport) error {
	out := bufio.NewWriter(w)
	name := r.Signal
	if name == "" {
		name = "score"
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if s := r.Summary; s != nil {
		fmt.Fprintf(out, "%s, n = %d (95 %% intervals)\n", name, s.N)
		for _, row := range summaryRows(*s) {
			fmt.Fprintf(t, "  %s\t%v\n", row.name, row.f)
		}
		printCalibrationTests(t, *s)
	} else {
		fmt.Fprintf(out, "%s of %d answers without labels\n", name, r.Unjudged)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Signals) > 0 {
		fmt.Fprintf(t, "\nSIGNAL\tAUROC\tWITHIN KINDS\tPRR\n")
		for _, f := range r.Signals {
			within := "-"
			if !math.IsNaN(f.AUROCWithin.Value) {
				within = short(f.AUROCWithin)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Signal, short(f.AUROC), within, short(f.PRR))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if len(r.Versus) > 0 {
		fmt.Fprintf(t, "\n%s AGAINST\tAUROC DIFFERENCE\tDELONG P\tHOLM\tBH\tMCNEMAR P\n", strings.ToUpper(name))
		p := func(x *float64) string {
			if x == nil {
				return "-"
			}
			return pValue(*x)
		}
		of := func(x *stats.Test) string {
			if x == nil {
				return "-"
			}
			return pValue(x.P)
		}
		for _, v := range r.Versus {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", v.Signal, short(v.Difference), of(v.DeLong), p(v.Holm), p(v.BH), of(v.McNemar))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if g := r.Guarantee; g != nil {
		rule := fmt.Sprintf("answers that score more than %.6g", g.Threshold)
		if g.All {
			rule = "every answer"
		}
		if !g.Holds {
			rule = "no answer"
		}
		fmt.Fprintf(out, "\nAt most %g of the answers given wrong, but for probability %g: give %s.\n  found on %s, n = %d (%d of %d given are wrong)\n", g.Risk, g.Delta, rule, g.On, g.N, g.Wrong, g.Given)
		fmt.Fprintf(out, "  here: given %s, of them wrong %s\n", short(g.Coverage), short(g.Realised))
		if g.Drift != nil {
			fmt.Fprintf(out, "  do the scores look alike: Kolmogorov–Smirnov distance %.3f, p = %.3g\n", g.Drift.Statistic, g.Drift.P)
		}
	}
	if a := r.AnswerSet; a != nil {
		fmt.Fprintf(out, "\nAnswer sets that miss the right option at most %g of the time: options of at least %.4g.\n  %s options each; one in %.1f %%, none in %.1f %% of sets; hold the right one in %s, leaving one out\n", a.Alpha, a.Floor, short(a.Size), 100*a.Single, 100*a.Empty, short(a.Coverage))
	}
	for _, f := range r.Figures {
		fmt.Fprintf(out, "\nDrawn: %s", f)
	}
	if len(r.Figures) > 0 {
		fmt.Fprintln(out)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(out, "\nwarning: %s\n", w)
	}
	return out.Flush()
}

// short is a figure without its n.
func short(f stats.Figure) string {
	s, _, _ := strings.Cut(f.String(), " (n=")
	return s
}

// pValue words a p-value, which is never 0.
func pValue(p float64) string {
	if p < 0.0001 {
		return "<0.0001"
	}
	return fmt.Sprintf("%.4f", p)
}
