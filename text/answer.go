package text

import (
	"fmt"
	"math/big"
)

// Span is a half-open range of bytes, [Start, End), of the text it came from.
type Span struct{ Start, End int }

// In returns the part of s that the span covers.
func (p Span) In(s string) string { return s[p.Start:p.End] }

// Len is the number of bytes covered.
func (p Span) Len() int { return p.End - p.Start }

// Kind is the type of answer that a question asks for.
type Kind uint8

// The kinds of answer.
const (
	Free   Kind = iota // a short answer in words: a name, a date, a phrase
	Number             // a quantity, compared as an exact rational
	Letter             // the letter of an option
	Bool               // yes or no, true or false
	Label              // one of a given list of labels
)

var kindNames = [...]string{"free", "number", "letter", "bool", "label"}

// String returns the lower-case name, for example "number".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// ParseKind is the inverse of [Kind.String].
func ParseKind(name string) (Kind, error) {
	for i, n := range kindNames {
		if n == name {
			return Kind(i), nil
		}
	}
	return 0, fmt.Errorf("text: kind %q: want one of %v", name, kindNames)
}

// MarshalText writes the name of the kind.
func (k Kind) MarshalText() ([]byte, error) {
	if int(k) >= len(kindNames) {
		return nil, fmt.Errorf("text: no kind has number %d", uint8(k))
	}
	return []byte(kindNames[k]), nil
}

// UnmarshalText reads the name of a kind.
func (k *Kind) UnmarshalText(b []byte) error {
	v, err := ParseKind(string(b))
	if err == nil {
		*k = v
	}
	return err
}

// Outcome says what became of a reply. Reading it gives Unparsed, Refused or
// Parsed; grading turns Parsed into Right or Wrong. The zero value is Unparsed:
// a missing answer must never look like an answer.
type Outcome uint8

// The outcomes, to be counted apart everywhere.
const (
	Unparsed Outcome = iota // no answer of the kind asked for was found
	Refused                 // the model declined, or said that it does not know
	Parsed                  // there is an answer; it was not graded
	Right                   // graded: an accepted answer
	Wrong                   // graded: none of the accepted answers
)

var outcomeNames = [...]string{"unparsed", "refused", "parsed", "right", "wrong"}

// String returns the lower-case name, for example "refused".
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// MarshalText writes the name of the outcome.
func (o Outcome) MarshalText() ([]byte, error) {
	if int(o) >= len(outcomeNames) {
		return nil, fmt.Errorf("text: no outcome has number %d", uint8(o))
	}
	return []byte(outcomeNames[o]), nil
}

// UnmarshalText reads the name of an outcome.
func (o *Outcome) UnmarshalText(b []byte) error {
	for i, n := range outcomeNames {
		if n == string(b) {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("text: outcome %q: want one of %v", b, outcomeNames)
}

// Rule names the rule by which an answer was found, strongest first.
type Rule string

// The rules, in the order in which they are tried. The reply as a whole comes
// in where it is nothing but an answer.
const (
	RuleDeclared Rule = "declared" // on a line "Answer: …" or "#### …", the last one
	RuleBoxed    Rule = "boxed"    // in \boxed{…}, the last one
	RulePhrase   Rule = "phrase"   // after "the answer is", the last one
	RuleWhole    Rule = "whole"    // the reply is the answer, give or take decoration
	RuleBold     Rule = "bold"     // set in **bold**
	RuleOption   Rule = "option"   // an option was named by its text
	RuleFirst    Rule = "first"    // the reply opens with it
	RuleLast     Rule = "last"     // the type's own last match
	RuleSentence Rule = "sentence" // taken out of the first sentence of a free answer
)

// Answer is what was read from one reply.
type Answer struct {
	Text   string   // as the reply has it, without decoration; the letter in upper case; "yes" or "no" for Bool
	Kind   Kind     // the kind that was asked for
	Value  *big.Rat // Number only: the number as written, in Unit
	Unit   string   // Number only: "%", a currency or unit known to this package, or ""
	Rule   Rule     // which rule found it; for a refusal where it was found
	Status Outcome
	Span   Span // where in the reply; empty where there is no answer
}

// Task is what was asked. The zero Task asks for a free answer to a question
// that is not known; everything known beyond that makes the reading sharper.
type Task struct {
	Kind     Kind
	Question string     // so that text copied from it is not taken for the answer
	Options  []Option   // for Letter: the options as they were shown
	Labels   []string   // for Label: the labels, in the spelling to be returned
	Aliases  [][]string // lists of spellings that mean the same
}

// Option is one option of a multiple-choice question. Letters belong to one
// presentation, keys to the content: answers are compared by key.
type Option struct {
	Letter string // as shown, "A"
	Key    string // what it stands for in every presentation; Text if empty
	Text   string // as shown
}

// Extract reads an answer of the given kind from a reply. See [Task.Extract].
func Extract(kind Kind, reply string) Answer { return Task{Kind: kind}.Extract(reply) }

// Key returns a string that is equal for equal answers: see [Task.Key].
func Key(a Answer) string { return Task{Kind: a.Kind}.Key(a) }

// Classes groups equal answers: see [Task.Classes].
func Classes(answers []Answer) [][]int { return Task{}.Classes(answers) }

// Equal reports whether two short answers of one kind mean the same; an answer
// that cannot be read equals nothing, not even itself.
func Equal(kind Kind, a, b string) bool {
	t := Task{Kind: kind}
	ka := t.Key(t.take(a))
	return ka != "" && ka == t.Key(t.take(b))
}
