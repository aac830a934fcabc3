package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// run feeds outcomes whose true probability is made of what was told, and gives
// after how many the alarm is raised, most if it is not.
func (d Detector) run(rng *rand.Rand, truth func(p float64) float64, alarm float64, most int) int {
	for n := 1; n <= most; n++ {
		p := 0.3 + 0.65*rng.Float64()
		y := 0.0
		if rng.Float64() < truth(p) {
			y = 1
		}
		if err := d.Add(p, p-0.03, min(1, p+0.03), y); err != nil {
			panic(err)
		}
		if d.Evidence() >= alarm {
			return n
		}
	}
	return most
}

func TestDetector(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	const alarm, runs = 200, 400
	shifted := func(by float64) func(float64) float64 {
		return func(p float64) float64 { return Sigmoid(Logit(p, Clip) + by) }
	}
	// At the edges of the intervals, where the hypothesis holds only just, the mean
	// time to an alarm is no less than the alarm. Runs are cut at 5 times that, which
	// makes the mean shorter.
	for name, truth := range map[string]func(float64) float64{
		"as told": func(p float64) float64 { return p }, "at the upper end": func(p float64) float64 { return min(1, p+0.03) }, "at the lower end": func(p float64) float64 { return p - 0.03 },
	} {
		sum := 0
		for range runs {
			sum += Detector{}.run(rng, truth, alarm, 5*alarm)
		}
		if mean := float64(sum) / runs; mean < alarm {
			t.Errorf("%s: an alarm after %.0f outcomes on average, at least %d was promised", name, mean, alarm)
		}
	}
	for name, c := range map[string]struct {
		truth func(float64) float64
		most  int
	}{
		"odds a third":    {shifted(-1.1), 150},
		"odds threefold":  {shifted(1.1), 250},
		"too extreme":     {func(p float64) float64 { return Sigmoid(0.2 * Logit(p, Clip)) }, 300},
		"answers at will": {func(float64) float64 { return 0.2 }, 60},
	} {
		var delays []int
		for range 100 {
			delays = append(delays, Detector{}.run(rng, c.truth, 5000, 4000))
		}
		slices.Sort(delays)
		if median := delays[50]; median > c.most {
			t.Errorf("%s: found after %d outcomes in half of the runs, want %d", name, median, c.most)
		} else {
			t.Logf("%s: found after %d outcomes in half of the runs", name, median)
		}
	}
	// However long all was well before.
	var d Detector
	for range 20_000 {
		p := 0.3 + 0.65*rng.Float64()
		y := 0.0
		if rng.Float64() < p {
			y = 1
		}
		if err := d.Add(p, p-0.03, p+0.03, y); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.run(rng, shifted(-1.5), 5000, 1000); n > 200 {
		t.Errorf("a change after 20,000 good outcomes is found after %d", n)
	}
	for _, bad := range [][4]float64{{0.5, 0.6, 0.4, 1}, {0.5, 0.4, 0.6, 0.5}, {math.NaN(), 0, 1, 1}, {2, 0, 1, 1}} {
		if (&Detector{}).Add(bad[0], bad[1], bad[2], bad[3]) == nil {
			t.Errorf("%v", bad)
		}
	}
}
