package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi/catalog"
	"gnothi/eval"
	"gnothi/internal/plot"
	"gnothi/llm"
)

func evalCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Published studies, on any model",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(evalListCmd(), evalRunCmd())
	return cmd
}

func evalListCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "The studies",
		Example: "  gnothi eval list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []eval.Description
			for _, s := range catalog.Suites() {
				all = append(all, s.Describe())
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return encode(cmd, all)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "STUDY\tNEEDS\tABOUT")
			for _, d := range all {
				fmt.Fprintf(t, "%s\t%s\t%s\n", d.Name, d.Needs, d.About)
			}
			return t.Flush()
		},
	}
}

type evalOptions struct {
	peers            []string
	judge            string
	data, out, chart string
	limit, workers   int
	maxTokens        int
}

func evalRunCmd() *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "run STUDY",
		Short: "Run a study on a model",
		Long: `Run a study on a model and print what it measures, each figure with its 95 %
interval and the number of items that it rests on, beside what was published.

Right, wrong, refused, unparsed and failed are counted apart. Where --data lacks
the files of a study it makes its items up. The same seed and model give the same
report. When a budget ends, the report is of what could be asked.`,
		Example: `  gnothi eval run line-of-duty-feasibility --limit 20
  gnothi eval run line-of-duty-feasibility --model openai:gpt-4.1-mini --out records.jsonl
  gnothi eval run self-recognition-security-questions --peer openai:gpt-4.1-mini --figure measures.svg`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.String("model", settings["model"].def, "PROVIDER:NAME[@BASE_URL], or an alias of the configuration")
	f.StringArrayVar(&o.peers, "peer", nil, "another model, for studies that compare; may be given again")
	f.StringVar(&o.judge, "judge", "", "the model that judges, for studies that need one (default: the model itself)")
	f.StringVar(&o.data, "data", "", "folder with the files of the study")
	f.IntVar(&o.limit, "limit", 0, "at most so many items (0: as many as the study has)")
	f.IntVar(&o.workers, "concurrency", 4, "items at a time")
	f.IntVar(&o.maxTokens, "max-tokens", 0, "longest reply, in tokens (0: as the study asks for)")
	f.StringVar(&o.out, "out", "", "file for what became of each item, JSON Lines")
	f.StringVar(&o.chart, "figure", "", "SVG file for a picture of the measures")
	f.Uint64("seed", 1, "root of everything random")
	f.Int64("budget-calls", 0, "most calls that the run may cost (0: no ceiling)")
	f.Int64("budget-tokens", 0, "most tokens that the run may cost (0: no ceiling)")
	f.Float64("budget-usd", 0, "most dollars that the run may cost (0: no ceiling)")
	f.String("trace", "", "file that records every call of the model, for --model replay:FILE")
	return cmd
}

func (o evalOptions) run(cmd *cobra.Command, name string) (err error) {
	suite, err := catalog.Suite(name)
	if err != nil {
		return usage(err)
	}
	if o.limit < 0 || o.maxTokens < 0 || o.workers < 1 {
		return usagef("--limit %d, --max-tokens %d, --concurrency %d: want a limit and a length of 0 or more and a concurrency of 1 or more", o.limit, o.maxTokens, o.workers)
	}
	if info, err := os.Stat(o.data); o.data != "" && (err != nil || !info.IsDir()) {
		return usagef("--data %s: want a folder", o.data)
	}
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return err
	}
	n, err := c.numbers()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	subject, closeModels, err := o.subject(ctx, cmd, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeModels()) }()
	options := eval.Options{Source: eval.Source{Dir: o.data, N: o.limit}, Seed: n.seed, Concurrency: o.workers, Limits: n.limits, MaxTokens: o.maxTokens}
	if o.out != "" {
		f, err := os.Create(o.out)
		if err != nil {
			return usage(err)
		}
		defer f.Close()
		enc := json.NewEncoder(f)
		enc.SetEscapeHTML(false)
		options.Record = func(r eval.Record) error { return enc.Encode(r) }
	}
	var bar *progress
	options.Progress = func(done, total int) {
		if bar == nil {
			p := newProgress(cmd, total, name)
			bar = &p
		}
		bar.set(done)
	}
	report, err := suite.Run(ctx, subject, options)
	if bar != nil {
		bar.done()
	}
	if report == nil {
		return err
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		err = errors.Join(err, encode(cmd, report))
	} else {
		err = errors.Join(err, printStudy(cmd.OutOrStdout(), report))
	}
	if o.chart != "" && err == nil {
		err = drawReport(o.chart, report)
	}
	switch done := report.N - report.Outcomes.Unasked; {
	case err != nil:
		return err
	case done == 0:
		return fmt.Errorf("study %s: nothing could be asked: %w", name, llm.ErrBudget)
	case done == report.Outcomes.Failed:
		return fmt.Errorf("study %s: all %d items failed: %s", name, done, report.Errors[0])
	}
	return nil
}

