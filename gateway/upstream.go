package gateway

import (
	"net/http"

	"gnothi/llm"
)

// Upstream is the OpenAI-compatible server behind the model, which endpoints are
// passed through to and which has other models.
type Upstream struct {
	// Keyed tells that it is asked with a key of the gateway's; the clients' own
	// never are sent.
	Keyed bool
	// Open gives the model of another name; nil: there is only one.
	Open func(name string) (llm.Model, error)
}

// clientHeaders, canonical, are those that pass: they say nothing about who pays
// or where to go.
var clientHeaders = []string{"Openai-Beta", "Anthropic-Beta", "X-Client-Request-Id", "Traceparent", "Tracestate"}

// fromClient are the headers of a request that reach the model's server. An
// idempotency key is of one call and goes with no others; whose account is
// charged is the client's choice only where the gateway has no key.
func (g *Gateway) fromClient(h http.Header, oneCall bool) http.Header {
	out := http.Header{}
	pass := func(names ...string) {
		for _, name := range names {
			if v, ok := h[name]; ok {
				out[name] = v
			}
		}
	}
	pass(clientHeaders...)
	if oneCall {
		pass("Idempotency-Key")
	}
	if g.Upstream != nil && !g.Upstream.Keyed {
		pass("Openai-Organization", "Openai-Project")
	}
	return out
}
