package stats

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"testing"
)

type goldenTests struct {
	Paired []struct {
		Kind        string
		A, B        []float64
		Permutation float64 `json:"perm_exact_two_sided"`
		WStat       float64 `json:"wilcoxon_stat"`
		WP          float64 `json:"wilcoxon_exact_p"`
		T           float64
		TP          float64 `json:"t_p"`
		Stat        float64
		PNormal     float64 `json:"p_normal"`
		PCorrected  float64 `json:"p_normal_cc"`
		U, P        float64
	}
	Multiple []struct {
		P, Bonferroni, Holm, Hommel []float64
		Hochberg                    []float64 `json:"simes-hochberg"`
		BH                          []float64 `json:"fdr_bh"`
		BY                          []float64 `json:"fdr_by"`
	}
	Agreement []struct {
		Kind                              string
		A, B                              []int
		Kappa, Linear, Quadratic          float64
		Ratings                           [][]*float64 `json:"ratings_rater_by_item"`
		Fleiss, Randolph                  float64
		Nominal, Ordinal, Interval, Ratio float64
		Subjects                          [][]float64 `json:"subjects_by_items"`
		Alpha                             float64
		CI                                [2]float64 `json:"ci95"`
		Table                             map[string]float64
	}
	Correlation []struct {
		X, Y              []float64
		Pearson, Spearman [2]float64
		B                 [2]float64 `json:"kendall_b"`
		C                 [2]float64 `json:"kendall_c"`
	}
	Effect struct {
		X, Y  []float64
		D     float64    `json:"cohen_d_pooled"`
		G     float64    `json:"hedges_g"`
		Welch [2]float64 `json:"welch_t"`
	}
	SDT []struct {
		Hits, Misses, FA, CR int
		None                 *goldenSDT
		LogLinear            goldenSDT
		Clip                 goldenSDT `json:"macmillan_creelman"`
	}
	MetaD []struct {
		S1     []int      `json:"nR_S1"`
		S2     []int      `json:"nR_S2"`
		Padded goldenMeta `json:"metadpy_padded"`
		Raw    goldenMeta `json:"metadpy_raw"`
	}
	BT struct {
		Games [][2]int `json:"games_winner_loser"`
		Wins  [][]float64
		Theta []float64 `json:"theta_sum0"`
		SE    []float64 `json:"se_sum0"`
		Elo32 []float64 `json:"elo_k32_init1000"`
		Elo4  []float64 `json:"elo_k4_init1000"`
	} `json:"bradley_terry"`
	Divergence struct {
		P, Q                   []float64
		KL, TV, Hellinger, RPS float64
		JS                     float64 `json:"js_nats"`
		W1                     float64 `json:"wasserstein1_index"`
	}
	Conformal []struct {
		Scores []float64
		Alpha  float64
		QHat   any
	}
}

type goldenSDT struct {
	DPrime, Criterion float64
	LnBeta            float64 `json:"ln_beta"`
	APrime            float64 `json:"A_aprime"`
}

type goldenMeta struct {
	DPrime float64
	MetaD  float64 `json:"meta_d"`
	Ratio  float64 `json:"m_ratio"`
}

func goldenTestFile(t testing.TB) (file goldenTests) {
	loadJSON(t, &file, "uq-golden", "stats.json")
	return file
}

