package interchange

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/stats"
)

func record(key, outcome, item, result string) eval.Record {
	return eval.Record{Study: "rivers", Key: key, Index: 3, Outcome: outcome, Item: json.RawMessage(item), Result: json.RawMessage(result),
		Spend: eval.Spend{Calls: 2, PromptTokens: 10, CompletionTokens: 4, NanoUSD: 1500000}, WallMS: 250}
}

// riverRecords are one of every outcome, with texts that readers trip over.
func riverRecords() []eval.Record {
	failed := record("e", eval.OutcomeFailed, `{"question":"Which river runs through Rome?","answers":["Tiber"]}`, "null")
	failed.Error = "=HYPERLINK(\"http://example.org\")"
	return []eval.Record{
		record("a", eval.OutcomeRight, `{"question":"Which river runs through Vienna?","answers":["Danube","Donau"],"cluster":"Austria"}`,
			`{"grade":"right","answer":"The Danube,\nof \"course\"","probability":0.75,"signals":{"verbal/stated":0.5,"none":null}}`),
		record("b", eval.OutcomeWrong, `{"question":"=1+1 is?","answers":["B"],"options":{"A":"-1","B":"+2"}}`, `{"grade":"wrong","answer":"@x"}`),
		record("b", eval.OutcomeWrong, `{"question":"=1+1 is?","answers":["+2"],"options":["-1","+2"]}`, `{"grade":"wrong","answer":"'quoted"}`),
		record("r", eval.OutcomeRefused, `{"question":"q","answers":["t"]}`, `{"answer":"I cannot say."}`),
		record("u", eval.OutcomeUnparsed, `{"question":"q","answers":["t"]}`, `{"answer":""}`),
		record("m", eval.OutcomeMeasured, `{"motion":"Rivers should be straight."}`, `{"bets":[50,60]}`),
		failed,
		record("../../n", eval.OutcomeRight, `"a text alone"`, `"t"`),
		record("z", eval.OutcomeUnasked, `{"question":"q"}`, `null`),
	}
}

func stream(rs []eval.Record, err error) Records {
	return iter.Seq2[eval.Record, error](func(yield func(eval.Record, error) bool) {
		for _, r := range rs {
			if !yield(r, nil) {
				return
			}
		}
		if err != nil {
			yield(eval.Record{}, err)
		}
	})
}

func riverRun() Run {
	return Run{Header: eval.Header{Study: "rivers", Model: "script:x@1", Spec: "script:x", Seed: 7, Items: 10, Gnothi: "0.1.0", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		Report: &eval.Report{Measures: []eval.Measure{{Name: "accuracy of the answers", Figure: stats.Figure{Value: 0.5, Low: 0.25, High: 0.75, N: 8}}, {Name: "nothing", Figure: stats.Missing(0, errors.New("no items"))}}}}
}

func TestWriteJSONL(t *testing.T) {
	var b bytes.Buffer
	rs := riverRecords()
	if err := WriteJSONL(&b, riverRun(), stream(rs, nil)); err != nil {
		t.Fatal(err)
	}
	ls := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(ls) != len(rs) {
		t.Fatalf("%d lines for %d records", len(ls), len(rs))
	}
	for i, l := range ls {
		var got struct {
			Model string
			eval.Record
		}
		if err := json.Unmarshal([]byte(l), &got); err != nil || got.Model != "script:x@1" || asJSON(t, got.Record) != asJSON(t, rs[i]) {
			t.Errorf("%s: %v, want %s", l, err, asJSON(t, rs[i]))
		}
	}
}

func TestWriteCSV(t *testing.T) {
	var b bytes.Buffer
	if err := WriteCSV(&b, riverRun(), stream(riverRecords(), nil)); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(b.Bytes())).ReadAll()
	if err != nil || len(rows) != 10 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	cell := func(row int, column string) string {
		for i, name := range rows[0] {
			if name == column {
				return rows[row][i]
			}
		}
		t.Fatalf("no column %s", column)
		return ""
	}
	for _, c := range []struct {
		row          int
		column, want string
	}{
		{1, "answer", "The Danube,\nof \"course\""}, {1, "answers", "Danube\nDonau"}, {1, "signals", `{"probability":0.75,"verbal/stated":0.5}`}, {1, "usd", "0.0015"}, {1, "wall_ms", "250"},
		{2, "question", "'=1+1 is?"}, {2, "answer", "'@x"}, {2, "options", `{"A":"-1","B":"+2"}`}, {3, "answers", "'+2"}, {3, "answer", "''quoted"},
		{6, "question", `{"motion":"Rivers should be straight."}`}, {6, "answer", `{"bets":[50,60]}`}, {7, "error", "'=HYPERLINK(\"http://example.org\")"}, {7, "answer", ""}, {8, "question", "a text alone"},
	} {
		if got := cell(c.row, c.column); got != c.want {
			t.Errorf("row %d, %s: %q, want %q", c.row, c.column, got, c.want)
		}
	}
	if n := strings.Count(b.String(), "\r\n"); n != 10 {
		t.Errorf("%d line ends", n)
	}
	for _, row := range rows[1:] {
		for i, f := range row {
			if f != "" && strings.ContainsRune("=+-@\t\r", rune(f[0])) {
				t.Errorf("%s begins a formula: %q", rows[0][i], f)
			}
		}
	}
}

