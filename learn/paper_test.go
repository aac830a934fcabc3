package learn_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"gnothi/learn"
	"gnothi/learn/countdown"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor/judge"
	"gnothi/text"
)

func TestPaperJudged(t *testing.T) {
	t.Run("meta-rewarding", func(t *testing.T) {
		// Scores 4, 4, 2 at lengths 900, 300, 500: the shortest of the best, the longest of the worst.
		words := func(word string, n int) string { // n characters without repetition
			var b strings.Builder
			for i := 0; b.Len() < n; i++ {
				fmt.Fprintf(&b, "%s%d ", word, i)
			}
			return b.String()[:n-1] + "."
		}
		long, short, bad := words("long", 900), words("short", 300), words("poor", 500)
		m := script.New(func(op llm.Op, i int) script.Reply {
			p := script.Prompt(op.Request)
			switch {
			case op.Role == "sample":
				return script.Reply{Text: []string{long, short, bad}[i%3]}
			case strings.Contains(p, "Candidate A:"):
				return preferring(p, "argues well")
			case strings.Contains(p, "poor1 "):
				return script.Reply{Text: []string{"argues well.\nVerdict: 2", "careless.\nVerdict: 3", "careless too.\nVerdict: 1"}[i%3]}
			}
			return script.Reply{Text: "fine.\nVerdict: 4"}
		})
		rows, report := makes(t, learn.MetaRewarding(3, 0, judge.AdditiveJudge(3), one(judge.Judge{Rubric: judge.MetaRubric})), m, question("Tell me about dogs."))
		if got := of(rows, learn.Pair, ""); len(got) != 1 || got[0].Chosen != short || got[0].Rejected != bad || *got[0].Margin != 2 {
			t.Errorf("pairs %+v", got)
		}
		// The answer whose ratings differ has its judgements judged: what argues well wins.
		if got := of(rows, learn.Pair, "judge"); len(got) != 1 || !strings.Contains(got[0].Chosen, "argues well") || strings.Contains(got[0].Rejected, "argues well") || !strings.Contains(got[0].Prompt, "one point each") {
			t.Errorf("judge pairs %+v", got)
		}
		if !report.SelfJudged || report.Judge == nil || report.Length.Longer.Value != 0 {
			t.Errorf("report:\n%v", report)
		}

		// A meta-judge that goes in circles finds all equal: no pair.
		next := map[string]string{"one": "two", "two": "three", "three": "one"}
		circle := script.New(func(op llm.Op, i int) script.Reply {
			p := script.Prompt(op.Request)
			switch {
			case op.Role == "sample":
				return script.Reply{Text: "An answer."}
			case strings.Contains(p, "Candidate A:"):
				a, b, _ := strings.Cut(p[strings.Index(p, "Candidate A:"):], "Candidate B:")
				for w, beats := range next {
					if strings.Contains(a, "view "+w) && strings.Contains(b, "view "+beats) {
						return script.Reply{Text: "Verdict: A"}
					}
				}
				return script.Reply{Text: "Verdict: B"}
			}
			return script.Reply{Text: []string{"view one\nVerdict: 1", "view two\nVerdict: 2", "view three\nVerdict: 3"}[i%3]}
		})
		rows, report = makes(t, learn.MetaRewarding(2, 0, judge.AdditiveJudge(3), one(judge.Judge{})), circle, question("Tell me about dogs."))
		if len(rows) != 0 || report.Dropped["judge pair: the meta-judge prefers none"] != 1 {
			t.Errorf("a cycle made %+v, dropped %v", rows, report.Dropped)
		}
	})

	t.Run("self-reference-ai-feedback", func(t *testing.T) {
		// A judge that always says A: everything is dropped, and the report says why.
		m := script.New(func(op llm.Op, i int) script.Reply {
			if op.Role == "judge" {
				return script.Reply{Text: "Verdict: A"}
			}
			return script.Reply{Text: fmt.Sprintf("answer %d", i)}
		})
		rows, report := makes(t, learn.SelfReference(4, .2, one(learn.SelfReferenceJudge())), m, question("What is good?"))
		if len(rows) != 0 || report.Judge.Position.Value != 1 || report.Judge.First.Value != 1 || report.Dropped["pair: the orders disagree"] != 2 {
			t.Errorf("%d rows, dropped %v, position bias %v", len(rows), report.Dropped, report.Judge.Position)
		}
		// One that sees the better answer: one pair of each two, and its own answer is shown to it.
		m = script.New(func(op llm.Op, i int) script.Reply {
			p := script.Prompt(op.Request)
			switch {
			case op.Role == "judge" && !strings.Contains(p, "A reference answer, your own"):
				return script.Failure(500, "no reference")
			case op.Role == "judge":
				return preferring(p, "kind")
			}
			return script.Reply{Text: []string{"kind 1", "rude 2", "rude 3", "kind 4"}[i%4]}
		})
		rows, _ = makes(t, learn.SelfReference(4, 0, one(learn.SelfReferenceJudge())), m, question("What is good?"))
		if len(rows) != 2 || rows[0].Chosen != "kind 1" || rows[1].Chosen != "kind 4" {
			t.Errorf("%+v", rows)
		}
		if rows, report := makes(t, learn.SelfReference(4, .5, one(learn.SelfReferenceJudge())), m, question("What is good?")); len(rows) != 1 || report.Dropped["pair: among the weakest"] != 1 {
			t.Errorf("half dropped leaves %d", len(rows))
		}
	})

	t.Run("self-rationalization-judge", func(t *testing.T) {
		// Scores 3, 3, 4, 1 where 3 is right: 2 × 2 pairs, with margin 2 only those with the 1.
		if got := fmt.Sprint(learn.Agree([]float64{3, 3, 4, 1}, 3, 1)); got != "[{0 3 2} {1 3 2} {0 2 1} {1 2 1}]" {
			t.Error(got)
		}
		if got := fmt.Sprint(learn.Agree([]float64{3, 3, 4, 1}, 3, 2)); got != "[{0 3 2} {1 3 2}]" {
			t.Error(got)
		}
		replies := []string{"short.\nVerdict: 3", "a longer reason.\nVerdict: 3", "wrong.\nVerdict: 4", "quite wrong.\nVerdict: 1", "no verdict"}
		m := script.New(func(_ llm.Op, i int) script.Reply { return script.Reply{Text: replies[i%5]} })
		p, gold := question("What is 2+2?"), 3.0
		p.Response, p.Score = "It is four.", &gold
		j := &judge.Judge{Votes: 5, Reason: true, Temperature: 1}
		rows, report := makes(t, learn.SelfRationalization(1, 2, j), m, p)
		if len(rows) != 2 || rows[0].Chosen != replies[0] || rows[0].Rejected != replies[3] || *rows[0].Margin != 2 || rows[1].Rejected != replies[2] || rows[0].Role != "judge" {
			t.Errorf("%+v", rows)
		}
		if report.SelfJudged || report.Shares["majority is right"].Value != 1 {
			t.Errorf("report:\n%v", report)
		}
		// Without gold the majority stands for it, and the row says so.
		p.Score = nil
		if rows, _ := makes(t, learn.SelfRationalization(2, 2, j), m, p); len(rows) != 1 || rows[0].Scores["majority"] < .4 {
			t.Errorf("%+v", rows)
		}
	})

	t.Run("comas", func(t *testing.T) {
		if s, e := learn.ZeroSum(2); s != .5 || e != .5 {
			t.Error(s, e)
		}
		for _, verdict := range []string{"Verdict: 1", "Verdict: 2", "Verdict: 3"} {
			m := says([]string{"Evaluate it", "I see nothing wrong."}, []string{"The reply to rate", verdict}, []string{"dogs", "Dogs bark.", "Dogs run."})
			rows, _ := makes(t, learn.CoMAS(2, 2, one(learn.CoMASJudge())), m, question("Tell me about dogs."))
			solvers, evaluators := of(rows, learn.Reward, ""), of(rows, learn.Reward, "evaluator")
			if len(solvers) != 4 || len(evaluators) != 4 {
				t.Fatalf("%d solvers, %d evaluators", len(solvers), len(evaluators))
			}
			for i := range solvers {
				if sum := *solvers[i].Reward + *evaluators[i].Reward; sum != 1 || solvers[i].Scores["agent"] == evaluators[i].Scores["agent"] {
					t.Errorf("%s: rewards sum to %v", verdict, sum)
				}
			}
			if want := map[string]float64{"Verdict: 1": 0, "Verdict: 2": .5, "Verdict: 3": 1}[verdict]; *solvers[0].Reward != want {
				t.Errorf("%s: solver %v", verdict, *solvers[0].Reward)
			}
			if !strings.Contains(solvers[2].Prompt, "I see nothing wrong.") || strings.Contains(solvers[0].Prompt, "nothing wrong") {
				t.Error("the second round does not see the first")
			}
		}
		// A score that cannot be read costs the scorer, an evaluation that goes in circles the evaluator.
		rows, _ := makes(t, learn.CoMAS(2, 1, one(learn.CoMASJudge())), says([]string{"Evaluate it", "Hm."}, []string{"The reply to rate", "perhaps"}, []string{"dogs", "Dogs bark."}), question("Tell me about dogs."))
		if len(rows) != 2 || rows[0].Role != "scorer" || *rows[0].Reward != -1 {
			t.Errorf("%+v", rows)
		}
		rows, _ = makes(t, learn.CoMAS(2, 1, one(learn.CoMASJudge())), says([]string{"Evaluate it", strings.Repeat("no no no no no no ", 20)}, []string{"dogs", "Dogs bark."}), question("Tell me about dogs."))
		if len(rows) != 2 || rows[0].Role != "evaluator" || *rows[0].Reward != -1 {
			t.Errorf("%+v", rows)
		}
	})

	t.Run("anyprefer", func(t *testing.T) {
		const feedback = "The second one is as good as the first."
		m := script.New(func(op llm.Op, i int) script.Reply {
			p := script.Prompt(op.Request)
			mended := strings.Contains(p, feedback)
			switch {
			case strings.Contains(p, "First reply:"): // the reward
				if mended {
					return script.Reply{Text: "Good.\nVerdict: 9"}
				}
				return script.Reply{Text: feedback + "\nVerdict: 2"}
			case op.Role == "judge" && strings.Contains(p, "Number") || op.Role == "judge" || op.Role == "rank":
				return script.Reply{Text: ranked(p, "good")}
			case mended:
				return script.Reply{Text: []string{"a good answer, 3 + 4 = 7", "a bad answer, 3 + 4 = 8"}[i%2]}
			}
			return script.Reply{Text: []string{"good: 1 + 1 = 2", "bad: 1 + 1 = 3"}[i%2]}
		})
		reward := learn.AnypreferReward()
		rows, report := makes(t, learn.Anyprefer(2, 3, .5, one(learn.AnypreferJudge()), &reward), m, question("How much is it?"))
		if len(rows) != 1 || rows[0].Chosen != "a good answer, 3 + 4 = 7" || rows[0].Scores["try"] != 2 || strings.Contains(rows[0].Prompt, feedback) {
			t.Fatalf("%+v\n%v", rows, report)
		}
		told, computed := 0, false
		for _, op := range m.Ops() {
			p := script.Prompt(op.Request)
			if op.Role == "sample" && strings.Contains(p, feedback) {
				told++
			}
			computed = computed || strings.Contains(p, "calculator: 3 + 4 = 8 does not hold")
		}
		if told == 0 || !computed {
			t.Errorf("the second prompt has the feedback %d times; the calculator spoke: %v", told, computed)
		}
	})

	t.Run("multilevel-feedback-counselors", func(t *testing.T) {
		for s, want := range map[string]string{
			"Appropriate: yes\nGood: empathy, questions":                                                              "",
			"**Appropriate:** no\nGoal: listen\nAreas: Reflections and validation, empathy\nAlternative: I hear you.": "",
			"Appropriate: no\nGoal: listen\nAreas: empathy":                                                           "Alternative",
			"Appropriate: no\nAreas: empathy\nAlternative: I hear you.":                                               "Goal",
			"Appropriate: no\nGoal: listen\nAreas: spelling\nAlternative: I hear you.":                                "Areas",
			"Appropriate: yes":      "Good",
			"It was a fine reply.":  "Appropriate",
			"Appropriate: perhaps.": "Appropriate",
		} {
			if _, err := learn.ParseFeedback(s); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", s, err, want)
			}
		}
		form := func(alternative string) string {
			return "Appropriate: no\nGoal: listen more\nAreas: empathy\nAlternative: " + alternative
		}
		m := script.New(func(op llm.Op, i int) script.Reply {
			p := script.Prompt(op.Request)
			switch {
			case op.Role == "sample":
				return script.Reply{Text: []string{form("Tell me more."), form("Drink it away."), form("Cheer up."), "no form"}[i%4]}
			case strings.Contains(p, "Do these hold"):
				if strings.Contains(p, "Drink it away") {
					return script.Reply{Text: "Verdict 1: yes \"Drink it away\""}
				}
				return script.Reply{Text: "Verdict 1: no"}
			case strings.Contains(p, "Drink it away"):
				return script.Reply{Text: "Verdict: 5"}
			case strings.Contains(p, "Tell me more"):
				return script.Reply{Text: "Verdict: 4"}
			}
			return script.Reply{Text: "Verdict: 2"}
		})
		p := question("I feel low.")
		p.Response = "Everybody does."
		rows, report := makes(t, learn.Counsellors(4, one(learn.CounsellorJudge())), m, p)
		// Argmax over what does no harm, argmin over all.
		if len(rows) != 1 || rows[0].Chosen != form("Tell me more.") || rows[0].Role != "feedback" {
			t.Fatalf("%+v\n%v", rows, report)
		}
		if report.Dropped["feedback: not in the form"] != 1 || report.Values["worth of the chosen feedback"].Min != .75 {
			t.Errorf("report:\n%v", report)
		}
	})

	t.Run("mario-multi-reward-rationales", func(t *testing.T) {
		var rows []learn.Row
		for i := range 10 {
			rows = append(rows, learn.Row{Prompt: "Q", Scores: map[string]float64{"plausibility": float64(i + 1)}})
		}
		counts := map[string]int{}
		for _, r := range learn.ControlTokens(rows, []string{"plausibility", "consistency"}) {
			counts[r.Prompt]++
		}
		for i := range 5 {
			if counts[fmt.Sprintf("<plausibility_%d> Q", i+1)] != 2 {
				t.Errorf("1 to 10 in five tokens: %v", counts)
			}
		}
		if got := learn.Diversity("a b a b a b"); got > .5 {
			t.Errorf("a text in circles has diversity %v", got)
		}
		// With the right rationale the answer is likelier than without.
		m := script.New(func(op llm.Op, i int) script.Reply {
			p := script.Prompt(op.Request)
			switch {
			case op.Kind == llm.Score && strings.Contains(op.Continuation, "Verdict"):
				return script.Reply{Tokens: script.Words(op.Continuation, -1.5)}
			case op.Kind == llm.Score && strings.Contains(p, "It is the seat"):
				return script.Reply{Tokens: script.Words(op.Continuation, -.1)}
			case op.Kind == llm.Score:
				return script.Reply{Tokens: script.Words(op.Continuation, -1)}
			case op.Role == "sample":
				return script.Reply{Text: []string{"It is the seat of government.\nAnswer: Paris", "Lyon is big.\nAnswer: Lyon"}[i%2]}
			}
			return script.Reply{Text: "Verdict: 4"}
		}, llm.ScoreText, llm.LogProbs)
		got, _ := makes(t, learn.MultiReward(2, 4, one(learn.Plausibility())), m, question("What is the capital of France?", "Paris"))
		if len(got) != 2 || math.Abs(got[0].Scores["consistency"]-.9) > 1e-9 || got[1].Scores["consistency"] != 0 || got[0].Scores["accuracy"] != 1 || !strings.Contains(got[0].Prompt, "<consistency_3>") {
			t.Errorf("%+v", got)
		}
	})

	t.Run("self-play-preference-optimization-spo", func(t *testing.T) {
		// Rock, paper, scissors: no best, so every reward is one half, and there is no pair.
		beats := map[string]string{"rock": "scissors", "paper": "rock", "scissors": "paper"}
		m := script.New(func(op llm.Op, i int) script.Reply {
			if op.Role != "judge" {
				return script.Reply{Text: []string{"rock", "paper", "scissors"}[i%3]}
			}
			p := script.Prompt(op.Request)
			a, b, _ := strings.Cut(p[strings.Index(p, "Candidate A:"):], "Candidate B:")
			for w, l := range beats {
				if strings.Contains(a, w) && strings.Contains(b, l) {
					return script.Reply{Text: "Verdict: A"}
				}
			}
			return script.Reply{Text: "Verdict: B"}
		})
		rows, report := makes(t, learn.SelfPlay(3, one(judge.Judge{})), m, question("Your throw?"))
		for _, r := range rows {
			if r.Kind != learn.Reward || *r.Reward != .5 {
				t.Errorf("%+v", r)
			}
		}
		if len(rows) != 3 || report.Dropped["pair: all samples won equally often"] != 1 {
			t.Errorf("%d rows, dropped %v", len(rows), report.Dropped)
		}
		m = script.New(func(op llm.Op, i int) script.Reply {
			if op.Role == "judge" {
				return preferring(script.Prompt(op.Request), "rock")
			}
			return script.Reply{Text: []string{"rock", "paper", "scissors"}[i%3]}
		})
		rows, _ = makes(t, learn.SelfPlay(3, one(judge.Judge{})), m, question("Your throw?"))
		if got := of(rows, learn.Pair, ""); len(got) != 1 || got[0].Chosen != "rock" || *got[0].Margin != .75 {
			t.Errorf("%+v", got)
		}
	})

	t.Run("process-self-rewarding", func(t *testing.T) {
		drawn := 0
		m := script.New(func(op llm.Op, _ int) script.Reply {
			if op.Role == "judge" {
				p := script.Prompt(op.Request)
				_, second, _ := strings.Cut(p, "Candidate B:")
				if strings.Contains(second, "bad") {
					return script.Reply{Text: "Verdict: A"}
				}
				return script.Reply{Text: "Verdict: B"}
			}
			_, so, _ := strings.Cut(op.Request.Prompt, "Solution:\n")
			step := strings.Count(so, "\n")
			drawn++
			switch {
			case step == 2:
				return script.Reply{Text: "Answer: 7\n"}
			case drawn%2 == 0:
				return script.Reply{Text: fmt.Sprintf("bad step %d\nmore", step)}
			}
			return script.Reply{Text: fmt.Sprintf("good step %d\nmore", step)}
		})
		p := learn.Prompt{Question: "What is 3 + 4?", Kind: text.Number, Answers: []string{"7"}}
		rows, report := makes(t, learn.ProcessSelfRewarding(6, 1, one(judge.Judge{})), m, p)
		if len(rows) != 2 || rows[0].Chosen != "good step 0" || rows[0].Rejected != "bad step 0" || rows[1].Chosen != "good step 1" || !strings.HasSuffix(rows[1].Prompt, "good step 0\n") {
			t.Errorf("%+v", rows)
		}
		if report.Shares["searched answers that are right"].Value != 1 {
			t.Errorf("report:\n%v", report)
		}
		// As preference data: prompt, chosen and rejected are strings, and only the one step differs.
		for _, r := range rows {
			b, err := json.Marshal(r)
			var line struct{ Prompt, Chosen, Rejected string }
			if err != nil || json.Unmarshal(b, &line) != nil || line.Prompt == "" || line.Chosen == "" || line.Rejected == "" {
				t.Errorf("%s, %v", b, err)
			}
		}
		drawn = 0
		if rows, report := makes(t, learn.ProcessSelfRewarding(6, 2, one(judge.Judge{})), m, p); len(rows) != 0 || report.Dropped["step: the gap in duels won is too small"] != 2 {
			t.Errorf("%d rows with gap 2, dropped %v", len(rows), report.Dropped)
		}
	})
}

