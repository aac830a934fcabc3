package text

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Redacted is what stands in place of what was struck out.
const Redacted = "[REDACTED]"

// Redact strikes every mention of the given texts out of s, on word boundaries,
// whatever their case, with a plural or possessive ending; longer texts first,
// so that "New York City" goes whole. It is how a reflection that knows the
// right answer is shown without it (self-reflection-agents, Renze and Guven
// 2024).
func Redact(s string, hide ...string) string {
	var parts []string
	for _, h := range hide {
		if h = strings.TrimSpace(strings.ToValidUTF8(h, "\uFFFD")); h != "" {
			parts = append(parts, h)
		}
	}
	if len(parts) == 0 {
		return s
	}
	longestFirst(parts)
	for i, p := range parts {
		first, _ := utf8.DecodeRuneInString(p)
		last, _ := utf8.DecodeLastRuneInString(p)
		q := strings.Join(quoted(strings.Fields(p)), `\s+`)
		if wordRune(last) {
			q += `(?:['’]s|e?s)?`
		}
		parts[i] = edge(first) + q + edge(last)
	}
	return replaceWhole(s, regexp.MustCompile(`(?i)(?:`+strings.Join(parts, "|")+`)`))
}

// RedactChoices strikes the letters and texts of options out of a reflection. A
// letter goes where it stands as one: in capitals, by itself, and followed by a
// blank, quote, bracket or mark (the paper's rule), except for "A" and "I" at
// the start of a sentence or before a word in lower case, where they are words;
// the paper's plain replacement eats those.
func RedactChoices(s string, options []Option) string {
	var texts []string
	letters := ""
	for _, o := range options {
		texts = append(texts, o.Text)
		if len(o.Letter) == 1 && o.Letter[0] >= 'A' && o.Letter[0] <= 'Z' {
			letters += o.Letter
		}
	}
	s = Redact(s, texts...)
	if letters == "" {
		return s
	}
	letter := regexp.MustCompile(`[` + letters + `](?:[\s"'’.,:;)\]]|$)`)
	var b strings.Builder
	last := 0
	for _, m := range letter.FindAllStringIndex(s, -1) {
		before, _ := utf8.DecodeLastRuneInString(s[:m[0]])
		if m[0] > 0 && (wordRune(before) || before == '\'' || before == '’') || wordAOrI(s, m[0]) {
			continue
		}
		b.WriteString(s[last:m[0]] + Redacted)
		last = m[0] + 1
	}
	return b.String() + s[last:]
}

// wordAOrI reports whether the A or I at i is a word of the sentence.
func wordAOrI(s string, i int) bool {
	if s[i] != 'A' && s[i] != 'I' {
		return false
	}
	rest, blank := strings.CutPrefix(s[i+1:], " ")
	next, _ := utf8.DecodeRuneInString(rest)
	return blank && unicode.IsLower(next)
}

// replaceWhole replaces the matches that neither begin nor end within a word.
func replaceWhole(s string, re *regexp.Regexp) string {
	var b strings.Builder
	last := 0
	for _, m := range re.FindAllStringIndex(s, -1) {
		before, _ := utf8.DecodeLastRuneInString(s[:m[0]])
		after, _ := utf8.DecodeRuneInString(s[m[1]:])
		first, _ := utf8.DecodeRuneInString(s[m[0]:])
		end, _ := utf8.DecodeLastRuneInString(s[:m[1]])
		if wordRune(before) && wordRune(first) || wordRune(end) && wordRune(after) {
			continue
		}
		b.WriteString(s[last:m[0]] + Redacted)
		last = m[1]
	}
	return b.String() + s[last:]
}

// edge asks for a word boundary beside a rune of a word, as far as \b knows one:
// it sees only ASCII, and replaceWhole the rest.
func edge(r rune) string {
	if r < utf8.RuneSelf && wordRune(r) {
		return `\b`
	}
	return ""
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

func quoted(words []string) []string {
	for i, w := range words {
		words[i] = regexp.QuoteMeta(w)
	}
	return words
}

func longestFirst(parts []string) {
	for i := range parts {
		for j := i; j > 0 && len(parts[j]) > len(parts[j-1]); j-- {
			parts[j], parts[j-1] = parts[j-1], parts[j]
		}
	}
}
