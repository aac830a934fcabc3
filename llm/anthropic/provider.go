package anthropic

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gnothi/llm"
	"gnothi/llm/internal/upstream"
)

// DefaultBaseURL is Anthropic's own.
const DefaultBaseURL = "https://api.anthropic.com/v1"

// version is that of the API.
const version = "2023-06-01"

// Options configure a [Provider]. All are optional.
type Options struct {
	BaseURL string      // ends before /messages
	APIKey  string      // sent as x-api-key
	Header  http.Header // added to every request: anthropic-beta, …
	// HTTPClient replaces the default, whose time to connect is limited by Connect.
	HTTPClient *http.Client
	// Connect (10s), FirstByte (5m, from the call to the response's headers) and
	// Idle (2m, between two bytes) limit a call.
	Connect, FirstByte, Idle time.Duration
	// MaxBody bounds a response that is not streamed, in bytes; default 64 MiB.
	MaxBody int64
	// Concurrency bounds the calls of one operation side by side; default 32.
	Concurrency int
	// MaxTokens is for requests that set none, since the API demands one; default 4096.
	MaxTokens int
}

// Provider is a model behind the messages API. It is safe for concurrent use.
type Provider struct {
	id     llm.ID
	opts   Options
	url    string
	header http.Header
	client *upstream.Client
}

var _ llm.Model = (*Provider)(nil)

// New makes a provider for the model of a name. It makes no call.
func New(name string, o Options) (*Provider, error) {
	base, err := url.Parse(cmp.Or(o.BaseURL, DefaultBaseURL))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("anthropic: the base URL has to be http://HOST/PATH or https://HOST/PATH")
	}
	if name == "" {
		return nil, errors.New("anthropic: the model's name is empty: write anthropic:NAME")
	}
	id := llm.ID{Provider: "anthropic", Name: name}
	if o.BaseURL != "" && o.BaseURL != DefaultBaseURL {
		shown := *base
		shown.User, shown.RawQuery = nil, ""
		id.Host = strings.TrimRight(shown.String(), "/")
	}
	o.Concurrency, o.MaxTokens = max(1, cmp.Or(o.Concurrency, 32)), cmp.Or(o.MaxTokens, 4096)
	p := &Provider{id: id, opts: o, url: base.JoinPath("messages").String(), header: http.Header{}}
	maps.Copy(p.header, o.Header)
	p.header.Set("Anthropic-Version", cmp.Or(o.Header.Get("Anthropic-Version"), version))
	if o.APIKey != "" {
		p.header.Set("X-Api-Key", o.APIKey)
	}
	p.client = &upstream.Client{Provider: id.String(), HTTP: o.HTTPClient, Secrets: []string{o.APIKey}, Connect: o.Connect, FirstByte: o.FirstByte, Idle: o.Idle, MaxBody: o.MaxBody}
	p.client.Defaults()
	return p, nil
}

// ID implements [llm.Model]. Host is the base URL, unless it is Anthropic's.
func (p *Provider) ID() llm.ID { return p.id }

// Can implements [llm.Model].
func (p *Provider) Can(a llm.Ability) bool {
	switch a {
	case llm.Streaming, llm.Tools, llm.Images, llm.Schema:
		return true
	}
	return false
}

// Do implements [llm.Model]. Each choice is a call; wanted log-probabilities are
// not there. A temperature above 1, the API's highest, is 1. Stop strings of
// blanks alone, which the API refuses, are looked for here.
func (p *Provider) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	switch {
	case op.Kind == llm.Score:
		return nil, &llm.UnsupportedError{Model: p.id, Ability: llm.ScoreText}
	case op.Kind != llm.Generate:
		return nil, &llm.UnsupportedError{Model: p.id, Ability: llm.Hidden}
	case op.Request.Prompt != "":
		return nil, &llm.UnsupportedError{Model: p.id, Ability: llm.RawPrompt}
	case op.N() == 0:
		return &llm.Result{}, nil
	}
	body, err := encodeRequest(p.id.Name, op.Request, p.opts.MaxTokens, op.Stream != nil)
	if err != nil {
		return nil, err
	}
	stream := upstream.OneAtATime(op.Stream)
	_, blank := splitStops(op.Request.Stop)
	return upstream.Each(upstream.Indices(op), p.opts.Concurrency, func(index int) (*llm.Result, error) {
		res, err := p.exchange(ctx, body, index, blank, stream)
		if err != nil {
			return nil, err
		}
		res.Choices[0].Index = index
		return res, nil
	})
}

