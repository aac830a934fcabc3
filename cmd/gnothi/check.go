package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gnothi"
	"gnothi/internal/jsonl"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/claims"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// defaultSupport is the support below which a claim is marked, where --threshold
// does not say.
const defaultSupport = 0.5

// checkOptions are the flags of check that no other command has.
type checkOptions struct {
	context, in, question, by, calibrate, rewrite, svg string
	alpha, delta                                       float64
	limit                                              int
}

func checkCmd() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [TEXT…]",
		Short: "Mark the claims of a text that have no support",
		Long: `Split a text into claims and say how far each is supported: by a context
(--context FILE), by the model's own other answers to the same question
(--samples N, --question), or by what the model knows (the default).

The text is an argument, standard input, or a file (--in). A file that ends in
.jsonl holds many: {"id"?, "text", "context"?, "question"?} a line.

✓ is supported, ~ doubtful (below --hedge), ✗ without support (below --threshold,
0.5 unless said); ? could not be read from the model's replies; · was not
checked. Only ✓ means anything good.

--calibrate FILE turns support into the probability that a claim is true, from
labelled claims: {"score", "label", "cluster"?} a line, or what check --json
wrote, with "label" added to its claims. --rewrite leaves out what is not
supported (or, as --rewrite=hedge, says it with doubt), so that at most the share
--alpha of the claims that stay is unsupported; it says what that rests on.`,
		Example: `  gnothi check "Paris is in France. Lyon is the capital of Spain."
  gnothi check --context report.txt --in summary.txt
  gnothi check --samples 5 --question "Who was Ada Lovelace?" --in biography.txt
  gnothi check --json --by samples,ngram --in answers.jsonl
  gnothi check --calibrate labelled.jsonl --rewrite --alpha 0.1 --in draft.txt`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	modelled := pflag.NewFlagSet("", pflag.ContinueOnError)
	modelFlags(modelled)
	f := cmd.Flags()
	for _, name := range []string{"model", "seed", "samples", "temperature", "max-tokens", "budget-calls", "budget-tokens", "budget-usd", "threshold", "hedge", "format", "trace"} {
		f.AddFlag(modelled.Lookup(name))
	}
	for name, usage := range map[string]string{
		"samples": "answers of the model to hold the text against (0: none unless --question or --by asks for them, then 5)", "max-tokens": "longest sample, in tokens (0: twice the text, at most 512)",
		"threshold": "mark claims below this as unsupported (0: 0.5)", "hedge": "mark claims below this as doubtful",
		"budget-calls": "most calls a text may cost (0: no ceiling)", "budget-tokens": "most tokens a text may cost (0: no ceiling)", "budget-usd": "most dollars a text may cost (0: no ceiling)",
	} {
		f.Lookup(name).Usage = usage
	}
	f.StringVar(&o.context, "context", "", "file to hold the text against")
	f.StringVar(&o.in, "in", "", "file of the text, or with .jsonl of many; - for standard input")
	f.StringVar(&o.question, "question", "", "the question that the text answers")
	f.StringVar(&o.by, "by", "", "where support comes from: "+strings.Join(sourceNames(), ", ")+"; several with commas are averaged")
	f.IntVar(&o.limit, "claims", claims.Limit, "most claims of a text to check")
	f.StringVar(&o.calibrate, "calibrate", "", "labelled claims, JSON Lines, to turn support into probability")
	f.StringVar(&o.rewrite, "rewrite", "", "write the text without unsupported claims (drop), or with doubt (hedge)")
	f.Lookup("rewrite").NoOptDefVal = "drop"
	f.Float64Var(&o.alpha, "alpha", 0.1, "with --rewrite: most unsupported claims that may stay, as a share")
	f.Float64Var(&o.delta, "delta", 0.1, "with --rewrite and --calibrate: how often the labels may mislead about that")
	f.StringVar(&o.svg, "svg", "", "picture of the marked text")
	return cmd
}

// shortName is what --by calls a source.
func shortName(s claims.Source) string {
	name := strings.TrimPrefix(s.Name(), "claims/")
	return strings.TrimPrefix(name, "support-")
}

func sourceNames() []string {
	var out []string
	for _, s := range claims.Sources() {
		out = append(out, shortName(s))
	}
	return out
}

// document is a text to check. It is also a line of a file of them.
type document struct {
	ID       lineID `json:"id"`
	Text     string `json:"text"`
	Answer   string `json:"answer"` // what evidence files call it
	Context  string `json:"context"`
	Question string `json:"question"`
}

