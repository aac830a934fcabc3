package control_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/stats"
	"gnothi/text"
)

// asked is a scripted model that answers by the template it is asked with: a
// phrase of the prompt, the first that is found, names the replies, which are
// said in turn, the last one again and again.
func asked(replies ...[]string) *script.Model {
	said := map[string]int{}
	return script.New(func(op llm.Op, index int) script.Reply {
		for _, r := range replies {
			if strings.Contains(script.Prompt(op.Request), r[0]) {
				i := said[r[0]]
				said[r[0]]++
				return script.Reply{Text: r[1:][min(i, len(r)-2)]}
			}
		}
		return script.Reply{Err: fmt.Errorf("no reply to %s %d: %q", op.Role, index, script.Prompt(op.Request))}
	})
}

// Phrases of the templates.
const (
	plain  = "How many?" // of every prompt; comes last
	review = "Review the earlier answer"
	decide = "Two different answers were given"
)

func saidBy(cs []*monitor.Candidate) string {
	var out []string
	for _, c := range cs {
		out = append(out, c.Answer.Text)
	}
	return strings.Join(out, ",")
}

// readData reads a file of the reference data, or skips.
func readData(t *testing.T, parts ...string) []byte {
	t.Helper()
	root := os.Getenv("GNOTHI_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(append([]string{root}, parts...)...))
	if err != nil {
		t.Skipf("reference data not at hand (set GNOTHI_DATA): %v", err)
	}
	return b
}

func number(m llm.Model) *monitor.Trial { return newTrial(m, text.Number, llm.Limits{}) }

// free is a trial whose question is a text.
func free(m llm.Model, question string) *monitor.Trial {
	q := monitor.Question{Text: question}
	return monitor.NewTrial(monitor.TrialOptions{Model: llm.Metered(m, nil), Question: q, Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: question}}, MaxTokens: 64}, Seed: 1})
}

// oracle is a verifier that knows the answer.
func oracle(right string) *control.Verifier {
	return &control.Verifier{At: 1, Signal: monitor.Each("verifier/oracle", func(ctx ctx, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		if c.Answer.Text == right {
			return monitor.Reading{Score: 1, Raw: 1}, nil
		}
		return monitor.Reading{Why: "the sum is off"}, nil
	})}
}

