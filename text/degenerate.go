package text

import (
	"hash/maphash"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Repetition limits, chosen: ordinary prose stays below .2, loops exceed .8.
const (
	repetitionGram  = 4
	repetitionLimit = .5
	repetitionMin   = 8 // words; a shorter reply may repeat itself honestly
)

// Repetition is the share, in [0,1], of the word 4-grams of s that occurred
// before in s (seq-rep-4, Welleck et al. 2020). Text without spaces is taken by
// characters. It is 0 for texts of fewer than four words.
func Repetition(s string) float64 {
	grams := 0
	seen := make(map[uint64]struct{})
	seed := maphash.MakeSeed()
	var ring [repetitionGram]uint64
	n := 0
	each(s, func(unit string) {
		ring[n%repetitionGram] = maphash.String(seed, unit)
		if n++; n < repetitionGram {
			return
		}
		h := uint64(14695981039346656037)
		for i := range repetitionGram {
			h = (h ^ ring[(n+i)%repetitionGram]) * 1099511628211
			h ^= h >> 29
		}
		grams++
		seen[h] = struct{}{}
	})
	if grams == 0 {
		return 0
	}
	return 1 - float64(len(seen))/float64(grams)
}

// each calls f for every word, or for every character of a text that has next
// to no spaces.
func each(s string, f func(string)) {
	words := 0
	for range strings.FieldsSeq(s) {
		words++
	}
	if runes := utf8.RuneCountInString(s); runes > 24*max(words, 1) {
		for len(s) > 0 {
			r, w := utf8.DecodeRuneInString(s)
			if !unicode.IsSpace(r) {
				f(s[:w])
			}
			s = s[w:]
		}
		return
	}
	for w := range strings.FieldsSeq(s) {
		f(w)
	}
}

// Degenerate reports whether a reply is no attempt at an answer, and why:
// "empty", "repetition", or "copied prompt" if it says nothing that is not in
// the prompt. Such replies neither vote nor win on likelihood. Truncation is
// not seen in the text: ask the finish reason.
func Degenerate(reply, prompt string) (reason string, bad bool) {
	body := strings.TrimSpace(reply)
	if !strings.ContainsFunc(body, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsSymbol(r) }) {
		return "empty", true
	}
	words := 0
	for range strings.FieldsSeq(body) {
		words++
	}
	if (words >= repetitionMin || len(body) >= 80) && Repetition(body) > repetitionLimit {
		return "repetition", true
	}
	if len(prompt) > 0 && words >= 4 && strings.Contains(squeezed(prompt), squeezed(body)) {
		return "copied prompt", true
	}
	return "", false
}

// squeezed is s in lower case with single spaces.
func squeezed(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }
