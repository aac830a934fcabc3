package gateway_test

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"gnothi/gateway"
	"gnothi/store"
)

// BenchmarkPages50000 shows pages of 50,000 trials, 2,000 of them with verdicts.
func BenchmarkPages50000(b *testing.B) {
	const n = 50_000
	trials, err := store.OpenTrials(b.Context(), filepath.Join(b.TempDir(), "trials.sqlite"), store.TrialOptions{Report: func(err error) { b.Error(err) }})
	if err != nil {
		b.Fatal(err)
	}
	defer trials.Close()
	for i := range n {
		p := float64(i%100) / 100
		x := store.Trial{
			ID: fmt.Sprint("id-", i), At: time.Now(), Model: "openai:m", Name: "m", Policy: "auto", Decision: "answer", Outcome: "parsed", Status: "prior", Probability: &p, Low: &p, High: &p,
			Calls: 5, Tokens: 100, Question: fmt.Sprintf("What is the answer to question %d?", i), Answer: "It is this one.", Audit: 0.02, Marked: i%50 == 0, Texts: fmt.Sprintf("What is the answer to question %d? Sample %d.", i, i),
			Body: []byte(`{"schema":1,"belief":{"question":"q"}}`),
		}
		for !trials.Add(1000, func() store.Trial { return x }) {
			if err := trials.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := trials.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	for i := 0; i < n; i += 25 {
		by := "client"
		if i%50 == 0 {
			by = store.ByAudit
		}
		if _, err := trials.Judge(b.Context(), fmt.Sprint("id-", i), store.Verdict{At: time.Now(), Correct: i%3 > 0, By: by}); err != nil {
			b.Fatal(err)
		}
	}
	g, err := gateway.New(gateway.Options{Model: sample(), Trials: trials})
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range []string{"/trials", "/trials?before=20000", "/trials?q=%22sample+77+%22+%22question+77%22", "/trials?v=right", "/trials/id-40000", "/reliability", "/spend", "/audit"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				g.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1"+path, nil))
				if w.Code != 200 {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
}
