package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// CohenKappa is the agreement of two raters beyond chance, (p_o − p_e)/(1 − p_e), for labels of any kind (Cohen 1960).
// ErrConstant when both use one and the same label, where chance already explains everything. CohenKappa[float64] is a
// [Metric], so [Bootstrap.Of] gives its interval.
func CohenKappa[K comparable](a, b []K) (float64, error) {
	if len(a) == 0 {
		return 0, fmt.Errorf("stats: kappa: %w", ErrEmpty)
	}
	if len(a) != len(b) {
		return 0, fmt.Errorf("stats: kappa: %d and %d labels: %w", len(a), len(b), ErrLength)
	}
	dense := Groups(slices.Concat(a, b))
	return kappa(dense[:len(a)], dense[len(a):], func(i, j int) float64 {
		if i == j {
			return 0
		}
		return 1
	})
}

// WeightedKappa is Cohen's kappa for ordered labels: a disagreement weighs |i − j|^power of the labels' places in their
// order (Cohen 1968); power 1 is linear, 2 quadratic. Labels that nobody used have no place.
func WeightedKappa[K cmp.Ordered](a, b []K, power float64) (float64, error) {
	if len(a) == 0 {
		return 0, fmt.Errorf("stats: kappa: %w", ErrEmpty)
	}
	if len(a) != len(b) {
		return 0, fmt.Errorf("stats: kappa: %d and %d labels: %w", len(a), len(b), ErrLength)
	}
	if !(power > 0) {
		return 0, rangeError("power", power, "positive")
	}
	used := slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
	place := func(x []K) []int {
		out := make([]int, len(x))
		for i, v := range x {
			out[i], _ = slices.BinarySearch(used, v)
		}
		return out
	}
	return kappa(place(a), place(b), func(i, j int) float64 { return math.Pow(math.Abs(float64(i-j)), power) })
}

// kappa is 1 − Σ w·observed / Σ w·expected over dense labels.
func kappa(a, b []int, weight func(i, j int) float64) (float64, error) {
	k := max(slices.Max(a), slices.Max(b)) + 1
	na, nb := make([]float64, k), make([]float64, k)
	var seen, chance float64
	for i := range a {
		na[a[i]]++
		nb[b[i]]++
		seen += weight(a[i], b[i])
	}
	for i := range k {
		for j := range k {
			chance += weight(i, j) * na[i] * nb[j]
		}
	}
	if chance == 0 {
		return 0, fmt.Errorf("stats: kappa: one label only: %w", ErrConstant)
	}
	return 1 - seen*float64(len(a))/chance, nil
}

// FleissKappa is the agreement of many raters: counts[i][c] says how many put item i into category c; every item has the
// same number of ratings, at least 2 (Fleiss 1971).
func FleissKappa(counts [][]int) (float64, error) {
	seen, share, err := agreementOf(counts)
	if err != nil {
		return 0, err
	}
	var chance float64
	for _, q := range share {
		chance += q * q
	}
	if chance == 1 {
		return 0, fmt.Errorf("stats: Fleiss' kappa: one category only: %w", ErrConstant)
	}
	return (seen - chance) / (1 - chance), nil
}

// RandolphKappa is Fleiss' kappa with every category as likely as any other, for raters who need not meet given totals
// (Randolph 2005). Categories are the columns of counts, used or not.
func RandolphKappa(counts [][]int) (float64, error) {
	seen, share, err := agreementOf(counts)
	if err != nil {
		return 0, err
	}
	if len(share) < 2 {
		return 0, fmt.Errorf("stats: Randolph's kappa: one category only: %w", ErrConstant)
	}
	chance := 1 / float64(len(share))
	return (seen - chance) / (1 - chance), nil
}

