package calibrate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gnothi/monitor"
	"gnothi/stats"
)

// simulated draws labelled answers of models whose lines of log-odds differ.
func simulated(rng *rand.Rand, models, each int) map[string][]Example {
	units := map[string][]Example{}
	for m := range models {
		a, b := -0.5+0.8*rng.NormFloat64(), 0.7+0.2*rng.NormFloat64()
		name := fmt.Sprint("model ", m)
		for range each {
			p := rng.Float64()
			r := monitor.Reading{Score: p, Source: "logprobs"}
			right := rng.Float64() < stats.Sigmoid(a+b*LogOdds(r))
			units[name] = append(units[name], Example{Right: right, Readings: []Named{{Name: "likelihood/x", Reading: r}}})
		}
	}
	return units
}

func TestPool(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	p, err := Pool("likelihood/x", simulated(rng, 200, 400))
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(p.Coef[0]+0.5) > 0.2 || math.Abs(p.Coef[1]-0.7) > 0.06 {
		t.Errorf("mean line %v, want about -0.5 and 0.7", p.Coef)
	}
	if sd := math.Sqrt(p.Between[0][0]); sd < 0.7 || sd > 0.95 {
		t.Errorf("intercepts differ by %.2f, want about 0.8", sd)
	}
	if p.N != 200*400 || len(p.Models) != 200 {
		t.Errorf("n = %d of %d models", p.N, len(p.Models))
	}
}

// A model that was not pooled has its true probability inside the 90 % interval
// about nine times of ten.
func TestPriorCoversNewModels(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	p, err := Pool("likelihood/x", simulated(rng, 40, 1000))
	if err != nil {
		t.Fatal(err)
	}
	inside, n := 0, 4000
	for range n {
		a, b := -0.5+0.8*rng.NormFloat64(), 0.7+0.2*rng.NormFloat64()
		r := monitor.Reading{Score: 0.05 + 0.9*rng.Float64(), Source: "logprobs"}
		truth := stats.Sigmoid(a + b*LogOdds(r))
		e, err := p.Apply([]Named{{Name: "likelihood/x", Reading: r}})
		if err != nil {
			t.Fatal(err)
		}
		if truth >= e.Low && truth <= e.High {
			inside++
		}
	}
	if share := float64(inside) / float64(n); share < 0.82 || share > 0.97 {
		t.Errorf("%.3f of new models' probabilities lie in the 90 %% interval", share)
	}
}

func TestPoolNeedsTwoModels(t *testing.T) {
	if _, err := Pool("likelihood/x", simulated(rand.New(rand.NewPCG(1, 2)), 1, 50)); err == nil {
		t.Error("one model says nothing about how models differ, but there is no error")
	}
}
