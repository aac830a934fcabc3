// Package monitor is information flowing up: from evidence about a question to
// scores in [0,1].
//
// A [Trial] is one question under study. An [Evidence] names what is wanted and
// knows how to gather it; [Get] gathers it once a trial, however many signals
// ask. A [Signal] reads evidence and scores candidates; higher is always more
// trustworthy. The families are packages below: likelihood, consistency,
// verbal; prompt holds the versioned templates, calibrate turns signals into a
// probability.
//
// It may import llm, text and stats.
package monitor
