package stats

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Logistic is a fitted logistic regression of d features. Features are standardised inside, so that one L2 penalty means
// the same for all; Coef is on the standardised scale. All fields are exported for JSON; a stored fit must pass Validate.
type Logistic struct {
	Mean      []float64   `json:"mean"`  // of each feature in the fitted data
	Scale     []float64   `json:"scale"` // standard deviation; 0 for a feature that did not vary, which is then unused
	Intercept float64     `json:"intercept"`
	Coef      []float64   `json:"coef"`
	Cov       [][]float64 `json:"cov"` // (d+1)×(d+1) covariance of (Intercept, Coef…); zero rows for unused features
	L2        float64     `json:"l2"`
	N         int         `json:"n"`

	loss    float64   // summed cross entropy on the fitted data
	weights []float64 // of the fitted items; nil: all 1
}

// FitLogistic maximises Σ log-likelihood − l2/2·‖Coef‖² by Newton's method; the intercept is not penalised. x holds one
// row of d features for each item, y in [0,1] (fractions are allowed: smoothed targets, shares). Cov is the inverse of the
// penalised information, which for l2 > 0 is the Gaussian approximation of the posterior under the prior that the penalty
// stands for; with clustered items follow with [Logistic.Clustered]. Without a penalty, separated classes or collinear
// features give [ErrSeparated].
func FitLogistic(x [][]float64, y []float64, l2 float64) (*Logistic, error) {
	return FitLogisticWeighted(x, y, nil, l2)
}

// FitLogisticWeighted is [FitLogistic] where item i stands for w[i] items, such as the inverse of the probability that
// it was looked at; the weights are scaled to a mean of 1, so that the penalty keeps its meaning. Cov takes them for
// numbers of items, which they are not: follow with [Logistic.Clustered]. nil weighs all the same.
func FitLogisticWeighted(x [][]float64, y, w []float64, l2 float64) (*Logistic, error) {
	if err := checkUnit(y); err != nil {
		return nil, err
	}
	if len(x) != len(y) {
		return nil, fmt.Errorf("stats: %d feature rows, %d outcomes: %w", len(x), len(y), ErrLength)
	}
	if !(l2 >= 0) || math.IsInf(l2, 0) {
		return nil, rangeError("L2 penalty", l2, "at least 0")
	}
	if w != nil {
		if err := checkWeights(len(y), w); err != nil {
			return nil, err
		}
		scale := 1 / mean(w)
		w = slices.Clone(w)
		for i := range w {
			w[i] *= scale
		}
	}
	rate := mean(y)
	if w != nil {
		rate = weightedMean(y, w)
	}
	if rate == 0 || rate == 1 {
		return nil, fmt.Errorf("stats: logistic regression: %w", ErrOneClass)
	}
	m, err := standardise(x, l2)
	if err != nil {
		return nil, err
	}
	rows, used := m.design(x)

	beta := mat.NewVecDense(len(used), nil)
	beta.SetVec(0, math.Log(rate/(1-rate)))
	penalty := func(b *mat.VecDense) float64 {
		var s float64
		for j := 1; j < b.Len(); j++ {
			s += b.AtVec(j) * b.AtVec(j)
		}
		return l2 / 2 * s
	}
	objective := func(b *mat.VecDense) float64 { return crossEntropySum(rows, y, w, b) + penalty(b) }

	var chol mat.Cholesky
	current := objective(beta)
	converged := false
	for iter := 0; iter < 200 && !converged; iter++ {
		grad, info := derivatives(rows, y, w, beta, l2)
		if !chol.Factorize(info) {
			return nil, fmt.Errorf("stats: logistic regression of %d items: %w", len(y), ErrSeparated)
		}
		step := mat.NewVecDense(beta.Len(), nil)
		if err := chol.SolveVecTo(step, grad); err != nil {
			return nil, fmt.Errorf("stats: logistic regression of %d items: %w", len(y), ErrSeparated)
		}
		decrement := mat.Dot(grad, step)
		next := mat.NewVecDense(beta.Len(), nil)
		for size := 1.0; ; size /= 2 {
			next.AddScaledVec(beta, size, step)
			if v := objective(next); v <= current+1e-12*(1+current) || size < 1e-8 { // near the optimum only rounding tells them apart
				current = v
				break
			}
		}
		beta.CopyVec(next)
		converged = decrement < 1e-16*(1+current)
	}
	_, info := derivatives(rows, y, w, beta, l2)
	// Standardised features give a condition number near 1; a huge one says that some direction has no finite optimum.
	// Nor is there one where the loss vanishes.
	if !converged || current < 1e-6 || !chol.Factorize(info) || chol.Cond() > 1e12 {
		return nil, fmt.Errorf("stats: logistic regression of %d items: %w", len(y), ErrSeparated)
	}
	var cov mat.SymDense
	if err := chol.InverseTo(&cov); err != nil {
		return nil, fmt.Errorf("stats: logistic regression of %d items: %w", len(y), ErrSeparated)
	}
	m.N, m.loss, m.weights = len(y), crossEntropySum(rows, y, w, beta), w
	m.Intercept = beta.AtVec(0)
	m.Cov = square(len(m.Coef) + 1)
	for a, fa := range used {
		if fa > 0 {
			m.Coef[fa-1] = beta.AtVec(a)
		}
		for b, fb := range used {
			m.Cov[fa][fb] = cov.At(a, b)
		}
	}
	return m, nil
}

