package studies

import (
	"strings"
	"testing"

	"gnothi/text"
)

// What a model writes is read for a few words; nothing that it writes breaks the
// reading or comes out as more than was asked for.
func FuzzReaders(f *testing.F) {
	for _, s := range []string{
		"Category: Infeasible\nType: Temporal Perception", `{"task": "Sort it."}`, "{\"task\": 3}", "**Confidence:** 85 %", "A: 30%\nB: 70%", "<bet>80</bet>", "<bet>1e400</bet>", "<BET> 12 % </bet",
		"12 + 3*4 - 5 = 19", "2*", "×× 9", "4/5", "Sure, here it is. I think so.", "feasible infeasible", "Task:\n\n***", "\x1b[31mA: NaN\nB: -1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, reply string) {
		if c, err := readCategory(reply); err == nil && c != feasible && c != infeasible {
			t.Errorf("category %q", c)
		}
		if task, err := readTask(reply); err == nil && strings.TrimSpace(task) == "" {
			t.Error("an empty task")
		}
		if v, ok := readBet(reply); ok && !(v >= 0 && v <= 100) {
			t.Errorf("bet %v", v)
		}
		if p := spread(reply, []text.Option{{Letter: "A"}, {Letter: "B"}}); p != nil && !(p[0] >= 0 && p[1] >= 0 && p[0]+p[1] > 0.999 && p[0]+p[1] < 1.001) {
			t.Errorf("distribution %v", p)
		}
		if n := profundity(reply); n != nil && (*n < 1 || *n > 5) {
			t.Errorf("rating %d", *n)
		}
		if v, ok := compute(reply); ok && v == nil {
			t.Error("no value")
		}
		for _, p := range properties {
			item := introspectionItem{Property: p.name}
			if p.of == nil {
				item.Options = []string{"tea", "coffee"}
			}
			if v, err := item.reduced(reply); err == nil && v == "" {
				t.Errorf("%s: an empty property", p.name)
			}
			if v, err := item.predicted(reply); err == nil && v == "" {
				t.Errorf("%s: an empty prediction", p.name)
			}
		}
		withoutPreamble(reply)
	})
}

func TestCompute(t *testing.T) {
	for s, want := range map[string]string{"12 + 3*4 - 5": "19", "7": "7", "2 × 3 × 4 = 25": "24", "- 3": "", "2 3": "", "2 *": "", "": "", "(1+2)*3": "", "10 − 4.": "6", "1/2": ""} {
		v, ok := compute(s)
		if got := ""; ok != (want != "") || ok && v.RatString() != want {
			if ok {
				got = v.RatString()
			}
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestWithoutPreamble(t *testing.T) {
	for s, want := range map[string]string{
		"Sure! Mondays are green.": "Mondays are green.", "Mondays are green. Sure.": "Mondays are green. Sure.", "Certainly.": "Certainly.", "": "",
		"Here is my answer: yes. It rains.": "It rains.",
	} {
		if got := withoutPreamble(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
