package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sentences splits a text into sentences and returns their spans in order. The
// spans are contiguous and cover the text: white space after a sentence belongs
// to it, so joining the parts gives the text back. Use [Trim] for the bare ones.
//
// Abbreviations, initials, decimals, web addresses and ellipses do not end a
// sentence. A list item, a heading and a paragraph do; a fenced block of code is
// one span. Works for scripts that end sentences with 。！？ or । as well.
func Sentences(s string) []Span {
	var spans []Span
	start := 0
	emit := func(end int) {
		if end > start {
			spans = append(spans, Span{start, end})
			start = end
		}
	}
	for i := 0; i < len(s); {
		if atLineStart(s, i) {
			if fence := fenceAt(s, i); fence != "" {
				emit(i)
				i = fenceEnd(s, i, fence)
				emit(i)
				continue
			}
			if opensBlock(s[i:]) && !isBlank(s[start:i]) {
				emit(i)
			}
		}
		r, w := utf8.DecodeRuneInString(s[i:])
		i += w
		switch r {
		case '。', '！', '？', '｡':
			i = closers(s, i)
			emit(spaces(s, i))
			i = start
		case '.', '!', '?', '…', '।', '؟':
			for i < len(s) && strings.IndexByte(".!?", s[i]) >= 0 {
				i++
			}
			end := closers(s, i)
			if end < len(s) && !isSpace(s[end]) {
				continue // 3.14, example.org, U.S.
			}
			if r == '.' || r == '…' {
				if !endsSentence(s, start, i, end) {
					continue
				}
			} else if c, _ := utf8.DecodeRuneInString(s[spaces(s, end):]); end > i && unicode.IsLower(c) {
				continue // a question quoted inside a sentence
			}
			emit(spaces(s, end))
			i = start
		case '\n':
			next := spaces(s, i)
			if isBlank(s[start:i]) {
				i = max(i, lineStart(s, next))
				continue
			}
			if paragraph := strings.IndexByte(s[i:next], '\n') >= 0; paragraph || heading(s[start:i]) || next == len(s) {
				emit(next)
				i = start
			}
		}
	}
	emit(len(s))
	if n := len(spans); n > 1 && isBlank(spans[n-1].In(s)) {
		spans[n-2].End = len(s)
		spans = spans[:n-1]
	}
	if len(spans) > 1 && isBlank(spans[0].In(s)) {
		spans[1].Start = 0
		spans = spans[1:]
	}
	return spans
}

// Trim narrows a span of s to leave out white space at its ends.
func Trim(s string, p Span) Span {
	t := p.In(s)
	p.Start += len(t) - len(strings.TrimLeftFunc(t, unicode.IsSpace))
	p.End = p.Start + len(strings.TrimSpace(t))
	return p
}

// endsSentence decides about a full stop at stop-1 that is followed by white
// space or the end; from is where the sentence began, end lies behind closing
// quotes and brackets.
func endsSentence(s string, from, stop, end int) bool {
	next := spaces(s, end)
	if next == len(s) {
		return true
	}
	r, _ := utf8.DecodeRuneInString(s[next:])
	if unicode.IsLower(r) {
		return false // also after an ellipsis or an abbreviation
	}
	if stop >= 2 && s[stop-2] == '.' || strings.HasSuffix(s[:stop], "…") {
		return true
	}
	word := s[from : stop-1]
	if i := strings.LastIndexFunc(word, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`("'“‘[*_`, r) }); i >= 0 {
		_, w := utf8.DecodeRuneInString(word[i:])
		word = word[i+w:]
	}
	if isInteger(word) && isBlank(s[from:stop-1-len(word)]) {
		return false // "1. " opens a list item
	}
	if n := utf8.RuneCountInString(word); n == 1 {
		c, _ := utf8.DecodeRuneInString(word)
		return !unicode.IsUpper(c) && c < 0x2E80 || c == 'I' || strings.HasSuffix(strings.TrimSpace(s[from:stop-2]), "itamin")
	}
	lw := strings.ToLower(word)
	if strings.Contains(word, ".") && len(word) <= 6 { // U.S., a.m., e.g.
		return lw != "e.g" && lw != "i.e" && startsSentence(s[next:])
	}
	switch lw {
	case "mr", "mrs", "ms", "dr", "prof", "st", "mt", "rev", "gen", "col", "sgt", "capt", "lt", "gov", "sen", "rep", "hon", "messrs", "mme", "mlle",
		"vs", "cf", "fig", "figs", "eq", "no", "nos", "vol", "pp", "ed", "eds", "approx", "ca", "viz", "bzw", "usw", "sra", "nr", "hr", "fr":
		return (lw == "no" && !unicode.IsDigit(r)) || lw == "usw"
	case "jr", "sr", "inc", "ltd", "co", "corp", "etc", "al", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec":
		return startsSentence(s[next:]) && !unicode.IsDigit(r)
	}
	return true
}

