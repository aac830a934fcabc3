package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gnothi/internal/jsonl"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// judgeOptions are the flags of judge that no other command has.
type judgeOptions struct {
	in, verb, rubric, rubricFile, scale, reference, figure string
	labels, panel, hide, probe                             []string
	votes, workers                                         int
	reason, restyle, self, skipBad                         bool
}

var judgeVerbs = []string{"rate", "compare", "rank", "verify", "tag"}

func judgeCmd() *cobra.Command {
	var o judgeOptions
	cmd := &cobra.Command{
		Use:   "judge --in FILE",
		Short: "Rate, compare, rank, verify or tag answers, with the judge's biases beside",
		Long: `Let a model judge answers. A line is {"id"?, "question", "candidates": {key: text},
"reference"?, "context"?, "rubric"?, "models"?: {key: name}, "kind"?, "label"?}.

  rate      each candidate by the rubric, on --scale
  compare   every two candidates against each other
  rank      all candidates at once
  verify    does each hold, by reference, context or what the judge knows
  tag       which --labels hold of each, proved by a quotation

Pairs and rankings are asked in both orders and yes or no in both wordings; a
verdict that follows the order is a tie, counted as position bias. A reply
without a verdict is asked for once more and is then missing, never a score.
Candidates have no names and cannot close the fence around them.

One result a line comes out, in input order; then, on standard error or with
--json as a last line {"report": …}, what the verdicts may rest on: position,
length, self-preference, unparsed replies, kinship of names; and agreement with
"label" (rate: a grade or {key: grade}; compare: the better key or "tie"; rank:
keys, best first; verify: true or false, or {key: …}; tag: {label: …} or
{key: {label: …}}).`,
		Example: `  gnothi judge --in answers.jsonl --rubric "whether a child would understand it" --scale 0-10
  gnothi judge --in pairs.jsonl --verb compare --votes 3 --reason --model openai:gpt-4.1-mini
  gnothi judge --in pairs.jsonl --verb compare --self-preference --panel openai:a --panel anthropic:b
  gnothi judge --in turns.jsonl --verb tag --labels rose-frame`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	modelled := pflag.NewFlagSet("", pflag.ContinueOnError)
	modelFlags(modelled)
	f := cmd.Flags()
	for _, name := range []string{"model", "seed", "temperature", "max-tokens", "budget-calls", "budget-tokens", "budget-usd", "format", "trace"} {
		f.AddFlag(modelled.Lookup(name))
	}
	for name, usage := range map[string]string{
		"temperature": "of several votes (0: 0.7; a single vote is greedy)", "max-tokens": "longest reply of the judge, in tokens (0: as the verb has it)",
		"format":       "how the question is asked for --reference own: auto, shots, chat",
		"budget-calls": "most calls a line may cost (0: no ceiling)", "budget-tokens": "most tokens a line may cost (0: no ceiling)", "budget-usd": "most dollars a line may cost (0: no ceiling)",
	} {
		f.Lookup(name).Usage = usage
	}
	f.StringVar(&o.in, "in", "", "what to judge, JSON Lines; - for standard input")
	f.StringVar(&o.verb, "verb", "rate", "what to do: "+strings.Join(judgeVerbs, ", "))
	f.StringVar(&o.rubric, "rubric", "", "what counts, in words; additive: five points, added up (meta-rewarding)")
	f.StringVar(&o.rubricFile, "rubric-file", "", "file of the rubric")
	f.StringVar(&o.scale, "scale", "", "of rate, as LOW-HIGH (default 1-5)")
	f.StringArrayVar(&o.labels, "labels", nil, "of tag: \"NAME: MEANING\", \"NAME/MAX: MEANING\" for grades, or one of "+strings.Join(slices.Sorted(maps.Keys(judge.LabelSets())), ", ")+"; may be given again")
	f.IntVar(&o.votes, "votes", 0, "replies to each prompt, odd (0: one where there are log-probabilities, else three)")
	f.StringArrayVar(&o.panel, "panel", nil, "a model of a panel that judges instead of --model; give several")
	f.BoolVar(&o.self, "self-preference", false, "of compare: --model judges, --panel is the gold, and the judge's preference for its own is measured")
	f.StringVar(&o.reference, "reference", "auto", "what candidates are held against: auto (the line's, if it has one), own (the judge's answer), none")
	f.BoolVar(&o.reason, "reason", false, "reasoning first, then the verdict")
	f.BoolVar(&o.restyle, "restyle", false, "rewrite every candidate in one plain style first")
	f.StringSliceVar(&o.hide, "hide", nil, "what the judge may not see: question, context")
	f.StringVar(&o.figure, "figure", "", "file for a picture of the report, SVG")
	f.StringSliceVar(&o.probe, "probe", nil, "instead of --in: ask the model about being switched off after so many tokens of context each, and tag what it says")
	f.IntVar(&o.workers, "concurrency", 4, "lines at a time")
	f.BoolVar(&o.skipBad, "skip-bad", false, "go past bad lines and list them")
	return cmd
}

// judgeLine is a line of --in.
type judgeLine struct {
	ID         lineID            `json:"id"`
	Question   string            `json:"question"`
	Context    string            `json:"context"`
	Candidates map[string]string `json:"candidates"`
	Reference  string            `json:"reference"`
	Rubric     string            `json:"rubric"`
	Models     map[string]string `json:"models"` // which model wrote a candidate
	Kind       string            `json:"kind"`   // tag: shares are also given within each
	Label      json.RawMessage   `json:"label"`

	keys   []string
	labels judgeLabels
}

// judged is a line of the output.
type judged struct {
	ID      lineID                           `json:"id"`
	Verb    string                           `json:"verb"`
	Scores  map[string]*float64              `json:"scores,omitempty"` // rate: on the scale; verify: probability; compare, rank: share of duels; null is missing
	Best    *string                          `json:"best,omitempty"`   // compare, rank: the key, or tie
	Order   []string                         `json:"order,omitempty"`  // rank
	Pairs   []judgedPair                     `json:"pairs,omitempty"`  // compare
	Tags    map[string]map[string]*judgedTag `json:"tags,omitempty"`   // by key and label; null is missing
	Votes   map[string][]*float64            `json:"votes,omitempty"`  // rate: of each reply, or of each of the panel
	Source  string                           `json:"source,omitempty"`
	Missing map[string]string                `json:"missing,omitempty"` // by key, pair or label
	Error   string                           `json:"error,omitempty"`
	Spend   judgeSpend                       `json:"spend"`

	line judgeLine
	err  error
	add  func(*judgeReport) // tells the report
}

type judgedPair struct {
	A, B     string
	Outcome  string  // the better key, or tie
	Share    float64 // probability that A is better
	Strength float64 // mean log p(A) − log p(B)
	Orders   string  // agree, follow the first place, follow the second place, differ
}

// MarshalJSON writes the fields in small letters.
func (p judgedPair) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		A        string  `json:"a"`
		B        string  `json:"b"`
		Outcome  string  `json:"outcome"`
		Share    float64 `json:"share"`
		Strength float64 `json:"strength"`
		Orders   string  `json:"orders"`
	}{p.A, p.B, p.Outcome, p.Share, p.Strength, p.Orders})
}

