package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/tidwall/sjson"

	"gnothi/llm"
	"gnothi/llm/openai"
)

// Native is what a model in this process can do beside [llm.Model], below the
// level of text.
type Native interface {
	// Tokenize gives the token ids of a text, Detokenize the text of ids, control
	// tokens spelled out; an id that does not exist is an error.
	Tokenize(text string, addSpecial, parseSpecial bool) []int32
	Detokenize(ids []int32) (string, error)
	// ApplyTemplate lays a conversation out as the model's prompt.
	ApplyTemplate(messages []llm.Message, addGenerationPrompt bool) (string, error)
	// Complete continues token ids as [llm.Model.Do] continues a request; what op
	// says of messages and prompt plays no part.
	Complete(ctx context.Context, ids []int32, op llm.Op) (*llm.Result, error)
	// Score gives each token its log-probability after those before it, with the
	// top likeliest ones; the first, which follows nothing, has NaN.
	Score(ctx context.Context, ids []int32, top int) ([]llm.Token, error)
}

// onlyUpstream answers for endpoints that are passed through.
func (g *Gateway) onlyUpstream(http.ResponseWriter, *http.Request) error {
	return &failure{status: http.StatusNotImplemented, kind: badRequest, code: "unsupported", message: "this endpoint is passed through to an openai: upstream, and the served model is none: use /v1/chat/completions"}
}

func (g *Gateway) native() (Native, error) {
	if g.Native == nil {
		return nil, &failure{status: http.StatusNotImplemented, kind: badRequest, code: "unsupported", message: "this endpoint needs a local: model, and the served model is none"}
	}
	return g.Native, nil
}

// read decodes the body of a small endpoint.
func read(w http.ResponseWriter, r *http.Request, to any) error {
	raw, err := body(w, r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, to); err != nil {
		var param string
		if e, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // Unmarshal does not wrap it
			param = e.Field
		}
		return invalid(param, "the body: %s", openai.Plain(err))
	}
	return nil
}

func (g *Gateway) tokenize(w http.ResponseWriter, r *http.Request) error {
	n, err := g.native()
	if err != nil {
		return err
	}
	said := struct {
		Content      *string `json:"content"`
		AddSpecial   bool    `json:"add_special"`
		ParseSpecial *bool   `json:"parse_special"`
	}{}
	if err := read(w, r, &said); err != nil {
		return err
	}
	if said.Content == nil {
		return invalid("content", "content: is missing")
	}
	ids := n.Tokenize(*said.Content, said.AddSpecial, said.ParseSpecial == nil || *said.ParseSpecial)
	if ids == nil {
		ids = []int32{}
	}
	return answerJSON(w, encode(map[string]any{"tokens": ids}))
}

func (g *Gateway) detokenize(w http.ResponseWriter, r *http.Request) error {
	n, err := g.native()
	if err != nil {
		return err
	}
	var said struct {
		Tokens []int32 `json:"tokens"`
	}
	if err := read(w, r, &said); err != nil {
		return err
	}
	if said.Tokens == nil {
		return invalid("tokens", "tokens: is missing")
	}
	text, err := n.Detokenize(said.Tokens)
	if err != nil {
		return invalid("tokens", "tokens: %v", err)
	}
	return answerJSON(w, encode(map[string]any{"content": text}))
}

func (g *Gateway) applyTemplate(w http.ResponseWriter, r *http.Request) error {
	n, err := g.native()
	if err != nil {
		return err
	}
	raw, err := body(w, r)
	if err != nil {
		return err
	}
	req, _, err := openai.DecodeRequest(raw)
	if err != nil {
		return err
	}
	add := true
	if v, ok := req.Extra["add_generation_prompt"]; ok && json.Unmarshal(v, &add) != nil {
		return invalid("add_generation_prompt", "add_generation_prompt: has to be true or false")
	}
	prompt, err := n.ApplyTemplate(req.Messages, add)
	if err != nil {
		return invalid("messages", "messages: %v", err)
	}
	return answerJSON(w, encode(map[string]any{"prompt": prompt}))
}

// completion is a request of POST /v1/completions for a local model.
type completion struct {
	request llm.Request
	call    openai.Call
	prompts []input
	echo    bool
	empty   bool // max_tokens is 0: only the prompt is wanted
	usage   bool // at the end of a stream
}

