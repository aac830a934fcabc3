// Package calibrate turns the readings of several signals into the probability
// that an answer is right: a calibrator fitted for just this model, policy,
// form and kind of answer; else a prior pooled over other models, with an
// honestly wide interval, which a few labelled answers narrow; else nothing.
// The combination is itself a signal ([Combined]); [Ablate] tells what each part
// adds, [Calibrator] and [Similarity] which answers are unlike those it saw.
//
// It may import monitor, llm, text and stats.
package calibrate
