// Package calibrate turns the readings of several signals into the probability
// that an answer is right: a calibrator fitted for just this model, policy,
// form and kind of answer; else a prior pooled over other models, with an
// honestly wide interval; else nothing.
//
// It may import monitor, llm, text and stats.
package calibrate
