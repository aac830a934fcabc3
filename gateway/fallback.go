package gateway

import (
	"context"
	"errors"
	"net/http"

	"gnothi/llm"
)

// account is what a request pays from: its own ceilings, within those of whoever
// asks.
func (p *plan) account(ctx context.Context) (context.Context, *llm.Ledger) {
	if p.ledger == nil {
		var within []llm.Account
		if above := llm.LedgerFrom(ctx); above != nil {
			within = []llm.Account{above}
		}
		p.ledger = llm.NewLedger(p.limits, within...)
	}
	return llm.WithLedger(ctx, p.ledger), p.ledger
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