func TestGoldenPairedTests(t *testing.T) {
	seen := 0
	for _, c := range goldenTestFile(t).Paired {
		seen++
		switch c.Kind {
		case "":
			p, err := PairedPermutation(seeded(1), c.A, c.B)
			near(t, "permutation", p.P, err, c.Permutation, 1e-9)
			w, err := Wilcoxon(c.A, c.B, ZerosDrop)
			near(t, "Wilcoxon statistic", w.Statistic, err, c.WStat, 1e-9)
			near(t, "Wilcoxon p", w.P, err, c.WP, 1e-9)
			s, err := PairedTTest(c.A, c.B)
			near(t, "t", s.Statistic, err, c.T, 1e-9)
			near(t, "t p", s.P, err, c.TP, 1e-9)
		case "mannwhitney":
			u, err := MannWhitney(c.A, c.B)
			near(t, "U", u.Statistic, err, c.U, 1e-9)
			near(t, "U p", u.P, err, c.P, 1e-9)
		default:
			rule := map[string]Zeros{"ties_zeros_wilcox": ZerosDrop, "ties_zeros_pratt": ZerosPratt, "ties_zeros_zsplit": ZerosSplit}[c.Kind]
			w, err := Wilcoxon(c.A, c.B, rule)
			near(t, c.Kind+" statistic", w.Statistic, err, c.Stat, 1e-9)
			near(t, c.Kind+" p", w.P, err, c.PNormal, 1e-9)
			w, err = wilcoxon(c.A, c.B, rule, 0.5)
			near(t, c.Kind+" corrected p", w.P, err, c.PCorrected, 1e-9)
		}
	}
	if seen != 6 {
		t.Errorf("%d cases, want 6", seen)
	}
}

func TestGoldenAdjust(t *testing.T) {
	for _, c := range goldenTestFile(t).Multiple {
		for how, want := range map[Adjustment][]float64{
			Holm: c.Holm, BenjaminiHochberg: c.BH, BenjaminiYekutieli: c.BY, Bonferroni: c.Bonferroni, Hochberg: c.Hochberg, Hommel: c.Hommel,
		} {
			got, err := Adjust(c.P, how)
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				near(t, "adjusted p", got[i], nil, want[i], 1e-9)
			}
		}
	}
}

func TestGoldenAgreement(t *testing.T) {
	var fleiss [][]float64
	for _, c := range goldenTestFile(t).Agreement {
		var ratings [][]float64
		for _, row := range c.Ratings {
			var r []float64
			for _, v := range row {
				r = append(r, orNaN(v))
			}
			ratings = append(ratings, r)
		}
		switch c.Kind {
		case "cohen":
			v, err := CohenKappa(c.A, c.B)
			near(t, "kappa", v, err, c.Kappa, 1e-9)
			v, err = WeightedKappa(c.A, c.B, 1)
			near(t, "linear kappa", v, err, c.Linear, 1e-9)
			v, err = WeightedKappa(c.A, c.B, 2)
			near(t, "quadratic kappa", v, err, c.Quadratic, 1e-9)
		case "fleiss":
			counts := make([][]int, len(ratings[0]))
			for i := range counts {
				counts[i] = make([]int, 5)
				row := make([]float64, len(ratings))
				for r := range ratings {
					counts[i][int(ratings[r][i])-1]++
					row[r] = ratings[r][i]
				}
				fleiss = append(fleiss, row)
			}
			v, err := FleissKappa(counts)
			near(t, "Fleiss", v, err, c.Fleiss, 1e-9)
			v, err = RandolphKappa(counts)
			near(t, "Randolph", v, err, c.Randolph, 1e-9)
		case "krippendorff_full", "krippendorff_missing":
			for scale, want := range map[Scale]float64{Nominal: c.Nominal, Ordinal: c.Ordinal, Interval: c.Interval, Ratio: c.Ratio} {
				v, err := Krippendorff(ratings, scale)
				near(t, c.Kind, v, err, want, 1e-9)
			}
		case "cronbach":
			f, err := CronbachAlpha(c.Subjects, 0.95)
			near(t, "Cronbach", f.Value, err, c.Alpha, 1e-9)
			near(t, "Feldt low", f.Low, err, c.CI[0], 5e-4+1e-9) // stored with three digits
			near(t, "Feldt high", f.High, err, c.CI[1], 5e-4+1e-9)
		case "icc_of_fleiss_ratings":
			r, err := IntraclassCorrelation(fleiss)
			for key, got := range map[string]float64{
				"ICC(1,1)": r.SingleOneWay, "ICC(A,1)": r.SingleAgreement, "ICC(C,1)": r.SingleConsistency,
				"ICC(1,k)": r.MeanOneWay, "ICC(A,k)": r.MeanAgreement, "ICC(C,k)": r.MeanConsistency,
			} {
				near(t, key, got, err, c.Table[key], 1e-9)
			}
		default:
			t.Errorf("case %q is not compared", c.Kind)
		}
	}
}

