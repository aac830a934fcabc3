package stats

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

func checkLevel(level float64) error {
	if !(level > 0 && level < 1) {
		return rangeError("confidence level", level, "(0,1)")
	}
	return nil
}

func methodf(name string, level float64) string { return fmt.Sprintf("%s, %g %%", name, 100*level) }

// Wilson is the score interval of k successes in n trials (Wilson 1927). It never leaves [0,1] and never has length 0.
func Wilson(k, n int, level float64) (Figure, error) {
	if n < 1 {
		return Figure{}, fmt.Errorf("stats: Wilson interval: %w", ErrEmpty)
	}
	if k < 0 || k > n {
		return Figure{}, rangeError("successes", k, fmt.Sprintf("0 to %d", n))
	}
	if err := checkLevel(level); err != nil {
		return Figure{}, err
	}
	f := wilson(float64(k)/float64(n), float64(n), level)
	f.N, f.Method = n, methodf("Wilson", level)
	return f, nil
}

// wilson takes any effective number n of trials.
func wilson(rate, n, level float64) Figure {
	z := normalQuantile(level)
	centre := (rate + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(rate*(1-rate)/n+z*z/(4*n*n))
	f := Figure{Value: rate, Low: max(0, centre-half), High: min(1, centre+half)}
	// Exactly, not up to rounding.
	if rate == 0 {
		f.Low = 0
	}
	if rate == 1 {
		f.High = 1
	}
	return f
}

// WilsonClustered is the score interval of a proportion whose items come in clusters: [Wilson]'s with the effective number
// of trials n / d · (t(n−1) / t(G−1))², d the observed design effect ([ObservedDesignEffect]), at least 1, and t the
// quantiles for n items and G clusters (effective size: Korn and Graubard 1998; Wilson's interval with it: Dean and Pagano
// 2015). Where all outcomes are alike nothing shows how alike clusters are inside, and they are taken to be of one piece:
// d = Σ m²/n for clusters of m items (chosen). y is 0 or 1; without clusters (nil) it is [Wilson].
func WilsonClustered(y []float64, cluster []int, level float64) (Figure, error) {
	if err := checkFinite(y); err != nil {
		return Figure{}, err
	}
	if !isBinary(y) {
		return Figure{}, fmt.Errorf("stats: clustered Wilson interval: %w", ErrNotBinary)
	}
	if err := errors.Join(checkLevel(level), checkLabels(cluster, len(y))); err != nil {
		return Figure{}, err
	}
	n, rate := float64(len(y)), mean(y)
	if cluster == nil {
		return Wilson(int(rate*n+0.5), len(y), level)
	}
	_, _, df, err := clusterMean(y, cluster)
	if err != nil {
		return Figure{}, err
	}
	method := methodf(fmt.Sprintf("Wilson over %d clusters", df+1), level)
	if df < 1 {
		return pointOnly(rate, len(y), method, "an interval needs two clusters"), nil
	}
	d, err := ObservedDesignEffect(y, cluster)
	if errors.Is(err, ErrConstant) {
		d = 0
		for _, m := range members(cluster) {
			d += float64(len(m)*len(m)) / n
		}
	} else if err != nil {
		return Figure{}, err
	}
	t := studentQuantile(level, len(y)-1) / studentQuantile(level, df)
	f := wilson(rate, n/max(1, d)*t*t, level)
	f.N, f.Method = len(y), method+fmt.Sprintf(", design effect %.3g", max(1, d))
	return f, nil
}

// ObservedDesignEffect is how many times the variance of the mean of x is what it would be of independent items: the
// cluster-robust one ([Mean]) over s²/n. n items tell as much as n divided by it. ErrConstant where x does not vary.
func ObservedDesignEffect(x []float64, cluster []int) (float64, error) {
	_, robust, df, err := clusterMean(x, cluster)
	if err != nil {
		return 0, err
	}
	if df < 1 {
		return 0, fmt.Errorf("stats: design effect: one cluster: %w", ErrEmpty)
	}
	_, plain, _, err := clusterMean(x, nil)
	if err != nil {
		return 0, err
	}
	if plain == 0 {
		return 0, fmt.Errorf("stats: design effect: %w", ErrConstant)
	}
	return robust * robust / (plain * plain), nil
}

// DesignEffect is 1 + ((1 + cv²)·size − 1)·icc, for clusters of size items on average whose sizes have the coefficient of
// variation cv, and items of one cluster with the intraclass correlation icc (Kish 1965; unequal sizes: Eldridge, Ashby and
// Kerry 2006). icc in [0,1], size at least 1, cv at least 0.
func DesignEffect(icc, size, cv float64) (float64, error) {
	if !(icc >= 0 && icc <= 1) {
		return 0, rangeError("intraclass correlation", icc, "[0,1]")
	}
	if !(size >= 1) || math.IsInf(size, 0) {
		return 0, rangeError("mean cluster size", size, "at least 1")
	}
	if !(cv >= 0) || math.IsInf(cv, 0) {
		return 0, rangeError("coefficient of variation of the cluster sizes", cv, "at least 0")
	}
	return 1 + ((1+cv*cv)*size-1)*icc, nil
}

// Mean is the mean of x with a t interval whose standard error allows for items of one cluster being alike (Miller 2024,
// equation 4, times √(G/(G−1)) for G clusters, G − 1 degrees of freedom). cluster nil: every item for itself, which is
// the ordinary interval.
func Mean(x []float64, cluster []int, level float64) (Figure, error) {
	m, se, df, err := clusterMean(x, cluster)
	if err != nil {
		return Figure{}, err
	}
	if err := checkLevel(level); err != nil {
		return Figure{}, err
	}
	method := methodf("t interval", level)
	if cluster != nil {
		method = methodf(fmt.Sprintf("t interval over %d clusters", df+1), level)
	}
	if df < 1 {
		return pointOnly(m, len(x), method, "an interval needs two items or clusters"), nil
	}
	half := studentQuantile(level, df) * se
	return Figure{Value: m, Low: m - half, High: m + half, N: len(x), Method: method}, nil
}

// clusterMean returns the mean, its cluster-robust standard error and the degrees of freedom.
func clusterMean(x []float64, cluster []int) (m, se float64, df int, err error) {
	if err := checkFinite(x); err != nil {
		return 0, 0, 0, err
	}
	if err := checkLabels(cluster, len(x)); err != nil {
		return 0, 0, 0, err
	}
	m = mean(x)
	var sum float64
	groups := len(x)
	if cluster == nil {
		for _, v := range x {
			sum += (v - m) * (v - m)
		}
	} else {
		all := members(cluster)
		groups = len(all)
		for _, items := range all {
			var s float64
			for _, i := range items {
				s += x[i] - m
			}
			sum += s * s
		}
	}
	df = groups - 1
	if df > 0 {
		se = math.Sqrt(sum*float64(groups)/float64(df)) / float64(len(x))
	}
	if math.IsInf(m, 0) || math.IsNaN(m) || math.IsInf(se, 0) || math.IsNaN(se) {
		return 0, 0, 0, fmt.Errorf("stats: mean: values too large: %w", ErrNotFinite)
	}
	return m, se, df, nil
}

func studentQuantile(level float64, df int) float64 {
	return distuv.StudentsT{Sigma: 1, Nu: float64(df)}.Quantile((1 + level) / 2)
}

// IntervalKind says how bootstrap resamples become an interval.
type IntervalKind int

const (
	// Percentile takes the quantiles of the resampled values.
	Percentile IntervalKind = iota
	// Basic mirrors them at the value (2v − q): for figures that resampling pushes one way, like ECE.
	Basic
	// BCa corrects for bias and skewness (Efron 1987); it costs one more evaluation for every item or cluster.
	BCa
)

// Bootstrap resamples items, or whole clusters when they are given. The zero value is 2,000 resamples and a 95 %
// percentile interval over items.
type Bootstrap struct {
	Resamples int
	Level     float64
	Kind      IntervalKind
	Cluster   []int // cluster of each item; nil: items are independent
	// Drawn, if set, is called after each resample: many may take minutes.
	Drawn func()

	null bool // 0 is no effect: figures get a p-value
}

func (b Bootstrap) drawn() {
	if b.Drawn != nil {
		b.Drawn()
	}
}

// Figure computes stat on all n items and on resamples of them. stat gets indices with repetition; their order means
// nothing, and idx is reused. Resamples where stat is undefined are left out; if they are more than a tenth, the figure has
// its value but no interval.
func (b Bootstrap) Figure(rng *rand.Rand, n int, stat func(idx []int) (float64, error)) (Figure, error) {
	b, err := b.checked(n)
	if err != nil {
		return Figure{}, err
	}
	var clusters [][]int
	if b.Cluster != nil {
		clusters = members(b.Cluster)
	}
	_, units, over := unitsOf(b.Cluster, n)
	var idx []int
	return b.resample(rng, n, units, over, func(count []int32) (float64, error) {
		// Ascending order keeps presorted data sorted, see Of.
		idx = idx[:0]
		for u, c := range count {
			for range c {
				if clusters == nil {
					idx = append(idx, u)
				} else {
					idx = append(idx, clusters[u]...)
				}
			}
		}
		return finite(stat(idx))
	})
}

// checked fills in defaults.
func (b Bootstrap) checked(n int) (Bootstrap, error) {
	if n < 1 {
		return b, fmt.Errorf("stats: bootstrap: %w", ErrEmpty)
	}
	if err := checkLabels(b.Cluster, n); err != nil {
		return b, err
	}
	if b.Resamples == 0 {
		b.Resamples = 2000
	}
	if b.Level == 0 {
		b.Level = 0.95
	}
	if err := checkLevel(b.Level); err != nil {
		return b, err
	}
	if b.Resamples < 20 {
		return b, rangeError("resamples", b.Resamples, "at least 20")
	}
	if b.Kind < Percentile || b.Kind > BCa {
		return b, rangeError("interval kind", int(b.Kind), "Percentile, Basic or BCa")
	}
	return b, nil
}

// resample does the work of Figure for a stat of how often each of the units was drawn.
func (b Bootstrap) resample(rng *rand.Rand, n, units int, over string, stat func(count []int32) (float64, error)) (Figure, error) {
	count := make([]int32, units)
	fill(count, 1)
	value, err := stat(count)
	if err != nil {
		return Figure{}, err
	}
	values := make([]float64, 0, b.Resamples)
	if units > 1 {
		for range b.Resamples {
			draw(rng, count)
			if v, err := stat(count); err == nil {
				values = append(values, v)
			}
			b.drawn()
		}
	}
	if b.Kind != BCa {
		return b.interval(value, n, units, over, values, nil), nil
	}
	return b.interval(value, n, units, over, values, func(sorted []float64, low, high float64) (float64, float64, error) {
		return b.adjust(value, sorted, count, stat, low, high)
	}), nil
}

// AUROC is [Bootstrap.Of] the AUROC, some twenty times as fast: the items are ranked once, and resamples only count.
func (b Bootstrap) AUROC(rng *rand.Rand, score, y []float64) (Figure, error) {
	return b.rankings(rng, y, score)
}

// AUROCDifference is [Bootstrap.Difference] of two AUROCs in the same way.
func (b Bootstrap) AUROCDifference(rng *rand.Rand, first, second, y []float64) (Figure, error) {
	b.null = true
	return b.rankings(rng, y, first, second)
}

// rankings is the AUROC of the first score, less that of the second if there is one.
func (b Bootstrap) rankings(rng *rand.Rand, y []float64, scores ...[]float64) (Figure, error) {
	b, err := b.checked(len(y))
	if err != nil {
		return Figure{}, err
	}
	unit, units, over := unitsOf(b.Cluster, len(y))
	rankings := make([]*ranking, len(scores))
	for k, score := range scores {
		if _, err := checkBinary(score, y); err != nil {
			return Figure{}, err
		}
		rankings[k] = newRanking(score, y, unit)
	}
	return b.resample(rng, len(y), units, over, func(count []int32) (float64, error) {
		v, err := auroc(rankings[0].weigh(count))
		if err == nil && len(rankings) > 1 {
			var w float64
			w, err = auroc(rankings[1].weigh(count))
			v -= w
		}
		return v, err
	})
}

// finite turns a non-finite result into an error.
func finite(v float64, err error) (float64, error) {
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = fmt.Errorf("stats: a metric returned %v: %w", v, ErrNotFinite)
	}
	return v, err
}

