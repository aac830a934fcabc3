package consistency_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/text"
)

// synonyms is a model that takes some answers for the same, of whatever is quoted in the prompt.
func synonyms(same func(first, second string) string) *script.Model {
	return script.New(func(op llm.Op, _ int) script.Reply {
		p := op.Request.Messages[0].Text
		between := func(a, b string) string {
			_, rest, _ := strings.Cut(p, a)
			said, _, _ := strings.Cut(rest, b)
			return strings.Trim(strings.TrimSpace(said), `"`)
		}
		return script.Reply{Text: same(between("First answer:", "Second answer:"), between("Second answer:", "\n"))}
	}, llm.LogProbs)
}

func meant(m llm.Model, answer string, samples ...string) (*monitor.Trial, *monitor.Candidate, *llm.Ledger) {
	ledger := llm.NewLedger(llm.Limits{})
	given := monitor.Given{Answer: &llm.Choice{Text: answer}}
	for _, s := range samples {
		given.Samples = append(given.Samples, llm.Choice{Text: s, Tokens: []llm.Token{{Text: s, LogProb: -1}}})
	}
	o := monitor.TrialOptions{Question: monitor.Question{Text: "Where?", Kind: text.Free}, Ledger: ledger, Seed: 1}
	if m != nil {
		o.Model = llm.Metered(m, nil)
	}
	t, c := monitor.NewGiven(o, given)
	return t, c, ledger
}

func TestClassesOfMeaning(t *testing.T) {
	city := map[string]string{"Paris": "P", "the French capital": "P", "Lutetia": "P", "Lyon": "L", "Rome": "R"}
	model := synonyms(func(a, b string) string {
		if city[a] == city[b] {
			return "Yes."
		}
		return "No."
	})
	trial, c, ledger := meant(model, "Lutetia", "Paris", "the French capital", "Paris", "Lyon", "Lyon", "Rome")
	for _, want := range []struct {
		s   monitor.Signal
		raw float64
	}{
		{consistency.AgreementBy(0, consistency.ByMeaning), 3},
		{consistency.Agreement(0), 0},
		{consistency.Sets(consistency.ByMeaning), 3},
		{consistency.Sets(consistency.ByAnswer), 4},
		{consistency.EntropyBy(0, consistency.ByMeaning), -(3./6*math.Log(3./6) + 2./6*math.Log(2./6) + 1./6*math.Log(1./6))},
		{consistency.SemanticEntropy(consistency.ByMeaning), -(3./6*math.Log(3./6) + 2./6*math.Log(2./6) + 1./6*math.Log(1./6))},
	} {
		r, err := monitor.ScoreOne(t.Context(), want.s, trial, c)
		if err != nil || math.Abs(r.Raw-want.raw) > 1e-12 {
			t.Errorf("%s: %+v, %v; want %v", want.s.Name(), r, err, want.raw)
		}
	}
	// Of the 5 different answers at most each pair is asked about, both ways, once for all signals.
	if n := ledger.ByRole()["same"].Calls; n == 0 || n > 20 {
		t.Errorf("%d calls", n)
	}
	// One way round is not enough.
	trial, c, _ = meant(synonyms(func(a, _ string) string {
		if a == "Paris" {
			return "Yes"
		}
		return "No"
	}), "Paris", "Lyon", "Rome")
	if r, err := monitor.ScoreOne(t.Context(), consistency.AgreementBy(0, consistency.ByMeaning), trial, c); err != nil || r.Raw != 0 {
		t.Errorf("a yes in one order only: %+v, %v", r, err)
	}
	// What is neither yes nor no joins nothing; without a model it is missing.
	trial, c, _ = meant(synonyms(func(string, string) string { return "Perhaps." }), "Paris", "Lyon", "Rome")
	if r, err := monitor.ScoreOne(t.Context(), consistency.Sets(consistency.ByMeaning), trial, c); err != nil || r.Raw != 2 {
		t.Errorf("no verdicts: %+v, %v", r, err)
	}
	trial, c, _ = meant(nil, "Paris", "Lyon", "Rome")
	if r, err := monitor.ScoreOne(t.Context(), consistency.Sets(consistency.ByMeaning), trial, c); !errors.Is(err, monitor.ErrMissing) || !strings.Contains(err.Error(), "a model to ask") {
		t.Errorf("nobody to ask: %+v, %v", r, err)
	}
}

