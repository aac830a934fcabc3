package consistency_test

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/monitor/likelihood"
)

// BenchmarkEstimators: each estimator by itself on arrays in memory, an item of 10 samples of 20 tokens and 8 words, 15
// alternatives at each token of the answer; items a CPU-second.
func BenchmarkEstimators(b *testing.B) {
	const n, length = 10, 20
	r := rand.New(rand.NewPCG(1, 2))
	vocabulary := strings.Fields("paris london rome the capital is of france city in 1871 no yes maybe berlin river answer forty two large")
	var given monitor.Given
	logs := make([]float64, n)
	class := make([]int, n)
	for i := range n + 1 {
		var words []string
		for range 8 {
			words = append(words, vocabulary[r.IntN(len(vocabulary))])
		}
		c := llm.Choice{Text: strings.Join(words, " ")}
		for range length {
			t := llm.Token{Text: "x", LogProb: -r.ExpFloat64() / 2}
			if i == 0 {
				for k := range 15 {
					t.Top = append(t.Top, llm.TopToken{Text: vocabulary[k], LogProb: -2 - float64(k)/3})
				}
			}
			c.Tokens = append(c.Tokens, t)
		}
		if i == 0 {
			given.Answer = &c
			continue
		}
		given.Samples = append(given.Samples, c)
		logs[i-1], class[i-1] = -r.ExpFloat64(), r.IntN(3)
	}
	w, entail, contra := consistency.NewMatrix(n), consistency.NewMatrix(n), consistency.NewMatrix(n)
	for i := range n {
		for j := range n {
			entail.Set(i, j, r.Float64()/2)
			contra.Set(i, j, r.Float64()/2)
		}
		w.Set(i, i, 1)
		for j := range i {
			v := r.Float64()
			w.Set(i, j, v)
			w.Set(j, i, v)
		}
	}
	x := consistency.NLI{Entail: entail, Contra: contra}
	trial, c := monitor.NewGiven(monitor.TrialOptions{}, given)
	signal := func(s monitor.Signal) func() error {
		return func() error { _, err := monitor.ScoreOne(b.Context(), s, trial, c); return err }
	}
	for _, e := range []struct {
		name string
		f    func() error
	}{
		{"sequence-probability", signal(likelihood.SequenceLogProb())},
		{"mean-logprob", signal(likelihood.MeanLogProb())},
		{"top-15-negentropy", signal(likelihood.TopEntropy())},
		{"semantic-entropy", func() error { consistency.ClassEntropy(logs, class); return nil }},
		{"semantic-entropy-with-clustering", func() error { consistency.ClassEntropy(logs, consistency.EntailmentClasses(x)); return nil }},
		{"eccentricity", func() error { _, err := consistency.Eccentricity(w); return err }},
		{"eigenvalue-sum", func() error { _, err := consistency.EigenvalueSum(w); return err }},
		{"kernel-entropy", func() error { _, err := consistency.KernelEntropy(x); return err }},
		{"degree-matrix", func() error { consistency.DegreeUncertainty(w); return nil }},
		{"semantic-sets", func() error { consistency.SemanticSets(x); return nil }},
		{"luq", func() error { consistency.LUQ(x); return nil }},
		{"sentence-sar", func() error { consistency.SAR(logs, w); return nil }},
	} {
		b.Run(e.name, func(b *testing.B) {
			begun := cpuTime(b)
			for b.Loop() {
				if err := e.f(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/(cpuTime(b)-begun), "items/CPU-s")
		})
	}
}

// cpuTime is what the process has used so far, in seconds: wall time says little on a machine that others use too.
func cpuTime(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
