package text

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// field is a word of a sentence with its place.
type field struct {
	span Span
	word string // folded, "" for pure punctuation
}

func (r *reader) fields(p Span) []field {
	s := p.In(r.src)
	var fs []field
	for i := 0; i < len(s); {
		c, w := utf8.DecodeRuneInString(s[i:])
		if unicode.IsSpace(c) {
			i += w
			continue
		}
		j := i
		for j < len(s) {
			c, w := utf8.DecodeRuneInString(s[j:])
			if unicode.IsSpace(c) {
				break
			}
			j += w
		}
		fs = append(fs, field{Span{p.Start + i, p.Start + j}, strings.Join(foldWords(s[i:j]), "")})
		i = j
	}
	return fs
}

// unframe takes the answer out of a sentence that repeats the question around
// it: "Paris is the capital of France", "Hamlet was written by Shakespeare". The
// words of the question tell which part is the frame; without a question the
// form of the sentence has to.
func (r *reader) unframe(p Span) Span {
	if p.Len() > 600 {
		return p
	}
	fs := r.fields(p)
	if len(fs) < 3 {
		return p
	}
	if len(r.question()) > 0 {
		if u, ok := r.unframeBy(p, fs); ok {
			return u
		}
	}
	at := copula(fs)
	if at <= 0 || at == len(fs)-1 {
		return p
	}
	left, right := fs[:at], fs[at+1:]
	switch {
	case isArticle(right[0].word) && !(left[0].word == "the" && hasField(left, "of")) && len(left) <= 6 && !hasPossessive(r, left):
		return r.join(left)
	case left[0].word == "the" || hasPossessive(r, left):
		return r.join(dropLead(right))
	}
	if b := dropLead(right); len(b) < len(right) {
		return r.join(b)
	}
	return p
}

// unframeBy uses the words of the question.
func (r *reader) unframeBy(p Span, fs []field) (Span, bool) {
	at := copula(fs)
	if at > 0 && at < len(fs)-1 {
		left, right := fs[:at], fs[at+1:]
		l, rt := r.echo(left), r.echo(right)
		switch {
		case r.alternative(left):
			return r.join(left), true
		case l >= .5 && l > rt:
			return r.join(r.trimFront(right)), true
		case rt >= .5 && rt > l:
			return r.join(left), true
		}
		return p, false
	}
	t := r.trimFrame(fs)
	if len(t) == 0 || len(t) == len(fs) {
		return p, false
	}
	return r.join(t), true
}

// alternative reports whether words are one of those that a question such as
// "Who was born first, A or B?" offers.
func (r *reader) alternative(fs []field) bool {
	q := r.question()
	at := slices.Index(q, "or")
	if at < 1 || len(fs) == 0 || isArticle(fs[0].word) {
		return false
	}
	words := foldWords(r.join(fs).In(r.src))
	n := len(words)
	return n > 0 && (at+1+n <= len(q) && slices.Equal(q[at+1:at+1+n], words) || at >= n && slices.Equal(q[at-n:at], words))
}

// echo is the share of the content words that the question has too.
func (r *reader) echo(fs []field) float64 {
	n, hit := 0, 0
	for _, f := range fs {
		if f.word == "" || functionWord(f.word) {
			continue
		}
		n++
		if r.asks(f.word) {
			hit++
		}
	}
	if n == 0 {
		return 0
	}
	return float64(hit) / float64(n)
}

// asks reports whether the question has a word or one of its stem.
func (r *reader) asks(w string) bool {
	for _, q := range r.question() {
		if q == w || len(w) >= 4 && len(q) >= 4 && sameStem(q, w) {
			return true
		}
	}
	return false
}

// sameStem: equal but for an ending; a long stem may have a longer one.
func sameStem(a, b string) bool {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	rest := max(len(a), len(b)) - n
	return n >= 4 && isLetter(a[0]) && (rest <= 3 || n >= 6 && rest <= 5)
}

