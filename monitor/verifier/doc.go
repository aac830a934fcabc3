// Package verifier makes a signal of the user's own program, which is given a
// question and an answer and says how good the answer is: a unit test, a solver,
// a look into a database. It may import monitor.
package verifier
