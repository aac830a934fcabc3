package studies_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/text"
)

// model is a scripted model: of a prompt, the role of the call and the repeat
// index. What it says has no log-probabilities.
func model(name string, reply func(prompt, role string, i int) string) llm.Model {
	return named{llm.Metered(script.New(func(op llm.Op, i int) script.Reply {
		return script.Reply{Text: reply(script.Prompt(op.Request), op.Role, i)}
	}), &llm.Price{}), name}
}

type named struct {
	llm.Model
	name string
}

func (n named) ID() llm.ID { return llm.ID{Provider: "script", Name: n.name} }

// runs runs a study and returns its report and the results of its records.
func runs[R any](t *testing.T, s eval.Suite, subject eval.Subject, o eval.Options) (*eval.Report, []R) {
	t.Helper()
	o.Log = eval.NewMemory()
	if o.Seed == 0 {
		o.Seed = 1
	}
	report, err := eval.Run(t.Context(), s, subject, o)
	if err != nil {
		t.Fatal(err)
	}
	var results []R
	for r := range o.Log.Records(t.Context(), 0) {
		var result R
		if r.Result != nil {
			if err := json.Unmarshal(r.Result, &result); err != nil {
				t.Fatal(err)
			}
			results = append(results, result)
		}
	}
	return report, results
}

// figure finds a measure by name.
func figure(t *testing.T, measures []eval.Measure, name string) eval.Measure {
	t.Helper()
	var names []string
	for _, m := range measures {
		if m.Name == name {
			return m
		}
		names = append(names, m.Name)
	}
	t.Fatalf("no measure %q among %q", name, names)
	return eval.Measure{}
}

// is checks the value of a measure to within eps.
func is(t *testing.T, measures []eval.Measure, name string, want, eps float64) {
	t.Helper()
	if f := figure(t, measures, name).Figure; !(math.Abs(f.Value-want) <= eps) {
		t.Errorf("%s: %v, want %v", name, f, want)
	}
}

// measured measures results as if they had just been recorded.
func measured[R any](t *testing.T, s eval.Suite, results []R) []eval.Measure {
	t.Helper()
	var records []eval.Record
	for i, r := range results {
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		outcome := eval.OutcomeMeasured
		if g, ok := any(r).(eval.Graded); ok {
			if o := g.Outcome(); o != text.Parsed {
				outcome = o.String()
			}
		}
		records = append(records, eval.Record{Study: s.Describe().Name, Index: i, Outcome: outcome, Result: raw})
	}
	report, err := eval.NewReport(s, "m", len(records), func(yield func(eval.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return report.Measures
}

// data is the path of a file of public data, or skips the test.
func data(t *testing.T, path string) string {
	t.Helper()
	dir := os.Getenv("GNOTHI_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	path = filepath.Join(dir, filepath.FromSlash(path))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("public data are absent: %v", err)
	}
	return path
}

// between gives what stands between two marks of a prompt.
func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// letterOf is the letter under which a prompt shows an option.
func letterOf(prompt, option string) string {
	if i := strings.Index(prompt, ") "+option); i > 0 {
		return prompt[i-1 : i]
	}
	return "?"
}

func writeLines(t testing.TB, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}
