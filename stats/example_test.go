package stats_test

import (
	"fmt"
	"math/rand/v2"

	"gnothi/stats"
)

var (
	score = []float64{.95, .9, .85, .8, .7, .6, .55, .4, .3, .2}
	right = []float64{1, 1, 1, 0, 1, 1, 0, 0, 1, 0}
)

func ExampleAUROC() {
	v, err := stats.AUROC(score, right)
	fmt.Printf("%.4f %v\n", v, err)
	// Output: 0.7917 <nil>
}

func ExampleDeLong() {
	f, err := stats.DeLong(score, right, 0.95)
	fmt.Println(f, err)
	// Output: 0.792 [0.480, 1.000] (n=10) <nil>
}

func ExampleBins() {
	bins, err := stats.Bins(score, right, stats.WidthRight, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, b := range bins {
		fmt.Printf("(%.2f, %.2f] claims %.2f, right %.2f, n=%d\n", b.Low, b.High, b.P, b.Y, b.N)
	}
	fmt.Printf("ECE %.3f\n", stats.ECE(bins))
	// Output:
	// (0.00, 0.25] claims 0.20, right 0.00, n=1
	// (0.25, 0.50] claims 0.35, right 0.50, n=2
	// (0.50, 0.75] claims 0.62, right 0.67, n=3
	// (0.75, 1.00] claims 0.88, right 0.75, n=4
	// ECE 0.115
}

func ExampleSummarise() {
	rng := rand.New(rand.NewPCG(1, 0))
	s, err := stats.Summarise(rng, score, right, stats.Options{Bins: 4, Resamples: 200})
	fmt.Println("accuracy", s.Accuracy, err)
	fmt.Println("within kinds", s.AUROCWithin)
	// Output:
	// accuracy 0.600 [0.313, 0.832] (n=10) <nil>
	// within kinds n/a (no groups given)
}

func ExamplePerfectForecaster() {
	rng := rand.New(rand.NewPCG(1, 0))
	c, err := stats.PerfectForecaster(rng, score, right, stats.Binned(stats.WidthRight, 4, stats.ECE), 2000)
	fmt.Printf("observed %.2f, a perfect forecaster shows %.2f on average, %v\n", c.Observed, c.Perfect.Value, err)
	// Output: observed 0.12, a perfect forecaster shows 0.22 on average, <nil>
}

func ExampleFitPlatt() {
	m, err := stats.FitPlatt(score, right, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := stats.MarshalMap(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	stored, err := stats.UnmarshalMap(b)
	fmt.Printf("0.9 means %.2f, %v\n", stored.Apply(0.9), err)
	// Output: 0.9 means 0.87, <nil>
}

func ExampleBootstrap_Of() {
	rng := rand.New(rand.NewPCG(1, 0))
	f, err := stats.Bootstrap{Resamples: 500, Level: 0.9}.Of(rng, stats.AURC, score, right)
	fmt.Println(f.Method, err)
	// Output: bootstrap percentile over 10 items, 500 resamples, 90 % <nil>
}

func ExampleFitLogistic() {
	// Two signals of each answer: agreement of samples, mean log-probability.
	x := [][]float64{{1, -.1}, {.9, -.2}, {.4, -.9}, {.8, -.1}, {.3, -.5}, {.5, -1.2}, {.9, -.7}, {.2, -.4}}
	y := []float64{1, 1, 0, 1, 0, 0, 0, 1}
	m, err := stats.FitLogistic(x, y, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := m.Interval([]float64{.9, -.3}, 0.9)
	fmt.Println(f, err)
	// Output: 0.697 [0.282, 0.931] (n=8) <nil>
}

func ExampleCrossFitMap() {
	rng := rand.New(rand.NewPCG(1, 0))
	fold, err := stats.Folds(rng, len(score), 5, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := stats.CrossFitMap(fold, score, right, func(score, y []float64) (stats.Map, error) {
		smooth, err := stats.SmoothTargets(y)
		if err != nil {
			return nil, err
		}
		return stats.FitPlatt(score, smooth, false)
	})
	fmt.Println(len(p), "honest probabilities,", err)
	// Output: 10 honest probabilities, <nil>
}

func ExampleCertifier() {
	c, err := stats.NewCertifier[string](0.05)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, answer := range []string{"Paris", "Paris", "Lyon", "Paris", "Paris", "Paris", "Paris", "Paris", "Paris", "Paris", "Paris", "Paris", "Paris", "Paris"} {
		c.Add(answer)
		if s := c.Certificate(); s.Certified {
			fmt.Printf("%s after %d draws\n", s.Answer, s.Draws)
			return
		}
	}
	fmt.Printf("not settled, alpha %.3f\n", c.Certificate().Alpha)
	// Output: Paris after 12 draws
}

// Of the answers given, at most one in ten may be wrong: found on 400 labels, for a score that says something.
func ExampleLearnThenTest() {
	rng := rand.New(rand.NewPCG(2, 0))
	var score, right []float64
	for range 400 {
		p := rng.Float64()
		y := 0.0
		if rng.Float64() < 0.7+0.3*p {
			y = 1
		}
		score, right = append(score, p), append(right, y)
	}
	g, err := stats.LearnThenTest(score, right, 0.1, 0.05)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("give answers above %.2f: %d of %d, %d wrong\n", g.Threshold, g.Given, g.N, g.Wrong)
	// Output: give answers above 0.47: 210 of 400, 12 wrong
}

// Ten questions answered twice: what was right stays right in five of six, one of four wrong ones is mended.
func ExampleBootstrap_Correction() {
	t, f := []bool{true}, []bool{false}
	before := [][]bool{t, t, t, t, t, t, f, f, f, f}
	after := [][]bool{t, t, t, t, t, f, t, f, f, f}
	c, err := stats.Bootstrap{}.Correction(rand.New(rand.NewPCG(1, 0)), before, after)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("confidence %.2f, critique %.2f, accuracy %.1f to %.1f, relative score %.2f\n",
		c.Confidence.Value, c.Critique.Value, c.Before.Value, c.After.Value, c.Relative.Value)
	// Output: confidence 0.83, critique 0.25, accuracy 0.6 to 0.6, relative score 0.50
}

// The example of the methods' specification: four ratings for each of two answers, every cell padded by 1/8.
func ExampleMetaD() {
	m, err := stats.MetaD([]int{52, 32, 35, 37, 26, 12, 4, 2}, []int{2, 5, 15, 22, 33, 38, 40, 45}, 1./8)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("d' %.2f, meta-d' %.2f, M-ratio %.2f\n", m.DPrime, m.MetaD, m.MRatio)
	// Output: d' 1.53, meta-d' 1.63, M-ratio 1.06
}

// What 500 questions can show about two models of some 70 % accuracy whose answers go along, and how many it takes for two
// points.
func ExampleMinimumDetectable() {
	aim := stats.PairedRates{Rate: 0.7, Correlation: 0.6}
	f, err := stats.MinimumDetectable(500, aim, stats.Plan{})
	if err != nil {
		panic(err)
	}
	n, err := stats.ItemsNeeded(0.02, aim, stats.Plan{})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.3f with 500; 0.02 with %d\n", f.Value, n)
	// Output: 0.050 with 500; 0.02 with 3238
}

// A judge graded 1,000 answers; people checked 100 of other answers, and found it lenient.
func ExampleRoganGladen() {
	tried := stats.Detection{Hits: 57, Misses: 3, FalseAlarms: 12, Rejections: 28}
	f, err := stats.RoganGladen(700, 1000, tried, 0.95)
	fmt.Println(f, err)
	// Output: 0.615 [0.499, 0.726] (n=1000) <nil>
}

// The same judge, where people graded a random part of the run itself.
func ExamplePPI() {
	var labels, judged, rest []float64
	for i := range 100 {
		labels = append(labels, float64(min(1, i%5)))         // 80 % right
		judged = append(judged, float64(min(1, i%5+i%2*i%3))) // the judge calls some more right
	}
	for i := range 900 {
		rest = append(rest, float64(min(1, i%5+i%2*i%3)))
	}
	f, err := stats.PPI{}.Mean(labels, judged, rest)
	fmt.Println(f, err)
	fmt.Println(f.Method)
	// Output:
	// 0.797 [0.743, 0.852] (n=1000) <nil>
	// PPI++, λ = 0.811, 100 of 1000 labelled, 95 %
}
