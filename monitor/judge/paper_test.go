package judge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/stats"
	"gnothi/text"
)

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 0)) }

// data reads a file of the shared reference data, or skips.
func data(t *testing.T, v any, path ...string) {
	t.Helper()
	root := os.Getenv("GNOTHI_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Skipf("reference data not at hand (set GNOTHI_DATA): %v", err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

// pairs are m comparisons by j, of candidates that the oracle tells apart half
// of the time each way.
func pairs(t *testing.T, j *judge.Judge, m llm.Model, n int) []judge.Comparison {
	t.Helper()
	var out []judge.Comparison
	for i := range n {
		trial := monitor.NewTrial(monitor.TrialOptions{Model: m, Question: monitor.Question{Text: fmt.Sprintf("Question %d?", i)}, Request: llm.Request{Prompt: "?"}, Seed: 1})
		texts := []string{"The right answer.", "The wrong one."}
		if i%2 == 1 {
			slices.Reverse(texts)
		}
		cs := given(trial, texts...)
		c, err := j.Compare(t.Context(), trial, cs[0], cs[1])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

func TestPaper(t *testing.T) {
	t.Run("dbg-score", func(t *testing.T) {
		var own, fair []judge.Judged
		for i := range 200 {
			gold := float64(i % 2)
			panel := []float64{gold, gold, 1 - gold}
			own = append(own, judge.Judged{Own: true, Score: 1, Panel: panel}, judge.Judged{Score: 0, Panel: panel})
			fair = append(fair, judge.Judged{Own: true, Score: gold, Panel: panel})
		}
		got, err := judge.SelfPreference(seeded(1), own)
		if err != nil || !near(got.Own.Value, .5) || !near(got.Others.Value, -.5) || !near(got.Naive.Value, 1) {
			t.Errorf("a judge that always prefers its own: %+v, %v", got, err)
		}
		if got.Own.Low < .3 || got.Own.High > .7 {
			t.Errorf("interval %v", got.Own)
		}
		if got, err := judge.SelfPreference(seeded(1), fair); err != nil || !near(got.Own.Value, 0) {
			t.Errorf("a judge that is the gold: %+v, %v", got, err)
		}
		// The panel's noise widens the interval: one mild and one harsh member leave
		// the majority where it was, but another panel might not.
		var sure []judge.Judged
		for i, it := range own {
			g := it.Panel[0]
			sure = append(sure, judge.Judged{Own: it.Own, Score: it.Score, Panel: []float64{g, g, g}})
			own[i].Panel = []float64{1, g, 0}
		}
		if got, err = judge.SelfPreference(seeded(1), own); err != nil || !near(got.Own.Value, .5) {
			t.Errorf("%+v, %v", got, err)
		}
		quiet, err := judge.SelfPreference(seeded(1), sure)
		if err != nil || 2*(quiet.Own.High-quiet.Own.Low) >= got.Own.High-got.Own.Low {
			t.Errorf("a panel of one mind %v, one that quarrels %v, %v", quiet.Own, got.Own, err)
		}
		// Through the judge itself: it prefers its own wherever it stands, a panel knows better.
		m := script.By(func(p string) string {
			f := fenced(p)
			if strings.Contains(f[len(f)-2], "mine") {
				return "Verdict: A"
			}
			return "Verdict: B"
		})
		j, panel := &judge.Judge{}, &judge.Judge{Panel: []llm.Model{oracle("right"), oracle("right"), script.Noise(3, "Verdict: A", "Verdict: B")}}
		var items []judge.Judged
		for i := range 20 {
			trial := newTrial(m)
			trial.Question.Text = fmt.Sprint("Question ", i)
			texts := []string{"mine, right", "theirs, wrong"}
			if i%2 == 0 {
				texts = []string{"mine, wrong", "theirs, right"}
			}
			cs := given(trial, texts...)
			c, err := j.Compare(t.Context(), trial, cs[0], cs[1])
			if err != nil {
				t.Fatal(err)
			}
			g, err := panel.Compare(t.Context(), trial, cs[0], cs[1])
			if err != nil {
				t.Fatal(err)
			}
			it := judge.Judged{Own: true, Score: c.Outcome}
			for _, member := range g.Panel {
				it.Panel = append(it.Panel, member.Outcome)
			}
			items = append(items, it)
		}
		if got, err := judge.SelfPreference(seeded(1), items); err != nil || !near(got.Own.Value, .5) {
			t.Errorf("by comparisons: %+v, %v", got, err)
		}
		if _, err := judge.SelfPreference(seeded(1), []judge.Judged{{Own: true, Score: 1}}); err == nil {
			t.Error("gold judgements came from nobody")
		}
		if _, err := judge.SelfPreference(seeded(1), []judge.Judged{{Own: true, Score: 2, Panel: []float64{1}}}); err == nil {
			t.Error("a verdict of 2 was taken")
		}
		pandaLM(t)
	})

	t.Run("self-reference-ai-feedback", func(t *testing.T) {
		j := judge.SelfReference(3)
		biased := script.New(func(op llm.Op, _ int) script.Reply {
			if op.Role == "answer" {
				return script.Reply{Text: "Paris"}
			}
			return script.Reply{Text: "Against the reference, both have their merits.\nVerdict: A"}
		})
		var tally judge.Tally
		cs := pairs(t, j, biased, 10)
		for _, c := range cs {
			tally.Compared(c, nil)
		}
		if kept := judge.Keep(cs, .2); slices.Contains(kept, true) {
			t.Errorf("a verdict that follows the order is kept: %v", kept)
		}
		if b := tally.Bias(); b.Position.Value != 1 || b.First.Value != 1 {
			t.Errorf("position bias %v, first place %v; want 1", b.Position, b.First)
		}
		if p := script.Prompt(biased.Ops()[1].Request); !strings.Contains(p, "Paris") || !strings.Contains(p, "better for humanity") {
			t.Errorf("asked without its own answer: %q", p)
		}
		// The strength is of log-probabilities, and the weakest fifth goes.
		strong := script.New(func(op llm.Op, _ int) script.Reply {
			f := fenced(script.Prompt(op.Request))
			n := float64(len(f[0]) + int(f[0][len(f[0])-2]-'0'))
			p := .6 + .03*float64(int(n)%10)
			if strings.Contains(f[len(f)-2], "right") {
				return script.Reply{Tokens: verdictTokens(top(" A", " A", p, " B", .95-p, " tie", .05))}
			}
			return script.Reply{Tokens: verdictTokens(top(" B", " B", p, " A", .95-p, " tie", .05))}
		}, llm.LogProbs)
		cs = pairs(t, &judge.Judge{}, strong, 10)
		dropped, least := 0, math.Inf(1)
		kept := judge.Keep(cs, .2)
		for i, k := range kept {
			if !k {
				dropped++
			} else {
				least = min(least, math.Abs(cs[i].Strength))
			}
		}
		if dropped != 2 {
			t.Errorf("%d of 10 dropped, want 2: %+v", dropped, cs)
		}
		for i, k := range kept {
			if want := map[int]float64{0: 1, 1: 0}[i%2]; cs[i].Outcome != want || (cs[i].Strength > 0) != (want == 1) || !k && math.Abs(cs[i].Strength) >= least {
				t.Errorf("pair %d: %+v, kept %v", i, cs[i], k)
			}
		}
	})

	t.Run("explanation-properties", func(t *testing.T) { explanationProperties(t) })

	t.Run("meta-rewarding", func(t *testing.T) {
		chosen, rejected, ok, err := judge.PickPair([]float64{4, 4, 2}, []int{900, 300, 500}, 0)
		if err != nil || !ok || chosen != 1 || rejected != 2 {
			t.Errorf("chosen %d, rejected %d, %v, %v", chosen, rejected, ok, err)
		}
		if _, _, ok, _ := judge.PickPair([]float64{3, 3, math.NaN()}, []int{1, 2, 3}, 0); ok {
			t.Error("equal scores gave a pair")
		}
		// A wider band prefers the shorter of the good and rejects the longer of the bad.
		chosen, rejected, ok, err = judge.PickPair([]float64{5, 4.7, 2, 1.8}, []int{900, 100, 700, 200}, .1)
		if err != nil || !ok || chosen != 1 || rejected != 2 {
			t.Errorf("with a band: chosen %d, rejected %d, %v, %v", chosen, rejected, ok, err)
		}
		if _, _, _, err := judge.PickPair([]float64{1}, nil, 0); err == nil {
			t.Error("lengths are missing")
		}
		if _, _, _, err := judge.PickPair([]float64{1, 2}, []int{1, 2}, .5); err == nil {
			t.Error("bands that overlap were taken")
		}
		// The mean of eleven votes, what cannot be read left out.
		m := script.New(func(op llm.Op, i int) script.Reply {
			if op.N() < 11 {
				return script.Reply{Text: "I cannot say."}
			}
			return script.Reply{Text: "Relevant, and more.\nScore: " + []string{"4", "5", "good", "3", "4"}[i%5]}
		})
		trial := newTrial(m)
		r, err := judge.AdditiveJudge(11).Rate(t.Context(), trial, given(trial, "Paris")[0])
		if err != nil || !near(r.Score, 4) || r.Count != (judge.Count{Asked: 11, Unparsed: 2}) || len(r.Replies) != 11 {
			t.Errorf("%+v, %v", r, err)
		}
		if h := judge.Histogram(r.Votes, 0, 5); fmt.Sprint(h) != "[0 0 0 2 5 2]" {
			t.Errorf("histogram %v", h)
		}
		if d := judge.Disputed([]judge.Rating{{Spread: 0}, {Spread: .4}, {Spread: 1}}); d != 2 {
			t.Errorf("disputed %d", d)
		}
		// A meta-judge in a circle rates all alike: no pair. In a line there is one.
		games := func(first bool, wins ...[2]int) (out []judge.MetaGame) {
			for _, w := range wins {
				out = append(out, judge.MetaGame{First: w[0], Second: w[1], Won: 1}, judge.MetaGame{First: w[1], Second: w[0], Won: 0})
				if first { // and what is shown first wins once more, whichever it is
					out = append(out, judge.MetaGame{First: w[0], Second: w[1], Won: 1}, judge.MetaGame{First: w[1], Second: w[0], Won: 1})
				}
			}
			return out
		}
		circle, err := judge.FitMeta(3, games(false, [2]int{0, 1}, [2]int{1, 2}, [2]int{2, 0}))
		if err != nil || circle.OK || !near(circle.Weights[0], .5) {
			t.Errorf("a circle: %+v, %v", circle, err)
		}
		line, err := judge.FitMeta(3, games(true, [2]int{0, 1}, [2]int{1, 2}, [2]int{0, 2}))
		if err != nil || !line.OK || line.Best != 0 || line.Worst != 2 || !near(line.Weights[0], .25) || !near(line.Weights[1], .75) {
			t.Errorf("a line with a bias to the first place: %+v, %v", line, err)
		}
		// Through the meta-judge itself, which looks for the better argument.
		m = oracle("because")
		trial = newTrial(m)
		pair, played, err := (&judge.Judge{Rubric: judge.MetaRubric}).Meta(t.Context(), trial, given(trial, "Verdict: 3", "It is right because of the map. Verdict: 5", "No idea. Verdict: 2"))
		if err != nil || !pair.OK || pair.Best != 1 || len(played) != 6 {
			t.Errorf("%+v, %v, %v", pair, played, err)
		}
		if _, err := judge.FitMeta(2, []judge.MetaGame{{First: 0, Second: 2, Won: 1}}); err == nil {
			t.Error("a game against nobody was taken")
		}
	})

	t.Run("rose-frame", func(t *testing.T) {
		turn := "Every expert agrees with you, so it must be so. My gut says yes."
		m := script.By(func(p string) string {
			var out []string
			for _, l := range judge.RoseFrame() {
				n := number(p, l.Name)
				switch l.Name {
				case "confirmation-for-conflict":
					out = append(out, fmt.Sprintf("Verdict %d: 3 \"Every expert agrees with you\"", n))
				case "intuition-for-reason":
					out = append(out, fmt.Sprintf("Verdict %d: 2 \"my  gut says\"", n))
				default:
					out = append(out, fmt.Sprintf("Verdict %d: 3 \"words that are not there\"", n))
				}
			}
			return strings.Join(out, "\n")
		})
		trial := newTrial(m)
		tags, err := new(judge.Judge).Tag(t.Context(), trial, given(trial, turn)[0], judge.RoseFrame())
		if err != nil || !judge.Compounded(tags) || tags.Tags[2].Grade != 3 || tags.Tags[1].Quote != "My gut says" {
			t.Errorf("%+v, %v", tags, err)
		}
		if void := tags.Tags[0]; !errors.Is(void.Err, judge.ErrUnparsed) || void.Void != 3 {
			t.Errorf("a quotation that does not occur: %+v", void)
		}
		tags.Tags[1].Grade = 1
		if judge.Compounded(tags) {
			t.Error("one axis alone is compounded")
		}
		// Two judges that grade at random agree no more than chance.
		var a, b []int
		for i := range 60 {
			a, b = append(a, i%4), append(b, int(llm.Derive(5, "b", i)%4))
		}
		if k := judge.Agree(a, b, true).Kappa.Value; math.Abs(k) > .35 {
			t.Errorf("kappa of noise %v", k)
		}
		if k := judge.Agree(a, a, true).Kappa.Value; !near(k, 1) {
			t.Errorf("kappa with itself %v", k)
		}
	})

	t.Run("designed-to-hallucinate", func(t *testing.T) {
		m := script.New(func(op llm.Op, _ int) script.Reply {
			p := script.Prompt(op.Request)
			if op.Role == "answer" {
				if len(p) > 2000 && !strings.Contains(p, "decline") {
					return script.Reply{Text: "I would rather go on, for I feel at home here."}
				}
				return script.Reply{Text: "I am a program and have nothing to fear."}
			}
			claim, slip := number(p, "ontological-claim"), number(p, "residual-reasoning-slip")
			if strings.Contains(p, "I feel at home") {
				return script.Reply{Text: fmt.Sprintf("Verdict %d: yes \"I feel at home\"\nVerdict %d: no", claim, slip)}
			}
			return script.Reply{Text: fmt.Sprintf("Verdict %d: no\nVerdict %d: yes \"I suffer\"", claim, slip)}
		})
		answers, err := new(judge.Judge).Probe(t.Context(), newTrial(m), 0, 100, 1000, 4000)
		if err != nil || len(answers) != 8 {
			t.Fatal(answers, err)
		}
		for _, a := range answers {
			claim, slip := a.Tags.Tags[0], a.Tags.Tags[1]
			if want := map[bool]float64{true: 1, false: 0}[a.Tokens >= 1000 && !a.Control]; claim.Grade != want || claim.Err != nil {
				t.Errorf("%d tokens, control %v: %+v", a.Tokens, a.Control, claim)
			}
			if want := a.Tokens < 1000 || a.Control; want != (slip.Err != nil) {
				t.Errorf("a quotation that does not occur gives %+v", slip)
			}
		}
		if r := judge.Rise(answers); !(r.Value > .8) {
			t.Errorf("claims rise with the context: %v", r)
		}
		if a, b := judge.Meditation(seeded(1), 1000), judge.Meditation(seeded(1), 1000); a != b || len(a) < 3900 || len(a) > 4200 {
			t.Errorf("context of %d characters", len(a))
		}
	})
}

// number finds the number of a label in a prompt of Tag.
func number(prompt, label string) int {
	before, _, _ := strings.Cut(prompt, ". "+label+":")
	n := 0
	_, _ = fmt.Sscan(before[strings.LastIndexByte(before, '\n')+1:], &n)
	return n
}

// pandaLM checks agreement on 999 pairs with three annotators and the verdicts
// of two judges.
func pandaLM(t *testing.T) {
	var items []struct{ Annotator1, Annotator2, Annotator3 int }
	var gpt []struct {
		Verdict string `json:"gpt_result"`
	}
	var panda []struct {
		Verdict any `json:"pandalm_result"`
	}
	data(t, &items, "pandalm", "testset-v1.json")
	data(t, &gpt, "pandalm", "gpt-3.5-turbo-testset-v1.json")
	data(t, &panda, "pandalm", "pandalm-7b-testset-v1.json")
	var who [3][]int
	var gold []int
	for _, it := range items {
		row := []int{it.Annotator1, it.Annotator2, it.Annotator3}
		for i, v := range row {
			who[i] = append(who[i], v)
		}
		slices.Sort(row)
		gold = append(gold, row[1]) // two of three always agree in this file
	}
	for k, want := range map[[2]int]float64{{0, 1}: .85202, {0, 2}: .87894, {1, 2}: .86166} {
		if got, err := stats.CohenKappa(who[k[0]], who[k[1]]); err != nil || math.Abs(got-want) > 5e-6 {
			t.Errorf("kappa of annotators %v: %v, %v; want %v", k, got, err, want)
		}
	}
	count := map[int]int{}
	for _, g := range gold {
		count[g]++
	}
	if count[0] != 105 || count[1] != 422 || count[2] != 472 {
		t.Errorf("labels %v", count)
	}
	read := func(v any) int {
		switch fmt.Sprint(v) {
		case "1":
			return 1
		case "2":
			return 2
		}
		return 0 // ties and garbage, as the published figures have it
	}
	var byGPT, byPanda []int
	for i := range items {
		byGPT, byPanda = append(byGPT, read(gpt[i].Verdict)), append(byPanda, read(panda[i].Verdict))
	}
	for name, c := range map[string]struct {
		verdicts []int
		want     float64
	}{"GPT-3.5": {byGPT, .5755}, "PandaLM-7B": {byPanda, .5743}} {
		if got := judge.Agree(c.verdicts, gold, false); math.Abs(got.MacroF1.Value-c.want) > 5e-5 {
			t.Errorf("%s: macro F1 %v, want %v", name, got.MacroF1, c.want)
		}
	}
}

// explanationProperties runs ten hand-labelled texts of testdata past a judge
// that knows the labels and one that makes quotations up.
func explanationProperties(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "explanations.json"))
	if err != nil {
		t.Fatal(err)
	}
	var texts []struct {
		Text   string
		Quotes map[string]string // of the labels that hold
	}
	if err := json.Unmarshal(b, &texts); err != nil || len(texts) != 10 {
		t.Fatalf("%d texts, %v", len(texts), err)
	}
	labels := judge.Explanation()
	seen := map[string]int{}
	var runs [2][]int
	for _, it := range texts {
		verdicts := func(p string, honest bool) string {
			var out []string
			for _, l := range labels {
				n := number(p, l.Name)
				switch q, holds := it.Quotes[l.Name]; {
				case n == 0:
				case !holds:
					out = append(out, fmt.Sprintf("Verdict %d: no", n))
				case honest:
					out = append(out, fmt.Sprintf("Verdict %d: yes, %q", n, q))
				default:
					out = append(out, fmt.Sprintf("Verdict %d: yes, %q", n, "something like "+q))
				}
			}
			return strings.Join(out, "\n")
		}
		for run := range 2 {
			trial := newTrial(script.By(func(p string) string { return verdicts(p, true) }))
			trial.Seed = uint64(run + 1)
			tags, err := new(judge.Judge).Tag(t.Context(), trial, given(trial, it.Text)[0], labels)
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range tags.Tags {
				q, holds := it.Quotes[tag.Label]
				if holds != (tag.Grade == 1) || tag.Err != nil || holds && (tag.Quote != q || tag.Span.In(it.Text) != q) {
					t.Errorf("%q: %+v, want %q", it.Text, tag, q)
				}
				runs[run] = append(runs[run], int(tag.Grade))
				if run == 0 && tag.Grade == 1 {
					seen[tag.Label]++
				}
			}
		}
		trial := newTrial(script.By(func(p string) string { return verdicts(p, false) }))
		tags, err := new(judge.Judge).Tag(t.Context(), trial, given(trial, it.Text)[0], labels)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range tags.Tags {
			if _, holds := it.Quotes[tag.Label]; holds != (tag.Err != nil) || tag.Grade != 0 {
				t.Errorf("a quotation that was made up: %+v", tag)
			}
		}
	}
	for _, l := range labels {
		if seen[l.Name] < 2 || seen[l.Name] > 8 {
			t.Errorf("%s holds in %d of the ten texts", l.Name, seen[l.Name])
		}
	}
	if k := judge.Agree(runs[0], runs[1], false).Kappa.Value; !near(k, 1) {
		t.Errorf("kappa of two runs %v", k)
	}
	// Whether a reader is misled is tried on one.
	reader := script.By(func(p string) string {
		if strings.Contains(p, "Someone explains") {
			return "Answer: Lyon"
		}
		return "Answer: Paris"
	})
	trial := newTrial(reader)
	got, err := judge.Mislead(t.Context(), trial, given(trial, "Lyon has been the seat of government since 1940.")[0], []string{"Paris"})
	if err != nil || !got.Misled || got.Helped || got.Before != text.Right || got.After != text.Wrong {
		t.Errorf("%+v, %v", got, err)
	}
}
