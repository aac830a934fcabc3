package script

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"gnothi/llm"
)

// Reply is what the model says for one choice.
type Reply struct {
	Text      string
	Tokens    []llm.Token // default: the words of Text, without log-probabilities
	Reasoning string
	Finish    string          // default: stop
	Usage     *llm.Usage      // default: words of the prompt, tokens of the reply
	Delay     time.Duration   // before the reply
	Pace      time.Duration   // between streamed tokens
	Hang      bool            // never answers
	Err       error           // instead of the reply
	After     int             // streamed tokens before Err
	Raw       json.RawMessage // the choice's Raw
}

// Func gives the reply for the choice with a repeat index. It may be called by
// several goroutines at once.
type Func func(op llm.Op, index int) Reply

// Model is a scripted model. It counts what it is asked.
type Model struct {
	id        llm.ID
	abilities []llm.Ability
	reply     Func

	mu      sync.Mutex
	ops     []llm.Op
	choices int
}

var _ llm.Model = (*Model)(nil)

// basics are the abilities that any script has.
var basics = []llm.Ability{llm.Seeded, llm.Streaming, llm.RawPrompt, llm.Tools, llm.Images, llm.Schema}

// New makes a model from a function. Besides the given abilities it has those
// that any script has: seeded, streaming, raw prompts, tools, images, schemas.
func New(f Func, abilities ...llm.Ability) *Model {
	return &Model{id: llm.ID{Provider: "script", Name: "go"}, abilities: append(slices.Clone(basics), abilities...), reply: f}
}

// Texts makes a model that says the i-th text for repeat index i, beginning
// again at the end, whatever it is asked.
func Texts(texts ...string) *Model {
	return New(func(_ llm.Op, i int) Reply { return Reply{Text: texts[i%len(texts)]} })
}

// Named sets the model's identity and gives the model back.
func (m *Model) Named(id llm.ID) *Model {
	m.id = id
	return m
}

// ID implements [llm.Model].
func (m *Model) ID() llm.ID { return m.id }

// Can implements [llm.Model].
func (m *Model) Can(a llm.Ability) bool { return slices.Contains(m.abilities, a) }

// Calls is how many choices the model was asked for, those that failed included.
func (m *Model) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.choices
}

// Ops are the operations the model was given, in the order they came.
func (m *Model) Ops() []llm.Op {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ops)
}

// Do implements [llm.Model]. If some choices fail, it returns the others with
// the first failure.
func (m *Model) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	m.mu.Lock()
	m.ops = append(m.ops, op)
	m.choices += op.N()
	m.mu.Unlock()

	for _, need := range needs(op) {
		if !m.Can(need) {
			return nil, &llm.UnsupportedError{Model: m.id, Ability: need}
		}
	}
	res := &llm.Result{Model: m.id.Name}
	var failed error
	var waited time.Duration // choices are made side by side
	for k := range op.N() {
		index := op.Index(k)
		r := m.reply(op, index)
		if r.Hang {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		if err := sleep(ctx, r.Delay-waited); err != nil {
			return nil, err
		}
		waited = max(waited, r.Delay)
		choice := shape(op, index, r)
		if err := stream(ctx, op, choice, r); err != nil {
			if r.Err == nil {
				return nil, err
			}
			if failed == nil {
				failed = err
			}
			continue
		}
		res.Choices = append(res.Choices, choice)
		usage := llm.Usage{PromptTokens: int64(len(words(Prompt(op.Request)))), CompletionTokens: int64(len(choice.Tokens))}
		if r.Usage != nil {
			usage = *r.Usage
		}
		res.Usage.PromptTokens = max(res.Usage.PromptTokens, usage.PromptTokens) // the choices share their prompt
		res.Usage.CompletionTokens += usage.CompletionTokens
		if !showTokens(op, r) {
			res.Choices[len(res.Choices)-1].Tokens = nil
		}
	}
	if failed != nil && len(res.Choices) == 0 {
		return nil, failed
	}
	return res, failed
}

// showTokens tells whether a choice's tokens are for the caller: words of a
// text whose log-probabilities nobody wrote down only serve to count.
func showTokens(op llm.Op, r Reply) bool {
	return r.Tokens != nil && (op.Request.LogProbs || op.Kind == llm.Score)
}

// needs lists the abilities without which an operation fails. Wanting
// log-probabilities is not one: a reply without them has none.
func needs(op llm.Op) (need []llm.Ability) {
	switch op.Kind {
	case llm.Score:
		need = append(need, llm.ScoreText)
	case llm.Trace:
		need = append(need, llm.Hidden)
	}
	if op.Request.Prompt != "" {
		need = append(need, llm.RawPrompt)
	}
	return need
}

