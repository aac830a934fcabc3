package text

import (
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on one numeral. Text is untrusted: 1e999999999 must not cost memory.
const (
	maxDigits   = 400
	maxExponent = 400
)

// numeral is a number as it stands in a text, not yet evaluated: scanning for
// the last of many numbers should not pay for the others.
type numeral struct {
	span    Span   // all of it, with sign, currency, scale word and unit
	negated bool   // by a sign before it
	digits  string // mantissa with separators removed and '.' as decimal mark
	denom   string // of a fraction, "" if none
	whole   string // of a mixed fraction "1 1/2", "" if none
	exp     int    // power of ten, from an exponent and scale words
	base    bool   // digits is the base of a power, exp the exponent
	scale   int64  // other factor, such as a dozen; 0 means 1
	unit    string
	ordinal bool // 5th, 21st
}

// value evaluates the numeral; nil if a denominator is zero or it is too long.
func (n numeral) value() *big.Rat {
	if len(n.digits)+len(n.denom)+len(n.whole) > maxDigits || n.exp > maxExponent || n.exp < -maxExponent {
		return nil
	}
	v, ok := new(big.Rat).SetString(n.digits)
	if !ok {
		return nil
	}
	if n.base {
		if len(n.digits)*n.exp > maxDigits || n.exp < 0 || !v.IsInt() {
			return nil
		}
		v.SetInt(new(big.Int).Exp(v.Num(), big.NewInt(int64(n.exp)), nil))
	}
	if n.denom != "" {
		d, ok := new(big.Rat).SetString(n.denom)
		if !ok || d.Sign() == 0 {
			return nil
		}
		v.Quo(v, d)
	}
	if n.whole != "" {
		w, ok := new(big.Rat).SetString(n.whole)
		if !ok {
			return nil
		}
		v.Add(v, w)
	}
	if n.exp != 0 && !n.base {
		p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(n.exp, -n.exp))), nil)
		if n.exp > 0 {
			v.Mul(v, new(big.Rat).SetInt(p))
		} else {
			v.Quo(v, new(big.Rat).SetInt(p))
		}
	}
	if n.scale > 1 {
		v.Mul(v, new(big.Rat).SetInt64(n.scale))
	}
	if n.negated {
		v.Neg(v)
	}
	return v
}

// nextNumeral finds the first numeral in digits at or after from.
func nextNumeral(s string, from int) (numeral, bool) {
	for i := from; i < len(s); {
		c := s[i]
		switch {
		case c >= '0' && c <= '9' || c == '.' && i+1 < len(s) && isDigit(s[i+1]) && !(i > 0 && isDigit(s[i-1])):
			if inWord(s, i) { // H2O, COVID-19, B12, x2
				for i < len(s) && (isAlnum(s[i]) || s[i] == '.' && i+1 < len(s) && isDigit(s[i+1])) {
					i++
				}
				continue
			}
			return scanNumeral(s, i, from), true
		case c >= utf8.RuneSelf:
			r, w := utf8.DecodeRuneInString(s[i:])
			if _, ok := vulgar(r); ok {
				return scanNumeral(s, i, from), true
			}
			i += w
		default:
			i++
		}
	}
	return numeral{}, false
}

// inWord reports whether the digit at i belongs to a word such as H2O or
// COVID-19 rather than being a number.
func inWord(s string, i int) bool {
	if i == 0 {
		return false
	}
	if r, _ := utf8.DecodeLastRuneInString(s[:i]); unicode.IsLetter(r) {
		// "x=US$5" and "*5" are numbers; "B12" is not. CJK text has no spaces.
		return r < 0x2E80
	} else if r == '-' && i > 1 {
		q, _ := utf8.DecodeLastRuneInString(s[:i-1])
		return unicode.IsLetter(q) && q < 0x2E80
	}
	return false
}

