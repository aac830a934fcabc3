// Command bare is the yardstick of the benchmark: the least that an evaluation
// has to do. It asks about each line of a file of questions, compares the reply
// with the accepted answers, appends a line a question to a log that is synced
// every tenth of a second, and started again leaves out what the log has.
//
// It may import nothing of gnothi.
package main
