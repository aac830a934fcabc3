package text

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Call is a tool call: what a model answers with where it wants something done.
type Call struct {
	Name      string
	Arguments string // JSON; "" is no arguments
	Plain     bool   // the tool takes text, and Arguments is that
}

// RuleCall is the rule of answers that are tool calls.
const RuleCall Rule = "call"

// Calls reads tool calls as an answer: Text is name(arguments) of each, in the
// form in which equal calls look the same. Arguments are compared as JSON values:
// the order of members, white space, escapes and the spelling of numbers say
// nothing; nor does the order of calls, which are made side by side. Arguments
// that are no JSON make the answer unparsed: nobody can act on them.
func (t Task) Calls(calls ...Call) Answer {
	a := Answer{Kind: t.Kind, Rule: RuleCall}
	shown := make([]string, len(calls))
	for i, c := range calls {
		args, ok := strconv.Quote(c.Arguments), true
		if !c.Plain {
			args, ok = canonicalJSON(c.Arguments)
		}
		if !ok {
			return a
		}
		shown[i] = c.Name + "(" + args + ")"
	}
	if len(shown) > 0 {
		slices.Sort(shown)
		a.Text, a.Status = strings.Join(shown, "\n"), Parsed
	}
	return a
}

// canonicalJSON writes a JSON value so that equal values are equal text.
func canonicalJSON(s string) (string, bool) {
	if strings.TrimSpace(s) == "" {
		return "{}", true
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return "", false
	}
	if _, err := d.Token(); err != io.EOF { // nothing may follow
		return "", false
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(canonicalNumbers(v)) != nil {
		return "", false
	}
	return strings.TrimSuffix(b.String(), "\n"), true
}

func canonicalNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = canonicalNumbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = canonicalNumbers(e)
		}
	case json.Number:
		return json.Number(canonicalNumber(string(v)))
	}
	return v
}

// plainZeros is how many zeros a whole number may end with before they are told
// by an exponent.
const plainZeros = 15

// canonicalNumber spells a JSON number by its digits and one exponent: 1.50,
// 15e-1 and 0.15E1 are 15e-1, and 1.0, 10e-1 and 1 are 1. No digit is lost, and
// nothing is written out that was not: an exponent may be of any size.
func canonicalNumber(s string) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	shift, err := strconv.ParseInt(cutPlus(exponent), 10, 32)
	if err != nil && exponent != "" {
		return s // beyond what any reader makes a number of
	}
	digits, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	shift -= int64(len(fraction))
	trimmed := strings.TrimRight(digits, "0")
	shift += int64(len(digits) - len(trimmed))
	if trimmed == "" {
		return "0"
	}
	sign := ""
	if negative {
		sign = "-"
	}
	switch {
	case shift >= 0 && shift <= plainZeros:
		return sign + trimmed + strings.Repeat("0", int(shift))
	case shift < 0 && -shift <= plainZeros: // a decimal fraction, as people write it
		if n := len(trimmed) + int(shift); n > 0 {
			return sign + trimmed[:n] + "." + trimmed[n:]
		}
		return sign + "0." + strings.Repeat("0", -len(trimmed)-int(shift)) + trimmed
	}
	return sign + trimmed + "e" + strconv.FormatInt(shift, 10)
}

func cutPlus(s string) string { return strings.TrimPrefix(s, "+") }
