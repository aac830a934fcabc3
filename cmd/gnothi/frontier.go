package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gnothi/internal/plot"
	"gnothi/stats"
)

// frontier is what compare says of more than two policies, with --json.
type frontier struct {
	N    int           `json:"n"`
	Arms []frontierArm `json:"policies"`
}

// frontierArm is a policy beside the first one and the others.
type frontierArm struct {
	arm
	// Difference is the accuracy less that of the first policy, question by question.
	Difference *stats.Figure `json:"difference,omitempty"`
	P          *float64      `json:"p,omitempty"`      // McNemar, exact, against the first
	PHolm      *float64      `json:"p_holm,omitempty"` // corrected for the number of policies
	Share      float64       `json:"token_share"`      // generated tokens, the first policy being 1
	// BeatenBy are the policies that are right more often with fewer generated tokens.
	BeatenBy []string `json:"beaten_by,omitempty"`
}

func newFrontier(arms []arm) frontier {
	f := frontier{N: len(arms[0].y)}
	first := arms[0]
	var ps []float64
	for i, a := range arms {
		out := frontierArm{arm: a, Share: float64(a.Tokens) / float64(max(1, first.Tokens))}
		for _, b := range arms {
			if b.Right.Value > a.Right.Value && b.Tokens < a.Tokens {
				out.BeatenBy = append(out.BeatenBy, b.Policy)
			}
		}
		if i > 0 {
			d := make([]float64, len(a.y))
			rescued, spoilt := 0, 0
			for k := range d {
				switch d[k] = a.y[k] - first.y[k]; {
				case d[k] > 0:
					rescued++
				case d[k] < 0:
					spoilt++
				}
			}
			difference, err := stats.Mean(d, stats.Groups(a.clusters), 0.95)
			if err != nil {
				difference = stats.Missing(len(d), err)
			}
			p := 1.0
			if exact, _, err := stats.McNemar(rescued, spoilt); err == nil {
				p = exact.P
			}
			out.Difference, out.P = &difference, &p
			ps = append(ps, p)
		}
		f.Arms = append(f.Arms, out)
	}
	if adjusted, err := stats.Adjust(ps, stats.Holm); err == nil {
		for i := range adjusted {
			f.Arms[i+1].PHolm = &adjusted[i]
		}
	}
	return f
}

func (f frontier) show(cmd *cobra.Command, figure string, asJSON bool) error {
	if figure != "" {
		if err := f.draw(figure); err != nil {
			return err
		}
	}
	if asJSON {
		return encode(cmd, f)
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "policy\tright\trefused, unparsed, failed\tless %s\tp (Holm)\tgenerated tokens\tcalls\n", f.Arms[0].Policy)
	for _, a := range f.Arms {
		difference, p := "", ""
		if a.Difference != nil {
			difference = fmt.Sprintf("%+.1f points [%.1f, %.1f]", 100*a.Difference.Value, 100*a.Difference.Low, 100*a.Difference.High)
		}
		if a.PHolm != nil {
			p = fmt.Sprintf("%.3f", *a.PHolm)
		}
		fmt.Fprintf(t, "%s\t%.1f %% [%.1f, %.1f]\t%d, %d, %d\t%s\t%s\t%d (%.0f %%)\t%d\n", a.Policy, 100*a.Right.Value, 100*a.Right.Low, 100*a.Right.High,
			a.Grades["refused"], a.Grades["unparsed"], a.Grades["failed"], difference, p, a.Tokens, 100*a.Share, a.Calls)
	}
	fmt.Fprintf(t, "\nn = %d questions; 95 %% intervals, clustered\n", f.N)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, a := range f.Arms {
		if len(a.BeatenBy) > 0 {
			fmt.Fprintf(cmd.OutOrStdout(), "right more often than %s with fewer tokens: %s\n", a.Policy, strings.Join(a.BeatenBy, ", "))
		}
	}
	return nil
}

// draw shows what each policy costs and how far it is from the first, whose
// differences are paired and so far surer than the accuracies. Settings of one
// policy have one colour.
func (f frontier) draw(file string) error {
	first := f.Arms[0].Policy
	chart := plot.Chart{
		Title: "Accuracy and its cost", Note: fmt.Sprintf("%d questions; paired differences with 95 %% intervals", f.N),
		X: "generated tokens, of those of " + first, Y: "difference in accuracy", Percent: true, Width: 560, LegendLow: true,
	}
	series := map[string]int{}
	for _, a := range f.Arms[1:] {
		family, _, _ := strings.Cut(a.Policy, "?")
		at, known := series[family]
		if !known {
			at = len(chart.Series)
			series[family] = at
			chart.Series = append(chart.Series, plot.Series{Name: family, Dots: true})
		}
		chart.Series[at].Points = append(chart.Series[at].Points, plot.Point{X: a.Share, Y: a.Difference.Value, Low: a.Difference.Low, High: a.Difference.High, Size: 2})
	}
	chart.Series = append(chart.Series, plot.Series{Faint: true, Points: []plot.Point{plot.At(0, 0), plot.At(1, 0)}})
	return writeChart(file, chart)
}