func TestGoldenRankCorrelation(t *testing.T) {
	distinct := func(x []float64) int { return len(slices.Compact(slices.Sorted(slices.Values(x)))) }
	for _, c := range goldenTestFile(t).Correlation {
		for what, pair := range map[string]struct {
			f    Metric
			want [2]float64
		}{"Pearson": {Pearson, c.Pearson}, "Spearman": {Spearman, c.Spearman}} {
			r, err := pair.f(c.X, c.Y)
			near(t, what, r, err, pair.want[0], 1e-9)
			p, err := CorrelationTest(r, len(c.X))
			near(t, what+" p", p.P, err, pair.want[1], 1e-9)
		}
		k, err := Concord(c.X, c.Y)
		if err != nil {
			t.Fatal(err)
		}
		v, err := k.TauB()
		near(t, "tau-b", v, err, c.B[0], 1e-9)
		v, err = k.TauC(min(distinct(c.X), distinct(c.Y)))
		near(t, "tau-c", v, err, c.C[0], 1e-9)
		p, err := k.Test()
		near(t, "Kendall p", p.P, err, c.B[1], 1e-9)
	}
	var file struct {
		Cases []struct {
			Name                 string
			Uncertainty, Quality []float64
			Values               map[string]json.RawMessage
		}
	}
	loadJSON(t, &file, "uq-golden", "ranking.json")
	compared := 0
	for _, c := range file.Cases {
		score := negated(c.Uncertainty)
		k, err := Concord(score, c.Quality)
		if err != nil {
			t.Fatal(err)
		}
		for key, f := range map[string]func() (float64, error){
			"kendall_tau_b": k.TauB, "kendall_tau_c": func() (float64, error) { return k.TauC(min(distinct(score), distinct(c.Quality))) },
			"c_index_lifelines": k.CIndex, "somers_d_of_conf_given_quality": k.SomersD,
		} {
			var want float64
			if json.Unmarshal(c.Values[key], &want) != nil {
				continue // absent, or "nan" of a constant
			}
			if c.Values[key] == nil {
				continue
			}
			v, err := f()
			near(t, c.Name+" "+key, v, err, want, 1e-9)
			compared++
		}
	}
	if compared < 20 {
		t.Errorf("only %d values compared", compared)
	}
}

func TestGoldenEffect(t *testing.T) {
	c := goldenTestFile(t).Effect
	d, err := CohenD(c.X, c.Y)
	near(t, "Cohen's d", d, err, c.D, 1e-9)
	g, err := HedgesG(c.X, c.Y)
	near(t, "Hedges' g", g, err, c.G, 1e-9)
	w, err := WelchTTest(c.X, c.Y)
	near(t, "Welch t", w.Statistic, err, c.Welch[0], 1e-9)
	near(t, "Welch p", w.P, err, c.Welch[1], 1e-9)
}

func TestGoldenDetection(t *testing.T) {
	for _, c := range goldenTestFile(t).SDT {
		d := Detection{c.Hits, c.Misses, c.FA, c.CR}
		check := func(ends Ends, want goldenSDT) {
			s, err := d.Sensitivity(ends)
			near(t, "d'", s.DPrime, err, want.DPrime, 1e-9)
			near(t, "criterion", s.Criterion, err, want.Criterion, 1e-9)
			near(t, "ln beta", s.LnBeta, err, want.LnBeta, 1e-9)
			near(t, "A'", s.APrime, err, want.APrime, 1e-9)
		}
		check(EndsLogLinear, c.LogLinear)
		check(EndsClip, c.Clip)
		if c.None != nil {
			check(EndsRaw, *c.None)
		} else if _, err := d.Sensitivity(EndsRaw); err == nil {
			t.Error("a rate of 1 taken as it is gives no error")
		}
	}
}

