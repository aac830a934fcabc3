// Package catalog holds the papers gnothi is made from, each with what of it works here, and the one explicit list
// of names that the command line knows with their constructors.
//
// The papers are data: papers.tsv has one row for each, in the order of the census. A row names the symbol that carries
// the method, and the file of that symbol carries the row's slug in a comment, so a reader finds the code of a paper by
// its slug and the paper of some code by the same word. Adding a method is one file elsewhere and one line here.
//
// States are claims that the tests check: a row may say that it works only if its symbol exists and its command runs.
//
// The package may import everything below the commands, and only the commands and the gateway import it: a program that
// uses the library calls the constructors themselves.
package catalog
