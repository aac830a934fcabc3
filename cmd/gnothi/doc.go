// Command gnothi tells how far a language model can be trusted: it answers
// with honest probabilities, serves an OpenAI-compatible gateway that does, and
// shows which of the field's methods it carries. It only composes the packages
// of the module.
package main
