// Package verbal holds the signals that ask the model about its own answer.
// Each asks in a fresh context, which does not carry the conversation that made
// the answer. What they are worth differs greatly between models: on the small
// default model they are close to nothing, and a calibrator weights them so.
//
// It may import monitor, monitor/prompt, llm and text.
package verbal
