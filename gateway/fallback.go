package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/tidwall/sjson"

	"gnothi/llm"
	"gnothi/llm/openai"
)

// account is what a request pays from: its own ceilings, within those of whoever
// asks.
func (p *plan) account(ctx context.Context) (context.Context, *llm.Ledger) {
	if p.ledger == nil {
		p.ledger = llm.NewLedger(p.limits, payers(ctx)...)
	}
	return llm.WithLedger(ctx, p.ledger), p.ledger
}

// payers are the accounts of whoever asks.
func payers(ctx context.Context) []llm.Account {
	if above := llm.LedgerFrom(ctx); above != nil {
		return []llm.Account{above}
	}
	return nil
}

// boundedTokens is the longest answer under a ceiling of tokens or dollars where a
// request that is passed on does not say.
const boundedTokens = 1024

// bound gives a request that is passed on a longest answer where a ceiling of
// tokens or dollars needs one to hold.
func (p *plan) bound(ctx context.Context) (err error) {
	_, ledger := p.account(ctx)
	if l := ledger.Limits(); p.request.MaxTokens > 0 || l.Tokens == 0 && l.NanoUSD == 0 {
		return nil
	}
	field := "max_tokens"
	if p.endpoint == openai.Responses {
		field = "max_output_tokens"
	}
	p.request.MaxTokens = boundedTokens
	p.body, err = sjson.SetBytes(p.body, field, boundedTokens)
	return err
}

// answer asks the plan's model, and where that fails before anything of it was
// delivered those that may stand in for it. Each is asked under the policy anew:
// answers of different models are not mixed, and what is known of one holds for
// no other. What all of them spent is the request's.
func (g *Gateway) answer(ctx context.Context, p *plan, stream func(llm.Event) error, progress func(int)) (*answer, error) {
	delivered := false
	passed := stream
	if stream != nil && len(p.next) > 0 {
		passed = func(e llm.Event) error { delivered = true; return stream(e) }
	}
	a, err := g.ask(ctx, p, passed, progress)
	for _, m := range p.next {
		if err == nil || delivered || ctx.Err() != nil || !othersMay(err) {
			break
		}
		if p.insteadOf == "" {
			p.insteadOf = p.model.ID().String()
		}
		g.metrics.fallbacks.Inc()
		p.model = m
		a, err = g.ask(ctx, p, passed, progress)
	}
	if err != nil {
		if a != nil {
			g.record(ctx, p, nil, a.belief, reason(ctx, err))
		}
		return nil, err
	}
	return a, nil
}

// othersMay tells failures that another model may not have: of the upstream, of
// the way to it, of the account there. What is wrong with a request is wrong
// everywhere.
func othersMay(err error) bool {
	var api *llm.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.Status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return api.Status < 400 || api.Status >= 500
}