// standardise checks the rows and measures the features.
func standardise(x [][]float64, l2 float64) (*Logistic, error) {
	d := len(x[0])
	m := &Logistic{Mean: make([]float64, d), Scale: make([]float64, d), Coef: make([]float64, d), L2: l2}
	for i, row := range x {
		if len(row) != d {
			return nil, fmt.Errorf("stats: feature row %d has %d values, row 0 has %d: %w", i, len(row), d, ErrLength)
		}
		for j, v := range row {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("stats: feature %d of item %d is %v: %w", j, i, v, ErrNotFinite)
			}
			m.Mean[j] += v / float64(len(x))
		}
	}
	for j := range m.Mean {
		varies := false
		var s float64
		for _, row := range x {
			varies = varies || row[j] != x[0][j]
			s += (row[j] - m.Mean[j]) * (row[j] - m.Mean[j])
		}
		if varies {
			m.Scale[j] = math.Sqrt(s / float64(len(x)))
		}
		if math.IsInf(m.Mean[j], 0) || math.IsInf(m.Scale[j], 0) {
			return nil, fmt.Errorf("stats: feature %d: values too large: %w", j, ErrNotFinite)
		}
	}
	return m, nil
}

// columns of the design matrix: 0 is the intercept, j+1 is feature j. Features that do not vary have none.
type columns []int

func (m *Logistic) columns() columns {
	used := columns{0}
	for j, s := range m.Scale {
		if s > 0 {
			used = append(used, j+1)
		}
	}
	return used
}

func (m *Logistic) row(x []float64, used columns, dst []float64) {
	for a, f := range used {
		if f == 0 {
			dst[a] = 1
		} else {
			dst[a] = (x[f-1] - m.Mean[f-1]) / m.Scale[f-1]
		}
	}
}

func (m *Logistic) design(x [][]float64) (*mat.Dense, columns) {
	used := m.columns()
	rows := mat.NewDense(len(x), len(used), nil)
	for i := range x {
		m.row(x[i], used, rows.RawRowView(i))
	}
	return rows, used
}

func crossEntropySum(rows *mat.Dense, y, w []float64, beta *mat.VecDense) float64 {
	var s float64
	for i, t := range y {
		eta := dot(rows.RawRowView(i), beta.RawVector().Data)
		s += weight(w, i) * (softplus(eta) - t*eta)
	}
	return s
}

