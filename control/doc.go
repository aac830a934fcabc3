// Package control is information flowing down: it spends samples, votes,
// revises, escalates and decides.
//
// Three policies carry nearly every method of the field as settings: [Vote]
// (sampler × stopper × scorer × aggregator), [Loop] (feedback × reviser × keep
// rule × stop rule) and [Cascade] (policy, signal, threshold, next policy).
// They nest through child trials. [Rule] turns a calibrated probability into a
// decision.
//
// A method of correction is one file: its templates as [Ask]s, and a Loop that
// puts them together. [Ask.Feedback] and [Ask.Reviser] are feedback and reviser
// that ask; [Failing] asks only where a [Verifier] fails the answer; [Last],
// [Passing] and [Highest] keep. [Retry] is the control of them all, [UpTo] the
// same at equal tokens. A method of sampling is a [Sampler], a signal or an
// [Aggregator] in a Vote.
//
// It may import monitor, llm, text and stats.
package control
