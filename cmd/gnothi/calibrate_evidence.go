package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gnothi/internal/jsonl"
	"gnothi/internal/plot"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/stats"
)

// holdsScores says whether the first line of a file is one of labelled scores. Standard input holds nothing else.
func holdsScores(path string) bool {
	if path == "" || path == "-" {
		return path == "-"
	}
	found := false
	stop := errors.New("seen enough")
	// What is wrong with the file is told by whoever reads it next.
	_ = jsonl.Each(path, func(_ int, line []byte) error {
		var l struct {
			Scores json.RawMessage `json:"scores"`
			Score  json.RawMessage `json:"score"`
			Grade  string          `json:"grade"`
		}
		found = json.Unmarshal(line, &l) == nil && l.Grade == "" && (l.Scores != nil || l.Score != nil)
		return stop
	}, nil)
	return found
}

// fitCalibrator starts from what other models say where there are few labels.
func fitCalibrator(key calibrate.Key, name, on string, examples []calibrate.Example) (*calibrate.Calibrator, []float64, error) {
	if len(examples) >= calibrate.MinExamples {
		return calibrate.Fit(key, name, on, examples, 1)
	}
	set, err := calibrators()
	if err != nil {
		return nil, nil, err
	}
	return set.FitFew(key, name, on, examples)
}

// demonstration is made-up evidence: 300 labelled answers of which two signals each know a part and a third nothing, and 60
// without labels, half of them unlike any of those.
func demonstration() *scoredFile {
	const agreement, likelihood, noise = "consistency/agreement", "likelihood/mean-logprob", "verbal/stated"
	rng := rand.New(rand.NewPCG(1, 0))
	f := &scoredFile{path: "made-up answers", names: []string{agreement, likelihood, noise}}
	for i := range 360 {
		a, b := rng.NormFloat64(), rng.NormFloat64()
		row := scored{ID: lineID(fmt.Sprint(i)), Label: label{true, i < 300, 0}}
		if rng.Float64() < stats.Sigmoid(1.5*a+0.8*b) {
			row.Label.value = 1
		}
		if i >= 330 { // sure of what it never says twice
			a, b = -3, 3+0.3*b
		}
		p, q, r := stats.Sigmoid(a), stats.Sigmoid(b), 0.6+0.35*rng.Float64()
		row.Scores = map[string]*float64{agreement: &p, likelihood: &q, noise: &r}
		if row.Label.judged {
			f.rows = append(f.rows, row)
		} else {
			f.unjudged = append(f.unjudged, row)
		}
	}
	return f
}

// fitEvidence fits a calibrator on labelled scores: no model is asked.
func fitEvidence(cmd *cobra.Command, c *config, f *scoredFile, to destination) error {
	in := f.path
	f.tell(cmd)
	if err := f.labelled(); err != nil {
		return err
	}
	var examples []calibrate.Example
	var ids, kinds []string
	incomplete := 0
	for i, row := range f.rows {
		if v := row.Label.value; v != 0 && v != 1 {
			return usagef("%s: id %s: label %g: a calibrator is of right or wrong", in, row.ID, v)
		}
		readings, err := f.readings(row)
		if err != nil {
			return usagef("%s: %w", in, err)
		}
		if readings == nil {
			incomplete++
			continue
		}
		e := calibrate.Example{Right: row.Label.value == 1, Cluster: row.Cluster, Readings: readings}
		id := string(row.ID)
		if id == "" {
			id = fmt.Sprint(i + 1)
		}
		examples, ids, kinds = append(examples, e), append(ids, id), append(kinds, row.Kind)
	}
	if len(examples) == 0 {
		return usagef("%s: no line has all of %s", in, strings.Join(f.names, ", "))
	}
	if incomplete > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d lines lack one of %s and are left out\n", in, incomplete, strings.Join(f.names, ", "))
	}
	// The evidence was gathered elsewhere: what is said of it on the command line is its key.
	model, policy := c.String("model"), c.String("policy")
	r := report{How: "the same answers, cross-fitted", Key: calibrate.Key{Model: model, Policy: policy, Form: "evidence"}}
	cal, held, err := fitCalibrator(r.Key, model+" "+policy+" evidence", fmt.Sprintf("%d labelled answers of %s", len(examples), filepath.Base(in)), examples)
	if err != nil {
		return err
	}
	if err := to.show(&r, examples, held, ids, kinds); err != nil {
		return err
	}
	r.Signals, r.Fitted = cal.Signals, len(examples)
	if r.Unlabelled, err = f.unlike(cal, examples); err != nil {
		return err
	}
	if to.dir != "" {
		if r.Saved, err = cal.Save(to.dir); err != nil {
			return err
		}
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return encode(cmd, r)
	}
	return printReport(cmd, r, len(examples))
}

// readings are those of all the file's signals, nil if one is missing.
func (f *scoredFile) readings(row scored) ([]calibrate.Named, error) {
	var out []calibrate.Named
	for _, signal := range f.names {
		v := row.Scores[signal]
		if v == nil {
			return nil, nil
		}
		r := monitor.Reading{Score: *v, Source: "evidence"}
		if r.Score < 0 || r.Score > 1 {
			return nil, fmt.Errorf("id %s: %s is %g: the scores of a calibrator lie from 0 to 1", row.ID, f.columnName(signal), r.Score)
		}
		// A share of samples is kept away from 0 and 1 by half a sample.
		if n := len(row.Samples); n > 0 && strings.HasPrefix(signal, "consistency/") {
			r.Source, r.Reads = "samples", n
		}
		out = append(out, calibrate.Named{Name: f.columnName(signal), Reading: r})
	}
	return out, nil
}

