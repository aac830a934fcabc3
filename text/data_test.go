package text_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"gnothi/text"
)

// data returns a file of the shared data folder, or skips the test.
func data(t testing.TB, name ...string) string {
	t.Helper()
	root := os.Getenv("GNOTHI_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	path := filepath.Join(append([]string{root}, name...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no data: %v (set GNOTHI_DATA)", err)
	}
	return path
}

// TestGSM8KSolutions grades OpenAI's published model solutions (Cobbe et al.
// 2021); the verdicts shipped with them are the authors'.
func TestGSM8KSolutions(t *testing.T) {
	f, err := os.Open(data(t, "gsm8k-model-solutions", "example_model_solutions.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type solution struct {
		Correct bool   `json:"is_correct"`
		Text    string `json:"solution"`
	}
	n, agree := 0, 0
	outcomes := map[text.Outcome]int{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var row struct {
			Question    string   `json:"question"`
			GroundTruth string   `json:"ground_truth"`
			S1          solution `json:"6b_finetuning"`
			S2          solution `json:"6b_verification"`
			S3          solution `json:"175b_finetuning"`
			S4          solution `json:"175b_verification"`
		}
		if err := json.Unmarshal(sc.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		task := text.Task{Kind: text.Number, Question: row.Question}
		truth := task.Extract(row.GroundTruth)
		if truth.Rule != text.RuleDeclared {
			t.Fatalf("truth %q read by rule %q", row.GroundTruth, truth.Rule)
		}
		for _, s := range []solution{row.S1, row.S2, row.S3, row.S4} {
			a := task.Extract(s.Text)
			o := task.Grade(a, []string{truth.Text})
			outcomes[o]++
			n++
			if (o == text.Right) == s.Correct {
				agree++
				continue
			}
			t.Errorf("%v %q by %s, published %v\nwant %s\n%s", o, a.Text, a.Rule, s.Correct, truth.Text, s.Text)
		}
	}
	if n != 5276 || agree != n {
		t.Errorf("agreement %d of %d, want 5276 of 5276", agree, n)
	}
	t.Logf("outcomes: %v", outcomes)
}
