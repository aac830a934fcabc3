// Package openai speaks the OpenAI wire format: as a provider, to any server
// that offers chat completions, and, for the gateway, in both directions.
//
// The functions of the wire keep what they do not know. A request's unknown
// fields travel in [llm.Request.Extra] and its messages in [llm.Message.Raw]; a
// response's in [llm.Result.Raw] and [llm.Choice.Raw]. Values are passed on as
// the bytes that came, so integers above 2^53 survive. [Provider] sends what an
// operation asks for and nothing else.
//
// The package imports llm and net/http; docs/decisions/2026-11-24-openai-wire.md
// says why not the official SDK.
package openai
