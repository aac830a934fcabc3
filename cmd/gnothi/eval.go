package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gnothi/catalog"
	"gnothi/control"
	"gnothi/eval"
	"gnothi/internal/plot"
	"gnothi/llm"
	"gnothi/store"
)

func evalCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Published studies, on any model",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(evalWorkCmd())
	cmd.AddCommand(evalListCmd(), evalRunCmd(), evalResumeCmd(), evalReportCmd(), evalCompareCmd(), evalExportCmd(), evalPlanCmd(), evalRmCmd())
	cmd.AddCommand(evalImportCmd())
	return cmd
}

type evalOptions struct {
	peers           []string
	judge           string
	data, out       string
	chart           string
	limit           int
	maxTokens       int
	concurrency     string
	rpm, tpm        int64
	failed, failing bool
	ui              string // address of a page to watch by

	store   string        // a database; empty: the run is in a folder
	lease   time.Duration // of a worker on a run in a database
	created bool          // the run was made a moment ago
	quota   func(key string, rpm, tpm int64) llm.Quota
}

// pace are the flags that a run, or a card, may be given anew when it is
// resumed, with the budget that it has without.
func (o *evalOptions) pace(f *pflag.FlagSet, what string, budget llm.Limits) {
	f.StringVar(&o.concurrency, "concurrency", "", "calls in flight at once, or auto: as many as the provider bears (default: 4, for a local model 2)")
	f.Int64Var(&o.rpm, "rpm", 0, "most requests a minute to each model (0: no ceiling)")
	f.Int64Var(&o.tpm, "tpm", 0, "most tokens a minute to each model (0: no ceiling)")
	f.Int64("budget-calls", budget.Calls, "most calls that the "+what+" may cost (0: no ceiling)")
	f.Int64("budget-tokens", budget.Tokens, "most tokens that the "+what+" may cost (0: no ceiling)")
	f.Float64("budget-usd", float64(budget.NanoUSD)/1e9, "most dollars that the "+what+" may cost (0: no ceiling)")
	callFlags(f)
}

// flags are those of a command that works on a run.
func (o *evalOptions) flags(f *pflag.FlagSet) {
	o.pace(f, "run", llm.Limits{})
	f.StringVar(&o.chart, "figure", "", "SVG file for a picture of the measures")
	f.BoolVar(&o.failing, "fail-on-error", false, "exit with 1 if any item failed (without it: if all did)")
	o.uiFlag(f)
}

func evalRunCmd() *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "run STUDY",
		Short: "Run a study on a model",
		Long: `Run a study on a model and print what it measures, each figure with its 95 %
interval and the number of items that it rests on, beside what was published.

The run is kept in a folder (--out, else runs/STUDY-1, -2 and so on): every
finished call is there for good within a tenth of a second, so that after a crash
or kill -9, "gnothi eval resume FOLDER" asks only for the rest. Ctrl-C lets the
calls under way end; a second one stops at once.

With --store the run is kept in a PostgreSQL database under a name (--out), and
"gnothi eval work" on any machine joins in. Budgets and limits hold for all
workers together. Elsewhere such a run is called postgres://user@host/db#NAME.

Right, wrong, refused, unparsed and failed are counted apart. Where --data lacks
the files of a study it makes its items up. The same seed and model give the same
report. When a budget ends, the report is of what could be asked.`,
		Example: `  gnothi eval run line-of-duty-feasibility --limit 20 --ui
  gnothi eval run line-of-duty-feasibility --model openai:gpt-4.1-mini --concurrency auto --out runs/duty
  gnothi eval run self-recognition-security-questions --peer openai:gpt-4.1-mini --figure measures.svg
  gnothi eval run qa --model openai:gpt-4.1-mini --store postgres://me@db.example.org/evals --out qa-1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.String("model", settings["model"].def, "PROVIDER:NAME[@BASE_URL], or an alias of the configuration")
	f.String("policy", "", "how questions are answered, for studies that leave it open (qa): NAME[?key=value&…]")
	f.StringArrayVar(&o.peers, "peer", nil, "another model, for studies that compare; may be given again")
	f.StringVar(&o.judge, "judge", "", "the model that judges, for studies that need one (default: the model itself)")
	f.StringVar(&o.data, "data", "", "folder with the files of the study")
	f.IntVar(&o.limit, "limit", 0, "at most so many items (0: as many as the study has)")
	f.IntVar(&o.maxTokens, "max-tokens", 0, "longest reply, in tokens (0: as the study asks for)")
	f.StringVar(&o.out, "out", "", "folder of the run, with --store its name (default: runs/STUDY-1, or the next number that is free)")
	f.Uint64("seed", 1, "root of everything random")
	o.storeFlags(f)
	o.flags(f)
	return cmd
}

func evalResumeCmd() *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run that was cut off",
		Long: `Go on with a run: only the calls that were in flight when it ended are made
