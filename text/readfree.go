package text

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// freeIn reads the free answer of a declared place: its first sentence without
// decoration and explanation.
func (r *reader) freeIn(p Span, rule Rule) (Answer, bool) {
	p = r.unwrapTeX(Trim(r.src, p))
	p.End = p.Start + firstSentence(p.In(r.src))
	p = r.shorten(r.bare(p))
	if p.Len() == 0 || r.copied(p.In(r.src)) {
		return Answer{}, false
	}
	return Answer{Kind: Free, Text: p.In(r.src), Status: Parsed, Rule: rule, Span: p}, true
}

// unwrapTeX looks into \text{…} and its like.
func (r *reader) unwrapTeX(p Span) Span {
	s := p.In(r.src)
	for _, w := range [...]string{`\text{`, `\textbf{`, `\mathrm{`, `\mathbf{`} {
		if strings.HasPrefix(s, w) && strings.HasSuffix(s, "}") {
			return Span{p.Start + len(w), p.End - 1}
		}
	}
	return p
}

// sentence reads a free answer out of the first sentence that says something.
func (r *reader) sentence() (Answer, bool) {
	rest := r.body
	for range 4 { // "Sure! Here is the answer:" may come first
		p := Span{rest.Start, rest.Start + firstSentence(rest.In(r.src))}
		if p.End >= rest.End || !r.filler(p) {
			break
		}
		rest.Start = p.End
	}
	whole := r.bare(r.body)
	p := r.item(Span{rest.Start, rest.Start + firstSentence(rest.In(r.src))})
	bare := r.bare(p)
	if bare.Len() == 0 {
		return Answer{}, false
	}
	found := func(p Span, rule Rule) (Answer, bool) {
		if p == whole {
			rule = RuleWhole
		}
		return Answer{Kind: Free, Text: p.In(r.src), Status: Parsed, Rule: rule, Span: p}, p.Len() > 0
	}
	if b, ok := r.boldIn(p); ok {
		return found(b, RuleBold)
	}
	if r.denial(bare) { // keeps its words: "There is no such film"
		return found(bare, RuleSentence)
	}
	bare = r.leadIn(bare)
	if r.negates(bare) {
		return found(bare, RuleSentence)
	}
	if r.wantsNumber() {
		if n, ok := r.numberOf(bare); ok {
			return found(n, RuleSentence)
		}
	}
	return found(r.shorten(r.unframe(r.shorten(r.behindLeadIn(bare)))), RuleSentence)
}

// item narrows a list item "1. **Sand:** it is …" to its name or its text.
func (r *reader) item(p Span) Span {
	p = Trim(r.src, p)
	s := p.In(r.src)
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i > 0 && i+1 < len(s) && (s[i] == '.' || s[i] == ')') && s[i+1] == ' ' {
		p.Start += i + 2
	} else if len(s) > 2 && strings.IndexByte("*-+", s[0]) >= 0 && s[1] == ' ' {
		p.Start += 2
	}
	p = Trim(r.src, p)
	if s = p.In(r.src); strings.HasPrefix(s, "**") {
		if name, _, ok := strings.Cut(s[2:], ":**"); ok && len(name) <= 60 && !strings.Contains(name, "**") {
			return Span{p.Start + 2, p.Start + 2 + len(name)}
		}
	}
	return p
}

// denial reports whether a sentence denies that there is an answer.
func (r *reader) denial(p Span) bool {
	low := p.In(r.low)
	return strings.HasPrefix(low, "there is no ") || strings.HasPrefix(low, "there are no ") || strings.HasPrefix(low, "there was no ") || strings.HasPrefix(low, "there were no ")
}

// negates reports whether a sentence says what is not so.
func (r *reader) negates(p Span) bool {
	low := p.In(r.low)
	return hasWord(low, "not") || hasWord(low, "never") || strings.Contains(low, "n't ") || strings.Contains(low, "n’t ")
}