func (p *Provider) exchange(ctx context.Context, body []byte, index int, stops []string, stream func(llm.Event) error) (*llm.Result, error) {
	resp, err := p.client.Post(ctx, p.url, p.header, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var res *llm.Result
	if resp.Streams() {
		res, err = p.readStream(ctx, resp, index, stops, stream)
	} else {
		res, err = p.readWhole(resp, index, stops, stream)
	}
	if err != nil {
		return nil, err
	}
	res.Header = upstream.Keep(resp.Header)
	return res, nil
}

func (p *Provider) readWhole(resp *upstream.Response, index int, stops []string, stream func(llm.Event) error) (*llm.Result, error) {
	data, err := p.client.ReadAll(resp)
	if err != nil {
		return nil, err
	}
	if hasField(data, "error") {
		return nil, p.client.ErrorFrom(resp.Status, data)
	}
	res, err := decodeMessage(data)
	if err != nil {
		return nil, p.client.Malformed(resp.Status, "%v", err)
	}
	if text, found := (&upstream.Cutter{Stops: stops}).Add(res.Choices[0].Text); found {
		cut(&res.Choices[0], text)
	}
	if stream == nil {
		return res, nil
	}
	res.Choices[0].Index = index
	for _, e := range res.Choices[0].Events() { // the server does not stream
		if err := stream(e); err != nil {
			return nil, err
		}
	}
	return res, nil
}

func (p *Provider) readStream(ctx context.Context, resp *upstream.Response, index int, stops []string, stream func(llm.Event) error) (*llm.Result, error) {
	var answer assembler
	cutter := upstream.Cutter{Stops: stops}
	delivered := false
	var text strings.Builder
	deliver := func(e llm.Event) error {
		text.WriteString(e.Text)
		if stream == nil || e.Text == "" && e.Finish == "" && e.Raw == nil {
			return nil
		}
		e.Index, delivered = index, true
		return stream(e)
	}
	fail := func(format string, args ...any) error {
		e := p.client.Malformed(resp.Status, format, args...)
		e.Temporary = !delivered
		return e
	}
	events := upstream.NewEvents(resp.Body)
	for !answer.done && !cutter.Found {
		event, err := events.Next()
		var api *llm.APIError
		switch {
		case err == io.EOF: //nolint:errorlint // a broken connection wraps it
			return nil, fail("the stream was cut: it ended without message_stop")
		case err != nil && ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.As(err, &api):
			api.Temporary = api.Temporary && !delivered
			return nil, api
		case err != nil:
			return nil, fail("%v", err)
		case event.Name == "error" || hasField(event.Data, "error"):
			e := p.client.ErrorFrom(resp.Status, event.Data)
			e.Temporary = e.Temporary && !delivered
			return nil, e
		}
		pieces, err := answer.Add(event.Data)
		if err != nil {
			return nil, fail("%v", err)
		}
		for _, e := range pieces {
			switch {
			case e.Text != "":
				e.Text, _ = cutter.Add(e.Text)
			case e.Finish != "":
				e.Text = cutter.Held
			}
			if err := deliver(e); err != nil {
				return nil, err
			}
			if cutter.Found {
				if err := deliver(llm.Event{Finish: "stop"}); err != nil {
					return nil, err
				}
				break
			}
		}
	}
	res, err := answer.Result()
	if err != nil {
		return nil, fail("%v", err)
	}
	if cutter.Found { // what the API would have counted is not known
		cut(&res.Choices[0], text.String())
		res.Usage.CompletionTokens = max(res.Usage.CompletionTokens, int64(answer.pieces))
	}
	return res, nil
}
