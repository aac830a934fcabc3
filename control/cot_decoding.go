package control

import (
	"context"
	"fmt"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
)

// CoTDecoding is the policy `cot-decoding` (rlsf-self-feedback, van Niekerk et
// al. 2025, which samples by the CoT-decoding of Wang and Zhou 2024): the k most
// likely first tokens each begin an answer that is continued greedily; the
// answers vote with the gap between the two most likely tokens on the answer's
// span, summed by class. An answer whose span is not found has no vote. Needs a
// model that continues raw text and shows its most likely tokens; k is at most
// the 20 that are shown. 1 + k calls.
//
// Chosen: a first token that is blank begins nothing; at the first token, which
// need not be the most likely one, the gap is to the best other token, at least 0.
func CoTDecoding(k int, gap monitor.Signal) Policy {
	return Vote{Sampler: Branches{K: k}, Stop: Fixed(k), Scorer: gap}
}

// Branches samples greedy continuations of the most likely first tokens.
type Branches struct{ K int }

// Draw implements Sampler.
func (s Branches) Draw(ctx context.Context, t *monitor.Trial, n int) ([]*monitor.Candidate, error) {
	stems, err := monitor.Get(ctx, t, s)
	if err != nil {
		return nil, err
	}
	return remembered(min(n, len(stems)), func(i int) (*monitor.Candidate, error) {
		return monitor.Get(ctx, t, branch{s, i})
	})
}

func (s Branches) String() string { return fmt.Sprintf("branches k=%d", s.K) }

// shown is how many likely tokens models show at most.
const shown = 20

// Gather gets the first tokens: monitor.Evidence of them.
func (s Branches) Gather(ctx context.Context, t *monitor.Trial) ([]llm.Token, error) {
	if !t.Model.Can(llm.RawPrompt) || !t.Model.Can(llm.LogProbs) {
		return nil, &monitor.MissingError{Needs: "a model that continues raw text and shows its most likely tokens (a local model)"}
	}
	c, err := t.Ask(ctx, branchOp(t, "", 1, shown))
	if err != nil {
		return nil, err
	}
	var stems []llm.Token
	for _, tok := range c.Tokens[:min(1, len(c.Tokens))] {
		for _, alt := range tok.Top {
			if strings.TrimSpace(alt.Text) != "" && len(stems) < s.K {
				stems = append(stems, llm.Token{Text: alt.Text, LogProb: alt.LogProb, Top: tok.Top})
			}
		}
	}
	if len(stems) == 0 {
		return nil, &monitor.MissingError{Needs: "the most likely first tokens; the model showed none"}
	}
	return stems, nil
}

// branch is the evidence of one continuation.
type branch struct {
	Branches
	i int
}

// Gather implements monitor.Evidence.
func (b branch) Gather(ctx context.Context, t *monitor.Trial) (*monitor.Candidate, error) {
	if t.Form() != nil {
		return nil, errUnformed
	}
	stems, err := monitor.Get(ctx, t, b.Branches)
	if err != nil {
		return nil, err
	}
	stem := stems[b.i]
	c, err := t.Ask(ctx, branchOp(t, stem.Text, 0, 2))
	if err != nil {
		return nil, err
	}
	c.Index, c.Text, c.Tokens = b.i, stem.Text+c.Text, append([]llm.Token{stem}, c.Tokens...)
	return t.Candidate(c, monitor.FromSample, nil), nil
}

// branchOp continues the question's own raw form where it has one, else a plain
// request to work it out.
func branchOp(t *monitor.Trial, stem string, tokens, top int) llm.Op {
	req := t.Request
	if req.Prompt == "" {
		req.Messages, req.Prompt = nil, stepwise.Fill("question", asked(t))+"\n"
	}
	req.Prompt += stem
	req.LogProbs, req.TopLogProbs, req.Temperature = true, top, new(float64)
	if tokens > 0 {
		req.MaxTokens = tokens
	}
	return llm.Op{Request: req, Seed: t.SeedFor("branch", 0), Role: "sample"}
}
