package judge

import (
	"context"
	"fmt"
	"math"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
)

// Verification is whether a claim or an answer holds.
type Verification struct {
	P      float64    // the probability that it holds, in [0,1]
	Holds  bool       // P above ½
	Orders [2]float64 // P when Yes was named first, and when No was
	// Place is 1 where in both wordings the word named first won, −1 where the
	// second did, 0 otherwise.
	Place  int
	Source string // logprobs, samples, votes
	Panel  []Vote // of a panel, one a member
	Length int    // of the candidate, in characters
	Count  Count
}

var verifyTemplate = prompt.Template{Name: "verify", Version: 1, Text: "{shown}What is to be verified:\n{0}\n\nDoes it hold, going by the material above where there is any and else by what you know? What counts: {rubric}.\n{closing}"}

// Verify says how likely a candidate, as an answer to the trial's question or a
// claim about its context, is to hold. It is asked twice, with Yes named first
// and with No.
func (j *Judge) Verify(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (Verification, error) {
	return monitor.Get(ctx, t, verified{j, c})
}

type verified struct {
	judge     *Judge
	candidate *monitor.Candidate
}

// Gather implements monitor.Evidence.
func (e verified) Gather(ctx context.Context, t *monitor.Trial) (Verification, error) {
	j := e.judge
	if err := j.check(); err != nil {
		return Verification{}, err
	}
	if len(j.Panel) == 0 {
		return j.verify(ctx, t, e.candidate)
	}
	out := Verification{Source: "panel", Length: runes(e.candidate.Text)}
	n, one, places := 0.0, j.single(), 0.0
	seats, err := j.seats(ctx, t)
	if err != nil {
		return Verification{}, err
	}
	for _, seat := range seats {
		v, err := one.verify(ctx, seat, e.candidate)
		out.Count.add(v.Count)
		if err != nil && !tolerable(err) {
			return Verification{}, err
		}
		vote := Vote{seat.Model.ID().String(), v.P, err}
		if err != nil {
			vote.Value = math.NaN()
		} else {
			n, out.P, places = n+1, out.P+v.P, places+float64(v.Place)
			out.Orders[0] += v.Orders[0]
			out.Orders[1] += v.Orders[1]
		}
		out.Panel = append(out.Panel, vote)
	}
	if n == 0 {
		return out, fmt.Errorf("judge: verify: a panel of %d: %w", len(out.Panel), ErrUnparsed)
	}
	out.P, out.Orders[0], out.Orders[1] = out.P/n, out.Orders[0]/n, out.Orders[1]/n
	out.Holds = out.P > 0.5
	if math.Abs(places) > n/2 {
		out.Place = int(math.Copysign(1, places))
	}
	return out, nil
}

func (j *Judge) verify(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (Verification, error) {
	out := Verification{Length: runes(c.Text)}
	texts, err := j.shown(ctx, t, c)
	if err != nil {
		return out, err
	}
	for k, words := range [][]string{{"yes", "no"}, {"no", "yes"}} {
		verdict := `"Verdict: Yes" or "Verdict: No".`
		if k == 1 {
			verdict = `"Verdict: No" or "Verdict: Yes".`
		}
		text, err := j.fill(ctx, t, verifyTemplate, texts, "{closing}", j.closing("First say in a few sentences what speaks for and against it.", verdict))
		if err != nil {
			return out, err
		}
		p, err := j.poll(ctx, t, text, reader{words: words, reason: j.Reason})
		if err != nil {
			return out, err
		}
		out.Count.add(p.count())
		if err := p.missing("verify"); err != nil {
			return out, err
		}
		out.Orders[k], out.Source = p.p[k], p.source
	}
	out.P = (out.Orders[0] + out.Orders[1]) / 2
	out.Holds = out.P > 0.5
	switch {
	case out.Orders[0] > 0.5 && out.Orders[1] < 0.5:
		out.Place = 1
	case out.Orders[0] < 0.5 && out.Orders[1] > 0.5:
		out.Place = -1
	}
	return out, nil
}
