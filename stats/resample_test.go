package stats

import (
	"math"
	"testing"
)

// A figure of weighed runs is the figure of the items drawn, written out.
func TestWeighedRunsAreTheItemsDrawn(t *testing.T) {
	rng := seeded(11)
	for trial := range 200 {
		n := 2 + rng.IntN(60)
		score, y, group, cluster := make([]float64, n), make([]float64, n), make([]int, n), make([]int, n)
		for i := range score {
			score[i] = float64(rng.IntN(12)) / 11 // ties, 0 and 1, some on an edge
			if trial%2 == 0 {
				score[i] = rng.Float64()
			}
			y[i] = float64(rng.IntN(2))
			if trial%5 == 0 {
				y[i] = float64(rng.IntN(4)) / 3
			}
			group[i], cluster[i] = rng.IntN(3), rng.IntN(1+n/2)
		}
		if trial%3 == 0 {
			cluster = nil
		}
		unit, units, _ := unitsOf(cluster, n)
		count := make([]int32, units)
		draw(rng, count)
		var s, o []float64
		var g []int
		for i, u := range unit {
			for range count[u] {
				s, o, g = append(s, score[i]), append(o, y[i]), append(g, group[i])
			}
		}
		runs, perfect := newRanking(score, y, unit).weigh(count), newRanking(y, y, unit).weigh(count)
		same := func(name string, got float64, gotErr error, want float64, wantErr error) {
			t.Helper()
			if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !(math.Abs(got-want) < 1e-12) {
				t.Errorf("trial %d, %s: %v (%v), want %v (%v)", trial, name, got, gotErr, want, wantErr)
			}
		}
		want, err := AURC(s, o)
		same("AURC", aurc(runs), nil, want, err)
		want, err = EAURC(s, o)
		same("EAURC", aurc(runs)-aurc(perfect), nil, want, err)
		for _, share := range []float64{0.5, 1} {
			got, gotErr := prr(runs, perfect, share)
			want, err = PRR(s, o, share)
			same("PRR", got, gotErr, want, err)
		}
		if trial%5 != 0 {
			got, gotErr := auroc(runs)
			want, err = AUROC(s, o)
			same("AUROC", got, gotErr, want, err)
			var groups [][]tied
			for _, r := range within(score, y, unit, group) {
				groups = append(groups, r.weigh(count))
			}
			got, gotErr = auroc(groups...)
			want, err = AUROCWithin(s, o, g)
			same("AUROC within", got, gotErr, want, err)
			got, gotErr = precisionRecall(reversed(nil, runs), func(_, p float64) float64 { return p })
			want, err = AveragePrecision(mapped(s, func(v float64) float64 { return -v }), mapped(o, func(v float64) float64 { return 1 - v }))
			same("average precision of errors", got, gotErr, want, err)
		}
		for m := 1; m <= 15; m += 7 {
			for _, c := range []struct {
				rule  Binning
				edges []float64
			}{{WidthRight, widthEdges(m)}, {MassQuantile, massEdges(nil, runs, m)}} {
				bins, err := Bins(s, o, c.rule, m)
				if err != nil {
					t.Fatal(err)
				}
				got := cut(nil, runs, c.edges)
				if len(got) != len(bins) {
					t.Fatalf("trial %d: %d bins, want %d", trial, len(got), len(bins))
				}
				for k, b := range bins {
					if got[k].N != b.N {
						t.Errorf("trial %d, bin %d holds %d, want %d", trial, k, got[k].N, b.N)
					}
					same("P", got[k].P, nil, b.P, nil)
					same("Y", got[k].Y, nil, b.Y, nil)
				}
			}
		}
		for _, group := range [][]int{nil, group} {
			k, err := newSkills(score, y, unit, group)
			if err != nil {
				t.Fatal(err)
			}
			got, gotErr := k.of(count)
			if group != nil {
				group = g
			}
			base, err := BaseRates(o, group)
			if err != nil {
				t.Fatal(err)
			}
			want, err := LogLossSkill(s, base, o)
			if gotErr == nil || err == nil { // a base rate of 2/3 + 1/3 may miss 1 by rounding on one side only
				same("skill", got, gotErr, want, err)
			}
		}
	}
}

// The keptQuality of a long run is that of its items one by one, whatever the depth.
func TestHarmonic(t *testing.T) {
	for _, from := range []float64{0, 1, 7, 100, 12345} {
		for _, length := range []float64{0, 1, 2, 3, 32, 33, 1000, 200_000} {
			var want float64
			for k := from + 1; k <= from+length; k++ {
				want += 1 / k
			}
			if got := harmonic(from, from+length); math.Abs(got-want) > 1e-12 {
				t.Errorf("from %g, %g terms: %v, want %v", from, length, got, want)
			}
		}
	}
}

