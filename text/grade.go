package text

import (
	"math/big"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Grade compares an answer with the accepted ones; kind says how both are read.
// See [Task.Grade].
func Grade(kind Kind, a Answer, accepted []string) Outcome {
	return Task{Kind: kind}.Grade(a, accepted)
}

// Grade compares an answer with the accepted ones and returns Right, Wrong,
// Refused or Unparsed. An answer of another kind than the task's is read again
// from its text.
//
// It is strict: an answer is right if its [Key] is that of an accepted answer,
// with three allowances that only loosen the reading, not the fact. A number
// without a unit matches one with a unit, and "50 %" matches both 50 and 0.5.
// Letters match the letter, the key or the text of the option. Where the
// question asks who, a person is known by the surname, as long as given names
// or initials do not contradict. Answers that merely mention an accepted one
// are wrong: see [Task.GradeMention].
func (t Task) Grade(a Answer, accepted []string) Outcome {
	a = t.reread(a)
	if a.Status == Unparsed || a.Status == Refused {
		return a.Status
	}
	key := t.Key(a)
	if key == "" {
		return Unparsed
	}
	for _, want := range accepted {
		if t.accepts(a, key, want) {
			return Right
		}
	}
	return Wrong
}

func (t Task) reread(a Answer) Answer {
	if a.Kind == t.Kind || a.Status == Unparsed || a.Status == Refused {
		return a
	}
	return t.take(a.Text)
}

func (t Task) accepts(a Answer, key, want string) bool {
	w := t.take(want)
	if w.Status != Parsed {
		return false
	}
	if t.Key(w) == key {
		return true
	}
	switch t.Kind {
	case Number:
		return a.Value != nil && w.Value != nil && sameAmount(a.Value, a.Unit, w.Value, w.Unit)
	case Free:
		if v, vu, ok := wholeNumber(a.Text); ok {
			x, xu, ok := wholeNumber(want)
			return ok && sameAmount(v, vu, x, xu)
		}
		return t.asksWho() && sameName(normWords(a.Text), normWords(want))
	}
	return false
}

// sameAmount reports whether two numbers are equal where one may lack its unit.
func sameAmount(a *big.Rat, au string, b *big.Rat, bu string) bool {
	x, xd := inBase(a, au)
	y, yd := inBase(b, bu)
	if xd == yd && x.Cmp(y) == 0 {
		return true
	}
	return (au == "" || bu == "") && a.Cmp(b) == 0
}

func (t Task) asksWho() bool {
	q := asciiLower(t.Question)
	return hasWord(q, "who") || hasWord(q, "whose") || hasWord(q, "whom")
}

// sameName reports whether two names, as normalised words, can be one person's:
// the surname is equal, and the given names of one are found in order among
// those of the other, initials standing for names.
func sameName(a, b []string) bool {
	a, b = properName(a), properName(b)
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	surname := a[len(a)-1]
	if surname != b[len(b)-1] || utf8.RuneCountInString(surname) < 2 || isInteger(surname) {
		return false
	}
	a, b = a[:len(a)-1], b[:len(b)-1]
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) == 1 && len(b) > 1 && a[0] == initials(b) || len(b) == 1 && len(a) == 1 && initialOf(a[0], b[0]) {
		return true
	}
	i := 0
	for _, given := range b {
		if i < len(a) && (a[i] == given || initialOf(a[i], given)) {
			i++
		}
	}
	return i == len(a)
}

func initialOf(x, y string) bool {
	return len(x) == 1 && strings.HasPrefix(y, x) || len(y) == 1 && strings.HasPrefix(x, y)
}

func initials(words []string) string {
	var b strings.Builder
	for _, w := range words {
		_, n := utf8.DecodeRuneInString(w)
		b.WriteString(w[:n])
	}
	return b.String()
}

// properName drops titles and what follows a surname.
func properName(words []string) []string {
	for len(words) > 1 {
		switch words[0] {
		case "sir", "dame", "dr", "mr", "mrs", "ms", "lord", "lady", "president", "prof", "professor", "captain", "general", "king", "queen":
			words = words[1:]
			continue
		}
		switch words[len(words)-1] {
		case "jr", "sr", "junior", "senior", "phd", "md":
			words = words[:len(words)-1]
			continue
		}
		break
	}
	return words
}

// mentionWords is the longest answer, in words, that GradeMention looks into.
const mentionWords = 24

