// Package control is information flowing down: it spends samples, votes,
// revises, escalates and decides.
//
// Three policies carry nearly every method of the field as settings: [Vote]
// (sampler × stopper × scorer × aggregator), [Loop] (feedback × reviser × keep
// rule × stop rule) and [Cascade] (policy, signal, threshold, next policy).
// They nest through child trials. [Rule] turns a calibrated probability into a
// decision.
//
// It may import monitor, llm, text and stats.
package control
