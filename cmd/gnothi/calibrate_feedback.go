package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi/gateway"
	"gnothi/internal/jsonl"
	"gnothi/monitor/calibrate"
	"gnothi/stats"
	"gnothi/store"
)

// feedbackLabels reads labelled answers: from the state folder of a server, its
// file of trials, or a file that serve --feedback wrote.
func feedbackLabels(ctx context.Context, from string) (labels []gateway.Labels, err error) {
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("--from-feedback %s: there is no such file or folder: name the folder that serve keeps its state in, or the file of serve --feedback", from)
	}
	if err != nil {
		return nil, err
	}
	path := from
	if info.IsDir() {
		path = filepath.Join(from, trialsFile)
		if _, err := os.Stat(path); err != nil {
			return nil, usagef("--from-feedback %s: no trials are kept there (%s is missing)", from, trialsFile)
		}
	}
	if info.IsDir() || filepath.Ext(path) == filepath.Ext(trialsFile) {
		trials, err := store.ReadTrials(ctx, path)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, trials.Close()) }()
		return gateway.LabelledTrials(ctx, trials)
	}
	var lines gateway.FeedbackLines
	if err := jsonl.Each(path, func(_ int, line []byte) error { return lines.Add(line) }, nil); err != nil {
		return nil, usage(err)
	}
	return lines.Labels(), nil
}

// feedbackReport is what calibrate --from-feedback says of one calibrator.
type feedbackReport struct {
	Saved    string        `json:"saved,omitempty"`
	Key      calibrate.Key `json:"key"`
	Name     string        `json:"name"`
	Own      int           `json:"own_accord"`
	Marked   int           `json:"marked"`
	Waiting  int           `json:"waiting"`
	Signals  []string      `json:"signals,omitempty"`
	Right    *stats.Figure `json:"right,omitempty"`
	Given    *stats.Figure `json:"probability,omitempty"`
	ECE      *float64      `json:"ece,omitempty"`
	Skill    *float64      `json:"skill,omitempty"`
	Fitted   int           `json:"fitted_on"`
	NotFound string        `json:"error,omitempty"`
}

// fitFeedback fits a calibrator for each model, policy, form and kind that has
// verdicts.
func fitFeedback(cmd *cobra.Command, from, dir string) error {
	labels, err := feedbackLabels(cmd.Context(), from)
	if err != nil {
		return err
	}
	if len(labels) == 0 {
		return fmt.Errorf("%s: no verdicts on answers with signals: POST /v1/feedback and the pages of serve take them", from)
	}
	var reports []feedbackReport
	fitted := 0
	for _, l := range labels {
		r := feedbackReport{Key: l.Key, Name: l.Name, Own: l.Own, Marked: l.Marked, Waiting: l.Waiting, Fitted: len(l.Examples)}
		on := fmt.Sprintf("%d verdicts on answers served (%d of answers marked at random)", len(l.Examples), l.Marked)
		if err := r.fit(l, on, dir); err != nil {
			r.NotFound = err.Error()
		} else {
			fitted++
		}
		reports = append(reports, r)
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		err = encode(cmd, reports)
	} else {
		err = printFeedback(cmd, reports)
	}
	if err == nil && fitted == 0 {
		err = errors.New("no calibrator could be fitted")
	}
	return err
}

func (r *feedbackReport) fit(l gateway.Labels, on, dir string) error {
	cal, held, err := fitCalibrator(l.Key, l.Name, on, l.Examples)
	if err != nil {
		return err
	}
	y, w := make([]float64, len(held)), make([]float64, len(held))
	for i, e := range l.Examples {
		w[i] = e.Weight
		if e.Right {
			y[i] = 1
		}
	}
	right, err := stats.WeightedMean(y, w, 0.95)
	if err != nil {
		return err
	}
	given, err := stats.WeightedMean(held, w, 0.95)
	if err != nil {
		return err
	}
	bins, err := stats.WeightedBins(held, y, w, 10, 0.95)
	if err != nil {
		return err
	}
	ece := stats.WeightedECE(bins)
	r.Right, r.Given, r.ECE, r.Signals = &right, &given, &ece, cal.Signals
	if cal.Few == nil {
		r.Skill = &cal.Skill
	}
	r.Saved, err = cal.Save(dir)
	return err
}

func printFeedback(cmd *cobra.Command, reports []feedbackReport) error {
	out := cmd.OutOrStdout()
	for _, r := range reports {
		fmt.Fprintf(out, "%s (%s)\n", r.Name, r.Key.Form)
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(t, "  verdicts\t%d: %d of their own accord, %d of answers marked at random", r.Own+r.Marked, r.Own, r.Marked)
		if r.Waiting > 0 {
			fmt.Fprintf(t, " (%d more wait for a label)", r.Waiting)
		}
		fmt.Fprintln(t)
		if r.NotFound != "" {
			fmt.Fprintf(t, "  not fitted\t%s\n", r.NotFound)
		} else {
			fmt.Fprintf(t, "  signals\t%s\n", strings.Join(r.Signals, ", "))
			fmt.Fprintf(t, "  right\t%.1f %% (%.1f–%.1f), weighed by what each verdict stands for\n", 100*r.Right.Value, 100*r.Right.Low, 100*r.Right.High)
			fmt.Fprintf(t, "  cross-fitted\tmean probability %.1f %%, calibration error %.3f", 100*r.Given.Value, *r.ECE)
			if r.Skill != nil {
				fmt.Fprintf(t, ", skill %.2f", *r.Skill)
			}
			fmt.Fprintf(t, "\n  stored in\t%s\n", r.Saved)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	_, err := fmt.Fprintln(out, "A server that runs takes them on when it is told to read its configuration again (SIGHUP).")
	return err
}
