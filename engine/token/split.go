package token

import (
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

// nextWord returns the length of the first word of s, which is not empty. Words do not merge with each other. The rule
// is SmolLM's: every digit is a word, and what lies between digits is split by GPT-2's pattern
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// where the text ends at a digit: so white space before a digit stays whole, while before anything else it gives up
// its last character, which a following word takes if it is a blank.
func nextWord(s string) int {
	if n := contraction(s); n > 0 {
		return n
	}
	c, n := classify(s)
	if c == number {
		return n
	}
	run := c
	if s[0] == ' ' {
		if after, k := classify(s[1:]); after == letter || after == other {
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
	if run == space && last < at && c != number && c != end {
		at -= last
	}
	return at
}

// contraction returns the length of an English ending that starts s, apostrophe and all, or 0.
func contraction(s string) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	switch s[1] {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(s) > 2 {
		switch s[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}
