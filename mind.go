package gnothi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gnothi/control"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/monitor/consistency"
	"gnothi/monitor/likelihood"
	"gnothi/monitor/probe"
	"gnothi/text"
)

// Question is what is asked.
type Question = monitor.Question

// Mind is a model under a monitor–control loop. It is safe for concurrent use.
type Mind struct {
	model       llm.Model
	policy      control.Policy
	policyName  string
	offers      []control.Offer
	signals     []monitor.Signal
	calibrators *calibrate.Set
	rule        control.Rule
	form        string
	maxTokens   int
	limits      llm.Limits
	seed        uint64
	trace       bool
	progress    func(drawn int)
}

// Option sets something about a Mind.
type Option func(*Mind)

// WithPolicy sets how calls are spent; name is what a belief calls it. The
// default is [control.Auto].
func WithPolicy(name string, p control.Policy) Option {
	return func(m *Mind) { m.policyName, m.policy = name, p }
}

// WithSignals reads these signals too, at whatever they cost.
func WithSignals(s ...monitor.Signal) Option {
	return func(m *Mind) { m.signals = append(m.signals, s...) }
}

// WithOffers lets [control.Auto] buy more than samples. What it bought besides
// them is added to the calibrated probability by its likelihood ratio, so the
// calibrator of the plain policy still holds.
func WithOffers(o ...control.Offer) Option {
	return func(m *Mind) { m.offers = append(m.offers, o...) }
}

// WithCalibrators replaces the calibrators that come with gnothi.
func WithCalibrators(s *calibrate.Set) Option { return func(m *Mind) { m.calibrators = s } }

// WithRule sets what is done with an answer of a probability.
func WithRule(r control.Rule) Option { return func(m *Mind) { m.rule = r } }

// WithForm sets how questions are asked: auto, shots or chat.
func WithForm(name string) Option { return func(m *Mind) { m.form = name } }

// WithMaxTokens bounds the length of an answer.
func WithMaxTokens(n int) Option { return func(m *Mind) { m.maxTokens = n } }

// WithLimits sets the ceilings of what one question may cost.
func WithLimits(l llm.Limits) Option { return func(m *Mind) { m.limits = l } }

// WithSeed sets the root of everything random; the default is 1.
func WithSeed(seed uint64) Option { return func(m *Mind) { m.seed = seed } }

// WithTrace keeps the hidden state after the question in the belief's study,
// where the model has one: what probes are fitted on.
func WithTrace() Option { return func(m *Mind) { m.trace = true } }

// WithProgress hears how many samples a policy has drawn.
func WithProgress(f func(drawn int)) Option { return func(m *Mind) { m.progress = f } }

// New puts a model under a loop of monitoring and control. Calls are charged to
// a question's ledger where the model is wrapped in [llm.Metered].
func New(model llm.Model, opts ...Option) (*Mind, error) {
	m := &Mind{model: model, policy: control.DefaultAuto(), policyName: "auto", form: "auto", seed: 1}
	for _, o := range opts {
		o(m)
	}
	if auto, ok := m.policy.(control.Auto); ok {
		auto.More = append(slices.Clip(auto.More), m.offers...)
		m.policy = auto
	} else if len(m.offers) > 0 {
		return nil, fmt.Errorf("policy %s buys nothing besides what it draws: %v is for auto", m.policyName, m.offers[0])
	}
	if m.calibrators == nil {
		set, err := calibrate.Shipped()
		if err != nil {
			return nil, err
		}
		m.calibrators = set
	}
	return m, nil
}

// Ask answers a question, in the form that suits it. It is charged to the
// context's ledger and under its ceilings, if it has one ([llm.WithLedger]).
//
// An error comes with what is known of the belief: its spend, and the answer if
// there was one before it. [llm.ErrBudget] means that a ceiling was reached
// before there was an answer.
func (m *Mind) Ask(ctx context.Context, q Question) (Belief, error) {
	q, form, req, err := m.pose(q)
	if err != nil {
		return Belief{}, err
	}
	return m.Deliberate(ctx, q, form, req)
}

// Deliberate answers a question that is already a request, such as a client's
// conversation; form names the way in which it is asked.
func (m *Mind) Deliberate(ctx context.Context, q Question, form string, req llm.Request) (Belief, error) {
	i := m.inquire(ctx, q, form, req)
	// What can be known before answering is read first: its work is the answer's
	// too. Only under a ceiling does the answer come first.
	first := i.trial.Ledger.Limits() == (llm.Limits{})
	var before []monitor.Signal
	var err error
	if first {
		before, err = m.before(ctx, i.trial, i.belief.Study)
	}
	var res control.Result
	if err == nil {
		res, err = m.policy.Run(ctx, i.trial)
	}
	if err == nil && !first {
		before, err = m.before(ctx, i.trial, i.belief.Study)
	}
	return m.conclude(ctx, i, res, before, err)
}

