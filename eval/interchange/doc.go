// Package interchange reads what other evaluation programs wrote and writes what
// they read. [Read] gives one [Answer] after another of an Inspect log (.eval or
// .json) or of a sample file of lm-eval; an answer is a line of evidence, which
// score, calibrate and stats take, or an [eval.Record]. [WriteJSONL], [WriteCSV]
// and [WriteInspect] write records.
//
// Both ways go through one sample at a time: memory is bounded by the largest
// sample's fields that are kept, and by the directory of a zip, not by the log.
//
// It may import eval, llm, stats and internal/jsonl, as policy_test.go has it.
package interchange
