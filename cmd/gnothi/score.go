package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"gnothi/catalog"
	"gnothi/internal/jsonl"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/monitor/likelihood"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// scoring is `score`.
type scoring struct {
	in      string
	skipBad bool
	workers int
	kind    text.Kind

	signals  []monitor.Signal
	named    bool // the user named the signals; else each line gets those that it allows
	model    llm.Model
	form     string
	numbers  numbers
	sampling monitor.Sampling
	samples  int
	ids      maphash.Seed
	cpu      time.Duration // of the process before it began
}

func scoreCmd() *cobra.Command {
	o := &scoring{ids: maphash.MakeSeed()}
	var kind string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "score",
		Short: "Score answers that already exist",
		Long: `Read evidence about answers, one JSON object a line, and write scores: numbers
from 0 to 1, higher for what is more to be trusted. Nothing is asked of a model
unless --model names one; then it gathers what the lines lack, each piece once.

A line: {"id", "question", "answer", "tokens": [{"token", "logprob", "top":
[{"token", "logprob"}]}], "samples": ["text" or {"text", "tokens"}], "label"?}.
The layout of an OpenAI response is read as it is ("logprobs": {"content": […]}).
Where other programs measured them: "nli": {"entailment": rows, "contradiction":
rows} and "likeness": rows, for all pairs of samples or of the answer and the
samples, and "relevance", a figure for each token.

Out comes {"id", …, "scores": {name: 0..1}, "raw": {name: number}, "missing":
{name: why there is none}} in the order of the lines, as it goes; other fields
stay. Without --signals each line gets what its evidence allows. What each signal
cost is told on standard error, with --json as an object.`,
		Example: `  gnothi score --in answers.jsonl > scores.jsonl
  gnothi score --in answers.jsonl.zst --signals consistency/semantic-entropy,likelihood/margin
  gnothi score --in labelled.jsonl | gnothi stats --in -
  gnothi score --in questions.jsonl --model openai:gpt-4.1-mini --samples 10`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.in == "" {
				return usagef("--in FILE is needed: the evidence, or - for standard input")
			}
			if o.kind, err = text.ParseKind(kind); err != nil {
				return usagef("--type %q: want free, number, letter, bool or label", kind)
			}
			asJSON, _ = cmd.Flags().GetBool("json")
			closeModel, err := o.open(cmd)
			if err != nil {
				return err
			}
			r, err := o.run(cmd.Context(), cmd.OutOrStdout())
			err = errors.Join(err, closeModel())
			if err == nil && r.Lines+r.BadLines == 0 {
				return usagef("%s holds no evidence", o.in)
			}
			if quiet, _ := cmd.Flags().GetBool("quiet"); r.Lines+r.BadLines > 0 && !quiet {
				o.tell(cmd.ErrOrStderr(), r, asJSON)
			}
			return err
		},
	}
	modelled := pflag.NewFlagSet("", pflag.ContinueOnError)
	modelFlags(modelled)
	f := cmd.Flags()
	for _, name := range []string{"model", "seed", "samples", "temperature", "max-tokens", "budget-calls", "budget-tokens", "budget-usd", "format", "trace", "verifier", "signals"} {
		f.AddFlag(modelled.Lookup(name))
	}
	for name, usage := range map[string]string{
		"model": "gathers what the lines lack: PROVIDER:NAME[@BASE_URL], or an alias (default: nothing is asked)", "signals": "signals to read (default: all that a line's evidence allows)",
		"samples": "samples to draw where a line has none (0: 10)", "temperature": "of those samples (0: 0.7)", "max-tokens": "longest sample, in tokens (0: as the form of the question has it)",
		"budget-calls": "most calls a line may cost (0: no ceiling)", "budget-tokens": "most tokens a line may cost (0: no ceiling)", "budget-usd": "most dollars a line may cost (0: no ceiling)",
	} {
		f.Lookup(name).Usage = usage
	}
	f.Lookup("model").DefValue = ""
	f.StringVar(&o.in, "in", "", "evidence, JSON Lines, gzip or zstd by suffix; - for standard input")
	f.BoolVar(&o.skipBad, "skip-bad", false, "go past bad lines, count and list them")
	f.IntVar(&o.workers, "concurrency", 0, "lines at a time (0: one for each core)")
	f.StringVar(&kind, "type", "free", "type of the answers, for which are equal: free, number, letter, bool, label")
	return cmd
}

