package stats

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// dataFile opens a file of the shared reference data, or skips.
func dataFile(t testing.TB, path ...string) io.Reader {
	t.Helper()
	root := os.Getenv("GNOTHI_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	name := filepath.Join(append([]string{root}, path...)...)
	f, err := os.Open(name)
	if err != nil {
		t.Skipf("reference data not at hand (set GNOTHI_DATA): %v", err)
	}
	t.Cleanup(func() { f.Close() })
	if !strings.HasSuffix(name, ".gz") {
		return f
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func loadJSON(t testing.TB, v any, path ...string) {
	t.Helper()
	if err := json.NewDecoder(dataFile(t, path...)).Decode(v); err != nil {
		t.Fatal(err)
	}
}

// table reads a CSV file into one map for each row.
func table(t testing.TB, path ...string) []map[string]string {
	t.Helper()
	records, err := csv.NewReader(dataFile(t, path...)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]map[string]string, 0, len(records)-1)
	for _, r := range records[1:] {
		row := map[string]string{}
		for i, name := range records[0] {
			row[name] = r[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func number(t testing.TB, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// near compares a result with its golden value.
func near(t *testing.T, what string, got float64, err error, want, tol float64) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v, want %v", what, err, want)
	} else if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %.12g, want %.12g", what, got, want)
	}
}

type calibrationCase struct {
	Name   string
	P, Y   []float64
	Values map[string]any
	Fits   map[string]json.RawMessage
	Probe  []float64 // where each fit is evaluated
}

func calibrationCases(t testing.TB) []calibrationCase {
	var file struct{ Cases []calibrationCase }
	loadJSON(t, &file, "uq-golden", "calibration.json")
	return file.Cases
}

func TestGoldenCalibration(t *testing.T) {
	cases := calibrationCases(t)
	compared := 0
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			check := func(key string, got float64, err error, tol float64) {
				t.Helper()
				if want, ok := c.Values[key].(float64); ok {
					near(t, key, got, err, want, tol)
					compared++
				}
			}
			for _, m := range []int{10, 15, 20} {
				for name, rule := range map[string]Binning{"width_right": WidthRight, "width_left": WidthLeft, "mass_split": MassSplit, "mass_quantile": MassQuantile} {
					bins, err := Bins(c.P, c.Y, rule, m)
					if err != nil {
						t.Fatal(err)
					}
					suffix := "_" + name + "_" + strconv.Itoa(m)
					check("ece"+suffix, ECE(bins), nil, 1e-9)
					check("mce"+suffix, MCE(bins), nil, 1e-9)
					check("rmsce"+suffix, RMSCE(bins), nil, 1e-9)
					if rule == WidthLeft {
						check("netcal_ace_"+strconv.Itoa(m), ACE(bins), nil, 1e-9)
					}
					if curve, ok := c.Values["sklearn_quantile_curve_"+strconv.Itoa(m)].(map[string]any); ok && rule == MassQuantile {
						for i, b := range bins {
							near(t, "quantile curve y", b.Y, nil, curve["frac_pos"].([]any)[i].(float64), 1e-9)
							near(t, "quantile curve p", b.P, nil, curve["mean_pred"].([]any)[i].(float64), 1e-9)
						}
					}
				}
			}
			brier, err := Brier(c.P, c.Y)
			check("brier", brier, err, 1e-9)
			for key, rule := range map[string]Binning{"murphy_unique": Unique, "murphy_bins10_right": WidthRight} {
				bins, err := Bins(c.P, c.Y, rule, 10)
				if err != nil {
					t.Fatal(err)
				}
				d := Decompose(bins)
				want := c.Values[key].(map[string]any)
				near(t, key+" reliability", d.Reliability, nil, want["reliability"].(float64), 1e-9)
				near(t, key+" resolution", d.Resolution, nil, want["resolution"].(float64), 1e-9)
				near(t, key+" uncertainty", d.Uncertainty, nil, want["uncertainty"].(float64), 1e-9)
				near(t, key+" variance", d.WithinBinVariance, nil, want["within_bin_variance"].(float64), 1e-9)
				near(t, key+" covariance", d.WithinBinCovariance, nil, want["within_bin_covariance"].(float64), 1e-9)
				near(t, key+" sum", d.Brier(), nil, brier, 1e-12)
			}
			for key, eps := range map[string]float64{"logloss_eps2.2e-16": 0x1p-52, "logloss_eps1e-15": 1e-15, "logloss_eps1e-6": 1e-6} {
				v, err := LogLoss(c.P, c.Y, eps)
				check(key, v, err, 1e-9)
			}
			// The stored values come from a grid that gives mass on 0 and 1 half its weight and its own end points full
			// weight. With both repeated they come out; where p keeps off the ends so does the exact value.
			_, sigma, err := SmECE(c.P, c.Y)
			check("smece", gridSmoothECE(c.P, c.Y, c.Values["smece_sigma"].(float64)), err, 1e-5)
			check("smece_sigma_0.05", gridSmoothECE(c.P, c.Y, 0.05), nil, 1e-5)
			if offEnds := slices.Min(c.P) > 0.1; offEnds && c.Name != "narrow_100" {
				check("smece_sigma", sigma, err, 1.0/1024+1e-12)
				v, _, err := SmECE(c.P, c.Y)
				check("smece", v, err, 1e-3)
				v, err = SmoothECE(c.P, c.Y, 0.05)
				check("smece_sigma_0.05", v, err, 1e-3)
			}
		})
	}
	if compared < 150 {
		t.Errorf("only %d golden values compared", compared)
	}
}

// gridSmoothECE is the smoothed error as relplot 1.0.3 approximates it.
func gridSmoothECE(p, y []float64, sigma float64) float64 {
	nodes := max(2000, int(math.RoundToEven(20/sigma)))/2 + 1
	last := nodes - 1
	residual, density := make([]float64, nodes), make([]float64, nodes)
	for i := range p {
		at := p[i] * float64(last)
		k := min(int(at), last-1)
		frac := at - float64(k)
		residual[k] += (1 - frac) * (p[i] - y[i])
		residual[k+1] += frac * (p[i] - y[i])
		density[k] += 1 - frac
		density[k+1] += frac
	}
	smooth := func(v []float64, at int) (s float64) {
		for j := at - nodes/2; j <= at+nodes/2; j++ {
			k := j
			if k < 0 {
				k = -k
			}
			if k > last {
				k = 2*last - k
			}
			d := float64(j-at) / float64(last)
			s += v[k] * math.Exp(-d*d/(2*sigma*sigma)) / (math.Sqrt(2*math.Pi) * sigma)
		}
		return s
	}
	between := func(v []float64, t float64) float64 {
		k := min(int(t*float64(last)), last-1)
		frac := t*float64(last) - float64(k)
		return v[k]*(1-frac) + v[k+1]*frac
	}
	r, d := make([]float64, nodes), make([]float64, nodes)
	for k := range nodes {
		r[k], d[k] = smooth(residual, k), smooth(density, k)
	}
	points := max(int(math.RoundToEven(10/sigma)), meshPoints)
	var num, den float64
	for i := range points {
		t := float64(i) / float64(points-1)
		dens := between(d, t) + 1e-4
		num += math.Abs(between(r, t) / dens * dens)
		den += dens
	}
	return num / den
}

const meshPoints = 200

func TestGoldenFits(t *testing.T) {
	cases := calibrationCases(t)
	compared := 0
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			smooth, err := SmoothTargets(c.Y)
			if err != nil {
				t.Fatal(err)
			}
			fits := map[string]func() (Map, error){
				"temperature":                        func() (Map, error) { return FitTemperature(c.P, c.Y) },
				"platt_mle_raw":                      func() (Map, error) { return FitPlatt(c.P, c.Y, false) },
				"platt_mle_logit":                    func() (Map, error) { return FitPlatt(c.P, c.Y, true) },
				"platt_smoothed_targets_raw_sklearn": func() (Map, error) { return FitPlatt(c.P, smooth, false) },
				"isotonic":                           func() (Map, error) { return FitIsotonic(c.P, c.Y) },
				"beta_abm":                           func() (Map, error) { return FitBeta(c.P, c.Y) },
			}
			for name, fit := range fits {
				m, err := fit()
				raw, ok := c.Fits[name]
				if !ok { // one class: an error or a map, never a crash
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				var want struct {
					Probe, X, Y, Fitted, Map []float64
					Slope, Intercept, T      float64
				}
				if err := json.Unmarshal(raw, &want); err != nil {
					t.Fatal(err)
				}
				tol := 1e-4
				if name == "isotonic" {
					tol = 1e-12
					iso := m.(Isotonic)
					if len(iso.X) != len(want.X) {
						t.Errorf("isotonic has %d knots, want %d", len(iso.X), len(want.X))
					}
					for i := range want.X {
						near(t, "isotonic x", iso.X[i], nil, want.X[i], 0)
						near(t, "isotonic y", iso.Y[i], nil, want.Y[i], tol)
					}
					for i, v := range Apply(m, c.P) {
						near(t, "isotonic fitted", v, nil, want.Fitted[i], tol)
					}
				}
				if p, ok := m.(Platt); ok && want.Slope != 0 {
					near(t, name+" slope", p.Slope, nil, want.Slope, 1e-4*math.Abs(want.Slope))
					near(t, name+" intercept", p.Intercept, nil, want.Intercept, 1e-4*math.Abs(want.Intercept))
				}
				if len(want.Map) == 3 { // the library stops early: ours must fit better, and be as near as that allows
					library := Beta{want.Map[0], want.Map[1], want.Map[1]*math.Log1p(-want.Map[2]) - want.Map[0]*math.Log(want.Map[2])}
					ours, err := LogLoss(Apply(m, c.P), c.Y, 0)
					theirs, _ := LogLoss(Apply(library, c.P), c.Y, 0)
					if err != nil || ours > theirs+1e-12 {
						t.Errorf("beta fit has log loss %v (%v), the library's %v", ours, err, theirs)
					}
					tol = 4e-4
				}
				for i, p := range c.Probe {
					near(t, name+" at "+strconv.FormatFloat(p, 'g', -1, 64), m.Apply(p), nil, want.Probe[i], tol)
					compared++
				}
				b, err := MarshalMap(m)
				if err != nil {
					t.Fatal(err)
				}
				back, err := UnmarshalMap(b)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range c.Probe {
					near(t, name+" round trip", back.Apply(p), nil, m.Apply(p), 0)
				}
			}
		})
	}
	if compared < 7*6*9 {
		t.Errorf("only %d golden values compared", compared)
	}
}

