package control_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/llmtest"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/monitor/likelihood"
	"gnothi/text"
)

func TestMain(m *testing.M) { llmtest.Main(m) }

const refusal = "I cannot answer that."

func newTrial(m llm.Model, kind text.Kind, limits llm.Limits) *monitor.Trial {
	q := monitor.Question{Text: "How many?", Kind: kind}
	return monitor.NewTrial(monitor.TrialOptions{Model: llm.Metered(m, nil), Question: q, Request: llm.Request{Prompt: q.Text, MaxTokens: 64}, Ledger: llm.NewLedger(limits), Seed: 1})
}

func run(t *testing.T, p control.Policy, trial *monitor.Trial) control.Result {
	t.Helper()
	res, err := p.Run(t.Context(), trial)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func sampled(stop control.Stopper) control.Vote {
	return control.Vote{Sampler: control.Independent{Sampling: monitor.DefaultSampling}, Stop: stop}
}

func TestMajority(t *testing.T) {
	const loop = "7 or so 7 or so 7 or so 7 or so 7 or so 7 or so 7 or so"
	for name, c := range map[string]struct {
		texts   []string
		want    string
		tie     bool
		classes []int // sizes, heaviest first
	}{
		"the specification's example":    {[]string{"3", "7", "7", refusal, "7"}, "7", false, []int{3, 1, 1}},
		"the specification's tie":        {[]string{"3", "7", "3", "7"}, "3", true, []int{2, 2}},
		"a tie for the second place":     {[]string{"3", "7", "7", "3", "7", "9", "9"}, "7", false, []int{3, 2, 2}},
		"unparsed do not vote":           {[]string{"many", "lots", "7", "some"}, "7", false, []int{1}},
		"unread ones do not make a tie":  {[]string{"many", "7"}, "7", false, []int{1}},
		"degenerate ones do not vote":    {[]string{loop, loop, "3"}, "3", false, []int{1}},
		"equal values are one class":     {[]string{"3", "7", "7.0", "The answer is 7."}, "7", false, []int{3, 1}},
		"one sample":                     {[]string{"3"}, "3", false, []int{1}},
		"all alike":                      {[]string{"3", "3", "3"}, "3", false, []int{3}},
		"a refusal first among equals":   {[]string{refusal, "7"}, refusal, true, []int{1, 1}},
		"refusals are a class and win":   {[]string{"7", refusal, "I don't know.", "3"}, refusal, false, []int{2, 1, 1}},
		"nothing read: the first stands": {[]string{"many", "lots"}, "many", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := script.Texts(c.texts...)
			res := run(t, sampled(control.Fixed(len(c.texts))), newTrial(m, text.Number, llm.Limits{}))
			got := res.Best.Answer.Text
			if res.Best.Answer.Status != text.Parsed {
				got = res.Best.Text
			}
			if got != c.want || res.Tie != c.tie {
				t.Errorf("%q: %q, tie %v; want %q, %v", c.texts, got, res.Tie, c.want, c.tie)
			}
			var sizes []int
			for _, class := range res.Classes {
				sizes = append(sizes, len(class.Members))
				if class.Weight != float64(len(class.Members)) {
					t.Errorf("class of %d weighs %v", len(class.Members), class.Weight)
				}
			}
			if !slices.Equal(sizes, c.classes) || len(res.Pool) != len(c.texts) || m.Calls() != len(c.texts) {
				t.Errorf("classes of %v, want %v; %d in the pool for %d calls", sizes, c.classes, len(res.Pool), m.Calls())
			}
		})
	}
}

// The example of the specification once more, with the figures beside the answer.
func TestMajorityWithItsSignals(t *testing.T) {
	trial := newTrial(script.Texts("3", "7", "7", refusal, "7"), text.Number, llm.Limits{})
	res := run(t, sampled(control.Fixed(5)), trial)
	r, err := monitor.ScoreOne(t.Context(), consistency.Agreement(0), trial, res.Best)
	if err != nil || math.Abs(r.Score-0.6) > 1e-12 {
		t.Errorf("agreement %+v, %v; want .6", r, err)
	}
	outcomes := map[text.Outcome]int{}
	for _, c := range res.Pool {
		outcomes[c.Answer.Status]++
	}
	if outcomes[text.Parsed] != 4 || outcomes[text.Refused] != 1 || res.Pool[1] != res.Best {
		t.Errorf("outcomes %v, best is sample %d", outcomes, res.Best.Index)
	}
}