// Simulated bins are those of PerfectForecaster.
func TestPerfectBins(t *testing.T) {
	p, y := draws(seeded(3), 700, overconfident)
	for i := range p {
		p[i] = math.Round(p[i]*20) / 20
	}
	got := perfectBins(seeded(5), p, widthEdges(10), 200, ECE, DebiasedECE)
	for k, f := range []func([]Bin) float64{ECE, DebiasedECE} {
		want, err := PerfectForecaster(seeded(5), p, y, Binned(WidthRight, 10, f), 200)
		if err != nil {
			t.Fatal(err)
		}
		if w := want.Perfect; math.Abs(got[k].Value-w.Value)+math.Abs(got[k].Low-w.Low)+math.Abs(got[k].High-w.High) > 1e-12 || got[k].N != w.N || got[k].Method != w.Method {
			t.Errorf("figure %d: %+v, want %+v", k, got[k], w)
		}
	}
}

// A figure of a summary is the one that the bootstrap gives alone, but for the random numbers.
func TestSummariseAgreesWithSeparateBootstraps(t *testing.T) {
	p, y := draws(seeded(8), 500, overconfident)
	cluster := make([]int, len(y))
	for i := range cluster {
		cluster[i] = i / 3
	}
	for _, cluster := range [][]int{nil, cluster} {
		s, err := Summarise(seeded(1), p, y, Options{Cluster: cluster, Resamples: 1000})
		if err != nil {
			t.Fatal(err)
		}
		boot := Bootstrap{Resamples: 1000, Cluster: cluster}
		for name, c := range map[string]struct {
			got    Figure
			metric Metric
		}{
			"ap": {s.APCorrect, AveragePrecision}, "aurc": {s.AURC, AURC}, "eaurc": {s.EAURC, EAURC},
			"prr": {s.PRR, func(score, y []float64) (float64, error) { return PRR(score, y, 1) }},
			"skill": {s.Skill, func(score, y []float64) (float64, error) {
				base, _ := BaseRates(y, nil)
				return LogLossSkill(score, base, y)
			}},
		} {
			want, err := boot.Of(seeded(2), c.metric, p, y)
			if err != nil {
				t.Fatal(err)
			}
			width := want.High - want.Low
			if math.Abs(c.got.Value-want.Value) > 1e-12 || math.Abs(c.got.Low-want.Low) > 0.1*width || math.Abs(c.got.High-want.High) > 0.1*width || c.got.Method != want.Method {
				t.Errorf("%s: %+v, want about %+v", name, c.got, want)
			}
		}
	}
}

// Rankings are the figures that the generic bootstrap gives.
func TestRankingsAreThoseOfTheGenericBootstrap(t *testing.T) {
	p, y := draws(seeded(3), 300, overconfident)
	group, cluster := make([]int, len(y)), make([]int, len(y))
	for i := range y {
		group[i], cluster[i] = i%3, i/4
	}
	for _, cluster := range [][]int{nil, cluster} {
		b := Bootstrap{Resamples: 2000, Cluster: cluster}
		got, err := b.Rankings(seeded(4), p, y, group)
		if err != nil {
			t.Fatal(err)
		}
		within, err := b.Figure(seeded(5), len(y), func(idx []int) (float64, error) {
			g := make([]int, len(idx))
			for k, i := range idx {
				g[k] = group[i]
			}
			return AUROCWithin(take(nil, p, idx), take(nil, y, idx), g)
		})
		if err != nil {
			t.Fatal(err)
		}
		prr, err := b.Of(seeded(6), func(score, y []float64) (float64, error) { return PRR(score, y, 1) }, p, y)
		if err != nil {
			t.Fatal(err)
		}
		area, err := b.Of(seeded(7), AURC, p, y)
		if err != nil {
			t.Fatal(err)
		}
		for name, pair := range map[string][2]Figure{"AUROC within": {got.AUROCWithin, within}, "PRR": {got.PRR, prr}, "AURC": {got.AURC, area}} {
			noise := 0.15 * (pair[1].High - pair[1].Low)
			if g, w := pair[0], pair[1]; !(math.Abs(g.Value-w.Value) < 1e-12) || !(math.Abs(g.Low-w.Low) < noise) || !(math.Abs(g.High-w.High) < noise) {
				t.Errorf("%s: %v, want %v but for noise", name, g, w)
			}
		}
	}
	if _, err := (Bootstrap{}).Rankings(seeded(1), p, y[1:], nil); err == nil {
		t.Error("unequal lengths pass")
	}
}
