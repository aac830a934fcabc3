package openai

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"gnothi/llm"
	"gnothi/llm/internal/upstream"
)

// DefaultBaseURL is OpenAI's own.
const DefaultBaseURL = "https://api.openai.com/v1"

// Options configure a [Provider]. All are optional.
type Options struct {
	// BaseURL ends before /chat/completions; a query in it (Azure's
	// api-version) goes with every request.
	BaseURL string
	// APIKey is sent as a bearer token; without one there is no Authorization
	// header. Header is added to every request.
	APIKey string
	Header http.Header
	// HTTPClient replaces the default, whose time to connect is limited by Connect.
	HTTPClient *http.Client
	// Connect (10s), FirstByte (5m, from the call to the response's headers) and
	// Idle (2m, between two bytes) limit a call.
	Connect, FirstByte, Idle time.Duration
	// MaxBody bounds a response that is not streamed, in bytes; default 64 MiB.
	MaxBody int64
	// Concurrency bounds the calls that one operation makes side by side where
	// the server has no n; default 32.
	Concurrency int
	// Abilities states what is known of the server. What is not stated is
	// learned from its answers. ScoreText has to be stated: it needs a server
	// whose /completions takes echo with logprobs. Seeded also makes each choice
	// a call of its own, with its own seed.
	Abilities map[llm.Ability]bool
	// Learned, if set, hears what an answer shows of an ability that was not known,
	// or known to be otherwise.
	Learned func(a llm.Ability, can bool)
	// StreamUsage asks streams for their usage, which OpenAI sends only then.
	// Without usage it is estimated, see [Provider.Do].
	StreamUsage bool
	// Responses speaks the Responses API, POST BaseURL/responses, instead of chat
	// completions. It has neither n, seeds, raw prompts nor stop strings; those are
	// looked for here.
	Responses bool
}

// Provider is a model behind an OpenAI-compatible server. It is safe for
// concurrent use.
type Provider struct {
	id     llm.ID
	opts   Options
	chat   string // the URLs of the endpoints
	raw    string
	header http.Header
	client *upstream.Client

	mu    sync.Mutex
	known knowledge
}

var _ llm.Model = (*Provider)(nil)

// knowledge is what the server's answers have taught.
type knowledge struct {
	can         map[llm.Ability]bool
	noSeed      bool
	newMaxName  bool // max_completion_tokens instead of max_tokens
	leastTokens int  // no lower ceiling on an answer is taken
	topLogProbs int  // the most that is taken
	leastTop    int  // alternatives to ask for, since without them no log-probabilities come (llama-cpp-python)
}

// New makes a provider for the model of a name. It makes no call.
func New(name string, o Options) (*Provider, error) {
	base, err := url.Parse(cmp.Or(o.BaseURL, DefaultBaseURL))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("openai: base URL %q: want http://HOST/PATH or https://HOST/PATH", redactURL(o.BaseURL))
	}
	if name == "" {
		return nil, errors.New("openai: the model's name is empty: write openai:NAME")
	}
	id := llm.ID{Provider: "openai", Name: name}
	if o.BaseURL != "" && o.BaseURL != DefaultBaseURL {
		id.Host = redactURL(o.BaseURL)
	}
	p := &Provider{id: id, opts: o, chat: base.JoinPath("chat/completions").String(), raw: base.JoinPath("completions").String(), header: o.Header.Clone()}
	if o.APIKey != "" {
		if p.header == nil {
			p.header = http.Header{}
		}
		p.header.Set("Authorization", "Bearer "+o.APIKey)
	}
	p.opts.Concurrency = max(1, cmp.Or(o.Concurrency, 32))
	p.known = knowledge{can: maps.Clone(o.Abilities), topLogProbs: 20}
	if p.known.can == nil {
		p.known.can = map[llm.Ability]bool{}
	}
	if o.Responses {
		p.id.Provider, p.chat = "responses", base.JoinPath("responses").String()
		p.known.noSeed = true
		p.known.can[llm.Several], p.known.can[llm.Seeded], p.known.can[llm.RawPrompt], p.known.can[llm.ScoreText] = false, false, false, false
	}
	p.client = &upstream.Client{Provider: p.id.String(), HTTP: o.HTTPClient, Connect: o.Connect, FirstByte: o.FirstByte, Idle: o.Idle, MaxBody: o.MaxBody}
	p.client.Secrets = append(p.client.Secrets, o.APIKey)
	for _, values := range o.Header {
		p.client.Secrets = append(p.client.Secrets, slices.DeleteFunc(slices.Clone(values), func(v string) bool { return len(v) < 16 })...)
	}
	p.client.Defaults()
	return p, nil
}