func (o checkOptions) run(cmd *cobra.Command, args []string) error {
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return err
	}
	n, err := c.numbers()
	if err != nil {
		return err
	}
	if n.rule.Threshold == 0 {
		n.rule.Threshold = defaultSupport
	}
	if err := o.valid(cmd, n); err != nil {
		return err
	}
	docs, many, err := o.documents(cmd, args)
	if err != nil {
		return err
	}
	if many && o.svg != "" {
		return usagef("--svg draws one text; %s holds many", o.in)
	}
	check := checker{checkOptions: o, numbers: n, form: c.String("format")}
	if check.sources, err = o.sources(n); err != nil {
		return err
	}
	ctx := cmd.Context()
	if check.model, check.close, err = c.openModel(ctx, cmd); err != nil {
		return err
	}
	defer func() { _ = check.close() }() // nothing is written to a model
	if o.calibrate != "" {
		if check.calibration, err = o.calibration(check.names(), check.model.ID().Key()); err != nil {
			return err
		}
	}
	bar := newProgress(cmd, len(docs), "texts")
	defer bar.done()
	w, p := cmd.OutOrStdout(), paletteFor(cmd)
	asJSON, _ := cmd.Flags().GetBool("json")
	var unread int
	for _, d := range docs {
		r, err := check.one(ctx, d)
		if err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("interrupted after %d calls: %w", r.Spend.Calls, context.Canceled)
			}
			if !many {
				return err
			}
			r.Error = err.Error()
		}
		if r.unread() {
			unread++
		}
		bar.add()
		if asJSON {
			enc := json.NewEncoder(w) // one line each
			enc.SetEscapeHTML(false)
			err = enc.Encode(r)
		} else {
			_, err = io.WriteString(w, r.print(p, many))
		}
		if err == nil && o.svg != "" {
			err = os.WriteFile(o.svg, []byte(r.svg(d.Text)), 0o644)
		}
		if err != nil {
			return err
		}
	}
	if unread == len(docs) {
		return errors.New("the model gave no verdict that can be read: another model or --by another source may")
	}
	return nil
}

func (o checkOptions) valid(cmd *cobra.Command, n numbers) error {
	switch {
	case o.rewrite != "" && o.rewrite != "drop" && o.rewrite != "hedge":
		return usagef("--rewrite %q: want drop or hedge", o.rewrite)
	case o.rewrite == "" && (cmd.Flags().Changed("alpha") || cmd.Flags().Changed("delta")):
		return usagef("--alpha and --delta go with --rewrite")
	case !(o.alpha > 0 && o.alpha < 1) || !(o.delta > 0 && o.delta < 1):
		return usagef("--alpha %g --delta %g: want shares between 0 and 1", o.alpha, o.delta)
	case o.limit < 1:
		return usagef("--claims %d: want at least 1", o.limit)
	case n.rule.Hedge > 0 && n.rule.Hedge <= n.rule.Threshold:
		return usagef("hedge %g must be above threshold %g", n.rule.Hedge, n.rule.Threshold)
	}
	return nil
}

// maxText bounds a text, in bytes.
const maxText = 64 << 20

// documents gives what is to be checked, and whether it is a file of many.
func (o checkOptions) documents(cmd *cobra.Command, args []string) (docs []document, many bool, err error) {
	given := document{Question: o.question}
	if o.context != "" {
		raw, err := readText(o.context)
		if err != nil {
			return nil, false, err
		}
		if given.Context = string(raw); strings.TrimSpace(given.Context) == "" {
			return nil, false, usagef("the context %s is empty", o.context)
		}
	}
	if o.in == "" || o.in == "-" {
		if o.in == "-" && len(args) > 0 {
			return nil, false, usagef("give either TEXT or --in, not both")
		}
		s := strings.Join(args, " ")
		if len(args) == 0 {
			if s, err = textFrom(cmd.InOrStdin()); err != nil {
				return nil, false, err
			}
		}
		given.Text = s
		return []document{given}, false, plain(s, "the text")
	}
	if len(args) > 0 {
		return nil, false, usagef("give either TEXT or --in, not both")
	}
	if !manyTexts(o.in) {
		raw, err := readText(o.in)
		given.Text = string(raw)
		if err == nil {
			err = plain(given.Text, o.in)
		}
		return []document{given}, false, err
	}
	err = jsonl.Each(o.in, func(n int, line []byte) error {
		d := given
		if err := jsonl.Decode(line, &d); err != nil {
			return err
		}
		if d.Text == "" {
			d.Text = d.Answer
		}
		if strings.TrimSpace(d.Text) == "" {
			return errors.New(`field "text": missing or empty`)
		}
		if d.ID == "" {
			d.ID = lineID(strconv.Itoa(n))
		}
		docs = append(docs, d)
		return nil
	}, nil)
	if err == nil && len(docs) == 0 {
		err = usagef("%s holds no texts", o.in)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = usage(err)
	}
	return docs, true, err
}

