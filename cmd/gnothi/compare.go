package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi"
	"gnothi/control"
	"gnothi/eval/questions"
	"gnothi/internal/plot"
	"gnothi/monitor"
	"gnothi/stats"
	"gnothi/text"
)

func compareCmd() *cobra.Command {
	var in, keep, half, figure string
	var policies []string
	var own, equal bool
	var workers, limit int
	var margin float64
	cmd := &cobra.Command{
		Use:   "compare --policy A --policy B [--policy C …]",
		Short: "Policies on the same questions",
		Long: `Ask the same questions under two policies and compare them question by question:
who is right where the other is wrong, what each costs, and whether the second is
worse than the first by less than a margin.

Of a policy that revises, the table says how many right first answers stayed right
(confidence), how many wrong ones became right (critique), and where that lies
between the worst and the best (relative score; 0.5 is no change). A loop must beat
its control: with --equal-tokens the second policy goes on, question by question,
until it has spent the tokens that the first one did there.

With more than two policies each is compared with the first, p-values are corrected
for their number, and a policy that another beats on both accuracy and tokens is
named; --figure draws accuracy over tokens.`,
		Example: `  gnothi compare --policy "self-consistency?n=40" --policy auto --builtin --limit 1000
  gnothi compare --policy review --policy retry --equal-tokens --builtin --limit 200
  gnothi compare --policy direct --policy "self-refine?rounds=1" --in questions.jsonl
  gnothi compare --policy "self-consistency?n=40" --policy auto --policy direct --model replay:dist/recordings.jsonl --builtin --figure frontier.svg`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(policies) < 2 {
				return usagef("give --policy twice or more: what is compared, and with what")
			}
			if equal && len(policies) > 2 {
				return usagef("--equal-tokens compares two policies")
			}
			if !(margin > 0 && margin < 1) {
				return usagef("margin %g: want a share between 0 and 1, such as 0.01", margin)
			}
			if !own && cmd.Flags().Changed("half") {
				return usagef("--half goes with --builtin")
			}
			which, ok := map[string]string{"apart": questions.Apart, "fit": questions.Fit, "all": ""}[half]
			if !ok {
				return usagef("half %q: want apart, fit or all", half)
			}
			qs, err := gradedQuestions(in, which, own, limit)
			if err != nil {
				return err
			}
			return compare(cmd, policies, qs, comparing{workers: workers, margin: margin, keep: keep, figure: figure, equal: equal})
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&policies, "policy", nil, "a policy; give two or more")
	modelFlags(f)
	f.StringVar(&in, "in", "", "questions with answers, JSON Lines")
	f.StringVar(&figure, "figure", "", "SVG file: of two policies the confidence and critique, of more the accuracy over tokens")
	f.StringVar(&keep, "keep", "", "file for every graded answer with its samples, JSON Lines")
	f.BoolVar(&own, "builtin", false, "gnothi's own questions")
	f.StringVar(&half, "half", "apart", "which of them: apart (no calibrator was fitted on them), fit or all")
	f.BoolVar(&equal, "equal-tokens", false, "let the second policy go on until it has spent what the first did")
	f.IntVar(&workers, "concurrency", 4, "questions at a time")
	f.IntVar(&limit, "limit", 0, "at most so many questions, evenly chosen")
	f.Float64Var(&margin, "margin", 0.01, "how much worse still counts as no worse")
	return cmd
}

// arm is one of the two policies' results.
type arm struct {
	Policy string         `json:"policy"`
	Grades map[string]int `json:"grades"`
	Right  stats.Figure   `json:"accuracy"`
	Tokens int64          `json:"generated_tokens"`
	Prompt int64          `json:"evaluated_prompt_tokens"`
	Calls  int64          `json:"calls"`
	// Roles is what was spent on what: answer, sample, judge, rewrite, …
	Roles map[string]roleSpend `json:"by_role"`
	// Revised counts the questions whose first answer was revised, Changed those
	// that ended with another answer than the first; Loop is first against last.
	Revised int               `json:"revised"`
	Changed int               `json:"changed"`
	Loop    *stats.Correction `json:"loop,omitempty"`

	first    [][]bool // whether the first answer was right
	last     [][]bool
	y        []float64
	clusters []string
}

