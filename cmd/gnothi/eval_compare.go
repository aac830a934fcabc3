package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi/eval"
	"gnothi/eval/interchange"
	"gnothi/eval/page"
	"gnothi/stats"
)

func evalCompareCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "compare FOLDER FOLDER",
		Short: "What two runs of a study differ in",
		Long: `Compare two runs of a study, the second against the first: item by item where
both asked about the same, with McNemar's test and an interval for the share that
is right, and every measure beside its counterpart. The p-values are corrected
together for how many there are (Holm).`,
		Example: `  gnothi eval compare runs/qa-1 runs/qa-2
  gnothi eval compare runs/qa-1 runs/qa-2 --json | jq .right
  gnothi eval compare runs/qa-1 runs/qa-2 --out compare.html`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			var sides [2]eval.Side
			var folders [2]*eval.Folder
			var suite eval.Suite
			for i, dir := range args {
				if folders[i], suite, err = readRun(cmd.Context(), dir); err != nil {
					return err
				}
				defer func() { err = errors.Join(err, folders[i].Close()) }()
				h := folders[i].Header
				sides[i] = eval.Side{Name: fmt.Sprintf("%s (%s)", filepath.ToSlash(folders[i].Where()), h.Model), N: h.Items,
					Records: func() iter.Seq2[eval.Record, error] { return folders[i].Records(cmd.Context(), 0) }}
			}
			if err := eval.CheckComparable(folders[0].Header, folders[1].Header); err != nil {
				return usage(err)
			}
			c, err := eval.Compare(suite, sides[0], sides[1])
			if err != nil {
				return runError(err)
			}
			if out != "" {
				if err := writeComparison(cmd.Context(), out, c, folders[0], folders[1]); err != nil {
					return err
				}
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return encode(cmd, c)
			}
			return printDifferences(cmd.OutOrStdout(), c)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file for the whole comparison: a page if its name ends in .html, else JSON")
	return cmd
}

func writeComparison(ctx context.Context, path string, c *eval.Comparison, a, b *eval.Folder) error {
	f, err := os.Create(path)
	if err != nil {
		return usage(err)
	}
	if filepath.Ext(path) == ".html" {
		return errors.Join(page.WriteComparison(ctx, f, c, a, b), f.Close())
	}
	enc := json.NewEncoder(f)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return errors.Join(enc.Encode(c), f.Close())
}

// mostChanges is how many items that changed are printed.
const mostChanges = 10

func printDifferences(w io.Writer, c *eval.Comparison) error {
	fmt.Fprintf(w, "%s: %d items in both, %d only in A, %d only in B\n  A: %s\n  B: %s\n\n", c.Study, c.Pairs, c.OnlyA, c.OnlyB, c.A, c.B)
	if r := c.Right; r != nil {
		fmt.Fprintf(w, "right in both %d, only in A %d, only in B %d, in neither %d\n", r.RightRight, r.RightWrong, r.WrongRight, r.WrongWrong)
		fmt.Fprintf(w, "right: A %s, B %s\nB less A: %s%s\n", interval(r.Before), interval(r.After), interval(r.Change), pWords(r.Change))
		if c.Detectable != nil && !math.IsNaN(c.Detectable.Figure.Value) {
			fmt.Fprintf(w, "with these pairs a difference of %.3f is found four times in five\n", c.Detectable.Figure.Value)
		}
		fmt.Fprintln(w)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MEASURE\tA\tB\tB LESS A\t95 % INTERVAL\tP (HOLM)")
	for _, d := range c.Differences {
		p := "-"
		if d.Difference.Tested() {
			p = fmt.Sprintf("%.3g (%.3g)", d.Difference.P, d.Difference.PAdjusted)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Name, valueOf(d.A), valueOf(d.B), valueOf(d.Difference), bounds(d.Difference), p)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(c.Changed) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%d items came out otherwise:", len(c.Changed))
	for _, a := range slices.Sorted(maps.Keys(c.Table)) {
		for _, b := range slices.Sorted(maps.Keys(c.Table[a])) {
			if a != b {
				fmt.Fprintf(w, " %s → %s %d;", a, b, c.Table[a][b])
			}
		}
	}
	fmt.Fprintln(w)
	for _, ch := range c.Changed[:min(len(c.Changed), mostChanges)] {
		fmt.Fprintf(w, "  item %d (in B %d): %s → %s\n", ch.IndexA, ch.IndexB, ch.A, ch.B)
	}
	if more := len(c.Changed) - mostChanges; more > 0 {
		fmt.Fprintf(w, "  and %d more: --json has all\n", more)
	}
	return nil
}

func valueOf(f stats.Figure) string {
	if math.IsNaN(f.Value) {
		return "-"
	}
	return fmt.Sprintf("%.3f%s", f.Value, f.Suffix())
}

func bounds(f stats.Figure) string {
	if math.IsNaN(f.Low) || math.IsNaN(f.High) {
		return cmp.Or(f.Why, "-")
	}
	return fmt.Sprintf("%.3f to %.3f", f.Low, f.High)
}

func interval(f stats.Figure) string {
	if math.IsNaN(f.Low) {
		return valueOf(f)
	}
	return fmt.Sprintf("%s [%.3f, %.3f]", valueOf(f), f.Low, f.High)
}

func pWords(f stats.Figure) string {
	if !f.Tested() {
		return ""
	}
	return fmt.Sprintf(", p = %.3g, corrected %.3g", f.P, f.PAdjusted)
}

func evalExportCmd() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "export FOLDER",
		Short: "The raw records of a run, for other programs",
		Example: `  gnothi eval export runs/qa-1 --format csv >qa.csv
  gnothi eval export runs/qa-1 --format inspect --out qa.eval`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			write, ok := map[string]func(io.Writer, interchange.Run, interchange.Records) error{
				"jsonl": interchange.WriteJSONL, "csv": interchange.WriteCSV, "inspect": interchange.WriteInspect,
			}[format]
			if !ok {
				return usagef("--format %s: want jsonl, csv or inspect", format)
			}
			folder, suite, err := readRun(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, folder.Close()) }()
			run := interchange.Run{Header: folder.Header, Ended: folder.Header.Ended}
			if format == "inspect" {
				if run.Report, err = folder.Report(cmd.Context(), suite); err != nil {
					return runError(err)
				}
			}
			w := cmd.OutOrStdout()
			if out != "" {
				f, err := create(cmd, out)
				if err != nil {
					return usage(err)
				}
				return errors.Join(runError(write(f, run, folder.Records(cmd.Context(), 0))), f.Close())
			}
			return runError(write(w, run, folder.Records(cmd.Context(), 0)))
		},
	}
	cmd.Flags().StringVar(&format, "format", "jsonl", "jsonl, csv, or inspect (a log that Inspect opens)")
	cmd.Flags().StringVar(&out, "out", "", "file (default: standard output)")
	return cmd
}
