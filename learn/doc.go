// Package learn makes training data of a model's judgements of itself: pairs,
// rows for supervised fine-tuning, rewards, rankings. It is the part of the
// papers on self-rewarding that needs no gradients.
//
// A Recipe is one paper: it samples answers to a Prompt in a trial, scores them
// (by a judge, the model's own confidence, a checker, agreement) and selects by
// a rule. Rows come out, flat records for JSON Lines; Tally gathers what was
// dropped and why, and what the rows may teach beside what they should: length,
// the order in which a judge saw things, a judge's taste for its own.
//
// Each recipe is one file named after its paper. The rules are pure functions
// (rules.go). Package countdown has the puzzle with its exact checker.
//
// It may import everything from control downwards: control, monitor, llm, text
// and stats.
package learn
