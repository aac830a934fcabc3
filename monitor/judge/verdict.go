package judge

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gnothi/llm"
	"gnothi/text"
)

// label is what a verdict's line begins with. Small models say score or rating
// for a number whatever they were told.
var label = regexp.MustCompile(`(?i)^[\s>#*_\-"'\[(]*(?:(?:final|my|the)\s+)?(?:verdict|score|rating)\b[\s*_"']*(?:is\b|[:=])[\s*_"'\[(]*`)

// dressing may stand around a value.
const dressing = " \t\r*_\"'`[]()."

// verdictLine finds where the verdict's value stands in a reply: the last line
// that is not blank, or without reasoning the first one, which a model that
// goes on talking ends up with. bare lets a line without the label be the value.
func verdictLine(reply string, reason bool) (value string, at int, labelled bool) {
	lines := strings.SplitAfter(reply, "\n")
	starts, off := make([]int, len(lines)), 0
	for i, l := range lines {
		starts[i] = off
		off += len(l)
	}
	pick := func(i int) (string, int, bool) {
		line := strings.TrimRight(lines[i], "\r\n")
		if m := label.FindStringIndex(line); m != nil {
			return line[m[1]:], starts[i] + m[1], true
		}
		trimmed := strings.TrimLeft(line, dressing)
		return trimmed, starts[i] + len(line) - len(trimmed), false
	}
	filled := func(i int) bool { return strings.TrimSpace(lines[i]) != "" }
	if !reason {
		for i := range lines {
			if filled(i) {
				return pick(i)
			}
		}
		return "", 0, false
	}
	for i := len(lines) - 1; i >= 0; i-- {
		if filled(i) {
			return pick(i)
		}
	}
	return "", 0, false
}

var (
	number  = regexp.MustCompile(`^([-−+]?\d+(?:[.,]\d+)?)(?:\s*(%|/\s*\d+(?:\.\d+)?|out of \d+(?:\.\d+)?))?`)
	leading = regexp.MustCompile(`^[A-Za-z]*`)
	more    = regexp.MustCompile(`(?i)^[\s*_]*(?:(?:or|to|and|through)\b|[-–—/~])[\s*_]*\d|^[.,]?\d`)
)

var numberWords = []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}

// readNumber reads a rating from low to high. What is off the scale, or two
// numbers at once, or on another scale, is no rating: it is never clamped or
// read digit by digit, so "0.8" is not 8 and "85.5" of 100 is 85.5.
func readNumber(value string, low, high int) (float64, bool) {
	value = strings.TrimLeft(value, dressing[:len(dressing)-1]) // a leading point belongs to a number
	if strings.HasPrefix(value, ".") {
		return 0, false
	}
	var v float64
	var rest string
	if m := number.FindStringSubmatch(value); m != nil {
		if _, after, comma := strings.Cut(m[1], ","); comma && len(after) == 3 {
			return 0, false // thousands, not a decimal comma
		}
		parsed, err := strconv.ParseFloat(strings.Replace(strings.Replace(m[1], "−", "-", 1), ",", ".", 1), 64)
		if err != nil {
			return 0, false
		}
		v, rest = parsed, value[len(m[0]):]
		switch of := strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(m[2], "/"), "out of")); {
		case m[2] == "":
		case of == "%" && high != 100:
			return 0, false
		case of != "%":
			if total, err := strconv.ParseFloat(of, 64); err != nil || total != float64(high) {
				return 0, false
			}
		}
	} else {
		word := leading.FindString(value)
		found := false
		for i, w := range numberWords {
			if strings.EqualFold(word, w) {
				v, found = float64(i), true
			}
		}
		if rest = value[len(word):]; !found {
			return 0, false
		}
	}
	if more.MatchString(rest) || startsLetter(rest) || v < float64(low) || v > float64(high) {
		return 0, false
	}
	return v, true
}

