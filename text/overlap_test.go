package text_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"gnothi/text"
)

// ascii replaces what rouge-score drops by spaces.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return ' '
		}
		return r
	}, strings.ToLower(s))
}

// TestOverlapGolden compares with rouge-score 0.1.2 and the SQuAD 1.1 script.
func TestOverlapGolden(t *testing.T) {
	raw, err := os.ReadFile(data(t, "uq-golden", "text.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Pairs []struct {
			Hyp, Ref   string
			SquadHyp   string     `json:"squad_norm_hyp"`
			EM         int        `json:"em"`
			F1         float64    `json:"f1"`
			Rouge1     [3]float64 `json:"rouge1"`
			Rouge2     [3]float64 `json:"rouge2"`
			RougeL     [3]float64 `json:"rougeL"`
			JaccardLow float64    `json:"jaccard_lower_ws"`
		}
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Pairs) < 50 {
		t.Fatalf("%d pairs", len(golden.Pairs))
	}
	near := func(got, want float64) bool { return math.Abs(got-want) <= 1e-9 }
	three := func(o text.Overlap, want [3]float64) bool {
		return near(o.Precision, want[0]) && near(o.Recall, want[1]) && near(o.F, want[2])
	}
	for _, p := range golden.Pairs {
		if got := text.SQuADNormalise(p.Hyp); got != p.SquadHyp {
			t.Errorf("SQuADNormalise(%q) = %q, want %q", p.Hyp, got, p.SquadHyp)
		}
		if got := text.ExactMatch(p.Hyp, p.Ref); got != (p.EM == 1) {
			t.Errorf("ExactMatch(%q, %q) = %v", p.Hyp, p.Ref, got)
		}
		if got := text.F1(p.Hyp, p.Ref); !near(got, p.F1) {
			t.Errorf("F1(%q, %q) = %v, want %v", p.Hyp, p.Ref, got, p.F1)
		}
		if got := text.Rouge1(ascii(p.Hyp), ascii(p.Ref)); !three(got, p.Rouge1) {
			t.Errorf("Rouge1(%q, %q) = %v, want %v", p.Hyp, p.Ref, got, p.Rouge1)
		}
		if got := text.Rouge2(ascii(p.Hyp), ascii(p.Ref)); !three(got, p.Rouge2) {
			t.Errorf("Rouge2(%q, %q) = %v, want %v", p.Hyp, p.Ref, got, p.Rouge2)
		}
		if got := text.RougeL(ascii(p.Hyp), ascii(p.Ref)); !three(got, p.RougeL) {
			t.Errorf("RougeL(%q, %q) = %v, want %v", p.Hyp, p.Ref, got, p.RougeL)
		}
		if got := text.Jaccard(p.Hyp, p.Ref); !near(got, p.JaccardLow) {
			t.Errorf("Jaccard(%q, %q) = %v, want %v", p.Hyp, p.Ref, got, p.JaccardLow)
		}
	}
}