// input is text or token ids.
type input struct {
	text string
	ids  []int32
}

// maxPrompts bounds a list of prompts.
const maxPrompts = 128

// completionTokens is the endpoint's usual max_tokens.
const completionTokens = 16

func decodeCompletion(raw []byte) (*completion, error) {
	req, call, err := openai.DecodeCompletion(raw)
	if err != nil {
		return nil, err
	}
	c := &completion{request: req, call: call}
	switch {
	case req.Prompt != "":
		c.prompts = []input{{text: req.Prompt}}
	default:
		if c.prompts, err = decodePrompts(req.Extra["prompt"]); err != nil {
			return nil, err
		}
	}
	for name, to := range map[string]any{"echo": &c.echo, "stream_options": &struct {
		IncludeUsage *bool `json:"include_usage"`
	}{&c.usage}} {
		if v, ok := req.Extra[name]; ok && json.Unmarshal(v, to) != nil {
			return nil, invalid(name, "%s: has the wrong type", name)
		}
	}
	for _, field := range []string{"suffix", "best_of", "gnothi"} {
		switch v := string(req.Extra[field]); v {
		case "", "null", "{}", `""`, "1":
		default:
			return nil, invalid(field, "%s: is not supported by this endpoint with a local model", field)
		}
	}
	c.empty = string(req.Extra["max_tokens"]) == "0"
	if c.request.MaxTokens == 0 {
		c.request.MaxTokens = completionTokens
	}
	if c.empty && !c.echo {
		return nil, invalid("max_tokens", "max_tokens: 0 needs echo")
	}
	if c.request.TopLogProbs < 0 || c.request.TopLogProbs > 20 {
		return nil, invalid("logprobs", "logprobs: %d is not between 0 and 20", c.request.TopLogProbs)
	}
	// 0 is what says nothing elsewhere; here it asks for the chosen tokens alone.
	c.request.LogProbs = c.request.LogProbs || string(req.Extra["logprobs"]) == "0"
	return c, nil
}

