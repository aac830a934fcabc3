package calibrate

import (
	"compress/gzip"
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gnothi/monitor"
	"gnothi/stats"
)

const optionSignal = "likelihood/mean-logprob"

func example(p float64, right bool) Example {
	return Example{Right: right, Readings: []Named{{Name: optionSignal, Reading: monitor.Reading{Score: p, Source: "logprobs"}}}}
}

// recorded gives the option probabilities of five models on five sets and the likelihoods of two on another: model → set →
// answers.
func recorded(t *testing.T) map[string]map[string][]Example {
	t.Helper()
	root := os.Getenv("GNOTHI_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	models := map[string]map[string][]Example{}
	read := func(name string, use func(field func(string) string)) {
		f, err := os.Open(filepath.Join(root, "many-models-confidence", name))
		if err != nil {
			t.Skipf("reference data not at hand (set GNOTHI_DATA): %v", err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(z).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			use(func(column string) string { return row[slices.Index(rows[0], column)] })
		}
	}
	add := func(model, set string, p float64, right bool) {
		if models[model] == nil {
			models[model] = map[string][]Example{}
		}
		models[model][set] = append(models[model][set], example(p, right))
	}
	read("max-softmax.csv.gz", func(field func(string) string) {
		p, err := strconv.ParseFloat(field("confidence"), 64)
		if err != nil {
			t.Fatal(err)
		}
		add(field("model"), field("dataset"), p, field("grade") == "Correct")
	})
	for _, model := range []string{"Meta-Llama-3.1-70B-Instruct-Turbo", "Qwen3-1.7B-think"} {
		read("mmlu-pro-"+model+".csv.gz", func(field func(string) string) {
			if p, err := strconv.ParseFloat(field("logit_perplexity"), 64); err == nil && p >= 0 && p <= 1 {
				add(model, "mmlu-pro", p, field("extracted") == field("correct"))
			}
		})
	}
	return models
}

// fewRow is what is had from n labels of a new model.
type fewRow struct {
	shrunk, isotonic, platt float64 // mean log loss on the rest
	covered, own            float64 // shares of 90 % intervals
	units                   int
}

// fromFew leaves each model out in turn, pools the others and learns from n labels of each set of the one left out.
func fromFew(t *testing.T, models map[string]map[string][]Example, n, reps int) (row fewRow) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(n), 7))
	names := []string{}
	for name := range models {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, left := range names {
		others := map[string][]Example{}
		for model, sets := range models {
			if model != left {
				for set, answers := range sets {
					others[model+" on "+set] = thinned(answers)
				}
			}
		}
		prior, err := Pool(optionSignal, others)
		if err != nil {
			t.Fatal(err)
		}
		sets := []string{}
		for set := range models[left] {
			sets = append(sets, set)
		}
		slices.Sort(sets)
		for _, set := range sets {
			answers := models[left][set]
			line, _, err := slope(optionSignal, answers)
			if err != nil {
				t.Fatal(err)
			}
			var unit fewRow
			for range reps {
				order := rng.Perm(len(answers))
				labelled := at(answers, order[:n])
				rest := at(answers, order[n:min(len(order), n+1000)])
				posterior := prior
				if n > 0 {
					if posterior, err = prior.Update(labelled); err != nil {
						t.Fatal(err)
					}
				}
				p, y := make([]float64, len(rest)), make([]float64, len(rest))
				for i, e := range rest {
					est, err := posterior.Apply(e.Readings)
					if err != nil {
						t.Fatal(err)
					}
					p[i] = est.P
					if e.Right {
						y[i] = 1
					}
					if truth := stats.Sigmoid(dot(line, pair{1, LogOdds(e.Readings[0].Reading)})); truth >= est.Low && truth <= est.High {
						unit.own += 1 / float64(len(rest)*reps)
					}
				}
				unit.shrunk += loss(t, p, y) / float64(reps)
				unit.covered += predicted(rng, posterior, rest, y) / float64(reps)
				if n > 0 {
					unit.isotonic += loss(t, scratch(t, labelled, rest, isotonic), y) / float64(reps)
					unit.platt += loss(t, scratch(t, labelled, rest, platt), y) / float64(reps)
				}
			}
			row.units++
			row.shrunk += unit.shrunk
			row.isotonic += unit.isotonic
			row.platt += unit.platt
			row.covered += unit.covered
			row.own += unit.own
		}
	}
	k := float64(row.units)
	return fewRow{row.shrunk / k, row.isotonic / k, row.platt / k, row.covered / k, row.own / k, row.units}
}

// thinned keeps at most 1,500 answers, evenly chosen: more of a model say little of how models differ.
func thinned(es []Example) []Example {
	if len(es) <= 1500 {
		return es
	}
	out := make([]Example, 1500)
	for i := range out {
		out[i] = es[i*len(es)/len(out)]
	}
	return out
}

func at(es []Example, idx []int) []Example {
	out := make([]Example, len(idx))
	for i, k := range idx {
		out[i] = es[k]
	}
	return out
}