// redactURL leaves out what may be secret: user and query.
func redactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "(not a URL)"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return strings.TrimRight(u.String(), "/")
}

// ID implements [llm.Model]. Host is the base URL, unless it is OpenAI's.
func (p *Provider) ID() llm.ID { return p.id }

// Can implements [llm.Model].
func (p *Provider) Can(a llm.Ability) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if can, ok := p.known.can[a]; ok {
		return can
	}
	switch a {
	case llm.LogProbs, llm.Several, llm.Streaming, llm.Tools, llm.Images, llm.Schema:
		return true // until an answer shows otherwise
	}
	return false
}

func (p *Provider) knows() knowledge {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known // learn makes another map
}

func (p *Provider) learn(f func(*knowledge)) {
	p.mu.Lock()
	before := p.known.can
	p.known.can = maps.Clone(before)
	f(&p.known)
	after := p.known.can
	p.mu.Unlock()
	if p.opts.Learned == nil {
		return
	}
	for a, can := range after {
		if known, ok := before[a]; !ok || known != can {
			p.opts.Learned(a, can)
		}
	}
}

// Do implements [llm.Model]. Several choices are asked for with n; a server
// that ignores it is from then on asked for each apart. Log-probabilities that
// a server refuses or leaves out are no longer asked for. Where it reports no
// usage that is estimated: a token for each piece of a stream (or logged token,
// or 4 bytes), and one for 4 bytes of prompt.
func (p *Provider) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	switch op.Kind {
	case llm.Generate:
	case llm.Score:
		return p.score(ctx, op)
	case llm.Pass:
		return p.pass(ctx, op)
	default:
		return nil, &llm.UnsupportedError{Model: p.id, Ability: llm.Hidden}
	}
	indices := upstream.Indices(op)
	if len(indices) == 0 {
		return &llm.Result{}, nil
	}
	op.Stream = upstream.OneAtATime(op.Stream)
	// Choices that are to be the same whoever asks need a seed of their own each.
	separate := op.Seed != 0 && p.Can(llm.Seeded)
	if separate || !p.Can(llm.Several) {
		return p.each(ctx, op, indices)
	}
	res, err := p.call(ctx, op, indices)
	switch {
	case errors.Is(err, errNoN):
		return p.each(ctx, op, indices)
	case err != nil || len(res.Choices) >= len(indices):
		return res, err
	}
	p.learn(func(k *knowledge) { k.can[llm.Several] = false })
	missing := slices.DeleteFunc(slices.Clone(indices), func(i int) bool {
		return slices.ContainsFunc(res.Choices, func(c llm.Choice) bool { return c.Index == i })
	})
	rest, err := p.each(ctx, op, missing)
	return upstream.Join(indices, []*llm.Result{res, rest}), err
}

// each makes a call for every index, side by side.
func (p *Provider) each(ctx context.Context, op llm.Op, indices []int) (*llm.Result, error) {
	return upstream.Each(indices, p.opts.Concurrency, func(index int) (*llm.Result, error) {
		return p.call(ctx, op, []int{index})
	})
}

// errNoN says that the server takes no n.
var errNoN = errors.New("the server takes no n")