// agreementOf is the share of agreeing pairs of ratings and the share of each category.
func agreementOf(counts [][]int) (seen float64, share []float64, err error) {
	if len(counts) == 0 {
		return 0, nil, fmt.Errorf("stats: kappa: %w", ErrEmpty)
	}
	raters := 0
	for _, c := range counts[0] {
		raters += c
	}
	if raters < 2 {
		return 0, nil, rangeError("ratings of an item", raters, "at least 2")
	}
	share = make([]float64, len(counts[0]))
	n := float64(len(counts) * raters)
	for i, row := range counts {
		sum := 0
		if len(row) != len(share) {
			return 0, nil, fmt.Errorf("stats: kappa: item %d has %d categories, the first %d: %w", i, len(row), len(share), ErrLength)
		}
		for c, k := range row {
			if k < 0 {
				return 0, nil, rangeError("count", k, "at least 0")
			}
			sum += k
			share[c] += float64(k) / n
			seen += float64(k*(k-1)) / float64(raters-1) / n
		}
		if sum != raters {
			return 0, nil, fmt.Errorf("stats: kappa: item %d has %d ratings, the first %d: %w", i, sum, raters, ErrLength)
		}
	}
	return seen, share, nil
}

// Scale is the level of measurement of ratings.
type Scale int

// Scales of [Krippendorff]: what makes two ratings far apart.
const (
	Nominal  Scale = iota // any two that differ
	Ordinal               // how many ratings lie between them
	Interval              // their difference
	Ratio                 // their difference over their sum
)

// Krippendorff is alpha, 1 − observed/expected disagreement, for any number of raters; ratings[r][i] is rater r's of item i,
// NaN where there is none (Krippendorff 2011). Items with a single rating say nothing and are left out.
func Krippendorff(ratings [][]float64, scale Scale) (float64, error) {
	if len(ratings) == 0 || len(ratings[0]) == 0 {
		return 0, fmt.Errorf("stats: alpha: %w", ErrEmpty)
	}
	if scale < Nominal || scale > Ratio {
		return 0, rangeError("scale", int(scale), "Nominal, Ordinal, Interval or Ratio")
	}
	var items [][]float64
	var used []float64
	for i := range ratings[0] {
		var item []float64
		for r, row := range ratings {
			if len(row) != len(ratings[0]) {
				return 0, fmt.Errorf("stats: alpha: rater %d has %d items, the first %d: %w", r, len(row), len(ratings[0]), ErrLength)
			}
			if math.IsInf(row[i], 0) {
				return 0, fmt.Errorf("stats: alpha: rater %d, item %d: %w", r, i, ErrNotFinite)
			}
			if !math.IsNaN(row[i]) {
				item = append(item, row[i])
			}
		}
		if len(item) > 1 {
			items = append(items, item)
			used = append(used, item...)
		}
	}
	if len(used) == 0 {
		return 0, fmt.Errorf("stats: alpha: no item has two ratings: %w", ErrEmpty)
	}
	values := slices.Compact(slices.Sorted(slices.Values(used)))
	if scale == Ratio && values[0] < 0 {
		return 0, rangeError("rating on a ratio scale", values[0], "at least 0")
	}
	k := len(values)
	pairs, total := make([][]float64, k), make([]float64, k)
	for v := range pairs {
		pairs[v] = make([]float64, k)
	}
	at := func(x float64) int { i, _ := slices.BinarySearch(values, x); return i }
	for _, item := range items {
		for i, x := range item {
			total[at(x)]++
			for j, y := range item {
				if i != j {
					pairs[at(x)][at(y)] += 1 / float64(len(item)-1)
				}
			}
		}
	}
	distance := func(i, j int) float64 {
		switch scale {
		case Ordinal:
			between := -(total[i] + total[j]) / 2
			for _, n := range total[min(i, j) : max(i, j)+1] {
				between += n
			}
			return between * between
		case Interval:
			return (values[i] - values[j]) * (values[i] - values[j])
		case Ratio:
			q := (values[i] - values[j]) / (values[i] + values[j])
			return q * q
		}
		return 1
	}
	var seen, chance float64
	for i := range k {
		for j := range k {
			if i != j {
				d := distance(i, j)
				seen += pairs[i][j] * d
				chance += total[i] * total[j] * d
			}
		}
	}
	if chance == 0 {
		return 0, fmt.Errorf("stats: alpha: one value only: %w", ErrConstant)
	}
	return 1 - seen*float64(len(used)-1)/chance, nil
}

