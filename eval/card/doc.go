// Package card draws one page about a model: what it knows about itself. A card
// is a fixed set of suites of package eval and a fixed set of rows, each of which
// counts one thing in the results of a suite: whether the model's confidences are
// calibrated, whether it knows what it knows, what it does with what nobody can
// know, whether it stands by what is right, corrects itself, judges fairly and
// explains itself faithfully. [NewPlan] fits the suites into a budget and leaves
// out by name what does not fit; [Make] runs them, each kept in a folder of its
// own, so that a card that was cut off goes on; [Card] is the result, which can be
// written as JSON, as a page and as a badge, and [Compare] sets two beside one
// another.
//
// It may import what package eval may, and the packages below it.
package card
