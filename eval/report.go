package eval

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"gnothi/stats"
)

// Report is what a study came to. It holds no clock: the same seed and model
// give the same bytes.
type Report struct {
	Schema   int      `json:"schema"` // 1
	Study    string   `json:"study"`
	Model    string   `json:"model"`
	N        int      `json:"n"` // items, whatever became of them
	Outcomes Outcomes `json:"outcomes"`
	Standard
	Measures []Measure `json:"measures"`
	Spend    Spend     `json:"spend"`
	// Unfinished was paid for items that a budget or an interruption cut off; a
	// resumed run goes on from there.
	Unfinished Spend `json:"unfinished,omitzero"`
	// Errors are the first of those that failed, by item.
	Errors []string `json:"errors,omitempty"`
}

// Outcomes count what became of the items.
type Outcomes struct {
	Right    int `json:"right"`
	Wrong    int `json:"wrong"`
	Refused  int `json:"refused"`
	Unparsed int `json:"unparsed"`
	Empty    int `json:"empty,omitempty"` // of the unparsed, those to which every reply was empty
	Failed   int `json:"failed"`
	Measured int `json:"measured"` // results that are neither right nor wrong
	Unasked  int `json:"unasked"`  // the budget ended, or the run was interrupted
}

// manyErrors is how many errors a report quotes.
const manyErrors = 5

// NewReport measures the records of a run of n items; items without a record are
// unasked.
func NewReport(suite Suite, model string, n int, records iter.Seq2[Record, error]) (*Report, error) {
	name := suite.Describe().Name
	report := &Report{Schema: 1, Study: name, Model: model, N: n}
	fail := func(err error) (*Report, error) { return nil, fmt.Errorf("study %s: %w", name, err) }
	seen := 0
	counted := func(yield func(Record, error) bool) {
		for rec, err := range records {
			switch {
			case err != nil:
			case rec.Study != name:
				err = fmt.Errorf("record %d is of study %q", rec.Index, rec.Study)
			case !report.Outcomes.count(rec.Outcome):
				err = fmt.Errorf("record %d: unknown outcome %q", rec.Index, rec.Outcome)
			}
			report.Spend = report.Spend.Plus(rec.Spend)
			if rec.Outcome == OutcomeUnparsed && rec.Error == emptyReply {
				report.Outcomes.Empty++
			}
			if rec.Outcome == OutcomeFailed && len(report.Errors) < manyErrors {
				report.Errors = append(report.Errors, rec.Name()+": "+rec.Error)
			}
			if seen++; !yield(rec, err) || err != nil {
				return
			}
		}
	}
	if err := suite.sum(report, counted); err != nil {
		return fail(err)
	}
	if o := report.Outcomes; o.Right+o.Wrong == 0 && seen > o.Unasked { // nothing to be right or wrong in
		report.Headline = append([]Measure{Share("came to a result, of those asked", o.Measured, seen-o.Unasked)}, report.Headline...)
	}
	if seen > n {
		return fail(fmt.Errorf("%d records of %d items", seen, n))
	}
	report.Outcomes.Unasked += n - seen
	return report, nil
}

// sum implements [Suite].
func (s Study[I, R]) sum(report *Report, records iter.Seq2[Record, error]) error {
	var meter Meter[R] = &held[R]{measure: s.Measure}
	if s.Meter != nil {
		meter = s.Meter()
	}
	measured := false
	var usual standard
	for rec, err := range records {
		if err != nil {
			return err
		}
		if len(rec.Result) == 0 || string(rec.Result) == "null" {
			usual.add(rec, nil)
			continue
		}
		var result R
		if err := json.Unmarshal(rec.Result, &result); err != nil {
			return fmt.Errorf("record %d: %w", rec.Index, err)
		}
		meter.Add(result)
		measured = true
		usual.add(rec, result)
	}
	report.Standard = usual.sum()
	usual = standard{}
	if measured {
		report.Measures = meter.Measures()
	}
	// One report is one family of tests.
	var figures []*stats.Figure
	for i := range report.Measures {
		figures = append(figures, &report.Measures[i].Figure)
	}
	return stats.AdjustFigures(stats.Holm, figures...)
}

// cluster implements [Suite].
func (s Study[I, R]) cluster(rec Record) string {
	var result R
	if len(rec.Result) == 0 || json.Unmarshal(rec.Result, &result) != nil {
		return clusterOf(rec, nil)
	}
	return clusterOf(rec, result)
}

func (o *Outcomes) count(outcome string) bool {
	for _, c := range []struct {
		name string
		n    *int
	}{
		{OutcomeRight, &o.Right}, {OutcomeWrong, &o.Wrong}, {OutcomeRefused, &o.Refused}, {OutcomeUnparsed, &o.Unparsed},
		{OutcomeFailed, &o.Failed}, {OutcomeMeasured, &o.Measured}, {OutcomeUnasked, &o.Unasked},
	} {
		if c.name == outcome {
			*c.n++
			return true
		}
	}
	return false
}

// Level is the coverage of the intervals.
const Level = 0.95

// Of makes a measure of what a function of stats returned; an error becomes the
// reason why there is no figure.
func Of(name string, f stats.Figure, err error, published ...Published) Measure {
	if err != nil {
		f = stats.Missing(f.N, err)
	}
	return Measure{name, f, published}
}

// Share measures how many of n have a property, with Wilson's interval.
func Share(name string, k, n int, published ...Published) Measure {
	if n == 0 {
		return Of(name, stats.Figure{}, errors.New("no items"), published...)
	}
	f, err := stats.Wilson(k, n, Level)
	f.Unit = stats.Share
	return Of(name, f, err, published...)
}

// Average measures the mean of x, with a t interval; of zeros and ones, which are
// a share, with Wilson's, which stays within them.
func Average(name string, x []float64, published ...Published) Measure {
	ones := 0
	for _, v := range x {
		if v == 1 {
			ones++
		}
	}
	if len(x) > 0 && !slices.ContainsFunc(x, func(v float64) bool { return v != 0 && v != 1 }) {
		return Share(name, ones, len(x), published...)
	}
	f, err := stats.Mean(x, nil, Level)
	return Of(name, f, err, published...)
}

// Value measures a number that has no interval, and says why not.
func Value(name string, v float64, n int, method, why string, published ...Published) Measure {
	return Measure{name, stats.Figure{Value: v, Low: math.NaN(), High: math.NaN(), N: n, Method: method, Why: why}, published}
}
