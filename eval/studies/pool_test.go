package studies_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
	"gnothi/llm"
)

// sums writes n questions whose answer is 7, and gives their folder.
func sums(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf(`{"question":"What is %d - %d?","answers":["7"]}`, i+7, i))
	}
	writeLines(t, filepath.Join(dir, "questions.jsonl"), lines...)
	return dir
}

// guesser answers 7 to a share of the samples that hangs on the question, and
// lets verify say whether an answer is right; seven tells whether the judged
// text, or of two the first, is the right one.
func guesser(verify func(prompt string, seven bool, i int) bool) llm.Model {
	return model("guesser", func(prompt, role string, i int) string {
		seven := func(s string) bool { return strings.Contains(s, `"7"`) || strings.Contains(s, "\n7\n") }
		say := func(yes bool) string {
			if yes {
				return "Each step holds.\nVerdict: Yes"
			}
			return "A step does not hold.\nVerdict: No"
		}
		switch {
		case strings.Contains(prompt, "What is to be verified"):
			if !strings.Contains(prompt, "First say") {
				return map[bool]string{true: "Verdict: Yes", false: "Verdict: No"}[verify(prompt, seven(between(prompt, "verified:", "Does it hold")), i)]
			}
			return say(verify(prompt, seven(between(prompt, "verified:", "Does it hold")), i))
		case strings.Contains(prompt, "The reply to rate"):
			if verify(prompt, seven(between(prompt, "to rate:", "Rate it")), i) {
				return "Sound.\nVerdict: 9"
			}
			return "Unsound.\nVerdict: 2"
		case strings.Contains(prompt, "Which candidate is better"):
			a, b := seven(between(prompt, "Candidate A:", "Candidate B:")), seven(between(prompt, "Candidate B:", "Which candidate"))
			if verify(prompt, a, i) && !b {
				return "Verdict: A"
			} else if verify(prompt, b, i) && !a {
				return "Verdict: B"
			}
			return "Verdict: Tie"
		case strings.Contains(prompt, "A proposed solution"):
			return map[bool]string{true: "Yes", false: "No"}[verify(prompt, seven(between(prompt, "solution:", "Check it")), i)]
		}
		if llm.Derive(3, prompt, i)%10 < 2+llm.Derive(4, prompt, 0)%4 {
			return "7"
		}
		return fmt.Sprint(20 + llm.Derive(5, prompt, i)%5)
	})
}

func oracle(_ string, seven bool, _ int) bool { return seven }

// coin says yes or no by chance, whatever it is shown.
func coin(prompt string, _ bool, i int) bool { return llm.Derive(6, prompt, i)%2 == 0 }

func TestPaperVerification(t *testing.T) {
	t.Run("generation-verification-gap", func(t *testing.T) {
		o := eval.Options{Source: eval.Source{Dir: sums(t, 80)}}
		report, results := runs[studies.VerificationGapResult](t, studies.GenerationVerificationGap(), eval.Subject{Model: guesser(oracle)}, o)
		// Where a sample is right the oracle lets only right ones through: 1 − mean u.
		want, reachable := 0.0, 0
		for _, r := range results {
			u := 0.0
			for _, right := range r.Right {
				if right {
					u += 1 / float64(len(r.Right))
				}
			}
			if u > 0 {
				want, reachable = want+1-u, reachable+1
			}
		}
		want /= float64(len(results))
		if reachable == len(results) || reachable < len(results)/2 || want < .2 {
			t.Fatalf("%d of %d questions have a right sample, gap %v: a poor script", reachable, len(results), want)
		}
		for _, v := range []string{"MC", "CoT-B", "CoT-S", "tournament, winner"} {
			is(t, report.Measures, v+": gap", want, 1e-9)
		}
		is(t, report.Measures, "MC: questions of which none is accepted", 1-float64(reachable)/float64(len(results)), 1e-9)

		report, _ = runs[studies.VerificationGapResult](t, studies.GenerationVerificationGap(), eval.Subject{Model: guesser(coin)}, o)
		for _, v := range []string{"MC", "CoT-B", "CoT-S", "MC, better half", "CoT-S, better half"} {
			if f := figure(t, report.Measures, v+": gap").Figure; !(f.Low < 0.01 && f.High > -0.01 && f.Value < .1) {
				t.Errorf("a coin has a gap by %s: %v", v, f)
			}
		}
	})

	t.Run("self-prm", func(t *testing.T) {
		o := eval.Options{Source: eval.Source{Dir: sums(t, 60)}}
		report, _ := runs[studies.PRMResult](t, studies.SelfPRM(), eval.Subject{Model: guesser(func(string, bool, int) bool { return true })}, o)
		is(t, report.Measures, "self-selection less majority voting", 0, 0)
		if f := figure(t, report.Measures, "share accepted, pass rate over 0.25 to 0.5").Figure; f.Value != 1 || f.N == 0 {
			t.Errorf("always yes accepts %v", f)
		}
		report, _ = runs[studies.PRMResult](t, studies.SelfPRM(), eval.Subject{Model: guesser(oracle)}, o)
		is(t, report.Measures, "majority among the accepted", figure(t, report.Measures, "pass@8").Figure.Value, 0)
		is(t, report.Measures, "precision of acceptance, pass rate over 0.25 to 0.5", 1, 0)
		report, _ = runs[studies.PRMResult](t, studies.SelfPRM(), eval.Subject{Model: guesser(func(string, bool, int) bool { return false })}, o)
		f := figure(t, report.Measures, "precision of acceptance, pass rate over 0.25 to 0.5").Figure
		if f.N != 0 || f.Why == "" {
			t.Errorf("nothing accepted has the precision %v", f)
		}
	})
}
