package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gnothi"
	"gnothi/control"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/monitor/claims"
	"gnothi/monitor/consistency"
	"gnothi/monitor/verbal"
	"gnothi/text"
)

type sureIn struct {
	Question  string            `json:"question" jsonschema:"what the draft answers"`
	Draft     string            `json:"draft" jsonschema:"your own answer or plan, not yet given"`
	Context   string            `json:"context,omitempty" jsonschema:"text that you had to answer from"`
	Options   map[string]string `json:"options,omitempty" jsonschema:"the answers to choose from, by key; draft is then a key or its text"`
	Samples   *int              `json:"samples,omitempty" jsonschema:"answers of this server's model to compare with, 2 to 50; default 5"`
	Threshold *float64          `json:"threshold,omitempty" jsonschema:"how sure you want to be, 0 to 1; default 0.5"`
	Policy    string            `json:"policy,omitempty" jsonschema:"how this server's model answers the question; default: the server's"`
	Budget    *Budget           `json:"budget,omitempty" jsonschema:"ceilings of this call"`
}

func (in sureIn) ceilings() *Budget { return in.Budget }

type sureOut struct {
	Decision control.Decision `json:"decision" jsonschema:"answer: give the draft; hedge: give it with its doubt; clarify: ask back or look it up; abstain: do not give it"`
	Why      string           `json:"why" jsonschema:"the decision's reason in a sentence"`
	// Probability is the model's own answer's, so it is the draft's only where the two are the same.
	Probability *float64              `json:"probability" jsonschema:"that the draft is right; only where the model's own answer is the same"`
	Interval    *[2]float64           `json:"interval"`
	AtMost      *float64              `json:"at_most,omitempty" jsonschema:"the most that it can be, where the model's own answer is another one and only one can be right"`
	Calibration calibrate.Calibration `json:"calibration" jsonschema:"what probability and at_most rest on"`
	Score       *float64              `json:"score" jsonschema:"mean of the evidence, 0 to 1; no probability"`
	Evidence    []gnothi.Signal       `json:"evidence" jsonschema:"what was read of the draft, 0 to 1, higher speaks for it"`
	Against     []objection           `json:"against" jsonschema:"what speaks against the draft, heaviest first"`
	Claims      []claim               `json:"claims,omitempty" jsonschema:"of a longer draft: its claims, held against the model's own answers"`
	Own         string                `json:"own_answer" jsonschema:"what this server's model answers"`
	Samples     int                   `json:"samples"`
	Agreeing    int                   `json:"agreeing" jsonschema:"samples that answer as the draft does; of a longer draft see claims"`
	Clarify     string                `json:"clarify,omitempty" jsonschema:"what to ask back"`
	Missing     map[string]string     `json:"missing,omitempty" jsonschema:"evidence that could not be had, and why"`
	Stopped     string                `json:"stopped,omitempty" jsonschema:"why less was gathered than asked"`
	Model       string                `json:"model"`
	Spend       gnothi.Spend          `json:"spend"`
}

// objection is something that speaks against a draft.
type objection struct {
	What   string  `json:"what" jsonschema:"another answer, an unsupported claim, or what the model says when it is asked"`
	Weight float64 `json:"weight" jsonschema:"0 to 1: share of samples, lack of support, or probability of no"`
}

// shortDraft is up to how many words a draft is compared as an answer; a longer
// one is taken apart into claims (chosen).
const shortDraft = 8

func addSure(s *Server) error {
	return add(s, tool{"am_i_sure", "Am I sure?", "Before you give an answer or carry out a plan: hold your draft against what the model behind this server answers, several times, " +
		"and against what it says when asked whether the draft is right. Says how sure one can be, what speaks against the draft, and whether to give it, ask back or abstain."}, sure)
}

