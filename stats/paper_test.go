package stats

import (
	"math"
	"testing"
)

// The acceptance checks of papers whose measure lives here.
func TestPaper(t *testing.T) {
	t.Run("confidence-vs-critique", func(t *testing.T) {
		for _, c := range []struct{ before, after, want float64 }{{.6, .7, .708333}, {.6, .5, .291667}, {.8, .8, .5}} {
			v, err := RelativeScore(c.before, c.after)
			near(t, "relative score", v, err, c.want, 1e-6)
		}
		for _, all := range []float64{0, 1} {
			if v, err := RelativeScore(all, .5); err == nil {
				t.Errorf("relative score of accuracy %v is %v, want an error", all, v)
			}
		}
		// Two runs of Reflexion on HumanEval, paired by item.
		type run = map[string]bool
		before, after := run{}, run{}
		for _, r := range table(t, "reflexion-runs", "programming_is_solved.csv") {
			switch r["run"] {
			case "simple_human_eval_py_logging":
				before[r["item"]] = r["is_solved"] == "1"
			case "reflexion_humaneval_py_pass_at_1":
				after[r["item"]] = r["is_solved"] == "1"
			}
		}
		var was, is [][]bool
		for item, b := range before {
			a, ok := after[item]
			if !ok {
				t.Errorf("%s has no second run", item)
			}
			was, is = append(was, []bool{b}), append(is, []bool{a})
		}
		c, err := Bootstrap{}.Correction(seeded(1), was, is)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := [4]int{c.RightRight, c.RightWrong, c.WrongRight, c.WrongWrong}, [4]int{140, 1, 10, 13}; got != want {
			t.Errorf("counts %v, want %v", got, want)
		}
		near(t, "CL", c.Confidence.Value, nil, .99291, 5e-6)
		near(t, "CS", c.Critique.Value, nil, .43478, 5e-6)
		near(t, "Acc2", c.After.Value, nil, .91463, 5e-6)
		near(t, "RSS", c.Relative.Value, nil, .72757, 5e-6)
		near(t, "McNemar", c.McNemar.P, nil, .01172, 5e-6)
	})
}

func TestCorrectionIdentity(t *testing.T) {
	rng := seeded(7)
	for trial := range 50 {
		var before, after [][]bool
		for range 20 {
			m := 1 + rng.IntN(5)
			b, a := make([]bool, m), make([]bool, m)
			for j := range b {
				b[j], a[j] = rng.Float64() < .5, rng.Float64() < .6
			}
			before, after = append(before, b), append(after, a)
		}
		c, err := Bootstrap{Resamples: 50}.Correction(rng, before, after)
		if err != nil {
			t.Fatal(err)
		}
		a1 := c.Before.Value
		near(t, "Acc2", c.After.Value, nil, a1*c.Confidence.Value+(1-a1)*c.Critique.Value, 1e-12)
		for name, f := range map[string]Figure{"before": c.Before, "after": c.After, "CL": c.Confidence, "CS": c.Critique, "RSS": c.Relative} {
			if !(f.Low <= f.Value && f.Value <= f.High) {
				t.Errorf("trial %d: %s is %v", trial, name, f)
			}
		}
		if c.Runs != c.RightRight+c.RightWrong+c.WrongRight+c.WrongWrong {
			t.Errorf("counts do not add up: %+v", c)
		}
	}
}

// Three runs are no three questions: repeating every run must not narrow an interval.
func TestCorrectionIntervalsAreOverQuestions(t *testing.T) {
	rng := seeded(3)
	var once, thrice, onceAfter, thriceAfter [][]bool
	for range 60 {
		b, a := rng.Float64() < .5, rng.Float64() < .7
		once, onceAfter = append(once, []bool{b}), append(onceAfter, []bool{a})
		thrice, thriceAfter = append(thrice, []bool{b, b, b}), append(thriceAfter, []bool{a, a, a})
	}
	one, err := Bootstrap{}.Correction(seeded(1), once, onceAfter)
	if err != nil {
		t.Fatal(err)
	}
	three, err := Bootstrap{}.Correction(seeded(1), thrice, thriceAfter)
	if err != nil {
		t.Fatal(err)
	}
	if w1, w3 := one.Change.High-one.Change.Low, three.Change.High-three.Change.Low; math.Abs(w1-w3) > 0.15*w1 {
		t.Errorf("interval %.3f wide with one run, %.3f with the same run three times", w1, w3)
	}
}

func TestCorrectionWithoutACondition(t *testing.T) {
	all := [][]bool{{true}, {true}, {true}}
	c, err := Bootstrap{}.Correction(seeded(1), all, [][]bool{{true}, {false}, {true}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Critique.Why == "" || c.Relative.Why == "" || math.Abs(c.Confidence.Value-2./3) > 1e-12 {
		t.Errorf("all right before: critique %v, relative %v, confidence %v", c.Critique, c.Relative, c.Confidence)
	}
	if _, err := (Bootstrap{}).Correction(seeded(1), all, [][]bool{{true}, {}, {true}}); err == nil {
		t.Error("a question without a second answer passes")
	}
	cl, cs, after, err := DecomposeCorrection([]float64{1, .5}, []float64{.8, .6}, []float64{0, .4})
	near(t, "CL", cl, err, (.8+.3)/1.5, 1e-12)
	near(t, "CS", cs, err, .4, 1e-12)
	near(t, "after", after, err, .75*cl+.25*cs, 1e-12)
}
