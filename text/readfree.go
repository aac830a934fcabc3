package text

import (
	"strings"
	"unicode/utf8"
)

// freeIn reads the free answer of a declared place: its first sentence without
// decoration and explanation.
func (r *reader) freeIn(p Span, rule Rule) (Answer, bool) {
	p = r.unwrapTeX(Trim(r.src, p))
	p.End = p.Start + firstSentence(p.In(r.src))
	p = r.bare(p)
	if q, ok := r.wanted(p); ok {
		return r.freeAnswer(q, rule), true
	}
	p = r.shorten(p)
	if fs := r.fields(p); len(fs) > 1 {
		p = r.join(dropLead(fs))
	}
	if p.Len() == 0 || r.copied(p.In(r.src)) {
		return Answer{}, false
	}
	return r.freeAnswer(p, rule), true
}

func (r *reader) freeAnswer(p Span, rule Rule) Answer {
	return Answer{Kind: Free, Text: p.In(r.src), Status: Parsed, Rule: rule, Span: p}
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
		return r.freeAnswer(p, rule), p.Len() > 0
	}
	if b, ok := r.boldIn(p); ok {
		return found(b, RuleBold)
	}
	if r.wants() == wantResult {
		if q, ok := r.result(); ok {
			return found(q, RuleLast)
		}
	}
	if q, ok := r.wanted(bare); ok {
		return found(q, RuleSentence)
	}
	if r.denial(bare) { // keeps its words: "There is no such film"
		return found(bare, RuleSentence)
	}
	bare = r.leadIn(bare)
	short := r.shorten(r.behindLeadIn(bare))
	if r.negates(short) {
		return found(bare, RuleSentence)
	}
	return found(r.quoted(r.shorten(r.unframe(short))), RuleSentence)
}

// quoted narrows "X" by Y, "X" in German to what is in the quotes.
func (r *reader) quoted(p Span) Span {
	open, _ := utf8.DecodeLastRuneInString(r.src[:p.Start])
	end := strings.IndexAny(p.In(r.src), `"”`)
	if open != '"' && open != '“' || end <= 0 {
		return p
	}
	_, w := utf8.DecodeRuneInString(p.In(r.src)[end:])
	rest := strings.TrimLeft(p.In(r.low)[end+w:], " ")
	if next, _ := wordAt(rest, 0); !preposition(next) {
		return p
	}
	return r.bare(Span{p.Start, p.Start + end})
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
		", which ", ", who ", ", whose ", ", where ", ", when ", ", because ", " because ", ", since ", ", as ", ", and it ", ", and he ", ", and she ", ", and was ", ", and is ", ", but ", ", so ", ", located ", ", based ", ", known ", ", also known ", ", released ", ", directed ", ", written ", ", born ", ", standing ", ", specifically ", ", bordering ", ", as indicated ", ", meaning ", " as its ", " as their ", ", although ", ", though ", ", not ",
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

// asideAtEnd reports whether nothing follows the bracket that s opens with.
func asideAtEnd(s string) bool {
	i := strings.IndexByte(s, ')')
	return i < 0 || i == len(s)-1
}
