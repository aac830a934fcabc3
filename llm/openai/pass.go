package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/tidwall/gjson"

	"gnothi/llm"
	"gnothi/llm/internal/upstream"
)

// Endpoints that take a client's own body ([llm.Pass]).
const (
	Completions = "completions"
	Responses   = "responses"
)

// pass sends a body as it is and gives the answer as it came, as the result's
// Raw: in one piece, or what its events make up. Its first choice is read where it
// can be. The event that ends a streamed response has a finish.
func (p *Provider) pass(ctx context.Context, op llm.Op) (*llm.Result, error) {
	if op.Endpoint != Completions && op.Endpoint != Responses {
		return nil, fmt.Errorf("openai: %q is no endpoint that bodies are passed to", op.Endpoint)
	}
	at, err := url.Parse(p.raw)
	if err != nil {
		return nil, fmt.Errorf("openai: %w", err)
	}
	resp, err := p.client.Post(ctx, at.JoinPath("..", op.Endpoint).String(), p.header, op.Body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer json.RawMessage
	pieces := 0
	if resp.Streams() {
		answer, pieces, err = p.passEvents(ctx, resp, op)
	} else {
		answer, err = p.passWhole(resp, op)
	}
	if err != nil {
		return nil, err
	}
	res := understood(op.Endpoint, answer)
	c := &res.Choices[0]
	c.Index, res.Raw, res.Header = op.Index(0), answer, upstream.Keep(resp.Header)
	if res.Usage == (llm.Usage{}) {
		res.Usage = llm.Usage{PromptTokens: int64((len(op.Body) + 3) / 4), CompletionTokens: int64(max(pieces, (len(c.Text)+3)/4))}
	}
	return res, nil
}

// understood reads an answer as far as it is one; what has no text, such as a
// response that is still being made, has none.
func understood(endpoint string, answer json.RawMessage) *llm.Result {
	body := []byte(answer)
	var err error
	if endpoint == Responses {
		body, err = chatResponse(answer)
	}
	if err == nil {
		if res, err := DecodeResponse(body); err == nil {
			return &llm.Result{Choices: res.Choices[:1], Usage: res.Usage, Model: res.Model}
		}
	}
	res := &llm.Result{Choices: []llm.Choice{{}}}
	if said, err := decodeEnvelope(nil, orNull(chatUsage(json.RawMessage(gjson.GetBytes(answer, "usage").Raw)))); err == nil {
		res.Usage = said.Usage
	}
	return res
}

func (p *Provider) passWhole(resp *upstream.Response, op llm.Op) (json.RawMessage, error) {
	data, err := p.client.ReadAll(resp)
	switch {
	case err != nil:
		return nil, err
	case !json.Valid(data) || data[skip(data, 0)] != '{':
		return nil, p.client.Malformed(resp.Status, "the answer is not a JSON object")
	case op.Endpoint == Completions && inBand(data):
		return nil, p.client.ErrorFrom(resp.Status, data)
	}
	return data, nil
}

// passEvents hands events on. Chunks of completions make up the answer; that of a
// response comes whole with its last event.
func (p *Provider) passEvents(ctx context.Context, resp *upstream.Response, op llm.Op) (answer json.RawMessage, pieces int, _ error) {
	delivered := false
	fail := func(format string, args ...any) error {
		e := p.client.Malformed(resp.Status, format, args...)
		e.Temporary = !delivered
		return e
	}
	var whole Assembler // of completions
	for events := upstream.NewEvents(resp.Body); ; {
		event, err := events.Next()
		var api *llm.APIError
		switch {
		case err == io.EOF && whole.Done():
			return wholeOf(&whole), pieces, nil
		case err == io.EOF:
			return nil, 0, fail("the stream was cut: it ended without its last event")
		case err != nil && ctx.Err() != nil:
			return nil, 0, context.Cause(ctx)
		case errors.As(err, &api):
			api.Temporary = api.Temporary && !delivered
			return nil, 0, api
		case err != nil:
			return nil, 0, fail("%v", err)
		case string(event.Data) == "[DONE]" && op.Endpoint == Completions:
			return wholeOf(&whole), pieces, nil
		case !json.Valid(event.Data):
			return nil, 0, fail("an event of the stream is not JSON")
		}
		if op.Endpoint == Responses {
			switch kind := gjson.GetBytes(event.Data, "type").String(); kind {
			case "error":
				e := p.client.ErrorFrom(resp.Status, event.Data)
				e.Temporary = e.Temporary && !delivered
				return nil, 0, e
			case "response.completed", "response.incomplete", "response.failed":
				return json.RawMessage(gjson.GetBytes(event.Data, "response").Raw), pieces, p.deliver(op, event.Data, resp, &delivered, true)
			}
		} else {
			if event.Name == "error" || inBand(event.Data) {
				e := p.client.ErrorFrom(resp.Status, event.Data)
				e.Temporary = e.Temporary && !delivered
				return nil, 0, e
			}
			if _, err := whole.Add(event.Data); err != nil {
				return nil, 0, fail("%v", err)
			}
		}
		if op.Endpoint == Completions || bytes.Contains(event.Data, []byte(`.delta"`)) {
			pieces++
		}
		if err := p.deliver(op, event.Data, resp, &delivered, false); err != nil {
			return nil, 0, err
		}
	}
}

// deliver hands an event on; the last one has a finish.
func (p *Provider) deliver(op llm.Op, data []byte, resp *upstream.Response, delivered *bool, last bool) error {
	if op.Stream == nil {
		return nil
	}
	e := llm.Event{Raw: append(json.RawMessage(nil), data...)}
	if !*delivered {
		e.Header = upstream.Keep(resp.Header)
	}
	if last {
		e.Finish = "stop"
	}
	*delivered = true
	return op.Stream(e)
}

// wholeOf is a streamed completion in one piece, as far as it can be one.
func wholeOf(a *Assembler) json.RawMessage {
	res, err := a.Result()
	if err != nil {
		return json.RawMessage("{}")
	}
	return EncodeResponse(res, Envelope{Completion: true})
}
