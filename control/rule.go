package control

// Decision is what is done with an answer.
type Decision string

// The decisions.
const (
	Answer  Decision = "answer"
	Hedge   Decision = "hedge"   // given, with its doubt
	Clarify Decision = "clarify" // asked back
	Abstain Decision = "abstain" // withheld
	Defer   Decision = "defer"   // handed over to a person or another model
)

// Rule turns a calibrated probability into a decision. Below Threshold the
// answer is withheld, in the way that Below says; between Threshold and Hedge it
// is given with its doubt. The zero Rule answers always.
type Rule struct {
	Threshold float64
	Hedge     float64
	Below     Decision // Abstain if empty
}

// CostRule is the rule that expects to cost least: withholding costs 1, a wrong
// answer costs wrong, a right one nothing; so answer when 1 − p ≤ 1/wrong.
func CostRule(wrong float64) Rule {
	if wrong <= 1 {
		return Rule{}
	}
	return Rule{Threshold: 1 - 1/wrong}
}

// Decide gives the decision for a probability; nil, one that is not known,
// does not reach any threshold above 0, nor does what is no number.
func (r Rule) Decide(p *float64) Decision {
	below := func(threshold float64) bool { return threshold > 0 && (p == nil || !(*p >= threshold)) }
	if below(r.Threshold) {
		if r.Below == "" {
			return Abstain
		}
		return r.Below
	}
	if below(r.Hedge) {
		return Hedge
	}
	return Answer
}
