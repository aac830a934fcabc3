// Package probe holds the signals that read a model's hidden state. They exist
// on the local engine only, and each probe belongs to one model and one form of
// question.
//
// It may import monitor and llm.
package probe