// scanNumeral reads the numeral whose first digit is at i; its sign and currency
// may reach back as far as floor.
func scanNumeral(s string, i, floor int) numeral {
	n := numeral{span: Span{i, i}}
	n.span.Start, n.negated, n.unit = prefix(s, i, floor)
	if r, w := utf8.DecodeRuneInString(s[i:]); r >= utf8.RuneSelf {
		if f, ok := vulgar(r); ok { // a lone ½
			n.digits, n.denom = f.num, f.den
			n.span.End = i + w
			return suffix(s, n)
		}
	}
	n.digits, n.span.End = mantissa(s, i)
	end := n.span.End
	if r, w := utf8.DecodeRuneInString(s[end:]); w > 1 { // 1½
		if f, ok := vulgar(r); ok {
			n.whole, n.digits, n.denom = n.digits, f.num, f.den
			n.span.End = end + w
			return suffix(s, n)
		}
	}
	if den, e := fraction(s, end); e > 0 {
		n.denom, n.span.End = den, e
	} else if end+1 < len(s) && s[end] == ' ' && isDigit(s[end+1]) && isInteger(n.digits) { // 1 1/2
		num, e1 := mantissa(s, end+1)
		if den, e2 := fraction(s, e1); e2 > 0 && isInteger(num) && len(num) <= 2 && len(den) <= 2 {
			n.whole, n.digits, n.denom, n.span.End = n.digits, num, den, e2
		}
	}
	return suffix(s, exponent(s, n))
}

// prefix reads sign and currency backwards from the first digit.
func prefix(s string, i, floor int) (start int, negated bool, unit string) {
	start = i
	for range 2 { // "-$5" and "$-5"
		r, w := utf8.DecodeLastRuneInString(s[floor:start])
		if u := currency(r); u != "" && unit == "" {
			start -= w
			unit = u
			if r == '$' && start >= floor+2 && s[start-2:start] == "US" {
				start -= 2
			}
			continue
		}
		if !isMinus(r) && r != '+' || negated {
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(s[:start-w])
		if unicode.IsLetter(before) || unicode.IsDigit(before) || before == ')' || before == '.' {
			continue // a range, a hyphen or a difference, not a sign
		}
		negated = isMinus(r)
		start -= w
	}
	return start, negated, unit
}

// isMinus accepts the hyphen, the minus sign, the en dash and their wide and
// small forms.
func isMinus(r rune) bool {
	switch r {
	case '-', '\u2212', '\u2013', '\ufe63', '\uff0d':
		return true
	}
	return false
}

func currency(r rune) string {
	switch r {
	case '$':
		return "usd"
	case '€':
		return "eur"
	case '£':
		return "gbp"
	case '¥', '\uffe5':
		return "jpy"
	}
	return ""
}

// mantissa reads digits with separators. A comma (or a dot, space, apostrophe)
// before groups of three separates thousands; "1,5" has a decimal comma; "1.234"
// is a decimal; "1.234.567" and "1.234,5" are not.
func mantissa(s string, i int) (digits string, end int) {
	first := i
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	plain := i
	if i-first >= 1 && i-first <= 3 {
		if sep, e, groups := grouped(s, i); e > 0 {
			dot := sep == "."
			switch {
			case dot && groups == 1 && !(e < len(s)-1 && s[e] == ',' && isDigit(s[e+1])):
				// one group after a dot: a decimal
			default:
				whole := strings.ReplaceAll(s[first:e], sep, "")
				mark := byte('.')
				if dot {
					mark = ','
				}
				if e+1 < len(s) && s[e] == mark && isDigit(s[e+1]) {
					f := e + 1
					for f < len(s) && isDigit(s[f]) {
						f++
					}
					return whole + "." + s[e+1:f], f
				}
				return whole, e
			}
		}
	}
	if i+1 < len(s) && (s[i] == '.' || s[i] == ',') && isDigit(s[i+1]) {
		f := i + 1
		for f < len(s) && isDigit(s[f]) {
			f++
		}
		list := s[i] == ',' && f+1 < len(s) && s[f] == ',' && isDigit(s[f+1]) // 1,2,3
		if !list && !(s[i] == ',' && first > 1 && s[first-1] == ',' && isDigit(s[first-2])) {
			if first == i {
				return "0." + s[i+1:f], f
			}
			return s[first:i] + "." + s[i+1:f], f
		}
	}
	return s[first:plain], plain
}

// grouped reads groups of three digits after i, all with one separator; also
// the Indian 12,34,567. e is 0 if there is none.
func grouped(s string, i int) (sep string, e, groups int) {
	if i >= len(s) {
		return "", 0, 0
	}
	for _, c := range [...]string{",", ".", "'", "’", "_", "\u00a0", "\u202f", "\u2009", "{,}", `\,`, `,\!`} {
		if strings.HasPrefix(s[i:], c) {
			sep = c
			break
		}
	}
	if sep == "" {
		return "", 0, 0
	}
	j, size, short := i, 0, false
	for strings.HasPrefix(s[j:], sep) {
		k := j + len(sep)
		for k < len(s) && isDigit(s[k]) {
			k++
		}
		size = k - j - len(sep)
		if size != 3 && size != 2 || size == 2 && sep != "," {
			return "", 0, 0
		}
		short = short || size == 2
		j = k
		groups++
	}
	if size != 3 || short && (groups < 2 || len(sep) != 1) {
		return "", 0, 0
	}
	return sep, j, groups
}

// fraction reads "/4"; a second slash makes it a date or a path.
func fraction(s string, i int) (denom string, end int) {
	if i+1 >= len(s) || s[i] != '/' && !strings.HasPrefix(s[i:], "⁄") {
		return "", 0
	}
	j := i + 1
	if s[i] != '/' {
		j = i + len("⁄")
	}
	k := j
	for k < len(s) && isDigit(s[k]) {
		k++
	}
	if k == j || k < len(s) && s[k] == '/' {
		return "", 0
	}
	return s[j:k], k
}

// exponent reads e5, ×10^5, · 10⁵, \times 10^{5}, or ^5.
func exponent(s string, n numeral) numeral {
	i := n.span.End
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		if e, end, ok := power(s, i+1); ok && (end == len(s) || !isAlnum(s[end])) {
			n.exp, n.span.End = e, end
		}
		return n
	}
	if e, end, ok := raised(s, i); ok && n.denom == "" && isInteger(n.digits) {
		n.exp, n.base, n.span.End = e, true, end
		return n
	}
	j := skipSpaces(s, i)
	for _, times := range [...]string{"×", "x", "*", "·", `\times`, `\cdot`} {
		if !strings.HasPrefix(s[j:], times) {
			continue
		}
		j = skipSpaces(s, j+len(times))
		if strings.HasPrefix(s[j:], "10") {
			if e, end, ok := raised(s, j+2); ok {
				n.exp, n.span.End = e, end
			}
		}
		break
	}
	return n
}