func TestStoppers(t *testing.T) {
	repeat := func(n int, s string) []string { return slices.Repeat([]string{s}, n) }
	for name, c := range map[string]struct {
		stop  control.Stopper
		texts []string
		n     int
	}{
		"fixed": {control.Fixed(6), repeat(9, "7"), 6},
		// P(3,0) = .9375, P(4,0) = .96875.
		"beta, unanimous":                {control.Settled{Conf: 0.95, Max: 40}, repeat(40, "7"), 4},
		"beta in batches":                {control.Settled{Conf: 0.95, Batch: 3, Max: 40}, repeat(40, "7"), 6},
		"beta, one dissent":              {control.Settled{Conf: 0.95, Max: 40}, []string{"7", "3", "7", "7", "7", "7", "7", "7", "7", "7"}, 7},      // (6,1) = .96484
		"beta, two dissents":             {control.Settled{Conf: 0.95, Max: 40}, []string{"3", "3", "7", "7", "7", "7", "7", "7", "7", "7"}, 10},     // (8,2) = .96729
		"beta looks at two classes":      {control.Settled{Conf: 0.95, Max: 40}, []string{"1", "2", "7", "7", "7", "7", "7", "7", "7", "7"}, 8},      // (6,1) though two dissent
		"dirichlet looks at all":         {control.Settled{Conf: 0.95, Max: 40, Dirichlet: true}, append([]string{"1", "2"}, repeat(38, "7")...), 9}, // see TestDirichletIsTheStricter
		"dirichlet, unanimous":           {control.Settled{Conf: 0.95, Max: 40, Dirichlet: true}, repeat(40, "7"), 4},
		"beta never settled":             {control.Settled{Conf: 0.95, Max: 12}, []string{"3", "7"}, 12},
		"beta, the batch is cut at max":  {control.Settled{Conf: 0.95, Batch: 5, Max: 7}, []string{"3", "7"}, 7},
		"beta, unparsed count for none":  {control.Settled{Conf: 0.95, Max: 40}, []string{"hm", "7", "hm", "7", "7", "7"}, 6},
		"beta, nothing read":             {control.Settled{Conf: 0.95, Max: 9}, []string{"hm"}, 9},
		"window, unanimous":              {control.Window{W: 5, Max: 40}, repeat(40, "7"), 5},
		"window, the second":             {control.Window{W: 3, Max: 40}, []string{"7", "3", "7", "7", "7", "7"}, 6},
		"window, not across the border":  {control.Window{W: 3, Max: 9}, []string{"3", "7", "7", "7", "3", "7"}, 9},
		"window, unparsed break it":      {control.Window{W: 3, Max: 6}, []string{"7", "7", "hm"}, 6},
		"window of what cannot be read":  {control.Window{W: 3, Max: 6}, []string{"hm"}, 6},
		"window, never":                  {control.Window{W: 4, Max: 10}, []string{"3", "7"}, 10},
		"window of refusals":             {control.Window{W: 2, Max: 10}, repeat(10, refusal), 2},
		"certified, unanimous":           {control.Certified{Alpha: 0.05, Max: 40}, repeat(40, "7"), 6},
		"certified, never":               {control.Certified{Alpha: 0.05, Max: 15}, []string{"3", "7"}, 15},
		"certified, unparsed are no one": {control.Certified{Alpha: 0.05, Max: 12}, []string{"hm"}, 12},
		"certified, an absurd level":     {control.Certified{Alpha: 2, Max: 5}, repeat(9, "7"), 5},
	} {
		t.Run(name, func(t *testing.T) {
			m := script.Texts(c.texts...)
			res := run(t, sampled(c.stop), newTrial(m, text.Number, llm.Limits{}))
			if len(res.Pool) != c.n || m.Calls() != c.n || res.Stopped != c.stop.String() {
				t.Errorf("stopped at %d of %d calls (%s), want %d", len(res.Pool), m.Calls(), res.Stopped, c.n)
			}
		})
	}
}

// Windows follow each other: three alike across a border are no window.
func TestWindowsDoNotSlide(t *testing.T) {
	if more := (control.Window{W: 3, Max: 9}).More([]int{0, 1, 1, 1}); more != 2 {
		t.Errorf("in the middle of a window %d more, want 2", more)
	}
}

func TestDirichletIsTheStricter(t *testing.T) {
	classes := []int{0, 1, 2, 2, 2, 2, 2, 2} // six against one and one
	beta, dirichlet := control.Settled{Conf: 0.95, Max: 40}, control.Settled{Conf: 0.95, Max: 40, Dirichlet: true}
	if beta.More(classes) != 0 || dirichlet.More(classes) == 0 {
		t.Errorf("beta wants %d more, dirichlet %d", beta.More(classes), dirichlet.More(classes))
	}
}