// unlabelled says whether answers without labels are like those with.
type unlabelled struct {
	N       int     `json:"n"`
	Outside float64 `json:"outside"` // share farther from the calibrator's answers than 99 of 100 of them
	// Median T-similarity: how far heads agree that were trained to disagree where there are no labels.
	Similarity         float64 `json:"t_similarity"`
	SimilarityLabelled float64 `json:"t_similarity_labelled"`
}

// fewestUnlike is the fewest answers without labels of which anything is said.
const fewestUnlike = 20

func (f *scoredFile) unlike(cal *calibrate.Calibrator, examples []calibrate.Example) (*unlabelled, error) {
	if len(f.unjudged) < fewestUnlike || cal.Fit == nil {
		return nil, nil
	}
	var seen, fresh [][]float64
	var right []bool
	for _, e := range examples {
		x, err := calibrate.Features(cal.Signals, e.Readings)
		if err != nil {
			return nil, err
		}
		seen, right = append(seen, x), append(right, e.Right)
	}
	u := &unlabelled{}
	for _, row := range f.unjudged {
		readings, err := f.readings(row)
		if err != nil {
			return nil, usagef("%s: %w", f.path, err)
		}
		if readings == nil {
			continue
		}
		e, err := cal.Apply(readings)
		if err != nil {
			return nil, err
		}
		if e.Outside {
			u.Outside++
		}
		x, err := calibrate.Features(cal.Signals, readings)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, x)
	}
	if u.N = len(fresh); u.N < fewestUnlike {
		return nil, nil
	}
	u.Outside /= float64(u.N)
	s, err := calibrate.FitSimilarity(seen, right, fresh, calibrate.SimilarityOptions{Seed: 1})
	if err != nil {
		return nil, err
	}
	median := func(xs [][]float64) float64 {
		v := make([]float64, len(xs))
		for i, x := range xs {
			v[i] = s.Of(x)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	u.Similarity, u.SimilarityLabelled = median(fresh), median(seen)
	return u, nil
}

// destination is where calibrate puts what it finds.
type destination struct {
	dir    string // of calibrators; empty: nothing is stored
	figure string // of pictures; empty: none
	held   string // file of cross-fitted probabilities; empty: none
}

const combinedName = "calibrate/combined"

// show measures cross-fitted probabilities and what each signal adds to them, and writes what is asked for.
func (to destination) show(r *report, examples []calibrate.Example, held []float64, ids, kinds []string) error {
	s := sample{columns: []column{{combinedName, held}}, y: make([]float64, len(examples))}
	clusters := make([]string, len(examples))
	for i, e := range examples {
		if e.Right {
			s.y[i] = 1
		}
		if clusters[i] = e.Cluster; e.Cluster == "" {
			clusters[i] = "#" + ids[i]
		}
	}
	s.cluster = shared(clusters)
	if slices.ContainsFunc(kinds, func(k string) bool { return k != kinds[0] }) {
		s.kind = stats.Groups(kinds)
	}
	var err error
	if r.Figures, err = stats.Summarise(rand.New(rand.NewPCG(1, 2)), held, s.y, stats.Options{Cluster: s.cluster, Group: s.kind}); err != nil {
		return err
	}
	if len(examples) >= calibrate.MinExamples && len(examples[0].Readings) > 1 {
		if r.Ablation, _, err = calibrate.Ablate(examples, 1); err != nil {
			return err
		}
	}
	if to.held != "" {
		if err := writeHeld(to.held, examples, held, ids, kinds); err != nil {
			return err
		}
	}
	if to.figure == "" {
		return nil
	}
	if err := os.MkdirAll(to.figure, 0o755); err != nil {
		return err
	}
	curve, err := riskCoverageChart(s, rand.New(rand.NewPCG(1, 3)), nil)
	if err != nil {
		return err
	}
	charts := map[string]io.WriterTo{
		"reliability.svg":   reliabilityChart(r.Figures, "cross-fitted probabilities"),
		"risk-coverage.svg": curve,
	}
	if len(r.Ablation) > 0 {
		charts["ablation.svg"] = ablationChart(r.Ablation, len(examples))
	}
	for _, name := range slices.Sorted(maps.Keys(charts)) {
		path := filepath.Join(to.figure, name)
		if err := writeChart(path, charts[name]); err != nil {
			return err
		}
		r.Pictures = append(r.Pictures, path)
	}
	return nil
}

// ablationChart shows what is lost without each signal.
func ablationChart(cs []calibrate.Contribution, n int) plot.Forest {
	f := plot.Forest{
		Title: "What each signal adds", X: "log loss without it, less that of all (nats)",
		Note: fmt.Sprintf("n = %d answers, cross-fitted, 95 %% intervals. Right of the line: the signal helps beside the others.", n),
	}
	for _, c := range cs {
		f.Rows = append(f.Rows, plot.Row{Name: c.Signal, Value: c.LogLoss.Value, Low: c.LogLoss.Low, High: c.LogLoss.High})
	}
	return f
}

// heldLine is a line of --held, which stats reads.
type heldLine struct {
	ID      string             `json:"id"`
	Scores  map[string]float64 `json:"scores"`
	Label   bool               `json:"label"`
	Cluster string             `json:"cluster,omitempty"`
	Kind    string             `json:"kind,omitempty"`
}

func writeHeld(path string, examples []calibrate.Example, held []float64, ids, kinds []string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for i, e := range examples {
		l := heldLine{ID: ids[i], Scores: map[string]float64{combinedName: held[i]}, Label: e.Right, Cluster: e.Cluster, Kind: kinds[i]}
		for _, r := range e.Readings {
			l.Scores[r.Name] = r.Score
		}
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return errors.Join(w.Flush(), f.Sync())
}
