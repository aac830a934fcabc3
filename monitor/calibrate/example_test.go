package calibrate_test

import (
	"fmt"
	"math/rand/v2"

	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/stats"
)

// A model whose odds are the square root of those that it states: what its word
// is worth is learned from answers whose truth is known.
func ExampleFit() {
	rng := rand.New(rand.NewPCG(1, 0))
	var graded []calibrate.Example
	for range 2000 {
		score := rng.Float64()
		graded = append(graded, calibrate.Example{
			Readings: []calibrate.Named{{Name: "verbal/stated", Reading: monitor.Reading{Score: score, Source: "asked"}}},
			Right:    rng.Float64() < stats.Sigmoid(stats.Logit(score, 1e-6)/2),
		})
	}
	c, _, err := calibrate.Fit(calibrate.Key{Model: "example"}, "an overconfident model", "2,000 simulated answers", graded, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := c.Apply([]calibrate.Named{{Name: "verbal/stated", Reading: monitor.Reading{Score: 0.8, Source: "asked"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("it says 80 %%, it is right in %.0f %% (%.0f–%.0f)\n", 100*e.P, 100*e.Low, 100*e.High)
	// Output: it says 80 %, it is right in 66 % (63–68)
}