func TestInferenceByPrompt(t *testing.T) {
	tops := func(pairs ...any) script.Reply {
		tok := llm.Token{Text: pairs[0].(string), LogProb: math.Log(pairs[1].(float64))}
		for i := 0; i < len(pairs); i += 2 {
			tok.Top = append(tok.Top, llm.TopToken{Text: pairs[i].(string), LogProb: math.Log(pairs[i+1].(float64))})
		}
		return script.Reply{Tokens: []llm.Token{tok}}
	}
	for name, c := range map[string]struct {
		reply          script.Reply
		entail, contra float64
	}{
		"probabilities":     {tops("A", .6, " B", .2, "C", .1, "(c", .1), .6, .2},
		"renormalised":      {tops("A", .4, "C", .4, "Well", .2), .5, .5},
		"mostly other text": {tops("I", .8, "A", .1, "C", .1), 0, 0},
		"no probabilities":  {script.Reply{Text: " (C) wrong"}, 0, 1},
		"a word":            {script.Reply{Text: "Absolutely"}, 0, 0},
		"nothing":           {script.Reply{Text: ""}, 0, 0},
	} {
		trial, greedy, _ := meant(script.New(func(llm.Op, int) script.Reply { return c.reply }, llm.LogProbs), "Paris", "Lyon", "Lyon", "Paris")
		x, err := monitor.Get(t.Context(), trial, consistency.Inferences{Of: greedy})
		if err != nil || x.Entail.N != 4 || math.Abs(x.Entail.At(0, 1)-c.entail) > 1e-9 || math.Abs(x.Contra.At(1, 0)-c.contra) > 1e-9 {
			t.Errorf("%s: %+v, %v; want %v, %v", name, x, err, c.entail, c.contra)
		}
		if x.Entail.At(1, 2) != 1 || x.Entail.At(0, 3) != 1 || x.Contra.At(3, 0) != 0 {
			t.Errorf("%s: equal answers do not entail one another: %+v", name, x)
		}
	}
	// Two different answers: two ordered pairs, however many samples and signals.
	trial, greedy, ledger := meant(script.New(func(llm.Op, int) script.Reply { return script.Reply{Text: "C"} }), "Paris", "Lyon", "Lyon", "Paris", "Lyon")
	for _, s := range []monitor.Signal{consistency.NonContradiction(), consistency.Entailed(), consistency.Kernel(), consistency.Unsupported(), consistency.EntropyBy(0, consistency.ByInference)} {
		if r, err := monitor.ScoreOne(t.Context(), s, trial, greedy); err != nil {
			t.Errorf("%s: %+v, %v", s.Name(), r, err)
		}
	}
	if n := ledger.ByRole()["nli"].Calls; n != 2 {
		t.Errorf("%d calls for two answers", n)
	}
}

func TestGivenEvidenceAsksNobody(t *testing.T) {
	trial, c, _ := meant(nil, "Paris")
	for _, s := range []monitor.Signal{consistency.Agreement(0), consistency.Entropy(0), consistency.Lexical(consistency.RougeL), consistency.NonContradiction(), consistency.ExactMatch()} {
		if r, err := monitor.ScoreOne(t.Context(), s, trial, c); !errors.Is(err, monitor.ErrMissing) || !strings.Contains(err.Error(), "samples") {
			t.Errorf("%s: %+v, %v", s.Name(), r, err)
		}
	}
	trial, c, _ = meant(nil, "Paris", "Lyon", "Paris")
	if r, err := monitor.ScoreOne(t.Context(), consistency.Kernel(), trial, c); !errors.Is(err, monitor.ErrMissing) || !strings.Contains(err.Error(), `"nli"`) {
		t.Errorf("inference: %+v, %v", r, err)
	}
	if in, ok := monitor.NeedsOf(consistency.Density()); !ok || in != monitor.Samples|monitor.Inference|monitor.AnswerTokens|monitor.SampleTokens {
		t.Errorf("semantic density needs %b, %v", in, ok)
	}
	if _, ok := monitor.NeedsOf(consistency.Sets(consistency.ByMeaning)); ok {
		t.Error("a signal that asks says that evidence suffices")
	}
}