// Batch reports whether the policy gains from many questions at once
// ([Mind.AskAll]).
func (m *Mind) Batch() bool {
	_, ok := m.policy.(control.Batch)
	return ok
}

// AskAll answers questions together, as a policy that is a [control.Batch] can.
// A belief whose question failed has the error in it; the error returned is the
// context's.
func (m *Mind) AskAll(ctx context.Context, qs []Question) ([]Belief, error) {
	policy, ok := m.policy.(control.Batch)
	if !ok {
		return nil, fmt.Errorf("policy %s answers one question at a time", m.policyName)
	}
	inquiries, trials := make([]*inquiry, len(qs)), make([]*monitor.Trial, len(qs))
	for k, q := range qs {
		q, form, req, err := m.pose(q)
		if err != nil {
			return nil, fmt.Errorf("question %d: %w", k+1, err)
		}
		inquiries[k] = m.inquire(ctx, q, form, req)
		trials[k] = inquiries[k].trial
	}
	if len(qs) == 0 {
		return nil, nil
	}
	results, errs, err := policy.RunAll(ctx, trials)
	if err != nil {
		return nil, err
	}
	beliefs := make([]Belief, len(qs))
	for k, i := range inquiries {
		var before []monitor.Signal
		if errs[k] == nil {
			before, errs[k] = m.before(ctx, i.trial, i.belief.Study)
		}
		if beliefs[k], err = m.conclude(ctx, i, results[k], before, errs[k]); ctx.Err() != nil {
			return nil, err
		}
	}
	return beliefs, nil
}

// inquiry is a question under study and the belief that comes of it.
type inquiry struct {
	trial  *monitor.Trial
	belief Belief
	start  time.Time
}

func (m *Mind) inquire(ctx context.Context, q Question, form string, req llm.Request) *inquiry {
	if m.maxTokens > 0 {
		req.MaxTokens = m.maxTokens
	}
	i := &inquiry{start: time.Now()}
	policy := m.policy
	if auto, ok := policy.(control.Auto); ok {
		auto.More = nil // see WithOffers
		policy = auto
	}
	key := calibrate.Key{Model: m.model.ID().Key(), Policy: policy.String(), Form: form, Kind: q.Kind.String()}
	ledger := llm.NewLedger(m.limits)
	if account := llm.LedgerFrom(ctx); account != nil {
		ledger = account.Sub()
	}
	i.trial = monitor.NewTrial(monitor.TrialOptions{
		Model: m.model, Question: q, Request: req, Ledger: ledger, Seed: llm.Derive(m.seed, q.Text, 0), Progress: m.progress,
		Threshold: m.rule.Threshold, Calibrated: m.calibrated(key),
	})
	i.belief = Belief{Schema: BeliefSchema, Question: q.Text, Policy: m.policyName, Form: form, Model: m.model.ID().String(), Seed: m.seed}
	i.belief.Calibration.Status = calibrate.Uncalibrated
	i.belief.Study = &Study{Question: q, Key: key, Trial: i.trial}
	return i
}

// conclude makes a belief of what a policy found.
func (m *Mind) conclude(ctx context.Context, i *inquiry, res control.Result, before []monitor.Signal, err error) (Belief, error) {
	b := i.belief
	b.Study.Result = res
	if err == nil && res.Best == nil {
		err = errNoAnswer
	}
	if err == nil {
		err = m.monitor(ctx, i.trial, &b, before)
	}
	b.Spend = SpendOf(i.trial.Ledger, time.Since(i.start))
	b.Study.Roles = i.trial.Ledger.ByRole()
	if err != nil {
		b.Error = err.Error()
		return b, err
	}
	b.Decision = m.rule.Decide(b.Probability)
	if res.Withhold != "" {
		b.Decision = control.Abstain
	}
	if b.Clarify = res.Clarify; b.Clarify != "" {
		b.Decision = control.Clarify
	}
	return b, nil
}

// kindCall is the type of answer, for calibrators, of a tool call: one fitted on
// answers in words does not hold for it.
const kindCall = "call"

// calibrated gives what the calibrator says of a candidate so far, nil where
// there is none or no threshold to compare it with.
func (m *Mind) calibrated(k calibrate.Key) func(context.Context, *monitor.Trial, *monitor.Candidate) (float64, bool) {
	c, ok := m.calibrators.Find(k)
	if !ok || m.rule.Threshold == 0 {
		return nil
	}
	return func(ctx context.Context, t *monitor.Trial, best *monitor.Candidate) (float64, bool) {
		if best.IsCall() {
			return 0, false // it was fitted on answers in words
		}
		signals := m.reads(t, true)
		if c.Probe != nil {
			signals = append(signals, c.Probe.Signal())
		}
		readings, _, err := Read(ctx, t, best, signals)
		if err != nil {
			return 0, false
		}
		e, err := c.Apply(readings)
		return e.P, err == nil
	}
}