// strictOrder breaks ties by input order, for the golden values that depend on it.
func strictOrder(uncertainty []float64) (score []float64) {
	order := ascending(uncertainty)
	score = make([]float64, len(order))
	for rank, i := range order {
		score[i] = -float64(rank)
	}
	return score
}

func negated(x []float64) []float64 { return mapped(x, func(v float64) float64 { return -v }) }

func errorsOf(y []float64) []float64 { return mapped(y, func(v float64) float64 { return 1 - v }) }

func TestGoldenRanking(t *testing.T) {
	var file struct {
		Cases []struct {
			Name                 string
			Uncertainty, Quality []float64
			Values               map[string]any
		}
	}
	loadJSON(t, &file, "uq-golden", "ranking.json")
	compared := 0
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			score, y := negated(c.Uncertainty), c.Quality
			strict := strictOrder(c.Uncertainty)
			check := func(key string, got float64, err error) {
				t.Helper()
				if want, ok := c.Values[key].(float64); ok {
					near(t, key, got, err, want, 1e-9)
					compared++
				}
			}
			for key, f := range map[string]Metric{
				"auroc": AUROC, "ap_correct": AveragePrecision, "prauc_trapezoid_correct": PRAUCTrapezoid, "aurc_tie_expected": AURC,
			} {
				v, err := f(score, y)
				check(key, v, err)
			}
			for key, f := range map[string]Metric{"ap_error": AveragePrecision, "prauc_trapezoid_error": PRAUCTrapezoid} {
				v, err := f(c.Uncertainty, errorsOf(y))
				check(key, v, err)
			}
			v, err := FPRAt(c.Uncertainty, errorsOf(y), 0.95)
			check("fpr_at_95tpr_error", v, err)
			v, err = AURC(strict, y)
			check("aurc_seq", v, err)
			v, err = AURC(y, y)
			check("aurc_oracle", v, err)
			v, err = EAURC(strict, y)
			check("eaurc_exact", v, err)
			for _, r := range []float64{1, 0.5} {
				suffix := strconv.FormatFloat(r, 'f', 1, 64)
				// The stored areas are of min-max scaled quality; the normalised ratio is the same with or without.
				low, high := slices.Min(y), slices.Max(y)
				scaled := mapped(y, func(v float64) float64 { return (v - low) / (high - low) })
				depth := int(r * float64(len(y)))
				check("prr_area_"+suffix, keptQuality(ranked(strict, scaled), depth), nil)
				check("prr_area_oracle_"+suffix, keptQuality(ranked(scaled, scaled), depth), nil)
				check("prr_area_tie_expected_"+suffix, keptQuality(ranked(score, scaled), depth), nil)
				check("prr_random_analytic_"+suffix, mean(scaled), nil)
				v, err := PRR(score, y, r)
				check("prr_normalised_tie_expected_"+suffix, v, err)
				v, err = PRR(strict, y, r)
				check("prr_normalised_analytic_"+suffix, v, err)
			}
			for name, at := range map[string]func(float64) (float64, error){
				"accuracy_at_coverage_seq":       func(c float64) (float64, error) { return AccuracyAt(strict, y, c) },
				"coverage_at_risk_no_split_ties": func(r float64) (float64, error) { return CoverageAt(score, y, r) },
			} {
				want, _ := c.Values[name].(map[string]any) // absent for graded quality
				for key, w := range want {
					v, err := at(number(t, key))
					near(t, name+" "+key, v, err, w.(float64), 1e-9)
					compared++
				}
			}
			for name, f := range map[string]Metric{"pearson": Pearson, "spearman": Spearman} {
				want, _ := c.Values[name].(map[string]any)
				v, err := f(score, y)
				if r, ok := want["r"].(float64); ok {
					near(t, name, v, err, r, 1e-9)
					compared++
				} else if err == nil {
					t.Errorf("%s = %v of a constant, want an error", name, v)
				}
			}
		})
	}
	if compared < 200 {
		t.Errorf("only %d golden values compared", compared)
	}
}

