package countdown_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"gnothi/learn/countdown"
)

func TestCheck(t *testing.T) {
	p := countdown.Puzzle{Numbers: []int{25, 3, 1, 7}, Target: 100}
	for expr, want := range map[string]error{
		"25*(3+1)": nil, "25 × (3 + 1)": nil, "(3+1)·25": nil, "25*((3+1))": nil, "25*(3+1)*7/7": countdown.ErrNumber,
		"25*3+25": countdown.ErrNumber, "25*4": countdown.ErrNumber, "25*(3+1)-": countdown.ErrSyntax, "": countdown.ErrSyntax, "25*(3+1": countdown.ErrSyntax,
		"25+3": countdown.ErrValue, "25/(1-1)": countdown.ErrZero, "25/(3-3)": countdown.ErrZero, "os.Exit(1)": countdown.ErrSyntax, "25(3+1)": countdown.ErrSyntax,
		"100": countdown.ErrNumber, "99999999999999999999": countdown.ErrNumber, "-25*(1-3-1)": countdown.ErrSyntax,
	} {
		if err := p.Check(expr); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", expr, err, want)
		}
	}
	// Division is exact: no number on the way has to be whole.
	if err := (countdown.Puzzle{Numbers: []int{3, 3, 8, 8}, Target: 24}).Check("8/(3-8/3)"); err != nil {
		t.Error(err)
	}
	if err := (countdown.Puzzle{Numbers: []int{7, 2, 2}, Target: 7}).Check("7/2*2"); err != nil {
		t.Error(err)
	}
}

func TestSolve(t *testing.T) {
	for _, p := range []countdown.Puzzle{{[]int{3, 3, 8, 8}, 24}, {[]int{25, 3, 1, 7}, 100}, {[]int{1, 2}, 2}, {[]int{75, 50, 2, 3, 8, 7}, 812}} {
		if expr, ok := p.Solve(); !ok || p.Check(expr) != nil {
			t.Errorf("%v: %q, %v", p, expr, p.Check(expr))
		}
	}
	for _, p := range []countdown.Puzzle{{[]int{1, 1}, 7}, {[]int{1}, 1}, {[]int{2, 0}, 2}} {
		if expr, ok := p.Solve(); ok {
			t.Errorf("%v solved by %q", p, expr)
		}
	}
}

func TestGenerate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	for range 200 {
		p, err := countdown.Generate(rng, 4, 20, 100)
		if err != nil {
			t.Fatal(err)
		}
		if expr, ok := p.Solve(); !ok || p.Check(expr) != nil {
			t.Errorf("%v has no solution", p)
		}
	}
	if _, err := countdown.Generate(rng, 9, 20, 100); err == nil {
		t.Error("nine numbers were taken")
	}
}

func TestFind(t *testing.T) {
	for reply, want := range map[string]string{
		"Answer: 25*(3+1)":                 "25*(3+1)",
		"3+1 = 4, 25*4 = 100":              "25*4",
		"Answer: (25 + 3) × 1 = 28\nDone":  "(25 + 3) × 1",
		"Answer: 3+1\nI also tried 7-1":    "3+1",
		"I do not know.":                   "",
		"Answer: 100":                      "",
		"The answer is $25 \\times (3+1)$": "25 \\times (3+1)",
	} {
		if got := countdown.Find(reply); got != want {
			t.Errorf("%q: %q, want %q", reply, got, want)
		}
	}
	right, wrong := countdown.Sums("First 3 + 4 = 7, then 7*2 = 15, and 1/2 = 0.5.")
	if fmt.Sprint(right, wrong) != "[3 + 4 = 7 1/2 = 0.5] [7*2 = 15]" {
		t.Error(right, wrong)
	}
}

func TestParse(t *testing.T) {
	for s, want := range map[string]string{
		"Numbers: 3, 5, 7. Target: 22":        "[3 5 7] 22",
		"numbers 3 5 and 7\ntarget is 22":     "[3 5 7] 22",
		"Here it is.\nNumbers: 3,5; Target=8": "[3 5] 8",
	} {
		p, err := countdown.Parse(s)
		if got := fmt.Sprint(p.Numbers, p.Target); got != want || err != nil {
			t.Errorf("%q: %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "Target: 5", "Numbers: 3. Target: 5", "Numbers: 0, 1. Target: 1", "Numbers: 1,2,3,4,5,6,7. Target: 9"} {
		if p, err := countdown.Parse(s); err == nil {
			t.Errorf("%q: %v", s, p)
		}
	}
}

func FuzzCountdown(f *testing.F) {
	f.Add("8/(3-8/3) = 24\nNumbers: 3, 3, 8. Target: 24")
	f.Fuzz(func(t *testing.T, s string) {
		p := countdown.Puzzle{Numbers: []int{3, 3, 8, 8}, Target: 24}
		if p.Check(s) == nil {
			if v, used, err := countdown.Eval(s); err != nil || len(used) > 4 || v.RatString() != "24" {
				t.Errorf("%q passed: %v of %v, %v", s, v, used, err)
			}
		}
		_ = p.Check(countdown.Find(s))
		countdown.Sums(s)
		if q, err := countdown.Parse(s); err == nil && q.Valid() != nil {
			t.Errorf("%q: %v", s, q)
		}
	})
}

func Example() {
	p := countdown.Puzzle{Numbers: []int{3, 3, 8, 8}, Target: 24}
	fmt.Println(p.Check("8/(3-8/3)"))
	fmt.Println(p.Check("8*3"))
	fmt.Println(p.Check("8*3*(8-3-4)"))
	// Output:
	// <nil>
	// <nil>
	// countdown: "8*3*(8-3-4)", number 4: uses a number that is not there, or one more often than it is there
}
