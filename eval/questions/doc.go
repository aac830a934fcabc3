// Package questions is gnothi's own question set: some 3,600 short
// English questions of graded difficulty with their accepted answers, made for
// calibrating small models and for measuring them afterwards.
//
// The facts stand in the tables under data, one row a subject; relations.go says
// which questions a table gives rise to, and computed.go makes those whose answers
// follow from a rule (arithmetic, the calendar, the alphabet). Nothing here is
// drawn anew at run time: the same build always yields the same questions with
// the same identifiers.
//
// Questions about one subject share a cluster, and a cluster lies wholly in one
// of two halves: [Fit] is for fitting a calibrator, [Apart] for judging it.
//
// Wordings, accepted forms and the share of each kind were revised once after
// reading what SmolLM2-135M-Instruct replied to a part of the set, from both
// halves; it gets about a third right. No question was kept or dropped for being
// answered rightly or wrongly.
//
// The package imports the standard library only.
package questions
