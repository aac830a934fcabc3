package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"gnothi"
	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/openai"
	"gnothi/monitor"
)

// chat serves POST /v1/chat/completions.
func (g *Gateway) chat(w http.ResponseWriter, r *http.Request) error {
	raw, err := body(w, r)
	if err != nil {
		return err
	}
	p, err := g.plan(raw, clientOf(r.Context()))
	if err != nil {
		return err
	}
	about := noteOf(r.Context())
	about.model, about.policy = p.name, p.spec
	if g.LogPrompts {
		about.prompt = p.question().Text
	}
	ctx, answered, cancel := limit(r.Context(), g.Timeout)
	defer cancel()
	ctx = llm.WithHeader(ctx, g.fromClient(r.Header, p.direct && p.call.N <= 1))
	ctx, used, err := g.withCache(ctx, r.Header)
	if err != nil {
		return err
	}
	if p.call.Stream {
		return g.stream(ctx, w, p, answered)
	}
	a, err := g.answer(ctx, p, nil, nil)
	if err != nil {
		return reason(ctx, err)
	}
	g.tell(w, about, a)
	if used {
		w.Header().Set("Cache-Status", cacheStatus(a.belief.Spend.Calls, a.belief.Spend.CachedCalls))
	}
	a.envelope.Extra = map[string]json.RawMessage{"gnothi": a.json()}
	return answerJSON(w, openai.EncodeResponse(a.told(p), a.envelope))
}

// tell writes what headers say of an answer, and notes it for the log.
func (g *Gateway) tell(w http.ResponseWriter, about *note, a *answer) {
	for name, value := range a.result.Header {
		w.Header().Set(name, value)
	}
	if a.belief.Probability != nil {
		w.Header().Set("X-Gnothi-Probability", strconv.FormatFloat(*a.belief.Probability, 'f', -1, 64))
	}
	w.Header().Set("X-Gnothi-Decision", string(a.belief.Decision))
	about.decision = string(a.belief.Decision)
}

// limit gives a request its time; answered lifts the limit.
func limit(parent context.Context, d time.Duration) (ctx context.Context, answered func(), cancel func()) {
	ctx, end := context.WithCancelCause(parent)
	timer := time.AfterFunc(d, func() { end(errTimeout) })
	return ctx, func() { timer.Stop() }, func() { timer.Stop(); end(nil) }
}

// reason prefers why the context ended to what that made of a call.
func reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// answer is what the client gets.
type answer struct {
	belief   gnothi.Belief
	result   *llm.Result // with the log-probabilities that the belief was made from
	envelope openai.Envelope
}

// told is the result as the client asked for it.
func (a *answer) told(p *plan) *llm.Result {
	if !p.strip {
		return a.result
	}
	out := *a.result
	out.Body = nil
	out.Choices = slices.Clone(out.Choices)
	for i := range out.Choices {
		out.Choices[i].Tokens = nil
	}
	return &out
}

// json is the belief as clients get it.
func (a *answer) json() json.RawMessage {
	b, err := a.belief.MarshalJSON() // past the encoder, which would check and copy it all once more
	if err != nil {
		panic("gateway: a belief does not encode: " + err.Error())
	}
	return b
}

// ask asks the plan's model under its policy. Events of a direct call go to
// stream, the samples of a deliberation are counted by progress. A failure comes
// with what is known of the belief.
func (g *Gateway) ask(ctx context.Context, p *plan, stream func(llm.Event) error, progress func(int)) (*answer, error) {
	ctx, model := g.tracing.asked(ctx, p.model)
	paid := &receipts{Model: model, panicked: g.panicked}
	options := []gnothi.Option{
		gnothi.WithCalibrators(g.calibrators()), gnothi.WithRule(p.rule), gnothi.WithSeed(p.seed), gnothi.WithProgress(progress),
	}
	var passed *relay
	if p.direct {
		passed = &relay{op: p.op(stream)}
		options = append(options, gnothi.WithPolicy(p.spec, passed))
	} else {
		options = append(options, gnothi.WithPolicy(p.spec, p.policy), gnothi.WithSignals(g.Signals...))
	}
	mind, err := gnothi.New(paid, options...)
	if err != nil {
		return nil, err
	}
	ctx, ledger := p.account(ctx)
	b, err := mind.Deliberate(ctx, p.question(), p.form(), p.request)
	g.metrics.spent(b.Spend)
	g.tracing.believed(ctx, b)
	if p.wallMS += b.Spend.WallMS; p.insteadOf != "" { // what the one before it cost as well
		b.InsteadOf, b.Spend = p.insteadOf, gnothi.SpendOf(ledger, time.Duration(p.wallMS)*time.Millisecond)
	}
	if over := ledger.Refused(); over != nil && err == nil {
		if b.OverBudget = over.What; p.over == overError {
			err = over
		}
	}
	if err != nil {
		return &answer{belief: b}, err
	}
	a := &answer{belief: b, envelope: p.envelope()}
	if p.direct {
		a.result = passed.result
	} else {
		a.result = paid.of(b.Study.Result.Best.Choice)
	}
	if withheld(b.Decision) {
		whole := *a.result
		whole.Choices, whole.Body = []llm.Choice{{Text: cmp.Or(b.Clarify, g.Withheld), Finish: "stop"}}, nil
		a.result = &whole
	}
	if id := gjson.GetBytes(a.result.Raw, "id").String(); id != "" {
		a.envelope.ID = id
	}
	a.belief.ID = a.envelope.ID
	a.belief.Audit = g.audits(p, a.belief)
	g.metrics.decided(p, a.belief)
	g.record(ctx, p, a, a.belief, nil)
	return a, nil
}

