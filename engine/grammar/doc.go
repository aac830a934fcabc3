// Package grammar keeps what a model writes within a form: a JSON schema becomes, token by token, the
// set of tokens that may come next.
//
//	v := grammar.NewVocabulary(tok.Vocab(), piece)      // once for a model
//	g, err := grammar.Compile(schema, v)                // once for a schema, shared by all texts
//	m := g.Matcher()                                    // one for each text
//	for !m.MustEnd() { id := choose(m.Mask()); m.Accept(id) }
//
// A schema is compiled to a network of byte automata that call each other ([Compile] says what is
// understood and what is refused). States are made deterministic as they are met, and what was found
// about a state, its token mask above all, is kept, so that a step costs little once its state is known.
// Everything is over bytes: a token may end in the middle of a character, and the next one then
// has to complete it.
//
// The package imports nothing of ours.
package grammar
