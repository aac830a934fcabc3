package stats

import (
	"math"
	"testing"
)

func TestDirichletTopByDrawing(t *testing.T) {
	rng := seeded(5)
	gamma := func(shape int) (x float64) { // integer shape: a sum of exponentials
		for range shape {
			x += rng.ExpFloat64()
		}
		return x
	}
	counts := []int{5, 4, 2, 1}
	won := 0
	const reps = 200_000
	for range reps {
		top := gamma(counts[0] + 1)
		best := true
		for _, c := range counts[1:] {
			best = best && gamma(c+1) < top
		}
		if best {
			won++
		}
	}
	v, err := DirichletTop(counts)
	near(t, "Dirichlet", v, err, float64(won)/reps, 0.004)
	// Two answers: the Beta rule.
	for _, c := range [][2]int{{3, 1}, {40, 17}, {900, 880}, {20_000, 19_900}} {
		v, err := DirichletTop(c[:])
		want, err2 := BetaMajority(c[0], c[1])
		if err2 != nil {
			t.Fatal(err2)
		}
		near(t, "two answers", v, err, want, 1e-8)
	}
	v, err = DirichletTop([]int{1_000_000, 1_000_000})
	near(t, "an even million", v, err, 0.5, 1e-8)
}

func certify(t *testing.T, alpha float64, answers []string) Certificate[string] {
	t.Helper()
	c, err := NewCertifier[string](alpha)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		c.Add(a)
	}
	return c.Certificate()
}

func TestCertifierOnSequences(t *testing.T) {
	same := []string{"Paris", "Paris", "Paris", "Paris", "Paris", "Paris"}
	if c := certify(t, 0.05, same[:5]); c.Certified || c.Answer != "Paris" {
		t.Errorf("five in a row: %+v", c)
	}
	c := certify(t, 0.05, same)
	if !c.Certified || c.Draws != 6 {
		t.Errorf("six in a row: %+v", c)
	}
	// 2θ before draws 2 to 6, θ = (k + ¼)/(k + ½).
	wealth := 1.0
	for k := 1.0; k <= 5; k++ {
		wealth *= 2 * (k + 0.25) / (k + 0.5)
	}
	near(t, "wealth", c.Alpha, nil, 1/wealth, 1e-12)
	if c := certify(t, 0.05, nil); c.Certified || c.Alpha != 1 || c.Answer != "" {
		t.Errorf("nothing drawn: %+v", c)
	}
	alternating := make([]string, 400)
	for i := range alternating {
		alternating[i] = []string{"a", "b"}[i%2]
	}
	if c := certify(t, 0.05, alternating); c.Certified {
		t.Errorf("alternating answers: %+v", c)
	}
	distinct := make([]string, 200)
	for i := range distinct {
		distinct[i] = string(rune('A' + i))
	}
	if c := certify(t, 0.05, distinct); c.Certified {
		t.Errorf("all different: %+v", c)
	}
}

// Looking after every draw, a wrong answer is certified in at most alpha of the runs, also where the runner-up is as close
// as can be or the answers never repeat; and a clear mode is found soon.
func TestCertifierErrorAndPower(t *testing.T) {
	const alpha, n, runs = 0.2, 200, 2000
	for _, c := range []struct {
		name   string
		shares []float64 // the first is the mode
		power  float64   // least share of runs that certify it
	}{
		{"near tie", []float64{.5001, .4999}, 0},
		{"three near ties", []float64{.334, .333, .333}, 0},
		{"long tail", []float64{.06, .05, .05, .05, .05, .05, .05, .05, .05, .05, .05, .05, .05, .05, .05, .05, .05, .05, .05, .04}, 0},
		{"clear", []float64{.8, .2}, 0.99},
		{"plurality", []float64{.5, .1, .1, .1, .1, .1}, 0.99},
	} {
		rng := seeded(21)
		wrong, right := 0, 0
		for range runs {
			cert, err := NewCertifier[int](alpha)
			if err != nil {
				t.Fatal(err)
			}
			for range n {
				u, a := rng.Float64(), 0
				for a < len(c.shares)-1 && u >= c.shares[a] {
					u -= c.shares[a]
					a++
				}
				cert.Add(a)
				if got := cert.Certificate(); got.Certified {
					if got.Answer == 0 {
						right++
					} else {
						wrong++
					}
					break
				}
			}
		}
		if share := float64(wrong) / runs; share > alpha {
			t.Errorf("%s: wrong in %v of the runs, allowed %v", c.name, share, alpha)
		}
		if share := float64(right) / runs; share < c.power {
			t.Errorf("%s: certified in %v of the runs, want %v", c.name, share, c.power)
		}
	}
}

// The wealth bet against a true mode has mean at most 1.
func TestCertifierWealthIsASupermartingale(t *testing.T) {
	rng := seeded(3)
	var sum float64
	const runs, n = 40_000, 12
	for range runs {
		c, err := NewCertifier[int](0.05)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			c.Add(rng.IntN(2))
		}
		if h := c.seen[0]; h != nil {
			sum += math.Exp(h.log)
		} else {
			sum += math.Exp(c.unseen.log)
		}
	}
	between(t, "mean wealth", sum/runs, 0.5, 1.1)
}
