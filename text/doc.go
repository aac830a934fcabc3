// Package text reads what language models write: it finds the answer in a
// reply, says which answers are the same, grades them, and measures texts.
//
// Everything is a pure function of strings: no model, no randomness, no clock.
// The package imports nothing of gnothi; of other modules only
// golang.org/x/text. A reply is untrusted data: no input panics, and work and
// memory are bounded by a small multiple of its length.
//
// The nouns:
//
//   - [Task]: what was asked. Its [Kind] says what an answer looks like; the
//     question, options, labels and aliases make the reading sharper.
//   - [Answer]: what was read, by which [Rule], from which [Span] of the reply,
//     and whether it was parsed, refused or unparsed. The last two are never a
//     wrong answer and never each other.
//   - [Key], [Equal], [Classes]: equivalence. Equal keys are equal answers, so
//     classing n answers costs n keys.
//   - [Grade]: an [Outcome] against accepted answers: right, wrong, refused,
//     unparsed.
//   - [ParseConfidence], [ReadBool]: stated confidence and verdicts.
//   - [Sentences], [Degenerate], [F1], [RougeL], …: spans and measures.
//   - [Sanitise], [Clip]: model text on its way to a terminal.
package text