type judgedTag struct {
	Grade float64 `json:"grade"`
	Quote string  `json:"quote,omitempty"`
	Span  *[2]int `json:"span,omitempty"`
	Void  int     `json:"void,omitempty"` // votes with quotations that do not occur
}

type judgeSpend struct {
	Calls            int64 `json:"calls"`
	PromptTokens     int64 `json:"prompt_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`
}

// judging is everything that judging a line takes.
type judging struct {
	judgeOptions
	numbers
	form   string
	model  llm.Model
	base   judge.Judge // settings; each line has a copy
	gold   []llm.Model // the panel of --self-preference
	labels []judge.Label
}

func (o judgeOptions) run(cmd *cobra.Command) error {
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return err
	}
	n, err := c.numbers()
	if err != nil {
		return err
	}
	g := judging{judgeOptions: o, numbers: n, form: c.String("format")}
	if err := g.settings(c); err != nil {
		return usage(err)
	}
	var lines []judgeLine
	if len(o.probe) == 0 {
		var bad int
		if lines, bad, err = g.read(cmd); err != nil {
			return err
		}
		if bad > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d bad lines left out\n", bad)
		}
	}
	ctx := cmd.Context()
	var panel []llm.Model
	for _, spec := range o.panel {
		m, closeModel, err := c.openSpec(ctx, cmd, spec)
		if err != nil {
			return err
		}
		defer closeModel()
		panel = append(panel, m)
	}
	if g.self {
		g.gold = panel
	} else {
		g.base.Panel = panel
	}
	if len(g.base.Panel) > 0 {
		g.model = g.base.Panel[0] // the trial's, which is asked nothing
	} else {
		var closeModel func() error
		if g.model, closeModel, err = c.openModel(ctx, cmd); err != nil {
			return err
		}
		defer closeModel()
	}
	for i, m := range g.gold {
		if m.ID().Key() == g.model.ID().Key() {
			return usagef("--panel %s is the judge itself: gold judgements have to come from others", o.panel[i])
		}
	}
	if len(o.probe) > 0 {
		return g.runProbe(cmd)
	}
	return g.all(cmd, lines)
}

