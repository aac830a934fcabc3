package gateway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"time"

	"gnothi"
	"gnothi/control"
	"gnothi/llm"
	"gnothi/llm/openai"
	"gnothi/monitor/prompt"
)

// wish is the gnothi object of a request.
type wish struct {
	Policy    string   `json:"policy"`
	Threshold *float64 `json:"threshold"`
	Hedge     *float64 `json:"hedge"`
	Budget    struct {
		Calls  int64   `json:"calls"`
		Tokens int64   `json:"tokens"`
		USD    float64 `json:"usd"`
		// Over says what becomes of an answer that would have needed more: answer or
		// error.
		Over string `json:"over"`
	} `json:"budget"`
	// Observe asks for log-probabilities under direct, for the belief only.
	Observe bool `json:"observe"`
}

func decodeWish(raw json.RawMessage) (w wish, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) {
			if wrongType.Field == "" {
				return w, invalid("gnothi", "gnothi: %s", openai.Plain(err))
			}
			return w, invalid("gnothi."+wrongType.Field, "gnothi.%s", openai.Plain(err))
		}
		return w, invalid("gnothi", "gnothi: %s; it has policy, threshold, hedge, budget {calls, tokens, usd, over} and observe", strings.TrimPrefix(err.Error(), "json: "))
	}
	for _, p := range []struct {
		name  string
		value *float64
	}{{"threshold", w.Threshold}, {"hedge", w.Hedge}} {
		if p.value != nil && !(*p.value >= 0 && *p.value <= 1) {
			return w, invalid("gnothi."+p.name, "gnothi.%s: %v is not a probability", p.name, *p.value)
		}
	}
	if o := w.Budget.Over; o != "" && o != overAnswer && o != overError {
		return w, invalid("gnothi.budget.over", "gnothi.budget.over: %.40q: want answer, for the best answer so far, or error", o)
	}
	if b := w.Budget; b.Calls < 0 || b.Tokens < 0 || b.USD < 0 || b.USD > 1e6 {
		return w, invalid("gnothi.budget", "gnothi.budget: has to be of ceilings above 0")
	}
	return w, nil
}

// What becomes of an answer for which a ceiling left less than its policy wanted.
const (
	overAnswer = "answer"
	overError  = "error"
)

// plan is what to do for one request.
type plan struct {
	key     *Key   // of whoever asks
	id      string // of the answer, unless the upstream gives one
	name    string // of the model, as served or as the upstream knows it
	model   llm.Model
	request llm.Request
	call    openai.Call
	// endpoint and body are set where the client's own body is passed on.
	endpoint string
	body     json.RawMessage
	spec     string // of the policy
	policy   control.Policy
	direct   bool
	rule     control.Rule
	limits   llm.Limits
	over     string      // answer or error
	ledger   *llm.Ledger // of the request, whichever model is asked
	next     []llm.Model // to be asked where model fails
	seed     uint64
	// insteadOf is the model that failed, where model stands in for it.
	insteadOf string
	wallMS    int64 // of all models asked
	// strip tells that log-probabilities are for the belief, not for the client.
	strip bool
	// includeUsage tells that a stream is to end with its usage.
	includeUsage bool
}

// plan reads a chat request of a key.
func (g *Gateway) plan(body []byte, k *Key) (*plan, error) {
	req, call, err := openai.DecodeRequest(body)
	if err != nil {
		return nil, err
	}
	p := &plan{key: k, id: newID("chatcmpl-"), request: req, call: call, strip: !req.LogProbs, limits: g.Limits, seed: g.Seed}
	var w wish
	if raw, ok := req.Extra["gnothi"]; ok {
		if w, err = decodeWish(raw); err != nil {
			return nil, err
		}
		delete(req.Extra, "gnothi")
	}
	named, err := g.choose(p, call.Model)
	if err != nil {
		return nil, err
	}
	if err := g.under(p, w, named, g.Policy); err != nil {
		return nil, err
	}
	if call.Seed != 0 {
		p.seed = call.Seed
	}
	var options struct {
		IncludeUsage bool `json:"include_usage"`
	}
	_ = json.Unmarshal(req.Extra["stream_options"], &options) // absent, or the upstream's to judge
	p.includeUsage = options.IncludeUsage
	if !p.direct {
		p.rule = g.Rule
	}
	if w.Threshold != nil {
		p.rule.Threshold = *w.Threshold
	}
	if w.Hedge != nil {
		p.rule.Hedge = *w.Hedge
	}
	if p.direct {
		return p, p.pass(w)
	}
	return p, p.deliberate(g.MaxTokens)
}