func TestGoldenStats(t *testing.T) {
	var file struct {
		Proportions []struct {
			K, N         int
			Wilson, Beta [2]float64
		} `json:"proportion_ci_95"`
		Proportions90 []struct {
			K, N   int
			Wilson [2]float64
		} `json:"proportion_ci_90_wilson"`
		Bootstrap []struct {
			X         []float64
			Pct       [2]float64 `json:"mean_percentile"`
			Basic     [2]float64 `json:"mean_basic"`
			BCa       [2]float64 `json:"mean_BCa"`
			Tolerance float64
		} `json:"bootstrap_95_200k_resamples"`
		Clustered struct {
			X       []float64
			Cluster []int
			Mean    float64
			IID     float64 `json:"se_iid"`
			Miller  float64 `json:"se_cluster_miller_eq4"`
		} `json:"clustered_se"`
		McNemar []struct {
			B, C  int
			Exact float64 `json:"exact_p"`
			Mid   float64 `json:"midp"`
		} `json:"mcnemar"`
		DeLong []struct {
			AUC     [2]float64
			Cov     [2][2]float64
			Z, P    float64
			Y, A, B []float64
		} `json:"delong"`
		Correlation []struct {
			X, Y     []float64
			Pearson  [2]float64
			CI       [2]float64 `json:"pearson_ci95"`
			Spearman [2]float64
		} `json:"correlation"`
		Divergence struct {
			P       []float64
			Entropy float64 `json:"entropy_nats"`
		} `json:"divergence"`
	}
	loadJSON(t, &file, "uq-golden", "stats.json")
	for _, c := range file.Proportions {
		f, err := Wilson(c.K, c.N, 0.95)
		near(t, "Wilson low", f.Low, err, c.Wilson[0], 1e-9)
		near(t, "Wilson high", f.High, err, c.Wilson[1], 1e-9)
		f, err = ClopperPearson(c.K, c.N, 0.95)
		near(t, "Clopper–Pearson low", f.Low, err, c.Beta[0], 1e-9)
		near(t, "Clopper–Pearson high", f.High, err, c.Beta[1], 1e-9)
	}
	for _, c := range file.Proportions90 {
		f, err := Wilson(c.K, c.N, 0.90)
		near(t, "Wilson 90 low", f.Low, err, c.Wilson[0], 1e-9)
		near(t, "Wilson 90 high", f.High, err, c.Wilson[1], 1e-9)
	}
	for _, c := range file.Bootstrap {
		for kind, want := range map[IntervalKind][2]float64{Percentile: c.Pct, Basic: c.Basic, BCa: c.BCa} {
			b := Bootstrap{Resamples: 40_000, Kind: kind}
			f, err := b.Figure(seeded(1), len(c.X), func(idx []int) (float64, error) {
				var s float64
				for _, i := range idx {
					s += c.X[i]
				}
				return s / float64(len(idx)), nil
			})
			near(t, f.Method+" low", f.Low, err, want[0], c.Tolerance)
			near(t, f.Method+" high", f.High, err, want[1], c.Tolerance)
		}
	}
	m, se, df, err := clusterMean(file.Clustered.X, file.Clustered.Cluster)
	g := float64(df + 1)
	near(t, "cluster mean", m, err, file.Clustered.Mean, 1e-9)
	near(t, "cluster se", se*math.Sqrt((g-1)/g), err, file.Clustered.Miller, 1e-9)
	_, se, _, err = clusterMean(file.Clustered.X, nil)
	near(t, "iid se", se, err, file.Clustered.IID, 1e-9)
	for _, c := range file.McNemar {
		exact, mid, err := McNemar(c.B, c.C)
		near(t, "McNemar exact", exact.P, err, c.Exact, 1e-9)
		near(t, "McNemar mid-p", mid.P, err, c.Mid, 1e-9)
	}
	for _, c := range file.DeLong {
		parts, err := components(c.Y, c.A, c.B)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			near(t, "DeLong AUC", parts.auc[i], nil, c.AUC[i], 1e-9)
			for j := range 2 {
				near(t, "DeLong covariance", parts.cov(i, j), nil, c.Cov[i][j], 1e-9)
			}
		}
		p, err := DeLongPaired(c.A, c.B, c.Y, 0.95)
		near(t, "DeLong z", p.Test.Statistic, err, c.Z, 1e-9)
		near(t, "DeLong p", p.Test.P, err, c.P, 1e-9)
		f, err := DeLong(c.A, c.Y, 0.95)
		near(t, "DeLong interval", f.High-f.Low, err, 2*normalQuantile(0.95)*math.Sqrt(c.Cov[0][0]), 1e-9)
	}
	for _, c := range file.Correlation {
		r, err := Pearson(c.X, c.Y)
		near(t, "Pearson", r, err, c.Pearson[0], 1e-9)
		f, err := FisherZ(r, len(c.X), 0.95)
		near(t, "Fisher low", f.Low, err, c.CI[0], 1e-9)
		near(t, "Fisher high", f.High, err, c.CI[1], 1e-9)
		r, err = Spearman(c.X, c.Y)
		near(t, "Spearman", r, err, c.Spearman[0], 1e-9)
	}
	h, err := Entropy(file.Divergence.P)
	near(t, "entropy", h, err, file.Divergence.Entropy, 1e-9)
}