func decodePrompts(raw json.RawMessage) ([]input, error) {
	var one string
	if json.Unmarshal(raw, &one) == nil && string(raw) != "null" {
		return []input{{text: one}}, nil
	}
	var ids []int32
	if json.Unmarshal(raw, &ids) == nil && len(ids) > 0 {
		return []input{{ids: ids}}, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 || len(list) > maxPrompts {
		return nil, invalid("prompt", "prompt: has to be text, token ids, or a list of up to %d of these", maxPrompts)
	}
	prompts := make([]input, len(list))
	for i, item := range list {
		if json.Unmarshal(item, &prompts[i].text) != nil || string(item) == "null" {
			if json.Unmarshal(item, &prompts[i].ids) != nil || len(prompts[i].ids) == 0 {
				return nil, invalid("prompt", "prompt: item %d is neither text nor token ids", i)
			}
		}
	}
	return prompts, nil
}

// completions serves POST /v1/completions without an upstream.
func (g *Gateway) completions(w http.ResponseWriter, r *http.Request) error {
	n, err := g.native()
	if err != nil {
		return err
	}
	raw, err := body(w, r)
	if err != nil {
		return err
	}
	c, err := decodeCompletion(raw)
	if err != nil {
		return err
	}
	if c.call.Model != "" && c.call.Model != g.Name { // llama.cpp's clients leave it out
		return g.unknownModel(c.call.Model)
	}
	noteOf(r.Context()).model = g.Name
	ctx, answered, cancel := limit(r.Context(), g.Timeout)
	defer cancel()
	env := openai.Envelope{ID: newID("cmpl-"), Created: time.Now().Unix(), Model: g.Name, Completion: true}
	if !c.call.Stream {
		res, err := g.complete(ctx, n, c, nil)
		if err != nil {
			return reason(ctx, err)
		}
		return answerJSON(w, conditioned(openai.EncodeResponse(res, env), res))
	}
	out := newEvents(w)
	defer out.close()
	res, err := g.complete(ctx, n, c, func(e llm.Event) error {
		answered()
		chunk := openai.EncodeChunk(e, e.Index, env)
		return out.data(conditioned(chunk, &llm.Result{Choices: []llm.Choice{{Tokens: e.Tokens}}}))
	})
	if err == nil && c.usage {
		err = out.data(openai.EncodeChunk(*usageEvent(res.Usage), 0, env))
	}
	if err == nil {
		return out.data([]byte("[DONE]"))
	}
	err = reason(ctx, err)
	if out.begun() {
		_ = out.data(explain(err).body(g.APIKey)) // no clean end
	}
	return err
}

// conditioned writes null for the log-probability of a first token.
func conditioned(body []byte, res *llm.Result) []byte {
	for i, c := range res.Choices {
		if len(c.Tokens) == 0 || !math.IsNaN(c.Tokens[0].LogProb) {
			continue
		}
		for _, field := range []string{"token_logprobs", "top_logprobs"} {
			if b, err := sjson.SetRawBytes(body, fmt.Sprintf("choices.%d.logprobs.%s.0", i, field), []byte("null")); err == nil {
				body = b
			}
		}
	}
	return body
}

// complete continues each prompt; choice i of prompt k has index k·n + i.
func (g *Gateway) complete(ctx context.Context, n Native, c *completion, stream func(llm.Event) error) (*llm.Result, error) {
	all := &llm.Result{Model: g.Name}
	count := max(1, c.call.N)
	settle, err := g.reserve(ctx, c, count)
	if err != nil {
		return nil, err
	}
	defer func() {
		settle(llm.Spend{Calls: int64(len(all.Choices)), PromptTokens: all.Usage.PromptTokens, CompletionTokens: all.Usage.CompletionTokens})
	}()
	for k, p := range c.prompts {
		if p.ids == nil {
			// The prompt is all the client's own, so markers in it count.
			p.ids = n.Tokenize(p.text, true, true)
		}
		first := k * count
		place := stream
		if stream != nil {
			place = func(e llm.Event) error { e.Index += first; return stream(e) }
		}
		res, err := completeOne(ctx, n, c, p, count, place)
		if err != nil {
			return nil, err
		}
		for i := range res.Choices {
			res.Choices[i].Index += first
		}
		all.Choices = append(all.Choices, res.Choices...)
		all.Usage.PromptTokens += res.Usage.PromptTokens
		all.Usage.CompletionTokens += res.Usage.CompletionTokens
	}
	g.metrics.completed(len(all.Choices), all.Usage)
	return all, nil
}

// reserve sets aside what completions may cost at the most. No ledger of a model
// sees them.
func (g *Gateway) reserve(ctx context.Context, c *completion, count int) (settle func(llm.Spend), err error) {
	most := llm.Spend{Calls: int64(len(c.prompts) * count)}
	most.CompletionTokens = most.Calls * int64(c.request.MaxTokens)
	for _, p := range c.prompts {
		most.PromptTokens += int64(max(len(p.ids), len(p.text)) + 1)
	}
	return llm.NewLedger(g.Limits.Least(clientOf(ctx).Limits), payers(ctx)...).Reserve(most, "answer")
}

func completeOne(ctx context.Context, n Native, c *completion, p input, count int, stream func(llm.Event) error) (*llm.Result, error) {
	text, err := n.Detokenize(p.ids)
	if err != nil {
		return nil, invalid("prompt", "prompt: %v", err)
	}
	var before llm.Choice
	if c.echo {
		before.Text = text
		if c.request.LogProbs {
			if before.Tokens, err = n.Score(ctx, p.ids, c.request.TopLogProbs); err != nil {
				return nil, err
			}
		}
		for i := range count {
			if stream == nil {
				break
			}
			if err := stream(llm.Event{Index: i, Text: before.Text, Tokens: before.Tokens}); err != nil {
				return nil, err
			}
		}
	}
	res := &llm.Result{Usage: llm.Usage{PromptTokens: int64(len(p.ids))}}
	if c.empty {
		for i := range count {
			res.Choices = append(res.Choices, llm.Choice{Index: i, Finish: "length"})
			if stream != nil {
				if err := stream(llm.Event{Index: i, Finish: "length"}); err != nil {
					return nil, err
				}
			}
		}
	} else {
		op := llm.Op{Request: c.request, Indices: llm.Range(0, count), Seed: c.call.Seed, Role: "answer", Stream: stream}
		if res, err = n.Complete(ctx, p.ids, op); err != nil {
			return nil, err
		}
	}
	for i := range res.Choices {
		choice := &res.Choices[i]
		choice.Text = before.Text + choice.Text
		choice.Tokens = slices.Concat(before.Tokens, choice.Tokens)
	}
	return res, nil
}
