package control_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/monitor/consistency"
	"gnothi/text"
)

// answers is a model that answers greedily with the first text, at a log-probability, and samples the others by index.
func answers(logP float64, greedy string, samples ...string) *script.Model {
	return script.New(func(op llm.Op, i int) script.Reply {
		s := greedy
		if op.Request.Temperature != nil && *op.Request.Temperature > 0 {
			s = samples[i%len(samples)]
		}
		return script.Reply{Text: s, Tokens: script.Words(s, logP)}
	}, llm.LogProbs)
}

func autoWith(more ...control.Offer) control.Auto {
	a := control.DefaultAuto()
	a.More = more
	return a
}

func TestAutoBuysNothingWhereNothingWouldChange(t *testing.T) {
	m := answers(math.Log(0.99), "Paris", "Paris")
	res := run(t, control.DefaultAuto(), newTrial(m, text.Free, llm.Limits{}))
	if m.Calls() != 1 || res.Best.Text != "Paris" || len(res.Bought) != 1 {
		t.Errorf("%d calls for a sure answer; bought %+v", m.Calls(), res.Bought)
	}
}

func TestAutoBuysWhereTheAnswerIsTorn(t *testing.T) {
	// The greedy answer is improbable and the samples agree on another one.
	m := answers(math.Log(0.1), "Lyon", "Paris")
	res := run(t, control.DefaultAuto(), newTrial(m, text.Free, llm.Limits{}))
	if res.Best.Text != "Paris" || len(res.Bought) < 2 {
		t.Fatalf("best %q, bought %+v", res.Best.Text, res.Bought)
	}
	if got := res.Bought[0].Best.Text; got != "Lyon" {
		t.Errorf("the first purchase left %q leading", got)
	}
	if n := len(res.Pool); n >= 40 {
		t.Errorf("drew %d although the samples all agree", n)
	}
	if last := res.Bought[len(res.Bought)-1]; !(last.P > res.Bought[0].P) {
		t.Errorf("no surer after the samples: %+v", res.Bought)
	}
	for i, p := range res.Bought[1:] {
		if p.Gain <= control.DefaultPrice*p.Cost {
			t.Errorf("purchase %d promised %.4f for a cost of %.0f", i+1, p.Gain, p.Cost)
		}
	}
}

// Evidence that cannot lift the answer over the threshold is worth nothing; nor is more of it where the answer stands far
// above.
func TestAutoMindsTheThreshold(t *testing.T) {
	spend := func(threshold, known float64) int {
		m := answers(math.Log(0.05), "a", "b", "b", "c", "a", "b")
		trial := newTrial(m, text.Free, llm.Limits{})
		trial.Threshold = threshold
		trial.Calibrated = func(context.Context, *monitor.Trial, *monitor.Candidate) (float64, bool) { return known, true }
		run(t, control.DefaultAuto(), trial)
		return m.Calls()
	}
	if hopeless, open := spend(0.95, 0.05), spend(0, 0.5); hopeless != 1 || open <= 1 {
		t.Errorf("%d calls where the threshold is out of reach, %d where any answer serves", hopeless, open)
	}
	if unknown, known := spend(0, 0.01), spend(0, 0.5); unknown >= known {
		t.Errorf("%d calls where the model does not know, %d where it may", unknown, known)
	}
}

func TestAutoKeepsWhatABudgetBought(t *testing.T) {
	m := answers(math.Log(0.1), "Lyon", "Paris")
	res := run(t, control.DefaultAuto(), newTrial(m, text.Free, llm.Limits{Calls: 3}))
	if m.Calls() > 3 || res.Stopped != "budget" || res.Best == nil {
		t.Errorf("%d calls, stopped by %q", m.Calls(), res.Stopped)
	}
	_, err := control.DefaultAuto().Run(t.Context(), newTrial(script.New(func(llm.Op, int) script.Reply {
		return script.Reply{Err: errors.New("gone")}
	}), text.Free, llm.Limits{}))
	if err == nil {
		t.Error("no answer and no error")
	}
}

func TestAutoUnreadable(t *testing.T) {
	m := answers(-1, "", "", "")
	res := run(t, control.DefaultAuto(), newTrial(m, text.Number, llm.Limits{}))
	if res.Best == nil || res.Best.Key != "" || len(res.Classes) != 0 {
		t.Errorf("best %+v, classes %+v", res.Best, res.Classes)
	}
}

