package eval_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/llm/script"
	"gnothi/text"
)

// oracle is an item of a study without a model: what an item says of itself is what comes out.
type oracle struct {
	Grade    string  `json:"grade"`
	First    string  `json:"first,omitempty"`
	P        float64 `json:"p"`
	Group    string  `json:"group,omitempty"`
	Stimulus int     `json:"stimulus"`
	Judge    float64 `json:"judge"`
	Truth    float64 `json:"truth"`
	Known    bool    `json:"known"`
	Number   int     `json:"number"`
}

type said struct{ oracle }

func (s said) Outcome() text.Outcome {
	return map[string]text.Outcome{"right": text.Right, "wrong": text.Wrong}[s.Grade]
}
func (s said) Confidences() map[string]float64 { return map[string]float64{"stated": s.P} }
func (s said) Cluster() string                 { return s.Group }
func (s said) Choice() (int, int, bool) {
	if s.Grade == "right" {
		return s.Stimulus, s.Stimulus, true
	}
	return s.Stimulus, 1 - s.Stimulus, true
}

func (s said) First() (text.Outcome, bool) {
	return map[string]text.Outcome{"right": text.Right, "wrong": text.Wrong}[s.oracle.First], s.oracle.First != ""
}

func (s said) Judged() (judge, truth float64, known, ok bool) {
	return s.Judge, s.Truth, s.Known, s.Judge >= 0
}

func oracles(items ...oracle) eval.Suite {
	return eval.Study[oracle, said]{
		Name: "oracle", About: "says what the item says", Needs: "text",
		Items: eval.List(func(eval.Source) ([]oracle, error) { return items, nil }),
		Ask: func(_ context.Context, _ *eval.Session, o oracle) (said, error) {
			switch o.Grade {
			case "refused":
				return said{}, eval.ErrRefused
			case "failed":
				return said{}, fmt.Errorf("gone")
			}
			return said{o}, nil
		},
		Measure: func(rs []said) []eval.Measure {
			return []eval.Measure{eval.Average("mean of what was stated", stated(rs))}
		},
	}
}

func stated(rs []said) (p []float64) {
	for _, r := range rs {
		p = append(p, r.P)
	}
	return p
}