// A rule reads the samples in the order of their indexes: the order of arrival
// or the number asked for together does not matter.
func TestStoppersReadInIndexOrder(t *testing.T) {
	classes := append([]int{0}, slices.Repeat([]int{1}, 20)...)
	for _, s := range []control.Stopper{control.Settled{Conf: 0.95, Max: 40}, control.Window{W: 2, Max: 40}, control.Certified{Alpha: 0.05, Max: 40}} {
		n := 0
		for n < len(classes) && s.More(classes[:n]) > 0 {
			n++
		}
		// Samples drawn beyond the stop are charged; the rule still says stop at n.
		if n == len(classes) || s.More(classes[:n]) != 0 {
			t.Errorf("%v did not stop", s)
		}
	}
	m := script.Texts("3", "7", "7", "3", "3")
	trial := newTrial(m, text.Number, llm.Limits{})
	if _, err := trial.Samples(t.Context(), monitor.DefaultSampling, 5); err != nil { // someone else drew ahead
		t.Fatal(err)
	}
	res := run(t, sampled(control.Fixed(3)), trial)
	if len(res.Pool) != 3 || res.Best.Answer.Text != "7" || m.Calls() != 5 {
		t.Errorf("later samples voted: best %q of %d", res.Best.Answer.Text, len(res.Pool))
	}
}

func TestAggregators(t *testing.T) {
	for _, c := range []struct {
		a      control.Aggregator
		scores []float64
		want   []float64
	}{
		{control.Mass{}, []float64{1, 0.5, 0}, []float64{1, 0.5, 0}},
		{control.Best{}, []float64{0.2, 0.9, 0.5}, []float64{0, 1, 0}},
		{control.Best{}, []float64{0.9, 0.2, 0.9}, []float64{0.5, 0, 0.5}},
		{control.Borda{P: 1}, []float64{0.9, 0.7, 0.5, 0.1}, []float64{4, 3, 2, 1}},
		{control.Borda{P: 1}, []float64{0.1, 0.9}, []float64{1, 2}},
		{control.Borda{P: 0}, []float64{0.1, 0.9, 0.3}, []float64{1, 1, 1}},
		{control.Borda{P: 2}, []float64{0.1, 0.9, 0.3}, []float64{1, 9, 4}},
		{control.Borda{P: 1}, []float64{0.5, 0.5, 0.1}, []float64{2.5, 2.5, 1}},
		{control.Borda{P: -1}, []float64{0.1, 0.9}, []float64{1, math.Sqrt2}},
	} {
		if got := c.a.Weights(slices.Clone(c.scores)); !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }) {
			t.Errorf("%v of %v: %v, want %v", c.a, c.scores, got, c.want)
		}
	}
	many := make([]float64, 32)
	for i := range many {
		many[i] = float64(i)
	}
	if got := (control.Borda{P: -1}).Weights(many)[31]; math.Abs(got-math.Pow(32, 1.2)) > 1e-9 {
		t.Errorf("the best of 32 weighs %v", got)
	}
}

// scored is a model whose samples have texts and token probabilities.
func scored(texts []string, probs []float64) *script.Model {
	return script.New(func(_ llm.Op, i int) script.Reply {
		return script.Reply{Tokens: []llm.Token{{Text: texts[i], LogProb: math.Log(probs[i])}}}
	}, llm.LogProbs)
}

