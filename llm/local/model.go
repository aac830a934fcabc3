package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"gnothi/engine"
	"gnothi/engine/token"
	"gnothi/llm"
)

// File is a GGUF file: where it lies and what it is.
type File struct {
	Path   string
	Name   string // as a person would name it
	SHA256 string // of the whole file; computed when it is empty
}

// Options says how to run a model. The zero value is right for most.
type Options struct {
	Engine engine.Options
	// Constant are texts that many prompts begin with. They are evaluated once
	// and kept, in memory and in CacheDir.
	Constant []string
	// KVMemory bounds the bytes that the keys and values of earlier prompts and
	// answers may take; those that were used longest ago go first. As much again
	// (and a whole context at least) may be taken by prompts that are being answered;
	// further requests wait until theirs is within it. 0 means 64 MiB.
	KVMemory int64
	// CacheDir holds evaluated constant texts between processes; empty: none does.
	CacheDir string
}

// Model is a GGUF file as an [llm.Model].
type Model struct {
	engine  *engine.Engine
	id      llm.ID
	ends    []int32 // the tokens that end a turn
	prompts *prompts
}

// Open maps the file and starts an engine on it.
func Open(f File, o Options) (*Model, error) {
	e, err := engine.Open(f.Path, o.Engine)
	if err != nil {
		return nil, err
	}
	if f.SHA256 == "" {
		if f.SHA256, err = e.SHA256(); err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	m := &Model{engine: e, id: llm.ID{Provider: "local", Name: f.Name, Weights: f.SHA256}}
	for tok, id := e.Tokenizer(), int32(0); int(id) < tok.Vocab(); id++ {
		if id == tok.EOS() || tok.EOG(id) {
			m.ends = append(m.ends, id)
		}
	}
	m.prompts = newPrompts(e, o)
	return m, nil
}

// Close stops the engine; what runs ends with an error.
func (m *Model) Close() error { return m.engine.Close() }

// Engine gives the engine inside, for what is not a Model's business.
func (m *Model) Engine() *engine.Engine { return m.engine }

// ID implements llm.Model.
func (m *Model) ID() llm.ID { return m.id }

// Can implements llm.Model.
func (m *Model) Can(a llm.Ability) bool {
	switch a {
	case llm.LogProbs, llm.Several, llm.Distribution, llm.RawPrompt, llm.ScoreText, llm.Seeded, llm.Streaming, llm.Hidden, llm.Schema:
		return true
	}
	return false
}

// Do implements llm.Model.
func (m *Model) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	if err := m.accepts(op.Request); err != nil {
		return nil, err
	}
	ids, err := m.encode(op.Request)
	if err != nil {
		return nil, err
	}
	if err := m.fits(ids); err != nil {
		return nil, err
	}
	if op.Kind == llm.Trace {
		return m.trace(ctx, op, ids)
	}
	return m.complete(ctx, op, ids)
}

// fits tells whether there is room for a token after these.
func (m *Model) fits(ids []int32) error {
	if c := m.engine.Info().Context; len(ids) >= c {
		return &llm.ContextLengthError{Tokens: len(ids), Context: c}
	}
	return nil
}

// complete generates or scores what comes after a prompt.
func (m *Model) complete(ctx context.Context, op llm.Op, ids []int32) (*llm.Result, error) {
	var each engine.Sampling
	if op.Kind != llm.Score {
		var err error
		if each, err = m.sampling(op.Request, len(ids)); err != nil {
			return nil, err
		}
	}
	release, err := m.prompts.reserve(ctx, len(ids))
	if err != nil {
		return nil, err
	}
	defer release()
	prefix, cached, err := m.prompts.evaluate(ctx, ids)
	if err != nil {
		return nil, known(err)
	}
	res := &llm.Result{Model: m.id.Name, Usage: llm.Usage{PromptTokens: int64(len(ids)), PromptCached: int64(cached), Priced: true}}
	if op.Kind == llm.Score {
		err = m.score(ctx, op, prefix, res)
	} else {
		err = m.generate(ctx, op, each, prefix, res)
	}
	if err != nil {
		return nil, known(err)
	}
	return res, nil
}

// known gives the engine's errors the names of the contract.
func known(err error) error {
	var long *engine.ContextError
	if errors.As(err, &long) {
		return &llm.ContextLengthError{Tokens: long.Tokens, Context: long.Context}
	}
	return err
}

// unsupported are fields of a request that would change the answer and that a
// local model cannot honour; any other unknown field is ignored.
var unsupported = map[string]llm.Ability{"tools": llm.Tools, "functions": llm.Tools, "audio": "audio", "grammar": "grammar", "guided_json": llm.Schema, "guided_regex": "guided_regex"}

func (m *Model) accepts(r llm.Request) error {
	for field, ability := range unsupported {
		raw := strings.Join(strings.Fields(string(r.Extra[field])), "")
		switch raw {
		case "", "null", "[]", "{}", `{"type":"text"}`:
		default:
			return &llm.UnsupportedError{Model: m.id, Ability: ability}
		}
	}
	return nil
}

