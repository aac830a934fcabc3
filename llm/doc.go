// Package llm is the object level: one contract, [Model], for whatever produces
// text, and the middleware that every call passes through.
//
// Every paid operation is an [Op] given to [Model.Do]: N choices that share a
// prompt, or the log-probabilities of a given continuation. What a model is
// able to do is asked of the outermost model with [Model.Can], so an ability
// never slips past a budget, a cache or a limit: nothing unwraps.
//
// Providers live in the packages below (openai, anthropic, local, script,
// replay); llmtest is the conformance suite that each of them passes. The
// package imports nothing of gnothi; only llm/local imports the engine.
package llm
