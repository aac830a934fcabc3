package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Test is the outcome of a hypothesis test.
type Test struct {
	Statistic float64 `json:"statistic"`
	P         float64 `json:"p"` // p-value, two-sided unless Method says otherwise
	N         int     `json:"n"`
	Method    string  `json:"method"`
}

// Spiegelhalter tests calibration through the Brier score (Spiegelhalter 1986): Σ(y−p)(1−2p) over its standard deviation
// under calibration is standard normal. It sees wrong sharpness (over- and under-confidence), and is blind where every p
// is ½, 0 or 1, which is an error. y is 0 or 1.
func Spiegelhalter(p, y []float64) (Test, error) {
	if err := checkOutcomes(p, y); err != nil {
		return Test{}, err
	}
	var num, variance float64
	for i, q := range p {
		num += (y[i] - q) * (1 - 2*q)
		variance += (1 - 2*q) * (1 - 2*q) * q * (1 - q)
	}
	if variance == 0 {
		return Test{}, fmt.Errorf("stats: Spiegelhalter's z: every probability is 0, ½ or 1: %w", ErrConstant)
	}
	z := num / math.Sqrt(variance)
	return Test{z, twoSidedNormal(z), len(p), "Spiegelhalter z"}, nil
}

// Recalibration is Cox's (1958) logistic regression of the outcome on the log-odds claimed: logit P(y) = Intercept +
// Slope·logit p. Calibrated is (0, 1); a slope below 1 is over-confidence, above 1 under-confidence; the intercept is
// bias. Test is the likelihood-ratio test of (0, 1), χ² with two degrees of freedom.
type Recalibration struct {
	Intercept Figure `json:"intercept"`
	Slope     Figure `json:"slope"`
	Test      Test   `json:"test"`
}

// Cox fits and tests a [Recalibration] with 95 % Wald intervals. p is clipped by [Clip], y is 0 or 1.
func Cox(p, y []float64) (Recalibration, error) {
	if err := checkUnit(p); err != nil {
		return Recalibration{}, err
	}
	if _, err := checkBinary(p, y); err != nil {
		return Recalibration{}, err
	}
	eta := logits(p, Clip)
	fit, err := FitLogistic(column(eta), y, 0)
	if err != nil {
		return Recalibration{}, err
	}
	claimed, err := LogLoss(p, y, Clip)
	if err != nil {
		return Recalibration{}, err
	}
	n := len(p)
	lr := max(0, 2*(float64(n)*claimed-fit.loss))
	raw, cov := fit.raw()
	wald := func(i int) Figure {
		half := normalQuantile(0.95) * math.Sqrt(cov.At(i, i))
		return Figure{Value: raw[i], Low: raw[i] - half, High: raw[i] + half, N: n, Method: "Cox recalibration, Wald 95 %"}
	}
	return Recalibration{
		Intercept: wald(0),
		Slope:     wald(1),
		Test:      Test{lr, distuv.ChiSquared{K: 2}.Survival(lr), n, "Cox likelihood ratio, intercept 0 and slope 1, 2 df"},
	}, nil
}

// Metric is any figure of a score and its outcomes: [AUROC], [AURC], [Brier], or a closure over bins.
type Metric = func(score, y []float64) (float64, error)

// Consistency is what a metric would show if the probabilities were exactly right.
type Consistency struct {
	Perfect  Figure  `json:"perfect"`  // mean and central 95 % of the metric for a perfect forecaster with these p
	Observed float64 `json:"observed"` // the metric of the real outcomes
	P        float64 `json:"p"`        // share of perfect forecasters that look at least as bad (large), (r+1)/(reps+1)
}

// PerfectForecaster draws reps sets of outcomes y_i ~ Bernoulli(p_i) and computes the metric on each (consistency
// resampling, Bröcker and Smith 2007). It puts a figure that cannot be 0 at finite n, like ECE, beside the value
// that perfection would show at this n, and gives a calibration test of any metric in which larger is worse. Draws for
// which the metric is undefined are left out; if they are more than half, that is an error.
func PerfectForecaster(rng *rand.Rand, p, y []float64, metric Metric, reps int) (Consistency, error) {
	if err := checkUnit(p, y); err != nil {
		return Consistency{}, err
	}
	if reps < 1 {
		return Consistency{}, rangeError("number of simulations", reps, "at least 1")
	}
	observed, err := finite(metric(p, y))
	if err != nil {
		return Consistency{}, err
	}
	p = slices.Clone(p) // simulated outcomes belong to no item, and metrics sort sorted input faster
	slices.Sort(p)
	sim := make([]float64, len(p))
	var values []float64
	worse := 0
	var lastErr error
	for range reps {
		for i, q := range p {
			sim[i] = 0
			if rng.Float64() < q {
				sim[i] = 1
			}
		}
		v, err := finite(metric(p, sim))
		if err != nil {
			lastErr = err
			continue
		}
		if v >= observed {
			worse++
		}
		values = append(values, v)
	}
	if 2*len(values) < reps || len(values) == 0 {
		return Consistency{}, fmt.Errorf("stats: metric undefined on %d of %d simulated outcomes: %w", reps-len(values), reps, lastErr)
	}
	return Consistency{simulated(values, len(p)), observed, float64(worse+1) / float64(len(values)+1)}, nil
}

func simulated(values []float64, n int) Figure {
	f := percentiles(values, 0.95)
	f.Value, f.N = mean(values), n
	f.Method = fmt.Sprintf("perfect forecaster, mean and central 95 %% of %d simulations", len(values))
	return f
}

// perfectBins are figures of the bins that [PerfectForecaster] would see, all of the same simulations. Only the outcomes
// change, so the items are put into bins once.
func perfectBins(rng *rand.Rand, p, upper []float64, reps int, figures ...func([]Bin) float64) []Figure {
	p = slices.Sorted(slices.Values(p))
	runs := make([]tied, len(p))
	for i, q := range p {
		runs[len(p)-1-i] = tied{q, 1, 0}
	}
	bins := cut(nil, runs, upper)
	values := make([][]float64, len(figures))
	for range reps {
		from := 0
		for k := range bins {
			hits := 0
			for _, q := range p[from : from+bins[k].N] {
				if rng.Float64() < q {
					hits++
				}
			}
			from += bins[k].N
			bins[k].Y = float64(hits) / float64(bins[k].N)
		}
		for k, f := range figures {
			values[k] = append(values[k], f(bins))
		}
	}
	out := make([]Figure, len(figures))
	for k, v := range values {
		out[k] = simulated(v, len(p))
	}
	return out
}

// checkOutcomes is for tests of calibration: probabilities and outcomes that are 0 or 1, one class allowed.
func checkOutcomes(p, y []float64) error {
	if err := checkUnit(p, y); err != nil {
		return err
	}
	if !isBinary(y) {
		return fmt.Errorf("stats: y: %w", ErrNotBinary)
	}
	return nil
}

func twoSidedNormal(z float64) float64 { return math.Erfc(math.Abs(z) / math.Sqrt2) }

// normalQuantile is the two-sided quantile: 1.96 for level 0.95.
func normalQuantile(level float64) float64 { return distuv.UnitNormal.Quantile((1 + level) / 2) }
