// Package replay is a model that answers from a recording made by [llm.Record]:
// the same results for the same operations, without the model. It imports llm.
package replay
