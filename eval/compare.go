package eval

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"gnothi/stats"
)

// Comparison is what two runs of one study differ in.
type Comparison struct {
	Schema int    `json:"schema"` // 1
	Study  string `json:"study"`
	// A and B name the runs. Pairs is how many items both have a record of, OnlyA
	// and OnlyB how many one has.
	A     string `json:"a"`
	B     string `json:"b"`
	Pairs int    `json:"pairs"`
	OnlyA int    `json:"only_a"`
	OnlyB int    `json:"only_b"`
	// Table counts the pairs by outcome in A, then in B.
	Table map[string]map[string]int `json:"table"`
	// Right is B's share of right answers less A's, on the items that both
	// answered: paired, with errors clustered where items are.
	Right *stats.Correction `json:"right,omitempty"`
	// Differences are B's measures less A's, corrected together for how many were
	// looked at.
	Differences []Difference `json:"differences"`
	// Changed lists the items whose outcome is another.
	Changed []Change `json:"changed"`
	// Detectable is the smallest difference in right answers that these pairs
	// would show, at the share of pairs that do differ.
	Detectable *Measure `json:"detectable,omitempty"`
	SpendA     Spend    `json:"spend_a"`
	SpendB     Spend    `json:"spend_b"`
}

// Difference is what a measure differs by.
type Difference struct {
	Name       string       `json:"name"`
	A          stats.Figure `json:"a"`
	B          stats.Figure `json:"b"`
	Difference stats.Figure `json:"difference"` // B less A
}

// Change is an item whose outcome is another.
type Change struct {
	Key    string `json:"key"`
	IndexA int    `json:"index_a"`
	IndexB int    `json:"index_b"`
	A      string `json:"a"`
	B      string `json:"b"`
}

// Side is one of two runs that are compared: its name, and what it holds.
type Side struct {
	Name    string
	N       int // items
	Records func() iter.Seq2[Record, error]
}

// Compare compares two runs of a study, item by item where both asked about the
// same (items have the same key, whatever their place).
func Compare(suite Suite, a, b Side) (*Comparison, error) {
	c := &Comparison{Schema: 1, Study: suite.Describe().Name, A: a.Name, B: b.Name, Table: map[string]map[string]int{}}
	first := map[string]brief{}
	for rec, err := range a.Records() {
		if err != nil {
			return nil, err
		}
		first[rec.Key] = brief{rec.Index, rec.Outcome, suite.cluster(rec)}
	}
	var before, after [][]bool
	var clusters []string
	seen := 0
	for rec, err := range b.Records() {
		if err != nil {
			return nil, err
		}
		x, ok := first[rec.Key]
		if !ok {
			c.OnlyB++
			continue
		}
		seen++
		row := c.Table[x.outcome]
		if row == nil {
			row = map[string]int{}
			c.Table[x.outcome] = row
		}
		row[rec.Outcome]++
		if x.outcome != rec.Outcome {
			c.Changed = append(c.Changed, Change{rec.Key, x.index, rec.Index, x.outcome, rec.Outcome})
		}
		if gradedOutcome(x.outcome) && gradedOutcome(rec.Outcome) {
			before, after = append(before, []bool{x.outcome == OutcomeRight}), append(after, []bool{rec.Outcome == OutcomeRight})
			clusters = append(clusters, x.cluster)
		}
	}
	c.Pairs, c.OnlyA = seen, len(first)-seen
	if len(before) > 0 {
		right, err := stats.Bootstrap{Level: Level, Cluster: shared(clusters)}.Correction(fixed(), before, after)
		if err != nil {
			return nil, err
		}
		c.Right, c.Detectable = &right, pairsDetectable(right)
	}
	return c, c.measures(suite, a, b)
}

type brief struct {
	index            int
	outcome, cluster string
}

// pairsDetectable is what pairs that differ as often as these would show.
func pairsDetectable(r stats.Correction) *Measure {
	psi := float64(r.RightWrong+r.WrongRight) / float64(r.Runs)
	f, err := stats.MinimumDetectable(r.Items, stats.PairedRates{Discordance: max(psi, 1/float64(r.Items))}, stats.Plan{})
	m := Of("smallest difference that these pairs would show", f, err)
	return &m
}