func TestGoldenMetaD(t *testing.T) {
	for _, c := range goldenTestFile(t).MetaD {
		check := func(pad float64, want goldenMeta) {
			m, err := MetaD(c.S1, c.S2, pad)
			near(t, "d'", m.DPrime, err, want.DPrime, 1e-9)
			near(t, "meta-d'", m.MetaD, err, want.MetaD, 5e-3)
			near(t, "M-ratio", m.MRatio, err, want.Ratio, 5e-3)
		}
		check(1/float64(len(c.S1)), c.Padded)
		check(0, c.Raw)
	}
}

// Tables as unruly as chance makes them are fitted, unless the decisions themselves are at chance.
func TestMetaDSettles(t *testing.T) {
	rng, failed := seeded(3), 0
	for range 300 {
		r := 2 + rng.IntN(4)
		s1, s2 := make([]int, 2*r), make([]int, 2*r)
		for k := range s1 {
			s1[k], s2[k] = rng.IntN(30), rng.IntN(30)
		}
		if m, err := MetaD(s1, s2, 1/float64(2*r)); err != nil && math.Abs(m.DPrime) > 0.3 {
			failed++
			t.Log(s1, s2, err)
		} else if math.IsNaN(m.MetaD) || math.Abs(m.MetaD) > 20 {
			t.Errorf("%v %v: %+v", s1, s2, m)
		}
	}
	if failed > 0 {
		t.Errorf("%d of 300 fits did not settle", failed)
	}
}

func TestMetaDInterval(t *testing.T) {
	c := goldenTestFile(t).MetaD[0]
	f, err := Bootstrap{Resamples: 200}.MetaD(seeded(1), c.S1, c.S2, 0.125, func(m Metacognition) float64 { return m.MRatio })
	near(t, "M-ratio", f.Value, err, c.Padded.Ratio, 5e-3)
	if !(f.Low > 0.6 && f.Low < 1 && f.High > 1.1 && f.High < 1.6) {
		t.Errorf("interval %v", f)
	}
	if _, err := MetaD([]int{5, 0, 0, 5}, []int{5, 0, 0, 5}, 0); err == nil {
		t.Error("empty cells without a pad pass")
	}
	if _, err := MetaD([]int{5, 5, 5, 5}, []int{5, 5, 5, 5}, 0); err == nil {
		t.Error("a d' of 0 passes")
	}
}

func TestGoldenBradleyTerry(t *testing.T) {
	c := goldenTestFile(t).BT
	r, err := BradleyTerry(c.Wins, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Theta {
		near(t, "theta", r.Theta[i], nil, c.Theta[i], 1e-6)
		near(t, "se", r.SE[i], nil, c.SE[i], 1e-6)
	}
	for k, want := range map[float64][]float64{32: c.Elo32, 4: c.Elo4} {
		e, err := Elo(len(want), c.Games, k, 1000)
		for i := range want {
			near(t, "Elo", e[i], err, want[i], 1e-9)
		}
	}
}

func TestGoldenDivergence(t *testing.T) {
	c := goldenTestFile(t).Divergence
	for key, pair := range map[string]struct {
		f    Metric
		want float64
	}{
		"KL": {KL, c.KL}, "JS": {JensenShannon, c.JS}, "TV": {TotalVariation, c.TV}, "W1": {Wasserstein, c.W1},
		"Hellinger": {Hellinger, c.Hellinger}, "RPS": {RankedProbability, c.RPS},
	} {
		v, err := pair.f(c.P, c.Q)
		near(t, key, v, err, pair.want, 1e-9)
	}
}

func TestGoldenConformal(t *testing.T) {
	for _, c := range goldenTestFile(t).Conformal {
		q, err := ConformalQuantile(c.Scores, c.Alpha)
		want, ok := c.QHat.(float64)
		if !ok {
			want = math.Inf(1)
		}
		if err != nil || q != want {
			t.Errorf("quantile at %s is %v (%v), want %v", strconv.FormatFloat(c.Alpha, 'g', -1, 64), q, err, want)
		}
	}
}