func TestWriteInspect(t *testing.T) {
	write := func() []byte {
		var b bytes.Buffer
		if err := WriteInspect(&b, riverRun(), stream(riverRecords(), nil)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	body := write()
	if !bytes.Equal(body, write()) {
		t.Error("the same run, another log")
	}
	path := file(t, "run.eval", body)
	got, order, src, errs := all(path, Options{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if got, want := fmt.Sprint(src.Outcomes), "map[failed:1 measured:1 refused:1 right:2 unparsed:1 wrong:2]"; got != want {
		t.Errorf("outcomes %s, want %s", got, want)
	}
	if src.Task != "rivers" || src.Model != "script/x" || src.Scorer != outcomeScore || len(order) != 8 || len(src.Notes) != 1 || !strings.Contains(src.Notes[0], "cancelled") {
		t.Errorf("%+v, %v", src, order)
	}
	for id, want := range map[string]string{
		"a": `{"id":"a","question":"Which river runs through Vienna?","answer":"The Danube,\nof \"course\"","label":true,"outcome":"right","cluster":"Austria","kind":"rivers",` +
			`"answers":["Danube","Donau"],"scores":{"probability":0.75,"verbal/stated":0.5},"model":"script/x","epoch":1}`,
		"b":   `{"id":"b","question":"=1+1 is?","answer":"@x","label":false,"outcome":"wrong","cluster":"b","kind":"rivers","answers":["+2"],"choices":{"A":"-1","B":"+2"},"scores":{},"model":"script/x","epoch":1}`,
		"b#2": `{"id":"b#2","question":"=1+1 is?","answer":"'quoted","label":false,"outcome":"wrong","cluster":"b","kind":"rivers","answers":["+2"],"choices":{"A":"-1","B":"+2"},"scores":{},"model":"script/x","epoch":2}`,
		"e":   `{"id":"e","question":"Which river runs through Rome?","answer":null,"label":null,"outcome":"failed","error":"=HYPERLINK(\"http://example.org\")","cluster":"e","kind":"rivers","answers":["Tiber"],"scores":{},"model":"script/x","epoch":1}`,
		"m":   `{"id":"m","question":"{\"motion\":\"Rivers should be straight.\"}","answer":"{\"bets\":[50,60]}","label":null,"outcome":"measured","error":"not scored","cluster":"m","kind":"rivers","scores":{},"model":"script/x","epoch":1}`,
	} {
		if got[id] == nil || asJSON(t, got[id]) != want {
			t.Errorf("%s:\n got %s\nwant %s", id, asJSON(t, got[id]), want)
		}
	}
	if s := got["a"].Spend; s.PromptTokens != 10 || s.CompletionTokens != 4 || s.NanoUSD != 1500000 {
		t.Errorf("spend %+v", s)
	}
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	read := func(name string, to any) {
		t.Helper()
		f, err := z.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := json.NewDecoder(f).Decode(to); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var summaries []struct {
		ID    string
		Error string
	}
	read("summaries.json", &summaries)
	if len(summaries) != 8 || summaries[0].ID != "a" || summaries[6].Error == "" {
		t.Errorf("summaries %+v", summaries)
	}
	var header struct {
		Results struct {
			Total     int `json:"total_samples"`
			Completed int `json:"completed_samples"`
			Scores    []struct {
				Name    string
				Metrics map[string]struct{ Value float64 }
			}
		}
	}
	read("header.json", &header)
	r := header.Results
	if r.Total != 10 || r.Completed != 7 || len(r.Scores) != 2 || r.Scores[0].Metrics["accuracy"].Value != 2.0/6 || len(r.Scores[1].Metrics) != 1 || r.Scores[1].Metrics["accuracy of the answers"].Value != 0.5 {
		t.Errorf("results %+v", r)
	}
}

func TestWritersStopAtAnError(t *testing.T) {
	broken := errors.New("disk gone")
	bad := record("x", eval.OutcomeRight, `{"question":`, `{}`)
	for name, write := range map[string]func(*bytes.Buffer, Records) error{
		"jsonl":   func(b *bytes.Buffer, rs Records) error { return WriteJSONL(b, riverRun(), rs) },
		"csv":     func(b *bytes.Buffer, rs Records) error { return WriteCSV(b, riverRun(), rs) },
		"inspect": func(b *bytes.Buffer, rs Records) error { return WriteInspect(b, riverRun(), rs) },
	} {
		if err := write(new(bytes.Buffer), stream(riverRecords()[:2], broken)); !errors.Is(err, broken) || !strings.Contains(err.Error(), "record 3") {
			t.Errorf("%s: %v", name, err)
		}
		if err := write(new(bytes.Buffer), stream(nil, nil)); err != nil {
			t.Errorf("%s: no records: %v", name, err)
		}
		if name == "csv" { // there JSON is a text like another
			continue
		}
		if err := write(new(bytes.Buffer), stream([]eval.Record{bad}, nil)); err == nil || !strings.Contains(err.Error(), "record 1 (x)") {
			t.Errorf("%s: broken item: %v", name, err)
		}
	}
}

// Imported answers can be measured, and written again.
func TestImportedAnswersAreRecords(t *testing.T) {
	var rs []eval.Record
	var src Source
	for a, err := range Read(file(t, "log.eval", zipOf(t, withHead(riverSamples...))), Options{}, &src) {
		if err != nil {
			t.Fatal(err)
		}
		r, err := a.Record(len(rs))
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	report, err := eval.NewReport(studies.PlainQA(), "m", len(rs), stream(rs, nil))
	if err != nil {
		t.Fatal(err)
	}
	if o := report.Outcomes; o != (eval.Outcomes{Right: 1, Wrong: 2, Refused: 1, Unparsed: 1, Failed: 2, Measured: 1}) {
		t.Errorf("outcomes %+v", o)
	}
	if m := report.Measures[0]; math.Abs(m.Figure.Value-1.0/3) > 1e-12 || m.Figure.N != 3 {
		t.Errorf("%s: %+v", m.Name, m.Figure)
	}
	var b bytes.Buffer
	if err := WriteInspect(&b, riverRun(), stream(rs, nil)); err != nil {
		t.Fatal(err)
	}
	_, _, again, errs := all(file(t, "again.eval", b.Bytes()), Options{})
	if len(errs) > 0 || fmt.Sprint(again.Outcomes) != fmt.Sprint(src.Outcomes) {
		t.Errorf("%v, %v; first %v", again.Outcomes, errs, src.Outcomes)
	}
}

// Inspect itself reads the log: GNOTHI_INSPECT names a Python that has inspect_ai.
func TestInspectReadsTheLog(t *testing.T) {
	python := os.Getenv("GNOTHI_INSPECT")
	if python == "" {
		t.Skip("GNOTHI_INSPECT names no Python with inspect_ai")
	}
	path := filepath.Join(t.TempDir(), "run.eval")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(WriteInspect(f, riverRun(), stream(riverRecords(), nil)), f.Close()); err != nil {
		t.Fatal(err)
	}
	script := `
import sys
from inspect_ai.log import read_eval_log, read_eval_log_samples, read_eval_log_sample_summaries
log = read_eval_log(sys.argv[1])
assert len(list(read_eval_log_samples(sys.argv[1], all_samples_required=False))) == 8
assert len(read_eval_log_sample_summaries(sys.argv[1])) == 8
print(log.eval.task, log.eval.model, log.status, log.results.scores[0].metrics["accuracy"].value)
for s in log.samples:
    print(s.id, s.epoch, s.scores["outcome"].value if s.scores else None, s.scores["outcome"].reason if s.scores else None, s.error.message if s.error else None, s.metadata["gnothi_signals"])
`
	out, err := exec.Command(python, "-c", script, path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"rivers script/x cancelled 0.3333", "a 1 C None None {'probability': 0.75, 'verbal/stated': 0.5}", "b 2 I None None {}", "r 1 N refusal None {}", "u 1 N invalid_response_format None {}", "m 1 None None None {}", `e 1 None None =HYPERLINK("http://example.org") {}`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
