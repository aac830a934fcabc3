// Package prompt holds everything that gnothi says to a model: the forms in
// which a question is asked and the templates of the questions about answers.
// A template has a name, a version and a hash, so a calibrator or a cached
// result can say which words it rests on.
//
// Text that comes from people or models is data: it is put between quotes or
// fences that it cannot close.
//
// It may import monitor, llm and text.
package prompt
