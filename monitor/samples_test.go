package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/text"
)

var warm = monitor.Sampling{Temperature: 1}

// numbered says its seed, so that texts tell which draw they come from.
func numbered() *script.Model {
	return script.New(func(op llm.Op, i int) script.Reply {
		return script.Reply{Text: strconv.FormatUint(llm.SeedOf(op.Seed, i), 10)}
	})
}

func samples(t *testing.T, trial *monitor.Trial, s monitor.Sampling, n int) []*monitor.Candidate {
	t.Helper()
	cs, err := trial.Samples(t.Context(), s, n)
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

func indexes(cs []*monitor.Candidate) []int {
	var out []int
	for _, c := range cs {
		out = append(out, c.Index)
	}
	return out
}

func TestPoolDrawsOnlyTheDifference(t *testing.T) {
	model := numbered()
	trial := newTrial(model, text.Number, nil)
	var heard []int
	trial.Progress = func(n int) { heard = append(heard, n) }
	five, eight, three := samples(t, trial, warm, 5), samples(t, trial, warm, 8), samples(t, trial, warm, 3)
	if n := model.Calls(); n != 8 {
		t.Errorf("8 samples cost %d calls", n)
	}
	if !slices.Equal(five, eight[:5]) || !slices.Equal(three, eight[:3]) {
		t.Error("the pool gave other candidates for the same indexes")
	}
	if got := indexes(eight); !slices.Equal(got, llm.Range(0, 8)) {
		t.Errorf("indexes %v", got)
	}
	if !slices.Equal(heard, []int{5, 8}) {
		t.Errorf("progress heard %v", heard)
	}
	drawn, how := trial.Drawn()
	if !slices.Equal(drawn, eight) || how != warm {
		t.Errorf("drawn %d with %+v", len(drawn), how)
	}
	// Another way of sampling is another pool; the texts a caller holds stay.
	samples(t, trial, monitor.Sampling{Temperature: 1, TopK: 5}, 2)
	if n := model.Calls(); n != 10 || len(eight) != 8 {
		t.Errorf("%d calls", n)
	}
}

func TestPoolUnderConcurrentDemand(t *testing.T) {
	model := numbered()
	trial := newTrial(model, text.Number, nil)
	var wg sync.WaitGroup
	for n := range 13 {
		wg.Go(func() {
			cs, err := trial.Samples(t.Context(), warm, n)
			if err != nil || !slices.Equal(indexes(cs), indexes(cs[:n])) || len(cs) != n {
				t.Errorf("%d samples: %v, %v", n, indexes(cs), err)
			}
			trial.Drawn()
		})
	}
	wg.Wait()
	if n := model.Calls(); n != 12 {
		t.Errorf("12 samples cost %d calls", n)
	}
}

func TestSamplesDoNotDependOnHowTheyAreAskedFor(t *testing.T) {
	texts := func(steps ...int) (out []string) {
		trial := newTrial(numbered(), text.Number, nil)
		for _, n := range steps {
			samples(t, trial, warm, n)
		}
		for _, c := range samples(t, trial, warm, 6) {
			out = append(out, c.Text)
		}
		return out
	}
	once := texts()
	if stepwise := texts(1, 2, 5); !slices.Equal(once, stepwise) {
		t.Errorf("at once %v, stepwise %v", once, stepwise)
	}
	slices.Sort(once)
	if len(slices.Compact(once)) != 6 {
		t.Errorf("samples share a seed: %v", once)
	}
}

func TestGreedyIsOneAnswer(t *testing.T) {
	model := numbered()
	trial := newTrial(model, text.Number, nil)
	if cs := samples(t, trial, monitor.Sampling{}, 7); len(cs) != 1 || cs[0].Origin != monitor.FromGreedy {
		t.Errorf("%d greedy answers", len(cs))
	}
	g, err := monitor.Get(t.Context(), trial, monitor.Greedy{})
	if err != nil || g != samples(t, trial, monitor.Sampling{}, 1)[0] || model.Calls() != 1 {
		t.Errorf("greedy evidence: %v, %v, %d calls", g, err, model.Calls())
	}
	op := model.Ops()[0]
	if *op.Request.Temperature != 0 || op.Role != "answer" {
		t.Errorf("asked with temperature %v as %s", *op.Request.Temperature, op.Role)
	}
}

func TestSamplingReachesTheRequest(t *testing.T) {
	model := script.New(func(llm.Op, int) script.Reply { return script.Reply{Text: "4"} }, llm.LogProbs)
	trial := newTrial(model, text.Number, nil)
	samples(t, trial, monitor.Sampling{Temperature: 0.6, TopP: 0.9, TopK: 40}, 2)
	r := model.Ops()[0].Request
	if *r.Temperature != 0.6 || *r.TopP != 0.9 || r.TopK != 40 || !r.LogProbs {
		t.Errorf("request %+v", r)
	}
	if trial.Request.Temperature != nil || trial.Request.LogProbs {
		t.Error("drawing changed the trial's own request")
	}
}

func TestBudgetEndsTheDrawingWithWhatThereIs(t *testing.T) {
	for name, limits := range map[string]llm.Limits{"calls": {Calls: 7}, "tokens": {Tokens: 50}} {
		t.Run(name, func(t *testing.T) {
			model, ledger := numbered(), llm.NewLedger(limits)
			trial := newTrial(llm.Metered(model, nil), text.Number, ledger)
			trial.Request.MaxTokens = 1
			cs, err := trial.Samples(t.Context(), warm, 20)
			if !errors.Is(err, llm.ErrBudget) || len(cs) < 3 || len(cs) > 19 {
				t.Fatalf("%d samples, %v", len(cs), err)
			}
			if name == "calls" && len(cs) != 7 {
				t.Errorf("7 calls bought %d samples", len(cs))
			}
			if got := indexes(cs); !slices.Equal(got, llm.Range(0, len(cs))) {
				t.Errorf("indexes %v", got)
			}
			if spent := ledger.Spent(); spent.Calls != int64(len(cs)) || limits.Tokens > 0 && spent.Tokens() > limits.Tokens {
				t.Errorf("spent %+v for %d samples", spent, len(cs))
			}
			if again, err := trial.Samples(t.Context(), warm, len(cs)); err != nil || !slices.Equal(cs, again) {
				t.Errorf("what was bought is gone: %v", err)
			}
		})
	}
}

func TestSamplesAfterAFailureKeepTheirPlaces(t *testing.T) {
	var tries atomic.Int32
	model := script.New(func(_ llm.Op, i int) script.Reply {
		if i == 1 && tries.Add(1) == 1 {
			return script.Failure(500, "boom")
		}
		return script.Reply{Text: strconv.Itoa(i)}
	})
	trial := newTrial(model, text.Number, nil)
	cs, err := trial.Samples(t.Context(), warm, 4)
	if err == nil || !slices.Equal(indexes(cs), []int{0, 2, 3}) {
		t.Fatalf("%v, %v; want the three that came and the failure", indexes(cs), err)
	}
	all := samples(t, trial, warm, 4)
	if !slices.Equal(indexes(all), []int{0, 1, 2, 3}) || all[2] != cs[1] {
		t.Errorf("then %v", indexes(all))
	}
	if last := model.Ops()[1]; !slices.Equal(last.Indices, []int{1}) {
		t.Errorf("asked again for %v, want what was missing", last.Indices)
	}
}

// odd is a model that breaks the contract.
type odd struct {
	llm.Model
	choices func(llm.Op) []llm.Choice
}

func (o odd) Do(_ context.Context, op llm.Op) (*llm.Result, error) {
	return &llm.Result{Choices: o.choices(op)}, nil
}

func TestModelsThatBreakTheContract(t *testing.T) {
	for name, choices := range map[string]func(llm.Op) []llm.Choice{
		"nothing":       func(llm.Op) []llm.Choice { return nil },
		"other indexes": func(llm.Op) []llm.Choice { return []llm.Choice{{Index: 99, Text: "4"}, {Index: -1, Text: "5"}} },
	} {
		trial := newTrial(odd{script.Texts(""), choices}, text.Number, nil)
		if cs, err := trial.Samples(t.Context(), warm, 3); err == nil || len(cs) != 0 {
			t.Errorf("%s: %v, %v", name, indexes(cs), err)
		}
		if name == "nothing" {
			if _, err := trial.Ask(t.Context(), llm.Op{}); err == nil {
				t.Error("Ask took no choice for an answer")
			}
		}
	}
	// One at a time, twice over and unasked ones: what is right is taken.
	trial := newTrial(odd{script.Texts(""), func(op llm.Op) []llm.Choice {
		c := llm.Choice{Index: op.Index(0), Text: "4"}
		return []llm.Choice{c, c, {Index: 50, Text: "5"}}
	}}, text.Number, nil)
	if got := indexes(samples(t, trial, warm, 3)); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("got %v", got)
	}
}

