// Package anthropic is the Messages API as an [gnothi/llm.Model]. The API has
// no log-probabilities, no n and no seed: several choices are several calls,
// and signals that need token data say that it is missing.
//
// It may import llm and the HTTP client that the providers share.
package anthropic