// trimFrame drops the words of the question and the function words on both
// sides of an answer: "William Shakespeare wrote Hamlet". Names stay whole: the
// Red Sea keeps its sea although the question asks for one.
func (r *reader) trimFrame(fs []field) []field {
	t := r.trimFront(fs)
	if len(t) == 0 {
		return fs
	}
	hi := len(t)
	echoed := 0 // end of what is left once the last word of the question is gone
	for hi > 1 && (r.asks(t[hi-1].word) || functionWord(t[hi-1].word)) && !(r.name(t[hi-1]) && r.name(t[hi-2])) {
		hi--
		if r.asks(t[hi].word) && !functionWord(t[hi].word) {
			echoed = hi
		}
	}
	if echoed == 0 {
		return t
	}
	if !slices.ContainsFunc(t[:hi], func(f field) bool { return !functionWord(f.word) }) {
		return fs // nothing but "the" is left
	}
	return t[:hi]
}

func inQuotes(s string) bool { return strings.HasPrefix(s, `"`) || strings.HasPrefix(s, "“") }

// trimFront drops the words of the question, function words and participles
// such as "located in" in front of an answer.
func (r *reader) trimFront(fs []field) []field {
	lo := 0
	content := false
	for lo < len(fs) {
		w := fs[lo].word
		if n := len(dropLead(fs[lo:])); n < len(fs)-lo {
			lo = len(fs) - n
			content = true
			continue
		}
		if !r.asks(w) && !functionWord(w) || inQuotes(fs[lo].span.In(r.src)) {
			break
		}
		content = content || !functionWord(w)
		lo++
	}
	if lo == len(fs) {
		return fs
	}
	if !content && !preposition(fs[0].word) {
		return fs
	}
	for lo > 0 && (isArticle(fs[lo-1].word) || r.name(fs[lo-1]) && r.name(fs[lo])) {
		lo--
	}
	return fs[lo:]
}

// name reports whether a field is capitalised.
func (r *reader) name(f field) bool {
	c, _ := utf8.DecodeRuneInString(strings.TrimLeft(f.span.In(r.src), `"'“‘*(`))
	return unicode.IsUpper(c) && !functionWord(f.word)
}

func (r *reader) join(fs []field) Span {
	if len(fs) == 0 {
		return Span{}
	}
	return r.bare(Span{fs[0].span.Start, fs[len(fs)-1].span.End})
}

// copula returns the index of the first is, are, was, were; -1 if none.
func copula(fs []field) int {
	for i, f := range fs {
		switch f.word {
		case "is", "are", "was", "were", "equals", "ist", "est", "es":
			return i
		}
	}
	return -1
}

// dropLead drops what leads up to an answer: adverbs, "called", "located in".
func dropLead(fs []field) []field {
	for len(fs) > 1 {
		w := fs[0].word
		switch {
		case adverb(w), w == "called", w == "named":
			fs = fs[1:]
		case len(fs) > 2 && participle(w) && preposition(fs[1].word):
			fs = fs[2:]
		case len(fs) > 3 && w == "none" && fs[1].word == "other" && fs[2].word == "than":
			fs = fs[3:]
		default:
			return fs
		}
	}
	return fs
}

func adverb(w string) bool {
	switch w {
	case "typically", "usually", "generally", "commonly", "often", "primarily", "predominantly", "mainly", "mostly", "actually", "simply", "officially", "indeed", "probably", "currently", "definitely":
		return true
	}
	return false
}

func participle(w string) bool {
	if strings.HasSuffix(w, "ed") && len(w) > 4 {
		return true
	}
	switch w {
	case "written", "made", "known", "held", "found", "born", "built", "sung", "won", "led", "begun", "taken", "given", "spoken", "shown", "set", "drawn", "founded", "run", "worn", "seen", "wrote", "sang":
		return true
	}
	return false
}

func preposition(w string) bool {
	switch w {
	case "in", "on", "at", "by", "as", "to", "of", "from", "for", "near", "with":
		return true
	}
	return false
}

func isArticle(w string) bool { return w == "the" || w == "a" || w == "an" }

func functionWord(w string) bool {
	switch w {
	case "", "the", "a", "an", "is", "are", "was", "were", "be", "been", "did", "does", "do", "has", "have", "had", "it", "its", "he", "she", "they", "that", "this", "there", "of", "in", "on", "at", "by", "as", "to", "from", "for", "with", "also", "and", "use", "uses", "used":
		return true
	}
	return false
}

func hasField(fs []field, w string) bool {
	for _, f := range fs {
		if f.word == w {
			return true
		}
	}
	return false
}

func hasPossessive(r *reader, fs []field) bool {
	for _, f := range fs {
		if s := f.span.In(r.src); strings.HasSuffix(s, "'s") || strings.HasSuffix(s, "’s") {
			return true
		}
	}
	return false
}