func TestGoldenStopping(t *testing.T) {
	var file struct {
		Adaptive []struct {
			Counts    []int
			Beta      float64 `json:"beta_exact"`
			Dirichlet float64 `json:"dirichlet_exact_observed_categories"`
		} `json:"adaptive_consistency"`
		ESC []struct {
			Answers []int
			Max     int
			Stop    int `json:"adaptive_beta_95_stop"`
		}
	}
	loadJSON(t, &file, "uq-golden", "stopping.json")
	for _, c := range file.Adaptive {
		top := slices.Clone(c.Counts)
		slices.Sort(top)
		slices.Reverse(top)
		second := 0
		if len(top) > 1 {
			second = top[1]
		}
		v, err := BetaMajority(top[0], second)
		near(t, "beta", v, err, c.Beta, 1e-9)
		v, err = DirichletTop(c.Counts)
		near(t, "Dirichlet", v, err, c.Dirichlet, 1e-8)
	}
	for _, c := range file.ESC {
		counts := make([]int, 10)
		stop := min(c.Max, len(c.Answers))
		for k, a := range c.Answers[:stop] {
			counts[a]++
			top := slices.Clone(counts)
			slices.Sort(top)
			p, err := BetaMajority(top[9], top[8])
			if err != nil {
				t.Fatal(err)
			}
			if p >= 0.95 {
				stop = k + 1
				break
			}
		}
		if stop != c.Stop {
			t.Errorf("beta rule stops at %d, want %d", stop, c.Stop)
		}
	}
	// The table of the methods' specification.
	for _, c := range []struct {
		a, b int
		want float64
	}{{3, 0, .9375}, {4, 0, .96875}, {5, 1, .9375}, {6, 1, .96484}, {7, 1, .98047}, {8, 2, .96729}, {5, 5, .5}} {
		v, err := BetaMajority(c.a, c.b)
		near(t, "beta table", v, err, c.want, 5e-6)
	}
}

