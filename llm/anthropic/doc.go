// Package anthropic is a model behind Anthropic's messages API.
//
// Requests come in the terms of OpenAI's chat completions, which llm keeps in
// [llm.Request.Extra] and [llm.Message.Raw]; the package translates tools, tool
// calls and their results, images and schemas, and passes on what it does not
// know. Answers go back the same way: [llm.Choice.Raw] and the Raw of an event
// are in the layout of chat completions, so that what reads tool calls reads
// those of every provider. A message whose content is more than text also has
// it as it came, under "content_blocks"; sent back with the conversation it
// reaches the API unchanged, signatures of its thinking included.
//
// There are no log-probabilities, no seeds, no raw prompts and no n: several
// choices are several calls.
//
// The package imports llm and net/http. Its fixtures are written from the API's
// documentation. docs/decisions/0004-anthropic-raw-http.md says why not the official SDK.
package anthropic