// wantsNumber reports whether the question asks for a number: how many, what
// percentage, which year.
func (r *reader) wantsNumber() bool {
	q := r.question()
	for i, w := range q {
		next := ""
		if i+1 < len(q) {
			next = q[i+1]
		}
		switch w {
		case "how":
			switch next {
			case "many", "much", "old", "tall", "long", "far", "high", "deep", "fast", "big", "large", "heavy":
				return true
			}
		case "what", "which":
			switch next {
			case "percentage", "year", "number", "age":
				return true
			}
		}
	}
	return false
}

// numberOf returns the first number of a sentence that the question has not.
func (r *reader) numberOf(p Span) (Span, bool) {
	for p.Len() > 0 {
		a, ok := r.firstNumber(p, RuleSentence)
		if !ok {
			return Span{}, false
		}
		if !containsWords(r.question(), foldWords(a.Text)) {
			return a.Span, true
		}
		p.Start = a.Span.End
	}
	return Span{}, false
}

// filler: a sentence that announces an answer, or repeats the question.
func (r *reader) filler(p Span) bool {
	s := r.bare(p)
	low := s.In(r.low)
	text := strings.TrimSpace(p.In(r.src))
	if low == "" || strings.HasSuffix(text, ":") || strings.HasSuffix(text, ":**") || strings.HasSuffix(text, "?") && r.copied(text) {
		return true
	}
	switch low {
	case "sure", "sure thing", "certainly", "of course", "yes", "absolutely", "okay", "ok", "great question", "good question", "hello", "hi", "hi there", "thank you", "i'm glad you asked":
		return true
	}
	for _, w := range [...]string{"let's think", "let us think", "let's break", "let me think", "here is the answer", "here's the answer", "here is your answer", "sure, here", "sure! here", "i'd be happy to", "i would be happy to", "great question", "that's a great question", "to answer this question", "to answer your question"} {
		if strings.HasPrefix(low, w) {
			return true
		}
	}
	return false
}

// boldIn returns the one emphasised passage of a sentence, unless the question
// has it too.
func (r *reader) boldIn(p Span) (Span, bool) {
	s := p.In(r.src)
	open := strings.Index(s, "**")
	if open < 0 {
		return Span{}, false
	}
	n := strings.Index(s[open+2:], "**")
	if n <= 0 || n > 80 || strings.Contains(s[open+4+n:], "**") {
		return Span{}, false
	}
	b := r.bare(Span{p.Start + open + 2, p.Start + open + 2 + n})
	inner := b.In(r.src)
	if inner == "" || strings.HasSuffix(s[:open+2+n], ":") || strings.HasPrefix(s[open+4+n:], ":") {
		return Span{}, false
	}
	if words := foldWords(inner); len(words) > 0 && containsWords(r.question(), words) {
		return Span{}, false
	}
	return r.shorten(b), true
}

// behindLeadIn drops an opening clause such as "According to tradition, ".
func (r *reader) behindLeadIn(p Span) Span {
	low := p.In(r.low)
	for _, w := range [...]string{"according to ", "based on ", "as of ", "in the context of "} {
		if strings.HasPrefix(low, w) {
			if i := strings.Index(low, ", "); i > 0 {
				return Span{p.Start + i + 2, p.End}
			}
		}
	}
	return p
}

// leadIn drops words that introduce an answer: "I think it is", "Sure, ".
func (r *reader) leadIn(p Span) Span {
	for again := true; again; {
		again = false
		low := p.In(r.low)
		for _, w := range [...]string{
			"sure, ", "sure! ", "certainly, ", "certainly! ", "of course, ", "of course! ", "well, ", "okay, ", "ok, ", "so, ", "so ", "thus, ", "therefore, ", "hence, ", "hmm, ", "um, ", "actually, ", "in fact, ", "here is the answer: ", "here's the answer: ",
			"i think that ", "i think ", "i believe that ", "i believe ", "i would say that ", "i would say ", "i'd say ", "i would guess ", "i'd guess ", "i guess ", "my guess is ", "my best guess is ", "my answer is ", "probably ", "possibly ", "perhaps ", "maybe ", "it's probably ",
			"i'm not sure, but ", "i am not sure, but ", "i'm not sure but ", "i don't know, but ", "i do not know, but ", "i'm not certain, but ", "i'm not entirely sure, but ",
			"it would be ", "it must be ", "it should be ", "it is ", "it's ", "it was ", "that is ", "that's ", "that would be ", "that was ", "this is ", "this was ", "they are ", "they were ", "he is ", "he was ", "she is ", "she was ", "these are ", "those are ", "there are ", "there is ", "there were ",
			"es ist ", "das ist ", "c'est ", "es el ", "es la ", "è ", "é ", "het is ",
		} {
			if strings.HasPrefix(low, w) && len(low) > len(w) {
				p.Start += len(w)
				p = r.bare(p)
				again = true
				break
			}
		}
	}
	return p
}

