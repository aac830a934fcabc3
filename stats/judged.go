package stats

import (
	"fmt"
	"math"
)

// Where a judge gives the labels, its errors belong into the interval. Two ways, both from some items labelled by someone
// who is trusted: [RoganGladen] needs only how often the judge is right on right and on wrong answers, which may come from
// another run; [PPI] needs labels of items drawn at random from the run itself, takes graded labels, and never gives a wider
// interval than the labels alone (for many of them).

// RoganGladen is the share of items that are right, given that a judge called yes of n right, and how it called items of
// known standing (a signal is an item that is right, a hit one that it called so; not counted in n): (yes/n + Sp − 1)/(Se +
// Sp − 1) (Rogan and Gladen 1978), cut to [0,1]. The interval is the adjusted delta method of Lang and Reiczigel (2014),
// which allows for Se and Sp being estimates. ErrRange where Se + Sp ≤ 1: such a judge tells nothing.
func RoganGladen(yes, n int, judge Detection, level float64) (Figure, error) {
	if min(judge.Hits, judge.Misses, judge.FalseAlarms, judge.Rejections) < 0 {
		return Figure{}, rangeError("counts", judge, "at least 0")
	}
	signals, noise := float64(judge.Hits+judge.Misses), float64(judge.FalseAlarms+judge.Rejections)
	if signals == 0 || noise == 0 {
		return Figure{}, fmt.Errorf("stats: Rogan–Gladen: the judge was tried on %g right and %g wrong items: %w", signals, noise, ErrOneClass)
	}
	f, err := RoganGladenKnown(yes, n, float64(judge.Hits)/signals, float64(judge.Rejections)/noise, level)
	if err != nil {
		return Figure{}, err
	}
	// One of either kind is added to each count of the judge, z²/2 to those of the items.
	z := normalQuantile(level)
	m := float64(n) + z*z
	p, se, sp := (float64(yes)+z*z/2)/m, (float64(judge.Hits)+1)/(signals+2), (float64(judge.Rejections)+1)/(noise+2)
	youden := se + sp - 1
	if youden <= 0 {
		return pointOnly(f.Value, n, "Rogan–Gladen", "the judge was tried on too few items to tell it from chance"), nil
	}
	rate := (p + sp - 1) / youden
	vSe, vSp := se*(1-se)/(signals+2), sp*(1-sp)/(noise+2)
	half := z * math.Sqrt(p*(1-p)/m+rate*rate*vSe+(1-rate)*(1-rate)*vSp) / youden
	centre := rate + 2*z*z*(rate*vSe-(1-rate)*vSp)
	// The value stays inside where the adjustment would leave it out.
	f.Low, f.High = max(0, min(f.Value, centre-half)), min(1, max(f.Value, centre+half))
	f.Method = methodf(fmt.Sprintf("Rogan–Gladen, judge tried on %g items (Lang–Reiczigel)", signals+noise), level)
	return f, nil
}

// RoganGladenKnown is [RoganGladen] for a judge whose sensitivity and specificity are known exactly: [Wilson]'s interval of
// yes/n, mapped. With estimates it is too narrow.
func RoganGladenKnown(yes, n int, sensitivity, specificity, level float64) (Figure, error) {
	for _, v := range []float64{sensitivity, specificity} {
		if !(v >= 0 && v <= 1) {
			return Figure{}, rangeError("sensitivity and specificity", [2]float64{sensitivity, specificity}, "[0,1]")
		}
	}
	youden := sensitivity + specificity - 1
	if youden <= 1e-9 {
		return Figure{}, rangeError("sensitivity + specificity", sensitivity+specificity, "above 1: this judge is no better than chance")
	}
	f, err := Wilson(yes, n, level)
	if err != nil {
		return Figure{}, err
	}
	for _, v := range []*float64{&f.Value, &f.Low, &f.High} {
		*v = min(1, max(0, (*v+specificity-1)/youden))
	}
	f.Method = methodf("Rogan–Gladen, judge known", level)
	return f, nil
}

