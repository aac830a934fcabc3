// Package claims checks what an answer says, claim by claim: it splits the
// answer (text.Claims), and a [Source] gives each claim a support in [0,1].
//
//   - [Samples]: do the model's other samples support it (selfcheckagent)?
//   - [Context]: does the given context support it?
//   - [Knowledge]: does the model, asked afresh, hold it true?
//   - [NGram], [Particulars]: the same without asking: how rare its rarest word is
//     among the samples; whether its numbers, dates and names stand there.
//   - [Fused]: the rank average of several.
//
// [Signal] makes a monitor.Signal of a source; its reading's Parts carry the
// claims with their spans. [Supports] is the evidence beneath, which also tells
// what was not checked and why. [Facts] and [Grades] go below the sentence:
// atomic facts, their truth and weight, and [Rewards] on the answer's tokens
// (rlfh-fine-grained-knowledge).
//
// A claim without a verdict is not supported and not unsupported: it is not
// checked, failed or unparsed, and counted as that.
//
// It may import monitor, monitor/prompt, llm, text and stats.
package claims