func loss(t *testing.T, p, y []float64) float64 {
	t.Helper()
	v, err := stats.LogLoss(p, y, stats.Clip)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// scratch fits a map on the labelled answers alone. Its probabilities are kept 1/(n+2) from the ends, as generous a choice as
// any: without it isotonic regression loses by infinities.
func scratch(t *testing.T, labelled, rest []Example, fit func(x, y []float64) (stats.Map, error)) []float64 {
	t.Helper()
	x, y := make([]float64, len(labelled)), make([]float64, len(labelled))
	for i, e := range labelled {
		x[i] = e.Readings[0].Score
		if e.Right {
			y[i] = 1
		}
	}
	m, err := fit(x, y)
	if err != nil {
		t.Fatal(err)
	}
	edge := 1 / float64(len(labelled)+2)
	p := make([]float64, len(rest))
	for i, e := range rest {
		p[i] = min(max(m.Apply(e.Readings[0].Score), edge), 1-edge)
	}
	return p
}

func isotonic(x, y []float64) (stats.Map, error) { return stats.FitIsotonic(x, y) }

func platt(x, y []float64) (stats.Map, error) {
	smooth, err := stats.SmoothTargets(y)
	if err != nil {
		return nil, err
	}
	return stats.FitPlatt(x, smooth, true)
}

// predicted is the share of ten bins, of equal numbers of answers by score, whose number of right answers lies in the
// central 90 % of what the posterior predicts: lines are drawn from it, and answers from the lines.
func predicted(rng *rand.Rand, p *Prior, answers []Example, y []float64) float64 {
	const bins, draws, looked = 10, 100, 25
	order := make([]int, len(answers))
	odds := make([]float64, len(answers))
	for i, e := range answers {
		order[i], odds[i] = i, LogOdds(e.Readings[0].Reading)
	}
	slices.SortFunc(order, func(a, b int) int {
		if odds[a] < odds[b] {
			return -1
		}
		return 1
	})
	cov := symOf(p.Between).plus(symOf(p.Cov))
	a := math.Sqrt(cov[0])
	b := cov[1] / a
	c := math.Sqrt(max(0, cov[2]-b*b))
	var inside float64
	lines := make([]pair, draws)
	for i := range lines {
		z1, z2 := rng.NormFloat64(), rng.NormFloat64()
		lines[i] = pair(p.Coef).plus(pair{a * z1, b*z1 + c*z2})
	}
	for k := range bins {
		bin := order[k*len(order)/bins : (k+1)*len(order)/bins]
		right := 0.0
		for _, i := range bin {
			right += y[i]
		}
		counts := make([]float64, draws)
		for d, l := range lines {
			q := 0.0
			for j := range looked {
				q += stats.Sigmoid(dot(l, pair{1, odds[bin[j*len(bin)/looked]]})) / looked
			}
			n := float64(len(bin))
			counts[d] = n*q + math.Sqrt(n*q*(1-q))*rng.NormFloat64()
		}
		slices.Sort(counts)
		if right >= counts[draws/20]-0.5 && right <= counts[draws-1-draws/20]+0.5 {
			inside += 1. / bins
		}
	}
	return inside
}

// A new model's probabilities from 0, 20, 50 and 100 labels. docs/calibration.md quotes what this logs:
//
//	go test ./monitor/calibrate -run TestFewLabels -v
func TestFewLabels(t *testing.T) {
	models := recorded(t)
	reps := 4
	if testing.Short() {
		reps = 2
	}
	var lines []string
	rows := map[int]fewRow{}
	for _, n := range []int{0, 20, 50, 100, 300} {
		r := fromFew(t, models, n, reps)
		rows[n] = r
		scratch := "–  | –"
		if n > 0 {
			scratch = strconv.FormatFloat(r.isotonic, 'f', 3, 64) + " | " + strconv.FormatFloat(r.platt, 'f', 3, 64)
		}
		lines = append(lines, "| "+strconv.Itoa(n)+" | "+strconv.FormatFloat(r.shrunk, 'f', 3, 64)+" | "+scratch+" | "+
			strconv.FormatFloat(r.covered, 'f', 2, 64)+" | "+strconv.FormatFloat(r.own, 'f', 2, 64)+" |")
	}
	t.Logf("%d sets of answers by %d models, each model left out in turn, %d draws of labels\n| labels | shrunk | isotonic | Platt | bins covered | own line covered |\n%s", rows[0].units, len(models), reps, strings.Join(lines, "\n"))
	for n, r := range rows {
		if n > 0 && n <= 100 && (r.shrunk >= r.isotonic || r.shrunk >= r.platt+0.001) {
			t.Errorf("%d labels: log loss %.3f shrunk, %.3f isotonic, %.3f Platt from scratch", n, r.shrunk, r.isotonic, r.platt)
		}
		if n > 0 && r.shrunk >= rows[0].shrunk {
			t.Errorf("%d labels: log loss %.3f, no better than %.3f of none", n, r.shrunk, rows[0].shrunk)
		}
		if r.covered < 0.78 || r.covered > 0.99 {
			t.Errorf("%d labels: the 90 %% interval covers %.2f", n, r.covered)
		}
	}
}