// withheld tells decisions that keep the answer from the client.
func withheld(d control.Decision) bool {
	return d == control.Abstain || d == control.Defer || d == control.Clarify
}

// op is the client's own request as one operation.
func (p *plan) op(stream func(llm.Event) error) llm.Op {
	if p.endpoint != "" {
		return llm.Op{Kind: llm.Pass, Endpoint: p.endpoint, Body: p.body, Request: p.request, Role: "answer", Stream: stream}
	}
	op := llm.Op{Request: p.request, Indices: llm.Range(0, max(1, p.call.N)), Role: "answer", Stream: stream}
	if p.model.ID().Provider != "openai" { // that one passes the client's own seed on
		op.Seed = p.call.Seed
	}
	return op
}

// relay is the direct policy as a gateway needs it: the client's own request,
// once, as it is. The belief is about the first choice.
type relay struct {
	op     llm.Op
	result *llm.Result
}

// String implements [control.Policy]. With a temperature the answer is not the
// greedy one that calibrators of direct were fitted on.
func (r *relay) String() string {
	if t := r.op.Request.Temperature; t != nil && *t == 0 {
		return control.Direct().String()
	}
	return "relay"
}

// Run implements [control.Policy].
func (r *relay) Run(ctx context.Context, t *monitor.Trial) (control.Result, error) {
	res, err := t.Do(ctx, r.op)
	if err != nil {
		return control.Result{}, err
	}
	if len(res.Choices) == 0 {
		return control.Result{}, errors.New("the model gave no choices")
	}
	r.result = res
	best := t.Candidate(res.Choices[0], monitor.FromSample, nil)
	return control.Result{Best: best, Pool: []*monitor.Candidate{best}, Stopped: "one call"}, nil
}

// receipts remembers what a model answered, so that the delivered answer can be
// told with its own usage and its provider's fields.
type receipts struct {
	llm.Model
	panicked func(any) error
	mu       sync.Mutex
	kept     []receipt
}

type receipt struct {
	turns  int // messages of the request
	result *llm.Result
}

// Do implements [llm.Model]. A policy calls it from goroutines of its own, where
// a provider's panic would end the server, so it is caught here.
func (r *receipts) Do(ctx context.Context, op llm.Op) (res *llm.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			res, err = nil, r.panicked(p)
		}
	}()
	res, err = r.Model.Do(ctx, op)
	if res != nil && op.Kind == llm.Generate {
		r.mu.Lock()
		r.kept = append(r.kept, receipt{len(op.Request.Messages), res})
		r.mu.Unlock()
	}
	return res, err
}

// of gives a choice as the only one of a result. Where choices came together,
// its share of the completion is told by its tokens, else by its length; the
// prompt is counted once.
func (r *receipts) of(c llm.Choice) *llm.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &llm.Result{Choices: []llm.Choice{c}}
	turns := 0
	for _, k := range r.kept {
		length, found := 0, false
		for _, x := range k.result.Choices {
			length += len(x.Text)
			found = found || x.Index == c.Index && x.Text == c.Text && string(x.Raw) == string(c.Raw)
		}
		if !found {
			continue
		}
		out.Usage, out.Model, out.Raw, out.Header, turns = k.result.Usage, k.result.Model, k.result.Raw, k.result.Header, k.turns
		switch {
		case len(k.result.Choices) == 1:
		case len(c.Tokens) > 0:
			out.Usage.CompletionTokens = int64(len(c.Tokens))
		case length > 0:
			share := float64(out.Usage.CompletionTokens) * float64(len(c.Text)) / float64(length)
			out.Usage.CompletionTokens = max(1, int64(math.Round(share)))
		}
		break
	}
	for _, k := range r.kept { // a provider that asks for each choice apart counts the prompt each time
		if k.turns == turns && k.result.Usage.PromptTokens > 0 {
			out.Usage.PromptTokens = min(out.Usage.PromptTokens, k.result.Usage.PromptTokens)
		}
	}
	return out
}

// most is how many samples a policy may draw; 0 is not known.
func most(p control.Policy) int {
	if auto, ok := p.(control.Auto); ok {
		return auto.Max
	}
	v, ok := p.(control.Vote)
	if !ok {
		return 0
	}
	switch s := v.Stop.(type) {
	case control.Fixed:
		return int(s)
	case control.Settled:
		return s.Max
	case control.Window:
		return s.Max
	case control.Certified:
		return s.Max
	}
	return 0
}

// progressText words how far a deliberation is.
func progressText(drawn, most int) string {
	if most > 0 {
		return fmt.Sprintf("%d/%d samples", drawn, most)
	}
	return fmt.Sprintf("%d samples", drawn)
}
