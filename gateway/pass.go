package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"gnothi/llm"
	"gnothi/llm/openai"
)

// pass serves an endpoint whose bodies are passed on as they are, both ways and
// as they come: the client's own request, once. What comes back is paid, counted
// and kept like any other direct answer, and a response carries its belief.
func (g *Gateway) pass(name string) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		raw, err := body(w, r)
		if err != nil {
			return err
		}
		p, err := g.passPlan(name, raw, clientOf(r.Context()))
		if err != nil {
			return err
		}
		about := noteOf(r.Context())
		about.model, about.policy = p.name, p.spec
		ctx, answered, cancel := limit(r.Context(), g.Timeout)
		defer cancel()
		ctx = llm.WithHeader(ctx, g.fromClient(r.Header, true))
		if err := p.bound(ctx); err != nil {
			return err
		}
		if p.call.Stream {
			return g.passStream(ctx, w, p, answered)
		}
		a, err := g.answer(ctx, p, nil, nil)
		if err != nil {
			return reason(ctx, err)
		}
		g.tell(w, about, a)
		return answerJSON(w, p.withBelief(a.result.Raw, "gnothi", a))
	}
}

// withBelief puts the belief into a response. Completions pass as they are.
func (p *plan) withBelief(raw json.RawMessage, at string, a *answer) json.RawMessage {
	if p.endpoint != openai.Responses {
		return raw
	}
	if with, err := sjson.SetRawBytes(raw, at, a.json()); err == nil {
		return with
	}
	return raw
}

// passStream passes events on. The one with the whole response waits for the
// belief.
func (g *Gateway) passStream(ctx context.Context, w http.ResponseWriter, p *plan, answered func()) error {
	out := newEvents(w)
	defer out.close()
	var last json.RawMessage
	send := func(data []byte) error {
		if p.endpoint != openai.Responses {
			return out.data(oneLine(data))
		}
		return out.named(gjson.GetBytes(data, "type").String(), oneLine(data))
	}
	a, err := g.answer(ctx, p, func(e llm.Event) error {
		answered()
		out.header(e.Header)
		if e.Finish != "" {
			last = e.Raw
			return nil
		}
		return send(e.Raw)
	}, nil)
	switch {
	case err == nil && last != nil:
		noteOf(ctx).decision = string(a.belief.Decision)
		return send(p.withBelief(last, "response.gnothi", a))
	case err == nil && p.endpoint != openai.Responses:
		return out.data([]byte("[DONE]"))
	case err == nil: // an upstream that does not stream
		return send(encode(map[string]any{"type": "response.completed", "response": p.withBelief(a.result.Raw, "gnothi", a)}))
	}
	err = reason(ctx, err)
	if out.begun() { // and no clean end
		f := explain(err)
		data := f.body(g.APIKey)
		if p.endpoint != openai.Responses {
			_ = out.data(data)
			return err
		}
		var fields map[string]json.RawMessage
		_ = json.Unmarshal([]byte(gjson.GetBytes(data, "error").Raw), &fields) // our own
		fields["type"], fields["error"] = json.RawMessage(`"error"`), json.RawMessage(gjson.GetBytes(data, "error").Raw)
		_ = out.named("error", encode(fields))
	}
	return err
}

// passPlan reads a body as far as it has to be known: whose model it is, and what
// it may cost.
func (g *Gateway) passPlan(name string, raw []byte, k *Key) (*plan, error) {
	var fields map[string]json.RawMessage
	if !utf8.Valid(raw) || json.Unmarshal(raw, &fields) != nil || fields == nil {
		return nil, invalid("", "the body is not a JSON object in UTF-8")
	}
	members := 0
	gjson.ParseBytes(raw).ForEach(func(_, _ gjson.Result) bool { members++; return true })
	if members != len(fields) {
		return nil, invalid("", "the body has a member twice, which readers would read differently")
	}
	p := &plan{key: k, id: newID("pass-"), endpoint: name, limits: g.Limits, seed: g.Seed}
	var w wish
	if said, ok := fields["gnothi"]; ok {
		var err error
		if w, err = decodeWish(said); err != nil {
			return nil, err
		}
		if w.Threshold != nil || w.Hedge != nil || w.Observe {
			return nil, invalid("gnothi", "gnothi: /v1/%s is passed through: thresholds and observe are for /v1/chat/completions", name)
		}
	}
	for _, f := range []struct {
		name string
		to   any
	}{{"model", &p.call.Model}, {"stream", &p.call.Stream}, {"max_tokens", &p.request.MaxTokens}, {"max_output_tokens", &p.request.MaxTokens}} {
		if v, ok := fields[f.name]; ok && json.Unmarshal(v, f.to) != nil {
			return nil, invalid(f.name, "%s: has the wrong type", f.name)
		}
	}
	p.name, p.model = g.Name, g.Model
	var named string
	if p.call.Model != "" { // some clients of one model leave it out
		var err error
		if named, err = g.choose(p, p.call.Model); err != nil {
			return nil, err
		}
	}
	if err := g.under(p, w, named, "direct"); err != nil {
		return nil, err
	}
	if !p.direct {
		return nil, &failure{status: http.StatusBadRequest, kind: badRequest, code: "unsupported", param: "model", message: "/v1/" + name + " is passed through, under the policy direct alone: use /v1/chat/completions for " + p.spec}
	}
	if p.body = raw; fields["gnothi"] != nil || p.call.Model != "" && p.name != p.call.Model {
		p.body = rewritten(raw, p.name)
	}
	p.request.Messages = conversation(fields)
	return p, nil
}

// rewritten is a body without its gnothi object and for a model of another name,
// every other member as it came.
func rewritten(raw []byte, model string) []byte {
	out := append(make([]byte, 0, len(raw)), '{')
	gjson.ParseBytes(raw).ForEach(func(name, value gjson.Result) bool {
		v := value.Raw
		switch name.String() {
		case "gnothi":
			return true
		case "model":
			v = string(encode(model))
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, name.Raw...), ':'), v...)
		return true
	})
	return append(out, '}')
}

// conversation reads that of a body of the Responses API or of completions,
// for the belief: roles and texts.
func conversation(fields map[string]json.RawMessage) (messages []llm.Message) {
	for _, name := range []string{"instructions", "input", "prompt"} {
		v := gjson.ParseBytes(fields[name])
		role := "user"
		if name == "instructions" {
			role = "system"
		}
		switch {
		case v.Type == gjson.String:
			messages = append(messages, llm.Message{Role: role, Text: v.String()})
		case v.IsArray():
			for _, item := range v.Array() {
				if role := item.Get("role"); role.Exists() {
					messages = append(messages, llm.Message{Role: role.String(), Text: textOf(item.Get("content")), Raw: json.RawMessage(item.Raw)})
				}
			}
		}
	}
	if messages == nil {
		messages = []llm.Message{{Role: "user"}}
	}
	return messages
}

func textOf(content gjson.Result) string {
	if content.Type == gjson.String {
		return content.String()
	}
	var b strings.Builder
	for _, part := range content.Array() {
		b.WriteString(part.Get("text").String())
	}
	return b.String()
}