// anova are the mean squares of a full two-way table, rows × columns.
func anova(table [][]float64) (rows, columns, rest, within float64, err error) {
	n := len(table)
	if n < 2 || len(table[0]) < 2 {
		return 0, 0, 0, 0, fmt.Errorf("stats: a table needs two rows and two columns: %w", ErrEmpty)
	}
	if err := checkFinite(table...); err != nil {
		return 0, 0, 0, 0, err
	}
	k := len(table[0])
	grand := 0.0
	column := make([]float64, k)
	for _, row := range table {
		grand += mean(row) / float64(n)
		for j, v := range row {
			column[j] += v / float64(n)
		}
	}
	var ssRows, ssColumns, ssWithin float64
	for _, row := range table {
		m := mean(row)
		ssRows += float64(k) * (m - grand) * (m - grand)
		for _, v := range row {
			ssWithin += (v - m) * (v - m)
		}
	}
	for _, m := range column {
		ssColumns += float64(n) * (m - grand) * (m - grand)
	}
	N, K := float64(n), float64(k)
	return ssRows / (N - 1), ssColumns / (K - 1), (ssWithin - ssColumns) / (N - 1) / (K - 1), ssWithin / N / (K - 1), nil
}

// CronbachAlpha is the internal consistency of a questionnaire, subjects × items, with Feldt's interval (1965).
func CronbachAlpha(answers [][]float64, level float64) (Figure, error) {
	if err := checkLevel(level); err != nil {
		return Figure{}, err
	}
	rows, _, rest, _, err := anova(answers)
	if err != nil {
		return Figure{}, err
	}
	if rows == 0 {
		return Figure{}, fmt.Errorf("stats: alpha: subjects do not differ: %w", ErrConstant)
	}
	alpha := 1 - rest/rows
	d1 := float64(len(answers) - 1)
	f := distuv.F{D1: d1, D2: d1 * float64(len(answers[0])-1)}
	return Figure{
		Value: alpha, N: len(answers), Method: methodf("Feldt", level),
		Low: 1 - (1-alpha)*f.Quantile((1+level)/2), High: 1 - (1-alpha)*f.Quantile((1-level)/2),
	}, nil
}

// ICC are the intraclass correlations of McGraw and Wong (1996): of one rating (Single…) and of the mean of all (Mean…).
type ICC struct {
	SingleOneWay, SingleAgreement, SingleConsistency float64 // ICC(1,1), (A,1), (C,1)
	MeanOneWay, MeanAgreement, MeanConsistency       float64 // ICC(1,k), (A,k), (C,k)
}

// IntraclassCorrelation takes ratings[i][r], targets × raters, all present.
func IntraclassCorrelation(ratings [][]float64) (ICC, error) {
	rows, columns, rest, within, err := anova(ratings)
	if err != nil {
		return ICC{}, err
	}
	if rows == 0 {
		return ICC{}, fmt.Errorf("stats: intraclass correlation: targets do not differ: %w", ErrConstant)
	}
	n, k := float64(len(ratings)), float64(len(ratings[0]))
	return ICC{
		SingleOneWay:      (rows - within) / (rows + (k-1)*within),
		SingleAgreement:   (rows - rest) / (rows + (k-1)*rest + k/n*(columns-rest)),
		SingleConsistency: (rows - rest) / (rows + (k-1)*rest),
		MeanOneWay:        (rows - within) / rows,
		MeanAgreement:     (rows - rest) / (rows + (columns-rest)/n),
		MeanConsistency:   (rows - rest) / rows,
	}, nil
}