// raised reads ^5, ^{5}, **5 or superscript digits.
func raised(s string, i int) (e, end int, ok bool) {
	switch {
	case strings.HasPrefix(s[i:], "^{"):
		e, end, ok = power(s, i+2)
		if !ok || end >= len(s) || s[end] != '}' {
			return 0, 0, false
		}
		return e, end + 1, true
	case strings.HasPrefix(s[i:], "^"):
		return power(s, i+1)
	}
	neg := false
	for end = i; end < len(s); {
		r, w := utf8.DecodeRuneInString(s[end:])
		d, super := superscript(r)
		if r == '⁻' && end == i {
			neg = true
		} else if !super {
			break
		} else if e = e*10 + d; e > maxExponent {
			return 0, 0, false
		} else {
			ok = true
		}
		end += w
	}
	if neg {
		e = -e
	}
	return e, end, ok
}

// power reads a signed integer, cut off beyond what can be evaluated.
func power(s string, i int) (e, end int, ok bool) {
	neg := false
	if r, w := utf8.DecodeRuneInString(s[i:]); isMinus(r) || r == '+' {
		neg = isMinus(r)
		i += w
	}
	for end = i; end < len(s) && isDigit(s[end]); end++ {
		e = min(e*10+int(s[end]-'0'), 10*maxExponent)
	}
	if neg {
		e = -e
	}
	return e, end, end > i
}

func superscript(r rune) (digit int, ok bool) {
	switch {
	case r == '¹':
		return 1, true
	case r == '²' || r == '³':
		return int(r - '²' + 2), true
	case r == '⁰' || r >= '⁴' && r <= '⁹':
		return int(r - '⁰'), true
	}
	return 0, false
}

type ratio struct{ num, den string }

func vulgar(r rune) (ratio, bool) {
	switch r {
	case '½':
		return ratio{"1", "2"}, true
	case '⅓':
		return ratio{"1", "3"}, true
	case '⅔':
		return ratio{"2", "3"}, true
	case '¼':
		return ratio{"1", "4"}, true
	case '¾':
		return ratio{"3", "4"}, true
	case '⅕':
		return ratio{"1", "5"}, true
	case '⅖':
		return ratio{"2", "5"}, true
	case '⅗':
		return ratio{"3", "5"}, true
	case '⅘':
		return ratio{"4", "5"}, true
	case '⅙':
		return ratio{"1", "6"}, true
	case '⅚':
		return ratio{"5", "6"}, true
	case '⅛':
		return ratio{"1", "8"}, true
	case '⅜':
		return ratio{"3", "8"}, true
	case '⅝':
		return ratio{"5", "8"}, true
	case '⅞':
		return ratio{"7", "8"}, true
	}
	return ratio{}, false
}