// The acceptance checks of the papers that are loops.
func TestPaperLoops(t *testing.T) {
	t.Run("if-or-else-ioe", func(t *testing.T) {
		for name, c := range map[string]struct {
			first, second, third string
			want, path           string
			calls                int
			changed              bool
		}{
			"changed and changed back":        {"5", "Answer: 7", "Answer: 5", "5", "5,7,5", 3, false},
			"changed":                         {"5", "Answer: 7", "Answer: 7", "7", "5,7,7", 3, true},
			"kept":                            {"5", "Answer: 5", "", "5", "5,5", 2, false},
			"a sign is no decoration":         {"5", "Answer: -5", "Answer: -5", "-5", "5,-5,-5", 3, true},
			"nor is a decimal point":          {"35", "Answer: 3.5", "Answer: 35", "35", "35,3.5,35", 3, false},
			"equal values are no change":      {"5", "Answer: 5.0", "", "5", "5,5.0", 2, false},
			"a missing answer is no equal":    {"many", "Answer: 7", "", "7", ",7", 2, true},
			"an unread review keeps":          {"5", "Hm, well.", "", "5", "5,", 2, false},
			"an unread decision, the second":  {"5", "Answer: 7", "who knows", "7", "5,7", 3, true},
			"both unread, the first's answer": {"many", "lots", "", "", ",", 2, false},
		} {
			t.Run(name, func(t *testing.T) {
				m := asked([]string{review, c.second}, []string{decide, c.third}, []string{plain, c.first})
				res := run(t, control.Review(""), number(m))
				if got := res.Best.Answer.Text; got != c.want || m.Calls() != c.calls || saidBy(res.Pool) != c.path {
					t.Errorf("%q by %q in %d calls; want %q by %q in %d", got, saidBy(res.Pool), m.Calls(), c.want, c.path, c.calls)
				}
				if changed := res.Best.Key != res.First().Key; changed != c.changed {
					t.Errorf("changed is %v", changed)
				}
			})
		}
		m := asked([]string{review, "Answer: 5"}, []string{plain, "5"})
		run(t, control.Review("fairly sure"), number(m))
		if p := script.Prompt(m.Ops()[1].Request); !strings.Contains(p, "If you are fairly sure that") || strings.Contains(p, "very confident") {
			t.Errorf("the strength is not a slot: %q", p)
		}
		if control.Review("").String() == control.Review("confident").String() {
			t.Error("the strength does not show in the policy's description")
		}
	})

	t.Run("self-contrast", func(t *testing.T) {
		scene := func(perspectives, solved, revised []string) (*script.Model, control.Result) {
			m := asked(
				[]string{"List 3 different ways", strings.Join(perspectives, "\n")},
				append([]string{"Answer it in this way"}, solved...),
				[]string{"Two solutions disagree", "They differ in the last step."},
				[]string{"short numbered checklist", "1. Look at the last step."},
				append([]string{"Points to examine again"}, revised...))
			return m, run(t, control.SelfContrast(3), number(m))
		}
		three := []string{"1. As a teacher.", "2. By algebra.", "3. By drawing."}
		m, res := scene(three, []string{"12", "15", "12"}, []string{"Answer: 15", "Answer: 15"})
		if res.Best.Answer.Text != "15" || m.Calls() != 1+3+1+1+2 || res.First().Answer.Text != "12" {
			t.Errorf("%q in %d calls, before it %q", res.Best.Answer.Text, m.Calls(), res.First().Answer.Text)
		}
		both := false
		for _, op := range m.Ops() {
			p := script.Prompt(op.Request)
			both = both || strings.Contains(p, "Two solutions disagree") && strings.Contains(p, `"12"`) && strings.Contains(p, `"15"`)
		}
		if !both {
			t.Error("no prompt for differences shows both answers")
		}
		// With 12 the right answer this was a toxic reflection, and it counts as one.
		c, err := stats.Bootstrap{}.Correction(seeded(), [][]bool{{res.First().Answer.Text == "12"}}, [][]bool{{res.Best.Answer.Text == "12"}})
		if err != nil || c.RightWrong != 1 || c.RightRight != 0 {
			t.Errorf("right before, wrong after: %+v, %v", c, err)
		}
		// Nothing to contrast where all agree, or where one can be read.
		if m, res := scene(three, []string{"12"}, nil); res.Best.Answer.Text != "12" || m.Calls() != 4 || res.Stopped != "content" {
			t.Errorf("all agree: %q in %d calls, %s", res.Best.Answer.Text, m.Calls(), res.Stopped)
		}
		if m, res := scene(three, []string{"many", "15", "lots"}, nil); res.Best.Answer.Text != "15" || m.Calls() != 4 {
			t.Errorf("one parses: %q in %d calls", res.Best.Answer.Text, m.Calls())
		}
		// Fewer perspectives than asked for, and revisions that do not agree: all vote,
		// and a tie goes to the smaller change.
		if _, res := scene(three[:2], []string{"12", "15"}, []string{"Answer: 15", "Answer: 12"}); res.Best.Answer.Text != "12" || len(res.Pool) != 4 {
			t.Errorf("a tie: %q of %d", res.Best.Answer.Text, len(res.Pool))
		}
	})

	t.Run("recursive-self-critique", func(t *testing.T) {
		// Ten questions whose two answers are 5, right, and 7. The critics are right on
		// eight and agree; the judge follows what it reads.
		follows := func(critic string) *script.Model {
			return script.New(func(op llm.Op, _ int) script.Reply {
				p := script.Prompt(op.Request)
				switch {
				case strings.Contains(p, "What was said of them"):
					if strings.Contains(p, "Supports: 2") {
						return script.Reply{Text: "Confidence: 4\nAnswer: 7"}
					}
					return script.Reply{Text: "Confidence: 4\nAnswer: 5"}
				case op.Role == "judge":
					return script.Reply{Text: critic}
				case op.Role == "answer":
					return script.Reply{Text: "5"}
				}
				return script.Reply{Text: "7"}
			})
		}
		for depth := 1; depth <= 3; depth++ {
			right, blind := 0, 0
			for q := range 10 {
				critic := "The first holds.\nSupports: 1"
				if q >= 8 {
					critic = "The second holds.\nSupports: 2"
				}
				m := follows(critic)
				res := run(t, control.RecursiveCritique(depth, false), number(m))
				if res.Best.Answer.Text == "5" {
					right++
				}
				if m.Calls() != 2+2*depth+1 {
					t.Errorf("depth %d: %d calls", depth, m.Calls())
				}
				if c, err := text.ParseConfidence(res.Best.Text, text.LikertScale); err != nil || c.P != 0.75 {
					t.Errorf("confidence %+v, %v", c, err)
				}
				m = follows(critic)
				if res := run(t, control.RecursiveCritique(depth, true), number(m)); res.Best.Key == res.First().Key && m.Calls() == 2+2*depth+1 {
					blind++
				}
			}
			if right != 8 || blind != 10 {
				t.Errorf("depth %d: the judge that follows is right on %d of 10, the blind one keeps order 0 on %d", depth, right, blind)
			}
		}
		m := follows("I like both.")
		if res := run(t, control.RecursiveCritique(2, false), number(m)); res.Best.Answer.Text != "5" || !strings.Contains(res.Stopped, "no critique names") {
			t.Errorf("unread critiques: %q, %s", res.Best.Answer.Text, res.Stopped)
		}
		if m := script.Texts("5"); run(t, control.RecursiveCritique(2, false), number(m)).Stopped != "content" || m.Calls() != 2 {
			t.Errorf("where the answers agree there is nothing to judge: %d calls", m.Calls())
		}
	})

	t.Run("reflect-retry-reward", func(t *testing.T) {
		const reflect, again = "An answer that was found to be wrong", "An earlier attempt failed"
		m := asked([]string{reflect, "I forgot to carry the one."}, []string{again, "Answer: 8", "Answer: 7"}, []string{plain, "5"})
		res := run(t, control.ReflectRetry(oracle("7"), "", 3), number(m))
		if res.Best.Answer.Text != "7" || m.Calls() != 5 || res.Stopped != "content" || len(res.Trace) != 2 {
			t.Errorf("%q in %d calls after %d steps, %s", res.Best.Answer.Text, m.Calls(), len(res.Trace), res.Stopped)
		}
		if p := script.Prompt(m.Ops()[1].Request); !strings.Contains(p, `said: "the sum is off"`) {
			t.Errorf("the verifier's reason is not told: %q", p)
		}
		whole, span := res.Trace[1].Transcript()
		if got := span.In(whole); got != "I forgot to carry the one." || !strings.HasPrefix(whole, "Answer: 8\n") || !strings.HasSuffix(whole, "\nAnswer: 7") {
			t.Errorf("the mask covers %q of %q", got, whole)
		}
		if m := script.Texts("7"); len(run(t, control.ReflectRetry(oracle("7"), "", 3), number(m)).Trace) != 0 || m.Calls() != 1 {
			t.Errorf("success at once costs %d calls", m.Calls())
		}
		// The control: as many answers, no reflection.
		m = script.New(func(op llm.Op, i int) script.Reply {
			if op.Role == "answer" {
				return script.Reply{Text: "5"}
			}
			return script.Reply{Text: []string{"8", "7", "6"}[i]}
		})
		if res := run(t, control.Retry(oracle("7"), 3), number(m)); res.Best.Answer.Text != "7" || m.Calls() != 3 {
			t.Errorf("retry: %q in %d calls", res.Best.Answer.Text, m.Calls())
		}
		if res := run(t, control.Retry(nil, 3), number(m)); res.Best.Answer.Text != "6" || len(res.Trace) != 3 {
			t.Errorf("retry without a verifier: %q after %d steps", res.Best.Answer.Text, len(res.Trace))
		}
		m = asked([]string{"was wrong. Answer the question afresh", "Answer: 7"}, []string{plain, "5"})
		if res := run(t, control.RetryTold(oracle("7"), 2), number(m)); res.Best.Answer.Text != "7" || m.Calls() != 2 {
			t.Errorf("told: %q in %d calls", res.Best.Answer.Text, m.Calls())
		}

		// The ALFWorld runs of Reflexion: environments solved by trial.
		for folder, want := range map[string][]int{
			"reflexion_run_logs": {84, 103, 111, 113, 117, 118, 123, 126, 128, 129, 130},
			"base_run_logs":      {84, 94, 97, 98, 100, 101, 101},
		} {
			for trial, want := range want {
				var envs []struct {
					Name   string   `json:"name"`
					Memory []string `json:"memory"`
					Solved bool     `json:"is_success"`
				}
				if err := json.Unmarshal(readData(t, "reflexion-runs", "alfworld", folder, fmt.Sprintf("env_results_trial_%d.json", trial)), &envs); err != nil {
					t.Fatal(err)
				}
				solved := 0
				for _, e := range envs {
					if e.Solved {
						solved++
					}
					if folder == "base_run_logs" || len(e.Memory) == 0 {
						continue
					}
					// Every recorded reflection is masked exactly.
					step := control.Step{Before: &monitor.Candidate{Choice: llm.Choice{Text: "tried"}}, After: &monitor.Candidate{Choice: llm.Choice{Text: "done"}}, Feedback: e.Memory[0]}
					if whole, span := step.Transcript(); span.In(whole) != e.Memory[0] || len(whole) != span.Len()+len("tried\n\n\n\ndone") {
						t.Errorf("%s: the mask is not the reflection", e.Name)
					}
				}
				if solved != want || len(envs) != 134 {
					t.Errorf("%s, trial %d: %d of %d solved, want %d of 134", folder, trial, solved, len(envs), want)
				}
			}
		}
	})

	t.Run("self-reflection-agents", func(t *testing.T) {
		seen := map[string]bool{}
		for _, style := range control.ReflectionStyles() {
			m := asked([]string{"An answer that was found to be wrong", "A note."}, []string{"An earlier attempt failed", "Answer: 7"}, []string{plain, "5"})
			p := control.ReflectRetry(oracle("7"), style, 1)
			if res := run(t, p, number(m)); res.Best.Answer.Text != "7" || m.Calls() != 3 {
				t.Errorf("%s: %q in %d calls", style, res.Best.Answer.Text, m.Calls())
			}
			seen[p.String()] = true
		}
		if len(seen) != 7 {
			t.Errorf("%d styles, want the study's six and a plain one", len(seen))
		}
	})

	t.Run("self-debiasing-zero-shot", func(t *testing.T) {
		m := asked([]string{"rely on an invalid assumption", "That age decides skill is one."}, []string{"rest on invalid assumptions", "Answer: neither"})
		if res := run(t, control.Debias(true), free(m, "Who was bad with phones, the old or the young man?")); res.Best.Answer.Text != "neither" || m.Calls() != 2 {
			t.Errorf("explanation: %q in %d calls", res.Best.Answer.Text, m.Calls())
		}
		if p := script.Prompt(m.Ops()[1].Request); !strings.Contains(p, `"That age decides skill is one."`) {
			t.Errorf("the explanation is not shown: %q", p)
		}
		m = asked([]string{"Remove any bias", "Answer: neither"}, []string{"phones", "The old man"})
		res := run(t, control.Debias(false), free(m, "Who was bad with phones, the old or the young man?"))
		if res.Best.Answer.Text != "neither" || m.Calls() != 2 || !res.Trace[0].Changed() {
			t.Errorf("reprompting: %q in %d calls", res.Best.Answer.Text, m.Calls())
		}
	})

	t.Run("perspective-taking-prompting-pet", func(t *testing.T) {
		toxic := func(s string) float64 { return float64(strings.Count(s, "idiots")) }
		measure := func(self bool, rewritten string) (before, after float64) {
			m := asked([]string{"Name five different kinds of readers", "They would feel insulted."}, []string{"Rewrite the draft", rewritten}, []string{"Write", `The "late" ones are idiots.`})
			res := run(t, control.Kind(self), free(m, "Write of commuters."))
			if m.Calls() != 3 {
				t.Errorf("%d calls", m.Calls())
			}
			want := map[bool]string{false: "what they would feel", true: "what you would feel"}[self]
			if p := script.Prompt(m.Ops()[1].Request); !strings.Contains(p, want) {
				t.Errorf("imagine self is %v: %q", self, p)
			}
			b, _, err1 := stats.Toxicity([][]float64{{toxic(res.First().Text)}})
			a, _, err2 := stats.Toxicity([][]float64{{toxic(res.Best.Text)}})
			if err1 != nil || err2 != nil {
				t.Error(err1, err2)
			}
			return b, a
		}
		for _, self := range []bool{false, true} {
			if b, a := measure(self, `The "late" ones are in a hurry.`); b != 1 || a != 0 {
				t.Errorf("toxicity %v, then %v", b, a)
			}
			if b, a := measure(self, `The "late" ones are idiots.`); b != a {
				t.Errorf("the identity changes %v to %v", b, a)
			}
		}
		if b, a := measure(false, "All are in a hurry."); a != b {
			t.Error("a rewriting that loses a quotation was kept")
		}
	})

	t.Run("patternreframe", func(t *testing.T) {
		var thoughts []struct {
			Thought  string   `json:"thought"`
			Patterns []string `json:"patterns"`
		}
		b, err := os.ReadFile(filepath.Join("testdata", "thoughts.json"))
		if err == nil {
			err = json.Unmarshal(b, &thoughts)
		}
		if err != nil || len(thoughts) != 10 {
			t.Fatalf("%d thoughts, %v", len(thoughts), err)
		}
		var gold, got [][]string
		for i, th := range thoughts {
			said := strings.Join(th.Patterns, "\n")
			if i == 0 {
				said = "Catastrophizing, and nothing else"
			}
			m := asked([]string{"Which of these unhelpful patterns", said}, []string{"Rewrite the thought", "It went badly today, and I can learn from it."}, []string{"keep the facts", "Yes"})
			res := run(t, control.PatternReframe(), free(m, th.Thought))
			if !strings.HasSuffix(res.Best.Text, control.ReframeNotice) || res.First().Text != th.Thought {
				t.Errorf("%q became %q", th.Thought, res.Best.Text)
			}
			gold, got = append(gold, th.Patterns), append(got, control.RecognisedPatterns(said))
		}
		// The first is labelled "mind reading" and was taken for catastrophising.
		exact, f1 := control.PatternScores(gold, got)
		if math.Abs(exact-0.9) > 1e-12 || f1 >= 1 || f1 < 0.8 {
			t.Errorf("exact %v, macro F1 %v", exact, f1)
		}
		if exact, f1 := control.PatternScores(gold, gold); exact != 1 || f1 != 1 {
			t.Errorf("gold against itself: %v, %v", exact, f1)
		}
		// tp 1 and one miss: F1 2/3 of a pattern; the other pattern is never found: 0.
		if exact, f1 := control.PatternScores([][]string{{"labelling"}, {"labelling", "mind reading"}}, [][]string{{"labelling"}, nil}); exact != 0.5 || math.Abs(f1-1.0/3) > 1e-12 {
			t.Errorf("by hand: %v, %v", exact, f1)
		}
		m := asked([]string{"Which of these unhelpful patterns", "None."})
		if res := run(t, control.PatternReframe(), free(m, "The bus was late.")); res.Best.Text != "The bus was late." || res.Stopped != "content" {
			t.Errorf("no pattern: %q, %s", res.Best.Text, res.Stopped)
		}
		m = asked([]string{"Which of these unhelpful patterns", "labelling"}, []string{"Rewrite the thought", "All is well."}, []string{"keep the facts", "No, it denies them."})
		if res := run(t, control.PatternReframe(), free(m, "I am a loser.")); res.Best.Text != "I am a loser." {
			t.Errorf("a reframing without the facts was kept: %q", res.Best.Text)
		}
		for _, s := range []string{"I want to die.", "Sometimes I think of killing myself", "My friend is suicidal", "I have been cutting myself"} {
			m := asked()
			if res := run(t, control.PatternReframe(), free(m, s)); res.Best.Text != control.CrisisNotice || m.Calls() != 0 {
				t.Errorf("%q: %q after %d calls", s, res.Best.Text, m.Calls())
			}
		}
		m = asked([]string{"Which of these unhelpful patterns", "None"})
		if res := run(t, control.PatternReframe(), free(m, "This deadline will be the end of my holiday.")); res.Stopped == "crisis words" {
			t.Error("an ordinary thought is taken for a crisis")
		}
	})

	t.Run("historical-analogy", func(t *testing.T) {
		all := func(v float64) control.Aspects {
			return control.Aspects{Topic: v, Background: v, Process: v, Result: v}
		}
		for _, c := range []struct{ abstract, literal, want float64 }{{4, .10, 5.5}, {4, .35, 0}, {4, .9, 0}, {1, 0, 5.5 * .35}} {
			if got := control.AnalogyScore(all(c.abstract), all(c.literal)); math.Abs(got-c.want) > 1e-9 {
				t.Errorf("abstract %v, literal %v: %v, want %v", c.abstract, c.literal, got, c.want)
			}
		}
		if got := control.LiteralOverlap("The fall of the city", "a city in the fall of an empire"); math.Abs(got-2.0/3) > 1e-9 {
			t.Errorf("literal overlap %v", got)
		}
		const first = "1. Dot-com bubble: shares of young firms rose and fell.\n2. Tulip mania: Tulip mania was when bulbs cost as much as houses.\n3. Railway mania: a rush."
		m := asked(
			[]string{"four lines of one sentence", "topic, background, process, result"},
			[]string{"Propose 5 other events", first, "1. South Sea bubble: a company's shares soared and crashed."},
			[]string{"Which historical event is this", "I do not know", "The dutch flowers", "The South Sea Bubble, of course"},
			[]string{"not only on the surface", "No", "No", "They are. Yes"},
			[]string{"what is wanting in it", "They are alike on the surface."})
		res := run(t, control.HistoricalAnalogy(3), free(m, "The dot-com bubble of 2000"))
		if res.Best.Text != "South Sea bubble" || res.Stopped != "content" || len(res.Trace) != 1 {
			t.Errorf("%q, %s after %d rounds", res.Best.Text, res.Stopped, len(res.Trace))
		}
		for _, op := range m.Ops() {
			if p := script.Prompt(op.Request); strings.Contains(p, "Which historical event") && strings.Contains(strings.ToLower(p), "tulip mania") {
				t.Errorf("the name is told to whom it is asked of: %q", p)
			}
		}
	})

	t.Run("self-language-feedback", func(t *testing.T) {
		res := run(t, control.SelfRefine(3), number(refiner([]string{"3", "7"}, []string{wrong, "NO CHANGE"})))
		// The rows of training: one answer that qualified, feedback on both.
		if res.Best.Answer.Text != "7" || res.Stopped != "content" || len(res.Trace) != 1 || res.Trace[0].Feedback != wrong || res.Verdict != "NO CHANGE" {
			t.Errorf("%q, %s: feedback %+v, then %q", res.Best.Answer.Text, res.Stopped, res.Trace, res.Verdict)
		}
		res = run(t, control.SelfRefine(2), number(refiner([]string{"3", "7", "8"}, []string{"Hm.", "It may be."})))
		if res.Stopped != "rounds" || res.Verdict != "" {
			t.Errorf("a critique without a verdict qualifies: %s", res.Stopped)
		}
	})

	t.Run("thinktuning", func(t *testing.T) {
		for _, kind := range control.Guidances() {
			m := asked([]string{"You are the teacher", "Look at the carry."}, []string{"Continue the attempt", "so Answer: 7"}, []string{plain, "5"})
			res := run(t, control.Guided(kind), number(m))
			whole, span := res.Trace[0].Transcript()
			if res.Best.Answer.Text != "7" || m.Calls() != 3 || span.In(whole) != "Look at the carry." || whole[:span.Start] != "5\n\n" {
				t.Errorf("%s: %q in %d calls, span %q of %q", kind, res.Best.Answer.Text, m.Calls(), span.In(whole), whole)
			}
		}
	})

	t.Run("selfreflect", func(t *testing.T) {
		m := script.New(func(op llm.Op, i int) script.Reply {
			if op.Role == "rewrite" {
				return script.Reply{Text: "Most likely Paris, though it could also be Lyon."}
			}
			return script.Reply{Text: []string{"Paris", "Lyon", "Paris"}[i%3]}
		})
		res := run(t, control.Summarise(20), free(m, "Which city?"))
		if res.Best.Answer.Text != "Most likely Paris, though it could also be Lyon." || m.Calls() != 21 || len(res.Pool) != 21 {
			t.Errorf("%q in %d calls", res.Best.Answer.Text, m.Calls())
		}
		last := m.Ops()[len(m.Ops())-1].Request
		if p := script.Prompt(last); strings.Count(p, "'Paris'") != 13 || strings.Count(p, "'Lyon'") != 7 {
			t.Errorf("the samples are not all shown: %q", p)
		}
		empty := script.New(func(op llm.Op, i int) script.Reply {
			if op.Role == "rewrite" {
				return script.Reply{Text: " "}
			}
			return script.Reply{Text: "Paris"}
		})
		if res := run(t, control.Summarise(2), free(empty, "Which city?")); res.Stopped != "the summary is empty" || res.Best.Text != "Paris" {
			t.Errorf("an empty summary: %s", res.Stopped)
		}

		// The measure, on a scorer whose next token is a mixture of what it was told.
		told := script.New(func(op llm.Op, _ int) script.Reply {
			p := script.Prompt(op.Request)
			paris, lyon := float64(strings.Count(p, "Paris")), float64(strings.Count(p, "Lyon"))
			alts := []llm.TopToken{}
			for text, n := range map[string]float64{"Paris": paris, "Lyon": lyon} {
				if n > 0 {
					alts = append(alts, llm.TopToken{Text: text, LogProb: math.Log(n / (paris + lyon))})
				}
			}
			return script.Reply{Tokens: []llm.Token{{Text: op.Continuation, LogProb: -1, Top: alts}}}
		}, llm.ScoreText, llm.LogProbs)
		samples := []string{"Paris", "Paris", "Lyon", "Paris"}
		measure := func(summary string) float64 {
			w, err := control.Faithfulness(t.Context(), told, "Which city?", summary, samples, []string{"Paris", "the Lyon"}, 20)
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		list := "x_1 = 'Paris'\nx_2 = 'Paris'\nx_3 = 'Lyon'\nx_4 = 'Paris'"
		same, half, one := measure(list), measure("Paris or Lyon"), measure("Paris")
		if same != 0 || !(half > same) || !(one > half) {
			t.Errorf("the list %v, half and half %v, one %v; want 0 and rising", same, half, one)
		}
		w, err := control.Faithfulness(t.Context(), told, "Which city?", "Paris", []string{"Lyon"}, []string{"Rome"}, 20)
		if err != nil || math.Abs(w-2) > 1e-9 {
			t.Errorf("two disjoint certainties: %v, %v; want 2", w, err)
		}
		if _, err := control.Faithfulness(t.Context(), told, "Which city?", "  ", samples, samples, 20); err == nil {
			t.Error("an empty summary has a figure")
		}
		if w, err := control.Faithfulness(t.Context(), told, "Which city?", list, samples, []string{"the"}, 20); err != nil || w != 0 {
			t.Errorf("only stop words: %v, %v", w, err)
		}
	})
}

// An answer of the model is quoted wherever a loop shows it again: a model that
// agrees with itself hears itself as data, in a fresh context, and no loop puts
// the model's words into a turn of the assistant (sequence-model-delusions).
func TestPaperOwnWordsAreNoEvidence(t *testing.T) {
	t.Run("sequence-model-delusions", func(t *testing.T) {
		const own = "ownwords"
		for name, p := range loops() {
			t.Run(name, func(t *testing.T) {
				said := 0
				m := script.New(func(op llm.Op, _ int) script.Reply {
					said++
					return script.Reply{Text: fmt.Sprintf("%s%d\nSupports: 1\nAnswer: %s%d \" and\n1. %s\n2. %s\nlabelling. No", own, said, own, said, own, own)}
				})
				if _, err := p.Run(t.Context(), free(m, "Which?")); err != nil {
					t.Fatal(err)
				}
				shown := 0
				for _, op := range m.Ops() {
					if len(op.Request.Messages) != 1 || op.Request.Messages[0].Role != "user" {
						t.Fatalf("%s: a conversation of %d turns", op.Role, len(op.Request.Messages))
					}
					p := script.Prompt(op.Request)
					shown += strings.Count(p, own)
					if outside := unquoted(p); strings.Contains(outside, own) {
						t.Errorf("%s: outside of any quotation stands the model's word: %q", op.Role, outside)
					}
				}
				if shown == 0 && name != "retry" && name != "retry with a verifier" && name != "told" {
					t.Error("the loop never showed the model its words: the check is empty")
				}
			})
		}
	})
}

// loops are all loops.
func loops() map[string]control.Policy {
	never := oracle("nothing")
	return map[string]control.Policy{
		"self-refine": control.SelfRefine(2), "review": control.Review(""), "self-contrast": control.SelfContrast(3),
		"recursive-critique": control.RecursiveCritique(2, false), "reflect-retry": control.ReflectRetry(never, "", 2),
		"retry": control.Retry(nil, 2), "retry with a verifier": control.Retry(never, 2), "told": control.RetryTold(never, 2),
		"debias": control.Debias(false), "debias by explanation": control.Debias(true), "kind": control.Kind(false), "kind, self": control.Kind(true),
		"patternreframe": control.PatternReframe(), "historical-analogy": control.HistoricalAnalogy(2), "guided": control.Guided(""), "summarise": control.Summarise(3),
	}
}

// unquoted is a prompt without its quotations.
func unquoted(p string) string {
	var out []string
	fenced := false
	for line := range strings.Lines(p) {
		switch {
		case strings.HasPrefix(line, "<<<data "):
			fenced = true
		case strings.HasPrefix(line, "data ") && strings.Contains(line, ">>>"):
			fenced = false
		case !fenced:
			parts := strings.Split(line, `"`)
			for i := 0; i < len(parts); i += 2 {
				out = append(out, parts[i])
			}
		}
	}
	return strings.Join(out, "|")
}

// Loops do not forget what they are when they are made controls.
func TestUpTo(t *testing.T) {
	for name, p := range loops() {
		if c, ok := control.UpTo(p, 100); ok && c.String() == p.String() {
			t.Errorf("%s at 100 tokens is described like without", name)
		}
	}
	m := script.Texts("5")
	trial := number(m)
	p, ok := control.UpTo(control.Retry(nil, 1), 12)
	if res := run(t, p, trial); !ok || res.Stopped != "tokens" || trial.Ledger.Spent().Tokens() < 12 || trial.Ledger.Spent().Tokens() > 15 {
		t.Errorf("stopped by %s at %d tokens", res.Stopped, trial.Ledger.Spent().Tokens())
	}
	trial = number(script.Texts("5", "7", "7", "7"))
	p, ok = control.UpTo(sampled(control.Fixed(2)), 12)
	if res := run(t, p, trial); !ok || res.Stopped != "tokens" || res.Best.Answer.Text != "7" || trial.Ledger.Spent().Tokens() > 15 {
		t.Errorf("a vote stopped by %s at %d tokens", res.Stopped, trial.Ledger.Spent().Tokens())
	}
	if _, ok := control.UpTo(control.Cascade{}, 12); ok {
		t.Error("a cascade has nothing to go on with")
	}
}

// A loop ends as it should when its budget ends or its caller leaves, whatever
// it is doing then, and keeps what it has.
func TestLoopsKeepBudgets(t *testing.T) {
	for name, p := range loops() {
		for calls := int64(1); calls <= 8; calls++ {
			m := script.New(func(op llm.Op, i int) script.Reply {
				return script.Reply{Text: fmt.Sprintf("Answer: %d\nSupports: 1", i+len(script.Prompt(op.Request))%7)}
			})
			trial := newTrial(m, text.Number, llm.Limits{Calls: calls})
			res, err := p.Run(t.Context(), trial)
			if int64(m.Calls()) > calls {
				t.Errorf("%s: %d calls of %d", name, m.Calls(), calls)
			}
			if err == nil && (res.Best == nil || !slices.Contains(res.Pool, res.Best)) {
				t.Errorf("%s with %d calls: the answer is not in the pool", name, calls)
			}
		}
	}
}