// encode turns a request into tokens. Only the template's own markers become
// control tokens: what a message contains is text.
func (m *Model) encode(r llm.Request) ([]int32, error) {
	tok := m.engine.Tokenizer()
	if r.Prompt != "" {
		return tok.Encode(r.Prompt, token.Options{AddSpecial: true}), nil
	}
	template, err := m.engine.Template()
	if err != nil {
		return nil, err
	}
	if len(r.Messages) == 0 {
		return nil, m.refuses("messages", "the request has neither a prompt nor messages")
	}
	turns, err := m.turns(r.Messages)
	if err != nil {
		return nil, err
	}
	return template.Encode(tok, turns, true)
}

// turns are the messages in the terms of the chat template.
func (m *Model) turns(messages []llm.Message) ([]token.Turn, error) {
	turns := make([]token.Turn, len(messages))
	for i, msg := range messages {
		role := msg.Role
		switch role {
		case "developer":
			role = "system"
		case "system", "user", "assistant":
		default:
			return nil, m.refuses(fmt.Sprintf("messages[%d].role", i), "message %d: a local model has no role %q: want system, user or assistant", i, role)
		}
		if hasParts(msg) {
			return nil, &llm.UnsupportedError{Model: m.id, Ability: llm.Images}
		}
		turns[i] = token.Turn{Role: role, Text: msg.Text}
	}
	return turns, nil
}

// refuses is the error for a request that is wrong in one field.
func (m *Model) refuses(param, format string, args ...any) error {
	return &llm.APIError{Provider: "local", Status: 400, Type: "invalid_request_error", Param: param, Message: fmt.Sprintf(format, args...)}
}

// trace reads the hidden state of the prompt's last token. What comes before it
// is evaluated and kept, so an answer to the same prompt has it for nothing.
func (m *Model) trace(ctx context.Context, op llm.Op, ids []int32) (*llm.Result, error) {
	if !(op.Depth > 0 && op.Depth <= 1) {
		return nil, fmt.Errorf("trace at depth %g: want a share of the layers in (0,1]", op.Depth)
	}
	var prefix *engine.Prefix
	last, cached := len(ids)-1, 0
	if last < 0 {
		return nil, errors.New("trace: the prompt is empty")
	}
	release, err := m.prompts.reserve(ctx, len(ids))
	if err != nil {
		return nil, err
	}
	defer release()
	if last > 0 {
		if prefix, cached, err = m.prompts.evaluate(ctx, ids[:last]); err != nil {
			return nil, known(err)
		}
	}
	layer := max(0, int(math.Round(op.Depth*float64(m.engine.Info().Layers)))-1)
	states, err := m.engine.Hidden(ctx, prefix, ids[last:], engine.Site{Layer: layer})
	if err != nil {
		return nil, known(err)
	}
	return &llm.Result{
		Model: m.id.Name, Choices: []llm.Choice{{State: states[0]}},
		Usage: llm.Usage{PromptTokens: int64(len(ids)), PromptCached: int64(cached), Priced: true},
	}, nil
}

func (m *Model) score(ctx context.Context, op llm.Op, prefix *engine.Prefix, res *llm.Result) error {
	tok := m.engine.Tokenizer()
	ids := tok.Encode(op.Continuation, token.Options{})
	if len(ids) == 0 {
		return errors.New("there is no continuation to score")
	}
	scored, err := m.engine.Score(ctx, prefix, ids, engine.Stats{Top: op.Request.TopLogProbs})
	if err != nil {
		return err
	}
	c := llm.Choice{Text: op.Continuation, Finish: "stop"}
	for _, t := range scored {
		c.Tokens = append(c.Tokens, m.token(t.Token, op.Request.TopLogProbs))
	}
	res.Choices = []llm.Choice{c}
	res.Usage.CompletionTokens = int64(len(ids))
	return nil
}

func (m *Model) generate(ctx context.Context, op llm.Op, each engine.Sampling, prefix *engine.Prefix, res *llm.Result) error {
	n := op.N()
	writers := make([]*writer, n)
	samplings := make([]engine.Sampling, n)
	for k := range n {
		writers[k] = newWriter(m, op, op.Index(k))
		samplings[k] = each
		if samplings[k].Seed = llm.SeedOf(op.Seed, op.Index(k)); samplings[k].Seed == 0 {
			samplings[k].Seed = rand.Uint64()
		}
	}
	if n == 1 {
		samplings[0].Done = m.prompts.remember // what a conversation goes on from
	}
	var failed error
	err := m.engine.Generate(ctx, prefix, samplings, func(seq int, s engine.Step) bool {
		res.Usage.CompletionTokens++
		more, err := writers[seq].step(s)
		if err != nil && failed == nil {
			failed = err
		}
		return more && failed == nil
	})
	if failed != nil {
		return failed // the stream's reader gave up
	}
	if err != nil {
		return err
	}
	for _, w := range writers {
		c, err := w.close()
		if err != nil {
			return err
		}
		res.Choices = append(res.Choices, c)
	}
	return nil
}

// token translates a token and its figures.
func (m *Model) token(t engine.Token, top int) llm.Token {
	tok := m.engine.Tokenizer()
	out := llm.Token{
		Text: string(tok.Piece(t.ID)), LogProb: t.LogProb,
		Dist: &llm.Dist{Entropy: t.Entropy, LogZ: t.LogZ, KLUniform: t.SelfCertainty, Vocab: m.engine.Info().Vocab},
	}
	for _, alt := range t.Top[:min(top, len(t.Top))] {
		out.Top = append(out.Top, llm.TopToken{Text: string(tok.Piece(alt.ID)), LogProb: alt.LogProb})
	}
	return out
}