// adjust moves the quantile levels by BCa's bias and acceleration.
func (b Bootstrap) adjust(value float64, sorted []float64, count []int32, stat func(count []int32) (float64, error), low, high float64) (float64, float64, error) {
	var below float64
	for _, v := range sorted {
		switch {
		case v < value:
			below++
		case v == value:
			below += 0.5
		}
	}
	share := below / float64(len(sorted))
	if share == 0 || share == 1 {
		return 0, 0, fmt.Errorf("stats: BCa: all resamples lie on one side of the value: %w", ErrConstant)
	}
	fill(count, 1)
	jack := make([]float64, len(count))
	for leave := range jack {
		count[leave] = 0
		v, err := stat(count)
		if err != nil {
			return 0, 0, fmt.Errorf("stats: BCa jackknife without unit %d: %w", leave, err)
		}
		jack[leave], count[leave] = v, 1
	}
	centre := mean(jack)
	var square, cube float64
	for _, v := range jack {
		d := centre - v
		square += d * d
		cube += d * d * d
	}
	var accel float64
	if square > 0 {
		accel = cube / (6 * math.Pow(square, 1.5))
	}
	z0 := distuv.UnitNormal.Quantile(share)
	move := func(q float64) float64 {
		z := z0 + distuv.UnitNormal.Quantile(q)
		return distuv.UnitNormal.CDF(z0 + z/(1-accel*z))
	}
	return move(low), move(high), nil
}