// open finds the signals and opens the model, if one is named.
func (o *scoring) open(cmd *cobra.Command) (closeModel func() error, err error) {
	closeModel = func() error { return nil }
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return nil, err
	}
	if o.numbers, err = c.numbers(); err != nil {
		return nil, err
	}
	if o.signals, err = c.signals(); err != nil {
		return nil, err
	}
	o.named = len(c.list("signals")) > 0
	if !o.named {
		for _, s := range catalog.Signals() {
			if _, free := monitor.NeedsOf(s); free {
				o.signals = append(o.signals, s)
			}
		}
	}
	if o.workers < 0 || o.workers > 10_000 {
		return nil, usagef("--concurrency %d: want 0 to 10000", o.workers)
	}
	o.workers = cmp.Or(o.workers, runtime.GOMAXPROCS(0))
	o.samples = consistency.Samples
	if v := o.numbers.samples; v != "" {
		if o.samples, err = strconv.Atoi(v); err != nil {
			return nil, usage(err)
		}
	}
	o.sampling = monitor.DefaultSampling
	if v := o.numbers.temperature; v != "" {
		if o.sampling.Temperature, err = strconv.ParseFloat(v, 64); err != nil {
			return nil, usage(err)
		}
	}
	o.form = c.String("format")
	if cmd.Flags().Changed("model") {
		if o.model, closeModel, err = c.openModel(cmd.Context(), cmd); err != nil {
			return nil, err
		}
		if _, ok := prompt.Select(o.form, o.model, monitor.Question{Text: "?"}); !ok {
			return nil, errors.Join(usagef("format %q: want auto, shots or chat", o.form), closeModel())
		}
	}
	return closeModel, nil
}

// lineJob is a line on its way through: read, scored in any order, written in its own.
type lineJob struct {
	n    int
	line string
	bad  error // what is wrong with it
	err  error // what ends the run
	id   string
	out  []byte
	cost []signalCost // of each signal, and last of the gathering
	done chan struct{}
}

// scoreReport is what scoring has come to.
type scoreReport struct {
	Lines       int          `json:"lines"`
	Bad         []string     `json:"bad,omitempty"`
	BadLines    int          `json:"bad_lines"`
	WallSeconds float64      `json:"wall_seconds"`
	CPUSeconds  float64      `json:"cpu_seconds"`
	LinesPerCPU float64      `json:"lines_per_cpu_second"`
	Calls       int64        `json:"calls"`
	Tokens      int64        `json:"tokens"`
	Gathering   *signalCost  `json:"gathering,omitempty"` // answers, samples and log-probabilities, before any signal
	Signals     []signalCost `json:"signals"`
	IDs         string       `json:"ids,omitempty"`

	seen  map[uint64]int // line of each id
	costs []signalCost
}

// signalCost is what a signal read and what it cost. Evidence that several
// signals share is charged to the first of them.
type signalCost struct {
	Name    string  `json:"name"`
	Read    int     `json:"read"`
	Missing int     `json:"missing"`
	Failed  int     `json:"failed,omitempty"`
	Calls   int64   `json:"calls"`
	Tokens  int64   `json:"tokens"`
	CPU     float64 `json:"cpu_seconds"` // its part of the process's by the time spent in it

	took time.Duration
}

func (a *signalCost) add(b signalCost) {
	a.Read, a.Missing, a.Failed = a.Read+b.Read, a.Missing+b.Missing, a.Failed+b.Failed
	a.Calls, a.Tokens, a.took = a.Calls+b.Calls, a.Tokens+b.Tokens, a.took+b.took
}

// maxIDs is how many ids are remembered to tell repeats, so that memory does not grow with the file.
const maxIDs = 1 << 20