// roleSpend is what a role of calls cost.
type roleSpend struct {
	Calls  int64 `json:"calls"`
	Tokens int64 `json:"generated_tokens"`
	Prompt int64 `json:"evaluated_prompt_tokens"`
}

// comparison is what compare says with --json.
type comparison struct {
	N int `json:"n"`
	A arm `json:"a"`
	B arm `json:"b"`
	// EqualTokens: B went on until it had spent what A had.
	EqualTokens bool `json:"equal_tokens"`
	// Rescued were wrong under A and right under B, spoilt the other way round.
	Rescued    int                  `json:"rescued"`
	Spoilt     int                  `json:"spoilt"`
	McNemar    *stats.Test          `json:"mcnemar,omitempty"`
	NoWorse    stats.NonInferiority `json:"non_inferiority"`
	TokenRatio float64              `json:"token_ratio"`
	// AThenB takes A's answers for the first and B's for the second.
	AThenB stats.Correction `json:"a_then_b"`
}

// spending goes on with a policy until it has spent, on each question, what
// another one has.
type spending struct {
	control.Policy
	tokens map[string]int64 // by question
}

// Run implements control.Policy.
func (s spending) Run(ctx context.Context, t *monitor.Trial) (control.Result, error) {
	p, _ := control.UpTo(s.Policy, max(1, s.tokens[t.Question.Text]))
	return p.Run(ctx, t)
}

func (s spending) String() string { return s.Policy.String() + " at equal tokens" }

// comparing is how compare compares.
type comparing struct {
	workers      int
	margin       float64
	keep, figure string
	equal        bool
}

func compare(cmd *cobra.Command, policies []string, qs []questionLine, o comparing) error {
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return err
	}
	n, err := c.numbers()
	if err != nil {
		return err
	}
	var second control.Policy
	for _, spec := range policies { // wrong usage shows before any work
		if second, err = c.policy(spec, n); err != nil {
			return usage(err)
		}
	}
	if _, ok := control.UpTo(second, 1); o.equal && !ok {
		return usagef("policy %s: it cannot go on until its tokens are spent; --equal-tokens wants a vote or a loop second", policies[1])
	}
	ctx := cmd.Context()
	model, closeModel, err := c.openModel(ctx, cmd)
	if err != nil {
		return err
	}
	defer closeModel()
	record := func(graded) error { return nil }
	if o.keep != "" {
		f, err := create(cmd, o.keep)
		if err != nil {
			return err
		}
		defer f.Close()
		enc := json.NewEncoder(f)
		record = func(g graded) error { return enc.Encode(recorded{g.ID, g.Policy, g.Grade, g.Explain()}) }
	}
	arms := make([]arm, len(policies))
	spent := map[string]int64{}
	for i := range arms {
		a := &arms[i]
		options, err := c.optionsFor(policies[i], n)
		if err != nil {
			return err
		}
		if o.equal && i == 1 {
			options = append(options, gnothi.WithPolicy(policies[i], spending{second, spent}))
		}
		mind, err := gnothi.New(model, options...)
		if err != nil {
			return err
		}
		a.Policy, a.Grades, a.Roles = policies[i], map[string]int{}, map[string]roleSpend{}
		next := 0
		err = gradeAll(ctx, cmd, mind, qs, o.workers, policies[i], func(g graded) error {
			a.add(g, qs[next])
			next++
			if i == 0 {
				spent[g.Question] = g.Spend.PromptTokens + g.Spend.CompletionTokens
			}
			return record(g)
		})
		if err != nil {
			return err
		}
		if a.Revised > 0 {
			c, err := correction(a.first, a.last, a.clusters)
			if err != nil {
				return err
			}
			a.Loop = &c
		}
		if a.Right, err = a.accuracy(); err != nil {
			return err
		}
	}
	asJSON, _ := cmd.Flags().GetBool("json")
	if len(arms) > 2 {
		return newFrontier(arms).show(cmd, o.figure, asJSON)
	}
	out := comparison{N: len(qs), A: arms[0], B: arms[1], EqualTokens: o.equal}
	if err := out.test(o.margin); err != nil {
		return err
	}
	if o.figure != "" {
		if err := out.draw(o.figure); err != nil {
			return err
		}
	}
	if asJSON {
		return encode(cmd, out)
	}
	return out.print(cmd)
}

