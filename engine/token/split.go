package token

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// class is what the pre-tokenizer's pattern distinguishes.
type class uint8

const (
	other  class = iota // everything else, bytes that are not UTF-8 among it
	letter              // \p{L}
	number              // \p{N}
	space               // \s
	end                 // after the text
)

// classify returns the class of the first character of s and its length.
func classify(s string) (class, int) {
	if len(s) == 0 {
		return end, 0
	}
	if c := s[0]; c < utf8.RuneSelf {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			return letter, 1
		case '0' <= c && c <= '9':
			return number, 1
		case c == ' ' || '\t' <= c && c <= '\r':
			return space, 1
		}
		return other, 1
	}
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case unicode.IsLetter(r):
		return letter, n
	case unicode.IsNumber(r):
		return number, n
	case unicode.IsSpace(r):
		return space, n
	}
	return other, n
}

// splitter is a pre-tokenizer. Its name in a file says more than how words are cut.
type splitter struct {
	names []string
	next  func(string) int // the length of the first word of a text that is not empty
	whole bool             // words that are tokens are taken as they are
	bos   bool             // texts begin with BOS unless the file says otherwise
}

var splitters = []splitter{
	{names: []string{"smollm"}, next: func(s string) int { return gpt2Word(s, 1) }},
	{names: []string{"gpt-2"}, next: func(s string) int { return gpt2Word(s, 0) }},
	{names: []string{"llama-bpe", "llama3", "llama-v3"}, next: func(s string) int { return lineWord(s, 3) }, whole: true, bos: true},
	{names: []string{"qwen2"}, next: func(s string) int { return lineWord(s, 1) }},
}

// lineWord returns the length of the first word of s, which is not empty, as Llama 3 (at most three digits) and Qwen 2
// (one) cut texts:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func lineWord(s string, digits int) int {
	if n := contraction(s, true); n > 0 {
		return n
	}
	c, n := classify(s)
	newline := s[0] == '\r' || s[0] == '\n'
	next, k := classify(s[n:])
	switch {
	case c == letter:
		return run(s, letter)
	case c == number:
		at := n
		for d := 1; d < digits && next == number; d++ {
			at += k
			next, k = classify(s[at:])
		}
		return at
	case next == letter && !newline:
		return n + run(s[n:], letter)
	case c == other, s[0] == ' ' && next == other:
		at := 0
		if c == space {
			at = n
		}
		at += run(s[at:], other)
		for at < len(s) && (s[at] == '\r' || s[at] == '\n') {
			at++
		}
		return at
	}
	at := run(s, space)
	if last := strings.LastIndexAny(s[:at], "\r\n"); last >= 0 {
		return last + 1
	}
	if at < len(s) && at > n {
		_, last := utf8.DecodeLastRuneInString(s[:at])
		at -= last
	}
	return at
}

// run is the length of the characters of one class that s starts with.
func run(s string, of class) int {
	at := 0
	for {
		c, n := classify(s[at:])
		if c != of {
			return at
		}
		at += n
	}
}

// gpt2Word returns the length of the first word of s, which is not empty. Words do not merge with each other. The rule
// with digits 1 is SmolLM's: every digit is a word, and what lies between digits is split by GPT-2's pattern
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// where the text ends at a digit: so white space before a digit stays whole, while before anything else it gives up
// its last character, which a following word takes if it is a blank. With digits 0 the pattern is applied to all.
func gpt2Word(s string, digits int) int {
	if n := contraction(s, false); n > 0 {
		return n
	}
	c, n := classify(s)
	if c == number && digits > 0 {
		return n
	}
	run := c
	if s[0] == ' ' {
		if after, k := classify(s[1:]); after == letter || after == other || after == number && digits == 0 {
			run, n = after, 1+k
		}
	}
	last, at := n, n // length of the last character, end of the run
	for {
		c, n = classify(s[at:])
		if c != run {
			break
		}
		last, at = n, at+n
	}
	if run == space && last < at && c != end && (c != number || digits == 0) {
		at -= last
	}
	return at
}

// contraction returns the length of an English ending that starts s, apostrophe and all, or 0; with fold also in capitals.
func contraction(s string, fold bool) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	c := [2]byte{s[1], ' '}
	if len(s) > 2 {
		c[1] = s[2]
	}
	if fold {
		c[0], c[1] = c[0]|0x20, c[1]|0x20 // what is no letter becomes none of those below
	}
	switch c[0] {
	case 's', 't', 'm', 'd':
		return 2
	}
	switch string(c[:]) {
	case "re", "ve", "ll":
		return 3
	}
	return 0
}
