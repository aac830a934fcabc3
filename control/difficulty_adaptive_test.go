package control_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/stats"
	"gnothi/text"
)

var (
	numberedQuestion = regexp.MustCompile(`question (\d+)`)
	listedQuestion   = regexp.MustCompile(`Q(\d+): "question (\d+)"`)
)

// batchModel answers question i at once if it is easy (below 60) and wavers otherwise; it ranks by the number.
func batchModel(rank func(listed [][2]int) string) *script.Model {
	return script.New(func(op llm.Op, i int) script.Reply {
		asked := ""
		for _, m := range op.Request.Messages {
			asked += m.Text
		}
		if op.Role == "rank" {
			var listed [][2]int
			for _, m := range listedQuestion.FindAllStringSubmatch(asked, -1) {
				label, _ := strconv.Atoi(m[1])
				n, _ := strconv.Atoi(m[2])
				listed = append(listed, [2]int{label, n})
			}
			return script.Reply{Text: rank(listed)}
		}
		n, _ := strconv.Atoi(numberedQuestion.FindStringSubmatch(asked)[1])
		if n < 60 {
			return script.Reply{Text: fmt.Sprint(n)}
		}
		return script.Reply{Text: fmt.Sprint(n + i%3%2)}
	})
}

func rightly(listed [][2]int) string {
	slices.SortFunc(listed, func(a, b [2]int) int { return a[1] - b[1] })
	var out []string
	for _, l := range listed {
		out = append(out, fmt.Sprint("Q", l[0]))
	}
	return strings.Join(out, ", ")
}

func batchTrials(m llm.Model, n int) []*monitor.Trial {
	ts := make([]*monitor.Trial, n)
	for i := range ts {
		q := fmt.Sprint("question ", i)
		ts[i] = monitor.NewTrial(monitor.TrialOptions{
			Model: llm.Metered(m, nil), Question: monitor.Question{Text: q, Kind: text.Number}, Seed: uint64(i + 1),
			Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: q}}, MaxTokens: 8},
		})
	}
	return ts
}

func TestPaperDifficultyAdaptive(t *testing.T) {
	t.Run("difficulty-adaptive-self-consistency", func(t *testing.T) {
		// The stopping posterior has its published values, and the rules stop where they should.
		for _, c := range []struct {
			a, b int
			p    float64
		}{{3, 0, .9375}, {4, 0, .96875}, {5, 1, .9375}, {6, 1, .96484}, {7, 1, .98047}, {8, 2, .96729}, {5, 5, .5}} {
			if p, err := stats.BetaMajority(c.a, c.b); err != nil || p < c.p-1e-5 || p > c.p+1e-5 {
				t.Errorf("P(%d, %d) = %v, want %v", c.a, c.b, p, c.p)
			}
		}
		if n := drawnBy(control.Settled{Conf: .95, Max: 40}); n != 4 {
			t.Errorf("adaptive-consistency stops on unanimous answers after %d", n)
		}
		if n := drawnBy(control.Window{W: 5, Max: 40}); n != 5 {
			t.Errorf("early stopping stops on unanimous answers after %d", n)
		}

		// On a model that is right at once on easy items it uses fewer samples there than adaptive-consistency does.
		m := batchModel(rightly)
		ts := batchTrials(m, 100)
		results, errs, err := control.NewDifficultyAdaptive().RunAll(t.Context(), ts)
		if err != nil {
			t.Fatal(err)
		}
		easy, adaptive, greedy := 0, 0, 0
		for i := range ts {
			if errs[i] != nil || results[i].Best == nil {
				t.Fatalf("question %d: %v", i, errs[i])
			}
			if want := fmt.Sprint(i); results[i].Best.Answer.Text != want {
				t.Errorf("question %d: answered %s", i, results[i].Best.Answer.Text)
			}
			if i >= 60 {
				if len(results[i].Pool) < 5 {
					t.Errorf("hard question %d got %d samples", i, len(results[i].Pool))
				}
				continue
			}
			easy += len(results[i].Pool)
			adaptive += 4
			if len(results[i].Pool) == 1 {
				greedy++
			}
		}
		// The first easy ones, 32 in a row, prove that the rest is easy.
		if easy >= adaptive || greedy < 20 {
			t.Errorf("%d samples on easy questions, adaptive-consistency %d; %d of them answered greedily", easy, adaptive, greedy)
		}

		// A model that ranks nothing leaves no question unanswered.
		for name, rank := range map[string]func([][2]int) string{
			"refuses": func([][2]int) string { return "I cannot compare questions." },
			"repeats": func([][2]int) string { return "Q1, Q1, Q1" },
			"partial": func([][2]int) string { return "Q2, then Q1. Q99 and Q0 too." },
		} {
			results, errs, err := control.NewDifficultyAdaptive().RunAll(t.Context(), batchTrials(batchModel(rank), 20))
			for i := range results {
				if err != nil || errs[i] != nil || results[i].Best == nil {
					t.Errorf("%s: question %d: %v, %v", name, i, err, errs[i])
				}
			}
		}

		// One question by itself is adaptive-consistency.
		one := batchModel(rightly)
		results, _, err = control.NewDifficultyAdaptive().RunAll(t.Context(), batchTrials(one, 1))
		if err != nil || one.Calls() != 6 && one.Calls() != 4 || results[0].Best == nil {
			t.Errorf("%d calls for one question, %v", one.Calls(), err)
		}
	})
}

// drawnBy is after how many equal answers a rule stops.
func drawnBy(s control.Stopper) int {
	var classes []int
	for {
		more := s.More(classes)
		if more <= 0 {
			return len(classes)
		}
		classes = append(classes, make([]int, more)...)
	}
}
