package text

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParticularKind is the sort of a particular.
type ParticularKind uint8

// The kinds of particular.
const (
	ANumber ParticularKind = iota
	ADate
	AName
)

// Particular is a number, a date or a name in a text: what code can look up in
// another text without understanding either.
type Particular struct {
	Kind ParticularKind
	Span Span
	// Key is equal for equal particulars: a number's exact value, a date as
	// YYYY-MM-DD, the folded words of a name.
	Key string
}

// datePattern finds full dates: March 4, 1921; 4 March 1921; 4th of March 1921;
// 1921-03-04. It is slow, so [datesOf] shows it only places that may hold one.
var datePattern = regexp.MustCompile(`(?i)\b(?:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}|\d{1,2}(?:st|nd|rd|th)?(?: of)? (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?,? \d{4}|\d{4}-\d{2}-\d{2})\b`)

// datesOf gives the full dates of a text: it looks around the names of months
// and at numbers of four digits with a hyphen.
func datesOf(s string) []Particular {
	var out []Particular
	done := 0
	look := func(lo, hi int) {
		for lo = max(lo, done, 0); lo < len(s) && lo > 0 && isAlnum(s[lo-1]) && isAlnum(s[lo]); {
			lo++
		}
		for hi = min(hi, len(s)); hi < len(s) && isAlnum(s[hi]) && hi < lo+64; {
			hi++
		}
		if lo >= hi {
			return
		}
		if m := datePattern.FindStringIndex(s[lo:hi]); m != nil {
			p := Span{lo + m[0], lo + m[1]}
			if key := date(p.In(s)); key != "" {
				out, done = append(out, Particular{ADate, p, key}), p.End
			}
		}
	}
	for i := 0; i < len(s); i++ {
		if !isAlnum(s[i]) {
			continue
		}
		end := i + 1
		for end < len(s) && isAlnum(s[end]) {
			end++
		}
		switch {
		case end-i == 4 && isDigit(s[i]) && end+1 < len(s) && s[end] == '-' && isDigit(s[end+1]):
			look(i, end+6)
		case end-i >= 3 && end-i <= 9 && monthOf(asciiLower(s[i:end])) > 0:
			look(i-9, end+14)
		}
		i = end
	}
	return out
}

// Particulars finds the full dates, numbers and names of a text, in that order.
// A name is a run of capitalised words; words that open sentences for reasons
// of grammar ("The", "However") are none. Numbers inside dates are not listed
// again.
func Particulars(s string) []Particular {
	dates := datesOf(s)
	out := slices.Clone(dates)
	inDate := func() func(at int) bool {
		k := 0
		return func(at int) bool {
			for k < len(dates) && dates[k].Span.End <= at {
				k++
			}
			return k < len(dates) && dates[k].Span.Start <= at
		}
	}
	in := inDate()
	for i := 0; ; {
		n, ok := nextNumeral(s, i)
		if !ok {
			break
		}
		i = max(n.span.End, i+1)
		if v := n.value(); v != nil && !in(n.span.Start) {
			out = append(out, Particular{ANumber, n.span, v.RatString()})
		}
	}
	in = inDate()
	for _, p := range names(s) {
		if !in(p.Start) && p.Len() > 1 {
			out = append(out, Particular{AName, p, fold(p.In(s))})
		}
	}
	return out
}

// names gives the runs of capitalised words.
func names(s string) []Span {
	var out []Span
	run := Span{-1, -1}
	flush := func() {
		if run.Start >= 0 {
			out = append(out, run)
		}
		run = Span{-1, -1}
	}
	for i := 0; i < len(s); {
		r, w := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsLetter(r) {
			if unicode.IsDigit(r) { // no letters of 3rd, 2x or 5b
				for i+w < len(s) && isAlnum(s[i+w]) {
					w++
				}
			}
			if run.Start >= 0 && r != ' ' && r != '.' && r != '-' && r != '\'' && r != '’' {
				flush()
			}
			i += w
			continue
		}
		end := i
		for end < len(s) {
			c, cw := utf8.DecodeRuneInString(s[end:])
			if !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c) && !(c == '\'' || c == '’' || c == '-') {
				break
			}
			end += cw
		}
		word := strings.TrimRight(s[i:end], "'’-")
		word = strings.TrimSuffix(strings.TrimSuffix(word, "'s"), "’s")
		_, grammar := grammarWords[asciiLower(word)]
		switch {
		case !unicode.IsUpper(r) || grammar:
			flush()
		case run.Start >= 0 && strings.Trim(s[run.End:i], " ") == "" || run.Start >= 0 && s[run.End:i] == ". " && run.End-lastWordStart(s, run) <= 2:
			run.End = i + len(word) // the next word of the name, or a word behind an initial
		default:
			flush()
			run = Span{i, i + len(word)}
		}
		i = end
	}
	flush()
	return out
}

func lastWordStart(s string, p Span) int {
	if i := strings.LastIndexByte(p.In(s), ' '); i >= 0 {
		return p.Start + i + 1
	}
	return p.Start
}

// grammarWords are capitalised where a sentence begins and are no names.
var grammarWords = setOf("a", "an", "the", "he", "she", "it", "its", "they", "we", "you", "i", "i'm", "i've", "his", "her", "their", "our", "your", "my", "this", "that", "these", "those",
	"in", "on", "at", "by", "for", "from", "with", "without", "of", "to", "as", "into", "over", "under", "after", "before", "during", "since", "until", "between", "among", "through", "throughout", "despite", "although", "though", "while", "when", "where", "who", "what", "which", "why", "how",
	"and", "or", "but", "so", "if", "then", "than", "because", "however", "moreover", "furthermore", "additionally", "also", "finally", "later", "today", "there", "here", "no", "not", "yes", "all", "any", "both", "each", "every", "many", "most", "more", "much", "some", "several", "few", "other", "another", "one", "two", "three",
	"is", "are", "was", "were", "be", "been", "has", "have", "had", "do", "does", "did", "can", "could", "may", "might", "will", "would", "should", "must", "following", "according", "born", "known", "once", "about", "such", "only", "even", "still", "first", "second", "third", "per", "unlike", "like", "upon", "within", "around", "against", "along", "due", "instead", "now", "overall", "eventually", "initially", "originally", "currently", "recently", "together", "meanwhile", "nevertheless", "therefore", "thus", "hence", "it's", "he's", "she's", "there's", "them", "him", "us", "me", "let", "please")
