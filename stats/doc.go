// Package stats measures confidence: is it calibrated, does it rank right answers above wrong ones, how sure are we of
// either, and how is a raw score turned into an honest probability.
//
// It holds pure functions over slices and imports nothing of this module (gonum only). One convention runs through it:
//
//   - score []float64: higher means more trustworthy. Where a probability is needed it is called p and lies in [0,1].
//   - y []float64: what came out, 1 right and 0 wrong. Functions that make sense for graded quality accept any y in
//     [0,1]; those that need two classes return [ErrNotBinary] otherwise.
//   - group, cluster []int: dense labels made by [Groups]; nil means none.
//   - Randomness comes in as a *rand.Rand and nowhere else.
//
// Undefined results are errors (one class, constant input, nothing to average), never a NaN passed on in silence. What
// is shown to a person is a [Figure]: value, interval, n, method, and the reason where a part of it is missing.
//
// Files:
//
//   - calibration.go, smece.go (how far off), calibrationtest.go (is it off at all)
//   - ranking.go, selective.go (AUROC, risk and coverage), concordance.go (rank correlations)
//   - interval.go, resample.go, delong.go, paired.go, tests.go (uncertainty of figures and of differences; adjusting many
//     p-values)
//   - power.go (how many items, how small an effect), judged.go (labels by a judge who errs)
//   - fit.go, logistic.go, crossfit.go (score to probability)
//   - guarantee.go, conformal.go (what can be promised: thresholds, answer sets; drift)
//   - correction.go (a second answer: confidence and critique)
//   - agreement.go (raters), detection.go (d′ and meta-d′), pairwise.go (Bradley–Terry, Elo), divergence.go
//   - stopping.go (when to stop sampling), describe.go (small change), summary.go (all of it at once)
package stats
