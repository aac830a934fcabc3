package learn

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// The rules by which rows are selected are pure functions of scores. A score
// that is NaN is missing: nothing chooses it and nothing counts it. The length
// band of meta-rewarding is [gnothi/monitor/judge.PickPair].

// Duo is a pair of indexes into a pool.
type Duo struct {
	Chosen, Rejected int
	Margin           float64 // score of chosen less that of rejected
}

// BestWorst pairs the highest score with the lowest, the first of equals. ok is
// false where no two differ.
func BestWorst(scores []float64) (d Duo, ok bool) {
	d = Duo{-1, -1, 0}
	for i, s := range scores {
		if math.IsNaN(s) {
			continue
		}
		if d.Chosen < 0 || s > scores[d.Chosen] {
			d.Chosen = i
		}
		if d.Rejected < 0 || s < scores[d.Rejected] {
			d.Rejected = i
		}
	}
	if d.Chosen < 0 || scores[d.Chosen] == scores[d.Rejected] {
		return Duo{}, false
	}
	d.Margin = scores[d.Chosen] - scores[d.Rejected]
	return d, true
}

// Ladder pairs the highest score with the lowest, and each with the next lower
// one, wherever the margin is at least delta (rlsf-self-feedback).
func Ladder(scores []float64, delta float64) (out []Duo) {
	order := descending(scores)
	add := func(a, b int) {
		if m := scores[a] - scores[b]; m >= delta && m > 0 {
			out = append(out, Duo{a, b, m})
		}
	}
	if n := len(order); n > 2 {
		add(order[0], order[n-1])
	}
	for i := 1; i < len(order); i++ {
		add(order[i-1], order[i])
	}
	return out
}

// descending gives the indexes of what is there, highest score first, equals in
// their order.
func descending(scores []float64) []int {
	var order []int
	for i, s := range scores {
		if !math.IsNaN(s) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return order
}

// Agree pairs each verdict that equals gold with each that misses it by at least
// margin, the widest first (self-rationalization-judge). Verdicts are compared
// as they are: round means first.
func Agree(verdicts []float64, gold, margin float64) (out []Duo) {
	for i, a := range verdicts {
		for j, b := range verdicts {
			if d := math.Abs(b - gold); a == gold && d > 0 && d >= margin {
				out = append(out, Duo{i, j, d})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Duo) int { return cmp.Compare(b.Margin, a.Margin) })
	return out
}

// Majority is the verdict that most name and the share that does; ok is false
// where two are named equally often, or none is.
func Majority(verdicts []float64) (value, share float64, ok bool) {
	counts := map[float64]int{}
	n, most := 0, 0
	for _, v := range verdicts {
		if !math.IsNaN(v) {
			n++
			counts[v]++
			most = max(most, counts[v])
		}
	}
	for v, k := range counts {
		if k == most {
			if ok {
				return 0, float64(most) / float64(n), false
			}
			value, ok = v, true
		}
	}
	if n == 0 {
		return 0, 0, false
	}
	return value, float64(most) / float64(n), ok
}

// Quantiles puts each score into one of so many bins of equal size, 0 the
// lowest (mario-multi-reward-rationales has five). Equal scores share the bin of
// their middle, so that a tie is never told apart. Missing: −1.
func Quantiles(scores []float64, bins int) []int {
	out := make([]int, len(scores))
	for i := range out {
		out[i] = -1
	}
	order := descending(scores)
	slices.Reverse(order)
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && scores[order[j]] == scores[order[i]] {
			j++
		}
		bin := (i + j - 1) / 2 * bins / len(order)
		for ; i < j; i++ {
			out[order[i]] = bin
		}
	}
	return out
}

// ZeroSum divides one point between a solver and the one who criticises it, from
// a score of 1 (the critique holds) to 3 (the solution stands) (comas).
func ZeroSum(score float64) (solver, critic float64) {
	v := (min(3, max(1, score)) - 1) / 2
	return v, 1 - v
}

// Balance is b-star's score of one question of which n samples were kept, right
// of them right, when so many are wanted: min(right/want, 1)·right/n, 0 if
// nothing was kept.
func Balance(right, n int, want float64) float64 {
	if n == 0 {
		return 0
	}
	return min(float64(right)/want, 1) * float64(right) / float64(n)
}

// RightWrong pairs each right one with each wrong one, at most so many, each
// taken as seldom as can be.
func RightWrong(right, wrong []int, most int) (out []Duo) {
	if len(right) == 0 || len(wrong) == 0 {
		return nil
	}
	for k := 0; k < len(right)*len(wrong) && len(out) < most; k++ {
		// The shift by k/lcm keeps the walk from repeating itself before all pairs are met.
		shift := k / lcm(len(right), len(wrong))
		out = append(out, Duo{right[k%len(right)], wrong[(k+shift)%len(wrong)], 1})
	}
	return out
}

func lcm(a, b int) int {
	x, y := a, b
	for y > 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// Weakest marks the pairs whose margin is among the lowest share of all
// (self-reference-ai-feedback drops the lowest fifth). Equal margins fall together only
// as far as the share goes, the later ones first.
func Weakest(margins []float64, share float64) []bool {
	out := make([]bool, len(margins))
	order := descending(margins)
	for k := len(order) - int(share*float64(len(order))); k < len(order); k++ {
		out[order[k]] = true
	}
	return out
}

// Diversity is 1 less the largest share, over 2-, 3- and 4-grams of words, that
// repeats an earlier one; 1 for a text too short to repeat itself
// (mario-multi-reward-rationales).
func Diversity(s string) float64 {
	words := strings.Fields(strings.ToLower(s))
	worst := 0.0
	for n := 2; n <= 4 && n <= len(words); n++ {
		seen := map[string]bool{}
		total := len(words) - n + 1
		for i := range total {
			seen[strings.Join(words[i:i+n], " ")] = true
		}
		worst = max(worst, 1-float64(len(seen))/float64(total))
	}
	return 1 - worst
}
