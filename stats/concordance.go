package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Concordance counts the pairs of items by how two scores order them. Every pair is in exactly one of the five counts.
type Concordance struct {
	N                                                int
	Concordant, Discordant, TiedX, TiedY, TiedInBoth float64 // TiedX: tied in x only

	tie2X, tie2Y, tie3X, tie3Y, tie5X, tie5Y float64
}

// Concord counts in O(n log n).
func Concord(x, y []float64) (Concordance, error) {
	if err := checkFinite(x, y); err != nil {
		return Concordance{}, err
	}
	n := len(x)
	values := slices.Compact(slices.Sorted(slices.Values(y)))
	place := make([]int, n)
	order := make([]int, n)
	for i, v := range y {
		place[i], _ = slices.BinarySearch(values, v)
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Or(cmp.Compare(x[i], x[j]), place[i]-place[j]) })
	tree := make([]float64, len(values)+1) // how many items with smaller x have each y
	below := func(k int) (s float64) {     // places 0…k−1
		for ; k > 0; k &= k - 1 {
			s += tree[k]
		}
		return s
	}
	c := Concordance{N: n}
	seen := 0.0
	for from := 0; from < n; {
		to := from
		for to < n && x[order[to]] == x[order[from]] {
			p := place[order[to]]
			less, upTo := below(p), below(p+1)
			c.Concordant += less
			c.TiedY += upTo - less
			c.Discordant += seen - upTo
			to++
		}
		run := float64(to - from)
		var both float64
		for a := from; a < to; {
			b := a
			for b < to && place[order[b]] == place[order[a]] {
				b++
			}
			both += float64(b-a) * float64(b-a-1) / 2
			a = b
		}
		c.TiedInBoth += both
		c.TiedX += run*(run-1)/2 - both
		for _, i := range order[from:to] {
			for k := place[i] + 1; k < len(tree); k += k & -k {
				tree[k]++
			}
		}
		seen += run
		from = to
	}
	c.tie2X, c.tie3X, c.tie5X = tieMoments(x)
	c.tie2Y, c.tie3Y, c.tie5Y = tieMoments(y)
	return c, nil
}

// tieMoments are the sums over runs of t equal values that the variance of Kendall's statistic needs.
func tieMoments(x []float64) (two, three, five float64) {
	sorted := slices.Sorted(slices.Values(x))
	for from := 0; from < len(sorted); {
		to := from
		for to < len(sorted) && sorted[to] == sorted[from] {
			to++
		}
		t := float64(to - from)
		two += t * (t - 1)
		three += t * (t - 1) * (t - 2)
		five += t * (t - 1) * (2*t + 5)
		from = to
	}
	return two, three, five
}

func (c Concordance) ratio(what string, of float64) (float64, error) {
	if of == 0 {
		return 0, fmt.Errorf("stats: %s: %w", what, ErrConstant)
	}
	return (c.Concordant - c.Discordant) / of, nil
}

// TauB is Kendall's correlation with ties (1945).
func (c Concordance) TauB() (float64, error) {
	untied := c.Concordant + c.Discordant
	return c.ratio("Kendall's tau-b", math.Sqrt((untied+c.TiedX)*(untied+c.TiedY)))
}

// TauC is Stuart's (1953), for scores with different numbers of distinct values: kinds is the smaller one.
func (c Concordance) TauC(kinds int) (float64, error) {
	if kinds < 2 {
		return 0, fmt.Errorf("stats: Kendall's tau-c: %w", ErrConstant)
	}
	k, n := float64(kinds), float64(c.N)
	return c.ratio("Kendall's tau-c", n*n*(k-1)/k/2)
}

// SomersD is the asymmetric form that leaves out pairs tied in y (Somers 1962): how x follows y.
func (c Concordance) SomersD() (float64, error) {
	return c.ratio("Somers' D", c.Concordant+c.Discordant+c.TiedX)
}

// CIndex is the share of pairs with different y that x orders the same way, ties in x ½ (Harrell 1982). For y of 0 and 1
// it is the AUROC.
func (c Concordance) CIndex() (float64, error) {
	d, err := c.SomersD()
	return (d + 1) / 2, err
}

// Test asks whether the order is independent: Kendall's test, normal approximation with ties.
func (c Concordance) Test() (Test, error) {
	n := float64(c.N)
	m := n * (n - 1)
	if c.N < 3 || c.tie2X == m || c.tie2Y == m {
		return Test{}, fmt.Errorf("stats: Kendall's test: %w", ErrConstant)
	}
	variance := (m*(2*n+5)-c.tie5X-c.tie5Y)/18 + c.tie2X*c.tie2Y/(2*m) + c.tie3X*c.tie3Y/(9*m*(n-2))
	z := (c.Concordant - c.Discordant) / math.Sqrt(variance)
	return Test{z, twoSidedNormal(z), c.N, "Kendall z"}, nil
}

// CorrelationTest asks whether a Pearson or Spearman correlation r of n > 2 pairs is 0, by Student's t.
func CorrelationTest(r float64, n int) (Test, error) {
	if n < 3 || !(r >= -1 && r <= 1) {
		return Test{}, rangeError("correlation", r, "[-1,1] of at least 3 pairs")
	}
	df := float64(n - 2)
	t := r * math.Sqrt(df/max(1e-300, 1-r*r))
	return Test{t, twoSidedStudent(t, df), n, "Student's t of a correlation"}, nil
}