func TestWeightedVotes(t *testing.T) {
	for name, c := range map[string]struct {
		aggregate control.Aggregator
		texts     []string
		probs     []float64
		want      string
		best      int // index of the representative
		tie       bool
	}{
		"mass":                         {control.Mass{}, []string{"3", "7", "7"}, []float64{0.9, 0.5, 0.6}, "7", 2, false},
		"mass, the sure one outweighs": {nil, []string{"3", "7", "7"}, []float64{0.9, 0.3, 0.4}, "3", 0, false},
		"mass, a tie but for rounding": {nil, []string{"3", "7", "7", "7"}, []float64{0.3, 0.1, 0.1, 0.1}, "3", 0, true},
		"best of n":                    {control.Best{}, []string{"3", "3", "7"}, []float64{0.5, 0.6, 0.7}, "7", 2, false},
		"best of n, a tie":             {control.Best{}, []string{"3", "7"}, []float64{0.5, 0.5}, "3", 0, true},
		"best of n, alike twice":       {control.Best{}, []string{"3", "3"}, []float64{0.5, 0.5}, "3", 0, false},
		// The specification's golden value: order a,b,b,a gives A 4+1, B 3+2: a tie, A came first.
		"borda": {control.Borda{P: 1}, []string{"3", "7", "7", "3"}, []float64{0.9, 0.7, 0.5, 0.1}, "3", 0, true},
		"borda, the tie by who came first": {
			control.Borda{P: 1}, []string{"7", "3", "3", "7"}, []float64{0.7, 0.9, 0.1, 0.5}, "7", 0, true},
		"borda, steep":       {control.Borda{P: 2}, []string{"3", "7", "7", "3"}, []float64{0.9, 0.7, 0.5, 0.1}, "3", 0, false}, // 17 to 13
		"borda, flat":        {control.Borda{P: 0}, []string{"3", "7", "7"}, []float64{0.9, 0.1, 0.2}, "7", 1, false},
		"unread do not rank": {control.Borda{P: 1}, []string{"hm", "7", "3"}, []float64{0.99, 0.5, 0.6}, "3", 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := control.Vote{Sampler: control.Independent{Sampling: monitor.DefaultSampling}, Stop: control.Fixed(len(c.texts)), Scorer: likelihood.SequenceLogProb(), Aggregate: c.aggregate}
			res := run(t, v, newTrial(scored(c.texts, c.probs), text.Number, llm.Limits{}))
			if res.Best.Answer.Text != c.want || res.Best.Index != c.best || res.Tie != c.tie {
				t.Errorf("%q by sample %d, tie %v; want %q by %d, %v", res.Best.Answer.Text, res.Best.Index, res.Tie, c.want, c.best, c.tie)
			}
		})
	}
}

// Sharpening picks the mode: P(y* is among n = 10) is 1 − .8^10 where p(y*) = .2.
func TestSharpening(t *testing.T) {
	texts, probs := []string{"1", "2", "9", "1", "3"}, []float64{0.15, 0.1, 0.2, 0.15, 0.05}
	v := control.Vote{Sampler: control.Independent{Sampling: monitor.Sampling{Temperature: 1}}, Stop: control.Fixed(5), Scorer: likelihood.SequenceLogProb(), Aggregate: control.Best{}}
	if got := run(t, v, newTrial(scored(texts, probs), text.Number, llm.Limits{})).Best.Answer.Text; got != "9" {
		t.Errorf("picked %s", got)
	}
}

func TestScorerThatLacksItsInput(t *testing.T) {
	v := sampled(control.Fixed(3))
	v.Scorer = likelihood.SelfCertainty()
	trial := newTrial(script.Texts("3"), text.Number, llm.Limits{})
	if _, err := v.Run(t.Context(), trial); !errors.Is(err, monitor.ErrMissing) || !strings.Contains(err.Error(), "likelihood/self-certainty") {
		t.Errorf("got %v", err)
	}
}

func TestBudgetInTheMiddleOfAVote(t *testing.T) {
	for limit, want := range map[int64]string{1: "3", 3: "7", 5: "7"} {
		m := script.Texts("3", "7", "7", "3", "7", "3", "3", "3")
		trial := newTrial(m, text.Number, llm.Limits{Calls: limit})
		res := run(t, sampled(control.Fixed(8)), trial)
		if int64(len(res.Pool)) != limit || res.Stopped != "budget" || res.Best.Answer.Text != want || int64(m.Calls()) != limit {
			t.Errorf("budget of %d: %d samples, stopped by %s, answer %s", limit, len(res.Pool), res.Stopped, res.Best.Answer.Text)
		}
	}
	trial := newTrial(script.Texts("3"), text.Number, llm.Limits{Tokens: 3})
	if _, err := sampled(control.Fixed(8)).Run(t.Context(), trial); !errors.Is(err, llm.ErrBudget) {
		t.Errorf("a budget for nothing at all: %v", err)
	}
}

func TestUpstreamFailsInTheMiddleOfAVote(t *testing.T) {
	m := script.New(func(_ llm.Op, i int) script.Reply {
		if i == 3 {
			return script.Failure(503, "gone for lunch")
		}
		return script.Reply{Text: []string{"3", "7", "7", "", "7", "3"}[i]}
	})
	res := run(t, sampled(control.Fixed(6)), newTrial(m, text.Number, llm.Limits{}))
	if len(res.Pool) != 5 || res.Best.Answer.Text != "7" || !strings.Contains(res.Stopped, "gone for lunch") {
		t.Errorf("%d samples, stopped by %q, answer %s", len(res.Pool), res.Stopped, res.Best.Answer.Text)
	}
	dead := script.New(func(llm.Op, int) script.Reply { return script.Failure(503, "gone for lunch") })
	if _, err := sampled(control.Fixed(6)).Run(t.Context(), newTrial(dead, text.Number, llm.Limits{})); err == nil || !strings.Contains(err.Error(), "gone for lunch") {
		t.Errorf("nothing at all: %v", err)
	}
}

func TestVoteStopsWhenItIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := script.New(func(_ llm.Op, i int) script.Reply {
		if i == 4 {
			cancel()
			return script.Reply{Hang: true}
		}
		return script.Reply{Text: fmt.Sprint(i)}
	})
	_, err := sampled(control.Settled{Conf: 0.99, Batch: 4, Max: 40}).Run(ctx, newTrial(m, text.Number, llm.Limits{}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFirstIsTheGreedyAnswer(t *testing.T) {
	m := script.New(func(op llm.Op, i int) script.Reply {
		if op.Role == "answer" {
			return script.Reply{Text: "3"}
		}
		return script.Reply{Text: []string{"7", "3"}[i%2]}
	})
	v := control.Vote{Sampler: control.Independent{Sampling: monitor.DefaultSampling, First: true}, Stop: control.Fixed(5)}
	res := run(t, v, newTrial(m, text.Number, llm.Limits{}))
	if res.Pool[0].Origin != monitor.FromGreedy || len(res.Pool) != 5 || res.Best != res.Pool[0] || len(res.Classes[0].Members) != 3 || m.Calls() != 5 {
		t.Errorf("%d in the pool, the first %s; best %s of %+v", len(res.Pool), res.Pool[0].Origin, res.Best.Answer.Text, res.Classes)
	}
	one := script.Texts("3")
	if res := run(t, control.Direct(), newTrial(one, text.Number, llm.Limits{})); one.Calls() != 1 || res.Best.Origin != monitor.FromGreedy {
		t.Errorf("direct made %d calls for a %s answer", one.Calls(), res.Best.Origin)
	}
}

// A calibrator is keyed by a policy's description: whatever bears on the answer is in it.
func TestPoliciesDescribeThemselves(t *testing.T) {
	warm, first := monitor.Sampling{Temperature: 0.9}, control.Independent{Sampling: monitor.DefaultSampling, First: true}
	base := sampled(control.Fixed(5))
	policies := []control.Policy{
		control.Direct(), control.DefaultAuto(), base, sampled(control.Fixed(6)),
		sampled(control.Settled{Conf: 0.95, Max: 40}), sampled(control.Settled{Conf: 0.9, Max: 40}), sampled(control.Settled{Conf: 0.95, Max: 40, Dirichlet: true}),
		sampled(control.Settled{Conf: 0.95, Max: 40, Batch: 2}), sampled(control.Window{W: 5, Max: 40}), sampled(control.Window{W: 4, Max: 40}), sampled(control.Certified{Alpha: 0.05, Max: 40}),
		control.Vote{Sampler: control.Independent{Sampling: warm}, Stop: base.Stop}, control.Vote{Sampler: first, Stop: base.Stop},
		control.Vote{Sampler: control.Independent{Sampling: monitor.Sampling{Temperature: 0.7, TopP: 0.9}}, Stop: base.Stop},
		control.Vote{Sampler: control.Independent{Sampling: monitor.Sampling{Temperature: 0.7, TopK: 40}}, Stop: base.Stop},
		control.Vote{Sampler: base.Sampler, Stop: base.Stop, Scorer: likelihood.SelfCertainty()},
		control.Vote{Sampler: base.Sampler, Stop: base.Stop, Scorer: likelihood.SelfCertainty(), Aggregate: control.Best{}},
		control.Vote{Sampler: base.Sampler, Stop: base.Stop, Scorer: likelihood.SelfCertainty(), Aggregate: control.Borda{P: 1}},
		control.Vote{Sampler: base.Sampler, Stop: base.Stop, Scorer: likelihood.SelfCertainty(), Aggregate: control.Borda{P: 0.5}},
		control.SelfRefine(2), control.SelfRefine(3),
		control.Cascade{First: control.Direct(), Signal: likelihood.MeanLogProb(), Threshold: 0.5, Next: base},
		control.Cascade{First: control.Direct(), Signal: likelihood.MeanLogProb(), Threshold: 0.6, Next: base},
	}
	seen := map[string]int{}
	for i, p := range policies {
		if j, taken := seen[p.String()]; taken {
			t.Errorf("policies %d and %d are both %q", i, j, p)
		}
		seen[p.String()] = i
	}
}
