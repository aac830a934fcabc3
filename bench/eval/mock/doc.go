// Command mock is an upstream for measuring evaluation: an OpenAI-compatible
// server on loopback that adds numbers. It takes its time, fails, refuses, says
// nothing and rambles as it is told, and counts what it sees.
//
// A question that says "Question 17: … A + B" is about item 17 and is answered
// with the sum, or with one more than that. Which items always fail, are
// refused and so on hangs on the number alone, exactly so many of every
// thousand: what a harness counts can be compared with what is true. Transient
// failures are drawn for each request.
//
// It may import nothing of gnothi.
package main
