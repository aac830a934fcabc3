package text

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Normalise returns the form in which two short answers are compared: one
// space between lower-case words, without punctuation, without the accents of
// Latin and Greek letters, without "the" and without a leading "a" or "an";
// compatibility forms (ﬁ, ², Ａ) resolved; number words, ordinals and Roman
// numerals after a name as digits; initials and acronyms joined. Signs that
// distinguish names stay: C++, C#, -5.
//
// Accents go because small models and question sets write them as they please
// (Zürich, Zurich); that merges a few words (pêche, péché) and is the price.
// "A" inside an answer stays: Vitamin A is not a vitamin.
func Normalise(s string) string { return strings.Join(normWords(s), " ") }

// normWords returns the normalised words of s; empty if it has none.
func normWords(s string) []string {
	if len(s) > 4096 { // no short answer: the rest decides nothing
		s = s[:4096]
	}
	words := joinInitials(foldWords(s))
	out := words[:0]
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "the" || i == 0 && (w == "a" || w == "an") {
			continue
		}
		switch w {
		case "st":
			w = "saint"
		case "mt":
			w = "mount"
		}
		if v, n := countedWords(words[i:]); n > 0 {
			out = append(out, v)
			i += n - 1
			continue
		}
		if n, ok := ordinal(w); ok {
			w = strconv.FormatInt(n, 10)
		} else if d := digitsBeforeOrdinal(w); d != "" {
			w = d
		} else if n := roman(w); n > 0 && len(out) > 0 {
			w = strconv.Itoa(n)
		}
		out = append(out, w)
	}
	if len(out) == 0 && len(words) > 0 { // "The The" is a band
		return foldWords(s)
	}
	return out
}

// countedWords turns a run of number words into digits.
func countedWords(words []string) (string, int) {
	if _, c := cardinal(words[0]); c == 0 || c == classScale {
		return "", 0
	}
	n := 1
	for n < len(words) && n < 12 {
		if _, c := cardinal(words[n]); c == 0 && words[n] != "and" {
			break
		}
		n++
	}
	if n == 1 {
		v, _ := cardinal(words[0])
		return strconv.FormatInt(v, 10), 1
	}
	joined := strings.Join(words[:n], " ")
	v, end := wordNumber(joined, 0)
	if v == nil {
		return "", 0
	}
	return v.RatString(), strings.Count(joined[:end], " ") + 1
}

func digitsBeforeOrdinal(w string) string {
	n := len(w) - 2
	if n < 1 || n > 6 || !isInteger(w[:n]) {
		return ""
	}
	switch w[n:] {
	case "st", "nd", "rd", "th":
		return w[:n]
	}
	return ""
}

// roman reads numerals of at least two of the letters i, v, x: those of
// monarchs, wars and sequels.
func roman(w string) int {
	if len(w) < 2 || len(w) > 6 || strings.Trim(w, "ivx") != "" {
		return 0
	}
	total, last := 0, 0
	for i := len(w) - 1; i >= 0; i-- {
		v := 1
		switch w[i] {
		case 'v':
			v = 5
		case 'x':
			v = 10
		}
		if v < last {
			total -= v
		} else {
			total += v
			last = v
		}
	}
	if total <= 0 || toRoman(total) != w {
		return 0
	}
	return total
}

func toRoman(n int) string {
	ones := [...]string{"", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"}
	return strings.Repeat("x", n/10) + ones[n%10]
}

// joinInitials makes "j r r tolkien" into "jrr tolkien", in place.
func joinInitials(words []string) []string {
	out := words[:0]
	for i := 0; i < len(words); {
		j := i
		for j < len(words) && len(words[j]) == 1 && isLetter(words[j][0]) {
			j++
		}
		if j-i >= 2 && !(i == 0 && words[i] == "a") {
			out = append(out, strings.Join(words[i:j], ""))
			i = j
			continue
		}
		out = append(out, words[i])
		i++
	}
	return out
}

// foldWords splits s into folded words: see Normalise.
func foldWords(s string) []string {
	ascii := true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if !ascii {
		s = fold(s)
	}
	// All words lie back to back in one buffer and become strings at once.
	var (
		buf   = make([]byte, 0, len(s)+len("percent"))
		ends  = make([]int, 0, 1+len(s)/4)
		start = 0
	)
	flush := func() {
		if len(buf) > start {
			start = len(buf)
			ends = append(ends, start)
		}
	}
	at := func(i int) byte {
		if i < 0 || i >= len(s) {
			return ' '
		}
		return s[i]
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			buf = append(buf, c+'a'-'A')
		case isAlnum(c):
			buf = append(buf, c)
		case c >= utf8.RuneSelf:
			r, w := utf8.DecodeRuneInString(s[i:])
			if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
				buf = append(buf, s[i:i+w]...)
			} else if r == '\u2019' || r == '\u02bc' { // an apostrophe inside a word
			} else if r == '\u2212' && isDigit(at(i+w)) && len(buf) == start {
				buf = append(buf, '-')
			} else {
				flush()
			}
			i += w - 1
		case c == '\'' || c == '`':
		case c == '.' && isAlnum(at(i-1)) && isAlnum(at(i+1)):
			if isDigit(at(i-1)) && isDigit(at(i+1)) {
				buf = append(buf, c)
			}
		case c == ',' && isDigit(at(i-1)) && isDigit(at(i+1)) && isDigit(at(i+2)) && isDigit(at(i+3)) && !isDigit(at(i+4)):
		case c == '-' && isDigit(at(i+1)) && !isAlnum(at(i-1)) && at(i-1) < utf8.RuneSelf:
			flush()
			buf = append(buf, c)
		case (c == '+' || c == '#') && len(buf) > start:
			buf = append(buf, c)
		case c == '&':
			flush()
			buf = append(buf, "and"...)
			flush()
		case c == '%':
			flush()
			buf = append(buf, "percent"...)
			flush()
		default:
			flush()
		}
	}
	flush()
	all, from := string(buf), 0
	words := make([]string, len(ends))
	for i, end := range ends {
		words[i], from = all[from:end], end
	}
	return words
}

// fold resolves compatibility forms, lowers case and strips the accents of
// Latin and Greek letters. Marks of other scripts are letters there, and stay.
func fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	base := rune(0)
	for _, r := range norm.NFKD.String(s) {
		if r >= 0x300 && r <= 0x36f {
			if unicode.In(base, unicode.Latin, unicode.Greek) {
				continue
			}
			b.WriteRune(r)
			continue
		}
		base = r
		switch r = unicode.ToLower(r); r {
		case 'ß':
			b.WriteString("ss")
		case 'æ':
			b.WriteString("ae")
		case 'œ':
			b.WriteString("oe")
		case 'ø':
			b.WriteByte('o')
		case 'đ', 'ð':
			b.WriteByte('d')
		case 'ł':
			b.WriteByte('l')
		case 'ı':
			b.WriteByte('i')
		case 'þ':
			b.WriteString("th")
		case 'ς':
			b.WriteRune('σ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// asciiLower lowers A–Z only, so that byte offsets stay those of s.
func asciiLower(s string) string {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