func kept(t *testing.T, s eval.Suite) (*eval.Report, eval.Side) {
	t.Helper()
	log := eval.NewMemory()
	report, err := eval.Run(t.Context(), s, eval.Subject{Model: script.Texts("x")}, eval.Options{Seed: 1, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return report, eval.Side{Name: "run", N: report.N, Records: func() iter.Seq2[eval.Record, error] { return log.Records(t.Context(), 0) }}
}

// What is neither right nor wrong is in no denominator by accident: both
// conventions are printed.
func TestHeadlines(t *testing.T) {
	var items []oracle
	for i, grade := range []string{"right", "right", "right", "wrong", "refused", "failed"} {
		items = append(items, oracle{Grade: grade, P: 0.5, Judge: -1, Number: i})
	}
	report, _ := kept(t, oracles(items...))
	if len(report.Headline) != 2 {
		t.Fatalf("%+v", report.Headline)
	}
	given, all := report.Headline[0].Figure, report.Headline[1].Figure
	if given.Value != 0.75 || given.N != 4 || all.Value != 0.5 || all.N != 6 {
		t.Errorf("of those given %v, of all %v", given, all)
	}
	if report.Detectable == nil || !strings.Contains(report.Detectable.Figure.Why, "more items are needed") {
		t.Errorf("detectable: %+v", report.Detectable)
	}
}

// Items of one source count less: the interval is wider, by about the root of
// the design effect.
func TestClusteredErrors(t *testing.T) {
	alone, together := []oracle{}, []oracle{}
	for i := range 200 {
		o := oracle{Grade: []string{"right", "wrong"}[i/10%2], P: 0.5, Judge: -1, Number: i}
		alone = append(alone, o)
		o.Group = fmt.Sprint(i / 10) // all ten of a group come out alike
		together = append(together, o)
	}
	a, _ := kept(t, oracles(alone...))
	b, _ := kept(t, oracles(together...))
	width := func(r *eval.Report) float64 { return r.Headline[0].Figure.High - r.Headline[0].Figure.Low }
	if ratio := width(b) / width(a); !(ratio > 2.5 && ratio < 4) {
		t.Errorf("clustered intervals are %.2f times as wide, want about √10", ratio)
	}
	if b.Detectable.Figure.Value < 2*a.Detectable.Figure.Value {
		t.Errorf("detectable %v alone, %v in clusters", a.Detectable.Figure, b.Detectable.Figure)
	}
}

func TestStandardMeasures(t *testing.T) {
	var items []oracle
	for i := range 400 {
		// Sure ones are right nine times in ten, unsure ones every other time.
		o := oracle{Grade: "right", First: "wrong", P: 0.9, Stimulus: i % 2, Number: i, Judge: 1, Truth: 1}
		if i%10 == 0 {
			o.Grade, o.Truth = "wrong", 0
		}
		if i%4 == 3 {
			o.P = 0.5
			if i%8 == 3 {
				o.Grade, o.Truth = "wrong", 0
			}
		}
		if o.Known = i < 100; !o.Known {
			o.Truth = 0
		}
		items = append(items, o)
	}
	report, _ := kept(t, oracles(items...))
	if len(report.Signals) != 1 || report.Signals[0].Name != "stated" || report.Signals[0].N != 400 {
		t.Fatalf("%+v", report.Signals)
	}
	s := report.Signals[0]
	if !(s.AUROC.Low > 0.5) || math.IsNaN(s.ECE.Value) || len(s.Bins) != 2 || len(s.Risk) != 2 {
		t.Errorf("AUROC %v, ECE %v, %d bins, %d points", s.AUROC, s.ECE, len(s.Bins), len(s.Risk))
	}
	if d := report.Detection; d == nil || d.N != 400 || !(d.DPrime.Low > 0.5) || !(d.MetaD.Value > 0) {
		t.Errorf("detection %+v", d)
	}
	if c := report.Revision; c == nil || c.WrongRight != report.Outcomes.Right || c.WrongWrong != report.Outcomes.Wrong || c.Before.Value != 0 {
		t.Errorf("revision %+v", c)
	}
	// The judge calls all right; where the truth is known it is not always.
	var judged *eval.Measure
	for _, m := range report.Headline {
		if strings.Contains(m.Name, "judge") {
			judged = &m
		}
	}
	known := 0.0
	for _, o := range items[:100] {
		known += o.Truth / 100
	}
	if judged == nil || math.Abs(judged.Figure.Value-known) > 1e-9 || !(judged.Figure.Low < known && known < judged.Figure.High) {
		t.Errorf("as the judge has it, corrected: %+v, want %v", judged, known)
	}
}

// Pairs go by the item, whatever its place.
func TestCompare(t *testing.T) {
	var a, b []oracle
	for i := range 100 {
		o := oracle{Grade: "right", P: 0.3, Judge: -1, Number: i}
		if i < 40 {
			o.Grade = "wrong"
		}
		a = append(a, o)
	}
	// The same study and items with another model: its outcomes come from the seed
	// of the grade, which is no part of the item there.
	mended := func(o oracle) string {
		if o.Number < 20 || o.Number == 99 {
			return "right"
		}
		return o.Grade
	}
	b = append(b, a[50:]...)
	b = append(b, a[:50]...)
	_, first := kept(t, oracles(a...))
	log := eval.NewMemory()
	study := oracles(b...).(eval.Study[oracle, said])
	ask := study.Ask
	study.Ask = func(ctx context.Context, s *eval.Session, o oracle) (said, error) {
		o.Grade, o.P = mended(o), 0.6
		return ask(ctx, s, o)
	}
	report, err := eval.Run(t.Context(), study, eval.Subject{Model: script.Texts("x")}, eval.Options{Seed: 2, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	c, err := eval.Compare(study, first, eval.Side{Name: "b", N: report.N, Records: func() iter.Seq2[eval.Record, error] { return log.Records(t.Context(), 0) }})
	if err != nil {
		t.Fatal(err)
	}
	if c.Pairs != 100 || c.OnlyA+c.OnlyB != 0 || c.Table["wrong"]["right"] != 20 || len(c.Changed) != 20 {
		t.Errorf("%+v", c)
	}
	r := c.Right
	if r == nil || r.WrongRight != 20 || r.RightWrong != 0 || math.Abs(r.Change.Value-0.2) > 1e-9 || !(r.Change.Low > 0.1) || r.McNemar == nil || r.McNemar.P > 1e-4 {
		t.Errorf("right: %+v", r)
	}
	for _, d := range c.Differences {
		if d.Name == "mean of what was stated" && math.Abs(d.Difference.Value-0.3) > 1e-9 {
			t.Errorf("%+v", d)
		}
	}
	if err := eval.CheckComparable(eval.Header{Study: "a", Digest: "1"}, eval.Header{Study: "b", Digest: "2"}); err == nil {
		t.Error("two studies are compared")
	}
}
