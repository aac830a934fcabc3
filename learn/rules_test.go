package learn_test

import (
	"fmt"
	"math"
	"testing"

	"gnothi/learn"
)

var nan = math.NaN()

func TestBestWorst(t *testing.T) {
	for _, c := range []struct {
		scores []float64
		want   string
	}{
		{[]float64{1, 3, 2}, "{1 0 2} true"}, {[]float64{nan, 3, 2}, "{1 2 1} true"}, {[]float64{2, 2}, "{0 0 0} false"}, {[]float64{nan}, "{0 0 0} false"}, {nil, "{0 0 0} false"},
		{[]float64{1, 3, 3, 1}, "{1 0 2} true"}, {[]float64{math.Inf(-1), 0}, "{1 0 +Inf} true"},
	} {
		d, ok := learn.BestWorst(c.scores)
		if got := fmt.Sprint(d, ok); got != c.want {
			t.Errorf("%v: %s, want %s", c.scores, got, c.want)
		}
	}
}

func TestLadder(t *testing.T) {
	for _, c := range []struct {
		scores []float64
		delta  float64
		want   string
	}{
		{[]float64{.775, .25, .5}, .1, "[{0 1 0.525} {0 2 0.275} {2 1 0.25}]"},
		{[]float64{.5, .45, .375}, .1, "[{0 2 0.125}]"}, // neighbours are too near, the ends are not
		{[]float64{.5, nan, .25}, .1, "[{0 2 0.25}]"}, {[]float64{.5, .45}, .1, "[]"}, {[]float64{.5, .5}, 0, "[]"}, {nil, .1, "[]"},
	} {
		if got := fmt.Sprint(learn.Ladder(c.scores, c.delta)); got != c.want {
			t.Errorf("%v: %s, want %s", c.scores, got, c.want)
		}
	}
}

func TestMajority(t *testing.T) {
	for _, c := range []struct {
		verdicts []float64
		want     string
	}{
		{[]float64{3, 3, 4, 1}, "3 0.5 true"}, {[]float64{3, 4}, "0 0.5 false"}, {[]float64{nan, 3}, "3 1 true"}, {nil, "0 0 false"}, {[]float64{nan}, "0 0 false"},
	} {
		v, share, ok := learn.Majority(c.verdicts)
		if got := fmt.Sprint(v, share, ok); got != c.want {
			t.Errorf("%v: %s, want %s", c.verdicts, got, c.want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	for _, c := range []struct {
		scores []float64
		want   string
	}{
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, "[0 0 1 1 2 2 3 3 4 4]"}, {[]float64{10, 1, 5}, "[3 0 1]"}, {[]float64{0, 0, 0, 1}, "[1 1 1 3]"}, {[]float64{nan, 1}, "[-1 0]"}, {nil, "[]"},
	} {
		if got := fmt.Sprint(learn.Quantiles(c.scores, 5)); got != c.want {
			t.Errorf("%v: %s, want %s", c.scores, got, c.want)
		}
	}
}

func TestWeakest(t *testing.T) {
	if got := fmt.Sprint(learn.Weakest([]float64{.5, .1, .9, .2, .3}, .2)); got != "[false true false false false]" {
		t.Error(got)
	}
	if got := fmt.Sprint(learn.Weakest([]float64{.5, .5, .5}, .2)); got != "[false false false]" {
		t.Error(got)
	}
}

func TestRightWrong(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range learn.RightWrong([]int{0, 1}, []int{2, 3}, 9) {
		seen[fmt.Sprint(d.Chosen, d.Rejected)] = true
	}
	if len(seen) != 4 {
		t.Errorf("two right and two wrong ones make %v, want all four pairs", seen)
	}
	if got := fmt.Sprint(learn.RightWrong([]int{0, 1}, []int{2, 3, 4}, 3)); got != "[{0 2 1} {1 3 1} {0 4 1}]" {
		t.Error(got)
	}
	if learn.RightWrong(nil, []int{1}, 3) != nil {
		t.Error("a pair without a right one")
	}
}

func TestDiversity(t *testing.T) {
	for s, want := range map[string]float64{"a b a b a b": .4, "a b c d": 1, "": 1, "one": 1, "a a a a a": .25} {
		if got := learn.Diversity(s); math.Abs(got-want) > 1e-12 {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

func ExampleLadder() {
	// Confidence of three traces: the surest is paired with the least sure, and
	// neighbours wherever they are a tenth apart.
	for _, d := range learn.Ladder([]float64{.775, .25, .5}, .1) {
		fmt.Printf("%d over %d by %.3f\n", d.Chosen, d.Rejected, d.Margin)
	}
	// Output:
	// 0 over 1 by 0.525
	// 0 over 2 by 0.275
	// 2 over 1 by 0.250
}

func ExampleBalance() {
	fmt.Println(learn.Balance(4, 5, 8), learn.Balance(8, 16, 8), learn.Balance(10, 10, 8), learn.Balance(2, 2, 8), learn.Balance(0, 0, 8))
	// Output: 0.4 0.5 1 0.25 0
}
