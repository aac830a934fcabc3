package card

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"gnothi/eval"
	"gnothi/llm"
	"gnothi/stats"
)

// DefaultLimits are the budget of a card where none is given: the default local
// model on two cores needs some minutes for it.
var DefaultLimits = llm.Limits{Calls: 2500, Tokens: 400_000}

// Planned is a suite that is to be run.
type Planned struct {
	Study   string `json:"study"`
	About   string `json:"about"`
	Items   int    `json:"items"`
	Calls   int64  `json:"calls"`  // about
	Tokens  int64  `json:"tokens"` // about, prompt and completion
	NanoUSD int64  `json:"nano_usd,omitempty"`
	// Within is how far off, either way, a share of all items is at most with 95 %
	// confidence; rows that rest on a part of the items are further off.
	Within float64 `json:"within"`
}

// LeftOut is what the card does not tell, and why.
type LeftOut struct {
	What   string `json:"what"` // a suite by name, or a row by its title
	Reason string `json:"reason"`
}

// Plan is what a card will ask. It hangs on the model's abilities and the budget
// alone.
type Plan struct {
	Schema  int        `json:"schema"` // of the card's files: 1
	Set     int        `json:"set"`    // version of the suites and rows
	Gnothi  string     `json:"gnothi"` // version
	Model   string     `json:"model"`  // its identity
	Spec    string     `json:"spec"`   // what the user called it
	Seed    uint64     `json:"seed"`
	Limits  llm.Limits `json:"limits"`
	Suites  []Planned  `json:"suites"`
	LeftOut []LeftOut  `json:"left_out"`
}

// Schema is the version of the plan's and the card's JSON.
const Schema = 1

// NewPlan fits the suites into the budget: all of them with fewer items where it
// is small, none below the number that says anything, and the last ones not at
// all where that is too much. price, nil where it is not known, is what a ceiling
// of dollars is planned with. A budget for not even one suite is llm.ErrBudget,
// and the error says what it would take.
func NewPlan(m llm.Model, spec string, seed uint64, limits llm.Limits, price *llm.Price) (Plan, error) {
	p := Plan{Schema: Schema, Set: Set, Model: m.ID().String(), Spec: spec, Seed: seed, Limits: limits, LeftOut: []LeftOut{}}
	can := parts
	for ; len(can) > 0; can = can[:len(can)-1] {
		if cost(can, m, price, func(t part) int { return t.fewest }).within(limits) {
			break
		}
	}
	if len(can) == 0 {
		first := parts[:1]
		need := cost(first, m, price, func(t part) int { return t.fewest })
		all := cost(parts, m, price, func(t part) int { return t.items })
		return p, fmt.Errorf("%w: not even the first suite fits: %s with %d items takes about %s; the whole card takes about %s",
			llm.ErrBudget, first[0].suite().Describe().Name, first[0].fewest, need.words(), all.words())
	}
	// The largest share of the items over the fewest that fits, in thousandths so
	// that it is the same everywhere.
	items := func(thousandth int) func(part) int {
		return func(t part) int { return t.fewest + (t.items-t.fewest)*thousandth/1000 }
	}
	size := 1000
	for size > 0 && !cost(can, m, price, items(size)).within(limits) {
		size--
	}
	for i, t := range parts {
		d := t.suite().Describe()
		if i >= len(can) {
			need := cost(parts[:i+1], m, price, func(t part) int { return t.fewest })
			p.LeftOut = append(p.LeftOut, LeftOut{"suite " + d.Name, "the budget does not reach: with it the card takes about " + need.words() + " at the least"})
			continue
		}
		n := items(size)(t)
		one := cost(parts[i:i+1], m, price, func(part) int { return n })
		within, err := stats.Wilson(n/2, n, eval.Level)
		if err != nil {
			return p, err
		}
		p.Suites = append(p.Suites, Planned{d.Name, d.About, n, one.calls, one.tokens, one.nanoUSD, math.Round(500*(within.High-within.Low)) / 1000})
	}
	for _, g := range groups() {
		for _, r := range g.rules {
			if why := r.lacks(m); why != "" {
				p.LeftOut = append(p.LeftOut, LeftOut{r.title, why})
			}
		}
	}
	return p, nil
}

// Total is what the plan costs, about.
func (p Plan) Total() (calls, tokens, nanoUSD int64) {
	for _, s := range p.Suites {
		calls, tokens, nanoUSD = calls+s.Calls, tokens+s.Tokens, nanoUSD+s.NanoUSD
	}
	return calls, tokens, nanoUSD
}

type estimate struct {
	calls, tokens, nanoUSD int64
	priced                 bool
}

func cost(ps []part, m llm.Model, price *llm.Price, items func(part) int) estimate {
	e := estimate{priced: price != nil}
	for _, t := range ps {
		n, calls, tokens := float64(items(t)), t.calls, t.tokens
		if t.without > 0 && !m.Can(llm.ScoreText) {
			tokens *= t.without / calls
			calls = t.without
		}
		e.calls += int64(math.Ceil(n * calls))
		e.tokens += int64(math.Ceil(n * tokens))
	}
	if price != nil {
		// About a tenth of the tokens are written.
		e.nanoUSD = e.tokens*9/10*price.Input + e.tokens/10*price.Output
	}
	return e
}

func (e estimate) within(l llm.Limits) bool {
	return (l.Calls == 0 || e.calls <= l.Calls) && (l.Tokens == 0 || e.tokens <= l.Tokens) && (l.NanoUSD == 0 || !e.priced || e.nanoUSD <= l.NanoUSD)
}

func (e estimate) words() string {
	s := fmt.Sprintf("%d calls and %d tokens", e.calls, e.tokens)
	if e.priced && e.nanoUSD > 0 {
		s += fmt.Sprintf(", $%.4f", float64(e.nanoUSD)/1e9)
	}
	return s
}

// Same says why a card that was begun with a plan cannot go on as another one
// has it; budgets may differ.
func (p Plan) Same(with Plan) error {
	switch {
	case p.Schema != with.Schema:
		return fmt.Errorf("it is of version %d, this gnothi writes version %d: go on with the gnothi that began it", p.Schema, with.Schema)
	case p.Set != with.Set:
		return fmt.Errorf("it was begun with set %d of the suites, this gnothi has set %d: begin a new card", p.Set, with.Set)
	case p.Model != with.Model:
		return fmt.Errorf("it is the card of %s, not of %s: choose another folder with --out", p.Model, with.Model)
	case p.Seed != with.Seed:
		return fmt.Errorf("it was begun with seed %d, not %d", p.Seed, with.Seed)
	}
	return nil
}

// suite finds a planned suite.
func (s Planned) suite() (eval.Suite, error) {
	for _, t := range parts {
		if suite := t.suite(); suite.Describe().Name == s.Study {
			return suite, nil
		}
	}
	return nil, errors.New("no suite of this card is called " + strings.ToValidUTF8(s.Study, "?"))
}
