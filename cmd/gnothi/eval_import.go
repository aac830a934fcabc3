package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gnothi/eval"
	"gnothi/eval/interchange"
	"gnothi/internal/jsonl"
)

type importOptions struct {
	interchange.Options
	out, folder string
	skipBad     bool
}

func evalImportCmd() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import FILE…",
		Short: "Evidence from logs of Inspect and sample files of lm-eval",
		Long: `Read what other evaluation programs wrote and print a line of evidence for each
answer: the question, the answer with its tokens and further samples, and a label.
score, stats and calibrate take such lines. With --run they become a run of the
study qa in a folder, which eval report, compare and export read: two models on
the same samples are compared pair by pair.

FILE is a log of Inspect (.eval, or its plain .json) or a file of samples that
lm-eval wrote with --log_samples (.jsonl, also .gz or .zst; - is standard input).

Refused, unparsed and failed answers are lines without a label, and are counted
apart: --as-wrong labels the first two false, as Inspect and lm-eval count them.
What a file holds that has no place in a line is counted and told.`,
		Example: `  gnothi eval import logs/2026-05-01_gsm8k.eval | gnothi score --in - | gnothi stats --in -
  gnothi eval import samples_arc_easy_2026-05-01T10-00-00.jsonl | gnothi stats --in - --risk .1
  gnothi eval import run.eval --signal confidence | gnothi calibrate --in - --model openai:gpt-4.1-mini
  gnothi eval import run.eval --epochs samples --out evidence.jsonl
  gnothi eval import a.eval --run a && gnothi eval import b.eval --run b && gnothi eval compare a b`,
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
	f.StringVar(&o.folder, "run", "", "folder for a run of these answers, which is made, instead of lines")
	f.BoolVar(&o.skipBad, "skip-bad", false, "go past bad samples and list them")
	return cmd
}

// importer is where answers go.
type importer struct {
	add    func(*interchange.Answer) error
	begin  func(interchange.Source) error // before the first answer of a file
	finish func(done bool) error
}

func (o importOptions) run(cmd *cobra.Command, files []string) (err error) {
	var to importer
	switch {
	case o.folder != "" && o.out != "":
		return usagef("--out is for lines and --run for a folder: want one of them")
	case o.folder != "":
		to, err = o.intoRun(cmd)
	default:
		to, err = o.intoLines(cmd)
	}
	if err != nil {
		return err
	}
	n, bad, err := o.read(cmd, files, to)
	if err == nil && n == 0 {
		err = usagef("%s: no answers (%d bad)", strings.Join(files, ", "), bad)
	}
	return errors.Join(err, to.finish(err == nil))
}

func (o importOptions) read(cmd *cobra.Command, files []string, to importer) (n, bad int, err error) {
	ids := map[string]string{}
	for _, file := range files {
		var src interchange.Source
		first := true
		for a, err := range interchange.Read(file, o.Options, &src) {
			if err != nil {
				if line, sample := new(*jsonl.LineError), new(*interchange.SampleError); o.skipBad && (errors.As(err, line) || errors.As(err, sample)) {
					bad++
					fmt.Fprintln(cmd.ErrOrStderr(), err)
					continue
				}
				return n, bad, importError(err)
			}
			if other, ok := ids[a.ID]; ok {
				return n, bad, usagef("%s: id %s is in %s too: import the answers of two models, or of two runs, apart", file, a.ID, other)
			}
			ids[a.ID] = file
			if first {
				first = false
				if err := to.begin(src); err != nil {
					return n, bad, err
				}
			}
			if err := to.add(a); err != nil {
				return n, bad, err
			}
			n++
		}
		tellSource(cmd.ErrOrStderr(), src)
	}
	return n, bad, nil
}

// intoLines writes lines of evidence.
func (o importOptions) intoLines(cmd *cobra.Command) (importer, error) {
	out, done := cmd.OutOrStdout(), func() error { return nil }
	if o.out != "" {
		f, err := create(cmd, o.out)
		if err != nil {
			return importer{}, usage(err)
		}
		out, done = f, f.Close
	}
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return importer{
		add:    func(a *interchange.Answer) error { return enc.Encode(a) },
		begin:  func(interchange.Source) error { return nil },
		finish: func(bool) error { return errors.Join(w.Flush(), done()) },
	}, nil
}

// intoRun keeps answers as a run of plain questions and answers. One that did not
// come to its end is taken away again.
func (o importOptions) intoRun(cmd *cobra.Command) (importer, error) {
	if _, err := os.Stat(o.folder); !errors.Is(err, fs.ErrNotExist) {
		return importer{}, usagef("--run %s: it is there already: name a folder that is not", o.folder)
	}
	ctx := cmd.Context()
	var run *eval.Folder
	n, digest := 0, sha256.New()
	return importer{
		begin: func(s interchange.Source) (err error) {
			if run != nil {
				if s.Model != run.Header.Model {
					return usagef("%s: answers of %s, and those before are of %s: a run is of one model", s.File, s.Model, run.Header.Model)
				}
				return nil
			}
			run, err = eval.CreateRun(ctx, o.folder, eval.Header{Gnothi: version(), Study: interchange.Study, Model: s.Model, Spec: s.Model, Created: time.Now().UTC()})
			return err
		},
		add: func(a *interchange.Answer) error {
			r, err := a.Record(n)
			if err != nil {
				return err
			}
			n++
			_, _ = digest.Write(append(r.Item, 0)) // never fails
			return run.Add(r, func() {})
		},
		finish: func(done bool) error {
			if run == nil {
				return nil
			}
			if !done {
				return errors.Join(run.Close(), os.RemoveAll(o.folder))
			}
			err := run.Begin(ctx, n, hex.EncodeToString(digest.Sum(nil)))
			if err = errors.Join(err, run.Flush(), run.Close()); err == nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d answers kept in %s: eval report, compare and export read them\n", n, o.folder)
			}
			return err
		},
	}, nil
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
