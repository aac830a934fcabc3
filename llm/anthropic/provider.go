package anthropic

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gnothi/llm"
	"gnothi/llm/internal/upstream"
)

// DefaultBaseURL is Anthropic's own.
const DefaultBaseURL = "https://api.anthropic.com/v1"

// version of the API that is spoken.
const version = "2023-06-01"

// defaultMaxTokens is asked for where a request names no limit, which the API demands.
const defaultMaxTokens = 1024

// Options configure a [Provider]. All are optional.
type Options struct {
	BaseURL    string // ends before /messages
	APIKey     string // sent as x-api-key; without one there is no such header
	HTTPClient *http.Client
	// Connect (10s), FirstByte (5m) and Idle (2m, between two bytes) limit a call.
	Connect, FirstByte, Idle time.Duration
	// Concurrency bounds the calls that one operation makes side by side; default 16.
	Concurrency int
}

// Provider is a model behind the Messages API. It is safe for concurrent use.
type Provider struct {
	id          llm.ID
	url         string
	header      http.Header
	client      *upstream.Client
	concurrency int
}

var _ llm.Model = (*Provider)(nil)

// New makes a provider for the model of a name. It makes no call.
func New(name string, o Options) (*Provider, error) {
	base, err := url.Parse(cmp.Or(o.BaseURL, DefaultBaseURL))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("anthropic: base URL: want http://HOST/PATH or https://HOST/PATH")
	}
	if name == "" {
		return nil, errors.New("anthropic: the model's name is empty: write anthropic:NAME")
	}
	p := &Provider{id: llm.ID{Provider: "anthropic", Name: name}, url: base.JoinPath("messages").String(), header: http.Header{"Anthropic-Version": {version}}, concurrency: cmp.Or(o.Concurrency, 16)}
	if o.BaseURL != "" && o.BaseURL != DefaultBaseURL {
		p.id.Host = base.Scheme + "://" + base.Host + base.Path
	}
	p.client = &upstream.Client{Provider: p.id.String(), HTTP: o.HTTPClient, Connect: o.Connect, FirstByte: o.FirstByte, Idle: o.Idle}
	if o.APIKey != "" {
		p.header.Set("X-Api-Key", o.APIKey)
		p.client.Secrets = []string{o.APIKey}
	}
	p.client.Defaults()
	return p, nil
}

// ID implements [llm.Model].
func (p *Provider) ID() llm.ID { return p.id }

// Can implements [llm.Model].
func (p *Provider) Can(a llm.Ability) bool {
	return a == llm.Streaming || a == llm.Tools || a == llm.Images
}

// Do implements [llm.Model]. Each choice is a call of its own; a failure leaves
// the other choices in the result beside the error.
func (p *Provider) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	switch {
	case op.Kind == llm.Score:
		return nil, &llm.UnsupportedError{Model: p.id, Ability: llm.ScoreText}
	case op.Request.Prompt != "":
		return nil, &llm.UnsupportedError{Model: p.id, Ability: llm.RawPrompt}
	}
	body, err := encode(p.id.Name, op)
	if err != nil {
		return nil, fmt.Errorf("anthropic: %w", err)
	}
	var mu sync.Mutex
	if deliver := op.Stream; deliver != nil {
		op.Stream = func(e llm.Event) error {
			mu.Lock()
			defer mu.Unlock()
			return deliver(e)
		}
	}
	if op.N() == 0 {
		return &llm.Result{}, nil
	}
	results := make([]*llm.Result, op.N())
	var g errgroup.Group
	g.SetLimit(p.concurrency)
	for k := range results {
		g.Go(func() (err error) {
			results[k], err = p.call(ctx, op, body, op.Index(k))
			return err
		})
	}
	err = g.Wait()
	var all *llm.Result
	for _, r := range results {
		switch {
		case r == nil:
		case all == nil:
			all = r
		default:
			all.Choices = append(all.Choices, r.Choices...)
			all.Usage.PromptTokens += r.Usage.PromptTokens
			all.Usage.PromptCached += r.Usage.PromptCached
			all.Usage.CompletionTokens += r.Usage.CompletionTokens
		}
	}
	return all, err
}

// request is the body of a call.
type request struct {
	Model       string          `json:"model"`
	MaxTokens   int             `json:"max_tokens"`
	System      string          `json:"system,omitempty"`
	Messages    []message       `json:"messages"`
	Temperature *float64        `json:"temperature,omitempty"`
	TopP        *float64        `json:"top_p,omitempty"`
	TopK        int             `json:"top_k,omitempty"`
	Stop        []string        `json:"stop_sequences,omitempty"`
	Stream      bool            `json:"stream,omitempty"`
	Tools       json.RawMessage `json:"tools,omitempty"`
}

type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// encode lifts system turns out of the conversation, where the API wants them.
// Tools are taken in the API's own form; content parts go as they are.
func encode(model string, op llm.Op) ([]byte, error) {
	r := op.Request
	out := request{Model: model, MaxTokens: cmp.Or(r.MaxTokens, defaultMaxTokens), Temperature: r.Temperature, TopP: r.TopP, TopK: r.TopK, Stop: r.Stop, Stream: op.Stream != nil, Tools: r.Extra["tools"]}
	if out.Temperature != nil && *out.Temperature > 1 {
		one := 1.0 // the API's highest
		out.Temperature = &one
	}
	// The API refuses stop sequences of blanks alone; they are cut here.
	out.Stop = nil
	for _, s := range r.Stop {
		if strings.TrimSpace(s) != "" {
			out.Stop = append(out.Stop, s)
		}
	}
	var system []string
	for i, m := range r.Messages {
		switch m.Role {
		case "system", "developer":
			system = append(system, m.Text)
		case "user", "assistant":
			content, err := contentOf(m)
			if err != nil {
				return nil, fmt.Errorf("message %d: %w", i, err)
			}
			out.Messages = append(out.Messages, message{m.Role, content})
		default:
			return nil, fmt.Errorf("message %d: the Messages API has no role %q: want system, user or assistant", i, m.Role)
		}
	}
	out.System = strings.Join(system, "\n\n")
	if len(out.Messages) == 0 {
		return nil, errors.New("the request has no user message")
	}
	return json.Marshal(out)
}