// suffix reads what follows the digits: an ordinal ending, scale words, a unit.
func suffix(s string, n numeral) numeral {
	i := n.span.End
	if i+1 < len(s) && isLetter(s[i]) {
		switch strings.ToLower(s[i : i+2]) {
		case "st", "nd", "rd", "th":
			if i+2 == len(s) || !isAlnum(s[i+2]) {
				n.ordinal, n.span.End = true, i+2
				return n
			}
		}
	}
	if i < len(s) && s[i] == 'k' && (i+1 == len(s) || !isAlnum(s[i+1])) {
		n.exp += 3
		n.span.End = i + 1
		return n
	}
	for range 3 { // "5 hundred thousand", "2 dozen"
		w, end := wordAt(s, skipSpaces(s, n.span.End))
		e, factor := scaleWord(w)
		if e == 0 && factor == 0 {
			break
		}
		n.exp += e
		n.scale = max(n.scale, factor)
		n.span.End = end
	}
	if n.unit != "" {
		return n
	}
	j := skipSpaces(s, n.span.End)
	if strings.HasPrefix(s[j:], `\%`) {
		n.unit, n.span.End = "%", j+2
		return n
	}
	r, w := utf8.DecodeRuneInString(s[j:])
	if r == '%' || r == '\uff05' || r == '\u066a' {
		n.unit, n.span.End = "%", j+w
		return n
	}
	if u := currency(r); u != "" {
		n.unit, n.span.End = u, j+w
		return n
	}
	if word, end := unitWordAt(s, j); word != "" {
		if u, ok := units[word]; ok {
			n.unit, n.span.End = u, end
		}
	}
	return n
}

func scaleWord(w string) (exp int, factor int64) {
	switch strings.ToLower(w) {
	case "hundred":
		return 2, 0
	case "thousand":
		return 3, 0
	case "million", "millions", "mn":
		return 6, 0
	case "billion", "billions", "bn":
		return 9, 0
	case "trillion", "trillions":
		return 12, 0
	case "dozen":
		return 0, 12
	}
	return 0, 0
}

// wordAt returns the ASCII letters that start at i.
func wordAt(s string, i int) (string, int) {
	j := i
	for j < len(s) && isLetter(s[j]) {
		j++
	}
	return s[i:j], j
}

// unitWordAt returns the unit word at i: "km", "per cent", "°C".
func unitWordAt(s string, i int) (string, int) {
	if strings.HasPrefix(s[i:], "°") && len(s) > i+2 {
		if j := i + len("°") + 1; j == len(s) || !isAlnum(s[j]) {
			return s[i:j], j
		}
	}
	w, j := wordAt(s, i)
	if len(w) == 0 || len(w) > 12 || j < len(s) && (isDigit(s[j]) || s[j] == '/' || s[j] == '^' || s[j] >= utf8.RuneSelf) {
		return "", 0 // m², km/h and m3 are other units: leave them alone
	}
	if strings.EqualFold(w, "per") {
		if v, k := wordAt(s, skipSpaces(s, j)); strings.EqualFold(v, "cent") {
			return "percent", k
		}
	}
	if len(w) > 3 { // symbols are case-sensitive, words are not
		w = strings.ToLower(w)
	}
	return w, j
}

// units maps a unit as written to its canonical name.
var units = map[string]string{
	"percent": "%", "pct": "%",
	"dollars": "usd", "dollar": "usd", "USD": "usd", "bucks": "usd", "euros": "eur", "euro": "eur", "EUR": "eur", "pounds": "gbp", "GBP": "gbp", "yen": "jpy", "JPY": "jpy",
	"cents": "cent", "cent": "cent",
	"mm": "mm", "millimeters": "mm", "millimetres": "mm", "cm": "cm", "centimeters": "cm", "centimetres": "cm", "centimeter": "cm", "centimetre": "cm",
	"m": "m", "meters": "m", "metres": "m", "meter": "m", "metre": "m", "km": "km", "kilometers": "km", "kilometres": "km", "kilometer": "km", "kilometre": "km",
	"inch": "in", "inches": "in", "ft": "ft", "foot": "ft", "feet": "ft", "yd": "yd", "yards": "yd", "yard": "yd", "mi": "mi", "mile": "mi", "miles": "mi",
	"mg": "mg", "g": "g", "gram": "g", "grams": "g", "kg": "kg", "kilogram": "kg", "kilograms": "kg", "lb": "lb", "lbs": "lb", "oz": "oz", "ounce": "oz", "ounces": "oz", "tonnes": "t", "tonne": "t",
	"ms": "ms", "milliseconds": "ms", "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "min", "mins": "min", "minute": "min", "minutes": "min",
	"h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "week": "wk", "weeks": "wk", "year": "yr", "years": "yr", "month": "mo", "months": "mo",
	"ml": "ml", "mL": "ml", "l": "l", "L": "l", "liter": "l", "liters": "l", "litre": "l", "litres": "l",
	"°C": "°C", "°F": "°F",
}