// call makes one HTTP exchange for one or several choices, and another one for
// each thing that the server turns out not to take.
func (p *Provider) call(ctx context.Context, op llm.Op, indices []int) (*llm.Result, error) {
	for {
		k := p.knows()
		sent, call := p.request(op, indices, k)
		body, err := EncodeRequest(sent, call)
		if err == nil && p.opts.Responses && sent.Prompt == "" {
			body, err = responsesRequest(body)
		}
		if err != nil {
			return nil, fmt.Errorf("openai: %w", err)
		}
		endpoint := p.chat
		if sent.Prompt != "" {
			endpoint = p.raw
			if can, ok := k.can[llm.RawPrompt]; ok && !can {
				return nil, &llm.UnsupportedError{Model: p.id, Ability: llm.RawPrompt}
			}
		}
		res, err := p.exchange(ctx, op, endpoint, body, indices)
		if again, err := p.settle(sent, call, k, res, err); !again {
			return res, err
		}
	}
}

// request is what is sent for an operation, given what the server takes.
func (p *Provider) request(op llm.Op, indices []int, k knowledge) (llm.Request, Call) {
	r := op.Request
	c := Call{Model: p.id.Name, Stream: op.Stream != nil}
	if len(indices) > 1 {
		c.N = len(indices)
	}
	root := op.Seed
	if root == 0 && len(indices) == 1 && indices[0] > 0 {
		_ = json.Unmarshal(orNull(r.Extra["seed"]), &root) // the client's own, which stands for choice 0
	}
	if !k.noSeed {
		c.Seed = llm.SeedOf(root, indices[0])
	}
	if r.LogProbs {
		r.TopLogProbs = min(max(r.TopLogProbs, k.leastTop), k.topLogProbs)
	}
	if r.MaxTokens > 0 {
		r.MaxTokens = max(r.MaxTokens, k.leastTokens)
	}
	extra := func(name string, v json.RawMessage) {
		r.Extra = maps.Clone(r.Extra)
		if r.Extra == nil {
			r.Extra = map[string]json.RawMessage{}
		}
		r.Extra[name] = v
	}
	if can, ok := k.can[llm.LogProbs]; ok && !can {
		r.LogProbs, r.TopLogProbs = false, 0
	}
	if k.newMaxName && r.MaxTokens > 0 {
		extra("max_completion_tokens", marshal(r.MaxTokens))
	}
	if c.Stream && p.opts.StreamUsage && r.Extra["stream_options"] == nil {
		extra("stream_options", json.RawMessage(`{"include_usage":true}`))
	}
	return r, c
}

// settle learns from an answer. again tells whether the call is worth repeating
// because of what was learned; else err is the one to return.
func (p *Provider) settle(sent llm.Request, call Call, k knowledge, res *llm.Result, err error) (again bool, _ error) {
	if err == nil {
		p.confirm(sent, k, res)
		return false, nil
	}
	var e *llm.APIError
	if !errors.As(err, &e) {
		return false, err
	}
	refused := e.Status == http.StatusBadRequest || e.Status == http.StatusUnprocessableEntity
	switch {
	case sent.LogProbs && (refused || e.Status >= 500) && names(e, "logprobs", "top_logprobs", "logprob"):
		p.learn(func(now *knowledge) {
			switch {
			case sent.TopLogProbs > 5 && names(e, "top_logprobs"):
				now.topLogProbs = min(now.topLogProbs, 5) // a common ceiling
			case sent.TopLogProbs > 0 && names(e, "top_logprobs"):
				now.topLogProbs = 0
			default:
				now.can[llm.LogProbs] = false
			}
		})
		return true, nil
	case call.N > 1 && refused && names(e, "n", "completion choice", "multiple choices"):
		p.learn(func(now *knowledge) { now.can[llm.Several] = false })
		return false, errNoN
	case call.Seed != 0 && refused && names(e, "seed"):
		p.learn(func(now *knowledge) { now.noSeed = true; now.can[llm.Seeded] = false })
		return true, nil
	case sent.MaxTokens > 0 && !k.newMaxName && refused && names(e, "max_completion_tokens"):
		p.learn(func(now *knowledge) { now.newMaxName = true })
		return true, nil
	case refused && unsupported.MatchString(e.Message) && sent.Extra["tools"] != nil && names(e, "tools?", "tool_choice", "functions?"):
		p.learn(func(now *knowledge) { now.can[llm.Tools] = false })
	case refused && unsupported.MatchString(e.Message) && sent.Extra["response_format"] != nil && names(e, "response_format", "json_schema"):
		p.learn(func(now *knowledge) { now.can[llm.Schema] = false })
	case p.opts.Responses && sent.MaxTokens > 0 && sent.MaxTokens < leastOutput && refused && names(e, "max_output_tokens"):
		p.learn(func(now *knowledge) { now.leastTokens = leastOutput })
		return true, nil
	case sent.Prompt != "" && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotImplemented) && !names(e, "model"):
		p.learn(func(now *knowledge) { now.can[llm.RawPrompt] = false })
		return false, &llm.UnsupportedError{Model: p.id, Ability: llm.RawPrompt}
	}
	return false, err
}