// startsSentence reports whether s begins with a word that rarely follows an
// abbreviation inside a sentence.
func startsSentence(s string) bool {
	w, _ := wordAt(s, 0)
	switch w {
	case "The", "He", "She", "It", "They", "We", "You", "I", "This", "That", "These", "Those", "In", "On", "At", "However", "But", "And", "So", "If", "When", "There", "His", "Her", "Its", "Their", "A", "An", "For", "As", "After", "What", "Who", "Why", "How":
		return true
	}
	return false
}

func closers(s string, i int) int {
	for i < len(s) {
		r, w := utf8.DecodeRuneInString(s[i:])
		if !strings.ContainsRune(`"')]}*_”’»」』）`, r) {
			break
		}
		i += w
	}
	return i
}

func spaces(s string, i int) int {
	for i < len(s) {
		r, w := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsSpace(r) {
			break
		}
		i += w
	}
	return i
}

func isSpace(c byte) bool   { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }
func isBlank(s string) bool { return strings.TrimSpace(s) == "" }

func atLineStart(s string, i int) bool { return i == 0 || s[i-1] == '\n' }

func lineStart(s string, i int) int { return strings.LastIndexByte(s[:i], '\n') + 1 }

// fenceAt returns the run of backticks or tildes that opens a block at i.
func fenceAt(s string, i int) string {
	line := strings.TrimLeft(s[i:min(len(s), i+64)], " ")
	for _, c := range [...]string{"```", "~~~"} {
		if strings.HasPrefix(line, c) {
			return line[:len(line)-len(strings.TrimLeft(line, c[:1]))]
		}
	}
	return ""
}

// fenceEnd returns the end of the block that opens at i: behind the line of the
// closing fence, or the end of the text.
func fenceEnd(s string, i int, fence string) int {
	for {
		nl := strings.IndexByte(s[i:], '\n')
		if nl < 0 {
			return len(s)
		}
		i += nl + 1
		if strings.HasPrefix(strings.TrimLeft(s[i:min(len(s), i+64)], " "), fence) {
			if nl = strings.IndexByte(s[i:], '\n'); nl < 0 {
				return len(s)
			}
			return spaces(s, i+nl+1)
		}
	}
}

// opensBlock reports whether a line opens a list item, heading, quote or table row.
func opensBlock(line string) bool {
	line = strings.TrimLeft(line, " \t")
	if line == "" {
		return false
	}
	switch line[0] {
	case '#', '>', '|':
		return true
	case '-', '*', '+':
		return len(line) > 1 && line[1] == ' '
	}
	if strings.HasPrefix(line, "• ") {
		return true
	}
	i := 0
	for i < len(line) && i < 3 && isDigit(line[i]) {
		i++
	}
	if i == 0 && len(line) > 1 && isLetter(line[0]) {
		return line[1] == ')' && len(line) > 2 && line[2] == ' '
	}
	return i > 0 && i+1 < len(line) && (line[i] == '.' || line[i] == ')') && line[i+1] == ' '
}

// heading reports whether a line is one of its own: a heading, a list item, or
// a label that ends with a colon.
func heading(s string) bool {
	s = strings.TrimSpace(s)
	if strings.HasSuffix(s, ":") || strings.HasSuffix(s, "**") && strings.HasPrefix(s, "**") {
		return true
	}
	return strings.HasPrefix(s, "#") || opensBlock(s)
}