// recorded is a graded answer with everything that was said.
type recorded struct {
	ID     string             `json:"id"`
	Policy string             `json:"policy"`
	Grade  string             `json:"grade"`
	Inside gnothi.Explanation `json:"inside"`
}

func (a *arm) add(g graded, q questionLine) {
	a.Grades[g.Grade]++
	first := g.Label
	if g.Study != nil {
		for role, s := range g.Study.Roles {
			r := a.Roles[role]
			a.Roles[role] = roleSpend{r.Calls + s.Calls, r.Tokens + s.CompletionTokens, r.Prompt + s.PromptTokens}
		}
		if res := g.Study.Result; res.Best != nil && len(res.Trace) > 0 {
			a.Revised++
			if res.First().Key != res.Best.Key {
				a.Changed++
			}
			first = q.gradeAnswer(g.Study.Question, res.First()) == text.Right
		}
	}
	a.first, a.last = append(a.first, []bool{first}), append(a.last, []bool{g.Label})
	a.Tokens += g.Spend.CompletionTokens
	a.Prompt += g.Spend.PromptTokens
	a.Calls += g.Spend.Calls
	y := 0.0
	if g.Label {
		y = 1
	}
	cluster := g.Cluster
	if cluster == "" {
		cluster = "#" + g.ID
	}
	a.y, a.clusters = append(a.y, y), append(a.clusters, cluster)
}

func (c *comparison) test(margin float64) (err error) {
	for i := range c.A.y {
		switch d := c.B.y[i] - c.A.y[i]; {
		case d > 0:
			c.Rescued++
		case d < 0:
			c.Spoilt++
		}
	}
	if exact, _, err := stats.McNemar(c.Rescued, c.Spoilt); err == nil {
		c.McNemar = &exact
	}
	c.TokenRatio = float64(c.B.Tokens+c.B.Prompt) / float64(max(1, c.A.Tokens+c.A.Prompt))
	if c.AThenB, err = correction(c.A.last, c.B.last, c.A.clusters); err != nil {
		return err
	}
	c.NoWorse, err = stats.NonInferior(c.B.y, c.A.y, margin, 0.05, stats.Groups(c.A.clusters))
	if errors.Is(err, stats.ErrConstant) {
		// Alike on every question: no difference to test, which is no failure.
		c.NoWorse, err = stats.NonInferiority{Difference: stats.Missing(c.N, err), Margin: margin, P: 1}, nil
	}
	return err
}

// correction measures second answers against first ones.
func correction(before, after [][]bool, clusters []string) (stats.Correction, error) {
	return stats.Bootstrap{Cluster: shared(clusters)}.Correction(rand.New(rand.NewPCG(1, 1)), before, after)
}

// accuracy is the share of right answers.
func (a *arm) accuracy() (stats.Figure, error) {
	if groups := shared(a.clusters); groups != nil {
		return stats.Mean(a.y, groups, 0.95)
	}
	return stats.Wilson(a.Grades["right"], len(a.y), 0.95)
}

// shared numbers the clusters; nil where no two questions share one.
func shared(clusters []string) []int {
	groups := stats.Groups(clusters)
	if len(groups) == 0 || slices.Max(groups)+1 == len(groups) {
		return nil
	}
	return groups
}