// weight is that of an item; no weights are all 1.
func weight(w []float64, i int) float64 {
	if w == nil {
		return 1
	}
	return w[i]
}

// derivatives are the gradient of the penalised log-likelihood and the information (its negative Hessian).
func derivatives(rows *mat.Dense, y, weights []float64, beta *mat.VecDense, l2 float64) (*mat.VecDense, *mat.SymDense) {
	d := beta.Len()
	grad, info := make([]float64, d), mat.NewSymDense(d, nil)
	for i, t := range y {
		row := rows.RawRowView(i)
		q := Sigmoid(dot(row, beta.RawVector().Data))
		v := weight(weights, i)
		for a := range d {
			grad[a] += v * (t - q) * row[a]
			for b := a; b < d; b++ {
				info.SetSym(a, b, info.At(a, b)+v*q*(1-q)*row[a]*row[b])
			}
		}
	}
	for a := 1; a < d; a++ {
		grad[a] -= l2 * beta.AtVec(a)
		info.SetSym(a, a, info.At(a, a)+l2)
	}
	return mat.NewVecDense(d, grad), info
}

// Clustered replaces Cov by the sandwich estimate for items that come in clusters (Liang and Zeger 1986), with the factor
// G/(G−1). x and y are the data of the fit.
func (m *Logistic) Clustered(x [][]float64, y []float64, cluster []int) error {
	if len(x) != m.N || len(y) != m.N || len(cluster) != m.N {
		return fmt.Errorf("stats: clustered covariance: fit on %d items, got %d, %d, %d: %w", m.N, len(x), len(y), len(cluster), ErrLength)
	}
	groups := members(cluster)
	if len(groups) < 2 {
		return fmt.Errorf("stats: clustered covariance: one cluster: %w", ErrEmpty)
	}
	d := len(m.Coef) + 1
	used := m.columns()
	row := make([]float64, len(used))
	meat := mat.NewDense(d, d, nil)
	for _, items := range groups {
		score := make([]float64, d)
		for _, i := range items {
			if len(x[i]) != len(m.Coef) {
				return fmt.Errorf("stats: feature row %d has %d values, want %d: %w", i, len(x[i]), len(m.Coef), ErrLength)
			}
			m.row(x[i], used, row)
			q := Sigmoid(m.eta(row, used))
			for a, f := range used {
				score[f] += weight(m.weights, i) * (y[i] - q) * row[a]
			}
		}
		v := mat.NewVecDense(d, score)
		meat.RankOne(meat, float64(len(groups))/float64(len(groups)-1), v, v)
	}
	bread := mat.NewDense(d, d, nil)
	for a := range m.Cov {
		bread.SetRow(a, m.Cov[a])
	}
	var out mat.Dense
	out.Product(bread, meat, bread)
	for a := range d {
		for b := range d {
			m.Cov[a][b] = out.At(a, b)
		}
	}
	return nil
}

func (m *Logistic) eta(row []float64, used columns) (eta float64) {
	for a, f := range used {
		if f == 0 {
			eta += m.Intercept
		} else {
			eta += m.Coef[f-1] * row[a]
		}
	}
	return eta
}

// Predict is the probability for one row of features, as they were given to the fit.
func (m *Logistic) Predict(x []float64) (float64, error) {
	eta, _, err := m.logit(x)
	if err != nil {
		return 0, err
	}
	return Sigmoid(eta), nil
}

// Interval is the probability with its interval by the delta method on the log-odds. It speaks of the fitted curve's
// uncertainty, not of how a single answer will turn out.
func (m *Logistic) Interval(x []float64, level float64) (Figure, error) {
	if err := checkLevel(level); err != nil {
		return Figure{}, err
	}
	eta, se, err := m.logit(x)
	if err != nil {
		return Figure{}, err
	}
	half := normalQuantile(level) * se
	return Figure{Value: Sigmoid(eta), Low: Sigmoid(eta - half), High: Sigmoid(eta + half), N: m.N, Method: methodf("logistic regression, delta method", level)}, nil
}