// verdicts is a signal that passes one answer.
func verdicts(right string) monitor.Signal {
	return monitor.Each("verifier/test", func(_ context.Context, _ *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		if c.Answer.Text == "unspeakable" {
			return monitor.Reading{}, errors.New("cannot be checked")
		}
		r := monitor.Reading{Source: "asked", Reads: 1}
		if c.Answer.Text == right {
			r.Score, r.Raw = 1, 1
		}
		return r, nil
	})
}

func TestAutoBuysAVerdict(t *testing.T) {
	m := answers(math.Log(0.5), "Lyon", "Lyon", "Paris", "Lyon", "Paris", "Lyon")
	check := control.Check{Signal: verdicts("Paris"), Hit: 0.98, Alarm: 0.02}
	res := run(t, autoWith(check), newTrial(m, text.Free, llm.Limits{}))
	if res.Best.Text != "Paris" || res.LogOdds < 1 {
		t.Errorf("best %q with %.2f of log-odds from the verdicts; bought %v", res.Best.Text, res.LogOdds, bought(res))
	}
	if first := res.Bought[1].What; !strings.Contains(first, "verifier") {
		t.Errorf("a free verdict was not bought first: %v", bought(res))
	}
	m = answers(math.Log(0.05), "unspeakable", "Paris", "unspeakable", "Paris")
	if res = run(t, autoWith(control.Check{Signal: verdicts("Paris"), Hit: 0.98, Alarm: 0.02}), newTrial(m, text.Free, llm.Limits{})); res.Best.Text != "Paris" {
		t.Errorf("best %q, bought %v", res.Best.Text, bought(res))
	}
}

func TestAutoAsksAnotherModel(t *testing.T) {
	m := answers(math.Log(0.3), "Lyon", "Nice", "Lyon", "Metz", "Lille")
	big := answers(0, "Paris", "Paris")
	res := run(t, autoWith(control.AskModel(big, "", 0.95, 2)), newTrial(m, text.Free, llm.Limits{}))
	if res.Best.Text != "Paris" || big.Calls() != 1 {
		t.Errorf("best %q after %d calls of the better model; bought %v", res.Best.Text, big.Calls(), bought(res))
	}
	m, big = answers(math.Log(0.99), "Paris", "Paris"), answers(0, "Rome", "Rome")
	if res = run(t, autoWith(control.AskModel(big, "", 0.6, 2)), newTrial(m, text.Free, llm.Limits{})); big.Calls() != 0 {
		t.Errorf("a doubtful second opinion on a sure answer; bought %v", bought(res))
	}
}

// Ambiguity is told from ignorance: answers that follow the readings of a question are asked back about, answers that are as
// scattered within each reading are not.
func TestAutoAsksBack(t *testing.T) {
	model := func(within func(reading string, i int) string) *script.Model {
		return script.New(func(op llm.Op, i int) script.Reply {
			asked := op.Request.Prompt
			for _, m := range op.Request.Messages {
				asked += m.Text
			}
			switch {
			case op.Role == "rewrite":
				return script.Reply{Text: "1. How tall is Michael Jordan, the basketball player?\n2. How old is Michael Jordan, the professor?\nI hope this helps."}
			case strings.Contains(asked, "basketball"):
				return script.Reply{Text: within("player", i)}
			case strings.Contains(asked, "professor"):
				return script.Reply{Text: within("professor", i)}
			}
			return script.Reply{Text: []string{"198", "70"}[i%2]}
		})
	}
	ask := func(m *script.Model) control.Result {
		a := autoWith(control.AskBack{Ambiguous: 0.9})
		a.Price = 0.001
		return run(t, a, newTrial(m, text.Number, llm.Limits{}))
	}
	res := ask(model(func(r string, _ int) string { return map[string]string{"player": "198", "professor": "70"}[r] }))
	if !strings.Contains(res.Clarify, "player?") || !strings.Contains(res.Clarify, "professor?") {
		t.Errorf("asked back %q; bought %v", res.Clarify, bought(res))
	}
	res = ask(model(func(_ string, i int) string { return fmt.Sprint(100 + i) }))
	if res.Clarify != "" {
		t.Errorf("ignorance was taken for ambiguity: %q", res.Clarify)
	}
}

