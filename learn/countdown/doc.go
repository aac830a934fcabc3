// Package countdown is the numbers game: make a target of some whole numbers,
// each used at most once, with + − × ÷ and brackets. Its checker is exact, which
// makes it the task on which self-rewarding is measured against the truth.
//
// It imports nothing of gnothi.
package countdown