// logit is the linear predictor at x and its standard error.
func (m *Logistic) logit(x []float64) (eta, se float64, err error) {
	if len(x) != len(m.Coef) {
		return 0, 0, fmt.Errorf("stats: %d features, the fit has %d: %w", len(x), len(m.Coef), ErrLength)
	}
	if len(x) > 0 {
		if err := checkFinite(x); err != nil {
			return 0, 0, err
		}
	}
	used := m.columns()
	row := make([]float64, len(used))
	m.row(x, used, row)
	var variance float64
	for a, fa := range used {
		for b, fb := range used {
			variance += row[a] * row[b] * m.Cov[fa][fb]
		}
	}
	eta, se = m.eta(row, used), math.Sqrt(max(0, variance))
	if math.IsNaN(eta) || math.IsNaN(se) {
		return 0, 0, fmt.Errorf("stats: logistic fit: features too far from the fitted ones: %w", ErrNotFinite)
	}
	return eta, se, nil
}

// raw gives intercept and coefficients on the features' own scale, and their covariance.
func (m *Logistic) raw() ([]float64, *mat.Dense) {
	d := len(m.Coef) + 1
	to := mat.NewDense(d, d, nil) // raw = to · standardised
	to.Set(0, 0, 1)
	for j, s := range m.Scale {
		if s > 0 {
			to.Set(j+1, j+1, 1/s)
			to.Set(0, j+1, -m.Mean[j]/s)
		}
	}
	cov := mat.NewDense(d, d, nil)
	for a := range m.Cov {
		cov.SetRow(a, m.Cov[a])
	}
	var beta mat.VecDense
	beta.MulVec(to, mat.NewVecDense(d, append([]float64{m.Intercept}, m.Coef...)))
	var out mat.Dense
	out.Product(to, cov, to.T())
	return beta.RawVector().Data, &out
}

// Validate says what is wrong with a fit that was read from outside.
func (m *Logistic) Validate() error {
	d := len(m.Coef)
	if len(m.Mean) != d || len(m.Scale) != d || len(m.Cov) != d+1 {
		return fmt.Errorf("stats: logistic fit: %d coefficients, %d means, %d scales, %d covariance rows: %w", d, len(m.Mean), len(m.Scale), len(m.Cov), ErrLength)
	}
	for _, x := range append([][]float64{m.Mean, m.Scale, m.Coef, {m.Intercept, m.L2}}, m.Cov...) {
		if len(x) == 0 {
			continue
		}
		if err := checkFinite(x); err != nil {
			return fmt.Errorf("logistic fit: %w", err)
		}
	}
	for a, row := range m.Cov {
		if len(row) != d+1 {
			return fmt.Errorf("stats: logistic fit: covariance row %d has %d values, want %d: %w", a, len(row), d+1, ErrLength)
		}
	}
	for j, s := range m.Scale {
		if s < 0 {
			return rangeError(fmt.Sprintf("logistic fit: scale %d", j), s, "at least 0")
		}
	}
	return nil
}

// Sigmoid is 1/(1+e^−x), without overflow.
func Sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// Logit is ln(p/(1−p)) with p clipped to [eps, 1−eps].
func Logit(p, eps float64) float64 {
	p = min(max(p, eps), 1-eps)
	return math.Log(p) - math.Log1p(-p)
}

func logits(p []float64, eps float64) []float64 {
	out := make([]float64, len(p))
	for i, v := range p {
		out[i] = Logit(v, eps)
	}
	return out
}

func softplus(x float64) float64 {
	if x > 0 {
		return x + math.Log1p(math.Exp(-x))
	}
	return math.Log1p(math.Exp(x))
}

func dot(a, b []float64) (s float64) {
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

func column(x []float64) [][]float64 {
	out := make([][]float64, len(x))
	for i := range x {
		out[i] = x[i : i+1 : i+1]
	}
	return out
}

func square(n int) [][]float64 {
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, n)
	}
	return out
}
