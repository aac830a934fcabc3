package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi/catalog"
	"gnothi/eval"
	"gnothi/stats"
)

type planOptions struct {
	data, like                  string
	limit                       int
	effect, rate, discord, deff float64
	looks                       int
}

// runPlan is what a run of so many items can find out.
type runPlan struct {
	Study string `json:"study"`
	Items int    `json:"items"`
	// Shows is what these items can find out, Needed what a difference of Effect
	// takes.
	Shows  []planned `json:"shows"`
	Effect float64   `json:"effect"`
	Needed []needed  `json:"needed"`
	// Expected is what the run will cost, from an earlier run.
	Expected *eval.Spend `json:"expected,omitempty"`
	Like     string      `json:"like,omitempty"`
}

type planned struct {
	What   string       `json:"what"`
	Figure stats.Figure `json:"figure"`
}

type needed struct {
	What  string `json:"what"`
	Items int    `json:"items"`
}

func evalPlanCmd() *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan STUDY",
		Short: "How much a run can find out, before it is paid for",
		Long: `Say how many items a study has, how small a difference a run over them would
find (four times in five, at 5 %), how many items a difference of --effect takes,
and, from an earlier run (--like), what it will cost. Nothing is asked.`,
		Example: `  gnothi eval plan p-true-p-ik
  gnothi eval plan qa --data ../shared/data/small-qa --effect 0.03 --like runs/qa-1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "folder with the files of the study")
	f.IntVar(&o.limit, "limit", 0, "at most so many items (0: as many as the study has)")
	f.Uint64("seed", 1, "root of everything random")
	f.Float64Var(&o.effect, "effect", 0.05, "the difference that is looked for")
	f.Float64Var(&o.rate, "rate", 0.5, "share of answers that will be right (with --like: as in that run)")
	f.Float64Var(&o.discord, "discordance", 0.2, "share of items on which two runs will disagree")
	f.Float64Var(&o.deff, "design-effect", 1, "by how much clustered items count less (1: independent)")
	f.IntVar(&o.looks, "looks", 1, "how many differences will be tested together")
	f.StringVar(&o.like, "like", "", "folder of an earlier run of the study, for rate and cost")
	return cmd
}

func (o planOptions) run(cmd *cobra.Command, name string) (err error) {
	suite, err := catalog.Suite(name)
	if err != nil {
		return usage(err)
	}
	if !(o.effect > 0 && o.effect < 1) || !(o.rate > 0 && o.rate < 1) || !(o.discord > 0 && o.discord <= 1) || !(o.deff >= 1) || o.looks < 1 || o.limit < 0 {
		return usagef("--effect %g, --rate %g, --discordance %g: want them between 0 and 1; --design-effect %g, --looks %d: 1 or more; --limit %d: 0 or more",
			o.effect, o.rate, o.discord, o.deff, o.looks, o.limit)
	}
	if info, err := os.Stat(o.data); o.data != "" && (err != nil || !info.IsDir()) {
		return usagef("--data %s: want a folder", o.data)
	}
	seed, err := cmd.Flags().GetUint64("seed")
	if err != nil {
		return usage(err)
	}
	p := runPlan{Study: name, Effect: o.effect, Like: o.like}
	if p.Items, err = eval.Count(suite, eval.Options{Source: eval.Source{Dir: o.data, N: o.limit}, Seed: seed}); err != nil {
		return usage(err)
	}
	if o.like != "" {
		if err := o.learn(cmd, &p); err != nil {
			return err
		}
	}
	plan := stats.Plan{Alpha: 0.05 / float64(o.looks), DesignEffect: o.deff}
	for _, a := range []struct {
		what string
		aim  stats.Aim
	}{
		{"a share may be off by", stats.OneRate{Rate: o.rate}},
		{"difference of two runs on the same items", stats.PairedRates{Discordance: o.discord}},
		{"difference of two runs on different items", stats.TwoRates{Rate: o.rate}},
		{"AUROC of a signal above ½ by", stats.OneAUROC{Right: o.rate}},
		{"difference of two signals' AUROC, at .7", stats.PairedAUROC{AUROC: 0.7, Right: o.rate, Correlation: 0.5}},
	} {
		f, err := stats.MinimumDetectable(p.Items, a.aim, plan)
		if err != nil {
			f = stats.Missing(p.Items, err)
		}
		p.Shows = append(p.Shows, planned{a.what, f})
		if n, err := stats.ItemsNeeded(o.effect, a.aim, plan); err == nil {
			p.Needed = append(p.Needed, needed{a.what, n})
		}
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return encode(cmd, p)
	}
	return p.print(cmd.OutOrStdout())
}

// learn takes the rate and the cost of an item from an earlier run.
func (o *planOptions) learn(cmd *cobra.Command, p *runPlan) (err error) {
	folder, _, err := readRun(cmd.Context(), o.like)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	o.like, p.Like = folder.Where(), folder.Where()
	if folder.Header.Study != p.Study {
		return usagef("--like %s: a run of %s, not of %s", o.like, folder.Header.Study, p.Study)
	}
	var spent eval.Spend
	done, right, graded := 0, 0, 0
	for d, err := range folder.Done(cmd.Context()) {
		if err != nil {
			return err
		}
		done++
		spent = spent.Plus(d.Spend)
		if d.Outcome == eval.OutcomeRight || d.Outcome == eval.OutcomeWrong {
			graded++
			if d.Outcome == eval.OutcomeRight {
				right++
			}
		}
	}
	if done == 0 {
		return usagef("--like %s: nothing is done yet", o.like)
	}
	if graded > 0 && !cmd.Flags().Changed("rate") {
		o.rate = min(max(float64(right)/float64(graded), 0.5/float64(graded)), 1-0.5/float64(graded))
	}
	scale := func(v int64) int64 { return int64(math.Ceil(float64(v) * float64(p.Items) / float64(done))) }
	p.Expected = &eval.Spend{Calls: scale(spent.Calls), PromptTokens: scale(spent.PromptTokens), CompletionTokens: scale(spent.CompletionTokens),
		NanoUSD: scale(spent.NanoUSD), Unpriced: scale(spent.Unpriced)}
	return nil
}

func (p runPlan) print(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d items\n\n", p.Study, p.Items)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "QUESTION\tTHESE ITEMS SHOW\tITEMS FOR %g\n", p.Effect)
	for i, s := range p.Shows {
		value, n := valueOf(s.Figure), "-"
		if math.IsNaN(s.Figure.Value) {
			value = s.Figure.Why
		}
		for _, need := range p.Needed {
			if need.What == p.Shows[i].What {
				n = fmt.Sprint(need.Items)
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.What, value, n)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if e := p.Expected; e != nil {
		usd := fmt.Sprintf(", $%.4f", float64(e.NanoUSD)/1e9)
		if e.Unpriced > 0 {
			usd = ", price not known"
		}
		fmt.Fprintf(w, "\nas in %s it will cost about %d calls, %d prompt and %d completion tokens%s\n", p.Like, e.Calls, e.PromptTokens, e.CompletionTokens, usd)
	}
	return nil
}
