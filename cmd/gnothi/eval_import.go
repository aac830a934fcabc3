package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gnothi/eval"
	"gnothi/eval/interchange"
	"gnothi/internal/jsonl"
)

type importOptions struct {
	interchange.Options
	out              string
	records, skipBad bool
}

func evalImportCmd() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import FILE…",
		Short: "Evidence from logs of Inspect and sample files of lm-eval",
		Long: `Read what other evaluation programs wrote and print a line of evidence for each
answer: the question, the answer with its tokens and further samples, and a label.
score, stats and calibrate take such lines; with --records they are the records of
a run, as eval export writes them.

FILE is a log of Inspect (.eval, or its plain .json) or a file of samples that
lm-eval wrote with --log_samples (.jsonl, also .gz or .zst; - is standard input).

Refused, unparsed and failed answers are lines without a label, and are counted
apart: --as-wrong labels the first two false, as Inspect and lm-eval count them.
What a file holds that has no place in a line is counted and told.`,
		Example: `  gnothi eval import logs/2026-05-01_gsm8k.eval | gnothi score --in - | gnothi stats --in -
  gnothi eval import samples_arc_easy_2026-05-01T10-00-00.jsonl | gnothi stats --in - --risk .1
  gnothi eval import run.eval --signal confidence | gnothi calibrate --in - --model openai:gpt-4.1-mini
  gnothi eval import run.eval --epochs samples --out evidence.jsonl`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return abandon(cmd.Context(), func() error { return o.run(cmd, args) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "file for the lines (default: standard output)")
	f.StringVar(&o.Scorer, "scorer", "", "whose verdict is the label: a scorer of Inspect, a metric of lm-eval (default: the headline's; acc, exact_match or the first share)")
	f.StringVar(&o.Filter, "filter", "", "filter of lm-eval whose lines are read (default: that of the first line)")
	f.StringArrayVar(&o.Signals, "signal", nil, "number in the metadata of a sample or its score that goes to the scores; may be given again")
	f.StringVar(&o.Epochs, "epochs", interchange.EpochsApart, "epochs of one sample: apart, or samples of the first one's line")
	f.BoolVar(&o.AsWrong, "as-wrong", false, "label refused and unparsed answers false")
	f.BoolVar(&o.records, "records", false, "records instead of evidence")
	f.BoolVar(&o.skipBad, "skip-bad", false, "go past bad samples and list them")
	return cmd
}

func (o importOptions) run(cmd *cobra.Command, files []string) (err error) {
	out := cmd.OutOrStdout()
	if o.out != "" {
		f, err := os.Create(o.out)
		if err != nil {
			return usage(err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	n, bad := 0, 0
	ids := map[string]string{}
	for _, file := range files {
		var src interchange.Source
		for a, err := range interchange.Read(file, o.Options, &src) {
			if err != nil {
				if line, sample := new(*jsonl.LineError), new(*interchange.BadSample); o.skipBad && (errors.As(err, line) || errors.As(err, sample)) {
					bad++
					fmt.Fprintln(cmd.ErrOrStderr(), err)
					continue
				}
				return errors.Join(importError(err), w.Flush())
			}
			if other, ok := ids[a.ID]; ok {
				return errors.Join(usagef("%s: id %s is in %s too: import the answers of two models, or of two runs, apart", file, a.ID, other), w.Flush())
			}
			ids[a.ID] = file
			if o.records {
				var r eval.Record
				if r, err = a.Record(n); err == nil {
					err = enc.Encode(r)
				}
			} else {
				err = enc.Encode(a)
			}
			if err != nil {
				return err
			}
			n++
		}
		tellSource(cmd.ErrOrStderr(), src)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if n == 0 {
		return usagef("%s: no answers (%d bad)", strings.Join(files, ", "), bad)
	}
	return nil
}

// importError makes what is wrong with a file wrong usage, and leaves a disk's errors as they are.
func importError(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return usage(err)
}

// tellSource says what a file was, what became of its answers, and what was left.
func tellSource(w io.Writer, s interchange.Source) {
	of := s.Format
	for _, part := range []struct{ what, name string }{{"task", s.Task}, {"model", s.Model}, {"labels by", s.Scorer}} {
		if part.name != "" {
			of += fmt.Sprintf(", %s %s", part.what, part.name)
		}
	}
	total := 0
	var outcomes []string
	for _, o := range []string{eval.OutcomeRight, eval.OutcomeWrong, eval.OutcomeMeasured, eval.OutcomeRefused, eval.OutcomeUnparsed, eval.OutcomeFailed} {
		if k := s.Outcomes[o]; k > 0 || o == eval.OutcomeRight || o == eval.OutcomeWrong {
			word := o
			if o == eval.OutcomeMeasured {
				word = "neither"
			}
			outcomes = append(outcomes, fmt.Sprintf("%d %s", k, word))
		}
		total += s.Outcomes[o]
	}
	fmt.Fprintf(w, "%s: %s\n%s: %d answers: %s\n", s.File, of, s.File, total, strings.Join(outcomes, ", "))
	var left []string
	for _, what := range slices.Sorted(maps.Keys(s.Left)) {
		left = append(left, fmt.Sprintf("%d %s", s.Left[what], what))
	}
	if len(left) > 0 {
		fmt.Fprintf(w, "%s: left out: %s\n", s.File, strings.Join(left, ", "))
	}
	for _, n := range s.Notes {
		fmt.Fprintf(w, "%s: %s\n", s.File, n)
	}
}
