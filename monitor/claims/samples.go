package claims

import (
	"context"
	"errors"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/text"
)

// DefaultSamples is how many samples are drawn where nobody drew any and nobody
// says how many. The papers draw 20; 5 is usable.
const DefaultSamples = 5

// Samples is claims/support-samples, the contextual agent of selfcheckagent
// (Divyasri et al. 2025; its prompt is that of SelfCheckGPT, Manakul et al.
// 2023): for each claim and each sample the model says whether the sample
// supports the claim. Yes is 0, no is 1, anything else one half and counted; raw
// is the mean, the inconsistency, and the score 1 − raw. Chosen, for a tenth of
// the calls: all claims against one sample in one call, numbered; a number
// without a verdict is asked alone. With CoT each pair is asked alone, the model
// reasons, and its last line decides (claims/support-samples-cot); that helps
// strong judges and hurts weak ones. A sample longer than a passage is cut up
// and the best part counts. The candidate itself is never among the samples.
type Samples struct {
	N     int  // samples; 0: those the policy has drawn, else DefaultSamples
	CoT   bool // reason first
	Alone bool // one call for each pair, as published
}

// Name implements [Source].
func (s Samples) Name() string {
	if s.CoT {
		return "claims/support-samples-cot"
	}
	return "claims/support-samples"
}

// Support implements [Source]. Under a ceiling, samples are drawn one by one and
// each is used before the next is drawn.
func (s Samples) Support(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, claims []text.Claim) ([]Support, error) {
	y := newTally(len(claims))
	judge := func(ctx context.Context, sample *monitor.Candidate) {
		a := asker{batch: supportBatch, alone: supportAlone, oneByOne: s.Alone, reasoned: s.CoT}
		if s.CoT {
			a.alone = supportReasoned
		}
		a.against(ctx, t, c.Text, sample.Text, claims, y)
	}
	if t.Ledger.Limits() == (llm.Limits{}) {
		samples, err := others(ctx, t, c, s.N)
		inTurn(ctx, t, len(samples), y.over, func(ctx context.Context, i int) { judge(ctx, samples[i]) })
		return y.end("samples", len(samples), err)
	}
	want := s.N
	if drawn, _ := t.Drawn(); want == 0 {
		if want = len(drawn); want < 2 {
			want = DefaultSamples
		}
	}
	used := 0
	for k := 1; k <= want && !y.over(); k++ {
		samples, err := others(ctx, t, c, k)
		for used < len(samples) && !y.over() {
			judge(ctx, samples[used])
			used++
		}
		if err != nil {
			return y.end("samples", used, err)
		}
	}
	return y.end("samples", used, nil)
}

// end finishes a tally over samples that were drawn, maybe with an error.
func (y *tally) end(source string, n int, err error) ([]Support, error) {
	if err == nil && n == 0 {
		err = &monitor.MissingError{Needs: "samples: all of them are empty or go in circles"}
	}
	if y.err == nil && err != nil {
		out, _ := y.finish(source)
		return out, err
	}
	return y.finish(source)
}

// against judges the claims by one passage, in parts if it is long: a claim is
// supported as far as its best part supports it.
func (a asker) against(ctx context.Context, t *monitor.Trial, whole, passage string, claims []text.Claim, y *tally) {
	best := map[int]verdict{}
	all := llm.Range(0, len(claims))
	for _, part := range partsFor(passage, claims) {
		a.passage = part.text
		got, err := a.ask(ctx, t, whole, claims, part.claims)
		for i, v := range got {
			if old, ok := best[i]; !ok || v.yes > old.yes {
				best[i] = v
			}
		}
		if err != nil {
			y.add(all, best, err)
			return
		}
	}
	y.add(all, best, nil)
}

// others gives the samples that a candidate is held against: n of them, or what
// there is. Empty ones and those that go in circles have no voice.
func others(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, n int) ([]*monitor.Candidate, error) {
	drawn, way := t.Drawn()
	if n == 0 && len(drawn) < 2 {
		n = DefaultSamples
	}
	var err error
	if n > 0 {
		drawn, err = t.Samples(ctx, way, n)
	}
	var out []*monitor.Candidate
	for _, d := range drawn {
		if _, circles := text.Degenerate(d.Text, t.Question.Text); d != c && !circles && text.Sanitise(d.Text) != "" {
			out = append(out, d)
		}
	}
	if err != nil && len(out) > 0 && !errors.Is(err, llm.ErrBudget) && ctx.Err() == nil {
		err = nil // the samples that came are enough to go on
	}
	return out, err
}