// sure asks the question as ask does and goes on in the same trial: what was drawn
// for the answer is compared with the draft.
func sure(ctx context.Context, c *call, in sureIn) (out sureOut, err error) {
	n := orElse(in.Samples, 5)
	q, err := question(in.Question, in.Context, in.Options)
	if err := cmp.Or(err, filled("draft", in.Draft), within("samples", n, 2, 50)); err != nil {
		return out, err
	}
	rule, err := c.rule(in.Threshold, nil)
	if err != nil {
		return out, err
	}
	if in.Threshold == nil {
		rule.Threshold = cmp.Or(rule.Threshold, 0.5)
	}
	mind, err := c.Mind(in.Policy, gnothi.WithRule(rule), gnothi.WithProgress(func(n int) { c.progress(n, "samples") }))
	if err != nil {
		return out, err
	}
	b, err := mind.Ask(ctx, q)
	if err != nil {
		return out, err
	}
	t, best := b.Study.Trial, b.Study.Result.Best
	out = sureOut{Own: *b.Answer, Calibration: b.Calibration, Clarify: b.Clarify, Missing: map[string]string{}, Against: []objection{}, Evidence: []gnothi.Signal{}, Model: b.Model}

	_, how := t.Drawn()
	if how.Temperature == 0 {
		how = monitor.DefaultSampling
	}
	drawn, err := t.Samples(ctx, how, n)
	if err := out.cut(ctx, err); err != nil {
		return out, err
	}
	out.Samples = len(drawn)
	draft := t.Candidate(llm.Choice{Text: shown(in.Draft, t.Question)}, monitor.FromOutside, nil)
	short := draft.Answer.Status == text.Parsed && len(strings.Fields(in.Draft)) <= shortDraft || len(in.Options) > 0
	if short {
		err = out.compare(ctx, t, draft, drawn)
	} else {
		err = out.claimed(ctx, t, draft, len(drawn))
	}
	if err != nil {
		return out, err
	}
	readings, missing, err := gnothi.Read(ctx, t, draft, []monitor.Signal{verbal.PTrue()})
	if err != nil {
		return out, err
	}
	for name, why := range missing {
		out.Missing[name] = why
	}
	for _, r := range signalsOf(readings) {
		out.Evidence = append(out.Evidence, r)
		if r.Score < 0.5 {
			out.Against = append(out.Against, objection{"asked whether the draft is right, the model says no", 1 - r.Score})
		}
	}
	slices.SortStableFunc(out.Against, func(a, b objection) int { return cmp.Compare(b.Weight, a.Weight) })
	if len(out.Evidence) > 0 {
		mean := 0.0
		for _, e := range out.Evidence {
			mean += e.Score / float64(len(out.Evidence))
		}
		out.Score = &mean
	}
	switch {
	case !short || best.Answer.Status != text.Parsed || b.Probability == nil:
	case best.Key == draft.Key:
		out.Probability, out.Interval = b.Probability, b.Interval
	default:
		most := 1 - *b.Probability
		out.AtMost = &most
	}
	out.decide(rule, short && best.Answer.Status == text.Parsed && best.Key != draft.Key, scattered(drawn))
	out.Spend = c.spend()
	return out, nil
}

// cut notes why less was gathered than asked. The error is the context's.
func (out *sureOut) cut(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && out.Stopped == "" {
		out.Stopped = err.Error()
	}
	return nil
}

// shown is a draft as the trial shows answers: of options, which the trial puts
// into an order of its own, the letter of the one that the draft names by key or
// by text.
func shown(draft string, q monitor.Question) string {
	said := strings.Trim(strings.TrimSpace(draft), ".()")
	for _, o := range q.Options {
		if strings.EqualFold(said, o.Key) || strings.EqualFold(said, strings.Trim(o.Text, ".")) {
			return o.Letter
		}
	}
	return draft
}

