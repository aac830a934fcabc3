package stats

import (
	"math"
	"math/bits"

	"gonum.org/v1/gonum/dsp/fourier"
)

// SmoothECE is the calibration error of Błasiok and Nakkiran (ICLR 2024) at kernel width sigma > 0: the residuals y−p are
// smoothed with a Gaussian reflected at 0 and 1, and the absolute value is integrated over [0,1]. No bins.
func SmoothECE(p, y []float64, sigma float64) (float64, error) {
	if err := checkUnit(p, y); err != nil {
		return 0, err
	}
	if !(sigma >= minSigma) || math.IsInf(sigma, 1) {
		return 0, rangeError("kernel width", sigma, "at least 1/1024")
	}
	return newResiduals(p, y).smooth(sigma), nil
}

// SmECE is SmoothECE at the width where the error equals the width, found to 1/1024 by bisection. It returns both.
func SmECE(p, y []float64) (value, sigma float64, err error) {
	if err := checkUnit(p, y); err != nil {
		return 0, 0, err
	}
	r := newResiduals(p, y)
	low, high := 0.0, 1.0
	for high-low > minSigma {
		if mid := (low + high) / 2; r.smooth(mid) < mid {
			high = mid
		} else {
			low = mid
		}
	}
	return r.smooth(high), high, nil
}

const minSigma = 1.0 / 1024

// residuals is the function (1/n) Σ (y_i − p_i) δ(t − p_i) in the cosine basis of [0,1]. The reflected Gaussian is the
// heat kernel of that interval, diagonal there: smoothing multiplies coefficient k by exp(−(kπσ)²/2). So every width
// reads the same coefficients, and there is no grid that could blur p.
type residuals struct {
	p, y []float64
	coef []float64
}

func newResiduals(p, y []float64) *residuals { return &residuals{p: p, y: y} }

func (r *residuals) smooth(sigma float64) float64 {
	modes := int(7/(math.Pi*sigma)) + 2 // exp(−7²/2) = 2e-11
	r.extend(modes)
	// A cosine series at evenly spaced points is a DCT; the steps are far below the shortest wave that survives damping.
	steps := max(4096, 1<<bits.Len(uint(8*modes)))
	series := make([]float64, steps+1)
	series[0] = r.coef[0]
	for k := 1; k < modes; k++ {
		series[k] = r.coef[k] / 2 * math.Exp(-math.Pow(float64(k)*math.Pi*sigma, 2)/2)
	}
	at := fourier.NewDCT(steps+1).Transform(series, series)
	sum := -(math.Abs(at[0]) + math.Abs(at[steps])) / 2 // trapezoid rule
	for _, v := range at {
		sum += math.Abs(v)
	}
	return sum / float64(steps)
}

// extend computes the missing coefficients up to modes.
func (r *residuals) extend(modes int) {
	from := len(r.coef)
	if from >= modes {
		return
	}
	r.coef = append(r.coef, make([]float64, modes-from)...)
	n := float64(len(r.p))
	for i, p := range r.p {
		e := 2 * (r.y[i] - p) / n
		c := 2 * math.Cos(math.Pi*p)
		prev, cur := math.Cos(float64(from-1)*math.Pi*p), math.Cos(float64(from)*math.Pi*p)
		for k := from; k < modes; k++ {
			r.coef[k] += e * cur
			prev, cur = cur, c*cur-prev
		}
	}
	if from == 0 {
		r.coef[0] /= 2
	}
}
