package stats

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// Errors that callers tell apart; every error of this package wraps at most one of them.
var (
	ErrEmpty     = errors.New("no items")
	ErrLength    = errors.New("slices differ in length")
	ErrNotFinite = errors.New("not a finite number")
	ErrRange     = errors.New("outside its range")
	ErrNotBinary = errors.New("neither 0 nor 1")
	ErrOneClass  = errors.New("only one class present")
	ErrConstant  = errors.New("all values are the same")
	ErrSeparated = errors.New("classes are separated or features collinear, no finite maximum-likelihood fit: use smoothed targets or an L2 penalty")
)

// Figure is a number to be shown: with its interval, how many items it rests on, and how it was made.
// A part that could not be had is NaN here and null in JSON, and Why then says why.
type Figure struct {
	Value  float64
	Low    float64 // interval bounds; NaN when there is none
	High   float64
	N      int    // items (not resamples)
	Unit   string // " nats" and the like, as it stands behind the value; [Share]; empty for plain ratios
	Method string // how value and interval were made
	Why    string // reason for a missing part, else empty

	// P is the p-value of Value being what it would be without any effect, two-sided; 0 or NaN where nothing was tested (a
	// p-value is never 0: one too small for a float64 is the smallest that is not). PAdjusted is P corrected for what else
	// was looked at, see [AdjustFigures].
	P, PAdjusted float64
}

// Tested says whether the figure has a p-value.
func (f Figure) Tested() bool { return f.P > 0 }

// tested adds a p-value.
func (f Figure) tested(p float64) Figure {
	f.P = max(p, math.SmallestNonzeroFloat64)
	return f
}

// Missing is the figure for something that could not be computed.
func Missing(n int, why error) Figure {
	return Figure{Value: math.NaN(), Low: math.NaN(), High: math.NaN(), N: n, Why: why.Error()}
}

// pointOnly is a value without an interval.
func pointOnly(v float64, n int, method, why string) Figure {
	return Figure{Value: v, Low: math.NaN(), High: math.NaN(), N: n, Method: method, Why: why}
}

type figureJSON struct {
	Value  *float64 `json:"value"`
	Low    *float64 `json:"low"`
	High   *float64 `json:"high"`
	N      int      `json:"n"`
	Unit   string   `json:"unit,omitempty"`
	Method string   `json:"method,omitempty"`
	Why    string   `json:"why,omitempty"`

	P         float64 `json:"p,omitempty"`
	PAdjusted float64 `json:"p_adjusted,omitempty"`
}

// MarshalJSON writes non-finite parts as null, and "p" and "p_adjusted" only where there is one.
func (f Figure) MarshalJSON() ([]byte, error) {
	j := figureJSON{finiteOrNil(f.Value), finiteOrNil(f.Low), finiteOrNil(f.High), f.N, f.Unit, f.Method, f.Why, 0, 0}
	if f.P > 0 && f.P <= 1 {
		j.P = f.P
	}
	if f.PAdjusted > 0 && f.PAdjusted <= 1 {
		j.PAdjusted = f.PAdjusted
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (f *Figure) UnmarshalJSON(b []byte) error {
	var j figureJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*f = Figure{orNaN(j.Value), orNaN(j.Low), orNaN(j.High), j.N, j.Unit, j.Method, j.Why, j.P, j.PAdjusted}
	return nil
}

// Share is the unit of a share of items, from 0 to 1.
const Share = "share"

// Suffix is what stands behind the value where a unit is shown: a share needs
// none.
func (f Figure) Suffix() string {
	if f.Unit == Share {
		return ""
	}
	return f.Unit
}

// String shows the figure the way a table does: 0.731 [0.702, 0.760] (n=1000).
func (f Figure) String() string {
	switch {
	case math.IsNaN(f.Value):
		return fmt.Sprintf("n/a (%s)", f.Why)
	case math.IsNaN(f.Low) || math.IsNaN(f.High):
		return fmt.Sprintf("%.3f%s (n=%d)", f.Value, f.Suffix(), f.N)
	}
	return fmt.Sprintf("%.3f%s [%.3f, %.3f] (n=%d)", f.Value, f.Suffix(), f.Low, f.High, f.N)
}

func finiteOrNil(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// Groups turns labels of any kind into dense integers in order of first appearance.
func Groups[K comparable](labels []K) []int {
	ids := make(map[K]int)
	out := make([]int, len(labels))
	for i, l := range labels {
		id, ok := ids[l]
		if !ok {
			id = len(ids)
			ids[l] = id
		}
		out[i] = id
	}
	return out
}

// members lists the items of each label, labels in order of first appearance, so that results never hang on map order.
func members(labels []int) [][]int {
	dense := Groups(labels)
	var out [][]int
	for i, g := range dense {
		if g == len(out) {
			out = append(out, nil)
		}
		out[g] = append(out[g], i)
	}
	return out
}

func rangeError(what string, v any, want string) error {
	return fmt.Errorf("stats: %s is %v, want %s: %w", what, v, want, ErrRange)
}

// checkFinite accepts non-empty slices of finite numbers, all of the same length.
func checkFinite(xs ...[]float64) error {
	if len(xs[0]) == 0 {
		return fmt.Errorf("stats: %w", ErrEmpty)
	}
	for _, x := range xs {
		if len(x) != len(xs[0]) {
			return fmt.Errorf("stats: %d and %d items: %w", len(xs[0]), len(x), ErrLength)
		}
		for i, v := range x {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("stats: item %d is %v: %w", i, v, ErrNotFinite)
			}
		}
	}
	return nil
}

// checkUnit accepts what checkFinite does, with every value in [0,1].
func checkUnit(xs ...[]float64) error {
	if err := checkFinite(xs...); err != nil {
		return err
	}
	for _, x := range xs {
		for i, v := range x {
			if v < 0 || v > 1 {
				return rangeError(fmt.Sprintf("item %d", i), v, "[0,1]")
			}
		}
	}
	return nil
}

// checkScored is for graded quality: any finite score, y in [0,1].
func checkScored(score, y []float64) error {
	if err := checkFinite(score, y); err != nil {
		return err
	}
	return checkUnit(y)
}

// checkBinary is for two classes, both present: any finite score, y 0 or 1. It returns how many are 1.
func checkBinary(score, y []float64) (ones int, err error) {
	if err := checkFinite(score, y); err != nil {
		return 0, err
	}
	for i, v := range y {
		switch v {
		case 0:
		case 1:
			ones++
		default:
			return 0, fmt.Errorf("stats: y[%d] is %v: %w", i, v, ErrNotBinary)
		}
	}
	if ones == 0 || ones == len(y) {
		return ones, fmt.Errorf("stats: %d of %d right: %w", ones, len(y), ErrOneClass)
	}
	return ones, nil
}

// checkLabels accepts nil or one label per item.
func checkLabels(labels []int, n int) error {
	if labels != nil && len(labels) != n {
		return fmt.Errorf("stats: %d labels for %d items: %w", len(labels), n, ErrLength)
	}
	return nil
}

func isBinary(y []float64) bool {
	for _, v := range y {
		if v != 0 && v != 1 {
			return false
		}
	}
	return true
}

func mean(x []float64) float64 {
	var s float64
	for _, v := range x {
		s += v
	}
	return s / float64(len(x))
}

// take copies x at idx into dst (grown when too short), so that resampling loops need not allocate.
func take(dst, x []float64, idx []int) []float64 {
	dst = dst[:0]
	for _, i := range idx {
		dst = append(dst, x[i])
	}
	return dst
}