// before reads the hidden state after the question, where the calibrator has a
// probe for it or the caller wants it, and gives the probe's signal. A failure,
// such as of a budget that does not reach so far, is the signal's, not the
// question's.
func (m *Mind) before(ctx context.Context, t *monitor.Trial, s *Study) ([]monitor.Signal, error) {
	c, ok := m.calibrators.Find(s.Key)
	probed := ok && c.Probe != nil
	if !probed && !m.trace || !m.model.Can(llm.Hidden) {
		return nil, nil
	}
	s.State, _ = monitor.Get(ctx, t, probe.State{Depth: probe.Depth}) // the signal has the error
	if ctx.Err() != nil || !probed {
		return nil, ctx.Err()
	}
	return []monitor.Signal{c.Probe.Signal()}, nil
}

// monitor reads the signals of the best candidate and calibrates them.
func (m *Mind) monitor(ctx context.Context, t *monitor.Trial, b *Belief, before []monitor.Signal) error {
	res := b.Study.Result
	best := res.Best
	if best.IsCall() {
		b.Study.Key.Kind = kindCall
	}
	answer, option := t.Question.Said(best)
	b.Answer, b.Option, b.Outcome, b.Stopped = &answer, option, best.Answer.Status.String(), res.Stopped
	for _, c := range res.Classes {
		if first := res.Pool[c.Members[0]]; first.Key != best.Key {
			other, key := t.Question.Said(first)
			b.Alternatives = append(b.Alternatives, Alternative{Answer: other, Option: key, Mass: float64(len(c.Members)) / float64(len(res.Pool)), Count: len(c.Members)})
		}
	}
	readings, missing, err := Read(ctx, t, best, append(before, m.reads(t, res.Bought != nil)...))
	if err != nil {
		return err
	}
	b.Study.Readings, b.Missing = readings, missing
	for _, r := range readings {
		b.Signals = append(b.Signals, Signal{Name: r.Name, Score: r.Score, Raw: r.Raw, Source: r.Source, Reads: r.Reads, Why: r.Why})
		for _, part := range r.Parts {
			b.Claims = append(b.Claims, Claim{Text: part.Text, Supported: part.Score, Span: part.Span})
		}
	}
	est, cal := m.calibrators.Estimate(b.Study.Key, b.Study.Readings)
	b.Calibration = cal
	if best.Answer.Status != text.Parsed {
		return nil // a refusal, and what could not be read, is neither right nor wrong
	}
	if b.Study.Estimate = est; est != nil {
		est.Shift("evidence bought beside samples", res.LogOdds)
		b.Probability, b.Interval = &est.P, &[2]float64{est.Low, est.High}
	}
	return nil
}

// Read reads signals of a candidate; those that could not be read are in missing,
// with the reason. The error is the context's.
func Read(ctx context.Context, t *monitor.Trial, best *monitor.Candidate, signals []monitor.Signal) (readings []calibrate.Named, missing map[string]string, err error) {
	for _, s := range signals {
		r, err := monitor.ScoreOne(ctx, s, t, best)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err == nil && !(finite(r.Score) && finite(r.Raw)) {
			err = errors.New("score is not finite")
		}
		if err != nil {
			if missing == nil {
				missing = map[string]string{}
			}
			missing[s.Name()] = err.Error()
			continue
		}
		readings = append(readings, calibrate.Named{Name: s.Name(), Reading: r})
	}
	return readings, missing, nil
}

// reads lists the signals to read: those that cost nothing beyond what the
// policy has drawn, and those that were asked for, each name once.
func (m *Mind) reads(t *monitor.Trial, bought bool) []monitor.Signal {
	signals := []monitor.Signal{likelihood.MeanLogProb(), likelihood.MinLogProb(), likelihood.SequenceLogProb(), likelihood.TokenEntropy(), likelihood.SelfCertainty()}
	if bought {
		signals = append(signals, consistency.Share()) // means the same however many were drawn
	}
	if drawn, _ := t.Drawn(); len(drawn) > 1 {
		signals = append(signals, consistency.Agreement(0), consistency.Entropy(0))
	}
	for _, s := range m.signals {
		if !slices.ContainsFunc(signals, func(o monitor.Signal) bool { return o.Name() == s.Name() }) {
			signals = append(signals, s)
		}
	}
	return signals
}
