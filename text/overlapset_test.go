package text_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"gnothi/text"
)

// All pairs at once say what each pair by itself says.
func TestTextsAgreeWithPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the The capital, of France is Paris; Rome 東京 x1 1871 1871 née no NO")
	var texts []string
	for _, n := range []int{0, 1, 1, 2, 3, 3, 4, 5, 8, 8, 8, 20, 70, 150} {
		var w []string
		for range n {
			w = append(w, words[r.IntN(len(words))])
		}
		texts = append(texts, strings.Join(w, " "))
	}
	texts = append(texts, texts[8], "...", "")
	x := text.NewTexts(texts)
	for i, a := range texts {
		for j, b := range texts {
			want := map[string][2]float64{
				"rouge1": {x.Rouge1(i, j), text.Rouge1(a, b).F},
				"rouge2": {x.Rouge2(i, j), text.Rouge2(a, b).F},
				"rougeL": {x.RougeL(i, j), text.RougeL(a, b).F},
			}
			if a != b {
				want["jaccard"] = [2]float64{x.Jaccard(i, j), text.Jaccard(a, b)}
			} else if x.Jaccard(i, j) != 1 {
				t.Errorf("Jaccard of %q and itself is %v", a, x.Jaccard(i, j))
			}
			for name, v := range want {
				if math.Abs(v[0]-v[1]) > 1e-12 {
					t.Errorf("%s(%q, %q): %v together, %v as a pair", name, a, b, v[0], v[1])
				}
			}
			if v, w := x.BLEU(i, j), x.BLEU(j, i); v != w || v < 0 || v > 1 {
				t.Errorf("BLEU(%q, %q) = %v, the other way %v", a, b, v, w)
			}
		}
	}
	if x.Len() != len(texts) || !x.Same(8, 14) || x.Same(0, 1) {
		t.Error("which texts are the same is not known")
	}
}

func TestBLEU(t *testing.T) {
	x := text.NewTexts([]string{"the cat sat on the mat", "the cat sat on a mat", "the cat", "the", "dog", "the cat sat on the mat"})
	// 5/6 · 3/5 · 2/4 · 1/3, equal lengths.
	for _, c := range []struct {
		i, j int
		want float64
	}{
		{0, 5, 1}, {0, 1, math.Pow(5./6*3/5*2/4*1/3, .25)}, {3, 4, 0}, {0, 4, 0},
		// One direction is brief: e^(1−6/2)·1; the other has 2/6 · 1/5.
		{0, 2, (math.Exp(-2) + math.Sqrt(2./6*1/5)) / 2},
		{2, 3, (math.Exp(-1) + .5) / 2},
	} {
		if got := x.BLEU(c.i, c.j); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("BLEU of texts %d and %d: %v, want %v", c.i, c.j, got, c.want)
		}
	}
}

func BenchmarkTextsTenByTen(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("paris london rome the capital is of france city in 1871 no yes maybe berlin river answer forty two large")
	texts := make([]string, 10)
	for i := range texts {
		var w []string
		for range 8 {
			w = append(w, words[r.IntN(len(words))])
		}
		texts[i] = strings.Join(w, " ")
	}
	for name, f := range map[string]func(*text.Texts, int, int) float64{"rouge1": (*text.Texts).Rouge1, "rougeL": (*text.Texts).RougeL, "BLEU": (*text.Texts).BLEU, "Jaccard": (*text.Texts).Jaccard} {
		b.Run(name, func(b *testing.B) {
			begun := cpuTime(b)
			for b.Loop() {
				x, sum := text.NewTexts(texts), 0.0
				for i := range texts {
					for j := range i {
						sum += f(x, i, j)
					}
				}
				if sum < 0 {
					b.Fatal(sum)
				}
			}
			b.ReportMetric(float64(b.N)/(cpuTime(b)-begun), "items/CPU-s")
		})
	}
}

// cpuTime is what the process has used so far, in seconds: wall time says little on a machine that others use too.
func cpuTime(b testing.TB) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
