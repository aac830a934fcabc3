package llm

import (
	"context"
	"net/http"
)

type headerKey struct{}

// WithHeader makes the calls under a context carry headers of whoever asks, such
// as OpenAI-Beta. Those that a provider sends of its own accord win.
func WithHeader(ctx context.Context, h http.Header) context.Context {
	return context.WithValue(ctx, headerKey{}, h)
}

// HeaderFrom gives the headers of [WithHeader], to be read only.
func HeaderFrom(ctx context.Context) http.Header {
	h, _ := ctx.Value(headerKey{}).(http.Header)
	return h
}