// settings makes the judge and refuses what does not go together.
func (g *judging) settings(c *config) error {
	j := &g.base
	if !slices.Contains(judgeVerbs, g.verb) {
		return fmt.Errorf("--verb %q: want %s", g.verb, strings.Join(judgeVerbs, ", "))
	}
	if (g.in == "") == (len(g.probe) == 0) {
		return errors.New("give --in FILE (or - for standard input), or --probe")
	}
	if g.rubric != "" && g.rubricFile != "" {
		return errors.New("give --rubric or --rubric-file, not both")
	}
	if g.votes < 0 || g.votes > 0 && g.votes%2 == 0 || g.votes > 1000 {
		return fmt.Errorf("--votes %d: want an odd number up to 999", g.votes)
	}
	if g.workers < 1 || g.workers > 10_000 {
		return fmt.Errorf("--concurrency %d: want 1 to 10000", g.workers)
	}
	j.Rubric, j.Votes, j.Reason, j.Restyle, j.MaxTokens = g.rubric, g.votes, g.reason, g.restyle, g.maxTokens
	if g.temperature != "" {
		j.Temperature, _ = strconv.ParseFloat(g.temperature, 64)
	}
	if g.rubricFile != "" {
		b, err := os.ReadFile(g.rubricFile)
		if err != nil {
			return err
		}
		if j.Rubric = strings.TrimSpace(string(b)); j.Rubric == "" {
			return fmt.Errorf("--rubric-file %s is empty", g.rubricFile)
		}
	}
	if j.Rubric == "additive" {
		if g.verb != "rate" {
			return errors.New("--rubric additive is for --verb rate")
		}
		additive := judge.AdditiveJudge(g.votes)
		j.Rubric, j.Low, j.High, j.Reason = additive.Rubric, additive.Low, additive.High, true
		if j.Temperature == 0 {
			j.Temperature = additive.Temperature
		}
	}
	if g.scale != "" {
		low, high, ok := strings.Cut(g.scale, "-")
		var errs [2]error
		j.Low, errs[0] = strconv.Atoi(low)
		j.High, errs[1] = strconv.Atoi(high)
		if !ok || errors.Join(errs[:]...) != nil || j.Low < 0 || j.High > 100 || j.Low >= j.High {
			return fmt.Errorf("--scale %q: want LOW-HIGH, two whole numbers of 0 to 100, such as 1-5", g.scale)
		}
		if g.verb != "rate" {
			return errors.New("--scale is for --verb rate")
		}
	}
	switch g.reference {
	case "auto", "none":
	case "own":
		j.Reference = judge.OwnAnswer
	default:
		return fmt.Errorf("--reference %q: want auto, own or none", g.reference)
	}
	for _, h := range g.hide {
		switch h {
		case "question":
			j.Hide |= judge.HideQuestion
		case "context":
			j.Hide |= judge.HideContext
		default:
			return fmt.Errorf("--hide %q: want question or context", h)
		}
	}
	if (g.verb == "tag") != (len(g.labels) > 0 || len(g.judgeOptions.labels) > 0) && len(g.probe) == 0 {
		return errors.New("--verb tag and --labels go together")
	}
	if g.verb == "tag" && len(g.panel) > 0 && g.self || g.self && g.verb != "compare" {
		return errors.New("--self-preference is for --verb compare")
	}
	if g.self && len(g.panel) < 2 {
		return errors.New("--self-preference needs gold judgements: give --panel MODEL at least twice, three are better")
	}
	if trace := c.String("trace"); trace != "" && len(g.panel) > 0 {
		return errors.New("--trace records one model: it does not go with --panel")
	}
	var err error
	g.labels, err = judge.ParseLabels(g.judgeOptions.labels...)
	return err
}