// shorten drops what explains an answer: a relative clause, a reason, an aside
// in brackets, what follows a dash.
func (r *reader) shorten(p Span) Span {
	low := p.In(r.low)
	if strings.IndexByte(low, ' ') < 0 {
		return p
	}
	cut := len(low)
	for _, w := range [...]string{
		", which ", ", who ", ", whose ", ", where ", ", when ", ", because ", " because ", ", since ", ", as ", ", and it ", ", and he ", ", and she ", ", and was ", ", and is ", ", but ", ", so ", ", located ", ", based ", ", known ", ", also known ", ", released ", ", directed ", ", written ", ", born ", ", standing ", ", although ", ", though ", ", not ",
		", a ", ", an ", ", the ", ", one of ", ", with ", "; ", " – ", " — ", " - ", ", weil ", ", car ", ", porque ", ", perché ",
	} {
		i := strings.Index(low, w)
		if i > 0 && i < cut && p.In(r.src)[i:i+len(w)] == w { // ", The Joker" explains nothing
			cut = i
		}
	}
	// An aside in brackets ends an answer; Ca(OH)2 and f(x) have no space before.
	if i := strings.Index(low, " ("); i > 0 && i < cut && asideAtEnd(low[i:]) && !strings.HasPrefix(low[i:], " (not ") {
		cut = i
	}
	if cut < len(low) {
		q := r.bare(Span{p.Start, p.Start + cut})
		if q.Len() > 0 {
			p = q
		}
	}
	if n := yearAfterIn(p.In(r.low)); n > 0 {
		p.Start += n
	}
	return p
}

// yearAfterIn returns the length of "in " before a lone year.
func yearAfterIn(low string) int {
	for _, w := range [...]string{"in the year ", "in the ", "in ", "on ", "around ", "about ", "circa ", "c. "} {
		if rest, ok := strings.CutPrefix(low, w); ok && rest != "" && isDigit(rest[0]) && len(rest) <= 12 {
			return len(w)
		}
	}
	return 0
}

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
		return r.join(behindParticiple(right))
	}
	if b := behindParticiple(right); len(b) < len(right) {
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
	if echoed > 0 {
		return t[:hi]
	}
	return t
}

// trimFront drops the words of the question, function words and participles
// such as "located in" in front of an answer.
func (r *reader) trimFront(fs []field) []field {
	lo := 0
	content := false
	for lo < len(fs) {
		w := fs[lo].word
		lead := participle(w) && lo+1 < len(fs) && preposition(fs[lo+1].word)
		if !r.asks(w) && !functionWord(w) && !lead {
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

// behindParticiple drops "located in", "written by", "known as".
func behindParticiple(fs []field) []field {
	if len(fs) > 2 && participle(fs[0].word) && preposition(fs[1].word) {
		return fs[2:]
	}
	return fs
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
	case "", "the", "a", "an", "is", "are", "was", "were", "be", "been", "did", "does", "do", "has", "have", "had", "it", "its", "he", "she", "they", "that", "this", "there", "of", "in", "on", "at", "by", "as", "to", "from", "for", "with", "also", "and":
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

// asideAtEnd reports whether nothing follows the bracket that s opens with.
func asideAtEnd(s string) bool {
	i := strings.IndexByte(s, ')')
	return i < 0 || i == len(s)-1
}