// ranked writes a ranking in which the candidate with the word comes first.
func ranked(p, word string) string {
	i := strings.Index(p, "Candidate A:")
	if i < 0 {
		return "Verdict: 3"
	}
	a, b, _ := strings.Cut(p[i:], "Candidate B:")
	_ = b
	if strings.Contains(a, word) {
		return "Verdict: A > B"
	}
	return "Verdict: B > A"
}

func TestPaperUnjudged(t *testing.T) {
	t.Run("only-prompting-self-rewarding", func(t *testing.T) {
		m := script.New(func(op llm.Op, i int) script.Reply {
			if strings.Contains(script.Prompt(op.Request), "careful expert") {
				return script.Reply{Text: []string{"Paris.", "As a careful expert: Paris.", "Paris.", "Lyon."}[i%4]}
			}
			return script.Reply{Text: []string{"Some town.", "A town.", "I cannot help with that.", "Lyon."}[i%4]}
		})
		rows, report := makes(t, learn.OnlyPrompting(4), m, question("What is the capital of France?"))
		if len(rows) != 1 || rows[0].Chosen != "Paris." || rows[0].Rejected != "Some town." || rows[0].Prompt != "What is the capital of France?" || rows[0].Margin != nil {
			t.Errorf("%+v", rows)
		}
		for _, why := range []string{"pair: the prefix shows", "pair: refused", "pair: same text"} {
			if report.Dropped[why] != 1 {
				t.Errorf("%s: %d of %v", why, report.Dropped[why], report.Dropped)
			}
		}
		if report.SelfJudged || report.Judge != nil {
			t.Error("there was no judge")
		}
	})

	t.Run("self-motivated-learning", func(t *testing.T) {
		// The published model solutions to GSM8K, with the verdicts that came with them.
		f, err := os.Open(data(t, "gsm8k-model-solutions", "example_model_solutions.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		type solution struct {
			Correct bool   `json:"is_correct"`
			Text    string `json:"solution"`
		}
		questions, lists := 0, 0
		recipe := learn.SelfMotivated(4, false)
		for sc := bufio.NewScanner(f); sc.Scan() && questions < 300; questions++ {
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
			all := []solution{row.S1, row.S2, row.S3, row.S4}
			truth := text.Task{Kind: text.Number, Question: row.Question}.Extract(row.GroundTruth).Text
			m := script.New(func(_ llm.Op, i int) script.Reply { return script.Reply{Text: all[i].Text} })
			rows, _ := makes(t, recipe, m, learn.Prompt{Question: row.Question, Kind: text.Number, Answers: []string{truth}})
			label := map[string]bool{}
			for _, s := range all {
				label[strings.TrimSpace(s.Text)] = s.Correct
			}
			for _, r := range rows {
				switch r.Kind {
				case learn.Pair:
					if !label[r.Chosen] || label[r.Rejected] {
						t.Errorf("a pair against the labels: %+v", r)
					}
				case learn.Ranking:
					lists++
					for _, one := range r.Ranking {
						if label[one.Completion] != (one.Rank == 1) {
							t.Errorf("rank %d against the label: %s", one.Rank, one.Completion)
						}
					}
				}
			}
		}
		if questions != 300 || lists < 100 {
			t.Errorf("%d questions, %d rankings", questions, lists)
		}

		// A hint only where no chain is right, and it is marked.
		m := says([]string{"The answer is", "Three and four.\nAnswer: 7"}, []string{"3 + 4", "It is 8", "Surely 9"})
		rows, _ := makes(t, learn.SelfMotivated(2, true), m, learn.Prompt{Question: "What is 3 + 4?", Kind: text.Number, Answers: []string{"7"}})
		if got := of(rows, learn.Pair, ""); len(got) != 2 || got[0].Scores["hinted"] != 1 {
			t.Errorf("%+v", got)
		}
	})

	t.Run("rlsf-self-feedback", func(t *testing.T) {
		// Two traces: gaps (.9 − .05 and .8 − .1) make Δ = .775; the other begins with the less likely token.
		tok := func(s string, p float64, other string, q float64) llm.Token {
			return llm.Token{Text: s, LogProb: math.Log(p), Top: []llm.TopToken{{Text: s, LogProb: math.Log(p)}, {Text: other, LogProb: math.Log(q)}}}
		}
		m := script.New(func(op llm.Op, _ int) script.Reply {
			if op.Request.MaxTokens == 1 {
				return script.Reply{Tokens: []llm.Token{tok("Pa", .9, "Lo", .05)}}
			}
			if strings.HasSuffix(op.Request.Prompt, "Pa") {
				return script.Reply{Tokens: []llm.Token{tok("ris", .8, "lm", .1)}}
			}
			return script.Reply{Tokens: []llm.Token{tok("ndon", .8, "ire", .1)}}
		}, llm.LogProbs)
		rows, report := makes(t, learn.SelfFeedback(2, .1), m, question("What is the capital of France?", "Paris"))
		if len(rows) != 1 || rows[0].Chosen != "Paris" || rows[0].Rejected != "London" || math.Abs(*rows[0].Margin-.775) > 1e-9 {
			t.Fatalf("%+v\n%v", rows, report)
		}
		if report.Gold == nil || report.Gold.AUROC.Value != 1 {
			t.Errorf("report:\n%v", report)
		}
		if rows, _ := makes(t, learn.SelfFeedback(2, .8), m, question("What is the capital of France?")); len(rows) != 0 {
			t.Errorf("a margin below delta made %+v", rows)
		}
	})

	t.Run("sharpening-mechanism", func(t *testing.T) {
		m := script.New(func(_ llm.Op, i int) script.Reply {
			return []script.Reply{{Tokens: script.Words("Lyon", -2)}, {Tokens: script.Words("Paris", -.5)}, {Tokens: script.Words("Paris", -.5)}, {Tokens: script.Words("a long way off", -.2)}}[i%4]
		}, llm.LogProbs)
		rows, report := makes(t, learn.Sharpening(4), m, question("What is the capital of France?", "Paris"))
		// The sum decides, not the mean: −.5 beats 4 · −.2.
		if len(rows) != 1 || rows[0].Kind != learn.SFT || rows[0].Completion != "Paris" || rows[0].Scores["logprob"] != -.5 || !*rows[0].Right || report.Values["coverage of the winner"].Mean != .5 {
			t.Errorf("%+v\n%v", rows, report)
		}
	})

	t.Run("self-language-feedback", func(t *testing.T) {
		m := says([]string{"Earlier answer", "7"}, []string{"Proposed answer: \"8\"", "The sum is off."}, []string{"Proposed answer: \"7\"", "NO CHANGE"}, []string{"3 + 4", "8"})
		p := learn.Prompt{Question: "What is 3 + 4?", Kind: text.Number, Answers: []string{"7"}}
		rows, report := makes(t, learn.LanguageFeedback(3), m, p)
		final, critics := of(rows, learn.SFT, ""), of(rows, learn.SFT, "critic")
		if len(final) != 1 || final[0].Completion != "7" || !*final[0].Right || len(critics) != 2 || critics[0].Completion != "The sum is off." || critics[1].Completion != "NO CHANGE" {
			t.Errorf("%+v", rows)
		}
		if len(of(rows, learn.SFT, "reviser")) != 1 || report.Shares["first answers that are right"].Value != 0 || report.Shares["qualified answers that are right"].Value != 1 {
			t.Errorf("%+v\n%v", rows, report)
		}
		// A critique without a verdict never qualifies.
		m = says([]string{"Earlier answer", "7"}, []string{"Proposed answer", "Nice."}, []string{"3 + 4", "8"})
		if rows, report := makes(t, learn.LanguageFeedback(2), m, p); len(of(rows, learn.SFT, "")) != 0 || report.Dropped["prompt: not qualified"] != 1 {
			t.Errorf("%+v", rows)
		}
	})

	t.Run("reflect-retry-reward", func(t *testing.T) {
		m := says([]string{"An answer that was found to be wrong", "Carry the one.", "It is 7, of course.", "Hm."},
			[]string{"Carry the one.", "Answer: 7"}, []string{"An earlier attempt failed", "Answer: 9"}, []string{"3 + 4", "8"})
		// Reflections have trials, hence repeat indexes, of their own; the seed tells them apart.
		byTrial, n := map[uint64]int{}, 0
		inner := m
		m = script.New(func(op llm.Op, i int) script.Reply {
			if strings.Contains(script.Prompt(op.Request), "found to be wrong") {
				if _, ok := byTrial[op.Seed]; !ok {
					byTrial[op.Seed] = n
					n++
				}
				i = byTrial[op.Seed]
			}
			op.Indices = []int{i}
			res, err := inner.Do(t.Context(), op)
			if err != nil {
				return script.Reply{Err: err}
			}
			return script.Reply{Text: res.Choices[0].Text}
		})
		p := learn.Prompt{Question: "What is 3 + 4?", Kind: text.Number, Answers: []string{"7"}}
		rows, report := makes(t, learn.ReflectRetry(3), m, p)
		if len(rows) != 2 || report.Dropped["reflection that gives the answer away"] != 1 {
			t.Fatalf("%+v\n%v", rows, report)
		}
		for i, want := range []struct {
			words  string
			reward float64
		}{{"Carry the one.", 1}, {"Hm.", 0}} {
			r := rows[i]
			if got := r.Completion[r.Spans[0].Start:r.Spans[0].End]; got != want.words || *r.Reward != want.reward || len(r.Spans) != 1 || r.Spans[0].What != "reflection" || !strings.HasPrefix(r.Completion, "8\n") {
				t.Errorf("the mask covers %q, reward %v, of %q", got, *r.Reward, r.Completion)
			}
		}
		if report.Shares["success at the first try"].Value != 0 || report.Shares["success by the second try"].Value != 1 {
			t.Errorf("report:\n%v", report)
		}
		if rows, report := makes(t, learn.ReflectRetry(3), says([]string{"3 + 4", "7"}), p); len(rows) != 0 || report.Dropped["prompt: right at once"] != 1 {
			t.Errorf("success at once made %+v", rows)
		}
	})

	t.Run("thinktuning", func(t *testing.T) {
		m := says([]string{"A teacher's remark", "Answer: 7"}, []string{"You are the teacher", "Look at the sum."}, []string{"3 + 4", "It is 8", "It is 7", "It is 9"})
		rows, report := makes(t, learn.ThinkTuning(3, 1./3), m, learn.Prompt{Question: "What is 3 + 4?", Kind: text.Number, Answers: []string{"7"}})
		if len(rows) != 3 || len(rows[0].Spans) != 1 || len(rows[1].Spans) != 0 {
			t.Fatalf("%+v", rows)
		}
		s := rows[0].Spans[0]
		if got := rows[0].Completion[s.Start:s.End]; got != "Look at the sum." || s.What != "teacher" || *rows[0].Reward != 1 || *rows[1].Reward != 1 || *rows[2].Reward != 0 {
			t.Errorf("the teacher's span is %q of %+v", got, rows)
		}
		if report.Shares["guided rollouts that are right"].N != 1 || report.Shares["free rollouts that are right"].N != 2 {
			t.Errorf("report:\n%v", report)
		}
		// The teacher does not know the answer, and no more than the share is guided.
		for _, op := range m.Ops() {
			if p := script.Prompt(op.Request); strings.Contains(p, "You are the teacher") && strings.Contains(p, "7") {
				t.Errorf("the teacher is told: %q", p)
			}
		}
	})

	t.Run("self-rewarding-self-improving", func(t *testing.T) {
		puzzle := countdown.Puzzle{Numbers: []int{25, 3, 1, 7}, Target: 100}
		p := learn.Prompt{Question: puzzle.String(), Countdown: &puzzle}
		solve := []string{"the numbers 3, 5, 7", "Answer: 3 * 5 + 7", "Answer: 3 + 5 + 7", "Answer: 7 * 3 + 5 / 5", "I give up."}
		variant := []string{"Write a new puzzle", "Numbers: 3, 5, 7. Target: 22"}
		honest := script.New(func(op llm.Op, i int) script.Reply {
			s := script.Prompt(op.Request)
			switch {
			case strings.Contains(s, variant[0]):
				return script.Reply{Text: variant[1]}
			case op.Role == "judge" && strings.Contains(s, "3 * 5 + 7"):
				return script.Reply{Text: "Verdict: yes"}
			case op.Role == "judge":
				return script.Reply{Text: "Verdict: no"}
			}
			return script.Reply{Text: solve[1+i%4]}
		})
		rows, report := makes(t, learn.SelfImproving(4, true, one(judge.Judge{})), honest, p)
		if len(rows) != 4 || *rows[0].Reward != 1 || !*rows[0].Right || *rows[1].Reward != 0 || !strings.Contains(rows[0].Prompt, "3, 5, 7") {
			t.Fatalf("%+v\n%v", rows, report)
		}
		if report.Shares["judge agrees with the checker"].Value != 1 || report.Shares["wrong solutions accepted"].Value != 0 || report.Gold.AUROC.Value != 1 {
			t.Errorf("report:\n%v", report)
		}
		// A judge that says yes to everything is no reward: the guard withholds the rows.
		credulous := says(variant, []string{"role:judge", "Verdict: yes"}, solve)
		rows, report = makes(t, learn.SelfImproving(4, true, one(judge.Judge{})), credulous, p)
		if len(rows) != 0 || report.Dropped["row: withheld by the guard"] != 4 || len(report.Notes) != 1 || report.Shares["wrong solutions accepted"].Value != 1 {
			t.Errorf("%d rows\n%v", len(rows), report)
		}
		// A puzzle without a solution is counted and not used.
		rows, report = makes(t, learn.SelfImproving(4, true, one(judge.Judge{})), says([]string{"Write a new puzzle", "Numbers: 1, 1. Target: 50"}), p)
		if len(rows) != 0 || report.Dropped["new puzzle: has no solution"] != 1 {
			t.Errorf("%v", report.Dropped)
		}
	})

	t.Run("b-star", func(t *testing.T) {
		for _, c := range []struct {
			right, n int
			want     float64
		}{{4, 4, .5}, {8, 8, 1}, {8, 16, .5}, {2, 2, .25}, {4, 5, .4}, {10, 10, 1}, {0, 3, 0}, {0, 0, 0}} {
			if got := learn.Balance(c.right, c.n, 8); math.Abs(got-c.want) > 1e-12 {
				t.Errorf("%d of %d: %v, want %v", c.right, c.n, got, c.want)
			}
		}
		// At .5 one right text over and over; at 1 three right ones and a wrong one, which a threshold leaves out.
		m := script.New(func(op llm.Op, i int) script.Reply {
			if *op.Request.Temperature < .7 {
				return script.Reply{Text: "It is 7"}
			}
			return script.Reply{Text: []string{"It is 7", "So 7", "That makes 7", "That makes 8"}[i%4]}
		})
		p := learn.Prompt{Question: "What is 3 + 4?", Kind: text.Number, Answers: []string{"7"}}
		rows, report := makes(t, learn.BStar(4, []float64{.5, 1}, 4), m, p, p)
		if v := report.Values; v["temperature chosen"].Mean != 1 || v["threshold chosen"].Mean != 1 || v["balance score"].Mean != .75 {
			t.Errorf("report:\n%v", report)
		}
		if len(rows) != 6 || slices.ContainsFunc(rows, func(r learn.Row) bool { return !*r.Right }) {
			t.Errorf("%+v", rows)
		}
		// A question that keeps nothing counts 0: the mean is over all.
		yes := true
		s, ok := learn.SearchBalance([]learn.Row{{ID: "1", Right: &yes, Scores: map[string]float64{"temperature": 1, "reward": 1}}}, 4, 1)
		if !ok || s.Score != .25 {
			t.Errorf("%+v", s)
		}
	})

	t.Run("knowrl", func(t *testing.T) {
		feasible := true
		if learn.Consensus(6, 8, nil) != .75 || learn.Consensus(2, 8, nil) != .75 || learn.Consensus(6, 8, &feasible) != .75 {
			t.Error("votes of 6 to 2 earn .75")
		}
		// Eight votes in two orders, six of them feasible.
		m := script.New(func(op llm.Op, i int) script.Reply {
			p := script.Prompt(op.Request)
			switch {
			case strings.Contains(p, "Write another"):
				return script.Reply{Text: "Translate a sentence into French."}
			case strings.Contains(p, "Feasible or Infeasible"):
				return script.Reply{Text: "Feasible"}
			}
			return script.Reply{Text: []string{"Feasible.", "Infeasible", "Not feasible", "feasible"}[i%4]}
		})
		p := learn.Prompt{Question: "Sum up a text.", Feasible: &feasible}
		rows, report := makes(t, learn.KnowRL(8), m, p)
		tasks, votes := of(rows, learn.Reward, ""), of(rows, learn.Reward, "classifier")
		if len(tasks) != 1 || *tasks[0].Reward != .75 || tasks[0].Completion != "Translate a sentence into French." || len(votes) != 8 {
			t.Fatalf("%+v\n%v", rows, report)
		}
		agree := 0.0
		for _, v := range votes {
			agree += *v.Reward
		}
		if agree != 6 {
			t.Errorf("%v votes earn something, want the 6 of the majority", agree)
		}
		// The same task again is left out; all votes alike are an alarm.
		sure := says([]string{"Write another", "Translate a sentence into French."}, []string{"role:judge", "Feasible"})
		rows, report = makes(t, learn.KnowRL(2), sure, p, p)
		if len(of(rows, learn.Reward, "")) != 1 || report.Dropped["row: task nearly the same as another"] != 3 || len(report.Notes) != 1 {
			t.Errorf("%d rows, dropped %v, notes %v", len(rows), report.Dropped, report.Notes)
		}
	})

	t.Run("rlfh-fine-grained-knowledge", func(t *testing.T) {
		const answer = "Paris is the capital of France. It lies on the Thames."
		m := script.New(func(op llm.Op, i int) script.Reply {
			switch op.Role {
			case "split":
				if strings.Contains(script.Prompt(op.Request), "Sentence: \"It lies") {
					return script.Reply{Text: "- It lies on the Thames."}
				}
				return script.Reply{Text: "- Paris is the capital of France."}
			case "judge":
				return script.Reply{Text: "1: correct, 5\n2: wrong, 3"}
			}
			return script.Reply{Tokens: script.Words(answer, -.1)}
		}, llm.LogProbs)
		rows, report := makes(t, learn.FineGrained(1), m, question("Tell me about Paris."))
		if len(rows) != 1 || len(rows[0].Spans) != 2 {
			t.Fatalf("%+v\n%v", rows, report)
		}
		// Truth +1 and informativeness +.25 on the last token of the first fact; −1 on that of the second.
		first, second := rows[0].Spans[0], rows[0].Spans[1]
		word := func(s learn.Span) string { return strings.TrimSpace(rows[0].Completion[s.Start:s.End]) }
		if word(first) != "France." || *first.Reward != 1.25 || word(second) != "Thames." || *second.Reward != -1 || first.End > second.Start {
			t.Errorf("%q %v, %q %v", word(first), *first.Reward, word(second), *second.Reward)
		}
		if math.Abs(*rows[0].Reward-math.Log(2)/4) > 1e-12 || report.Shares["facts that are true"].Value != .5 {
			t.Errorf("bonus %v\n%v", *rows[0].Reward, report)
		}
	})
}