// The 50 AUROCs of Plaut, Khanh and Trinh's released results, recomputed from the released confidences.
func TestPublishedMaxSoftmaxAUROC(t *testing.T) {
	type key struct{ prompt, dataset, model string }
	score, label := map[key][]float64{}, map[key][]float64{}
	for _, r := range table(t, "many-models-confidence", "max-softmax.csv.gz") {
		k := key{r["prompt"] + "_prompt", r["dataset"], r["model"]}
		y := 0.0
		if r["grade"] == "Correct" {
			y = 1
		}
		score[k] = append(score[k], number(t, r["confidence"]))
		label[k] = append(label[k], y)
	}
	published := table(t, "many-models-confidence", "max-softmax-published.csv")
	if len(published) != 50 {
		t.Fatalf("%d published values, want 50", len(published))
	}
	for _, r := range published {
		k := key{r["prompt"], r["dataset"], r["model"]}
		v, err := AUROC(score[k], label[k])
		near(t, strings.Join([]string{k.prompt, k.dataset, k.model}, " "), v, err, number(t, r["sample_auroc"]), 1e-9)
	}
}

// Accuracy, ECE and AUROC by category on MMLU-Pro. The authors' bins are left-open with a confidence of 0 in none, and rows
// with a missing confidence are dropped.
func TestPublishedMMLUPro(t *testing.T) {
	compared := 0
	published := table(t, "many-models-confidence", "mmlu-pro-published.csv")
	for _, model := range []string{"Meta-Llama-3.1-70B-Instruct-Turbo", "Qwen3-1.7B-think"} {
		rows := table(t, "many-models-confidence", "mmlu-pro-"+model+".csv.gz")
		signals := []string{"verbal_numerical", "verbal_linguistic", "logit_perplexity"}
		for _, want := range published {
			if want["model"] != model {
				continue
			}
			var kept []map[string]string
			for _, r := range rows {
				if r["category"] == want["category"] && !slices.ContainsFunc(signals, func(s string) bool { return r[s] == "" }) {
					kept = append(kept, r)
				}
			}
			if n := number(t, want["n"]); n != float64(len(kept)) {
				t.Errorf("%s %s: %d rows, want %v", model, want["category"], len(kept), n)
				continue
			}
			y := make([]float64, len(kept))
			for i, r := range kept {
				if r["correct"] == r["extracted"] {
					y[i] = 1
				}
			}
			near(t, model+" accuracy", mean(y), nil, number(t, want["accuracy"]), 1e-6)
			for _, s := range signals {
				p := make([]float64, len(kept))
				var inP, inY []float64
				for i, r := range kept {
					p[i] = number(t, r[s])
					if p[i] > 0 {
						inP, inY = append(inP, p[i]), append(inY, y[i])
					}
				}
				name := strings.Join([]string{model, want["category"], s}, " ")
				bins, err := Bins(inP, inY, WidthRight, 10)
				near(t, "ECE "+name, ECE(bins)*float64(len(inP))/float64(len(p)), err, number(t, want["ece_"+s]), 1e-4)
				v, err := AUROC(p, y)
				near(t, "AUROC "+name, v, err, number(t, want["auroc_"+s]), 1e-6)
				compared += 2
			}
		}
	}
	if compared != 28*6 {
		t.Errorf("%d values compared, want %d", compared, 28*6)
	}
}