func manyTexts(path string) bool {
	path = strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".zst")
	return filepath.Ext(path) == ".jsonl"
}

func readText(path string) ([]byte, error) {
	f, err := jsonl.Open(path)
	if err != nil {
		return nil, usage(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(raw) > maxText {
		return nil, usagef("%s is longer than %d bytes", path, maxText)
	}
	return raw, plain(string(raw), path)
}

// textFrom reads a text from standard input.
func textFrom(stdin io.Reader) (string, error) {
	if f, ok := stdin.(*os.File); ok && isTerminal(f) {
		return "", usagef("no text: give it as an argument, on standard input, or with --in FILE")
	}
	raw, err := io.ReadAll(io.LimitReader(stdin, maxText+1))
	if err == nil && len(raw) > maxText {
		err = usagef("the text on standard input is longer than %d bytes", maxText)
	}
	return string(raw), err
}

// plain says why something is no text.
func plain(s, what string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return usagef("%s is empty", what)
	case strings.IndexByte(s, 0) >= 0, !mostlyUTF8(s):
		return usagef("%s is not text: it is binary, or not UTF-8", what)
	}
	return nil
}

// mostlyUTF8 lets a few broken characters pass, as cut files have them.
func mostlyUTF8(s string) bool {
	if utf8.ValidString(s) {
		return true
	}
	bad := 0
	for rest := s; rest != ""; {
		r, width := utf8.DecodeRuneInString(rest)
		if r == utf8.RuneError && width == 1 {
			bad++
		}
		rest = rest[width:]
	}
	return bad*50 < len(s)
}

// sources gives the sources that --by names; nil leaves the choice to each text.
func (o checkOptions) sources(n numbers) ([]claims.Source, error) {
	samples, err := n.sampleCount()
	if err != nil {
		return nil, err
	}
	var out []claims.Source
	for _, name := range splitList(o.by) {
		k := slices.IndexFunc(claims.Sources(), func(s claims.Source) bool { return shortName(s) == name || s.Name() == name })
		if k < 0 {
			return nil, usagef("--by %q: want one of %s", name, strings.Join(sourceNames(), ", "))
		}
		out = append(out, withSamples(claims.Sources()[k], samples))
	}
	return out, nil
}

func (n numbers) sampleCount() (int, error) {
	if n.samples == "" {
		return 0, nil
	}
	return strconv.Atoi(n.samples)
}

// withSamples sets how many samples a source holds claims against.
func withSamples(s claims.Source, n int) claims.Source {
	if n == 0 {
		n = claims.DefaultSamples
	}
	switch s := s.(type) {
	case claims.Samples:
		s.N = n
		return s
	case claims.NGram:
		s.N = n
		return s
	case claims.Particulars:
		s.N = n
		return s
	case claims.Fused:
		for i, of := range s.Of {
			if of != nil {
				s.Of[i] = withSamples(of, n)
			}
		}
		return s
	}
	return s
}

// draws reports that a source needs samples of the model.
func draws(s claims.Source, d document) bool {
	switch s.(type) {
	case claims.Samples, claims.NGram, claims.Fused:
		return true
	case claims.Particulars:
		return strings.TrimSpace(d.Context) == ""
	}
	return false
}

// checker checks texts, one after another.
type checker struct {
	checkOptions
	numbers
	model       llm.Model
	close       func() error
	form        string
	sources     []claims.Source
	calibration *claimCalibration
}

// names are the sources' names, "" if each text has its own.
func (c checker) names() string {
	var names []string
	for _, s := range c.sources {
		names = append(names, shortName(s))
	}
	return strings.Join(names, ",")
}

// checked is what is known of a text's claims; it is what check says with --json.
type checked struct {
	Schema      int               `json:"schema"`
	ID          lineID            `json:"id,omitempty"`
	By          string            `json:"by"`
	Question    string            `json:"question,omitempty"`
	Guessed     bool              `json:"question_guessed,omitempty"` // the model made the question up from the text
	Threshold   float64           `json:"threshold"`
	Hedge       float64           `json:"hedge,omitempty"`
	Claims      []checkedClaim    `json:"claims"`
	Counts      map[string]int    `json:"counts"`  // claims by status
	Skipped     map[string]int    `json:"skipped"` // what else the text holds, which is not true or false
	Calibration *claimCalibration `json:"calibration,omitempty"`
	Rewrite     *rewritten        `json:"rewrite,omitempty"`
	Stopped     string            `json:"stopped,omitempty"` // why not everything was checked
	Model       string            `json:"model"`
	ModelKey    string            `json:"model_key"`
	Seed        uint64            `json:"seed"`
	Spend       gnothi.Spend      `json:"spend"`
	Error       string            `json:"error,omitempty"`
}

// checkedClaim is a claim and its support.
type checkedClaim struct {
	Text string `json:"text"`
	Span [2]int `json:"span"` // byte offsets
	// Range is the span as editors count: lines from 0, UTF-16 units in the line.
	Range       textRange          `json:"range"`
	Status      string             `json:"status"`
	Supported   *float64           `json:"supported"` // in [0,1]; null where nobody could tell
	Probability *float64           `json:"probability"`
	By          map[string]float64 `json:"by,omitempty"` // each source's support, where there are several
	Yes         int                `json:"yes"`
	No          int                `json:"no"`
	Unclear     int                `json:"unclear"`
	Failed      int                `json:"failed"`
}

type textRange struct {
	Start position `json:"start"`
	End   position `json:"end"`
}

type position struct {
	Line      int `json:"line"`
	Character int `json:"character"`
}

// The statuses of a claim beyond those of a source.
const (
	supported   = "supported"
	doubtful    = "doubtful"
	unsupported = "unsupported"
	notChecked  = "not checked"
)

// one checks a text. An error comes with what was spent.
func (c checker) one(ctx context.Context, d document) (checked, error) {
	start := time.Now()
	ledger := llm.NewLedger(c.limits)
	r := checked{
		Schema: 1, ID: d.ID, Question: d.Question, Threshold: c.rule.Threshold, Hedge: c.rule.Hedge, Claims: []checkedClaim{}, Counts: map[string]int{}, Skipped: map[string]int{},
		Calibration: c.calibration, Model: c.model.ID().String(), ModelKey: c.model.ID().Key(), Seed: c.seed,
	}
	defer func() { r.Spend = gnothi.SpendOf(ledger, time.Since(start)) }()
	pieces := text.Pieces(d.Text)
	for _, p := range pieces {
		if p.Kind != text.Statement && p.Kind != text.Mark {
			r.Skipped[p.Kind.String()]++
		}
	}
	all, _ := text.Claims(d.Text, 0)
	sources := c.sources
	if len(sources) == 0 {
		sources = []claims.Source{c.choose(d)}
	}
	for _, s := range sources {
		r.By += "," + shortName(s)
	}
	r.By = r.By[1:]
	r.mark(d.Text, all)
	var err error
	if len(all) > 0 {
		err = c.support(ctx, &r, d, sources, ledger)
	}
	r.Spend = gnothi.SpendOf(ledger, time.Since(start))
	if err != nil {
		return r, err
	}
	c.judge(&r)
	if c.rewrite != "" {
		r.Rewrite = c.rewriteText(d.Text, pieces, r)
	}
	return r, nil
}

// choose picks the source for a text where --by does not.
func (c checker) choose(d document) claims.Source {
	n, _ := c.sampleCount() // checked before
	switch {
	case strings.TrimSpace(d.Context) != "":
		return claims.Context{}
	case n > 0 || strings.TrimSpace(d.Question) != "":
		return withSamples(claims.Samples{}, n)
	}
	return claims.Knowledge{}
}

// mark lists the claims of a text, none of them checked yet.
func (r *checked) mark(s string, all []text.Claim) {
	at := positions{s: s}
	for _, cl := range all {
		r.Claims = append(r.Claims, checkedClaim{Text: cl.Text, Span: [2]int{cl.Span.Start, cl.Span.End}, Range: textRange{at.of(cl.Span.Start), at.of(cl.Span.End)}, Status: notChecked})
	}
}

// support gathers the support of a text's claims. A ceiling or a failure on the
// way is told in Stopped; it is an error if nothing came before it.
func (c checker) support(ctx context.Context, r *checked, d document, sources []claims.Source, ledger *llm.Ledger) error {
	question := monitor.Question{Text: d.Question, Context: d.Context}
	trial := c.trial(question, d, ledger)
	if slices.ContainsFunc(sources, func(s claims.Source) bool { return draws(s, d) }) {
		if strings.TrimSpace(question.Text) == "" {
			var err error
			if question.Text, err = claims.QuestionOf(ctx, trial, d.Text); err != nil {
				return fmt.Errorf("%w (--question)", err)
			}
			r.Question, r.Guessed = question.Text, true
		}
		trial = c.trial(question, d, ledger)
		if c.temperature != "" {
			t, err := strconv.ParseFloat(c.temperature, 64)
			if err != nil {
				return usagef("temperature %s: %w", c.temperature, err)
			}
			// The later draws follow the first.
			if _, err := trial.Samples(ctx, monitor.Sampling{Temperature: t}, 1); err != nil {
				return err
			}
		}
	}
	candidate := &monitor.Candidate{Choice: llm.Choice{Text: d.Text}, Origin: monitor.FromOutside}
	var errs []error
	sum, n := make([]float64, len(r.Claims)), make([]int, len(r.Claims))
	for _, s := range sources {
		rep, err := monitor.Get(ctx, trial, claims.Supports{Candidate: candidate, Source: s, Limit: c.limit})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			err = rep.Err
		}
		if err != nil {
			errs = append(errs, err)
		}
		for i, sup := range rep.Supports {
			cl := &r.Claims[i]
			cl.Yes, cl.No, cl.Unclear, cl.Failed = cl.Yes+sup.Yes, cl.No+sup.No, cl.Unclear+sup.Unclear, cl.Failed+sup.Failures
			if sup.Status != claims.Checked {
				if n[i] == 0 && sup.Status != claims.NotChecked {
					cl.Status = sup.Status.String()
				}
				continue
			}
			sum[i], n[i] = sum[i]+sup.Score, n[i]+1
			if len(sources) > 1 {
				if cl.By == nil {
					cl.By = map[string]float64{}
				}
				cl.By[shortName(s)] = sup.Score
			}
		}
	}
	known := false
	for i := range r.Claims {
		if n[i] > 0 {
			mean := sum[i] / float64(n[i])
			r.Claims[i].Supported, r.Claims[i].Status = &mean, claims.Checked.String()
		}
		known = known || r.Claims[i].Status != notChecked && r.Claims[i].Status != claims.Failed.String()
	}
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	if !known {
		return err
	}
	r.Stopped = errs[0].Error()
	return nil
}

