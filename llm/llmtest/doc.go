// Package llmtest has what tests of models share: [Run], the conformance suite
// that every provider passes, [Faults], an upstream's ways to fail, and [Pipe],
// connections in memory for tests of time limits. It imports llm.
package llmtest