// subject opens the models.
func (o evalOptions) subject(ctx context.Context, cmd *cobra.Command, c *config) (s eval.Subject, closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() error {
		var errs []error
		for _, f := range closers {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	open := func(of func() (llm.Model, func() error, error)) (m llm.Model) {
		if err != nil {
			return nil
		}
		var closer func() error
		if m, closer, err = of(); err == nil {
			closers = append(closers, closer)
		}
		return m
	}
	other := func(spec string) func() (llm.Model, func() error, error) {
		return func() (llm.Model, func() error, error) { return c.openOther(ctx, cmd, spec) }
	}
	s.Model = open(func() (llm.Model, func() error, error) { return c.openModel(ctx, cmd) })
	for _, spec := range o.peers {
		s.Peers = append(s.Peers, open(other(spec)))
	}
	if o.judge != "" {
		s.Judge = open(other(o.judge))
	}
	if err != nil {
		return s, nil, errors.Join(err, closeAll())
	}
	return s, closeAll, nil
}

// openOther opens a model beside the one of the configuration: a specification
// or an alias.
func (c *config) openOther(ctx context.Context, cmd *cobra.Command, spec string) (llm.Model, func() error, error) {
	o := catalog.ModelOptions{Pull: puller(cmd)}
	if alias, ok := c.Get("models." + spec).(map[string]any); ok {
		if err := o.Alias(alias); err != nil {
			return nil, nil, usagef("models.%s: %w", spec, err)
		}
		spec = o.Spec
	}
	return catalog.OpenModel(ctx, spec, o)
}

func printStudy(w io.Writer, r *eval.Report) error {
	o := r.Outcomes
	fmt.Fprintf(w, "%s on %s, %d items: ", r.Study, r.Model, r.N)
	var parts []string
	for _, p := range []struct {
		n    int
		what string
		zero bool // told even if there are none
	}{{o.Right, "right", o.Right+o.Wrong > 0}, {o.Wrong, "wrong", o.Right+o.Wrong > 0}, {o.Measured, "measured", false},
		{o.Refused, "refused", true}, {o.Unparsed, "unparsed", true}, {o.Failed, "failed", true}, {o.Unasked, "not asked", false}} {
		if p.n > 0 || p.zero {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	fmt.Fprintf(w, "%s\n\n", strings.Join(parts, ", "))
	if len(r.Measures) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "MEASURE\tVALUE\t95 % INTERVAL\tN\tPUBLISHED")
		for _, m := range r.Measures {
			value, interval := "-", "-"
			f := m.Figure
			if !math.IsNaN(f.Value) {
				value = fmt.Sprintf("%.3f%s", f.Value, f.Unit)
			}
			switch {
			case !math.IsNaN(f.Low) && !math.IsNaN(f.High):
				interval = fmt.Sprintf("%.3f to %.3f", f.Low, f.High)
			case f.Why != "":
				interval = f.Why
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", m.Name, value, interval, f.N, published(m.Published))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	for _, e := range r.Errors {
		fmt.Fprintf(w, "failed: %s\n", e)
	}
	usd := fmt.Sprintf(", $%.4f", float64(r.Spend.NanoUSD)/1e9)
	if r.Spend.Unpriced > 0 {
		usd = ", price not known"
	}
	_, err := fmt.Fprintf(w, "%d calls, %d prompt and %d completion tokens%s\n", r.Spend.Calls, r.Spend.PromptTokens, r.Spend.CompletionTokens, usd)
	return err
}

// published words published values: each of up to two, the range of more.
func published(ps []eval.Published) string {
	if len(ps) > 2 {
		low, high := ps[0], ps[0]
		for _, p := range ps {
			if p.Value < low.Value {
				low = p
			}
			if p.Value > high.Value {
				high = p
			}
		}
		return fmt.Sprintf("%.3f (%s) to %.3f (%s)", low.Value, low.Of, high.Value, high.Of)
	}
	var out []string
	for _, p := range ps {
		out = append(out, fmt.Sprintf("%.3f (%s)", p.Value, p.Of))
	}
	return strings.Join(out, ", ")
}

// drawReport draws the measures that lie between -1 and 1 below one another.
func drawReport(path string, r *eval.Report) error {
	forest := plot.Forest{Title: r.Study, Note: fmt.Sprintf("%s, %d items, 95 %% intervals", r.Model, r.N)}
	for _, m := range r.Measures {
		if math.Abs(m.Figure.Value) <= 1 {
			forest.Rows = append(forest.Rows, plot.Row{Name: m.Name, Value: m.Figure.Value, Low: m.Figure.Low, High: m.Figure.High})
		}
	}
	if len(forest.Rows) == 0 {
		return fmt.Errorf("--figure %s: no measure of %s can be drawn", path, r.Study)
	}
	f, err := os.Create(path)
	if err != nil {
		return usage(err)
	}
	_, err = forest.WriteTo(f)
	return errors.Join(err, f.Close())
}
