// Package eval measures models: published studies re-run on any model, with
// intervals, and everything that became of an item counted apart.
//
// A [Study] is one file in package studies: seeded items, what is asked about
// each, what is measured over all. What is asked about an item depends on the
// item, the seed and the models alone, so items run side by side and in any
// order, and every result is a [Record] that can be written down, read again and
// measured again. [Suite] is a study whose types are hidden, which is what the
// catalogue lists and the command runs.
//
// It may import everything up to learn, llm, text, stats and store, as
// policy_test.go has it.
package eval
