// Package llmtest has what tests of models share: [Run], the conformance suite
// that every provider passes, and [Faults], an upstream's ways to fail. It
// imports llm.
package llmtest
