package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi"
	"gnothi/eval/questions"
	"gnothi/internal/jsonl"
	"gnothi/monitor/calibrate"
	"gnothi/stats"
)

func calibrateCmd() *cobra.Command {
	var in, keep, dir, priors, figure, held, feedback string
	var own, demo bool
	var workers, limit int
	cmd := &cobra.Command{
		Use:   "calibrate",
		Short: "Learn what this model's scores are worth",
		Long: `Ask questions whose answers are known, and fit the calibrator that turns the
signals of this model and policy into probabilities. It is stored for the model,
policy, form and kind of answer it was fitted for, and found by ask and serve.

A file of questions has one JSON object a line: {"question", "answers": [accepted
forms], "cluster"?, "unanswerable"?}. Lines that --keep wrote are not asked again.
A file of labelled evidence holds what score writes, {"scores": {name: x}, "label":
true, "id"?, "cluster"?, "kind"?}: nothing is asked, the signals are combined, and
what each adds is told. Lines whose label is null are not fitted on: whether they
are like the others is told. Below 30 labels the calibrator starts from what other
models' labels say and moves as far as these labels allow.
--from-feedback fits on the verdicts that came on answers of serve, one calibrator
for each model, policy and form; verdicts on answers that --audit marked at random
stand for those that nobody spoke about.
Figures are cross-fitted, or, with --builtin, of the half that is kept apart.`,
		Example: `  gnothi calibrate --in my-questions.jsonl --model openai:gpt-4.1-mini
  gnothi calibrate --in my-questions.jsonl --keep asked.jsonl
  gnothi calibrate --in asked.jsonl --figure figures
  gnothi score --in labelled.jsonl | gnothi calibrate --in - --model openai:x
  gnothi calibrate --from-feedback ~/.local/state/gnothi/serve/127.0.0.1_8317
  gnothi calibrate --builtin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			if err := distinct(cmd, held); err != nil {
				return err
			}
			if dir == "" {
				if dir, err = calibratorDir(); err != nil {
					return err
				}
			}
			if feedback != "" {
				return fitFeedback(cmd, feedback, dir)
			}
			to := destination{dir: dir, figure: figure, held: held}
			if demo {
				to.dir = ""
				return abandon(cmd.Context(), func() error { return fitEvidence(cmd, c, demonstration(), to) })
			}
			if !own && holdsScores(in) {
				f, err := readScored(in, false)
				if err != nil {
					return err
				}
				return abandon(cmd.Context(), func() error { return fitEvidence(cmd, c, f, to) })
			}
			rows, err := labelled(cmd, c, in, own, limit, workers, keep)
			if err != nil {
				return err
			}
			if err := fitAndReport(cmd, rows, to, own); err != nil || priors == "" {
				return err
			}
			return fitPriors(priors, dir, rows)
		},
	}
	modelFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&in, "in", "", "questions with answers, labelled beliefs that --keep wrote, or labelled scores (- is standard input)")
	f.StringVar(&feedback, "from-feedback", "", "verdicts on answers of serve: the folder of its --state, or the file of its --feedback")
	f.BoolVar(&own, "builtin", false, "gnothi's own questions: fit on one half, figures on the other")
	f.BoolVar(&demo, "demo", false, "made-up evidence, to see what is told; nothing is stored")
	f.StringVar(&keep, "keep", "", "file for the labelled beliefs; what it holds already is not asked again")
	f.StringVar(&dir, "save-to", "", "folder for the calibrator (default: the user's configuration)")
	f.StringVar(&figure, "figure", "", "folder for pictures: reliability, risk and coverage, what each signal adds")
	f.StringVar(&held, "held", "", "file for the cross-fitted probabilities beside the scores, for stats")
	f.StringVar(&priors, "priors", "", "also pool priors for models without a calibrator, from recordings of other models in this folder")
	f.IntVar(&workers, "concurrency", 4, "questions at a time")
	f.IntVar(&limit, "limit", 0, "at most so many questions, evenly chosen")
	return cmd
}

// labelled gives labelled beliefs: read from a file that holds them, or asked.
func labelled(cmd *cobra.Command, c *config, in string, own bool, limit, workers int, keep string) ([]graded, error) {
	if in != "" && !own {
		rows, err := readGraded(in)
		if errors.Is(err, os.ErrNotExist) {
			err = usage(err)
		}
		if err != nil || rows != nil {
			return rows, err
		}
	}
	qs, err := gradedQuestions(in, "", own, limit)
	if err != nil {
		return nil, err
	}
	var rows []graded
	if keep != "" {
		if rows, err = readGraded(keep); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if len(rows) > len(qs) {
		return nil, usagef("%s holds more than these questions; name another --keep", keep)
	}
	for i := range rows {
		if rows[i].ID != string(qs[i].ID) {
			return nil, usagef("%s:%d: belongs to other questions; name another --keep", keep, i+1)
		}
	}
	if len(rows) == len(qs) {
		return rows, nil
	}
	ctx := cmd.Context()
	mind, closeModel, err := c.mind(cmd, gnothi.WithTrace())
	if err != nil {
		return nil, err
	}
	defer closeModel()
	emit := func(g graded) error {
		rows = append(rows, g)
		return nil
	}
	if keep != "" {
		f, err := os.OpenFile(keep, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		emit = func(g graded) error {
			rows = append(rows, g)
			raw, err := json.Marshal(g)
			if err == nil {
				_, err = f.Write(append(raw, '\n'))
			}
			return err
		}
	}
	err = gradeAll(ctx, cmd, mind, qs[len(rows):], workers, "asking", emit)
	if ctx.Err() != nil && keep != "" {
		err = fmt.Errorf("what was asked is in %s, and the same command goes on from there: %w", keep, err)
	}
	return rows, err
}

// MarshalJSON writes the fields beside those of the belief, whose own method
// would otherwise be promoted and hide them.
func (g graded) MarshalJSON() ([]byte, error) {
	belief, err := json.Marshal(g.Belief)
	if err != nil {
		return nil, err
	}
	rest, err := json.Marshal(struct {
		Grade   string        `json:"grade"`
		Label   bool          `json:"label"`
		Kind    string        `json:"kind,omitempty"`
		Cluster string        `json:"cluster,omitempty"`
		Half    string        `json:"half,omitempty"`
		Key     calibrate.Key `json:"calibrator_key"`
		State   []float32     `json:"state,omitempty"`
	}{g.Grade, g.Label, g.Kind, g.Cluster, g.Half, g.Key, g.State})
	return append(append(belief[:len(belief)-1], ','), rest[1:]...), err
}

// readGraded reads labelled beliefs; nil if the file holds something else.
func readGraded(path string) ([]graded, error) {
	var rows []graded
	err := jsonl.Each(path, func(n int, line []byte) error {
		var g graded
		if err := jsonl.Decode(line, &g); err != nil {
			if n == 1 {
				return errOther
			}
			return err
		}
		if g.Grade == "" {
			if n == 1 {
				return errOther
			}
			return errors.New(`field "grade": missing`)
		}
		rows = append(rows, g)
		return nil
	}, nil)
	if errors.Is(err, errOther) {
		return nil, nil
	}
	return rows, err
}

var errOther = errors.New("not a file of labelled beliefs")

// report is what calibrate says with --json.
type report struct {
	Saved   string         `json:"saved,omitempty"`
	Key     calibrate.Key  `json:"key"`
	Signals []string       `json:"signals"`
	Fitted  int            `json:"fitted_on"`
	Grades  map[string]int `json:"grades"`
	How     string         `json:"figures_on"`
	Figures stats.Summary  `json:"figures"`

	Ablation []calibrate.Contribution `json:"ablation,omitempty"` // what is lost without each signal
	Pictures []string                 `json:"pictures,omitempty"`

	Unlabelled *unlabelled `json:"unlabelled,omitempty"`
}

func fitAndReport(cmd *cobra.Command, rows []graded, to destination, own bool) error {
	r := report{Grades: map[string]int{}, How: "the same questions, cross-fitted"}
	var fit, apart []graded
	for _, g := range rows {
		r.Grades[g.Grade]++
		switch {
		case g.Grade == "failed" || g.Grade == "unparsed":
		case own && g.Half == questions.Apart:
			apart = append(apart, g)
		default:
			fit = append(fit, g)
		}
	}
	if len(fit) == 0 {
		return fmt.Errorf("no answer can be used: %s", counted(r.Grades, len(rows)))
	}
	r.Key = fit[0].Key
	examples := make([]calibrate.Example, len(fit))
	for i, g := range fit {
		if g.Key != r.Key {
			return usagef("answers of two kinds in one file: question %s was asked as %+v, the first as %+v; calibrate them apart", g.ID, g.Key, r.Key)
		}
		examples[i] = g.example()
	}
	on := fmt.Sprintf("%d questions", len(fit))
	if own {
		on = "gnothi's own questions"
	}
	cal, held, err := fitCalibrator(r.Key, fit[0].Model+" "+fit[0].Policy, on, examples)
	if err != nil {
		return err
	}
	if to.figure != "" || to.held != "" {
		ids, kinds := make([]string, len(fit)), make([]string, len(fit))
		for i, g := range fit {
			ids[i], kinds[i] = g.ID, g.Kind
		}
		if err := to.show(&r, examples, held, ids, kinds); err != nil {
			return err
		}
	}
	judged, probs := fit, held
	if own && len(apart) > 0 {
		r.How = "the half kept apart"
		judged, probs = apart, make([]float64, len(apart))
		for i, g := range apart {
			readings, err := cal.WithProbe(g.example())
			if err != nil {
				return err
			}
			e, err := cal.Apply(readings)
			if err != nil {
				return err
			}
			probs[i] = e.P
		}
	}
	if r.Figures, err = summarise(judged, probs); err != nil {
		return err
	}
	r.Signals, r.Fitted = cal.Signals, len(fit)
	if r.Saved, err = cal.Save(to.dir); err != nil {
		return err
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return encode(cmd, r)
	}
	return printReport(cmd, r, len(rows))
}

func summarise(rows []graded, p []float64) (stats.Summary, error) {
	y := make([]float64, len(rows))
	kinds, clusters := make([]string, len(rows)), make([]string, len(rows))
	for i, g := range rows {
		if g.Label {
			y[i] = 1
		}
		kinds[i], clusters[i] = g.Kind, g.Cluster
		if g.Cluster == "" {
			clusters[i] = "#" + g.ID
		}
	}
	o := stats.Options{Cluster: shared(clusters)}
	if kinds[0] != "" {
		o.Group = stats.Groups(kinds)
	}
	return stats.Summarise(rand.New(rand.NewPCG(1, 2)), p, y, o)
}

func printReport(cmd *cobra.Command, r report, asked int) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	s := r.Figures
	fmt.Fprintf(out, "Fitted on %d answers with %s.\n", r.Fitted, strings.Join(r.Signals, ", "))
	if r.Grades != nil {
		fmt.Fprintln(out, counted(r.Grades, asked))
	}
	fmt.Fprintf(out, "\nFigures on %s, n = %d (95 %% intervals, clustered bootstrap):\n", r.How, s.N)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range summaryRows(s) {
		fmt.Fprintf(t, "  %s\t%v\n", row.name, row.f)
	}
	printCalibrationTests(t, s)
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Ablation) > 0 {
		fmt.Fprintf(t, "\nSIGNAL\tALONE (AUROC)\tADDS TO AUROC\tADDS TO LOG LOSS (NATS)\n")
		for _, c := range r.Ablation {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.Signal, short(c.Alone), short(c.AUROC), strings.Replace(short(c.LogLoss), " nats", "", 1))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if u := r.Unlabelled; u != nil {
		fmt.Fprintf(out, "\nOf %d answers without labels %.1f %% are outside what was fitted on (1 %% if they are alike); T-similarity %.2f, of the labelled %.2f.\n", u.N, 100*u.Outside, u.Similarity, u.SimilarityLabelled)
	}
	for _, p := range r.Pictures {
		fmt.Fprintf(out, "\nDrawn: %s", p)
	}
	if r.Saved != "" {
		fmt.Fprintf(out, "\nStored in %s\n", r.Saved)
	}
	return out.Flush()
}
