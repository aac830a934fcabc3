package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gnothi/catalog"
	"gnothi/control"
	"gnothi/internal/jsonl"
	"gnothi/internal/plot"
	"gnothi/learn"
	"gnothi/learn/countdown"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// learnOptions are the flags of learn that no other command has.
type learnOptions struct {
	in, out, figure string
	limit, workers  int
}

func learnCmd() *cobra.Command {
	var o learnOptions
	cmd := &cobra.Command{
		Use:   "learn RECIPE[?key=value&…] --in FILE",
		Short: "Training data from a model's judgements of itself",
		Long: `Make pairs, rows for fine-tuning, rewards or rankings of a model's own answers.
A recipe is a paper; "gnothi learn list" shows them with what each needs.

A line of --in is {"id"?, "question", "context"?, "answers"?, "type"?}, as for ask;
"type" is the answer's: free, number, …. Some recipes
want more: "response" (a reply to be judged) and "score" (what it deserves);
"feasible" (whether the question, a task, can be done); "numbers" and "target" (a
Countdown puzzle, which needs no question).

Rows come out in input order, one JSON object each: "id", "recipe", "kind" (pair, sft,
reward, ranking), "role"? (whom it trains, if not the one who answers), "prompt" and, by
kind, "chosen", "rejected", "margin"; "completion"; "reward", "spans" (bytes of the
completion); "ranking". Then a report, on standard error or with --json as a last line
{"report": …} of standard output: what was dropped and why, whether the chosen ones
are longer, the judge's biases, how scores are spread, what it cost.`,
		Example: `  gnothi learn list
  gnothi learn sharpening-mechanism --in prompts.jsonl --out rows.jsonl
  gnothi learn 'meta-rewarding?k=4&n=3' --in prompts.jsonl --model openai:gpt-4.1-mini --budget-usd 2
  echo '{"numbers":[3,5,7],"target":22}' | gnothi learn reflect-retry-reward --in -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	modelled := pflag.NewFlagSet("", pflag.ContinueOnError)
	modelFlags(modelled)
	f := cmd.Flags()
	for _, name := range []string{"model", "seed", "max-tokens", "budget-calls", "budget-tokens", "budget-usd", "format", "trace", "verifier"} {
		f.AddFlag(modelled.Lookup(name))
	}
	for name, what := range map[string]string{"calls": "calls", "tokens": "tokens", "usd": "dollars"} {
		f.Lookup("budget-" + name).Usage = "most " + what + " that the run may cost (0: no ceiling)"
	}
	f.StringVar(&o.in, "in", "", "prompts, JSON Lines; - for standard input")
	f.StringVar(&o.out, "out", "", "file for the rows (default: standard output)")
	f.StringVar(&o.figure, "figure", "", "file for a picture of the scores, SVG")
	f.IntVar(&o.limit, "limit", 0, "at most so many prompts (0: all)")
	f.IntVar(&o.workers, "concurrency", 4, "prompts at a time")
	cmd.AddCommand(learnListCmd())
	return cmd
}

func learnListCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "The recipes",
		Example: "  gnothi learn list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			type line struct {
				Name   string `json:"name"`
				About  string `json:"about"`
				Needs  string `json:"needs"`
				Params string `json:"params"`
			}
			var all []line
			for _, e := range catalog.Recipes() {
				r, err := catalog.Recipe(e.Name)
				if err != nil {
					return err
				}
				all = append(all, line{r.Name, r.About, r.Needs, e.Params})
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return encode(cmd, all)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "RECIPE\tPARAMETERS\tNEEDS\tABOUT")
			for _, l := range all {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.Name, l.Params, l.Needs, l.About)
			}
			return t.Flush()
		},
	}
}

// promptLine is a line of --in.
type promptLine struct {
	ID       lineID   `json:"id"`
	Question string   `json:"question"`
	Context  string   `json:"context"`
	Answers  []string `json:"answers"`
	Type     string   `json:"type"` // of the answer; "kind" is a group of questions, as in every file of questions
	Response string   `json:"response"`
	Score    *float64 `json:"score"`
	Feasible *bool    `json:"feasible"`
	Numbers  []int    `json:"numbers"`
	Target   int      `json:"target"`
}

func (l promptLine) prompt() (p learn.Prompt, err error) {
	p = learn.Prompt{ID: string(l.ID), Question: l.Question, Context: l.Context, Answers: l.Answers, Response: l.Response, Score: l.Score, Feasible: l.Feasible}
	if l.Type != "" {
		if p.Kind, err = text.ParseKind(l.Type); err != nil {
			return p, fmt.Errorf("field \"type\": %w", err)
		}
	}
	if len(l.Numbers) > 0 || l.Target != 0 {
		puzzle := countdown.Puzzle{Numbers: l.Numbers, Target: l.Target}
		if err := puzzle.Valid(); err != nil {
			return p, fmt.Errorf("fields \"numbers\", \"target\": %w", err)
		}
		p.Countdown = &puzzle
		if strings.TrimSpace(p.Question) == "" {
			p.Question = puzzle.String()
		}
	}
	if strings.TrimSpace(p.Question) == "" {
		return p, errors.New(`field "question": missing or empty`)
	}
	return p, nil
}

// readPrompts reads and checks all lines before anything is paid for.
func readPrompts(path string, limit int) (ps []learn.Prompt, err error) {
	seen := map[lineID]int{}
	err = jsonl.Each(path, func(n int, raw []byte) error {
		var l promptLine
		if err := jsonl.Decode(raw, &l); err != nil {
			return err
		}
		if l.ID == "" {
			l.ID = lineID(fmt.Sprint(n))
		}
		if at, dup := seen[l.ID]; dup {
			return fmt.Errorf("field \"id\": %q is also the id of line %d", l.ID, at)
		}
		seen[l.ID] = n
		p, err := l.prompt()
		if err == nil && (limit == 0 || len(ps) < limit) {
			ps = append(ps, p)
		}
		return err
	}, nil)
	if errors.Is(err, fs.ErrNotExist) {
		err = usage(err)
	}
	if err == nil && len(ps) == 0 {
		err = usagef("%s holds no prompts", path)
	}
	return ps, err
}

func (o learnOptions) run(cmd *cobra.Command, spec string) error {
	recipe, err := catalog.Recipe(spec)
	if err != nil {
		return usage(err)
	}
	if o.in == "" {
		return usagef("give --in FILE (or - for standard input)")
	}
	if o.limit < 0 || o.workers < 1 || o.workers > 10_000 {
		return usagef("--limit %d, --concurrency %d: want a limit of 0 or more and a concurrency of 1 to 10000", o.limit, o.workers)
	}
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return err
	}
	n, err := c.numbers()
	if err != nil {
		return err
	}
	prompts, err := readPrompts(o.in, o.limit)
	if err != nil {
		return err
	}
	signals, err := c.signals()
	if err != nil {
		return err
	}
	for _, s := range signals {
		if v := (&control.Verifier{Signal: s, At: 0.5}); strings.HasPrefix(s.Name(), "verifier/") {
			for i := range prompts {
				prompts[i].Verifier = v
			}
		}
	}
	model, closeModel, err := c.openModel(cmd.Context(), cmd)
	if err != nil {
		return err
	}
	defer closeModel()
	w := cmd.OutOrStdout()
	if o.out != "" {
		f, err := create(cmd, o.out)
		if err != nil {
			return usage(err)
		}
		defer f.Close()
		w = f
	}
	rows := json.NewEncoder(w)
	rows.SetEscapeHTML(false)
	making := making{recipe, model, llm.NewLedger(n.limits), n, c.String("format")}
	report, err := making.all(cmd, prompts, o.workers, func(r learn.Row) error { return rows.Encode(r) })
	if err != nil {
		return err
	}
	if o.figure != "" {
		if err := drawScores(o.figure, report); err != nil {
			return err
		}
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		last := json.NewEncoder(cmd.OutOrStdout())
		last.SetEscapeHTML(false)
		return last.Encode(map[string]any{"report": report})
	}
	_, err = fmt.Fprint(cmd.ErrOrStderr(), report)
	return err
}

// making is everything that making rows takes.
type making struct {
	recipe learn.Recipe
	model  llm.Model
	ledger *llm.Ledger
	numbers
	form string
}

// one makes the rows of one prompt.
func (g making) one(ctx context.Context, p learn.Prompt) *learn.Made {
	q := p.Trial()
	form, ok := prompt.Select(g.form, g.model, q)
	if !ok {
		return &learn.Made{Prompt: p.ID, Err: usagef("format %q: want auto, shots or chat", g.form)}
	}
	req := form.Request(q)
	if g.maxTokens > 0 {
		req.MaxTokens = g.maxTokens
	}
	t := monitor.NewTrial(monitor.TrialOptions{Model: g.model, Question: q, Request: req, Ledger: g.ledger.Sub(), Seed: llm.Derive(g.seed, "learn/"+p.ID, 0)})
	m, _ := g.recipe.Run(ctx, t, p) // the error is in m
	return m
}

// all makes the rows of all prompts and writes them in the order of the
// prompts, at once unless the recipe chooses among all.
func (g making) all(cmd *cobra.Command, prompts []learn.Prompt, workers int, write func(learn.Row) error) (report learn.Report, err error) {
	ctx := cmd.Context()
	bar := newProgress(cmd, len(prompts), g.recipe.Name)
	defer bar.done()
	tally := learn.NewTally(g.recipe, g.model)
	put := func(rows []learn.Row) error {
		for _, r := range rows {
			tally.Row(r)
			if err := write(r); err != nil {
				return err
			}
		}
		return nil
	}
	var waiting []learn.Row
	var first error
	done, err := inOrder(ctx, prompts, workers, g.one, func(m *learn.Made) error {
		bar.add()
		tally.Add(m)
		if m.Err != nil {
			err := fmt.Errorf("prompt %s: %w", m.Prompt, m.Err)
			if first == nil {
				first = err
			}
			if !errors.Is(err, llm.ErrBudget) {
				fmt.Fprintln(cmd.ErrOrStderr(), text.SanitiseLine(err.Error()))
			}
			return nil
		}
		if g.recipe.All != nil {
			waiting = append(waiting, m.Rows...)
			return nil
		}
		return put(m.Rows)
	})
	if ctx.Err() != nil {
		return report, fmt.Errorf("interrupted: %d of %d prompts done: %w", done, len(prompts), context.Canceled)
	}
	if err == nil {
		err = put(tally.Choose(g.recipe, waiting))
	}
	if err != nil {
		return report, err
	}
	report = tally.Report(g.ledger)
	switch {
	case report.Budget == len(prompts):
		return report, fmt.Errorf("nothing was finished: %w", first)
	case report.Budget+report.Failed == len(prompts):
		return report, fmt.Errorf("every prompt failed; the first: %w", first)
	}
	return report, nil
}

// drawScores draws how the scores of a recipe are spread, of right and wrong
// answers apart where a checker told them.
func drawScores(path string, r learn.Report) error {
	all := []learn.Histogram{r.Histogram}
	names := []string{"scores"}
	if r.Gold != nil {
		all, names = []learn.Histogram{r.Gold.Wrong, r.Gold.Right}, []string{"wrong", "right"}
	}
	if all[0].Counts == nil {
		return fmt.Errorf("--figure %s: %s gives no scores to draw", path, r.Recipe)
	}
	chart := plot.Chart{Title: r.Recipe, Note: fmt.Sprintf("%s, %d prompts", r.Model, r.Prompts), X: "score", Y: "how many"}
	for k, h := range all {
		line := plot.Series{Name: names[k]}
		width := (h.High - h.Low) / float64(len(h.Counts))
		for i, n := range h.Counts {
			line.Points = append(line.Points, plot.At(h.Low+(float64(i)+0.5)*width, float64(n)))
		}
		chart.Series = append(chart.Series, line)
	}
	f, err := os.Create(path)
	if err != nil {
		return usage(err)
	}
	_, err = chart.WriteTo(f)
	return errors.Join(err, f.Close())
}