// compare holds a short draft against the samples.
func (out *sureOut) compare(ctx context.Context, t *monitor.Trial, draft *monitor.Candidate, drawn []*monitor.Candidate) error {
	readings, missing, err := gnothi.Read(ctx, t, draft, []monitor.Signal{consistency.Agreement(len(drawn))})
	if err != nil {
		return err
	}
	for name, why := range missing {
		out.Missing[name] = why
	}
	out.Evidence = append(out.Evidence, signalsOf(readings)...)
	count, first := map[string]int{}, map[string]*monitor.Candidate{}
	for _, s := range drawn {
		if s.Key == "" {
			continue
		}
		if count[s.Key]++; first[s.Key] == nil {
			first[s.Key] = s
		}
	}
	out.Agreeing = count[draft.Key]
	for key, k := range count {
		if key != draft.Key {
			answer, _ := t.Question.Said(first[key])
			out.Against = append(out.Against, objection{"another answer: " + answer, float64(k) / float64(len(drawn))})
		}
	}
	slices.SortFunc(out.Against, func(a, b objection) int { return cmp.Compare(a.What, b.What) }) // then by weight, stably
	return nil
}

// claimed holds the claims of a longer draft against the samples.
func (out *sureOut) claimed(ctx context.Context, t *monitor.Trial, draft *monitor.Candidate, samples int) error {
	found, stopped, err := support(ctx, t, claims.Supports{Candidate: draft, Source: claims.Samples{N: samples}}, defaultSupport)
	out.Claims = found
	if stopped != "" {
		err = errors.Join(err, errors.New(stopped))
	}
	if err := out.cut(ctx, err); err != nil {
		return err
	}
	sum, known := 0.0, 0
	for _, cl := range found {
		if cl.Supported == nil {
			continue
		}
		sum += *cl.Supported
		known++
		if cl.Status == unsupported {
			out.Against = append(out.Against, objection{"not what its own answers say: " + cl.Text, 1 - *cl.Supported})
		}
	}
	if known == 0 {
		out.Missing["claims/support-samples"] = cmp.Or(stopped, "no claim of the draft could be checked")
		return nil
	}
	mean := sum / float64(known)
	out.Evidence = append(out.Evidence, gnothi.Signal{Name: "claims/support-samples", Score: mean, Raw: 1 - mean, Source: "samples", Reads: known})
	return nil
}

// scattered says that no answer has half of the samples.
func scattered(drawn []*monitor.Candidate) bool {
	count, most := map[string]int{}, 0
	for _, s := range drawn {
		if s.Key != "" {
			count[s.Key]++
			most = max(most, count[s.Key])
		}
	}
	return 2*most < len(drawn)
}

// decide goes by the probability where there is one, then by the most that it can
// be, then by the score. Where the model's own answers scatter, the question
// lacks something or the model does: asking back is chosen over abstaining.
func (out *sureOut) decide(rule control.Rule, other, scatter bool) {
	var p *float64
	var what string
	switch {
	case out.Probability != nil:
		p, what = out.Probability, "the probability that the draft is right"
	case out.AtMost != nil && (out.Score == nil || *out.AtMost < *out.Score):
		p, what = out.AtMost, "the most that the draft's probability can be"
	case out.Score != nil:
		p, what = out.Score, "the score of the evidence"
	}
	out.Decision = rule.Decide(p)
	if p == nil {
		out.Why = "there is no evidence about the draft"
	} else {
		out.Why = fmt.Sprintf("%s is %.2f, %.2f is asked for", what, *p, rule.Threshold)
	}
	if other && out.Decision == control.Answer {
		out.Decision = control.Hedge
		out.Why += "; but the model's own answer is another: " + out.Own
	}
	switch {
	case out.Clarify != "":
		out.Decision, out.Why = control.Clarify, "the question can mean several things"
	case out.Decision == control.Abstain && scatter && out.Samples > 1:
		out.Decision = control.Clarify
		out.Why += "; the model's own answers scatter"
		out.Clarify = "Ask for what would decide between the answers, or look it up."
	case out.Decision == control.Abstain && other:
		out.Why += "; the model's own answer is another: " + out.Own
	}
}
