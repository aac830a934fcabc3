package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

var testPrior = UrnPrior{Strength: 10, Base: 1, Slope: 0.9, Unknown: 0.5, UnknownStrength: 3, Discount: 0.6, Concentration: 0.2}

// The shares are the predictive probabilities: they sum to one with what is new, and the mean after one more draw is what it
// was before (a martingale), which is what makes the value of more evidence never negative.
func TestUrnIsAMartingale(t *testing.T) {
	u := testPrior.Urn(math.Log(0.3))
	for _, k := range []int{0, 1, 1, 2, 0, 3} {
		before := u.Shares()
		fresh := 1.0
		after := make([]float64, len(before))
		for j, q := range before {
			fresh -= q
			c := *u
			c.others = append([]int(nil), u.others...)
			c.Draw(j)
			for i, s := range c.Shares() {
				after[i] += q * s
			}
		}
		if fresh <= 0 {
			t.Fatalf("no room for a new answer after %d draws: %v", u.Draws(), before)
		}
		c := *u
		c.others = append([]int(nil), u.others...)
		c.Draw(c.Answers())
		for i := range before {
			if after[i] += fresh * c.Shares()[i]; math.Abs(after[i]-before[i]) > 1e-12 {
				t.Errorf("share %d: %v before, %v expected after", i, before[i], after[i])
			}
		}
		u.Draw(k)
	}
}

func TestUrnForesees(t *testing.T) {
	top := func(s []float64) float64 {
		best := 0.0
		for _, v := range s {
			best = max(best, v)
		}
		return best
	}
	gain := func(u *Urn) float64 {
		rng := rand.New(rand.NewPCG(1, 1))
		return u.Foresee(rng, []int{1, 8}, 2000, top)[1] - top(u.Shares())
	}
	sure, torn := testPrior.Urn(math.Log(0.99)), testPrior.Urn(math.Log(0.2))
	torn.Draw(1)
	torn.Draw(1)
	if a, b := gain(sure), gain(torn); !(a < 0.002 && b > 0.01) {
		t.Errorf("eight draws are worth %.4f where the answer is sure and %.4f where it is torn", a, b)
	}
	if got := testPrior.Urn(math.Inf(-1)).Shares()[0]; got != 0 {
		t.Errorf("an answer that is not there has the share %v", got)
	}
	if got := testPrior.Urn(math.NaN()).Shares()[0]; got != 0.5 {
		t.Errorf("an answer of unknown probability has the share %v", got)
	}
}

// A fit on draws from a known urn finds it again, as far as 600 questions can tell.
func TestFitUrnPrior(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	var seqs []Sequence
	for range 600 {
		s := Sequence{LogP: -3 * rng.Float64()}
		u := testPrior.Urn(s.LogP)
		for range 20 {
			k := u.next(rng.Float64())
			s.Draws = append(s.Draws, k)
			u.Draw(k)
		}
		seqs = append(seqs, s)
	}
	got, err := FitUrnPrior(seqs)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.Strength-10) > 3 || math.Abs(got.Base-1) > 0.2 || math.Abs(got.Slope-0.9) > 0.2 || math.Abs(got.Discount-0.6) > 0.1 {
		t.Errorf("fitted %+v, drawn from %+v", got, testPrior)
	}
	if got.LogLikelihood(seqs) < testPrior.LogLikelihood(seqs) {
		t.Error("the fit is less likely than the truth")
	}
	if _, err := FitUrnPrior(nil); err == nil {
		t.Error("a fit on nothing")
	}
	for _, bad := range []UrnPrior{{}, {Strength: 1, UnknownStrength: 1, Unknown: 0.5, Discount: 1}, {Strength: 1, UnknownStrength: 1, Unknown: 1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}

func TestNumber(t *testing.T) {
	got := Number("a", []string{"b", "a", "", "b", "", "c"})
	for i, want := range []int{1, 0, 2, 1, 3, 4} {
		if got[i] != want {
			t.Fatalf("got %v", got)
		}
	}
	if got := Number("", []string{"", "x"}); got[0] != 1 || got[1] != 2 {
		t.Errorf("got %v", got)
	}
}

func BenchmarkUrnForesee(b *testing.B) {
	u := testPrior.Urn(math.Log(0.2))
	for i := range 6 {
		u.Draw(i % 4)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		u.Foresee(rng, []int{1, 2, 4, 8, 16, 32}, 200, func(s []float64) float64 { return s[0] })
	}
}