// read reads and checks all lines before anything is paid for.
func (g *judging) read(cmd *cobra.Command) (lines []judgeLine, bad int, err error) {
	seen := map[lineID]int{}
	var skip func(*jsonl.LineError) bool
	if g.skipBad {
		skip = func(e *jsonl.LineError) bool {
			bad++
			fmt.Fprintln(cmd.ErrOrStderr(), e)
			return true
		}
	}
	err = jsonl.Each(g.in, func(n int, raw []byte) error {
		var l judgeLine
		if err := jsonl.Decode(raw, &l); err != nil {
			return err
		}
		if l.ID == "" {
			l.ID = lineID(fmt.Sprint(n))
		}
		if at, dup := seen[l.ID]; dup {
			return fmt.Errorf("field \"id\": %q is also the id of line %d", l.ID, at)
		}
		if err := g.check(&l); err != nil {
			return err
		}
		seen[l.ID] = n
		lines = append(lines, l)
		return nil
	}, skip)
	if errors.Is(err, fs.ErrNotExist) {
		err = usage(err)
	}
	if err == nil && len(lines) == 0 {
		err = usagef("%s holds nothing to judge", g.in)
	}
	return lines, bad, err
}

func (g *judging) check(l *judgeLine) error {
	l.keys = slices.Sorted(maps.Keys(l.Candidates))
	least, most := 1, 1000
	switch g.verb {
	case "compare":
		least = 2
	case "rank":
		least, most = 2, judge.Most
	}
	switch {
	case len(l.keys) < least || len(l.keys) > most:
		return fmt.Errorf("field \"candidates\": %d of them: --verb %s wants %d to %d", len(l.keys), g.verb, least, most)
	case slices.Contains(l.keys, "tie") && g.verb == "compare":
		return errors.New(`field "candidates": no key may be "tie", which is a verdict`)
	case strings.TrimSpace(l.Question) == "" && g.base.Reference == judge.OwnAnswer:
		return errors.New(`field "question": missing or empty, and --reference own answers it`)
	}
	for key := range l.Models {
		if _, ok := l.Candidates[key]; !ok {
			return fmt.Errorf("field \"models\": %q is no candidate", key)
		}
	}
	if g.self && len(l.Models) == 0 {
		return errors.New(`field "models": missing: --self-preference has to know who wrote what`)
	}
	var err error
	l.labels, err = g.readLabel(l)
	return err
}

