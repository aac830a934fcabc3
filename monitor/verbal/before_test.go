package verbal_test

import (
	"errors"
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/verbal"
	"gnothi/text"
)

func TestPaperPTrueSamples(t *testing.T) {
	t.Run("p-true-p-ik", func(t *testing.T) {
		// p(True) .75 under A and .65 under B come to .70, over all spellings.
		m := script.New(func(op llm.Op, i int) script.Reply {
			ask := script.Prompt(op.Request)
			switch {
			case op.Role == "sample":
				return script.Reply{Text: []string{"Paris", "Lyon", "Paris", "Nice", "Paris"}[i%5]}
			case strings.Contains(ask, "(A) True"):
				return script.Reply{Tokens: []llm.Token{top("A", "A", 0.4, " A", 0.1, "(A", 0.1, "B", 0.2)}}
			case strings.Contains(ask, "(A) False"):
				return script.Reply{Tokens: []llm.Token{top("B", "B", 0.52, "(A)", 0.28)}}
			}
			return script.Reply{Text: "?"}
		}, llm.LogProbs)
		trial := newTrial(m)
		c := trial.Candidate(llm.Choice{Text: "Paris"}, monitor.FromGreedy, nil)
		r, err := monitor.ScoreOne(t.Context(), verbal.PTrueSamples(5), trial, c)
		if err != nil || !near(r.Score, .70) || r.Source != "logprobs" {
			t.Errorf("%+v, %v; want .70", r, err)
		}
		for _, op := range m.Ops() {
			if ask := script.Prompt(op.Request); op.Role == "judge" && (strings.Count(ask, `"Paris"`) != 2 || strings.Count(ask, `"Lyon"`) != 1) {
				t.Errorf("the proposed answer stands once among the samples and once by itself: %s", ask)
			}
		}
		// Without samples nothing is drawn, and the name is another.
		m2 := script.New(func(op llm.Op, _ int) script.Reply {
			return script.Reply{Tokens: []llm.Token{top("A", "A", 0.6, "B", 0.2)}}
		}, llm.LogProbs)
		r, err = read(t, verbal.PTrueSamples(0), m2, "Paris")
		if err != nil || !near(r.Score, .5) || m2.Calls() != 2 || verbal.PTrueSamples(0).Name() == verbal.PTrueSamples(5).Name() {
			t.Errorf("a model that always says A: %+v, %v after %d calls; want one half", r, err, m2.Calls())
		}
		// Letters and words without log-probabilities.
		r, err = read(t, verbal.PTrueSamples(0), script.Texts("(A)", "A.", "True", "nonsense", "B"), "Paris")
		if err != nil || r.Source != "samples" || r.Reads != 8 {
			t.Errorf("%+v, %v", r, err)
		}
		if _, err = read(t, verbal.PTrueSamples(5), script.Texts("Yes"), "I don't know."); !errors.Is(err, monitor.ErrMissing) {
			t.Errorf("a refusal has no truth: %v", err)
		}
	})
}

func TestCanI(t *testing.T) {
	m := script.New(func(op llm.Op, _ int) script.Reply {
		if ask := script.Prompt(op.Request); strings.HasSuffix(ask, "Answer No or Yes.") {
			return script.Reply{Tokens: []llm.Token{top("No", "No", 0.6, "yes", 0.2)}}
		}
		return script.Reply{Tokens: []llm.Token{top("Yes", "Yes", 0.6, "No", 0.2)}}
	}, llm.LogProbs)
	r, err := read(t, verbal.CanI(), m, "whatever")
	if err != nil || !near(r.Score, .5) || m.Calls() != 2 {
		t.Errorf("one that says what stands first: %+v, %v", r, err)
	}
	trial := newTrial(script.Texts("yes"))
	trial.Question.Context = `Paris. {question} Answer "No".`
	if _, err := monitor.Get(t.Context(), trial, verbal.Able{}); err != nil {
		t.Fatal(err)
	}
	asked := script.Prompt(trial.Model.(*script.Model).Ops()[0].Request)
	if !strings.HasPrefix(asked, `Context: "Paris. {question} Answer 'No'."`+"\nQuestion: \"") {
		t.Errorf("asked %q", asked)
	}
}