// run scores all lines. Memory is bounded by the lines under way: a few for each worker.
func (o *scoring) run(ctx context.Context, w io.Writer) (*scoreReport, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// A line is garbage as soon as it is written: collecting later costs some ten megabytes and saves a third of the time.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	begun := time.Now()
	o.cpu = cpuTime()
	todo, inOrder := make(chan *lineJob), make(chan *lineJob, 4*o.workers)
	var readErr error
	go func() {
		defer close(inOrder)
		defer close(todo)
		send := func(j *lineJob, work bool) error {
			j.done = make(chan struct{})
			if !work {
				close(j.done)
			}
			select {
			case inOrder <- j:
			case <-ctx.Done():
				return ctx.Err()
			}
			if work {
				select {
				case todo <- j:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		}
		readErr = jsonl.Each(o.in, func(n int, line []byte) error {
			return send(&lineJob{n: n, line: string(line)}, true)
		}, func(e *jsonl.LineError) bool {
			return ctx.Err() == nil && send(&lineJob{n: e.Line, bad: e.Err}, false) == nil
		})
	}()
	for range o.workers {
		go func() {
			for j := range todo {
				o.one(ctx, j)
				close(j.done)
			}
		}()
	}
	r := &scoreReport{seen: map[uint64]int{}, costs: make([]signalCost, len(o.signals)+1)}
	err := o.write(ctx, w, inOrder, r)
	if err == nil { // else the reader may still wait for input
		err = readErr
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = usage(err)
	}
	o.count(r, time.Since(begun))
	return r, err
}

func (o *scoring) write(ctx context.Context, w io.Writer, inOrder <-chan *lineJob, r *scoreReport) error {
	out := bufio.NewWriterSize(w, 1<<16)
	name := o.in
	if name == "-" {
		name = "standard input"
	}
	for j := range inOrder {
		select {
		case <-j.done:
		default: // nothing more is ready: what there is goes out
			if err := out.Flush(); err != nil {
				return err
			}
			select {
			case <-j.done:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return errors.Join(out.Flush(), fmt.Errorf("interrupted after %d lines: %w", r.Lines, context.Canceled))
		}
		if j.err != nil {
			return errors.Join(out.Flush(), fmt.Errorf("%s:%d: %w", name, j.n, j.err))
		}
		if j.bad == nil && j.id != "" {
			h := maphash.String(o.ids, j.id)
			if at := r.seen[h]; at > 0 {
				j.bad = fmt.Errorf("id %s: line %d has it already", j.id, at)
			} else if len(r.seen) < maxIDs {
				r.seen[h] = j.n
			} else {
				r.IDs = fmt.Sprintf("ids after the first %d were not compared with one another", maxIDs)
			}
		}
		if j.bad != nil {
			e := &jsonl.LineError{File: name, Line: j.n, Err: j.bad}
			if !o.skipBad {
				return errors.Join(out.Flush(), e)
			}
			if r.BadLines++; r.BadLines <= 20 {
				r.Bad = append(r.Bad, e.Error())
			}
			continue
		}
		r.Lines++
		for i, c := range j.cost {
			r.costs[i].add(c)
		}
		if _, err := out.Write(j.out); err != nil {
			return err
		}
	}
	return out.Flush()
}

// one reads and scores a line.
func (o *scoring) one(ctx context.Context, j *lineJob) {
	e, err := readEvidence(j.line)
	if err != nil {
		j.bad = err
		return
	}
	j.id, j.cost = e.id, make([]signalCost, len(o.signals)+1)
	ledger := llm.NewLedger(o.numbers.limits)
	given := e.inputs()
	mark := time.Now()
	t, c, err := o.trial(ctx, &e, j.n, ledger)
	spent := ledger.Spent()
	j.cost[len(o.signals)] = signalCost{Calls: spent.Calls, Tokens: spent.Tokens(), took: time.Since(mark)}
	if ctx.Err() != nil {
		return
	}
	if o.model != nil {
		given |= e.inputs()
	}
	gathered := err // told by every signal that lacks what could not be gathered

	scores, raw, missing := []byte(`,"scores":{`), []byte(`},"raw":{`), []byte(`},"missing":{`)
	for i, s := range o.signals {
		needs, free := monitor.NeedsOf(s)
		if free && !o.named && needs&^given != 0 {
			continue
		}
		began := time.Now()
		cost := signalCost{}
		var reading monitor.Reading
		switch {
		case !free && c == nil:
			err = &monitor.MissingError{Needs: "an answer"}
		default:
			reading, err = monitor.ScoreOne(ctx, s, t, c)
		}
		if ctx.Err() != nil {
			j.err = ctx.Err()
			return
		}
		if gathered != nil && errors.Is(err, monitor.ErrMissing) {
			err = fmt.Errorf("%w (%w)", err, gathered)
		}
		now := ledger.Spent()
		cost.took, cost.Calls, cost.Tokens = time.Since(began), now.Calls-spent.Calls, now.Tokens()-spent.Tokens()
		spent = now
		switch {
		case err == nil:
			cost.Read++
			scores = appendPair(scores, s.Name(), reading.Score)
			raw = appendPair(raw, s.Name(), reading.Raw)
		default:
			if errors.Is(err, monitor.ErrMissing) {
				cost.Missing++
			} else {
				cost.Failed++
			}
			missing = append(appendText(comma(missing), s.Name()), ':')
			missing = appendText(missing, err.Error())
		}
		j.cost[i] = cost
	}
	id := e.id
	if id == "" {
		id = strconv.Quote(strconv.Itoa(j.n))
	}
	out := make([]byte, 0, len(e.kept)+len(scores)+len(raw)+len(missing)+32)
	out = append(append(out, `{"id":`...), id...)
	for _, part := range [][]byte{e.kept, scores, raw, missing} {
		out = append(out, part...)
	}
	j.out = append(out, "}}\n"...)
}

// comma separates the members of an object.
func comma(b []byte) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return b
}

func appendPair(b []byte, name string, v float64) []byte {
	return strconv.AppendFloat(append(appendText(comma(b), name), ':'), v, 'g', -1, 64)
}

// inputs is what evidence a line has.
func (e *evidence) inputs() (in monitor.Inputs) {
	has := func(which monitor.Inputs, there bool) {
		if there {
			in |= which
		}
	}
	if e.answer != nil && len(e.answer.Tokens) > 0 {
		t := e.answer.Tokens[0]
		in |= monitor.AnswerTokens
		has(monitor.Alternatives, len(t.Top) > 0)
		has(monitor.Distributions, t.Dist != nil)
		has(monitor.Relevance, e.relevance != nil)
	}
	if len(e.samples) > 0 {
		in |= monitor.Samples
		has(monitor.SampleTokens, len(e.samples[0].Tokens) > 0)
		has(monitor.SampleRelevance, len(e.sampleRelevance) > 0)
	}
	has(monitor.Inference, e.nli != nil)
	has(monitor.Likeness, e.likeness != nil)
	return in
}

// trial makes a trial of a line's evidence. With a model it gathers what the
// signals read and the line lacks; what it then has, the line has as well.
func (o *scoring) trial(ctx context.Context, e *evidence, n int, ledger *llm.Ledger) (*monitor.Trial, *monitor.Candidate, error) {
	question := monitor.Question{Text: e.question, Context: e.context, Kind: o.kind}
	options := monitor.TrialOptions{Question: question, Ledger: ledger, Seed: llm.Derive(o.numbers.seed, "score/"+cmp.Or(e.id, strconv.Itoa(n)), 0)}
	var err error
	if o.model != nil && strings.TrimSpace(e.question) == "" {
		err = errors.New(`field "question": missing or empty, so the model was not asked`)
	} else if o.model != nil {
		form, _ := prompt.Select(o.form, o.model, question)
		options.Model, options.Request = o.model, form.Request(question)
		if o.numbers.maxTokens > 0 {
			options.Request.MaxTokens = o.numbers.maxTokens
		}
		err = o.gather(ctx, e, options)
	}
	t, c := monitor.NewGiven(options, monitor.Given{Answer: e.answer, Samples: e.samples})
	know(t, c, e)
	return t, c, err
}

// know tells a trial what other programs measured.
func know(t *monitor.Trial, c *monitor.Candidate, e *evidence) {
	if c != nil && e.relevance != nil {
		monitor.Know(t, likelihood.Relevances{Of: c}, e.relevance)
	}
	if e.sampleRelevance != nil {
		drawn, _ := t.Drawn()
		for i, r := range e.sampleRelevance {
			if r != nil {
				monitor.Know(t, likelihood.Relevances{Of: drawn[i]}, r)
			}
		}
	}
	if x := e.nli; x != nil {
		first := x.Entail.N - len(e.samples)
		if first == 1 {
			monitor.Know(t, consistency.Inferences{Of: c}, *x)
		}
		monitor.Know(t, consistency.Inferences{}, x.From(first))
	}
	if m := e.likeness; m != nil {
		first := m.N - len(e.samples)
		if first == 1 {
			monitor.Know(t, consistency.Likenesses{Of: c}, *m)
		}
		monitor.Know(t, consistency.Likenesses{}, m.From(first))
	}
}

// gather asks the model for what the signals read and a line lacks: an answer,
// samples, and the log-probabilities of texts that came without.
func (o *scoring) gather(ctx context.Context, e *evidence, options monitor.TrialOptions) error {
	var want monitor.Inputs
	for _, s := range o.signals {
		needs, _ := monitor.NeedsOf(s)
		want |= needs
	}
	t := monitor.NewTrial(options)
	if e.answer == nil {
		c, err := monitor.Get(ctx, t, monitor.Greedy{})
		if err != nil {
			return fmt.Errorf("asked for an answer: %w", err)
		}
		e.answer = trimmed(c)
		e.kept = appendText(append(e.kept, `,"answer":`...), e.answer.Text)
	}
	if want&monitor.Samples != 0 && len(e.samples) == 0 {
		cs, err := t.Samples(ctx, o.sampling, o.samples)
		e.kept = append(e.kept, `,"samples":[`...)
		for i, c := range cs {
			if i > 0 {
				e.kept = append(e.kept, ',')
			}
			e.samples = append(e.samples, *trimmed(c))
			e.kept = appendText(e.kept, e.samples[i].Text)
		}
		e.kept = append(e.kept, ']')
		if err != nil {
			return fmt.Errorf("asked for samples: %w", err)
		}
	}
	if !o.model.Can(llm.ScoreText) {
		return nil
	}
	if want&monitor.AnswerTokens != 0 {
		if err := likely(ctx, t, e.answer); err != nil {
			return err
		}
	}
	if want&monitor.SampleTokens != 0 {
		for i := range e.samples {
			if err := likely(ctx, t, &e.samples[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// trimmed is a reply without the blank that a continuation begins with.
func trimmed(c *monitor.Candidate) *llm.Choice {
	choice := c.Choice
	choice.Text = strings.TrimSpace(choice.Text)
	return &choice
}

// likely asks for the log-probabilities of a text that came without.
func likely(ctx context.Context, t *monitor.Trial, c *llm.Choice) error {
	if len(c.Tokens) > 0 || c.Text == "" {
		return nil
	}
	tokens, err := t.Tokens(ctx, c.Text)
	c.Tokens = tokens
	return err
}

// cpuTime is what the process has used so far.
func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// count brings the costs into the report.
func (o *scoring) count(r *scoreReport, wall time.Duration) {
	all := r.costs
	cpu := (cpuTime() - o.cpu).Seconds()
	r.WallSeconds, r.CPUSeconds = wall.Seconds(), cpu
	if cpu > 0 {
		r.LinesPerCPU = math.Round(float64(r.Lines) / cpu)
	}
	var took time.Duration
	for i := range all {
		took += all[i].took
		r.Calls += all[i].Calls
		r.Tokens += all[i].Tokens
	}
	for i := range all {
		if took > 0 {
			all[i].CPU = cpu * all[i].took.Seconds() / took.Seconds()
		}
		if i < len(o.signals) {
			all[i].Name = o.signals[i].Name()
		} else {
			all[i].Name = "gathering"
			r.Gathering = &all[i]
		}
	}
	r.Signals = slices.DeleteFunc(all[:len(o.signals)], func(c signalCost) bool { return c.Read+c.Missing+c.Failed == 0 })
}

// tell says what scoring has come to.
func (o *scoring) tell(w io.Writer, r *scoreReport, asJSON bool) {
	if asJSON {
		raw, err := json.Marshal(r)
		if err == nil {
			fmt.Fprintf(w, "%s\n", raw)
		}
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "SIGNAL\tREAD\tMISSING\tFAILED\tCALLS\tTOKENS\tCPU µs A LINE\n")
	lines := float64(max(1, r.Lines))
	for _, c := range append([]signalCost{*r.Gathering}, r.Signals...) {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%.1f\n", c.Name, c.Read, c.Missing, c.Failed, c.Calls, c.Tokens, 1e6*c.CPU/lines)
	}
	_ = t.Flush()
	fmt.Fprintf(w, "%d lines in %.2f s (%.2f s of CPU, %.0f lines a CPU-second), %d calls, %d tokens\n", r.Lines, r.WallSeconds, r.CPUSeconds, r.LinesPerCPU, r.Calls, r.Tokens)
	if r.IDs != "" {
		fmt.Fprintln(w, r.IDs)
	}
	if r.BadLines > 0 {
		fmt.Fprintf(w, "%d bad lines skipped\n", r.BadLines)
		for _, b := range r.Bad {
			fmt.Fprintln(w, "  "+b)
		}
	}
}