// unsupported tells a refusal of what the server never takes from one of how it
// was put.
var unsupported = regexp.MustCompile(`(?i)\bnot (currently |yet )?support|\bunsupported\b|\bdoes not (accept|take)\b`)

// confirm learns what an answer shows that was not known.
func (p *Provider) confirm(sent llm.Request, k knowledge, res *llm.Result) {
	shown := map[llm.Ability]bool{}
	if sent.Prompt != "" {
		shown[llm.RawPrompt] = true
	}
	if sent.LogProbs {
		switch {
		case slices.ContainsFunc(res.Choices, func(c llm.Choice) bool { return len(c.Tokens) > 0 }):
			shown[llm.LogProbs] = true
		case !slices.ContainsFunc(res.Choices, lacksLogProbs): // a call of a tool says nothing
		case sent.TopLogProbs == 0 && k.topLogProbs > 0:
			p.learn(func(now *knowledge) { now.leastTop = 1 })
		default:
			shown[llm.LogProbs] = false
		}
	}
	for a, can := range shown {
		if known, ok := k.can[a]; !ok || known != can {
			p.learn(func(now *knowledge) { now.can[a] = can })
		}
	}
}

// names tells whether an error is about one of the fields.
func names(e *llm.APIError, fields ...string) bool {
	for _, f := range fields {
		if e.Param == f || regexp.MustCompile(`(?i)\b`+f+`\b`).MatchString(e.Message) {
			return true
		}
	}
	return false
}

// lacksLogProbs tells a choice that has text and no log-probabilities. One that
// calls a tool or was filtered may lack them rightly.
func lacksLogProbs(c llm.Choice) bool {
	return c.Tokens == nil && c.Text != "" && (c.Finish == "stop" || c.Finish == "length")
}

// exchange sends a body and reads the answer, streamed or not.
func (p *Provider) exchange(ctx context.Context, op llm.Op, endpoint string, body []byte, indices []int) (*llm.Result, error) {
	resp, err := p.client.Post(ctx, endpoint, p.header, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	pieces := 0
	var res *llm.Result
	if resp.Streams() {
		res, pieces, err = p.readStream(ctx, resp, op, indices)
	} else {
		res, err = p.readWhole(resp, op, indices)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range res.Choices {
		if c.Finish == "error" && memberOf(c.Raw, "error") != nil { // OpenRouter's way
			e := p.client.ErrorFrom(resp.Status, c.Raw)
			e.Temporary = e.Temporary && (op.Stream == nil || pieces == 0)
			return nil, e
		}
	}
	if op.Request.LogProbs {
		trim(res, op.Request.TopLogProbs)
	}
	res.Header = upstream.Keep(resp.Header)
	if res.Usage == (llm.Usage{}) {
		res.Usage = estimate(op, res, pieces)
	}
	return res, nil
}

// trim leaves the alternatives that were asked for: some servers add the token
// itself where it is none of them.
func trim(res *llm.Result, top int) {
	for _, c := range res.Choices {
		for i := range c.Tokens {
			if t := &c.Tokens[i]; len(t.Top) > top {
				t.Top = t.Top[:top:top]
			}
		}
	}
}

func (p *Provider) readWhole(resp *upstream.Response, op llm.Op, indices []int) (*llm.Result, error) {
	data, err := p.client.ReadAll(resp)
	if err != nil {
		return nil, err
	}
	if p.opts.Responses {
		if inBand(data) {
			return nil, p.client.ErrorFrom(resp.Status, data)
		}
		if data, err = chatResponse(data); err != nil {
			return nil, p.client.Malformed(resp.Status, "%v", err)
		}
	}
	res, err := DecodeResponse(data)
	if err != nil && inBand(data) {
		return nil, p.client.ErrorFrom(resp.Status, data)
	}
	if err != nil {
		return nil, p.client.Malformed(resp.Status, "%v", err)
	}
	if err := p.place(resp, res, indices); err != nil {
		return nil, err
	}
	if p.opts.Responses {
		res.Body = nil // another layout came
		cutAt(&res.Choices[0], op.Request.Stop)
	}
	if op.Stream == nil {
		return res, nil
	}
	for _, c := range res.Choices { // the server does not stream
		if err := op.Stream(llm.Event{Index: c.Index, Text: c.Text, Tokens: c.Tokens, Finish: c.Finish, Raw: chunkOf(res.Raw, c)}); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// place gives the choices of an answer their repeat indexes.
func (p *Provider) place(resp *upstream.Response, res *llm.Result, indices []int) error {
	for i := range res.Choices {
		c := &res.Choices[i]
		if c.Index >= len(indices) {
			return p.client.Malformed(resp.Status, "%d choices were asked for, but the answer has one with index %d", len(indices), c.Index)
		}
		c.Index = indices[c.Index]
	}
	return nil
}

func (p *Provider) readStream(ctx context.Context, resp *upstream.Response, op llm.Op, indices []int) (_ *llm.Result, pieces int, _ error) {
	var answer Assembler
	delivered := false
	fail := func(format string, args ...any) error {
		e := p.client.Malformed(resp.Status, format, args...)
		e.Temporary = !delivered
		return e
	}
	var stops upstream.Cutter
	if p.opts.Responses {
		stops.Stops = op.Request.Stop
	}
	var translated responseStream
	for events := upstream.NewEvents(resp.Body); ; {
		event, err := events.Next()
		if err == nil && p.opts.Responses && string(event.Data) != "[DONE]" {
			var failed []byte
			switch event.Data, failed, err = translated.add(event.Data); {
			case failed != nil:
				event = upstream.Event{Name: "error", Data: failed}
			case err != nil:
				return nil, 0, fail("%v", err)
			case event.Data == nil:
				continue
			}
		}
		switch {
		case err == io.EOF && answer.Done(): //nolint:errorlint // likewise
			// Without [DONE], but complete.
		case err == io.EOF: //nolint:errorlint // a broken connection wraps it
			return nil, 0, fail("the stream was cut: it ended without [DONE] or a finish reason")
		case err != nil && ctx.Err() != nil:
			return nil, 0, context.Cause(ctx)
		case err != nil:
			var api *llm.APIError
			if !errors.As(err, &api) {
				return nil, 0, fail("%v", err)
			}
			api.Temporary = api.Temporary && !delivered
			return nil, 0, api
		case string(event.Data) == "[DONE]":
		default:
			if event.Name == "error" || inBand(event.Data) {
				e := p.client.ErrorFrom(resp.Status, event.Data)
				e.Temporary = e.Temporary && !delivered
				return nil, 0, e
			}
			chunks, err := answer.Add(event.Data)
			if err != nil {
				return nil, 0, fail("%v", err)
			}
			for _, c := range chunks {
				if c.Index >= len(indices) {
					return nil, 0, fail("%d choices were asked for, but the stream has one with index %d", len(indices), c.Index)
				}
				if c.Text != "" {
					pieces++
				}
				c.Index = indices[c.Index]
				cutEvent(&c, &stops)
				if op.Stream != nil {
					if !delivered {
						c.Header = upstream.Keep(resp.Header)
					}
					delivered = true
					if err := op.Stream(c); err != nil {
						return nil, 0, err
					}
				}
				if stops.Found {
					break
				}
			}
			if !translated.done && !stops.Found {
				continue
			}
		}
		res, err := answer.Result()
		if err == nil {
			err = p.place(resp, res, indices)
		}
		if err != nil {
			return nil, 0, fail("%v", err)
		}
		if stops.Found {
			cutAt(&res.Choices[0], stops.Stops)
		}
		return res, pieces, nil
	}
}

// inBand tells an error object that came with status 200.
func inBand(data []byte) bool {
	if !bytes.Contains(data, []byte(`"error"`)) { // as most
		return false
	}
	var w struct {
		Error   json.RawMessage `json:"error"`
		Choices json.RawMessage `json:"choices"`
	}
	if json.Unmarshal(data, &w) != nil || isZero(orNull(w.Error), true) {
		return false
	}
	return w.Choices == nil || memberOf(w.Error, "message") != nil // OpenRouter's have choices too
}

// estimate stands in for usage that a server does not report.
func estimate(op llm.Op, res *llm.Result, pieces int) llm.Usage {
	prompt := len(op.Request.Prompt) + len(op.Continuation)
	for _, m := range op.Request.Messages {
		prompt += len(m.Text)
	}
	u := llm.Usage{PromptTokens: int64((prompt + 3) / 4), CompletionTokens: int64(pieces)}
	if pieces == 0 {
		for _, c := range res.Choices {
			u.CompletionTokens += int64(cmp.Or(len(c.Tokens), (len(c.Text)+3)/4))
		}
	}
	return u
}

// score asks /completions to echo the prompt with log-probabilities and reads
// off those of the continuation.
func (p *Provider) score(ctx context.Context, op llm.Op) (*llm.Result, error) {
	if !p.Can(llm.ScoreText) || op.Request.Prompt == "" {
		return nil, &llm.UnsupportedError{Model: p.id, Ability: llm.ScoreText}
	}
	whole := op.Request.Prompt + op.Continuation
	o := object{}
	o.set("model", p.id.Name)
	o.set("prompt", whole)
	o.set("echo", true)
	o.set("logprobs", op.Request.TopLogProbs)
	o.set("max_tokens", 0)
	op.Stream = nil
	res, err := p.exchange(ctx, op, p.raw, o.bytes(), []int{op.Index(0)})
	if err != nil {
		return nil, err
	}
	c := &res.Choices[0]
	tokens, ok := tail(c.Tokens, op.Request.Prompt, op.Continuation)
	if !ok {
		return nil, p.client.Malformed(http.StatusOK, "the echoed tokens are not those of the text to score")
	}
	c.Tokens, c.Text = tokens, op.Continuation
	return res, nil
}

// tail gives the tokens that make up the continuation of the prompt. A token
// that begins in the prompt counts: its probability is theirs together. Marks
// before the prompt, its first token (which has no probability) and a generated
// token after the end may be there or not.
func tail(tokens []llm.Token, prompt, continuation string) ([]llm.Token, bool) {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.Text)
	}
	begin := strings.LastIndex(b.String(), continuation)
	if begin < 0 {
		return nil, false
	}
	before := b.String()[:begin]
	if !strings.HasSuffix(prompt, before) && !strings.HasSuffix(before, prompt) {
		return nil, false
	}
	var out []llm.Token
	offset := 0
	for _, t := range tokens {
		if next := offset + len(t.Text); next > begin && offset < begin+len(continuation) {
			out = append(out, t)
		}
		offset += len(t.Text)
	}
	return out, true
}
