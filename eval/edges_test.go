package eval_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gnothi/eval"
	"gnothi/stats"
	"gnothi/store"
)

// What somebody changed by hand is noticed, by a report as by a resumed run.
func TestChangedByHand(t *testing.T) {
	for _, change := range []string{
		`UPDATE items SET outcome = 'right' WHERE outcome = 'wrong'`, `UPDATE items SET key = 'other' WHERE item = 1`,
		`UPDATE items SET summary = replace(summary, '[1', '[7')`, `UPDATE bodies SET body = replace(body, '"seed":', '"seed":1')`,
	} {
		dir := filepath.Join(t.TempDir(), "run")
		folder, err := eval.CreateRun(t.Context(), dir, eval.Header{Study: "demo", Model: "script:"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := eval.Run(t.Context(), study(mixed()...), eval.Subject{Model: echo()}, eval.Options{Log: folder}); err != nil {
			t.Fatal(err)
		}
		if _, err := folder.Report(t.Context(), study()); err != nil {
			t.Errorf("before anything was changed: %v", err)
		}
		if err := errors.Join(folder.End(t.Context(), time.Now()), folder.Close()); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", filepath.Join(dir, "run.sqlite"))
		if err != nil {
			t.Fatal(err)
		}
		done, err := db.ExecContext(t.Context(), change)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := done.RowsAffected(); n == 0 || err != nil {
			t.Fatalf("%s: %d rows, %v", change, n, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if folder, err = eval.ReadRun(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		if folder.Header.Ended.IsZero() {
			t.Error("nobody knows when the run ended")
		}
		if _, err := folder.Report(t.Context(), study()); !errors.Is(err, store.ErrForeign) {
			t.Errorf("a report after %s: %v", change, err)
		}
		if err := folder.Close(); err != nil {
			t.Error(err)
		}
		if folder, err = eval.OpenRun(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		if _, err := eval.Run(t.Context(), study(mixed()...), eval.Subject{Model: echo()}, eval.Options{Log: folder}); !errors.Is(err, store.ErrForeign) && (err == nil || !strings.Contains(err.Error(), "changed")) {
			t.Errorf("a resumed run after %s: %v", change, err)
		}
		if err := folder.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Where nothing can be right or wrong, the headline is what came to a result; a
// share says that it is one, and needs no suffix.
func TestHeadlineOfWhatIsMeasured(t *testing.T) {
	s := eval.Study[item, int]{
		Name: "demo", Items: study().Items,
		Measure: func(n []int) []eval.Measure { return nil },
	}
	outcomes := []string{eval.OutcomeMeasured, eval.OutcomeMeasured, eval.OutcomeMeasured, eval.OutcomeUnparsed}
	var records []eval.Record
	for i, o := range outcomes {
		r := eval.Record{Study: "demo", Index: i, Outcome: o}
		if o == eval.OutcomeMeasured {
			r.Result = json.RawMessage("1")
		}
		records = append(records, r)
	}
	report, err := eval.NewReport(s, "m", 5, all(records...))
	if err != nil || len(report.Headline) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	f := report.Headline[0].Figure
	if f.Value != 0.75 || f.N != 4 || f.Unit != stats.Share || strings.Contains(f.String(), stats.Share) || report.Headline[0].Name != "came to a result, of those asked" {
		t.Errorf("%+v %v", report.Headline[0], f)
	}
}

// An item is called by its place, and by the name that it has in the user's data.
func TestNamesOfItems(t *testing.T) {
	for raw, want := range map[string]string{
		`{"id": "q-17"}`: "item 3 (q-17)", `{"id": 17}`: "item 3 (17)", `{"id": ""}`: "item 3", `{"question": "?"}`: "item 3", `[1]`: "item 3", ``: "item 3",
		`{"id": "` + strings.Repeat("x", 1000) + `"}`: "item 3", `{"id": null}`: "item 3",
	} {
		if got := (eval.Record{Index: 3, Item: json.RawMessage(raw)}).Name(); got != want {
			t.Errorf("%s is called %s, want %s", raw, got, want)
		}
	}
}