// Of is the figure of a metric of (score, y).
func (b Bootstrap) Of(rng *rand.Rand, metric Metric, score, y []float64) (Figure, error) {
	if err := checkFinite(score, y); err != nil {
		return Figure{}, err
	}
	if err := checkLabels(b.Cluster, len(y)); err != nil {
		return Figure{}, err
	}
	// Sorted once here, resamples come out sorted and ranking metrics sort them in linear time.
	order := ascending(score)
	score, y = take(nil, score, order), take(nil, y, order)
	if b.Cluster != nil {
		b.Cluster = permute(b.Cluster, order)
	}
	var s, t []float64
	return b.Figure(rng, len(y), func(idx []int) (float64, error) {
		s, t = take(s, score, idx), take(t, y, idx)
		return metric(s, t)
	})
}

// Difference is the figure of metric(first, y) − metric(second, y) for two scores of the same items, resampled together. P
// is twice the smaller share of resamples on one side of 0, each counted with one more (Davison and Hinkley 1997, section
// 4.2): the level at which the percentile interval would just reach 0, at least 2/(resamples+1). BCa gives none.
func (b Bootstrap) Difference(rng *rand.Rand, metric Metric, first, second, y []float64) (Figure, error) {
	if err := checkFinite(first, second, y); err != nil {
		return Figure{}, err
	}
	b.null = true
	var s, t []float64
	return b.Figure(rng, len(y), func(idx []int) (float64, error) {
		t = take(t, y, idx)
		s = take(s, first, idx)
		v, err := metric(s, t)
		if err != nil {
			return 0, err
		}
		s = take(s, second, idx)
		w, err := metric(s, t)
		return v - w, err
	})
}

func permute(x, order []int) []int {
	out := make([]int, len(order))
	for i, o := range order {
		out[i] = x[o]
	}
	return out
}

// ClopperPearson is the exact interval of k successes in n trials (1934): it covers at least as often as it says, whatever the
// rate, and is wider than [Wilson]'s for it.
func ClopperPearson(k, n int, level float64) (Figure, error) {
	f, err := Wilson(k, n, level)
	if err != nil {
		return Figure{}, err
	}
	f.Low, f.High, f.Method = 0, 1, methodf("Clopper–Pearson", level)
	x, m := float64(k), float64(n)
	if k > 0 {
		f.Low = distuv.Beta{Alpha: x, Beta: m - x + 1}.Quantile((1 - level) / 2)
	}
	if k < n {
		f.High = distuv.Beta{Alpha: x + 1, Beta: m - x}.Quantile((1 + level) / 2)
	}
	return f, nil
}
