package stats

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
)

// Map turns a score into a calibrated probability. Every map is monotone but for a Platt slope that the data made negative,
// and returns a value in [0,1] for every finite input; NaN gives NaN. Maps are stored with [MarshalMap].
type Map interface {
	Apply(score float64) float64
	kind() string
	validate() error
}

// Apply maps a whole slice.
func Apply(m Map, score []float64) []float64 {
	out := make([]float64, len(score))
	for i, s := range score {
		out[i] = m.Apply(s)
	}
	return out
}

// Platt is a logistic curve of the score, or of its log-odds (Platt 1999). On the score itself any finite number will do.
type Platt struct {
	Slope     float64 `json:"slope"`
	Intercept float64 `json:"intercept"`
	OnLogit   bool    `json:"on_logit"` // the curve reads logit(score), clipped by Clip
}

// FitPlatt is the unpenalised maximum-likelihood fit. y in [0,1]: pass [SmoothTargets] for Platt's own regularisation,
// which also survives separated classes; otherwise those are [ErrSeparated]. A constant score is ErrConstant.
func FitPlatt(score, y []float64, onLogit bool) (Platt, error) {
	if err := checkScored(score, y); err != nil {
		return Platt{}, err
	}
	x := score
	if onLogit {
		if err := checkUnit(score); err != nil {
			return Platt{}, err
		}
		x = logits(score, Clip)
	}
	m, err := FitLogistic(column(x), y, 0)
	if err != nil {
		return Platt{}, err
	}
	if m.Scale[0] == 0 {
		return Platt{}, fmt.Errorf("stats: Platt fit: score: %w", ErrConstant)
	}
	beta, _ := m.raw()
	fit := Platt{Slope: beta[1], Intercept: beta[0], OnLogit: onLogit}
	return fit, fit.validate()
}

// SmoothTargets replaces outcomes 1 and 0 by (N₊+1)/(N₊+2) and 1/(N₋+2) (Platt 1999), N₊ and N₋ the numbers of each.
func SmoothTargets(y []float64) ([]float64, error) {
	if err := checkUnit(y); err != nil {
		return nil, err
	}
	if !isBinary(y) {
		return nil, fmt.Errorf("stats: y: %w", ErrNotBinary)
	}
	ones := mean(y) * float64(len(y))
	zeros := float64(len(y)) - ones
	out := make([]float64, len(y))
	for i, v := range y {
		out[i] = 1 / (zeros + 2)
		if v == 1 {
			out[i] = (ones + 1) / (ones + 2)
		}
	}
	return out, nil
}

// Apply implements Map.
func (m Platt) Apply(score float64) float64 {
	if m.OnLogit {
		score = Logit(score, Clip)
	}
	return Sigmoid(m.Slope*score + m.Intercept)
}

// Temperature divides the log-odds by T (Guo et al., ICML 2017). It cannot move ½, so it cannot mend a biased score.
type Temperature struct {
	T float64 `json:"t"`
}

const (
	temperatureClip  = 1e-12
	temperatureBound = 5 // |ln T|; where the optimum lies beyond (a score that ranks backwards), the bound is returned
)

// FitTemperature minimises the log loss of sigmoid(logit(p)/T) over T in [e⁻⁵, e⁵], p clipped to 1e-12. p in [0,1], y in
// [0,1].
func FitTemperature(p, y []float64) (Temperature, error) {
	if err := checkUnit(p, y); err != nil {
		return Temperature{}, err
	}
	x := logits(p, temperatureClip)
	// The loss is convex in the inverse temperature; its slope has one sign change.
	slope := func(inverse float64) (s float64) {
		for i, v := range x {
			s += v * (Sigmoid(inverse*v) - y[i])
		}
		return s
	}
	low, high := math.Exp(-temperatureBound), math.Exp(temperatureBound)
	switch {
	case slope(low) >= 0:
		return Temperature{1 / low}, nil
	case slope(high) <= 0:
		return Temperature{1 / high}, nil
	}
	for high/low > 1+1e-14 {
		mid := math.Sqrt(low * high)
		if slope(mid) > 0 {
			high = mid
		} else {
			low = mid
		}
	}
	return Temperature{1 / math.Sqrt(low*high)}, nil
}

// Apply implements Map.
func (m Temperature) Apply(p float64) float64 { return Sigmoid(Logit(p, temperatureClip) / m.T) }

// Isotonic is a monotone step fit, linear between its knots and flat outside them.
type Isotonic struct {
	X []float64 `json:"x"` // strictly ascending
	Y []float64 `json:"y"` // ascending, in [0,1]
}

// FitIsotonic is the least-squares monotone fit by pooling adjacent violators (Ayer et al. 1955; Zadrozny and Elkan 2002).
// Equal scores are averaged first. Any finite score, y in [0,1]. Its ends reach 0 and 1 on few data: prefer Platt or beta
// below some hundred items.
func FitIsotonic(score, y []float64) (Isotonic, error) {
	if err := checkScored(score, y); err != nil {
		return Isotonic{}, err
	}
	type block struct{ low, high, sum, n float64 }
	var blocks []block
	for _, r := range slices.Backward(ranked(score, y)) {
		b := block{r.score, r.score, r.y, r.n}
		for k := len(blocks); k > 0 && blocks[k-1].sum*b.n >= b.sum*blocks[k-1].n; k-- {
			prev := blocks[k-1]
			b = block{prev.low, b.high, prev.sum + b.sum, prev.n + b.n}
			blocks = blocks[:k-1]
		}
		blocks = append(blocks, b)
	}
	var m Isotonic
	for _, b := range blocks {
		v := b.sum / b.n
		m.X, m.Y = append(m.X, b.low), append(m.Y, v)
		if b.high > b.low {
			m.X, m.Y = append(m.X, b.high), append(m.Y, v)
		}
	}
	return m, nil
}