// trial puts the question of a text to the model.
func (c checker) trial(q monitor.Question, d document, ledger *llm.Ledger) *monitor.Trial {
	name := c.form
	if name == "auto" {
		name = "chat" // a text is longer than the short answers of the other forms
	}
	form, _ := prompt.Select(name, c.model, q) // the names are checked with the configuration
	asked := q
	asked.Context = "" // what the text is held against is not shown to samples
	req := form.Request(asked)
	// A sample has room for twice what the text says.
	if req.MaxTokens = min(req.MaxTokens, max(64, len(d.Text)/2)); c.maxTokens > 0 {
		req.MaxTokens = c.maxTokens
	}
	return monitor.NewTrial(monitor.TrialOptions{Model: c.model, Question: q, Request: req, Ledger: ledger, Seed: llm.Derive(c.seed, d.Text, 0)})
}

// judge holds each claim against the threshold, by its probability where there
// is a calibration, and counts.
func (c checker) judge(r *checked) {
	for i := range r.Claims {
		cl := &r.Claims[i]
		if cl.Supported != nil {
			v := *cl.Supported
			if c.calibration != nil {
				v = c.calibration.fit.Apply(v)
				cl.Probability = &v
			}
			switch {
			case v < c.rule.Threshold:
				cl.Status = unsupported
			case v < c.rule.Hedge:
				cl.Status = doubtful
			default:
				cl.Status = supported
			}
		}
		r.Counts[cl.Status]++
	}
}

// unread reports that verdicts came and none of them could be read.
func (r checked) unread() bool {
	return r.Counts[claims.Unparsed.String()] > 0 && r.Counts[supported]+r.Counts[doubtful]+r.Counts[unsupported] == 0
}

// positions turns byte offsets into lines and UTF-16 units, in one pass: they are
// asked for in order.
type positions struct {
	s    string
	done int
	at   position
}

func (p *positions) of(offset int) position {
	for _, r := range p.s[p.done:offset] {
		switch {
		case r == '\n':
			p.at = position{p.at.Line + 1, 0}
		case r > 0xFFFF:
			p.at.Character += 2
		default:
			p.at.Character++
		}
	}
	p.done = offset
	return p.at
}