// The trapezoidal areas and correlations published for SelfCheckGPT's sentence scores on WikiBio.
func TestPublishedWikiBioAreas(t *testing.T) {
	rows := table(t, "wikibio-gpt3-hallucination", "sentence_scores.csv")
	for _, c := range []struct {
		column           string
		lastPassage      int
		nonFact, factual float64
	}{
		{"nli_kaist", 118, 91.74, 64.32},
		{"bertscore_kaist", 118, 81.24, 40.90},
		{"prompt_kaist_qwen3.5_9b", 118, 92.54, 69.86},
		{"prompt_gemma4_31b", 237, 93.07, 72.99},
	} {
		var score, wrong []float64
		for _, r := range rows {
			if number(t, r["dataset_idx"]) <= float64(c.lastPassage) && r[c.column] != "" {
				score = append(score, number(t, r[c.column]))
				y := 1.0
				if r["annotation"] == "accurate" {
					y = 0
				}
				wrong = append(wrong, y)
			}
		}
		v, err := PRAUCTrapezoid(score, wrong)
		near(t, c.column+" NonFact", 100*v, err, c.nonFact, 0.005)
		v, err = PRAUCTrapezoid(negated(score), errorsOf(wrong))
		near(t, c.column+" Factual", 100*v, err, c.factual, 0.005)
	}
}
