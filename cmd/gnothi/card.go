package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi/catalog"
	"gnothi/eval"
	"gnothi/eval/card"
	"gnothi/llm"
	"gnothi/store"
)

func cardCmd() *cobra.Command {
	var o cardOptions
	cmd := &cobra.Command{
		Use:   "card",
		Short: "One page: what a model knows about itself",
		Long: `Run a fixed set of suites on a model and draw one page of what it knows about
itself: whether its confidences are calibrated, whether it knows what it knows,
what it does with questions that have no answer, whether it stands by what is
right, corrects itself, judges fairly and explains itself faithfully. Each row has
its 95 % interval, the number of items that it rests on, what a model without the
ability would get, and the paper that it comes from.

It plans first (--plan shows the plan and asks nothing) and leaves out, by name,
what the budget or the model cannot support. Without a budget of yours the default
local model takes some minutes.

The card is kept in a folder (--out, else cards/MODEL-1, -2 and so on) with
card.html, card.json and card.svg. One that was cut off goes on with the same
command and --out, or with "gnothi card resume FOLDER".`,
		Example: `  gnothi card --model openai:gpt-4.1-mini --plan
  gnothi card --out cards/mine
  gnothi card compare cards/mine cards/other --html difference.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.make(cmd, "") },
	}
	f := cmd.Flags()
	f.String("model", settings["model"].def, "PROVIDER:NAME[@BASE_URL], or an alias of the configuration")
	f.BoolVar(&o.plan, "plan", false, "show what would be asked, and ask nothing")
	f.StringVar(&o.out, "out", "", "folder of the card (default: cards/MODEL-1, or the next number that is free)")
	f.Uint64("seed", 1, "root of everything random")
	o.pace(f, "card", card.DefaultLimits)
	cmd.AddCommand(cardResumeCmd(), cardCompareCmd())
	return cmd
}

type cardOptions struct {
	evalOptions
	plan bool
}

func cardResumeCmd() *cobra.Command {
	var o cardOptions
	cmd := &cobra.Command{
		Use:   "resume FOLDER",
		Short: "Go on with a card that was cut off",
		Long: `Go on with a card as it was planned: what was answered is not asked again. A
budget may be given anew, and what the card has spent counts; suites that the plan
left out stay so. A card that is done is drawn again, without any call.`,
		Example: `  gnothi card resume cards/smollm2-135m-1`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.make(cmd, args[0]) },
	}
	o.pace(cmd.Flags(), "card", card.DefaultLimits)
	return cmd
}

// make makes a card, or goes on with that of a folder.
func (o cardOptions) make(cmd *cobra.Command, resume string) (err error) {
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return err
	}
	n, err := c.numbers()
	if err != nil {
		return err
	}
	limits := cardLimits(cmd)
	spec := c.String("model")
	var old *card.Plan
	dir := o.out
	if resume != "" {
		dir = resume
	}
	if dir != "" {
		begun, err := card.Open(dir)
		switch {
		case err == nil:
			old = &begun
		case errors.Is(err, fs.ErrNotExist) && resume != "":
			return usagef("card %s: no card there: begin one with gnothi card --out %s", dir, dir)
		case !errors.Is(err, fs.ErrNotExist):
			return usage(err)
		default:
			if there, _ := os.ReadDir(dir); len(there) > 0 {
				return usagef("--out %s: the folder holds something else than a card: choose another one", dir)
			}
		}
	}
	if resume != "" {
		spec, n.seed = old.Spec, old.Seed
	}
	items, limit, err := o.limits(spec)
	if err != nil {
		return err
	}
	c.limit, c.limiters = limit, &catalog.Limiters{}
	subject, closeModels, err := o.subject(cmd.Context(), cmd, c, eval.Header{Spec: spec})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeModels()) }()
	m := subject.Model
	if old != nil && !cmd.Flags().Changed("budget-calls") && !cmd.Flags().Changed("budget-tokens") && !cmd.Flags().Changed("budget-usd") {
		limits = old.Limits
	}
	plan, err := card.NewPlan(m, spec, n.seed, limits, c.price(spec))
	if err != nil && old == nil {
		return err
	}
	plan.Gnothi = version()
	if old != nil {
		if err := old.Same(plan); err != nil {
			return usagef("card %s: %w", dir, err)
		}
		begun := *old // its suites and their sizes stay; the budget may be another one
		begun.Limits = limits
		plan = begun
	}
	asJSON, _ := cmd.Flags().GetBool("json")
	if o.plan {
		if asJSON {
			return encode(cmd, plan)
		}
		return printPlan(cmd.OutOrStdout(), plan)
	}
	if dir == "" {
		if dir, err = freeFolder(filepath.Join("cards", plainName(spec))); err != nil {
			return err
		}
	}
	return o.ask(cmd, dir, plan, m, card.Options{Dir: dir, Concurrency: items, Title: paperTitle, Stop: cmd.Context().Done()}, c.limiters)
}

// ask makes the card and tells what came out.
func (o cardOptions) ask(cmd *cobra.Command, dir string, plan card.Plan, m llm.Model, options card.Options, limiters *catalog.Limiters) error {
	var bar *runProgress
	options.Progress = func(study string, i, n int, p eval.Progress) {
		if name := fmt.Sprintf("%d/%d %s", i+1, n, study); bar == nil || bar.name != name {
			if bar != nil {
				bar.done()
			}
			bar = newRunProgress(cmd, name, limiters)
		}
		bar.set(p)
	}
	told := context.AfterFunc(cmd.Context(), func() {
		fmt.Fprintln(cmd.ErrOrStderr(), "\nwaiting for the calls under way; Ctrl-C again stops at once")
	})
	made, err := card.Make(context.WithoutCancel(cmd.Context()), plan, m, options)
	told()
	if bar != nil {
		bar.done()
	}
	interrupted := errors.Is(err, llm.ErrStopped)
	switch {
	case interrupted:
		return &codeError{exitInterrupted, fmt.Errorf("interrupted; go on with: gnothi card resume %s", filepath.ToSlash(dir))}
	case errors.Is(err, store.ErrLocked):
		return usage(err)
	case err != nil:
		return err
	}
	if err := cardWorth(made); err != nil {
		return err
	}
	if err := made.Write(dir); err != nil {
		return err
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return encode(cmd, made)
	}
	if err := printCard(cmd.OutOrStdout(), made); err != nil {
		return err
	}
	if quiet, _ := cmd.Flags().GetBool("quiet"); !quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s, %s and %s are in %s\n", card.HTMLFile, card.JSONFile, card.BadgeFile, filepath.ToSlash(dir))
	}
	return nil
}

// cardWorth says what went wrong with a card on which nothing stands.
func cardWorth(c *card.Card) error {
	if len(c.Groups) > 0 {
		return nil
	}
	for _, s := range c.Suites {
		if len(s.Errors) > 0 {
			return fmt.Errorf("card: no row has a figure: study %s: %s", s.Study, s.Errors[0])
		}
		if s.Outcomes.Unasked == s.N {
			return fmt.Errorf("card: nothing could be asked: %w", llm.ErrBudget)
		}
	}
	return errors.New("card: no row has a figure: no reply could be read")
}

// cardLimits reads the budget of the card, which was checked with the numbers: the
// configuration's is for questions.
func cardLimits(cmd *cobra.Command) llm.Limits {
	f := cmd.Flags()
	calls, _ := f.GetInt64("budget-calls")
	tokens, _ := f.GetInt64("budget-tokens")
	usd, _ := f.GetFloat64("budget-usd")
	return llm.Limits{Calls: calls, Tokens: tokens, NanoUSD: int64(usd * 1e9)}
}

// price is what the configuration says that a model's tokens cost, nil if it
// does not.
func (c *config) price(spec string) *llm.Price {
	var o catalog.ModelOptions
	if alias, ok := c.Get("models." + spec).(map[string]any); ok && o.Alias(alias) == nil {
		return o.Price
	}
	return nil
}

// plainName is what a folder is called after a model: its name without provider,
// address, and a file's folder and suffix.
func plainName(spec string) string {
	if _, name, ok := strings.Cut(spec, ":"); ok {
		spec = name
	}
	spec, _, _ = strings.Cut(spec, "@")
	spec = filepath.Base(filepath.ToSlash(spec))
	for _, suffix := range []string{".yaml", ".yml", ".json", ".jsonl", ".gguf"} {
		spec = strings.TrimSuffix(spec, suffix)
	}
	spec = strings.Trim(strings.Map(func(r rune) rune {
		if r < 0x20 || strings.ContainsRune(`/\:*?"<>| `, r) {
			return '-'
		}
		return r
	}, spec), "-.")
	return cmp.Or(spec, "model")
}