// under puts a request under the policy that it wishes, that its model's name
// ends with, or else another, and under its own ceilings.
func (g *Gateway) under(p *plan, w wish, named, otherwise string) (err error) {
	if err := p.key.mayAsk(p.name, cmp.Or(w.Policy, named)); err != nil {
		return err
	}
	if p.endpoint == "" {
		otherwise = cmp.Or(p.key.Policy, otherwise)
	}
	p.spec = cmp.Or(w.Policy, named, otherwise)
	if p.policy, err = g.Policies(p.spec); err != nil {
		return &failure{status: 400, kind: badRequest, code: "unknown_policy", param: "gnothi.policy", message: err.Error()}
	}
	p.direct = isDirect(p.policy)
	wished := llm.Limits{Calls: w.Budget.Calls, Tokens: w.Budget.Tokens, NanoUSD: int64(math.Ceil(w.Budget.USD * 1e9))}
	p.limits = p.limits.Least(p.key.Limits).Least(wished)
	p.over = cmp.Or(w.Budget.Over, g.OverBudget, overAnswer)
	if p.model == g.Model && p.endpoint == "" {
		p.next = g.Fallback
	}
	return nil
}

// isDirect tells the policy that only passes on, by whatever name.
func isDirect(p control.Policy) bool { return p.String() == control.Direct().String() }

// pass prepares the direct policy: the client's own request.
func (p *plan) pass(w wish) error {
	if p.call.N == 1 { // an operation does not say so
		p.request.Extra["n"] = json.RawMessage("1")
	}
	if p.call.Stream && p.rule.Threshold > 0 {
		return invalid("gnothi.threshold", "a threshold on a stream needs a deliberating policy, such as auto: direct passes the answer on before its probability is known")
	}
	if w.Observe && !p.request.LogProbs {
		p.request.LogProbs = true
	} else {
		p.strip = false
	}
	return nil
}

// deliberate prepares the request for a policy that samples as it sees fit.
func (p *plan) deliberate(maxTokens int) error {
	if p.call.N > 1 {
		return invalid("n", "n: the policy %s delivers one answer: leave n out, or ask for the policy direct", p.spec)
	}
	r := &p.request
	r.Temperature, r.TopP, r.MinP, r.TopK = nil, nil, nil, 0
	for _, field := range []string{"temperature", "top_p", "min_p", "top_k", "logprobs", "top_logprobs", "stream_options"} {
		delete(r.Extra, field) // what says nothing stays there
	}
	if raw, ok := r.Extra["seed"]; ok && string(raw) != "null" && string(raw) != "0" && p.call.Seed == 0 {
		return invalid("seed", "seed: has to be a whole number below 2^53 for the policy %s", p.spec)
	}
	delete(r.Extra, "seed")
	if r.MaxTokens == 0 {
		r.MaxTokens = maxTokens
	}
	return nil
}

// question is what the belief is about: the last thing the user said.
func (p *plan) question() gnothi.Question {
	messages := p.request.Messages
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role == "user" {
			return gnothi.Question{Text: messages[i].Text}
		}
	}
	return gnothi.Question{Text: messages[len(messages)-1].Text}
}

// form names the way of asking: a lone question of the user is what the form
// chat makes of it, so its calibrators hold.
func (p *plan) form() string {
	if m := p.request.Messages; len(m) == 1 && m[0].Role == "user" && m[0].Raw == nil {
		return prompt.Chat.ID()
	}
	return "conversation"
}

// envelope is what stands around the answer.
func (p *plan) envelope() openai.Envelope {
	return openai.Envelope{ID: p.id, Created: time.Now().Unix(), Model: p.name}
}

// choose finds the model of a name, and the policy that the name may end with.
func (g *Gateway) choose(p *plan, name string) (spec string, err error) {
	if name == "" {
		return "", invalid("model", "model: is missing; %q is served here", g.Name)
	}
	p.name, p.model = name, g.Model
	if name == g.Name {
		return "", nil
	}
	if i := strings.LastIndexByte(name, '+'); i > 0 {
		base, suffix := name[:i], name[i+1:]
		_, err := g.Policies(suffix)
		switch {
		case base == g.Name && err != nil:
			return "", &failure{status: 400, kind: badRequest, code: "unknown_policy", param: "model", message: err.Error()}
		case base == g.Name:
			p.name = base
			return suffix, nil
		case err == nil && g.models.others():
			p.name = base
			p.model, err = g.models.get(base)
			return suffix, err
		}
	}
	if !g.models.others() {
		return "", g.unknownModel(name)
	}
	p.model, err = g.models.get(name)
	return "", err
}

// modelSet keeps the upstream's other models. Their names are the clients'
// choice, so it forgets them all when they become many.
type modelSet struct {
	upstream *Upstream
	wrap     func(llm.Model) llm.Model
	mu       sync.Mutex
	open     map[string]llm.Model
}

const maxModels = 256

func newModelSet(u *Upstream) *modelSet { return &modelSet{upstream: u, open: map[string]llm.Model{}} }

func (s *modelSet) others() bool { return s.upstream != nil && s.upstream.Open != nil }

func (s *modelSet) get(name string) (llm.Model, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.open[name]; m != nil {
		return m, nil
	}
	m, err := s.upstream.Open(name)
	if err != nil {
		return nil, invalid("model", "model: %v", err)
	}
	m = s.wrap(m)
	if len(s.open) >= maxModels {
		clear(s.open)
	}
	s.open[name] = m
	return m, nil
}
