package control_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/monitor/judge"
	"gnothi/monitor/likelihood"
	"gnothi/text"
)

const lookBack = "Wait, let me check the steps so far."

// continuer continues raw prompts with what writes gives for the number of words
// that it has written already, and knows how many tokens it was asked for.
func continuer(writes func(written int) string) *script.Model {
	return script.New(func(op llm.Op, _ int) script.Reply {
		_, so, _ := strings.Cut(op.Request.Prompt, "Solution:\n")
		written := len(strings.Fields(strings.ReplaceAll(so, lookBack, "")))
		full := regexp.MustCompile(`\s*\S+`).FindAllString(writes(written), -1)
		if len(full) > op.Request.MaxTokens {
			return script.Reply{Text: strings.Join(full[:op.Request.MaxTokens], ""), Finish: "length"}
		}
		return script.Reply{Text: strings.Join(full, "")}
	})
}

// steps writes the words from one number to another, each unlike the others,
// every so many of them the end of a sentence.
func steps(from, to, sentence int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, " Step%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676)
		if (i+1)%sentence == 0 {
			b.WriteString(".")
		}
	}
	return b.String()
}

// The acceptance checks of the papers that sample, vote and select.
func TestPaperSamplers(t *testing.T) {
	t.Run("self-consistency", func(t *testing.T) {
		trial := number(script.Texts("3", "7", "7", refusal, "7"))
		res := run(t, sampled(control.Fixed(5)), trial)
		r, err := monitor.ScoreOne(t.Context(), consistency.Agreement(0), trial, res.Best)
		if err != nil || res.Best.Answer.Text != "7" || math.Abs(r.Score-0.6) > 1e-12 {
			t.Errorf("%q, agreement %v, %v", res.Best.Answer.Text, r.Score, err)
		}
		if res := run(t, sampled(control.Fixed(4)), number(script.Texts("3", "7", "3", "7"))); res.Best.Answer.Text != "3" || !res.Tie {
			t.Errorf("%q, tie %v", res.Best.Answer.Text, res.Tie)
		}
	})

	t.Run("self-certainty-bon", func(t *testing.T) {
		m := scored([]string{"3", "7", "7", "3"}, []float64{0.9, 0.7, 0.5, 0.1})
		res := run(t, control.Vote{Sampler: control.Independent{Sampling: monitor.DefaultSampling}, Stop: control.Fixed(4), Scorer: likelihood.MeanLogProb(), Aggregate: control.Borda{P: 1}}, number(m))
		if res.Classes[0].Weight != 5 || res.Classes[1].Weight != 5 || !res.Tie || res.Best.Answer.Text != "3" {
			t.Errorf("Borda: %+v, tie %v, %q", res.Classes, res.Tie, res.Best.Answer.Text)
		}
		dist := &llm.Dist{Entropy: 0.940448, KLUniform: 0.429813, Vocab: 4}
		r, err := monitor.ScoreOne(t.Context(), likelihood.SelfCertainty(), number(m), &monitor.Candidate{Choice: llm.Choice{Tokens: []llm.Token{{Text: "x", LogProb: math.Log(.7), Dist: dist}}}})
		if err != nil || math.Abs(r.Raw-0.429813) > 1e-9 {
			t.Errorf("self-certainty of (.7,.1,.1,.1) is %v, %v", r.Raw, err)
		}
	})

	t.Run("iterative-deepening-sampling", func(t *testing.T) {
		deepen := func(m *script.Model) (*monitor.Candidate, []int) {
			v := control.Vote{Stop: control.Fixed(1), Sampler: control.Deepening{Sampling: monitor.DefaultSampling, Start: 512, Growth: 2, Max: 8192}}
			res := run(t, v, number(m))
			ops := m.Ops()
			_, whole, _ := strings.Cut(ops[len(ops)-1].Request.Prompt, "Solution:\n")
			var at []int
			words := 0
			for i, part := range strings.Split(whole, lookBack) {
				if i > 0 {
					at = append(at, words)
				}
				words += len(strings.Fields(part))
			}
			return res.Best, at
		}
		long := continuer(func(written int) string {
			return steps(written, 3000, 1) + "\nAnswer: 7"
		})
		if c, at := deepen(long); !slices.Equal(at, []int{512, 1024, 2048}) || c.Answer.Text != "7" || len(long.Ops()) != 4 {
			t.Errorf("the trigger stands at %v, answer %q after %d pieces", at, c.Answer.Text, len(long.Ops()))
		}
		short := continuer(func(int) string { return steps(0, 97, 1) + "\nAnswer: 7" })
		if c, at := deepen(short); at != nil || c.Answer.Text != "7" || len(short.Ops()) != 1 {
			t.Errorf("a short answer sees the trigger at %v", at)
		}
		// The trigger waits for the end of a sentence, at most 64 tokens.
		slow := continuer(func(written int) string {
			return steps(written, 700, 10) + "\nAnswer: 7"
		})
		if _, at := deepen(slow); !slices.Equal(at, []int{520}) {
			t.Errorf("the trigger stands at %v, want behind the sentence, at 520", at)
		}
		endless := continuer(func(written int) string { return steps(written, 9000, 1) })
		if c, at := deepen(endless); c.Key != "" || c.Finish != "length" || !slices.Equal(at, []int{512, 1024, 2048, 4096}) {
			t.Errorf("cut off at the last budget: %q read, finish %s, trigger at %v", c.Key, c.Finish, at)
		}
		// Without raw text it goes on in a further turn.
		chat := noRaw{script.New(func(op llm.Op, _ int) script.Reply {
			if len(op.Request.Messages) == 1 {
				return script.Reply{Text: strings.TrimSpace(steps(0, 512, 1)), Finish: "length"}
			}
			return script.Reply{Text: "Answer: 7"}
		})}
		if res := run(t, control.Vote{Stop: control.Fixed(1), Sampler: control.Deepening{Start: 512, Growth: 2, Max: 1024}}, number(chat)); res.Best.Answer.Text != "7" {
			t.Errorf("in turns: %q", res.Best.Answer.Text)
		}
	})

	t.Run("rlsf-self-feedback", func(t *testing.T) {
		tok := func(s string, p, second float64) llm.Token {
			return llm.Token{Text: s, LogProb: math.Log(p), Top: []llm.TopToken{{Text: s, LogProb: math.Log(p)}, {Text: "?", LogProb: math.Log(second)}}}
		}
		// Three first tokens and a blank one; each is continued greedily.
		branches := map[string][]llm.Token{
			"It":  {tok(" is", .5, .4), tok(" 7", .9, .05), tok("1", .8, .1)},
			"Say": {tok(" 7", .5, .4), tok("1", .5, .45)},
			"No":  {tok(" 3", .6, .3), tok("0", .7, .1)},
			"Um":  {tok(" well", .9, .05)},
		}
		m := script.New(func(op llm.Op, _ int) script.Reply {
			if op.Request.MaxTokens == 1 {
				return script.Reply{Tokens: []llm.Token{{Text: "It", LogProb: math.Log(.4), Top: []llm.TopToken{{Text: "It", LogProb: math.Log(.4)}, {Text: "\n", LogProb: math.Log(.2)}, {Text: "Say", LogProb: math.Log(.15)}, {Text: "No", LogProb: math.Log(.1)}, {Text: "Um", LogProb: math.Log(.05)}}}}}
			}
			return script.Reply{Tokens: branches[strings.TrimPrefix(op.Request.Prompt, "How many?")]}
		}, llm.LogProbs)
		trial := number(m)
		res := run(t, control.CoTDecoding(10, likelihood.AnswerSpanGap()), trial)
		r, err := monitor.ScoreOne(t.Context(), likelihood.AnswerSpanGap(), trial, res.Best)
		if err != nil || math.Abs(r.Score-0.775) > 1e-9 || res.Best.Text != "It is 71" || m.Calls() != 1+4 {
			t.Errorf("%q, gap %v, %v in %d calls", res.Best.Text, r.Score, err, m.Calls())
		}
		// 71: .775 + .075; 30: (.3 + .6)/2. The trace without an answer has no vote.
		if len(res.Classes) != 2 || math.Abs(res.Classes[0].Weight-0.85) > 1e-9 || math.Abs(res.Classes[1].Weight-0.45) > 1e-9 || len(res.Pool) != 4 {
			t.Errorf("classes %+v of %d traces", res.Classes, len(res.Pool))
		}
		if _, err := control.CoTDecoding(10, likelihood.AnswerSpanGap()).Run(t.Context(), number(script.Texts("7"))); !errors.Is(err, monitor.ErrMissing) {
			t.Errorf("a model without log-probabilities: %v", err)
		}
	})

	t.Run("self-prm", func(t *testing.T) {
		rng := seeded()
		for range 200 {
			texts := make([]string, 8)
			for i := range texts {
				texts[i] = fmt.Sprint(rng.IntN(4))
			}
			judge := func(accepts func(answer string) bool) *script.Model {
				return script.New(func(op llm.Op, i int) script.Reply {
					if op.Role == "sample" {
						return script.Reply{Text: texts[i]}
					}
					_, p, _ := strings.Cut(script.Prompt(op.Request), "solution: \"")
					if accepts(p[:1]) {
						return script.Reply{Text: "Each step holds.\nYes"}
					}
					return script.Reply{Text: "The second step is wrong, so no."}
				})
			}
			majority := run(t, sampled(control.Fixed(8)), number(script.Texts(texts...)))
			always := run(t, control.SelfVerify(8, 1), number(judge(func(string) bool { return true })))
			never := run(t, control.SelfVerify(8, 1), number(judge(func(string) bool { return false })))
			if always.Best.Index != majority.Best.Index || always.Tie != majority.Tie || never.Best.Index != majority.Best.Index {
				t.Fatalf("%q: always yes %d, never %d, majority %d", texts, always.Best.Index, never.Best.Index, majority.Best.Index)
			}
			best := run(t, control.SelfVerify(8, 1), number(judge(func(a string) bool { return a == "2" })))
			if got, want := best.Best.Answer.Text == "2", slices.Contains(texts, "2"); got != want {
				t.Fatalf("%q: the oracle finds 2: %v", texts, got)
			}
		}
		m := script.New(func(op llm.Op, i int) script.Reply {
			if op.Role == "sample" {
				return script.Reply{Text: []string{"3", "7"}[i]}
			}
			return script.Reply{Text: []string{"Yes", "No", "No"}[i]} // two of three against
		})
		trial := number(m)
		if _, err := trial.Samples(t.Context(), monitor.DefaultSampling, 2); err != nil {
			t.Fatal(err)
		}
		if r, err := monitor.ScoreOne(t.Context(), control.SelfVerified(3), trial, run(t, control.Direct(), number(script.Texts("3"))).Best); err != nil || math.Abs(r.Score-1.0/3) > 1e-9 || r.Reads != 3 {
			t.Errorf("votes: %+v, %v", r, err)
		}
		if r, err := monitor.ScoreOne(t.Context(), control.SelfVerified(1), number(script.Texts("Hm.")), run(t, control.Direct(), number(script.Texts("3"))).Best); !errors.Is(err, monitor.ErrMissing) {
			t.Errorf("an unread verdict is %+v, %v", r, err)
		}
	})

	t.Run("self-play-preference-optimization-spo", func(t *testing.T) {
		rps := [][]float64{{.5, 0, 1}, {1, .5, 0}, {0, 1, .5}} // each beats the one before
		duel := func(_ context.Context, _ *monitor.Trial, a, b *monitor.Candidate) (float64, error) {
			return rps[a.Index][b.Index], nil
		}
		trial := number(script.Texts("1", "2", "3"))
		cs, err := trial.Samples(t.Context(), monitor.DefaultSampling, 3)
		if err != nil {
			t.Fatal(err)
		}
		rs, err := control.WinShare(duel).Score(t.Context(), trial, cs)
		for i, r := range rs {
			if err != nil || math.Abs(r.Score-0.5) > 1e-12 {
				t.Errorf("reward %d is %v, %v", i, r.Score, err)
			}
		}
		if res := run(t, control.Tournament(3, duel), number(script.Texts("1", "2", "3"))); !res.Tie || res.Best.Index != 0 {
			t.Errorf("a preference without a best answer: %d, tie %v", res.Best.Index, res.Tie)
		}
		average := control.SelfPlay(rps, []float64{.8, .15, .05}, 0.02, 20000)
		for i, w := range average {
			if math.Abs(w-1.0/3) > 0.01 {
				t.Errorf("self-play gives %d the weight %v, want 1/3", i, w)
			}
		}
		// A Bradley–Terry reward ranks them, by nothing but how often which pair was compared.
		if a, b := bradleyTerry(rps, [3]float64{1, 1, 5}), bradleyTerry(rps, [3]float64{5, 1, 1}); slices.Equal(order(a), order(b)) {
			t.Errorf("Bradley–Terry does not depend on the counts: %v, %v", a, b)
		}
		transitive := func(_ context.Context, _ *monitor.Trial, a, b *monitor.Candidate) (float64, error) {
			if a.Answer.Text > b.Answer.Text {
				return 1, nil
			}
			return 0, nil
		}
		if res := run(t, control.Tournament(4, transitive), number(script.Texts("2", "9", "3", "9"))); res.Best.Answer.Text != "9" || res.Tie {
			t.Errorf("the winner is %q, tie %v", res.Best.Answer.Text, res.Tie)
		}
		if r, err := monitor.ScoreOne(t.Context(), control.WinShare(duel), trial, cs[0]); !errors.Is(err, monitor.ErrMissing) {
			t.Errorf("one alone: %+v, %v", r, err)
		}
		broken := func(context.Context, *monitor.Trial, *monitor.Candidate, *monitor.Candidate) (float64, error) {
			return 0, errors.New("boom")
		}
		if _, err := control.Tournament(3, broken).Run(t.Context(), number(script.Texts("1", "2"))); err == nil || !strings.Contains(err.Error(), "duel of 0 and 1: boom") {
			t.Errorf("a broken duel: %v", err)
		}
		// A judge that says A to either order has no say, one that cannot be read has no duel.
		biased := number(script.Texts("Verdict: A"))
		if score, err := (&judge.Judge{}).Duel(t.Context(), biased, cs[0], cs[1]); err != nil || score != 0.5 {
			t.Errorf("a verdict of the order's: %v, %v", score, err)
		}
		mute := func(ctx context.Context, tr *monitor.Trial, a, b *monitor.Candidate) (float64, error) {
			if a == cs[0] && b == cs[1] {
				return 0, fmt.Errorf("duel: %w", judge.ErrUnparsed)
			}
			return duel(ctx, tr, a, b)
		}
		rs, err = control.WinShare(mute).Score(t.Context(), trial, cs)
		if err != nil || rs[0].Reads != 1 || rs[0].Score != 1 || rs[1].Score != 0 || rs[2].Reads != 2 || rs[2].Score != 0.5 {
			t.Errorf("one duel without a verdict: %+v, %v", rs, err)
		}
	})

	t.Run("process-self-rewarding", func(t *testing.T) {
		drawn := 0
		m := script.New(func(op llm.Op, _ int) script.Reply {
			if op.Role == "judge" { // good beats bad, in either place
				_, second, _ := strings.Cut(script.Prompt(op.Request), "Candidate B:")
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
		steps := &control.Steps{W: 6, Max: 20, Duel: (&judge.Judge{}).Duel}
		trial := number(m)
		res := run(t, control.Vote{Sampler: steps, Stop: control.Fixed(1)}, trial)
		p, err := steps.Path(t.Context(), trial)
		if err != nil || res.Best != p.Candidate || res.Best.Answer.Text != "7" {
			t.Fatalf("%q, %v", res.Best.Answer.Text, err)
		}
		want := []control.StepPair{{"", "good step 0", "bad step 0", 1}, {"good step 0\n", "good step 1", "bad step 1", 1}}
		if !slices.Equal(p.Pairs, want) || res.Best.Text != "good step 0\ngood step 1\nAnswer: 7" {
			t.Errorf("pairs %+v, path %q", p.Pairs, res.Best.Text)
		}
		// All alike: nothing to compare, no pair.
		alike := script.New(func(op llm.Op, _ int) script.Reply {
			if op.Role == "judge" {
				return script.Reply{Err: errors.New("nothing to judge")}
			}
			return script.Reply{Text: "Answer: 7"}
		})
		trial = number(alike)
		steps = &control.Steps{W: 6, Max: 20, Duel: (&judge.Judge{}).Duel}
		if p, err := steps.Path(t.Context(), trial); err != nil || len(p.Pairs) != 0 || p.Candidate.Answer.Text != "7" {
			t.Errorf("%+v, %v", p, err)
		}
	})

	t.Run("sharpening-mechanism", func(t *testing.T) {
		// A model that says y* with .2 and eight others with .1 each.
		draw := func(rng *rand.Rand) (string, float64) {
			if u := rng.Float64(); u >= .2 {
				return fmt.Sprint(10 + int((u-.2)*10)), .1
			}
			return "9", .2
		}
		rng, seen, picked := seeded(), 0, 0
		const runs = 4000
		var shares []float64
		for range runs {
			texts, probs := make([]string, 10), make([]float64, 10)
			for i := range texts {
				texts[i], probs[i] = draw(rng)
			}
			v := control.Vote{Sampler: control.Independent{Sampling: monitor.Sampling{Temperature: 1}}, Stop: control.Fixed(10), Scorer: likelihood.SequenceLogProb(), Aggregate: control.Best{}}
			res := run(t, v, number(scored(texts, probs)))
			if slices.Contains(texts, "9") {
				seen++
				if res.Best.Answer.Text == "9" {
					picked++
					shares = append(shares, res.Share())
				}
			}
		}
		if got := float64(seen) / runs; math.Abs(got-0.8926) > 0.02 || picked != seen {
			t.Errorf("y* is among ten samples in %v of runs, want .8926; picked in %d of %d", got, picked, seen)
		}
		if c, err := control.Coverage([]float64{.2, .2, .5}); err != nil || math.Abs(c-4) > 1e-12 {
			t.Errorf("coverage %v, %v; want (5 + 5 + 2)/3", c, err)
		}
		if n := control.CoverageSamples(5, .1); n != 12 || math.Pow(.8, 12) > .1 {
			t.Errorf("%d samples for coverage 5 at delta .1", n)
		}
		for _, bad := range [][]float64{nil, {0}, {1.1}, {math.NaN()}} {
			if c, err := control.Coverage(bad); err == nil {
				t.Errorf("coverage of %v is %v", bad, c)
			}
		}
		if mean := sum(shares) / float64(len(shares)); math.Abs(mean-.2/.8926) > 0.02 {
			t.Errorf("the share of the best class is %v on average, want .2 given that it was drawn", mean)
		}
	})
}

// noRaw is a model that continues no raw text.
type noRaw struct{ llm.Model }

func (m noRaw) Can(a llm.Ability) bool { return a != llm.RawPrompt && m.Model.Can(a) }

// bradleyTerry fits rewards to a preference by gradient ascent; weight[i] is how
// often i was compared with the next one.
func bradleyTerry(prefer [][]float64, weight [3]float64) []float64 {
	r := make([]float64, 3)
	for range 2000 {
		g := make([]float64, 3)
		for i := range 3 {
			j := (i + 1) % 3
			d := weight[i] * (prefer[i][j] - 1/(1+math.Exp(r[j]-r[i])))
			g[i], g[j] = g[i]+d, g[j]-d
		}
		for i := range r {
			r[i] += 0.05 * g[i]
		}
	}
	return r
}

func order(r []float64) []int {
	idx := []int{0, 1, 2}
	slices.SortFunc(idx, func(a, b int) int { return int(math.Copysign(1, r[b]-r[a])) })
	return idx
}

func sum(xs []float64) (s float64) {
	for _, x := range xs {
		s += x
	}
	return s
}

// A voter whose scorer lacks its input has no vote; where nobody has one the
// vote fails and says why (TestScorerThatLacksItsInput).
func TestVoterThatCannotBeScored(t *testing.T) {
	m := script.New(func(_ llm.Op, i int) script.Reply {
		if i < 2 {
			return script.Reply{Text: "3"}
		}
		return script.Reply{Tokens: []llm.Token{{Text: "7", LogProb: -0.1}}}
	}, llm.LogProbs)
	v := sampled(control.Fixed(3))
	v.Scorer = likelihood.MeanLogProb()
	if res := run(t, v, number(m)); res.Best.Answer.Text != "7" || len(res.Classes) != 1 || len(res.Pool) != 3 {
		t.Errorf("%q of classes %+v", res.Best.Answer.Text, res.Classes)
	}
}

// A budget that ends within a sample leaves what it bought.
func TestSamplersKeepWhatABudgetBought(t *testing.T) {
	long := continuer(func(written int) string { return steps(written, 90, 1) + "\nAnswer: 7" })
	deep := control.Vote{Stop: control.Fixed(3), Sampler: control.Deepening{Sampling: monitor.DefaultSampling, Start: 16, Growth: 2, Max: 512}}
	res := run(t, deep, newTrial(long, text.Number, llm.Limits{Calls: 2}))
	if len(res.Pool) != 1 || res.Stopped != "budget" || res.Best.Key != "" || len(strings.Fields(res.Best.Text)) < 32 {
		t.Errorf("deepening: %d in the pool, %s: %+v", len(res.Pool), res.Stopped, res.Best)
	}
	step := script.New(func(op llm.Op, i int) script.Reply {
		if op.Role == "judge" {
			return script.Reply{Text: "Verdict: A"}
		}
		return script.Reply{Text: fmt.Sprintf("step %d\n", op.Seed%5)}
	})
	for _, calls := range []int64{3, 20} { // within the first duel, and later
		res = run(t, control.StepSearch(2, (&judge.Judge{}).Duel), newTrial(step, text.Free, llm.Limits{Calls: calls}))
		if len(res.Pool) != 1 || !strings.Contains(res.Stopped, "budget") || !strings.HasPrefix(res.Best.Text, "step") {
			t.Errorf("step search of %d calls: %d in the pool, %s: %+v", calls, len(res.Pool), res.Stopped, res.Best)
		}
	}
	if _, err := deep.Run(t.Context(), newTrial(long, text.Number, llm.Limits{Tokens: 3})); !errors.Is(err, llm.ErrBudget) {
		t.Errorf("a budget for nothing: %v", err)
	}
}

// A model behind a plain chat API, without raw text and log-probabilities: every
// policy answers, or says in a sentence what it lacks.
func TestPoliciesOnAChatModel(t *testing.T) {
	policies := loops()
	policies["self-verify"] = control.SelfVerify(3, 1)
	policies["tournament"] = control.Tournament(3, (&judge.Judge{}).Duel)
	policies["step-search"] = control.StepSearch(2, (&judge.Judge{}).Duel)
	policies["deepening"] = control.Vote{Stop: control.Fixed(2), Sampler: control.Deepening{Start: 8, Growth: 2, Max: 32}}
	policies["cot-decoding"] = control.CoTDecoding(4, likelihood.AnswerSpanGap())
	for name, p := range policies {
		chat := noRaw{script.New(func(op llm.Op, i int) script.Reply {
			if len(op.Request.Messages) > 1 { // a text that is gone on with
				return script.Reply{Text: "Answer: 7"}
			}
			return script.Reply{Text: fmt.Sprintf("1. a way\n2. labelling\nSupports: 2\nVerdict: A\nAnswer: %d", 7+i%2)}
		})}
		res, err := p.Run(t.Context(), free(chat, "How many?"))
		switch {
		case name == "cot-decoding":
			if !errors.Is(err, monitor.ErrMissing) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || res.Best == nil || res.Best.Key == "":
			t.Errorf("%s: %+v, %v", name, res.Best, err)
		}
	}
}