// PPI is prediction-powered inference (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, Science 2023): with labels y and a
// judge's scores f on some items, and only the judge's scores on the rest,
//
//	λ·mean(f of the rest) + mean(y − λ·f)
//
// is unbiased whatever the judge, if the labelled items are a random choice. λ = cov(y,f)/((1 + n/N)·var f), cut to [0,1],
// makes the variance small (PPI++: Angelopoulos, Duchi and Zrnic 2023): a useless judge gets 0, and the labels stand alone.
// The intervals take n − 1 degrees of freedom, n labelled items or clusters (chosen; the papers have the normal quantile).
type PPI struct {
	Level       float64 // 0 is .95
	Plain       bool    // λ = 1, as in the first paper: worse than no judge if the judge is bad
	Cluster     []int   // of the labelled items; nil: independent
	RestCluster []int   // of the rest; clusters of the one are none of the other
}

// Mean is the mean of y over all items. y are the labels, judged the judge's scores of the same items, rest those of the
// items without a label. N counts all of them.
func (o PPI) Mean(y, judged, rest []float64) (Figure, error) {
	f, _, err := o.mean(y, judged, rest)
	return f, err
}

// Pair are two conditions of the same items.
type Pair struct{ A, B []float64 }

// Difference is the mean of A − B over all items, with the p-value of no difference. It is [PPI.Mean] of the differences, so
// what a judge gets wrong on both sides alike cancels before the labels have to correct it.
func (o PPI) Difference(y, judged, rest Pair) (Figure, error) {
	var d [3][]float64
	for k, p := range []Pair{y, judged, rest} {
		var err error
		if d[k], err = differences(p.A, p.B); err != nil {
			return Figure{}, fmt.Errorf("prediction-powered difference, %s: %w", [...]string{"labels", "judged", "rest"}[k], err)
		}
	}
	f, t, err := o.mean(d[0], d[1], d[2])
	if err == nil && !math.IsNaN(t.statistic) {
		f = f.tested(twoSidedStudent(t.statistic, t.df))
	}
	return f, err
}

type studentized struct{ statistic, df float64 }

func (o PPI) mean(y, judged, rest []float64) (Figure, studentized, error) {
	none := studentized{statistic: math.NaN()}
	if o.Level == 0 {
		o.Level = 0.95
	}
	if err := checkLevel(o.Level); err != nil {
		return Figure{}, none, err
	}
	if err := checkFinite(y, judged); err != nil {
		return Figure{}, none, fmt.Errorf("prediction-powered mean, labelled items: %w", err)
	}
	if err := checkFinite(rest); err != nil {
		return Figure{}, none, fmt.Errorf("prediction-powered mean, items without a label: %w", err)
	}
	n, all := float64(len(y)), len(y)+len(rest)
	lambda, name := 1.0, "PPI"
	if !o.Plain {
		name = "PPI++"
		my, mj := mean(y), mean(judged)
		var cov float64
		for i := range y {
			cov += (y[i] - my) * (judged[i] - mj) / n
		}
		pooled, spread := mean(append(append([]float64(nil), judged...), rest...)), 0.0
		for _, x := range [][]float64{judged, rest} {
			for _, v := range x {
				spread += (v - pooled) * (v - pooled) / float64(all-1)
			}
		}
		if lambda = 0; spread > 0 {
			lambda = min(1, max(0, cov/((1+n/float64(len(rest)))*spread)))
		}
	}
	rectifier := make([]float64, len(y))
	for i := range y {
		rectifier[i] = y[i] - lambda*judged[i]
	}
	m1, se1, df, err := clusterMean(rectifier, o.Cluster)
	if err != nil {
		return Figure{}, none, fmt.Errorf("prediction-powered mean, labelled items: %w", err)
	}
	m2, se2, restDF, err := clusterMean(rest, o.RestCluster)
	if err != nil {
		return Figure{}, none, fmt.Errorf("prediction-powered mean, items without a label: %w", err)
	}
	value := m1 + lambda*m2
	method := methodf(fmt.Sprintf("%s, λ = %.3g, %d of %d labelled", name, lambda, len(y), all), o.Level)
	if df < 1 || restDF < 1 && lambda > 0 {
		return pointOnly(value, all, method, "an interval needs two items or clusters with and two without a label"), none, nil
	}
	se := math.Hypot(se1, lambda*se2)
	half := studentQuantile(o.Level, df) * se
	t := none
	if se > 0 {
		t = studentized{value / se, float64(df)}
	}
	return Figure{Value: value, Low: value - half, High: value + half, N: all, Method: method}, t, nil
}
