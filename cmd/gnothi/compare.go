package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi"
	"gnothi/eval/questions"
	"gnothi/stats"
)

func compareCmd() *cobra.Command {
	var in, keep string
	var policies []string
	var own bool
	var workers, limit int
	var margin float64
	cmd := &cobra.Command{
		Use:   "compare --policy A --policy B",
		Short: "Two policies on the same questions",
		Long: `Ask the same questions under two policies and compare them question by question:
who is right where the other is wrong, what each costs, and whether the second is
worse than the first by less than a margin.`,
		Example: `  gnothi compare --policy "self-consistency?n=40" --policy auto --builtin --limit 1000
  gnothi compare --policy direct --policy "self-refine?rounds=1" --in questions.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(policies) != 2 {
				return usagef("give --policy twice: what is compared, and with what")
			}
			if !(margin > 0 && margin < 1) {
				return usagef("margin %g: want a share between 0 and 1, such as 0.01", margin)
			}
			qs, err := gradedQuestions(in, questions.Apart, own, limit)
			if err != nil {
				return err
			}
			return compare(cmd, policies, qs, workers, margin, keep)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&policies, "policy", nil, "a policy; give two")
	modelFlags(f)
	f.StringVar(&in, "in", "", "questions with answers, JSON Lines")
	f.StringVar(&keep, "keep", "", "file for every graded answer with its samples, JSON Lines")
	f.BoolVar(&own, "builtin", false, "gnothi's own questions, the half kept apart")
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

	y        []float64
	clusters []string
}

// comparison is what compare says with --json.
type comparison struct {
	N int `json:"n"`
	A arm `json:"a"`
	B arm `json:"b"`
	// Rescued were wrong under A and right under B, spoilt the other way round.
	Rescued    int                  `json:"rescued"`
	Spoilt     int                  `json:"spoilt"`
	McNemar    *stats.Test          `json:"mcnemar,omitempty"`
	NoWorse    stats.NonInferiority `json:"non_inferiority"`
	TokenRatio float64              `json:"token_ratio"`
}

func compare(cmd *cobra.Command, policies []string, qs []questionLine, workers int, margin float64, keep string) error {
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return err
	}
	n, err := c.numbers()
	if err != nil {
		return err
	}
	options, err := c.options(n)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	model, closeModel, err := c.openModel(ctx, cmd)
	if err != nil {
		return err
	}
	defer closeModel()
	record := func(graded) error { return nil }
	if keep != "" {
		f, err := os.Create(keep)
		if err != nil {
			return err
		}
		defer f.Close()
		enc := json.NewEncoder(f)
		record = func(g graded) error { return enc.Encode(recorded{g.ID, g.Policy, g.Grade, explained(g.Belief)}) }
	}
	out := comparison{N: len(qs)}
	for i, a := range []*arm{&out.A, &out.B} {
		policy, err := c.policy(policies[i], n)
		if err != nil {
			return usage(err)
		}
		mind, err := gnothi.New(model, append(options, gnothi.WithPolicy(policies[i], policy))...)
		if err != nil {
			return err
		}
		a.Policy, a.Grades = policies[i], map[string]int{}
		err = gradeAll(ctx, cmd, mind, qs, workers, policies[i], func(g graded) error {
			a.add(g)
			return record(g)
		})
		if err != nil {
			return err
		}
		if a.Right, err = stats.Mean(a.y, stats.Groups(a.clusters), 0.95); err != nil {
			return err
		}
	}
	if err := out.test(margin); err != nil {
		return err
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return encode(cmd, out)
	}
	return out.print(cmd)
}

// recorded is a graded answer with everything that was said.
type recorded struct {
	ID     string      `json:"id"`
	Policy string      `json:"policy"`
	Grade  string      `json:"grade"`
	Inside explanation `json:"inside"`
}

func (a *arm) add(g graded) {
	a.Grades[g.Grade]++
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
	c.NoWorse, err = stats.NonInferior(c.B.y, c.A.y, margin, 0.05, stats.Groups(c.A.clusters))
	return err
}

func (c *comparison) print(cmd *cobra.Command) error {
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\tA %s\tB %s\n", c.A.Policy, c.B.Policy)
	fmt.Fprintf(t, "accuracy\t%v\t%v\n", c.A.Right, c.B.Right)
	for _, g := range []string{"right", "wrong", "refused", "unparsed", "failed"} {
		fmt.Fprintf(t, "  %s\t%d\t%d\n", g, c.A.Grades[g], c.B.Grades[g])
	}
	fmt.Fprintf(t, "calls\t%d\t%d\ntokens generated\t%d\t%d\nprompt tokens evaluated\t%d\t%d\n", c.A.Calls, c.B.Calls, c.A.Tokens, c.B.Tokens, c.A.Prompt, c.B.Prompt)
	fmt.Fprintf(t, "\nB − A\t%v\n", c.NoWorse.Difference)
	verdict := "not shown"
	if c.NoWorse.Holds {
		verdict = "shown"
	}
	fmt.Fprintf(t, "B worse by less than %.1f points\t%s (p = %.4f)\n", 100*c.NoWorse.Margin, verdict, c.NoWorse.P)
	fmt.Fprintf(t, "wrong → right\t%d\nright → wrong\t%d\n", c.Rescued, c.Spoilt)
	if c.McNemar != nil {
		fmt.Fprintf(t, "McNemar\tp = %.4f\n", c.McNemar.P)
	}
	fmt.Fprintf(t, "B's tokens / A's\t%.2f\n", c.TokenRatio)
	return t.Flush()
}
