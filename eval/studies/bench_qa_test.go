package studies_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
)

// BenchmarkPlainQA is the program's own work on a short question: reading it,
// reading the reply, grading, signals, calibration and the record.
func BenchmarkPlainQA(b *testing.B) {
	var lines []string
	for i := range 2000 {
		lines = append(lines, fmt.Sprintf(`{"id":%d,"question":"What is %d + 1?","answers":["%d"]}`, i, i, i+1))
	}
	dir := b.TempDir()
	writeLines(b, filepath.Join(dir, "questions.jsonl"), lines...)
	m := sure(func(string) string { return "17" })
	for b.Loop() {
		report, err := eval.Run(b.Context(), studies.PlainQA(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{Dir: dir}, Seed: 1, Concurrency: 16})
		if err != nil || report.Outcomes.Right != 1 || report.N != len(lines) {
			b.Fatalf("%v, %+v", err, report)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(lines)), "ns/question")
}
