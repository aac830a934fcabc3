package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gnothi/catalog"
	"gnothi/llm"
)

// abilities is what is believed of what models can do.
func (c *config) abilities(cmd *cobra.Command) *catalog.Abilities {
	if c.doubting {
		return nil
	}
	return abilities(cmd)
}

// abilities is where it is remembered what models can do; nil where the machine
// has no place for it.
func abilities(cmd *cobra.Command) *catalog.Abilities {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	return catalog.NewAbilities(filepath.Join(dir, "gnothi", "abilities.json"), func(s string) {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %s; see gnothi model probe\n", s)
	})
}

// modelProbe is "gnothi model probe": what a model can do, tried.
func modelProbe() *cobra.Command {
	var known bool
	cmd := &cobra.Command{
		Use:   "probe [MODEL]",
		Short: "Try what a model can do: log-probabilities, seeds, tools, images, schemas",
		Long: `Try what a model can do, by about a dozen calls of some 20 tokens, and remember
it with the date: later commands ask for what is there and do without what is
not. An ability that a model no longer has is told when an answer shows it; that
it lacks one is believed for a week. --known shows what is remembered, without
a call.`,
		Example: `  gnothi model probe openai:gpt-4.1-mini
  gnothi model probe openai:llama3@http://127.0.0.1:11434/v1
  gnothi model probe --known responses:gpt-5-mini`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			c, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			c.doubting = true
			spec := c.String("model")
			if len(args) > 0 {
				spec = args[0]
			}
			m, closeModel, err := c.openSpec(cmd.Context(), cmd, spec)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeModel()) }()
			memory := abilities(cmd)
			if known {
				if memory == nil {
					return nil
				}
				findings, err := memory.Of(m.ID())
				if err != nil {
					return err
				}
				return printFindings(cmd, m, findings, llm.Spend{})
			}
			ledger := llm.NewLedger(llm.Limits{})
			findings, err := llm.Probe(llm.WithLedger(cmd.Context(), ledger), m)
			if memory != nil && len(findings) > 0 {
				err = errors.Join(err, memory.Note(m.ID(), findings...))
			}
			return errors.Join(err, printFindings(cmd, m, findings, ledger.Spent()))
		},
	}
	cmd.Flags().BoolVar(&known, "known", false, "show what is remembered, without a call")
	return cmd
}

// clipLine makes one short line of an error.
func clipLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 100 {
		return string(r[:100]) + "…"
	}
	return s
}

func printFindings(cmd *cobra.Command, m llm.Model, findings []llm.Finding, spent llm.Spend) error {
	if wantsJSON(cmd) {
		if findings == nil {
			findings = []llm.Finding{}
		}
		return printIndented(cmd.OutOrStdout(), map[string]any{"model": m.ID().String(), "abilities": findings, "calls": spent.Calls})
	}
	if len(findings) == 0 {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "nothing is known of %s yet\n", m.ID())
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ABILITY\tTHERE\tSINCE\tWHY NOT")
	for _, f := range findings {
		there := "yes"
		if !f.Can {
			there = "no"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Ability, there, f.At.Local().Format(time.DateOnly), clipLine(f.Why))
	}
	if err := w.Flush(); err != nil || spent.Calls == 0 {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d calls, %d prompt and %d completion tokens\n", spent.Calls, spent.PromptTokens, spent.CompletionTokens)
	return err
}