// readWord reads one of several words: the value begins with it, and what
// follows takes no other side.
func readWord(value string, words []string) (int, bool) {
	value = strings.ToLower(strings.ToValidUTF8(strings.TrimLeft(value, dressing), "?"))
	for _, lead := range []string{"candidate ", "answer ", "option "} {
		value = strings.TrimPrefix(value, lead)
	}
	value = strings.TrimLeft(value, dressing)
	for i, w := range words {
		rest, ok := strings.CutPrefix(value, w)
		if !ok || startsLetter(rest) {
			continue
		}
		for k, other := range words {
			if k != i && containsWord(rest, other) && len(strings.Fields(rest)) <= 3 {
				return 0, false // "A or B", "yes and no"
			}
		}
		return i, true
	}
	return 0, false
}

func startsLetter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r >= 0x80 && r != utf8.RuneError
}

func containsWord(s, w string) bool {
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(dressing+",;/|", r) }) {
		if f == w {
			return true
		}
	}
	return false
}

// spoken is a verdict among several words.
type spoken struct {
	number float64   // as it was written
	word   int       // which of the words, −1 where it is none (a rating between two)
	p      []float64 // their probabilities, which sum to 1; nil without log-probabilities
	mass   float64   // how much of the distribution the words hold
	forced bool      // p serves although mass is below one half
}

// reader reads a verdict that is one of words, or with a scale a number; the
// words are then its whole numbers.
type reader struct {
	words     []string
	low, high int // of a number; equal: words
	reason    bool
}

func scaleReader(low, high int, reason bool) reader {
	r := reader{low: low, high: high, reason: reason}
	for v := low; v <= high; v++ {
		r.words = append(r.words, strconv.Itoa(v))
	}
	return r
}

// read reads a reply. One that was cut off at its length has no last line.
func (r reader) read(c llm.Choice) (spoken, bool) {
	reply, tokens := c.Text, c.Tokens
	if joined := join(tokens); strings.Contains(joined, strings.TrimSpace(reply)) {
		reply = joined // offsets of tokens are offsets of this
	} else {
		tokens = nil
	}
	if r.reason && c.Finish == "length" && !strings.HasSuffix(strings.TrimRight(reply, " "), "\n") {
		return spoken{}, false
	}
	value, at, labelled := verdictLine(reply, r.reason)
	if r.reason && !labelled {
		return spoken{}, false
	}
	if strings.ContainsRune(value, 0x1b) {
		value, tokens = text.SanitiseLine(value), nil
	}
	out := spoken{word: -1}
	if r.low < r.high {
		v, ok := readNumber(value, r.low, r.high)
		if !ok {
			return spoken{}, false
		}
		out.number = v
		if v == math.Trunc(v) {
			out.word = int(v) - r.low
		}
	} else {
		i, ok := readWord(value, r.words)
		if !ok {
			return spoken{}, false
		}
		out.word = i
	}
	if r.high <= 9 {
		out.p, out.mass = r.masses(tokens, at+len(value)-len(strings.TrimLeft(value, dressing)))
	}
	return out, true
}

// masses gives the probabilities of the words at the token that stands at a
// byte offset of the reply.
func (r reader) masses(tokens []llm.Token, at int) ([]float64, float64) {
	for _, tok := range tokens {
		if at >= len(tok.Text) {
			at -= len(tok.Text)
			continue
		}
		p, mass := make([]float64, len(r.words)), 0.0
		for _, alt := range tok.Top {
			if i := r.begins(alt.Text); i >= 0 && alt.LogProb <= 1e-3 {
				p[i] += math.Exp(alt.LogProb)
				mass += math.Exp(alt.LogProb)
			}
		}
		if !(mass > 0) || mass > 1+1e-3 {
			return nil, 0
		}
		for i := range p {
			p[i] /= mass
		}
		return p, mass
	}
	return nil, 0
}

// begins says which one of the words a token begins, −1 for none or several.
func (r reader) begins(token string) int {
	token = strings.ToLower(strings.Trim(token, dressing+"\n,:;"))
	found := -1
	for i, w := range r.words {
		if token == w {
			return i
		}
		if token != "" && strings.HasPrefix(w, token) {
			if found >= 0 {
				return -1
			}
			found = i
		}
	}
	return found
}

func join(tokens []llm.Token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.Text)
	}
	return b.String()
}