// all judges every line and reports.
func (g *judging) all(cmd *cobra.Command, lines []judgeLine) error {
	ctx := cmd.Context()
	bar := newProgress(cmd, len(lines), g.verb)
	defer bar.done()
	report := newJudgeReport(g)
	out := bufio.NewWriter(cmd.OutOrStdout())
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	written, err := inOrder(ctx, lines, g.workers, g.one, func(r judged) error {
		bar.add()
		report.count(r)
		if err := enc.Encode(r); err != nil {
			return err
		}
		return out.Flush()
	})
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %d of %d lines judged, and written: %w", written, len(lines), context.Canceled)
	}
	if err != nil {
		return err
	}
	if err := report.finish(g); err != nil {
		return err
	}
	if g.figure != "" {
		if err := report.draw(g.figure); err != nil {
			return err
		}
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		err = enc.Encode(map[string]any{"report": report})
		err = errors.Join(err, out.Flush())
	} else {
		_, err = fmt.Fprint(cmd.ErrOrStderr(), report)
	}
	if err != nil {
		return err
	}
	if report.Failed == len(lines) {
		return fmt.Errorf("every line failed; the first: %w", report.first)
	}
	return nil
}

// one judges a line.
func (g *judging) one(ctx context.Context, l judgeLine) judged {
	out := judged{ID: l.ID, Verb: g.verb, line: l, Missing: map[string]string{}, add: func(*judgeReport) {}}
	j := g.base
	if l.Rubric != "" {
		j.Rubric = l.Rubric
	}
	if l.Reference != "" && g.reference == "auto" {
		j.Reference, j.Gold = judge.Gold, l.Reference
	}
	q := monitor.Question{Text: l.Question, Context: l.Context, Kind: text.Free}
	form, ok := prompt.Select(g.form, g.model, q)
	if !ok {
		out.fail(usagef("format %q: want auto, shots or chat", g.form))
		return out
	}
	t := monitor.NewTrial(monitor.TrialOptions{
		Model: g.model, Question: q, Request: form.Request(q), Ledger: llm.NewLedger(g.limits), Seed: llm.Derive(g.seed, "judge/"+string(l.ID), 0),
	})
	cs := make([]*monitor.Candidate, len(l.keys))
	for i, key := range l.keys {
		cs[i] = t.Candidate(llm.Choice{Text: l.Candidates[key]}, monitor.FromOutside, nil)
	}
	var err error
	switch g.verb {
	case "rate":
		err = g.rate(ctx, t, &j, cs, &out)
	case "compare":
		err = g.compare(ctx, t, &j, cs, &out)
	case "rank":
		err = g.rank(ctx, t, &j, cs, &out)
	case "verify":
		err = g.verify(ctx, t, &j, cs, &out)
	case "tag":
		err = g.tag(ctx, t, &j, cs, &out)
	}
	if err != nil {
		out.fail(err)
	}
	s := t.Ledger.Spent()
	out.Spend = judgeSpend{s.Calls, s.PromptTokens, s.CompletionTokens}
	return out
}

// fail makes a line one that failed. What it had said before stays untold: half
// of a line's verdicts would be a biased sample of them.
func (r *judged) fail(err error) {
	*r = judged{ID: r.ID, Verb: r.Verb, line: r.line, err: err, Error: err.Error(), add: func(*judgeReport) {}}
}

// missing notes a verdict that could not be read, and passes on other errors.
func (r *judged) missing(what string, err error) error {
	if errors.Is(err, judge.ErrUnparsed) {
		r.Missing[what] = err.Error()
		return nil
	}
	return err
}

// tell adds to what the report is told of this line.
func (r *judged) tell(f func(*judgeReport)) {
	before := r.add
	r.add = func(p *judgeReport) { before(p); f(p) }
}

func (g *judging) rate(ctx context.Context, t *monitor.Trial, j *judge.Judge, cs []*monitor.Candidate, out *judged) error {
	out.Scores, out.Votes = map[string]*float64{}, map[string][]*float64{}
	for i, c := range cs {
		key := out.line.keys[i]
		v, err := j.Rate(ctx, t, c)
		out.Scores[key] = nil
		if err := out.missing(key, err); err != nil {
			return err
		}
		if err == nil {
			out.Scores[key], out.Source = &v.Score, v.Source
		}
		for _, vote := range v.Votes {
			out.Votes[key] = append(out.Votes[key], orNull(vote))
		}
		out.tell(func(r *judgeReport) {
			r.tally.Rated(v, err)
			r.votes = append(r.votes, v.Votes)
			r.read(err)
			if label, ok := out.line.labels.of(key); ok && err == nil {
				r.agree(int(math.Round(v.Score)), int(math.Round(label)))
			}
		})
	}
	return nil
}

func (g *judging) verify(ctx context.Context, t *monitor.Trial, j *judge.Judge, cs []*monitor.Candidate, out *judged) error {
	out.Scores = map[string]*float64{}
	for i, c := range cs {
		key := out.line.keys[i]
		v, err := j.Verify(ctx, t, c)
		out.Scores[key] = nil
		if err := out.missing(key, err); err != nil {
			return err
		}
		if err == nil {
			out.Scores[key], out.Source = &v.P, v.Source
		}
		out.tell(func(r *judgeReport) {
			r.tally.Verified(v, err)
			r.read(err)
			if v.Panel != nil {
				var row []float64
				for _, p := range v.Panel {
					row = append(row, p.Value)
				}
				r.votes = append(r.votes, row)
			}
			if label, ok := out.line.labels.of(key); ok && err == nil {
				r.agree(btoi(v.Holds), btoi(label > 0.5))
			}
		})
	}
	return nil
}

func (g *judging) compare(ctx context.Context, t *monitor.Trial, j *judge.Judge, cs []*monitor.Candidate, out *judged) error {
	keys := out.line.keys
	won, fought := make([]float64, len(cs)), make([]int, len(cs))
	gold := *j
	gold.Panel = g.gold
	for a := range cs {
		for b := a + 1; b < len(cs); b++ {
			v, err := j.Compare(ctx, t, cs[a], cs[b])
			if err := out.missing(keys[a]+" or "+keys[b], err); err != nil {
				return err
			}
			out.tell(func(r *judgeReport) {
				r.tally.Compared(v, err)
				r.read(err)
			})
			if err != nil {
				continue
			}
			out.Source = v.Source
			won[a], won[b] = won[a]+v.Outcome, won[b]+1-v.Outcome
			fought[a]++
			fought[b]++
			out.Pairs = append(out.Pairs, judgedPair{keys[a], keys[b], v.Better(keys[a], keys[b]), v.Share, v.Strength, v.Order()})
			if v.Panel != nil {
				var row []float64
				for _, p := range v.Panel {
					row = append(row, p.Outcome)
				}
				out.tell(func(r *judgeReport) { r.votes = append(r.votes, row) })
			}
			if !g.self {
				continue
			}
			of, err := gold.Compare(ctx, t, cs[a], cs[b])
			switch {
			case errors.Is(err, judge.ErrUnparsed):
				out.tell(func(r *judgeReport) { r.NoGold++ })
			case err != nil:
				return err
			default:
				out.tell(func(r *judgeReport) { r.own(g.model.ID(), out.line, keys[a], keys[b], v, of) })
			}
		}
	}
	out.Scores = map[string]*float64{}
	for i, key := range keys {
		out.Scores[key] = nil
		if fought[i] > 0 {
			share := won[i] / float64(fought[i])
			out.Scores[key] = &share
		}
	}
	if len(out.Missing) == 0 {
		best := judge.Top(keys, out.Scores)
		out.Best = &best
		out.tell(func(r *judgeReport) {
			r.winners(out.Scores)
			if label, ok := out.line.labels.best(); ok {
				r.agree(slices.Index(keys, best), slices.Index(keys, label))
			}
		})
	}
	return nil
}