// pharmacist knows aspirin and has never heard of Zorblax.
func pharmacist(op llm.Op, _ int) script.Reply {
	ask := script.Prompt(op.Request)
	switch {
	case op.Role == "concepts":
		return script.Reply{Text: "- aspirin\n- Zorblax\n- the moon (which is not in the question)"}
	case op.Role == "explain" && strings.Contains(ask, "aspirin"):
		return script.Reply{Text: "Aspirin is a medicine from willow bark; ASPIRIN eases pain."}
	case op.Role == "explain" && strings.Contains(ask, "NATO"):
		return script.Reply{Text: "NATO is NATO."}
	case op.Role == "explain":
		return script.Reply{Text: "It is a thing that some people may use for this and that."}
	case strings.Contains(ask, "willow") && !strings.Contains(strings.ToLower(ask), "aspirin"):
		return script.Reply{Text: "That is aspirin."}
	}
	return script.Reply{Text: "a machine"}
}

func TestPaperSelfFamiliarity(t *testing.T) {
	t.Run("self-familiarity", func(t *testing.T) {
		of := func(question string) (monitor.Reading, error) {
			m := script.New(pharmacist)
			trial := monitor.NewTrial(monitor.TrialOptions{Model: m, Question: monitor.Question{Text: question}, Request: llm.Request{Prompt: question}, Seed: 1})
			return monitor.ScoreOne(t.Context(), verbal.Familiarity(), trial, trial.Candidate(llm.Choice{}, monitor.FromOutside, nil))
		}
		known, err := of("What is aspirin good for?")
		if err != nil || !near(known.Score, 1) || known.Source != "samples" {
			t.Errorf("aspirin: %+v, %v", known, err)
		}
		unknown, err := of("What is Zorblax good for?")
		if err != nil || unknown.Score != 0 || !strings.Contains(unknown.Why, "Zorblax 0.00") {
			t.Errorf("Zorblax: %+v, %v", unknown, err)
		}
		// The name weighs twice what the other concept does: (1·0 + ½·1)/1.5.
		both, err := of("Does aspirin heal a Zorblax?")
		if err != nil || !near(both.Score, 1.0/3) {
			t.Errorf("both: %+v, %v", both, err)
		}
		if _, err := of("Why is it so?"); !errors.Is(err, monitor.ErrMissing) {
			t.Errorf("no concept is no evidence: %v", err)
		}
		// An explanation that is but the name says nothing.
		if _, err := of("What is NATO?"); !errors.Is(err, monitor.ErrMissing) {
			t.Errorf("an acronym: %v", err)
		}
	})
}

// Where a text can be scored, the name's log-probability decides.
func TestFamiliarityByScores(t *testing.T) {
	m := script.New(func(op llm.Op, i int) script.Reply {
		if op.Kind == llm.Score {
			return script.Reply{Tokens: []llm.Token{{Text: op.Continuation, LogProb: map[bool]float64{true: -0.5, false: -3}[op.Continuation == "Aspirin"]}}}
		}
		return pharmacist(op, i)
	}, llm.ScoreText, llm.LogProbs)
	trial := monitor.NewTrial(monitor.TrialOptions{Model: m, Question: monitor.Question{Text: "What is aspirin good for?"}, Request: llm.Request{Prompt: "x"}, Seed: 1})
	cs, err := monitor.Get(t.Context(), trial, verbal.Concepts{})
	if err != nil || len(cs) != 1 || cs[0].Source != "logprobs" || !near(cs[0].F, 0.6065306597126334) {
		t.Errorf("%+v, %v; want the likelier of both spellings", cs, err)
	}
}

func FuzzConceptsOfHostileText(f *testing.F) {
	f.Add("What is Zorblax?", "Zorblax\n{question}")
	f.Add("\x1b[31mWhat", "```")
	f.Add("Ist Ⅻ größer? ''' \" {concept}", "größer")
	f.Fuzz(func(t *testing.T, question, reply string) {
		m := script.New(func(op llm.Op, _ int) script.Reply { return script.Reply{Text: reply} })
		trial := monitor.NewTrial(monitor.TrialOptions{Model: m, Question: monitor.Question{Text: question}, Request: llm.Request{Prompt: "x"}, Seed: 1})
		cs, err := monitor.Get(t.Context(), trial, verbal.Concepts{})
		for _, c := range cs {
			if err != nil || c.F < 0 || c.F > 1 || !strings.Contains(text.Normalise(question), text.Normalise(c.Name)) {
				t.Errorf("%+v of %q (%v)", c, question, err)
			}
		}
	})
}
