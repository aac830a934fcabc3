package text

import "strings"

// numberIn reads the number of a declared place: the one behind the last "=",
// else the first.
func (r *reader) numberIn(p Span, rule Rule) (Answer, bool) {
	p = r.bare(p)
	s := p.In(r.src)
	if s == "" {
		return Answer{}, false
	}
	if v, unit, ok := wholeNumber(s); ok {
		return Answer{Kind: Number, Text: s, Value: v, Unit: unit, Status: Parsed, Rule: rule, Span: p}, true
	}
	if a, ok := texFraction(s); ok {
		a.Rule, a.Span = rule, p
		return a, true
	}
	if i := strings.LastIndexByte(s, '='); i >= 0 {
		if a, ok := r.firstNumber(Span{p.Start + i + 1, p.End}, rule); ok {
			return a, true
		}
	}
	return r.firstNumber(p, rule)
}

// firstNumber reads the first number, in digits or else in words.
func (r *reader) firstNumber(p Span, rule Rule) (Answer, bool) {
	s := p.In(r.src)
	for i := 0; ; {
		n, ok := nextNumeral(s, i)
		if !ok {
			break
		}
		if a, ok := r.numberAnswer(s, p.Start, n, rule); ok {
			return a, true
		}
		i = n.span.End
	}
	return r.wordNumberIn(p, rule, false)
}

func (r *reader) numberAnswer(s string, at int, n numeral, rule Rule) (Answer, bool) {
	v := n.value()
	if v == nil {
		return Answer{}, false
	}
	return Answer{Kind: Number, Text: n.span.In(s), Value: v, Unit: n.unit, Status: Parsed, Rule: rule,
		Span: Span{at + n.span.Start, at + n.span.End}}, true
}

// wordNumberIn reads the first or the last number in words.
func (r *reader) wordNumberIn(p Span, rule Rule, last bool) (a Answer, found bool) {
	s := p.In(r.src)
	for i := 0; i < len(s); {
		w, end := wordAt(s, i)
		if w == "" {
			i++
			continue
		}
		if v, e := wordNumber(s, i); v != nil {
			start := i
			if !(strings.EqualFold(w, "one") && e == end) || !found { // "one" is a pronoun too often
				word, unitEnd := unitWordAt(s, skipSpaces(s, e))
				unit := units[word]
				if unit != "" {
					e = unitEnd
				}
				a = Answer{Kind: Number, Text: s[start:e], Value: v, Unit: unit, Status: Parsed, Rule: rule, Span: Span{p.Start + start, p.Start + e}}
				found = true
				if !last {
					return a, true
				}
			}
			i = e
			continue
		}
		i = end
	}
	return a, found
}

// texFraction reads \frac{a}{b}, with a sign before it.
func texFraction(s string) (Answer, bool) {
	t := strings.TrimSpace(s)
	neg := strings.HasPrefix(t, "-")
	t = strings.TrimPrefix(t, "-")
	for _, f := range [...]string{`\dfrac{`, `\tfrac{`, `\frac{`} {
		rest, ok := strings.CutPrefix(t, f)
		if !ok {
			continue
		}
		a, rest, ok := strings.Cut(rest, "}{")
		if !ok {
			return Answer{}, false
		}
		b, tail, ok := strings.Cut(rest, "}")
		if !ok || strings.TrimSpace(tail) != "" {
			return Answer{}, false
		}
		x, _, ok1 := wholeNumber(a)
		y, _, ok2 := wholeNumber(b)
		if !ok1 || !ok2 || y.Sign() == 0 {
			return Answer{}, false
		}
		x.Quo(x, y)
		if neg {
			x.Neg(x)
		}
		return Answer{Kind: Number, Text: s, Value: x, Status: Parsed}, true
	}
	return Answer{}, false
}

// lastNumber reads the last number of the reply: in digits, else in words, else
// an ordinal. Numbers that number lists and steps, those inside <<calculator
// marks>> and lines copied from the question do not count.
func (r *reader) lastNumber() (Answer, bool) {
	s := r.body.In(r.src)
	var last, ord numeral
	var found, foundOrd bool
	lineEnd, copied := -1, false // the line looked at last
	for i := 0; ; {
		n, ok := nextNumeral(s, i)
		if !ok {
			break
		}
		i = n.span.End
		if r.task.Question != "" && n.span.Start > lineEnd {
			lineEnd, copied = r.copiedLine(s, n.span.Start)
		}
		if copied || counter(s, n) {
			continue
		}
		if open := strings.LastIndex(s[max(0, n.span.Start-80):n.span.Start], "<<"); open >= 0 {
			if inner := s[max(0, n.span.Start-80)+open : n.span.Start]; !strings.Contains(inner, ">>") {
				continue
			}
		}
		if n.ordinal {
			ord, foundOrd = n, true
		} else {
			last, found = n, true
		}
	}
	if found {
		if a, ok := r.numberAnswer(s, r.body.Start, last, RuleLast); ok {
			return a, true
		}
		return Answer{}, false // a number, but not one that can be read
	}
	if a, ok := r.wordNumberIn(r.body, RuleLast, true); ok {
		return a, true
	}
	if foundOrd {
		return r.numberAnswer(s, r.body.Start, ord, RuleLast)
	}
	return Answer{}, false
}

// counter reports whether a number counts items: "1. ", "2) ", "Step 3:", "[4]".
func counter(s string, n numeral) bool {
	window := s[max(0, n.span.Start-64):n.span.Start]
	before := strings.Trim(window[lineStart(window, len(window)):], " \t*_#>(")
	after := strings.TrimLeft(s[n.span.End:min(len(s), n.span.End+8)], "*_")
	if before == "" && len(after) > 1 && (after[0] == '.' || after[0] == ')') && after[1] == ' ' {
		return true
	}
	b := asciiLower(before)
	for _, w := range [...]string{"step", "question", "problem", "equation", "method"} {
		if strings.HasSuffix(b, w) {
			return true
		}
	}
	return n.span.Start > 0 && s[n.span.Start-1] == '[' && strings.HasPrefix(after, "]")
}