func contentOf(m llm.Message) (json.RawMessage, error) {
	var raw struct {
		Content json.RawMessage `json:"content"`
	}
	if len(m.Raw) > 0 {
		if err := json.Unmarshal(m.Raw, &raw); err != nil {
			return nil, err
		}
	}
	if len(raw.Content) > 0 && raw.Content[0] == '[' {
		return raw.Content, nil
	}
	return json.Marshal(m.Text)
}

func (p *Provider) call(ctx context.Context, op llm.Op, body []byte, index int) (*llm.Result, error) {
	resp, err := p.client.Post(ctx, p.url, p.header, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var res *llm.Result
	if resp.Type == "text/event-stream" {
		res, err = p.readStream(resp, op, index)
	} else {
		res, err = p.readWhole(resp, index)
	}
	if err != nil {
		return nil, err
	}
	cut(&res.Choices[0], op.Request.Stop)
	res.Header = upstream.Keep(resp.Header)
	return res, nil
}

// reply is a whole message, and what message_start of a stream begins with.
type reply struct {
	Type    string  `json:"type"`
	Model   string  `json:"model"`
	Content []block `json:"content"`
	Stop    string  `json:"stop_reason"`
	Usage   usage   `json:"usage"`
}

type block struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Thinking string `json:"thinking"`
}

type usage struct {
	Input    int64 `json:"input_tokens"`
	Output   int64 `json:"output_tokens"`
	Created  int64 `json:"cache_creation_input_tokens"`
	FromHits int64 `json:"cache_read_input_tokens"`
}

func (u usage) llm() llm.Usage {
	return llm.Usage{PromptTokens: u.Input + u.Created + u.FromHits, PromptCached: u.FromHits, CompletionTokens: u.Output}
}

// finishes gives the contract's names to the API's.
var finishes = map[string]string{"end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}

func (p *Provider) readWhole(resp *upstream.Response, index int) (*llm.Result, error) {
	data, err := p.client.ReadAll(resp)
	if err != nil {
		return nil, err
	}
	var r reply
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, p.client.Malformed(resp.Status, "the reply is not the JSON of a message: %v", err)
	}
	if r.Type != "message" {
		return nil, p.client.ErrorFrom(resp.Status, data)
	}
	if len(r.Content) == 0 && r.Stop == "" {
		return nil, p.client.Malformed(resp.Status, "the reply has no content")
	}
	c := llm.Choice{Index: index, Finish: cmp.Or(finishes[r.Stop], r.Stop), Raw: data}
	for _, b := range r.Content {
		c.Text += b.Text
		c.Reasoning += b.Thinking
	}
	return &llm.Result{Model: r.Model, Choices: []llm.Choice{c}, Usage: r.Usage.llm(), Raw: data}, nil
}

// event is one event of a stream.
type event struct {
	Type    string          `json:"type"`
	Message reply           `json:"message"`
	Error   json.RawMessage `json:"error"`
	Usage   usage           `json:"usage"`
	Delta   struct {
		Text     string `json:"text"`
		Thinking string `json:"thinking"`
		Stop     string `json:"stop_reason"`
	} `json:"delta"`
}

// readStream passes each piece on as it comes. A stream that ends without
// message_stop was cut: an error, never a clean end.
func (p *Provider) readStream(resp *upstream.Response, op llm.Op, index int) (*llm.Result, error) {
	c := llm.Choice{Index: index}
	res := &llm.Result{}
	events := upstream.NewEvents(resp.Body)
	for {
		raw, err := events.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, &llm.APIError{Provider: p.id.String(), Status: resp.Status, Message: "the stream broke off", Temporary: c.Text == "" && c.Reasoning == "", Err: err}
		}
		var e event
		if err := json.Unmarshal(raw.Data, &e); err != nil {
			failure := p.client.Malformed(resp.Status, "an event of the stream is not JSON: %v", err)
			failure.Temporary = c.Text == ""
			return nil, failure
		}
		switch e.Type {
		case "message_start":
			res.Model, res.Usage = e.Message.Model, e.Message.Usage.llm()
		case "content_block_delta":
			c.Text += e.Delta.Text
			c.Reasoning += e.Delta.Thinking
			if e.Delta.Text != "" && op.Stream != nil {
				if err := op.Stream(llm.Event{Index: index, Text: e.Delta.Text}); err != nil {
					return nil, err
				}
			}
		case "message_delta":
			c.Finish = cmp.Or(finishes[e.Delta.Stop], e.Delta.Stop)
			res.Usage.CompletionTokens = e.Usage.Output
		case "error":
			failure := p.client.ErrorFrom(resp.Status, raw.Data)
			failure.Temporary = failure.Temporary && c.Text == ""
			return nil, failure
		case "message_stop":
			res.Choices = []llm.Choice{c}
			if op.Stream == nil {
				return res, nil
			}
			return res, op.Stream(llm.Event{Index: index, Finish: c.Finish})
		}
	}
}

// cut ends a choice before the first stop string in it.
func cut(c *llm.Choice, stops []string) {
	for _, s := range stops {
		if i := strings.Index(c.Text, s); s != "" && i >= 0 {
			c.Text, c.Finish = c.Text[:i], "stop"
		}
	}
}
