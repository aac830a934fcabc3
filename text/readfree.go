package text

import (
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
	if p.Len() == 0 {
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
		if rest.Len() == 0 {
			return Answer{}, false
		}
		p := Span{rest.Start, rest.Start + firstSentence(rest.In(r.src))}
		if !r.filler(p) {
			break
		}
		rest.Start = p.End
	}
	p := Span{rest.Start, rest.Start + firstSentence(rest.In(r.src))}
	if b, ok := r.boldIn(p); ok {
		return Answer{Kind: Free, Text: b.In(r.src), Status: Parsed, Rule: RuleBold, Span: b}, true
	}
	bare := r.bare(p)
	q := r.shorten(r.unframe(r.leadIn(bare)))
	if q.Len() == 0 {
		return Answer{}, false
	}
	rule := RuleSentence
	if q == r.bare(r.body) {
		rule = RuleWhole
	}
	return Answer{Kind: Free, Text: q.In(r.src), Status: Parsed, Rule: rule, Span: q}, true
}

// filler: a sentence that announces an answer, or repeats the question.
func (r *reader) filler(p Span) bool {
	s := r.bare(p)
	low := s.In(r.low)
	if low == "" || strings.HasSuffix(strings.TrimSpace(p.In(r.src)), "?") && r.copied(p.In(r.src)) {
		return true
	}
	switch low {
	case "sure", "sure thing", "certainly", "of course", "yes", "absolutely", "okay", "ok", "great question", "good question", "hello", "hi", "hi there", "thank you", "i'm glad you asked":
		return true
	}
	for _, w := range [...]string{"let's think", "let us think", "let's break", "let me think", "here is the answer", "here's the answer", "here is your answer", "sure, here", "sure! here", "i'd be happy to", "i would be happy to", "great question", "that's a great question", "to answer this question", "to answer your question"} {
		if strings.HasPrefix(low, w) {
			return !strings.Contains(low, " is:") && strings.TrimSpace(r.src[p.End:r.body.End]) != ""
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
	cut := len(low)
	for _, w := range [...]string{
		", which ", ", who ", ", whose ", ", where ", ", when ", ", because ", " because ", ", since ", ", as ", ", and it ", ", and he ", ", and she ", ", and was ", ", and is ", ", but ", ", so ", ", located ", ", based ", ", known ", ", also known ", ", released ", ", directed ", ", written ", ", born ", ", standing ", ", although ", ", though ", ", not ",
		", a ", ", an ", ", the ", ", one of ", ", with ", "; ", " – ", " — ", " - ", ", weil ", ", car ", ", porque ", ", perché ",
	} {
		if i := strings.Index(low, w); i > 0 && i < cut {
			cut = i
		}
	}
	// An aside in brackets ends an answer; Ca(OH)2 and f(x) have no space before.
	if i := strings.Index(low, " ("); i > 0 && i < cut && !strings.HasPrefix(low[i:], " (not ") {
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
	if q := r.question(); len(q) > 0 {
		if u, ok := r.unframeBy(p, fs); ok {
			return u
		}
		return p
	}
	at := copula(fs)
	if at <= 0 || at == len(fs)-1 {
		return p
	}
	left, right := fs[:at], fs[at+1:]
	switch {
	case fs[at+1].word == "not":
		return p
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
	if at > 0 && at < len(fs)-1 && fs[at+1].word != "not" {
		left, right := fs[:at], fs[at+1:]
		l, rt := r.echo(left), r.echo(right)
		switch {
		case l >= .6 && l > rt:
			return r.join(r.trimFrame(right, true)), true
		case rt >= .5 && rt > l:
			return r.join(left), true
		}
	}
	for _, f := range fs {
		if f.word == "not" || strings.HasSuffix(f.word, "nt") && strings.Contains(f.span.In(r.src), "n't") {
			return p, false // a denial keeps its words
		}
	}
	t := r.trimFrame(fs, false)
	if len(t) == 0 || len(t) == len(fs) {
		return p, false
	}
	return r.join(t), true
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

// sameStem: equal but for an ending of at most three letters.
func sameStem(a, b string) bool {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n >= 4 && len(a)-n <= 3 && len(b)-n <= 3 && isLetter(a[0])
}

// trimFrame drops the words of the question and the function words around an
// answer. Behind a copula only the front is trimmed: "New York State" keeps its
// state although the question asks in which state.
func (r *reader) trimFrame(fs []field, frontOnly bool) []field {
	lo, hi := 0, len(fs)
	content := false
	for lo < hi && (r.asks(fs[lo].word) || functionWord(fs[lo].word) && (content || !isArticle(fs[lo].word)) || participle(fs[lo].word) && lo+1 < hi && preposition(fs[lo+1].word)) {
		content = content || !functionWord(fs[lo].word)
		lo++
	}
	if frontOnly && lo < hi {
		if lo > 0 && isArticle(fs[lo-1].word) {
			lo--
		}
		if !r.counts() {
			return fs[lo:hi]
		}
	}
	if lo == hi {
		return fs
	}
	if lo > 0 && !content {
		lo = 0
	}
	end, echoed := hi, false
	for end > lo && (r.asks(fs[end-1].word) || functionWord(fs[end-1].word) || participle(fs[end-1].word) && echoed) {
		echoed = echoed || r.asks(fs[end-1].word)
		end--
	}
	if end == lo || !echoed || frontOnly && !r.counts() {
		return fs[lo:hi]
	}
	return fs[lo:end]
}

// counts reports whether the question asks how many or how much.
func (r *reader) counts() bool {
	for i, w := range r.question() {
		if w == "how" && i+1 < len(r.asked) && (r.asked[i+1] == "many" || r.asked[i+1] == "much") {
			return true
		}
	}
	return false
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
