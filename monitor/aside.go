package monitor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gnothi/llm"
)

// Aside is what a method asks the model besides the trial's own question: for a
// verdict, a critique, a rewrite. It goes in a context of its own, so nothing of
// the conversation that made a candidate goes with it unless Messages says so.
type Aside struct {
	Role        string        // judge, rewrite, rank, …: how the ledger books it
	Index       int           // numbers the asides of one role, so that each has a seed of its own
	Text        string        // the prompt, filled from a versioned template
	Messages    []llm.Message // instead of Text, a conversation
	MaxTokens   int           // 0: 256
	Temperature float64       // 0: greedy
	TopLogProbs int           // 0..20: also the likeliest alternatives of each token
	Answers     bool          // the reply is another answer: it keeps to the form that the trial's request asks for
}

// Aside asks once. Token log-probabilities come with the reply where the model
// has them.
func (t *Trial) Aside(ctx context.Context, a Aside) (llm.Choice, error) {
	return t.Ask(ctx, t.aside(a))
}

// Asides asks n times with one shared prompt. When a budget or the model gives
// out after some replies, those come with the error.
func (t *Trial) Asides(ctx context.Context, a Aside, n int) ([]llm.Choice, error) {
	op := t.aside(a)
	op.Indices = llm.Range(0, n)
	res, err := t.Do(ctx, op)
	if res == nil {
		return nil, err
	}
	if err == nil && len(res.Choices) == 0 {
		err = errors.New("no choices came back")
	}
	if err != nil {
		err = fmt.Errorf("model %s: %w", t.Model.ID(), err)
	}
	return res.Choices, err
}

func (t *Trial) aside(a Aside) llm.Op {
	messages := a.Messages
	if messages == nil {
		messages = []llm.Message{{Role: "user", Text: a.Text}}
	}
	if a.MaxTokens == 0 {
		a.MaxTokens = 256
	}
	req := llm.Request{Messages: messages, MaxTokens: a.MaxTokens, Temperature: &a.Temperature, LogProbs: t.Model.Can(llm.LogProbs), TopLogProbs: a.TopLogProbs}
	if !req.LogProbs {
		req.TopLogProbs = 0
	}
	if a.Answers {
		t.keepForm(&req)
	}
	return llm.Op{Request: req, Seed: t.SeedFor(a.Role, a.Index), Role: a.Role}
}

// Tokens gives the log-probability of each token of a text as the answer to the
// trial's question. It needs a model that scores given text.
func (t *Trial) Tokens(ctx context.Context, text string) ([]llm.Token, error) {
	if t.Request.Prompt != "" && !strings.HasPrefix(text, " ") {
		text = " " + text // text that is continued goes on after a word
	}
	scored, err := t.Ask(ctx, llm.Op{Kind: llm.Score, Request: t.Request, Continuation: text, Role: "tokens"})
	if err != nil {
		return nil, fmt.Errorf("asked for log-probabilities: %w", err)
	}
	return scored.Tokens, nil
}

// Likelihood is the log-probability that a reply to text which begins with lead
// goes on with rest. It needs a model that scores given text.
func (t *Trial) Likelihood(ctx context.Context, role, text, lead, rest string) (float64, error) {
	scored, err := t.Ask(ctx, llm.Op{
		Kind: llm.Score, Role: role, Continuation: lead + " " + rest,
		Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: text}}, LogProbs: true},
	})
	if err != nil {
		return 0, err
	}
	sum, at := 0.0, 0
	for _, tok := range scored.Tokens {
		if at += len(tok.Text); at > len(lead) {
			sum += tok.LogProb
		}
	}
	if !(sum <= 1e-3) || at <= len(lead) {
		return 0, fmt.Errorf("model %s: log-probability %v of %d bytes makes no sense", t.Model.ID(), sum, at)
	}
	return sum, nil
}
