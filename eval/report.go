package eval

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"gnothi/stats"
)

// Report is what a study came to. It holds no clock: the same seed and model
// give the same bytes.
type Report struct {
	Study    string    `json:"study"`
	Model    string    `json:"model"`
	N        int       `json:"n"` // items, whatever became of them
	Outcomes Outcomes  `json:"outcomes"`
	Measures []Measure `json:"measures"`
	Spend    Spend     `json:"spend"`
	// Errors are the first of those that failed, by item.
	Errors []string `json:"errors,omitempty"`
}

// Outcomes count what became of the items.
type Outcomes struct {
	Right    int `json:"right"`
	Wrong    int `json:"wrong"`
	Refused  int `json:"refused"`
	Unparsed int `json:"unparsed"`
	Failed   int `json:"failed"`
	Measured int `json:"measured"` // results that are neither right nor wrong
	Unasked  int `json:"unasked"`  // the budget ended, or the run was interrupted
}

// manyErrors is how many errors a report quotes.
const manyErrors = 5

// Report implements [Suite].
func (s Study[I, R]) Report(model string, records []Record) (*Report, error) {
	report := &Report{Study: s.Name, Model: model, N: len(records)}
	var results []R
	for _, rec := range records {
		if rec.Study != s.Name {
			return nil, fmt.Errorf("study %s: record %d is of study %q", s.Name, rec.Index, rec.Study)
		}
		report.Spend = report.Spend.plus(rec.Spend)
		if !report.Outcomes.count(rec.Outcome) {
			return nil, fmt.Errorf("study %s: record %d: unknown outcome %q", s.Name, rec.Index, rec.Outcome)
		}
		if rec.Outcome == OutcomeFailed && len(report.Errors) < manyErrors {
			report.Errors = append(report.Errors, fmt.Sprintf("item %d: %s", rec.Index, rec.Error))
		}
		if len(rec.Result) == 0 || string(rec.Result) == "null" {
			continue
		}
		var result R
		if err := json.Unmarshal(rec.Result, &result); err != nil {
			return nil, fmt.Errorf("study %s: record %d: %w", s.Name, rec.Index, err)
		}
		results = append(results, result)
	}
	if len(results) > 0 {
		report.Measures = s.Measure(results)
	}
	return report, nil
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
