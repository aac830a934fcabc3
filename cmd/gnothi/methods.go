package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi/catalog"
)

func methodsCmd() *cobra.Command {
	var state, tier string
	cmd := &cobra.Command{
		Use:   "methods [NAME]",
		Short: "The 170 papers and what works",
		Long: `List the papers that gnothi is made from, with what works of each, or show one by
its slug, number, or the name of a policy, signal or study that carries it.`,
		Example: `  gnothi methods
  gnothi methods --state works
  gnothi methods self-consistency
  gnothi methods --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, _ := cmd.Flags().GetBool("json")
			if len(args) == 1 {
				return showMethod(cmd, args[0], asJSON)
			}
			papers, err := filter(state, tier)
			if err != nil {
				return err
			}
			if asJSON {
				return encode(cmd, papers)
			}
			return listMethods(cmd, papers)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only these: works, inspired, partly, \"not yet\", \"nothing to run\"")
	cmd.Flags().StringVar(&tier, "tier", "", "only these: A, B, C, D, E")
	return cmd
}

func filter(state, tier string) ([]catalog.Paper, error) {
	if state != "" && !slices.Contains(catalog.States(), catalog.State(state)) {
		return nil, usagef("state %q: want one of %v", state, catalog.States())
	}
	if tier != "" && (len(tier) != 1 || !strings.Contains("ABCDE", strings.ToUpper(tier))) {
		return nil, usagef("tier %q: want A, B, C, D or E", tier)
	}
	return slices.DeleteFunc(catalog.Papers(), func(p catalog.Paper) bool {
		return state != "" && string(p.State) != state || tier != "" && !strings.EqualFold(p.Tier, tier)
	}), nil
}

func encode(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func listMethods(cmd *cobra.Command, papers []catalog.Paper) error {
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	count := map[catalog.State]int{}
	fmt.Fprintln(t, "SLUG\tTIER\tSTATE\tTITLE")
	for _, p := range papers {
		count[p.State]++
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.Slug, p.Tier, p.State, p.Title)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var sums []string
	for _, s := range catalog.States() {
		if count[s] > 0 {
			sums = append(sums, fmt.Sprintf("%d %s", count[s], s))
		}
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "\n%d papers: %s\n\nPolicies (--policy)\n", len(papers), strings.Join(sums, ", "))
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range catalog.Policies() {
		fmt.Fprintf(t, "  %s\t%s\n", withParams(p.Name, p.Params), p.Help)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var names []string
	for _, s := range catalog.Signals() {
		names = append(names, s.Name())
	}
	fmt.Fprintf(out, "\nSignals (--signals)\n  %s\n\nStudies (eval run)\n", strings.Join(names, "\n  "))
	for _, s := range catalog.Suites() {
		d := s.Describe()
		fmt.Fprintf(t, "  %s\t%s\n", d.Name, d.About)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nRecipes (learn)\n")
	for _, r := range catalog.Recipes() {
		fmt.Fprintf(t, "  %s\n", withParams(r.Name, r.Params))
	}
	return t.Flush()
}

func withParams(name, params string) string {
	if params == "" {
		return name
	}
	return name + "?" + params
}

func showMethod(cmd *cobra.Command, name string, asJSON bool) error {
	p, ok := catalog.Find(name)
	if !ok {
		for _, e := range catalog.Policies() {
			if e.Name == name && !asJSON {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n\npolicy  %s\ntry     gnothi ask --explain --policy %s 'What is the capital of France?'\n", e.Help, withParams(e.Name, e.Params), e.Name)
				return err // ours, or part of several papers: no row has it
			}
		}
		if near := catalog.NearestPaper(name); near != "" {
			return usagef("no method is called %q: did you mean %q?", name, near)
		}
		return usagef("no method is called %q: `gnothi methods` lists all", name)
	}
	if asJSON {
		return encode(cmd, p)
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\n\nslug\t%s\ntier\t%s\nstate\t%s\n", p.Title, p.Slug, p.Tier, p.State)
	for _, row := range [][2]string{{"about", p.About}, {"needs", strings.Join(p.Needs, ", ")}, {"because", p.Reason}, {"names", strings.Join(p.Names, ", ")}, {"symbol", p.Symbol}, {"try", p.Command}} {
		if row[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
		}
	}
	return t.Flush()
}