// Apply implements Map.
func (m Isotonic) Apply(score float64) float64 {
	if math.IsNaN(score) {
		return score
	}
	i := sort.SearchFloat64s(m.X, score)
	switch {
	case i == len(m.X):
		return m.Y[i-1]
	case i == 0 || m.X[i] == score:
		return m.Y[i]
	}
	width := m.X[i] - m.X[i-1]
	if math.IsInf(width, 1) { // knots at both ends of the float64 range: no order between them to speak of
		return (m.Y[i-1] + m.Y[i]) / 2
	}
	return m.Y[i-1] + (score-m.X[i-1])/width*(m.Y[i]-m.Y[i-1])
}

// Beta is beta calibration: logit = A ln p − B ln(1−p) + C with A, B ≥ 0 (Kull, Silva Filho and Flach, AISTATS 2017).
// Unlike Platt on the log-odds it can bend the two ends differently.
type Beta struct {
	A float64 `json:"a"`
	B float64 `json:"b"`
	C float64 `json:"c"`
}

const betaClip = 0x1p-52

// FitBeta is the maximum-likelihood fit under A, B ≥ 0. p and y in [0,1], p clipped to 2⁻⁵².
func FitBeta(p, y []float64) (Beta, error) {
	if err := checkUnit(p, y); err != nil {
		return Beta{}, err
	}
	rows := make([][]float64, len(p))
	for i, v := range p {
		v = min(max(v, betaClip), 1-betaClip)
		rows[i] = []float64{math.Log(v), -math.Log1p(-v)}
	}
	fit := func(use ...int) ([]float64, error) {
		x := make([][]float64, len(rows))
		for i, r := range rows {
			x[i] = take(nil, r, use)
		}
		m, err := FitLogistic(x, y, 0)
		if err != nil {
			return nil, err
		}
		beta, _ := m.raw()
		return beta, nil
	}
	both, err := fit(0, 1)
	if err != nil {
		return Beta{}, err
	}
	// The likelihood is concave: with one side negative, the constrained optimum has that side at 0.
	switch a, b := both[1], both[2]; {
	case a >= 0 && b >= 0:
		return Beta{a, b, both[0]}, nil
	case a < 0:
		one, err := fit(1)
		if err == nil && one[1] >= 0 {
			return Beta{0, one[1], one[0]}, nil
		}
	default:
		one, err := fit(0)
		if err == nil && one[1] >= 0 {
			return Beta{one[1], 0, one[0]}, nil
		}
	}
	return Beta{0, 0, Logit(mean(y), betaClip)}, nil
}

// Apply implements Map.
func (m Beta) Apply(p float64) float64 {
	p = min(max(p, betaClip), 1-betaClip)
	return Sigmoid(m.A*math.Log(p) - m.B*math.Log1p(-p) + m.C)
}

func (Platt) kind() string       { return "platt" }
func (Temperature) kind() string { return "temperature" }
func (Isotonic) kind() string    { return "isotonic" }
func (Beta) kind() string        { return "beta" }

func (m Platt) validate() error { return checkFinite([]float64{m.Slope, m.Intercept}) }

func (m Temperature) validate() error {
	if !(m.T > 0) || math.IsInf(m.T, 0) {
		return rangeError("temperature", m.T, "positive")
	}
	return nil
}

func (m Isotonic) validate() error {
	if err := checkFinite(m.X, m.Y); err != nil {
		return err
	}
	if err := checkUnit(m.Y); err != nil {
		return err
	}
	for i := 1; i < len(m.X); i++ {
		if m.X[i] <= m.X[i-1] || m.Y[i] < m.Y[i-1] {
			return rangeError(fmt.Sprintf("isotonic knot %d", i), []float64{m.X[i], m.Y[i]}, "ascending")
		}
	}
	return nil
}

func (m Beta) validate() error {
	if err := checkFinite([]float64{m.A, m.B, m.C}); err != nil {
		return err
	}
	if m.A < 0 || m.B < 0 {
		return rangeError("beta map", m, "a and b at least 0")
	}
	return nil
}

type mapJSON struct {
	Kind   string          `json:"kind"`
	Params json.RawMessage `json:"params"`
}

// MarshalMap writes a map as {"kind": "platt", "params": {…}}.
func MarshalMap(m Map) ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, err
	}
	params, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return json.Marshal(mapJSON{m.kind(), params})
}

// UnmarshalMap reads what MarshalMap wrote and refuses a map that Apply could not be trusted with.
func UnmarshalMap(b []byte) (Map, error) {
	var j mapJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("stats: calibration map: %w", err)
	}
	switch j.Kind {
	case Platt{}.kind():
		return decodeMap[Platt](j)
	case Temperature{}.kind():
		return decodeMap[Temperature](j)
	case Isotonic{}.kind():
		return decodeMap[Isotonic](j)
	case Beta{}.kind():
		return decodeMap[Beta](j)
	}
	return nil, fmt.Errorf("stats: calibration map of unknown kind %q", j.Kind)
}

func decodeMap[M Map](j mapJSON) (Map, error) {
	var m M
	if err := json.Unmarshal(j.Params, &m); err != nil {
		return nil, fmt.Errorf("stats: calibration map %q: %w", j.Kind, err)
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("calibration map %q: %w", j.Kind, err)
	}
	return m, nil
}
