// Package local adapts the engine to the Model contract: a GGUF file in this
// process, with no server and no key. It gives everything a Model can give but
// tools and images: every token with its log-probability and the figures of the
// full distribution, samples that share their prompt, scores of given texts.
//
// Where the files come from is the business of llm/local/models. The package
// may import llm and engine.
package local
