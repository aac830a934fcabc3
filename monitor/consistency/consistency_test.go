package consistency_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/text"
)

func newTrial(m llm.Model) *monitor.Trial {
	return monitor.NewTrial(monitor.TrialOptions{Model: m, Question: monitor.Question{Text: "How many?", Kind: text.Number}, Request: llm.Request{Prompt: "How many?"}, Seed: 1})
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9 }

const refusal = "I cannot answer that."

func TestAgreement(t *testing.T) {
	// The specification's example: 3, 7, 7, a refusal, 7.
	trial := newTrial(script.Texts("3", "It is 7.", "7", refusal, "seven: 7", "no idea at all, friend"))
	cs, err := trial.Samples(t.Context(), monitor.DefaultSampling, 5)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := consistency.Agreement(5).Score(t.Context(), trial, cs)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{1, 3, 3, 1, 3} {
		if r := rs[i]; r.Err != nil || r.Raw != want || !near(r.Score, want/5) || r.Reads != 5 || r.Source != "samples" {
			t.Errorf("sample %d %q: %+v, want %v of 5", i, cs[i].Text, r, want)
		}
	}
	given := func(s string) *monitor.Candidate {
		return trial.Candidate(llm.Choice{Text: s}, monitor.FromOutside, nil)
	}
	for _, c := range []struct {
		answer string
		score  float64
	}{{"7.0", 0.6}, {"8", 0}, {"I don't know.", 0.2}} {
		if r, err := monitor.ScoreOne(t.Context(), consistency.Agreement(5), trial, given(c.answer)); err != nil || !near(r.Score, c.score) {
			t.Errorf("%q: %+v, %v; want %v", c.answer, r, err, c.score)
		}
	}
	// What cannot be read agrees with nothing, not even with its like.
	if r, err := monitor.ScoreOne(t.Context(), consistency.Agreement(6), trial, given("strings are nice")); !errors.Is(err, monitor.ErrMissing) {
		t.Errorf("an unread answer: %+v, %v", r, err)
	}
	// The sixth sample is unread: it counts in the denominator and in no class.
	if r, err := monitor.ScoreOne(t.Context(), consistency.Agreement(6), trial, given("7")); err != nil || !near(r.Score, 0.5) || r.Reads != 6 {
		t.Errorf("with an unread sample: %+v, %v", r, err)
	}
}

func TestEntropy(t *testing.T) {
	h := func(shares ...float64) (h float64) {
		for _, q := range shares {
			h -= q * math.Log(q)
		}
		return h
	}
	for _, c := range []struct {
		texts []string
		raw   float64
	}{
		{[]string{"3", "7", "7", refusal, "7"}, h(0.2, 0.6, 0.2)},
		{[]string{"7", "7", "7", "7"}, 0},
		{[]string{"1", "2", "3"}, math.Log(3)},
		{[]string{"7", "7", "strings", "strings"}, h(0.5, 0.25, 0.25)}, // unread ones have no class in common
	} {
		n := len(c.texts)
		trial := newTrial(script.Texts(c.texts...))
		cs, err := trial.Samples(t.Context(), monitor.DefaultSampling, n)
		if err != nil {
			t.Fatal(err)
		}
		rs, err := consistency.Entropy(n).Score(t.Context(), trial, cs)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if want := 1 - c.raw/math.Log(float64(n)); !near(r.Raw, c.raw) || !near(r.Score, want) || r.Reads != n || r.Score < 0 {
				t.Errorf("%q: %+v, want score %v, raw %v", c.texts, r, want, c.raw)
			}
		}
	}
	trial := newTrial(script.Texts("7"))
	if _, err := consistency.Entropy(1).Score(t.Context(), trial, nil); !errors.Is(err, monitor.ErrMissing) {
		t.Errorf("the entropy of one sample: %v", err)
	}
	// Where nothing could be read there is nothing to say.
	trial = newTrial(script.Texts("strings", "strings"))
	given := trial.Candidate(llm.Choice{Text: "7"}, monitor.FromOutside, nil)
	for _, s := range []monitor.Signal{consistency.Entropy(2), consistency.Agreement(2), consistency.Sets(consistency.ByAnswer)} {
		if r, err := monitor.ScoreOne(t.Context(), s, trial, given); !errors.Is(err, monitor.ErrMissing) {
			t.Errorf("%s without an answer that can be read: %+v, %v", s.Name(), r, err)
		}
	}
}

// A sum in the order of a map would differ in its last bits from run to run.
func TestEntropyIsTheSameEveryTime(t *testing.T) {
	var texts []string
	for class := range 12 {
		for range class + 1 {
			texts = append(texts, fmt.Sprint(class))
		}
	}
	seen := map[float64]bool{}
	for range 50 {
		trial := newTrial(script.Texts(texts...))
		r, err := monitor.ScoreOne(t.Context(), consistency.Entropy(len(texts)), trial, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[r.Raw] = true
	}
	if len(seen) != 1 {
		t.Errorf("%d different values", len(seen))
	}
}

func TestZeroReadsWhatWasDrawn(t *testing.T) {
	for _, c := range []struct {
		drawn, calls, reads int
	}{{0, 10, 10}, {1, 10, 10}, {4, 4, 4}, {17, 17, 17}} {
		model := script.Texts("7")
		trial := newTrial(model)
		how := monitor.Sampling{Temperature: 0.3}
		if c.drawn > 0 {
			if _, err := trial.Samples(t.Context(), how, c.drawn); err != nil {
				t.Fatal(err)
			}
		}
		cand := trial.Candidate(llm.Choice{Text: "7"}, monitor.FromOutside, nil)
		for _, s := range []monitor.Signal{consistency.Agreement(0), consistency.Entropy(0)} {
			if r, err := monitor.ScoreOne(t.Context(), s, trial, cand); err != nil || r.Reads != c.reads || r.Score != 1 {
				t.Errorf("%s after %d samples: %+v, %v", s.Name(), c.drawn, r, err)
			}
		}
		if n := model.Calls(); n != c.calls {
			t.Errorf("%d samples, then two signals: %d calls, want %d", c.drawn, n, c.calls)
		}
	}
}

func TestAFailureToDrawIsNoScore(t *testing.T) {
	trial := newTrial(script.New(func(_ llm.Op, i int) script.Reply {
		if i > 3 {
			return script.Failure(500, "boom")
		}
		return script.Reply{Text: "7"}
	}))
	cand := trial.Candidate(llm.Choice{Text: "7"}, monitor.FromOutside, nil)
	for _, s := range []monitor.Signal{consistency.Agreement(8), consistency.Entropy(8)} {
		if r, err := monitor.ScoreOne(t.Context(), s, trial, cand); err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("%s: %+v, %v", s.Name(), r, err)
		}
	}
	// What came is still good for whoever is content with it.
	if r, err := monitor.ScoreOne(t.Context(), consistency.Agreement(0), trial, cand); err != nil || r.Reads != 4 {
		t.Errorf("agreement with the four that came: %+v, %v", r, err)
	}
}
