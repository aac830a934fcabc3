package text

import (
	"math/big"
	"strings"
)

// keyRefused is the key of every refusal: they are one class.
const keyRefused = "!refused"

// Key returns a canonical string for an answer: equal keys are equal answers.
// It is "" for an unparsed answer, which equals nothing.
//
// Numbers are exact rationals in the base unit of their dimension (5 km is
// 5000 m, 50 % is 1/2 unless the question asks for a percentage). Letters stand
// for their options, if those are known. Free answers are compared as numbers
// or dates where they are ones, else by [Normalise]; then aliases apply. Tool
// calls are compared by structure ([Task.Calls]), whatever the kind.
func (t Task) Key(a Answer) string {
	k := t.plainKey(a)
	if len(t.Aliases) == 0 || k == "" || k == keyRefused {
		return k
	}
	for _, list := range t.Aliases {
		for _, alias := range list {
			if freeKey(alias) == k {
				return freeKey(list[0])
			}
		}
	}
	return k
}

func (t Task) plainKey(a Answer) string {
	switch {
	case a.Status == Refused:
		return keyRefused
	case a.Status == Unparsed:
		return ""
	case a.Rule == RuleCall:
		return "call:" + a.Text
	}
	switch a.Kind {
	case Number:
		if a.Value == nil {
			return ""
		}
		if a.Unit == "%" && t.asksPercent() {
			return numberKey(a.Value, "")
		}
		return numberKey(a.Value, a.Unit)
	case Letter:
		for _, o := range t.Options {
			if strings.EqualFold(o.Letter, a.Text) {
				if o.Key != "" {
					return "o:" + o.Key
				}
				return "o:" + Normalise(o.Text)
			}
		}
		return "l:" + strings.ToUpper(a.Text)
	case Bool:
		return "b:" + a.Text
	case Label:
		return "c:" + strings.ToLower(a.Text)
	}
	return freeKey(a.Text)
}

func (t Task) asksPercent() bool {
	q := asciiLower(t.Question)
	return strings.Contains(q, "percent") || strings.Contains(q, "per cent") || strings.Contains(q, "%")
}

func numberKey(v *big.Rat, unit string) string {
	v, dim := inBase(v, unit)
	if dim != "" {
		return "n:" + v.RatString() + "|" + dim
	}
	return "n:" + v.RatString()
}

// freeKey is the key of a free answer.
func freeKey(s string) string {
	if v, unit, ok := wholeNumber(s); ok {
		return numberKey(v, unit)
	}
	if d := date(s); d != "" {
		return "d:" + d
	}
	words := normWords(s)
	switch {
	case len(words) == 1 && isInteger(words[0]) && len(words[0]) < maxDigits: // fifth, 5th
		return "n:" + strings.TrimLeft(words[0][:len(words[0])-1], "0") + words[0][len(words[0])-1:]
	case len(words) > 0:
		return "w:" + strings.Join(words, " ")
	}
	if s = strings.TrimSpace(s); s != "" { // only signs: "?", "π≈", an emoji
		return "r:" + s
	}
	return ""
}

// Classes groups the answers that are equal and returns their indices, classes
// in the order of their first member. Every answer is in one class at most: an
// unparsed one is in none, all refusals are in one. A bare number joins the
// number of the same size with a unit, if there is just one such unit.
//
// The work is one key for each answer and one for each alias.
func (t Task) Classes(answers []Answer) [][]int {
	var alias map[string]string
	if len(t.Aliases) > 0 {
		alias = make(map[string]string)
		for _, list := range t.Aliases {
			for _, a := range list {
				if k := freeKey(a); k != "" {
					if _, taken := alias[k]; !taken {
						alias[k] = freeKey(list[0])
					}
				}
			}
		}
	}
	withUnit := unitKeys(answers)
	var (
		classes [][]int
		index   = make(map[string]int, len(answers))
	)
	for i, a := range answers {
		k := t.plainKey(a)
		if k == "" {
			continue
		}
		if a.Kind == Number && a.Value != nil && a.Unit == "" {
			if u := withUnit[a.Value.RatString()]; u != "" {
				k = u
			}
		}
		if to, ok := alias[k]; ok {
			k = to
		}
		c, seen := index[k]
		if !seen {
			c = len(classes)
			index[k] = c
			classes = append(classes, nil)
		}
		classes[c] = append(classes[c], i)
	}
	return classes
}

// unitKeys maps the size of each number that has a unit to its key, or to ""
// where two units compete for it.
func unitKeys(answers []Answer) map[string]string {
	var keys map[string]string
	for _, a := range answers {
		if a.Kind != Number || a.Value == nil || a.Unit == "" || a.Unit == "%" {
			continue
		}
		if keys == nil {
			keys = make(map[string]string)
		}
		size, k := a.Value.RatString(), numberKey(a.Value, a.Unit)
		if old, seen := keys[size]; seen && old != k {
			k = ""
		}
		keys[size] = k
	}
	return keys
}
