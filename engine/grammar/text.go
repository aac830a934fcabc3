package grammar

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// char is one character of a JSON string, written plainly or escaped.
func (c *compiler) char() frag {
	return c.once("char", func() frag {
		w := &c.w
		hex := func() frag { return w.alt(w.span('0', '9'), w.span('a', 'f'), w.span('A', 'F')) }
		escape := []frag{w.seq(w.literal("u"), w.alt(w.span('0', '9'), w.span('a', 'c'), w.span('A', 'C'), w.span('e', 'f'), w.span('E', 'F')), hex(), hex(), hex())}
		for _, b := range `"\/bfnrt` {
			escape = append(escape, w.span(byte(b), byte(b)))
		}
		return w.alt(c.runes(' ', '!'), c.runes('#', '['), c.runes(']', unicode.MaxRune), w.seq(w.literal(`\`), w.alt(escape...)))
	})
}

// text is any JSON string.
func (c *compiler) text() frag {
	return c.w.seq(c.w.literal(`"`), c.w.star(c.char()), c.w.literal(`"`))
}

func (c *compiler) string(p part) (frag, error) {
	w := &c.w
	lo, hi, err := p.bounds("minLength", "maxLength")
	if err != nil {
		return frag{}, err
	}
	pattern, there := p.values["pattern"].(string)
	if _, given := p.values["pattern"]; given && !there {
		return frag{}, p.fail("pattern", "has to be text")
	}
	keyword := "pattern"
	if v, given := p.values["format"]; given {
		if there {
			return frag{}, p.fail("format", "beside \"pattern\" is not supported")
		}
		name, _ := v.(string)
		if pattern, there = formats[name]; !there {
			return frag{}, p.fail("format", "%q is not supported; date, time, date-time, uuid and ipv4 are", name)
		}
		keyword = "format"
	}
	if there {
		for _, k := range []string{"minLength", "maxLength"} {
			if _, given := p.values[k]; given {
				return frag{}, p.fail(k, "beside %q is not supported", keyword)
			}
		}
		f, err := c.pattern(pattern)
		if err != nil {
			return frag{}, p.fail(keyword, "%q: %v", pattern, err)
		}
		return w.seq(w.literal(`"`), f, w.literal(`"`)), nil
	}
	var body frag
	if hi >= 0 {
		body = w.upTo(lo, hi, c.char)
	} else {
		body = w.seq(w.upTo(lo, lo, c.char), w.star(c.char()))
	}
	return w.seq(w.literal(`"`), body, w.literal(`"`)), nil
}

// The formats, written so that every text that matches is one: February has 28 days here.
var formats = func() map[string]string {
	const (
		date = `\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))`
		time = `([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)`
		byte = `(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
	)
	anchored := func(s string) string { return "^" + s + "$" }
	return map[string]string{
		"date": anchored(date), "time": anchored(time), "date-time": anchored(date + "T" + time),
		"uuid": `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`,
		"ipv4": anchored(byte + `(\.` + byte + `){3}`),
	}
}()

// pattern is the inside of a string that a regular expression matches somewhere.
func (c *compiler) pattern(s string) (frag, error) {
	re, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return frag{}, fmt.Errorf("not supported as a regular expression here: %w", err)
	}
	re = re.Simplify()
	var parts []*syntax.Regexp
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	} else {
		parts = []*syntax.Regexp{re}
	}
	w := &c.w
	var seq []frag
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		parts = parts[1:]
	} else {
		seq = append(seq, w.star(c.char()))
	}
	closed := len(parts) > 0 && parts[len(parts)-1].Op == syntax.OpEndText
	if closed {
		parts = parts[:len(parts)-1]
	}
	for _, part := range parts {
		f, err := c.regexp(part)
		if err != nil {
			return frag{}, err
		}
		seq = append(seq, f)
	}
	if !closed {
		seq = append(seq, w.star(c.char()))
	}
	return w.seq(seq...), nil
}

func (c *compiler) regexp(re *syntax.Regexp) (frag, error) {
	w := &c.w
	all := func() ([]frag, error) {
		out := make([]frag, len(re.Sub))
		for i, s := range re.Sub {
			var err error
			if out[i], err = c.regexp(s); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
		return w.empty(), nil
	case syntax.OpLiteral:
		parts := []frag{}
		for _, r := range re.Rune {
			if re.Flags&syntax.FoldCase != 0 && unicode.SimpleFold(r) != r {
				return frag{}, fmt.Errorf("ignoring case is not supported")
			}
			parts = append(parts, c.escaped(r, r))
		}
		return w.seq(parts...), nil
	case syntax.OpCharClass:
		parts := []frag{}
		for i := 0; i+1 < len(re.Rune); i += 2 {
			parts = append(parts, c.escaped(re.Rune[i], re.Rune[i+1]))
		}
		return w.alt(parts...), nil
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		parts := []frag{c.escaped(' ', unicode.MaxRune)}
		if re.Op == syntax.OpAnyChar {
			parts = append(parts, c.escaped('\n', '\n'))
		}
		return w.alt(parts...), nil
	}
	parts, err := all()
	if err != nil {
		return frag{}, err
	}
	switch re.Op {
	case syntax.OpCapture:
		return parts[0], nil
	case syntax.OpStar:
		return w.star(parts[0]), nil
	case syntax.OpPlus:
		return w.plus(parts[0]), nil
	case syntax.OpQuest:
		return w.optional(parts[0]), nil
	case syntax.OpConcat:
		return w.seq(parts...), nil
	case syntax.OpAlternate:
		return w.alt(parts...), nil
	}
	return frag{}, fmt.Errorf("%q is not supported (anchors only at the ends)", re)
}

// escaped is a character within lo and hi as JSON writes it in a string. Control characters that have
// no short escape are left out.
func (c *compiler) escaped(lo, hi rune) frag {
	w := &c.w
	var parts []frag
	add := func(a, b rune) {
		if a, b = max(a, lo), min(b, hi); a <= b {
			parts = append(parts, c.runes(a, b))
		}
	}
	add(' ', '!')
	add('#', '[')
	add(']', unicode.MaxRune)
	for r, s := range map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`} {
		if lo <= r && r <= hi {
			parts = append(parts, w.literal(s))
		}
	}
	return w.alt(parts...)
}

// runes is the UTF-8 of the characters from lo to hi.
func (c *compiler) runes(lo, hi rune) frag {
	w := &c.w
	f := frag{w.node(), w.node()}
	// Within these ranges the first bytes tell the length, and no surrogates lie.
	for _, r := range [][2]rune{{0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, unicode.MaxRune}} {
		if a, b := max(lo, r[0]), min(hi, r[1]); a <= b {
			var x, y [4]byte
			n := utf8.EncodeRune(x[:], a)
			utf8.EncodeRune(y[:], b)
			w.sequences(f.in, f.out, x[:n], y[:n])
		}
	}
	return f
}

// sequences adds the byte sequences from lo to hi, which are equally long, all bytes but the first of
// which run from 0x80 to 0xbf.
func (w *network) sequences(from, to int32, lo, hi []byte) {
	edge := func(a, b byte, to int32) {
		w.nodes[from].bytes = append(w.nodes[from].bytes, byteEdge{a, b, to})
	}
	if len(lo) == 1 {
		edge(lo[0], hi[0], to)
		return
	}
	full := func(b byte) []byte {
		s := make([]byte, len(lo)-1)
		for i := range s {
			s[i] = b
		}
		return s
	}
	below := func(a, b byte, lo, hi []byte) {
		n := w.node()
		edge(a, b, n)
		w.sequences(n, to, lo, hi)
	}
	a, b := lo[0], hi[0]
	if a == b {
		below(a, a, lo[1:], hi[1:])
		return
	}
	if string(lo[1:]) != string(full(0x80)) {
		below(a, a, lo[1:], full(0xbf))
		a++
	}
	if string(hi[1:]) != string(full(0xbf)) {
		below(b, b, full(0x80), hi[1:])
		b--
	}
	if a <= b {
		below(a, b, full(0x80), full(0xbf))
	}
}

func (c *compiler) digits(lo, hi int) frag {
	return c.w.upTo(lo, hi, func() frag { return c.w.span('0', '9') })
}

// number compiles number and integer.
func (c *compiler) number(p part, whole bool) (frag, error) {
	if v, there := p.values["multipleOf"]; there {
		if n, _ := v.(json.Number); !whole || canonical(n) != "1" {
			return frag{}, p.fail("multipleOf", "is not supported: it cannot be kept to while a text is written")
		}
	}
	const most = 1e15 - 1 // of maxDigits
	bound := func(keyword string) (v float64, there bool, err error) {
		raw, there := p.values[keyword]
		if !there {
			return 0, false, nil
		}
		n, isNumber := raw.(json.Number)
		v, ferr := n.Float64()
		if !isNumber || ferr != nil {
			return 0, true, p.fail(keyword, "has to be a number")
		}
		if whole {
			return v, true, nil
		}
		if v != math.Trunc(v) || math.Abs(v) > most {
			return 0, true, p.fail(keyword, "is %v; for numbers that need not be whole only whole bounds up to %.0f are supported", n, float64(most))
		}
		return v, true, nil
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	openLo, openHi := false, false
	for _, k := range []string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"} {
		v, there, err := bound(k)
		if err != nil {
			return frag{}, err
		}
		exclusive := strings.HasPrefix(k, "e")
		switch {
		case !there:
		case strings.HasSuffix(k, "inimum"):
			if v > lo || v == lo && exclusive {
				lo, openLo = v, exclusive
			}
		case v < hi || v == hi && exclusive:
			hi, openHi = v, exclusive
		}
	}
	if math.IsInf(lo, -1) && math.IsInf(hi, 1) {
		return c.once(fmt.Sprint("number ", whole), func() frag {
			w := &c.w
			f := w.seq(w.optional(w.literal("-")), w.alt(w.literal("0"), w.seq(w.span('1', '9'), c.digits(0, maxDigits-1))))
			if whole {
				return f
			}
			fraction := w.seq(w.literal("."), c.digits(1, maxDigits))
			exponent := w.seq(w.alt(w.literal("e"), w.literal("E")), w.alt(w.literal("+"), w.literal("-"), w.empty()), c.digits(1, 2))
			return w.seq(f, w.optional(fraction), w.optional(exponent))
		}), nil
	}
	narrowest := "minimum"
	if math.IsInf(lo, -1) {
		narrowest = "maximum"
	}
	if whole {
		if openLo && lo == math.Trunc(lo) {
			lo++
		}
		if openHi && hi == math.Trunc(hi) {
			hi--
		}
		lo, hi = max(math.Ceil(lo), -most), min(math.Floor(hi), most)
		if lo > hi {
			return frag{}, p.fail(narrowest, "leaves no whole number of up to %d digits", maxDigits)
		}
		return c.span(int64(lo), int64(hi), func(a, b int64, _, _ bool) frag { return c.naturals(a, b) }, false, false), nil
	}
	lo, hi = max(lo, -most), min(hi, most)
	if lo > hi || lo == hi && (openLo || openHi) {
		return frag{}, p.fail(narrowest, "leaves no number of up to %d digits before the point", maxDigits)
	}
	return c.span(int64(lo), int64(hi), c.decimals, openLo, openHi), nil
}

// span splits a range at zero: positive gives the numbers within two bounds that are not negative, either
// of which may be open.
func (c *compiler) span(lo, hi int64, positive func(lo, hi int64, openLo, openHi bool) frag, openLo, openHi bool) frag {
	w := &c.w
	switch {
	case lo >= 0:
		return positive(lo, hi, openLo, openHi)
	case hi <= 0 && !(hi == 0 && !openHi):
		return w.seq(w.literal("-"), positive(-hi, -lo, openHi, openLo))
	case hi == 0:
		return w.alt(w.literal("0"), w.seq(w.literal("-"), positive(0, -lo, true, openLo)))
	}
	return w.alt(w.seq(w.literal("-"), positive(0, -lo, true, openLo)), positive(0, hi, false, openHi))
}

// decimals are the numbers from lo to hi ≥ lo ≥ 0 with or without a fraction.
func (c *compiler) decimals(lo, hi int64, openLo, openHi bool) frag {
	w := &c.w
	exactly := func(n int64) frag { return w.literal(strconv.FormatInt(n, 10)) }
	above := func(n int64) frag { // n with a fraction that is not zero
		return w.seq(exactly(n), w.literal("."), c.digits(0, maxDigits-1), w.span('1', '9'))
	}
	with := func(f frag) frag { return w.seq(f, w.optional(w.seq(w.literal("."), c.digits(1, maxDigits)))) }
	zeros := func(f frag) frag { return w.seq(f, w.optional(w.literal(".0"))) }
	var parts []frag
	if !openLo {
		parts = append(parts, zeros(exactly(lo)))
	}
	if lo < hi {
		parts = append(parts, above(lo))
		if lo+1 <= hi-1 {
			parts = append(parts, with(c.naturals(lo+1, hi-1)))
		}
		if !openHi {
			parts = append(parts, zeros(exactly(hi)))
		}
	}
	return w.alt(parts...)
}

// naturals are the whole numbers from lo to hi ≥ lo ≥ 0 as JSON writes them.
func (c *compiler) naturals(lo, hi int64) frag {
	var parts []frag
	for lo <= hi {
		s := strconv.FormatInt(lo, 10)
		top := int64(math.Pow10(len(s))) - 1 // the last of as many digits
		parts = append(parts, c.sameLength(s, strconv.FormatInt(min(top, hi), 10)))
		lo = top + 1
	}
	return c.w.alt(parts...)
}

// sameLength are the digit strings from lo to hi of equal length.
func (c *compiler) sameLength(lo, hi string) frag {
	w := &c.w
	if lo == "" {
		return w.empty()
	}
	n := len(lo) - 1
	a, b := lo[0], hi[0]
	if a == b {
		return w.seq(w.span(a, a), c.sameLength(lo[1:], hi[1:]))
	}
	var parts []frag
	if strings.Trim(lo[1:], "0") != "" {
		parts = append(parts, w.seq(w.span(a, a), c.sameLength(lo[1:], strings.Repeat("9", n))))
		a++
	}
	if strings.Trim(hi[1:], "9") != "" {
		parts = append(parts, w.seq(w.span(b, b), c.sameLength(strings.Repeat("0", n), hi[1:])))
		b--
	}
	if a <= b {
		parts = append(parts, w.seq(w.span(a, b), c.digits(n, n)))
	}
	return w.alt(parts...)
}