func paperTitle(slug string) string {
	if p, ok := catalog.Find(slug); ok {
		return p.Title
	}
	return slug
}

func printPlan(w io.Writer, p card.Plan) error {
	fmt.Fprintf(w, "The card of %s, seed %d\n\n", p.Model, p.Seed)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SUITE\tITEMS\tSHARES WITHIN\tCALLS\tTOKENS\tABOUT")
	for _, s := range p.Suites {
		fmt.Fprintf(t, "%s\t%d\t±%.2f\t~%d\t~%d\t%s\n", s.Study, s.Items, s.Within, s.Calls, s.Tokens, s.About)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	calls, tokens, usd := p.Total()
	fmt.Fprintf(w, "\nabout %d calls and %d tokens", calls, tokens)
	if usd > 0 {
		fmt.Fprintf(w, ", $%.4f", float64(usd)/1e9)
	}
	fmt.Fprintln(w)
	return printLeftOut(w, p.LeftOut)
}

func printLeftOut(w io.Writer, left []card.LeftOut) error {
	var err error
	for _, l := range left {
		_, err = fmt.Fprintf(w, "left out: %s: %s\n", l.What, l.Reason)
	}
	return err
}

func printCard(w io.Writer, c *card.Card) error {
	fmt.Fprintf(w, "What %s knows about itself\n", c.Model)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range c.Groups {
		fmt.Fprintf(t, "\n%s\tVALUE\t95 %% INTERVAL\tN\tLEVEL\tGRADE\tPAPER\n", strings.ToUpper(g.Title))
		for _, r := range g.Rows {
			level := "-"
			if r.Level != nil {
				level = fmt.Sprintf("%g", *r.Level)
			}
			grade := r.Grade
			if grade == "" {
				grade = "-"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", r.Title, r.Value(), r.Interval(), r.Figure.N, level, grade, r.Papers[0].Slug)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := printLeftOut(w, c.LeftOut); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d calls, %d prompt and %d completion tokens\n", c.Spend.Calls, c.Spend.PromptTokens, c.Spend.CompletionTokens)
	return err
}

func cardCompareCmd() *cobra.Command {
	var page string
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Two cards row by row",
		Long: `Set two cards, folders or card.json files, beside one another: each row's
difference with its interval, over the items that both cards have where both were
asked the same, and p-values corrected over the rows (Holm).`,
		Example: `  gnothi card compare cards/a-1 cards/b-1
  gnothi card compare a.json b.json --html difference.html`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var cards [2]*card.Card
			for i, path := range args {
				var err error
				if cards[i], err = card.Read(path); err != nil {
					if _, plan := card.Open(path); plan == nil {
						err = fmt.Errorf("card %s: it is not done: go on with gnothi card resume %s", path, path)
					}
					return usage(err)
				}
			}
			c, err := card.Compare(cards[0], cards[1])
			if err != nil {
				return usage(err)
			}
			if page != "" {
				f, err := os.Create(page)
				if err != nil {
					return usage(err)
				}
				if err := errors.Join(c.HTML(f), f.Close()); err != nil {
					return err
				}
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return encode(cmd, c)
			}
			return printCardComparison(cmd.OutOrStdout(), c)
		},
	}
	cmd.Flags().StringVar(&page, "html", "", "file for a page of the comparison")
	return cmd
}

func printCardComparison(w io.Writer, c *card.Comparison) error {
	fmt.Fprintf(w, "A %s, seed %d\nB %s, seed %d\n\n", c.Models[0], c.Seeds[0], c.Models[1], c.Seeds[1])
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ROW\tA\tB\tB LESS A\t95 % INTERVAL\tP (HOLM)\tHOW")
	for _, r := range c.Rows {
		how := r.How
		if r.Words() == "differs" {
			how = "differs; " + how
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Title, r.Number(r.Figures[0].Value, false), r.Number(r.Figures[1].Value, false), r.Number(r.Difference.Value, true), r.Interval(), r.P(), how)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\np-values are corrected over %d rows\n", c.Tested)
	return err
}