// GradeMention is Grade with leniency: a short free answer is also right if it
// mentions an accepted one as whole words. It is still wrong if the mention is
// negated ("not Paris"), one of several offered ("Paris or Lyon", "Paris, Lyon,
// Rome"), a number among other numbers, or copied from the question. Kinds
// other than Free are graded as by Grade.
func (t Task) GradeMention(a Answer, accepted []string) Outcome {
	o := t.Grade(a, accepted)
	if o != Wrong || t.Kind != Free {
		return o
	}
	fields := strings.Fields(a.Text)
	if len(fields) > mentionWords {
		return Wrong
	}
	words := make([]mentionWord, 0, len(fields)+4)
	for _, f := range fields {
		for _, w := range normWords(f) {
			words = append(words, mentionWord{w, f})
		}
	}
	asked := normWords(t.Question)
	for _, want := range accepted {
		w := normWords(want)
		if len(w) > 0 && !containsWords(asked, w) && mentions(words, w) {
			return Right
		}
	}
	return Wrong
}

// mentionWord is a normalised word and the field of the answer that holds it.
type mentionWord struct{ word, field string }

func mentions(words []mentionWord, want []string) bool {
	at := -1
	for i := range words {
		if at < 0 && matchAt(words, i, want) {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	end := at + len(want)
	if isNumeric(want) {
		for i, w := range words {
			if (i < at || i >= end) && startsDigit(w.word) {
				return false // which of the numbers is the answer?
			}
		}
		if end < len(words) {
			if e, f := scaleWord(words[end].word); e != 0 || f != 0 {
				return false
			}
		}
	}
	for i := max(0, at-3); i < at; i++ {
		if negates(words[i].word) && !strings.HasSuffix(words[i].field, ",") {
			return false
		}
	}
	if end < len(words) && (denies(words[end].word) || end+1 < len(words) && auxiliary(words[end].word) && words[end+1].word == "not") {
		return false
	}
	return !oneOfSeveral(words, at, end)
}

func matchAt(words []mentionWord, i int, want []string) bool {
	if i+len(want) > len(words) {
		return false
	}
	for j, w := range want {
		if words[i+j].word != w {
			return false
		}
	}
	return true
}

// oneOfSeveral reports whether words[at:end] is an item of a list.
func oneOfSeveral(words []mentionWord, at, end int) bool {
	commas := 0
	for i, w := range words {
		if i >= at && i < end {
			continue
		}
		if w.word == "or" || w.word == "either" {
			return true
		}
		if w.word == "and" && (i == end && i+1 < len(words) && isItem(words[i+1].field) || i+1 == at && i > 0 && isItem(words[i-1].field)) {
			return true
		}
		if i+1 < len(words) && strings.HasSuffix(w.field, ",") && isItem(words[i+1].field) {
			commas++
		}
	}
	if end < len(words) && strings.HasSuffix(words[end-1].field, ",") && isItem(words[end].field) {
		commas++
	}
	return commas >= 2
}

// isItem reports whether a field could open an item of a list: a name or number.
func isItem(field string) bool {
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(field, `"'“‘*(`))
	return unicode.IsUpper(r) || unicode.IsDigit(r)
}

func isNumeric(words []string) bool {
	return slices.ContainsFunc(words, startsDigit) && len(words) == 1
}

func startsDigit(w string) bool {
	w = strings.TrimPrefix(w, "-")
	return w != "" && isDigit(w[0])
}

// negates: a negation that reaches forward to what follows it.
func negates(w string) bool {
	switch w {
	case "not", "never", "no", "nor", "neither", "without", "except", "unlike", "than", "isnt", "wasnt", "arent", "werent", "didnt", "doesnt", "dont", "cannot", "cant", "excluding":
		return true
	}
	return false
}

// denies: a negation that reaches back to its subject.
func denies(w string) bool {
	switch w {
	case "isnt", "wasnt", "arent", "werent", "didnt", "doesnt", "hasnt", "cannot", "cant", "never":
		return true
	}
	return false
}

func auxiliary(w string) bool {
	switch w {
	case "is", "was", "are", "were", "did", "does", "do", "has", "had", "have", "can", "could", "would", "will":
		return true
	}
	return false
}

func containsWords(words, want []string) bool {
	for i := 0; i+len(want) <= len(words); i++ {
		if slices.Equal(words[i:i+len(want)], want) {
			return true
		}
	}
	return false
}

// hasWord reports whether lower-case text contains w as a word of its own.
func hasWord(text, w string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], w)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(w)
		if !letterBefore(text, i) && !letterAfter(text, end) {
			return true
		}
		from = i + 1
	}
}

func letterBefore(s string, i int) bool {
	r, _ := utf8.DecodeLastRuneInString(s[:i])
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

func letterAfter(s string, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[i:])
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}