func bought(r control.Result) []string {
	var out []string
	for _, p := range r.Bought {
		out = append(out, fmt.Sprintf("%s (%.4f for %.1f)", p.What, p.Gain, p.Cost))
	}
	return out
}

// world is a simulated model: for each question the log-probability of its greedy answer, 40 draws, and how often each answer
// is given in the long run, which here is also how often it is right.
type world []struct {
	logP   float64
	draws  []int
	shares []float64
}

// simulate draws questions of mixed difficulty from the prior that auto assumes.
func simulate(rng *rand.Rand, n int) world {
	w := make(world, n)
	for i := range w {
		q := &w[i]
		q.logP = -4 * rng.Float64() * rng.Float64()
		u := consistency.AnswerPrior.Urn(q.logP)
		const long = 2000
		for len(q.draws) < long {
			k := u.Sample(rng)
			u.Draw(k)
			q.draws = append(q.draws, k)
			for k >= len(q.shares) {
				q.shares = append(q.shares, 0)
			}
			q.shares[k] += 1. / long
		}
		q.draws = q.draws[:40]
	}
	return w
}

// play runs a policy over the world and gives the mean of being right and of samples paid for.
func (w world) play(t *testing.T, p control.Policy) (right, calls float64) {
	for _, q := range w {
		m := script.New(func(op llm.Op, k int) script.Reply {
			a := 0
			if op.Request.Temperature != nil && *op.Request.Temperature > 0 {
				a = q.draws[k]
			}
			return script.Reply{Text: fmt.Sprint(a), Tokens: script.Words(fmt.Sprint(a), q.logP)}
		}, llm.LogProbs)
		res := run(t, p, newTrial(m, text.Number, llm.Limits{}))
		var k int
		fmt.Sscan(res.Best.Answer.Text, &k)
		right += q.shares[k] / float64(len(w))
		calls += float64(m.Calls()) / float64(len(w))
	}
	return right, calls
}

// On simulated models whose best policy is known, nothing published is worth more than auto at auto's price, and auto is
// close to a clairvoyant who knows the shares and pays for one answer.
func TestAutoIsWorthMost(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates for seconds")
	}
	w := simulate(rand.New(rand.NewPCG(3, 3)), 500)
	independent := control.Independent{Sampling: monitor.DefaultSampling}
	rivals := map[string]control.Policy{"direct": control.Direct()}
	for _, n := range []int{3, 5, 10, 20, 40} {
		rivals[fmt.Sprint("self-consistency ", n)] = control.Vote{Sampler: independent, Stop: control.Fixed(n)}
	}
	for _, conf := range []float64{0.9, 0.95} {
		rivals[fmt.Sprint("adaptive ", conf)] = control.Vote{Sampler: independent, Stop: control.Settled{Conf: conf, Max: 40}}
	}
	rivals["early-stopping"] = control.Vote{Sampler: independent, Stop: control.Window{W: 5, Max: 40}}
	rivals["certified"] = control.Vote{Sampler: independent, Stop: control.Certified{Alpha: 0.05, Max: 40}}
	type score struct{ right, calls float64 }
	scores := map[string]score{}
	for name, p := range rivals {
		right, calls := w.play(t, p)
		scores[name] = score{right, calls}
	}
	best := 0.0
	for _, q := range w {
		best += slices.Max(q.shares) / float64(len(w))
	}
	for _, price := range []float64{0.0005, 0.001, 0.003, 0.01} {
		a := control.DefaultAuto()
		a.Price = price
		right, calls := w.play(t, a)
		t.Logf("auto at a price of %g: right %.4f with %.2f answers; a clairvoyant is right %.4f with 1", price, right, calls, best)
		for name, s := range scores {
			if s.right-price*s.calls > right-price*calls+0.001 {
				t.Errorf("at a price of %g: %s is worth more (%.4f with %.2f answers)", price, name, s.right, s.calls)
			}
			if s.right > right && s.calls < calls {
				t.Errorf("at a price of %g: %s is right more often (%.4f) with less (%.2f)", price, name, s.right, s.calls)
			}
		}
	}
}