func TestWaitingForThePoolCanBeLeft(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	trial := newTrial(script.New(func(llm.Op, int) script.Reply {
		close(began)
		<-release
		return script.Reply{Text: "4"}
	}), text.Number, nil)
	done := make(chan struct{})
	go func() { defer close(done); samples(t, trial, warm, 1) }()
	await(t, "the first draws", began)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := trial.Samples(ctx, warm, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	await(t, "the first has its sample", done)
}

func TestChildHasItsOwnPoolAndSeeds(t *testing.T) {
	model, ledger := numbered(), llm.NewLedger(llm.Limits{})
	trial := newTrial(llm.Metered(model, nil), text.Number, ledger)
	seen := map[string]string{}
	for name, tr := range map[string]*monitor.Trial{
		"parent": trial, "x 0": trial.Child("x", 0, nil, llm.Request{}), "x 1": trial.Child("x", 1, nil, llm.Request{}),
		"y 0": trial.Child("y", 0, nil, llm.Request{}), "x 0 x 0": trial.Child("x", 0, nil, llm.Request{}).Child("x", 0, nil, llm.Request{}),
	} {
		if tr.Question.Text != trial.Question.Text || len(tr.Request.Messages) != 1 {
			t.Errorf("%s lost the question", name)
		}
		said := samples(t, tr, warm, 1)[0].Text
		if other, taken := seen[said]; taken {
			t.Errorf("%s and %s have the same seed", name, other)
		}
		seen[said] = name
	}
	if n := ledger.Spent().Calls; n != 5 {
		t.Errorf("five trials charged %d calls to the one ledger", n)
	}
	again := samples(t, trial.Child("x", 1, nil, llm.Request{}), warm, 1)[0].Text
	if seen[again] != "x 1" {
		t.Errorf("the same child has another seed: %s", again)
	}
	other := trial.Child("z", 0, script.Texts("9"), llm.Request{Prompt: "9?"})
	if got := samples(t, other, warm, 1)[0]; got.Text != "9" || other.Request.Prompt != "9?" {
		t.Errorf("a child with a model of its own said %q", got.Text)
	}
}

func TestSeedsAreFixedByTheirPath(t *testing.T) {
	a, b := idle(), idle()
	if a.SeedFor("sample", 3) != b.SeedFor("sample", 3) {
		t.Error("the same use has two seeds")
	}
	seen := map[uint64]string{}
	for _, name := range []string{"sample", "verdict"} {
		for i := range 100 {
			s := a.SeedFor(name, i)
			if s == 0 || s >= llm.MaxSeed || seen[s] != "" {
				t.Errorf("%s %d: seed %d, taken by %q", name, i, s, seen[s])
			}
			seen[s] = fmt.Sprint(name, i)
		}
	}
}

func TestCandidateReadsTheReply(t *testing.T) {
	trial := idle()
	loop := "seven strings and seven strings and seven strings and seven strings and seven strings and seven strings"
	for _, c := range []struct {
		reply  string
		status text.Outcome
		key    bool
	}{
		{"It has 4 strings.", text.Parsed, true},
		{"I cannot answer that.", text.Refused, true},
		{"Well, strings are nice.", text.Unparsed, false},
		{"", text.Unparsed, false},
		{"\x1b[31mnone\x1b[0m", text.Unparsed, false},
		{"\x1b[31m4\x1b[0m", text.Parsed, true},
		{loop, text.Unparsed, false},
		{trial.Question.Text, text.Unparsed, false},
	} {
		got := trial.Candidate(llm.Choice{Text: c.reply}, monitor.FromOutside, nil)
		if got.Answer.Status != c.status || (got.Key != "") != c.key || got.Text != c.reply {
			t.Errorf("%q: %v with key %q, want %v", c.reply, got.Answer.Status, got.Key, c.status)
		}
		if c.status == text.Parsed && got.Answer.Text != "4" {
			t.Errorf("%q: read as %q", c.reply, got.Answer.Text)
		}
	}
}