again. Budgets and limits may be given anew; what the run has spent counts. RUN is
the run's folder, or its name in the database of --store; there, what a budget
left out is asked as well.`,
		Example: `  gnothi eval resume runs/qa-1
  gnothi eval resume runs/qa-1 --retry-failed --concurrency 32`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if run := place(o.store, args[0]); o.store != "" || isShared(run) {
				return o.work(cmd, run, true)
			}
			return o.resume(cmd, args[0])
		},
	}
	f := cmd.Flags()
	o.storeFlags(f)
	f.BoolVar(&o.failed, "retry-failed", false, "ask once more about the items that failed")
	o.flags(f)
	return cmd
}

// limits reads the pace: how many items at a time, and what each model is asked
// at most.
func (o evalOptions) limits(spec string) (items int, limit llm.LimitOptions, err error) {
	limit = llm.LimitOptions{RPM: o.rpm, TPM: o.tpm}
	if o.rpm < 0 || o.tpm < 0 {
		return 0, limit, usagef("--rpm %d, --tpm %d: want 0 or more", o.rpm, o.tpm)
	}
	switch o.concurrency {
	case "":
		limit.Concurrency = 4
		if strings.HasPrefix(spec, "local:") {
			limit.Concurrency = 2
		}
	case "auto":
		limit.Adaptive, limit.Concurrency = true, 256
	default:
		n, err := strconv.Atoi(o.concurrency)
		if err != nil || n < 1 || n > 100_000 {
			return 0, limit, usagef("--concurrency %s: want a number of 1 or more, or auto", o.concurrency)
		}
		limit.Concurrency = n
	}
	// Some items more than calls: those that wait for another try, or are being
	// measured, leave no place empty.
	return limit.Concurrency + limit.Concurrency/4 + 1, limit, nil
}

func (o evalOptions) run(cmd *cobra.Command, name string) (err error) {
	suite, err := catalog.Suite(name)
	if err != nil {
		return usage(err)
	}
	if o.limit < 0 || o.maxTokens < 0 {
		return usagef("--limit %d, --max-tokens %d: want 0 or more", o.limit, o.maxTokens)
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
	policy, _ := cmd.Flags().GetString("policy") // the configuration's is for questions that users ask
	h := eval.Header{Gnothi: version(), Study: name, Spec: c.String("model"), Peers: o.peers, Judge: o.judge, Policy: policy,
		Limit: o.limit, Pace: o.concurrency, Seed: n.seed, Tokens: o.maxTokens, Created: time.Now().UTC().Truncate(time.Second)}
	if t := c.String("call-timeout"); t != settings["call-timeout"].def {
		h.Timeout = t
	}
	if o.data != "" {
		if h.Data, err = filepath.Abs(o.data); err != nil {
			return usage(err)
		}
	}
	ready, err := o.prepare(cmd, c, n, suite, h)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ready.close()) }()
	h.Model = ready.subject.Model.ID().String()
	if o.store != "" {
		return o.create(cmd, n, suite, h, ready.options)
	}
	dir := o.out
	if dir == "" {
		if dir, err = freeFolder(filepath.Join("runs", name)); err != nil {
			return err
		}
	}
	folder, err := eval.CreateRun(cmd.Context(), dir, h)
	if err != nil {
		return usage(err)
	}
	return o.ask(cmd, suite, folder, ready)
}

func (o evalOptions) resume(cmd *cobra.Command, dir string) (err error) {
	folder, err := eval.OpenRun(cmd.Context(), dir)
	if err != nil {
		return usage(err)
	}
	opened := true
	defer func() {
		if opened {
			err = errors.Join(err, folder.Close())
		}
	}()
	h := folder.Header
	if info, err := os.Stat(h.Data); h.Data != "" && (err != nil || !info.IsDir()) {
		return usagef("run %s was begun with the data in %s, and there is no such folder now: put it back", dir, h.Data)
	}
	o.concurrency = cmp.Or(o.concurrency, h.Pace)
	suite, _, ready, err := o.reopen(cmd, h, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ready.close()) }()
	if o.failed {
		again, err := folder.Forget(cmd.Context(), eval.OutcomeFailed)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%d failed items are asked about once more\n", again)
	}
	opened = false
	return o.ask(cmd, suite, folder, ready)
}

// reopen opens the suite and the models of a run that was begun before, and makes
// sure that they are the same.
func (o evalOptions) reopen(cmd *cobra.Command, h eval.Header, run string) (suite eval.Suite, n numbers, r ready, err error) {
	if suite, err = catalog.Suite(h.Study); err != nil {
		return nil, n, r, usage(err)
	}
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return nil, n, r, err
	}
	if n, err = c.numbers(); err != nil {
		return nil, n, r, err
	}
	n.seed = h.Seed
	if h.Timeout != "" && !cmd.Flags().Changed("call-timeout") {
		if err := c.Set("call-timeout", h.Timeout); err != nil {
			return nil, n, r, err
		}
	}
	if r, err = o.prepare(cmd, c, n, suite, h); err != nil {
		return nil, n, r, err
	}
	if is := r.subject.Model.ID().String(); is != h.Model {
		return nil, n, r, errors.Join(usagef("run %s was begun with %s; %s is %s here", run, h.Model, h.Spec, is), r.close())
	}
	return suite, n, r, nil
}

// ready is what a run needs besides its folder.
type ready struct {
	subject eval.Subject
	options eval.Options
	limits  *catalog.Limiters
	close   func() error
	// Of a run in a database: how it is run, and what resume needs to be told.
	run   func(context.Context, eval.Options) (*eval.Report, error)
	again string
}

// prepare opens the models of a run.
func (o evalOptions) prepare(cmd *cobra.Command, c *config, n numbers, suite eval.Suite, h eval.Header) (ready, error) {
	items, limit, err := o.limits(h.Spec)
	if err != nil {
		return ready{}, err
	}
	var policy control.Policy
	if h.Policy != "" {
		if policy, err = catalog.Policy(h.Policy, nil); err != nil {
			return ready{}, usage(err)
		}
	}
	c.limit, c.limiters = limit, &catalog.Limiters{Quota: o.quota}
	subject, closeModels, err := o.subject(cmd.Context(), cmd, c, h)
	if err != nil {
		return ready{}, err
	}
	return ready{subject: subject, options: eval.Options{
		Source: eval.Source{Dir: h.Data, N: h.Limit}, Seed: h.Seed, Concurrency: items, Limits: n.limits, MaxTokens: h.Tokens, Policy: policy,
	}, limits: c.limiters, close: closeModels}, nil
}

// ask runs what a folder still lacks, closes it, and tells what came out.
func (o evalOptions) ask(cmd *cobra.Command, suite eval.Suite, folder *eval.Folder, r ready) (err error) {
	defer collectRarely()()
	defer func() {
		closed := folder.Discard()
		if err == nil || closed != nil && !strings.Contains(err.Error(), closed.Error()) { // a full disk is told once
			err = errors.Join(err, closed)
		}
	}()
	if r.run == nil {
		r.again = folder.Dir()
		r.run = func(ctx context.Context, o eval.Options) (*eval.Report, error) {
			return eval.Run(ctx, suite, r.subject, o)
		}
	}
	unwatch, err := o.watch(cmd, suite, folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unwatch()) }()
	r.options.Log, r.options.Stop = folder, cmd.Context().Done()
	bar := newRunProgress(cmd, suite.Describe().Name, r.limits)
	r.options.Progress = bar.set
	told := context.AfterFunc(cmd.Context(), func() {
		fmt.Fprintln(cmd.ErrOrStderr(), "\nwaiting for the calls under way; Ctrl-C again stops at once")
	})
	// Ctrl-C closes Stop; the calls under way go on.
	report, err := r.run(context.WithoutCancel(cmd.Context()), r.options)
	told()
	bar.done()
	if report == nil {
		return runError(err)
	}
	interrupted := errors.Is(err, llm.ErrStopped)
	if interrupted && report.Outcomes.Unasked == 0 { // it came too late to keep anything from being asked
		interrupted, err = false, nil
	}
	if err == nil || interrupted || errors.Is(err, eval.ErrNoModel) {
		err = errors.Join(err, folder.End(context.WithoutCancel(cmd.Context()), time.Now()))
		err = errors.Join(writeReport(context.WithoutCancel(cmd.Context()), folder, suite, report, 0), err)
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		err = errors.Join(err, encode(cmd, report))
	} else {
		err = errors.Join(err, printStudy(cmd.OutOrStdout(), report))
	}
	if o.chart != "" && err == nil {
		err = drawReport(o.chart, report)
	}
	done := report.N - report.Outcomes.Unasked
	bar.tell(folder.Where(), report)
	switch {
	case interrupted:
		return &codeError{exitInterrupted, fmt.Errorf("interrupted: %d of %d items done; go on with: gnothi eval resume %s", done, report.N, r.again)}
	case errors.Is(err, eval.ErrNoModel):
		return fmt.Errorf("%w; when it is back, go on with: gnothi eval resume %s", err, folder.Dir())
	case err != nil:
		return err
	case done == 0:
		return fmt.Errorf("study %s: nothing could be asked: %w", report.Study, llm.ErrBudget)
	case done == report.Outcomes.Failed:
		return fmt.Errorf("study %s: all %d items failed: %s", report.Study, done, report.Errors[0])
	case o.failing && report.Outcomes.Failed > 0:
		return fmt.Errorf("study %s: %d of %d items failed", report.Study, report.Outcomes.Failed, done)
	}
	return nil
}

// runError makes what is wrong with a run's data, or with what was kept of it,
// wrong usage.
func runError(err error) error {
	if errors.Is(err, eval.ErrChanged) || errors.Is(err, eval.ErrNoItems) || errors.Is(err, store.ErrForeign) {
		return usage(err)
	}
	return err
}

// freeFolder gives the first of NAME-1, NAME-2 and so on that is not there.
func freeFolder(name string) (string, error) {
	for i := 1; i < 1_000_000; i++ {
		dir := fmt.Sprintf("%s-%d", name, i)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return dir, nil
		}
	}
	return "", usagef("%s-…: too many folders: name one with --out", name)
}

// subject opens the models.
func (o evalOptions) subject(ctx context.Context, cmd *cobra.Command, c *config, h eval.Header) (s eval.Subject, closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() error {
		var errs []error
		for _, f := range closers {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	open := func(m llm.Model, closer func() error, openErr error) llm.Model {
		if err == nil && openErr == nil {
			closers = append(closers, closer)
		}
		err = errors.Join(err, openErr)
		return m
	}
	s.Model = open(c.openTraced(ctx, cmd, h.Spec))
	for _, spec := range h.Peers {
		s.Peers = append(s.Peers, open(c.openSpec(ctx, cmd, spec)))
	}
	if h.Judge != "" {
		s.Judge = open(c.openSpec(ctx, cmd, h.Judge))
	}
	if err != nil {
		return s, nil, errors.Join(err, closeAll())
	}
	return s, closeAll, nil
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
	if o.Empty > 0 {
		parts = append(parts, fmt.Sprintf("%d of the unparsed empty", o.Empty))
	}
	fmt.Fprintf(w, "%s\n\n", strings.Join(parts, ", "))
	measures := r.Figures()
	usual := len(measures) - len(r.Measures)
	measures = append(slices.DeleteFunc(measures[:usual:usual], func(m eval.Measure) bool { return math.IsNaN(m.Figure.Value) }), r.Measures...)
	if len(measures) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "MEASURE\tVALUE\t95 % INTERVAL\tN\tP (HOLM)\tPUBLISHED")
		for _, m := range measures {
			p := ""
			if m.Figure.Tested() {
				p = fmt.Sprintf("%.2g (%.2g)", m.Figure.P, m.Figure.PAdjusted)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", m.Name, valueOf(m.Figure), bounds(m.Figure), m.Figure.N, p, published(m.Published))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	if d := r.Detectable; d != nil && !math.IsNaN(d.Figure.Value) {
		fmt.Fprintf(w, "two runs on these items would show a difference of %.3f four times in five\n", d.Figure.Value)
	}
	for _, e := range r.Errors {
		fmt.Fprintf(w, "failed: %s\n", e)
	}
	if more := o.Failed - len(r.Errors); more > 0 {
		fmt.Fprintf(w, "failed: %d more; report.html and eval export have them all\n", more)
	}
	usd := fmt.Sprintf(", $%.4f", float64(r.Spend.NanoUSD)/1e9)
	if r.Spend.Unpriced > 0 {
		usd = ", price not known"
	}
	fmt.Fprintf(w, "%d calls, %d prompt and %d completion tokens%s\n", r.Spend.Calls, r.Spend.PromptTokens, r.Spend.CompletionTokens, usd)
	var err error
	if u := r.Unfinished; u.Calls > 0 {
		_, err = fmt.Fprintf(w, "%d calls more for items that were cut off; a resumed run goes on from there\n", u.Calls)
	}
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
