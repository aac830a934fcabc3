package studies_test

import (
	"fmt"
	"strings"
	"testing"

	"gnothi/eval"
	"gnothi/eval/studies"
)

// bets spells out value:count.
func bets(t *testing.T, s string) []float64 {
	t.Helper()
	var out []float64
	for _, pair := range strings.Fields(s) {
		var v float64
		var n int
		if _, err := fmt.Sscanf(strings.Replace(pair, ":", " ", 1), "%g %d", &v, &n); err != nil {
			t.Fatal(err)
		}
		for range n {
			out = append(out, v)
		}
	}
	if len(out) != 120 {
		t.Fatalf("%d bets", len(out))
	}
	return out
}

func TestPaperDebateOverconfidence(t *testing.T) {
	// The published bets as multisets, n = 120: which opening belongs to which closing is not known.
	t.Run("debate-overconfidence", func(t *testing.T) {
		var rs []studies.DebateResult
		for arm, sets := range map[string][2]string{
			studies.ArmCross: {"45:1 55:1 60:10 65:13 70:34 75:29 80:17 85:12 90:3", "55:3 60:5 65:2 68:1 70:7 75:9 80:15 82:1 85:29 87:1 88:1 90:27 95:17 98:2"},
			studies.ArmSelf: {"8:1 11:1 15:1 25:1 30:3 40:1 50:9 55:8 60:31 65:15 70:14 75:21 80:4 85:4 90:3 95:2 100:1",
				"6:1 16:1 25:1 52:1 53:1 55:7 58:2 60:11 65:6 70:15 75:12 80:13 82:1 85:23 90:16 92:1 95:7 97:1"},
			studies.ArmInformed: {"0:1 5:4 10:1 15:1 20:1 25:1 30:3 35:1 40:1 45:7 50:48 51:1 54:1 55:13 60:29 65:5 70:1 75:1", ""},
		} {
			opening := bets(t, sets[0])
			closing := opening
			if sets[1] != "" {
				closing = bets(t, sets[1])
			}
			for i := 0; i < 120; i += 2 {
				r := studies.DebateResult{Arm: arm}
				for k := range 2 {
					r.Bets[k] = [3]*float64{&opening[i+k], &opening[i+k], &closing[i+k]}
				}
				rs = append(rs, r)
			}
		}
		ms := measured(t, studies.DebateOverconfidence(), rs)
		is(t, ms, "cross: opening bet, of 100", 72.917, 5e-4)
		is(t, ms, "cross: closing bet, of 100", 83.258, 5e-4)
		is(t, ms, "cross: opening bets above 50, t", 31.7, .05)
		is(t, ms, "cross: rise from opening to closing", 83.258-72.917, 1e-3)
		is(t, ms, "self: opening bet, of 100", 64.08, 5e-3)
		is(t, ms, "self: closing bet, of 100", 75.20, 5e-3)
		is(t, ms, "self: closing bets of both sides less 100", 50.4, .05)
		is(t, ms, "informed: opening bet, of 100", 50.00, 5e-3)
		if f := figure(t, ms, "cross: opening bet, of 100").Figure; f.N != 120 {
			t.Errorf("%v", f)
		}
	})
	t.Run("debate-overconfidence/played", func(t *testing.T) {
		m := model("debater", func(prompt, role string, i int) string {
			round := strings.Count(prompt, "Give your ")
			if role == "speech" {
				if round > 2 && strings.Contains(prompt, "My bet on winning") != strings.Contains(prompt, "Your opponent will see your bet.") {
					t.Errorf("a private bet was shown, or a public one hidden: %s", prompt)
				}
				return "We should."
			}
			switch round {
			case 1:
				return "no tag"
			case 2:
				return "I think <bet>80</bet>"
			}
			return "<bet>150</bet>"
		})
		report, results := runs[studies.DebateResult](t, studies.DebateOverconfidence(), eval.Subject{Model: m}, eval.Options{Source: eval.Source{N: 8}})
		for _, r := range results {
			for side := range 2 {
				if b := r.Bets[side]; b[2] != nil || b[1] == nil || *b[1] != 80 {
					t.Errorf("%s: a bet of 150 is no bet: %v", r.Arm, b)
				}
			}
		}
		if report.Outcomes.Measured != 8 {
			t.Errorf("%+v", report.Outcomes)
		}
		if f := figure(t, report.Measures, "bets that could not be read").Figure; f.Value != 2.0/3 || f.N != 48 {
			t.Errorf("unread bets %v", f)
		}
	})
}
