// Package gnothi lets a language model know what it knows.
//
// A [Mind] is an object-level model under a loop of monitoring and control
// (Nelson and Narens 1990): [Mind.Ask] answers a question with a [Belief], the
// answer together with the probability that it is right, what that probability
// rests on, the decision whether to give it, and what it cost.
//
//	model, err := local.Open(local.File{Path: "model.gguf", Name: "my-model"}, local.Options{})
//	…
//	mind, err := gnothi.New(model)
//	belief, err := mind.Ask(ctx, gnothi.Question{Text: "What is the capital of France?"})
//
// The package may import control, monitor, llm, text and stats.
package gnothi
