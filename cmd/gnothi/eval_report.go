package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"gnothi/catalog"
	"gnothi/eval"
	"gnothi/eval/page"
)

func evalReportCmd() *cobra.Command {
	var items int
	cmd := &cobra.Command{
		Use:   "report FOLDER",
		Short: "Measure a run again, also one that goes on",
		Long: `Measure what a run holds, without any call, and write FOLDER/report.json and
FOLDER/report.html: one page with figures, charts and a choice of the items, to
look at, print or publish. Of a run that still goes on, the report is of what is
done. Where the folder takes no files the figures are printed all the same; with
--items, which is about report.html, that is an error.`,
		Example: `  gnothi eval report runs/qa-1
  gnothi eval report runs/qa-1 --items 500
  gnothi eval report runs/qa-1 --json | jq .measures`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			folder, suite, err := readRun(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, folder.Close()) }()
			if items < 0 {
				return usagef("--items %d: want 0 or more", items)
			}
			report, err := folder.Report(cmd.Context(), suite)
			if err != nil {
				return runError(err)
			}
			err = writeReport(cmd.Context(), folder, suite, report, cmp.Or(items, -1))
			if place := (*fs.PathError)(nil); errors.As(err, &place) && !cmd.Flags().Changed("items") {
				fmt.Fprintf(cmd.ErrOrStderr(), "report.json and report.html are not written: %v\n", err)
			} else if err != nil {
				return runError(err)
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return encode(cmd, report)
			}
			err = printStudy(cmd.OutOrStdout(), report)
			if n := report.Outcomes.Unasked; n > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d items are not done: the run goes on, or was cut off (gnothi eval resume %s)\n", n, args[0])
			}
			return err
		},
	}
	cmd.Flags().IntVar(&items, "items", page.DefaultItems, "most items in report.html besides those that failed")
	return cmd
}

// readRun opens a run to look at it.
func readRun(ctx context.Context, dir string) (*eval.Folder, eval.Suite, error) {
	folder, err := openPlace(ctx, dir)
	if err != nil {
		return nil, nil, usage(err)
	}
	suite, err := catalog.Suite(folder.Header.Study)
	if err != nil {
		return nil, nil, usage(errors.Join(err, folder.Close()))
	}
	return folder, suite, nil
}

// writeReport writes the report's files into the run's folder; items are how many
// report.html shows.
func writeReport(ctx context.Context, folder *eval.Folder, suite eval.Suite, report *eval.Report, items int) error {
	return errors.Join(folder.WriteFile("report.json", func(f *os.File) error {
		enc := json.NewEncoder(f)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(report)
	}), folder.WriteFile("report.html", func(f *os.File) error {
		return page.Write(ctx, f, folder, suite, report, page.Options{Items: items})
	}))
}
