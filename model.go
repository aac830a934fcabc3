package gnothi

import (
	"context"
	"errors"
	"strings"
	"sync"

	"gnothi/llm"
	"gnothi/monitor"
)

var _ llm.Model = (*Mind)(nil)

// ID implements [llm.Model]: the inner model's identity with the policy, since
// what answers under another policy is another model to a cache or a calibrator.
func (m *Mind) ID() llm.ID {
	id := m.model.ID()
	id.Name += "+" + m.policyName
	if id.Weights != "" {
		id.Weights += "+" + m.policy.String()
	}
	return id
}

// Can implements [llm.Model]: what the inner model can do.
func (m *Mind) Can(a llm.Ability) bool { return m.model.Can(a) }

// Do implements [llm.Model], so that a Mind can stand wherever a model can. Each
// choice is the best candidate of a deliberation of its own over the request as
// it stands, with a seed of its own; it comes whatever a rule would say to its
// probability. The policy sets temperature and sampling. A stream begins when
// its answer is decided. Usage is all that was spent; the ledger charged is the
// context's, if it has one. Every other kind of operation, such as scoring,
// passes through to the model.
func (m *Mind) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	if op.Kind != llm.Generate {
		return m.model.Do(ctx, op)
	}
	model := &summed{Model: m.model}
	ledger := llm.LedgerFrom(ctx)
	if ledger == nil {
		ledger = llm.NewLedger(m.limits)
	}
	root := op.Seed
	if root == 0 {
		root = m.seed
	}
	res := &llm.Result{Model: m.ID().Name}
	for k := range op.N() {
		t := monitor.NewTrial(monitor.TrialOptions{Model: model, Question: Question{Text: asked(op.Request)}, Request: op.Request, Ledger: ledger, Seed: llm.SeedOf(root, op.Index(k))})
		found, err := m.policy.Run(ctx, t)
		if err == nil && found.Best == nil {
			err = errNoAnswer
		}
		if err == nil {
			choice := found.Best.Choice
			choice.Index = op.Index(k)
			if !op.Request.LogProbs {
				choice.Tokens = nil
			}
			res.Choices = append(res.Choices, choice)
			err = emit(op.Stream, choice)
		}
		if res.Usage = model.usage(); err != nil {
			return res, err
		}
	}
	return res, nil
}

var errNoAnswer = errors.New("the policy found no answer")

// asked is the question of a request, for those who compare answers with it: the
// last user message, or the last line of a prompt.
func asked(r llm.Request) string {
	if r.Prompt != "" {
		p := strings.TrimSpace(r.Prompt)
		return p[strings.LastIndexByte(p, '\n')+1:]
	}
	for i := len(r.Messages) - 1; i >= 0; i-- {
		if r.Messages[i].Role == "user" {
			return r.Messages[i].Text
		}
	}
	return ""
}

func emit(stream func(llm.Event) error, c llm.Choice) error {
	if stream == nil {
		return nil
	}
	for _, e := range c.Events() {
		if err := stream(e); err != nil {
			return err
		}
	}
	return nil
}

// summed adds up what a model's operations use.
type summed struct {
	llm.Model
	mu    sync.Mutex
	total llm.Usage
	calls int
}

func (s *summed) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	res, err := s.Model.Do(ctx, op)
	if res != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.total.Priced = res.Usage.Priced && (s.calls == 0 || s.total.Priced)
		s.total.PromptTokens += res.Usage.PromptTokens
		s.total.PromptCached += res.Usage.PromptCached
		s.total.CompletionTokens += res.Usage.CompletionTokens
		s.total.NanoUSD += res.Usage.NanoUSD
		s.calls++
	}
	return res, err
}

func (s *summed) usage() llm.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