// measures takes the measures of both and their differences.
func (c *Comparison) measures(suite Suite, a, b Side) error {
	ra, err := NewReport(suite, a.Name, a.N, a.Records())
	if err != nil {
		return err
	}
	rb, err := NewReport(suite, b.Name, b.N, b.Records())
	if err != nil {
		return err
	}
	c.SpendA, c.SpendB = ra.Spend, rb.Spend
	of := map[string]stats.Figure{}
	for _, m := range ra.Figures() {
		of[m.Name] = m.Figure
	}
	var tested []*stats.Figure
	if c.Right != nil {
		tested = append(tested, &c.Right.Change)
	}
	for _, m := range rb.Figures() {
		if c.Right != nil && m.Name == rightOfAnswered {
			continue // its difference is paired, and stands above
		}
		if x, ok := of[m.Name]; ok {
			c.Differences = append(c.Differences, Difference{m.Name, x, m.Figure, differ(x, m.Figure)})
		}
	}
	for i := range c.Differences {
		tested = append(tested, &c.Differences[i].Difference)
	}
	return stats.AdjustFigures(stats.Holm, tested...)
}

// Figures are all that a report measures: first what is measured of every study,
// the most telling of it, then the study's own. Each name is there once: a study
// may measure what every report has.
func (r *Report) Figures() []Measure {
	out := slices.Clone(r.Headline)
	add := func(name string, f stats.Figure) { out = append(out, Measure{Name: name, Figure: f}) }
	for _, s := range r.Signals {
		add(s.Name+": AUROC", s.AUROC)
		add(s.Name+": ECE", s.ECE)
		add(s.Name+": AURC", s.AURC)
	}
	if d := r.Detection; d != nil && d.Why == "" {
		add("d′", d.DPrime)
		add("meta-d′ of "+d.Confidence, d.MetaD)
		add("M-ratio of "+d.Confidence, d.MRatio)
	}
	if c := r.Revision; c != nil {
		add("revision: change", c.Change)
		add("revision: right that stay right", c.Confidence)
		add("revision: wrong that become right", c.Critique)
	}
	own := map[string]bool{}
	for _, m := range r.Measures {
		own[m.Name] = true
	}
	out = slices.DeleteFunc(out, func(m Measure) bool { return own[m.Name] })
	return append(out, r.Measures...)
}

// differ is the difference of two figures, each with its own interval: the
// square-and-add interval of Newcombe (1998; Zou and Donner 2008 call it MOVER),
// which takes the runs for independent and is therefore wide where they share
// their items.
func differ(a, b stats.Figure) stats.Figure {
	d := stats.Figure{Value: b.Value - a.Value, Low: math.NaN(), High: math.NaN(), N: min(a.N, b.N), Unit: b.Unit, Method: "square and add, runs taken as independent"}
	if math.IsNaN(d.Value) {
		return stats.Missing(d.N, errors.New("one of the runs has no figure"))
	}
	low := math.Hypot(b.Value-b.Low, a.High-a.Value)
	high := math.Hypot(b.High-b.Value, a.Value-a.Low)
	if math.IsNaN(low) || math.IsNaN(high) {
		d.Why = "one of the figures has no interval"
		return d
	}
	d.Low, d.High = d.Value-low, d.Value+high
	half := low // towards 0
	if d.Value < 0 {
		half = high
	}
	if half > 0 {
		se := half / distuv.UnitNormal.Quantile(1-(1-Level)/2)
		d.P = max(2*distuv.UnitNormal.Survival(math.Abs(d.Value)/se), math.SmallestNonzeroFloat64)
	}
	return d
}

// CheckComparable says why two runs cannot be compared.
func CheckComparable(a, b Header) error {
	switch {
	case a.Study != b.Study:
		return fmt.Errorf("the runs are of different studies: %s and %s", a.Study, b.Study)
	case a.Digest == "" || b.Digest == "":
		return errors.New("one of the runs has not begun yet: resume it")
	}
	return nil
}