func (c *comparison) print(cmd *cobra.Command) error {
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\tA %s\tB %s\n", c.A.Policy, c.B.Policy)
	fmt.Fprintf(t, "accuracy\t%v\t%v\n", c.A.Right, c.B.Right)
	for _, g := range []string{"right", "wrong", "refused", "unparsed", "failed"} {
		fmt.Fprintf(t, "  %s\t%d\t%d\n", g, c.A.Grades[g], c.B.Grades[g])
	}
	row := func(name string, of func(*stats.Correction) any) {
		cell := func(a *arm) any {
			if a.Loop == nil {
				return "-"
			}
			return of(a.Loop)
		}
		fmt.Fprintf(t, "%s\t%v\t%v\n", name, cell(&c.A), cell(&c.B))
	}
	if c.A.Loop != nil || c.B.Loop != nil {
		row("first answer right", func(l *stats.Correction) any { return l.Before })
		row("  right stays right (confidence)", func(l *stats.Correction) any { return l.Confidence })
		row("  wrong becomes right (critique)", func(l *stats.Correction) any { return l.Critique })
		row("  relative score (0.5: no change)", func(l *stats.Correction) any { return l.Relative })
		fmt.Fprintf(t, "  revised, answer changed\t%d, %d\t%d, %d\n", c.A.Revised, c.A.Changed, c.B.Revised, c.B.Changed)
	}
	fmt.Fprintf(t, "calls\t%d\t%d\ntokens generated\t%d\t%d\nprompt tokens evaluated\t%d\t%d\n", c.A.Calls, c.B.Calls, c.A.Tokens, c.B.Tokens, c.A.Prompt, c.B.Prompt)
	for _, role := range slices.Sorted(maps.Keys(union(c.A.Roles, c.B.Roles))) {
		cell := func(r roleSpend) string {
			return fmt.Sprintf("%d calls, %d + %d", r.Calls, r.Prompt, r.Tokens)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", role, cell(c.A.Roles[role]), cell(c.B.Roles[role]))
	}
	fmt.Fprintf(t, "\nB − A\t%v\n", c.NoWorse.Difference)
	verdict := "not shown"
	if c.NoWorse.Holds {
		verdict = "shown"
	}
	fmt.Fprintf(t, "B worse by less than %.1f points\t%s (p = %.4f)\n", 100*c.NoWorse.Margin, verdict, c.NoWorse.P)
	fmt.Fprintf(t, "wrong → right\t%d\nright → wrong\t%d\n", c.Rescued, c.Spoilt)
	fmt.Fprintf(t, "A's right stay right\t%v\nA's wrong become right\t%v\nrelative score\t%v\n", c.AThenB.Confidence, c.AThenB.Critique, c.AThenB.Relative)
	if c.McNemar != nil {
		fmt.Fprintf(t, "McNemar\tp = %.4f\n", c.McNemar.P)
	}
	how := ""
	if c.EqualTokens {
		how = " (B went on until it had spent what A had)"
	}
	fmt.Fprintf(t, "B's tokens / A's\t%.2f%s\n", c.TokenRatio, how)
	return t.Flush()
}

// draw shows how each policy treats its first answers, beside the line on which
// nothing is won or lost; B as A's second answer where neither revises.
func (c *comparison) draw(file string) error {
	chart := plot.Chart{
		Title: "Second answers", Note: fmt.Sprintf("%d questions; below the line more is spoilt than mended", c.N),
		X: "right stays right (confidence)", Y: "wrong becomes right (critique)", XMax: 1, YMax: 1, Percent: true,
	}
	names, seconds := []string{"A " + c.A.Policy, "B " + c.B.Policy}, []*stats.Correction{c.A.Loop, c.B.Loop}
	if c.A.Loop == nil && c.B.Loop == nil {
		names, seconds = []string{c.B.Policy + " after " + c.A.Policy}, []*stats.Correction{&c.AThenB}
	}
	for i, s := range seconds {
		if s == nil || math.IsNaN(s.Confidence.Value) || math.IsNaN(s.Critique.Value) {
			continue
		}
		if before := s.Before.Value; len(chart.Series) == 0 {
			even := func(confidence float64) plot.Point {
				return plot.At(confidence, before*(1-confidence)/(1-before))
			}
			chart.Series = append(chart.Series, plot.Series{Name: "no change", Faint: true, Points: []plot.Point{even(max(0, 2-1/before)), even(1)}})
		}
		chart.Series = append(chart.Series, plot.Series{Name: names[i], Dots: true, Points: []plot.Point{{X: s.Confidence.Value, Y: s.Critique.Value, Low: s.Critique.Low, High: s.Critique.High, Size: 2}}})
	}
	return writeChart(file, chart)
}

// union has the keys of both.
func union[V any](a, b map[string]V) map[string]V {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