func (g *judging) rank(ctx context.Context, t *monitor.Trial, j *judge.Judge, cs []*monitor.Candidate, out *judged) error {
	keys := out.line.keys
	v, err := j.Rank(ctx, t, cs)
	if err := out.missing("ranking", err); err != nil {
		return err
	}
	out.tell(func(r *judgeReport) {
		r.tally.Ranked(v, err)
		r.read(err)
	})
	if err != nil {
		return nil
	}
	out.Scores = map[string]*float64{}
	for i, key := range keys {
		out.Scores[key] = &v.Share[i]
	}
	for _, i := range v.Order {
		out.Order = append(out.Order, keys[i])
	}
	best := judge.Top(keys, out.Scores)
	out.Best = &best
	out.tell(func(r *judgeReport) {
		r.winners(out.Scores)
		place := out.line.labels.places()
		for a := range keys {
			for b := a + 1; b < len(keys) && place != nil; b++ {
				r.agree(sign(v.Share[a]-v.Share[b]), sign(float64(place[keys[b]]-place[keys[a]])))
			}
		}
	})
	return nil
}

func (g *judging) tag(ctx context.Context, t *monitor.Trial, j *judge.Judge, cs []*monitor.Candidate, out *judged) error {
	out.Tags = map[string]map[string]*judgedTag{}
	for i, c := range cs {
		key := out.line.keys[i]
		v, err := j.Tag(ctx, t, c, g.labels)
		if err != nil {
			return err
		}
		tags := map[string]*judgedTag{}
		for _, tag := range v.Tags {
			tags[tag.Label] = nil
			if tag.Err != nil {
				out.Missing[key+": "+tag.Label] = tag.Err.Error()
				continue
			}
			d := &judgedTag{Grade: tag.Grade, Quote: tag.Quote, Void: tag.Void}
			if tag.Quote != "" {
				d.Span = &[2]int{tag.Span.Start, tag.Span.End}
			}
			tags[tag.Label] = d
		}
		out.Tags[key] = tags
		out.tell(func(r *judgeReport) {
			r.tally.Tagged(v, nil)
			r.tagged(out.line.Kind, v)
			for _, tag := range v.Tags {
				r.votes = append(r.votes, tag.Votes)
				r.read(tag.Err)
				if label, ok := out.line.labels.tag(key, tag.Label); ok && tag.Err == nil {
					r.agree(int(tag.Grade), int(label))
				}
			}
		})
	}
	return nil
}

func orNull(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func sign(v float64) int {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// runProbe is --probe: what the model says of itself after so much context.
func (g *judging) runProbe(cmd *cobra.Command) error {
	var tokens []int
	for _, s := range g.probe {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > 1<<20 {
			return usagef("--probe %q: want numbers of tokens, such as 0,1000,4000", s)
		}
		tokens = append(tokens, n)
	}
	t := monitor.NewTrial(monitor.TrialOptions{Model: g.model, Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: "Hello."}}}, Ledger: llm.NewLedger(g.limits), Seed: g.seed})
	answers, err := g.base.Probe(cmd.Context(), t, tokens...)
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	for _, a := range answers {
		tags := map[string]*judgedTag{}
		for _, tag := range a.Tags.Tags {
			tags[tag.Label] = nil
			if tag.Err == nil {
				tags[tag.Label] = &judgedTag{Grade: tag.Grade, Quote: tag.Quote}
			}
		}
		line := struct {
			Tokens   int                   `json:"context_tokens"`
			Withhold bool                  `json:"may_withhold"`
			Answer   string                `json:"answer"`
			Tags     map[string]*judgedTag `json:"tags"`
		}{a.Tokens, a.Control, text.Sanitise(a.Answer), tags}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	if err == nil {
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "claims with length of context: %v\n", judge.Rise(answers))
	}
	return err
}