// shape makes the choice that a reply stands for: cut at stop strings and
// max_tokens, with as many alternatives as were asked for.
func shape(op llm.Op, index int, r Reply) llm.Choice {
	c := llm.Choice{Index: index, Text: r.Text, Reasoning: r.Reasoning, Finish: r.Finish, Tokens: slices.Clone(r.Tokens), Raw: r.Raw}
	if c.Finish == "" {
		c.Finish = "stop"
	}
	if c.Text == "" {
		c.Text = join(c.Tokens)
	}
	if op.Kind == llm.Score {
		c.Text = op.Continuation
		return c
	}
	if c.Tokens == nil {
		for _, w := range words(c.Text) {
			c.Tokens = append(c.Tokens, llm.Token{Text: w})
		}
	}
	cut := func(text, finish string) {
		c.Text, c.Finish = text, finish
		for n := len(c.Tokens); n > 0 && len(join(c.Tokens[:n-1])) >= len(text); n-- {
			c.Tokens = c.Tokens[:n-1]
		}
	}
	for _, stop := range op.Request.Stop {
		if before, _, found := strings.Cut(c.Text, stop); found && stop != "" {
			cut(before, "stop")
		}
	}
	if limit := op.Request.MaxTokens; limit > 0 && len(c.Tokens) > limit {
		c.Tokens = c.Tokens[:limit]
		c.Text, c.Finish = c.Text[:min(len(c.Text), len(join(c.Tokens)))], "length"
	}
	for i, t := range c.Tokens {
		c.Tokens[i].Top = t.Top[:min(len(t.Top), op.Request.TopLogProbs)]
	}
	return c
}

// stream gives a choice's tokens as events and its error where it has one.
func stream(ctx context.Context, op llm.Op, c llm.Choice, r Reply) error {
	if op.Stream == nil || op.Kind == llm.Score {
		return r.Err
	}
	left := c.Text
	for i, t := range c.Tokens {
		if r.Err != nil && i >= r.After {
			return r.Err
		}
		if i > 0 {
			if err := sleep(ctx, r.Pace); err != nil {
				return err
			}
		}
		e := llm.Event{Index: c.Index, Text: left[:min(len(left), len(t.Text))]}
		if i == len(c.Tokens)-1 {
			e.Text = left
		}
		left = left[len(e.Text):]
		if showTokens(op, r) {
			e.Tokens = []llm.Token{t}
		}
		if err := op.Stream(e); err != nil {
			return err
		}
	}
	if r.Err != nil {
		return r.Err
	}
	return op.Stream(llm.Event{Index: c.Index, Finish: c.Finish})
}

func sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil || d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Prompt is the text that a rule's conditions look at: the raw prompt, or the
// messages' texts with a line break between.
func Prompt(r llm.Request) string {
	if r.Prompt != "" {
		return r.Prompt
	}
	texts := make([]string, len(r.Messages))
	for i, m := range r.Messages {
		texts[i] = m.Text
	}
	return strings.Join(texts, "\n")
}

var word = regexp.MustCompile(`\s*\S+|\s+$`)

func words(s string) []string { return word.FindAllString(s, -1) }

// Words splits a text into the tokens that a script counts in, each with the
// same log-probability.
func Words(text string, logProb float64) []llm.Token {
	var tokens []llm.Token
	for _, w := range words(text) {
		tokens = append(tokens, llm.Token{Text: w, LogProb: logProb})
	}
	return tokens
}

func join(tokens []llm.Token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.Text)
	}
	return b.String()
}

// Failure is a reply that fails with an HTTP status, as an upstream would.
func Failure(status int, message string) Reply {
	return Reply{Err: &llm.APIError{Provider: "script", Status: status, Message: message, Temporary: temporary(status)}}
}

func temporary(status int) bool {
	return status == 408 || status == 409 || status == 429 || status >= 500
}

var errNoRule = errors.New("no rule holds")

func noRule(path string, op llm.Op) error {
	prompt := Prompt(op.Request)
	if len(prompt) > 200 {
		prompt = prompt[:200] + "…"
	}
	kind := "generate"
	if op.Kind == llm.Score {
		kind = "score"
	}
	return &llm.APIError{Provider: "script", Message: fmt.Sprintf("%s: for kind %s, role %q and prompt %q (add a rule without conditions as the last one)", path, kind, op.Role, prompt), Err: errNoRule}
}