// baseUnit gives the dimension of a canonical unit and its factor to the unit
// after which the dimension is named. Pounds are left out of mass on purpose:
// the word is currency too often.
func baseUnit(unit string) (dimension string, num, den int64) {
	switch unit {
	case "%":
		return "", 1, 100
	case "cent":
		return "usd", 1, 100
	case "mm":
		return "m", 1, 1000
	case "cm":
		return "m", 1, 100
	case "km":
		return "m", 1000, 1
	case "in":
		return "m", 254, 10000
	case "ft":
		return "m", 3048, 10000
	case "yd":
		return "m", 9144, 10000
	case "mi":
		return "m", 1609344, 1000
	case "mg":
		return "g", 1, 1000
	case "kg":
		return "g", 1000, 1
	case "t":
		return "g", 1000000, 1
	case "lb":
		return "g", 45359237, 100000
	case "oz":
		return "g", 45359237, 1600000
	case "ms":
		return "s", 1, 1000
	case "min":
		return "s", 60, 1
	case "h":
		return "s", 3600, 1
	case "d":
		return "s", 86400, 1
	case "wk":
		return "s", 604800, 1
	case "mo":
		return "yr", 1, 12
	case "ml":
		return "l", 1, 1000
	}
	return unit, 1, 1
}

// inBase converts a value to the base unit of its dimension.
func inBase(v *big.Rat, unit string) (*big.Rat, string) {
	dim, num, den := baseUnit(unit)
	if num == den {
		return v, dim
	}
	return new(big.Rat).Mul(v, big.NewRat(num, den)), dim
}

// wholeNumber reads s as one number and nothing else, in digits or in words.
// Words before it that leave its value alone ("about", "exactly") are allowed.
func wholeNumber(s string) (v *big.Rat, unit string, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxDigits {
		return nil, "", false
	}
	if c := s[0]; isLetter(c) && strings.IndexByte(s, ' ') > 0 {
		w, end := wordAt(s, 0)
		switch strings.ToLower(w) {
		case "about", "approximately", "around", "exactly", "roughly", "in", "nearly", "almost":
			s = strings.TrimSpace(s[end:])
		}
	}
	if n, found := nextNumeral(s, 0); found {
		if n.span.Start == 0 && n.span.End == len(s) {
			v = n.value()
			return v, n.unit, v != nil
		}
		if joined := spaceGrouped(s); joined != "" {
			v, ok = new(big.Rat).SetString(joined)
			return v, "", ok
		}
		return nil, "", false
	}
	v, end := wordNumber(s, 0)
	if v == nil {
		return nil, "", false
	}
	if rest := strings.TrimSpace(s[end:]); rest != "" {
		w, e := unitWordAt(rest, 0)
		unit, ok = units[w]
		if !ok || e != len(rest) {
			return nil, "", false
		}
	}
	return v, unit, true
}

// spaceGrouped returns the digits of "12 345 678", or "".
func spaceGrouped(s string) string {
	parts := strings.Split(s, " ")
	for i, p := range parts {
		if !isInteger(p) || i == 0 && len(p) > 3 || i > 0 && len(p) != 3 {
			return ""
		}
	}
	return strings.Join(parts, "")
}

func isInteger(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isAlnum(c byte) bool  { return isDigit(c) || isLetter(c) }

func skipSpaces(s string, i int) int {
	for i < len(s) {
		switch {
		case s[i] == ' ':
			i++
		case strings.HasPrefix(s[i:], "\u00a0"):
			i += len("\u00a0")
		case strings.HasPrefix(s[i:], "\u202f"):
			i += len("\u202f")
		default:
			return i
		}
	}
	return i
}
