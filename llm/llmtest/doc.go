// Package llmtest has what tests of models share: [Run], the conformance suite
// that every provider passes, [Faults], an upstream's ways to fail, [Pipe],
// connections in memory for tests of time limits, and [Main] and [NoLeaks], which
// find goroutines left behind. [Assistant] is an upstream for sessions of clients'
// libraries. It imports llm.
package llmtest
