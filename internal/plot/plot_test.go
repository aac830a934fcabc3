package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func svg(t *testing.T, w io.WriterTo) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(b.Bytes())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not XML: %v\n%s", err, &b)
		}
	}
	if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Errorf("a number that is not finite was drawn:\n%s", &b)
	}
	return b.String()
}

func TestChart(t *testing.T) {
	long := Series{Name: `<script> & "quotes"`}
	for i := range 10_000 {
		long.Points = append(long.Points, At(float64(i)/10_000, math.Sqrt(float64(i)/10_000)))
	}
	c := Chart{Title: "a & b < c", X: "x", Y: "y", Percent: true, Series: []Series{
		{Points: []Point{At(0, 0), At(1, 1)}, Faint: true}, long,
		{Name: "dots", Dots: true, Points: []Point{{X: .2, Y: .3, Low: .1, High: .6}, {X: math.NaN(), Y: 1}, {X: .5, Y: .5, Low: math.NaN(), High: math.NaN()}}},
	}}
	s := svg(t, c)
	if strings.Contains(s, "<script") {
		t.Error("a name was not escaped")
	}
	if len(s) > 12_000 {
		t.Errorf("%d bytes for three series", len(s))
	}
	if n := strings.Count(s, "<circle"); n != 2 {
		t.Errorf("%d dots, want 2", n)
	}
	if !strings.Contains(s, "prefers-color-scheme:dark") {
		t.Error("it has no dark side")
	}
	if again := svg(t, c); again != s {
		t.Error("the same chart drawn twice differs")
	}
}

func TestChartOfNothing(t *testing.T) {
	svg(t, Chart{Title: "nothing"})
	svg(t, Chart{Series: []Series{{Points: []Point{At(3, 3)}}}})
	svg(t, Chart{XLog: true, XTicks: []float64{0, 20, 100}, Series: []Series{{Points: []Point{At(0, 1), At(100, 2)}}}})
	svg(t, Forest{})
	s := svg(t, Forest{Title: "f", Rows: []Row{{"a", 1, .5, 1.5}, {"b", math.NaN(), math.NaN(), math.NaN()}}})
	if strings.Count(s, "<circle") != 1 || !strings.Contains(s, "n/a") {
		t.Errorf("a missing value is not told:\n%s", s)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range [][2]float64{{0, 1}, {-0.03, 0.04}, {0, 100}, {0.48, 0.71}} {
		if got := ticks(c[0], c[1]); len(got) < 3 || len(got) > 8 {
			t.Errorf("ticks of %v: %v", c, got)
		}
	}
}
