package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Sanitise makes text from a model safe to show in a terminal or a log: it
// removes escape sequences (CSI, OSC, DCS and the like, in their 7-bit and 8-bit
// forms), control characters, the bidirectional overrides and isolates that can
// make text read differently from what it is, invisible tags and byte-order
// marks. Newlines and tabs stay; a carriage return becomes a newline, for alone
// it would let later text overwrite earlier. Invalid UTF-8 becomes U+FFFD.
//
// An escape sequence that does not end is cut at the end of its line.
func Sanitise(s string) string { return sanitise(s, true) }

// SanitiseLine is Sanitise for one line: newlines and tabs become spaces.
func SanitiseLine(s string) string { return sanitise(s, false) }

func sanitise(s string, lines bool) string {
	if clean(s, lines) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		r, w := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && w <= 1:
			b.WriteRune(utf8.RuneError)
			i++
		case r == 0x1b || r >= 0x80 && r <= 0x9f:
			i += sequence(s[i:], r, w)
		case r == '\n', r == '\t':
			if lines {
				b.WriteByte(byte(r))
			} else {
				b.WriteByte(' ')
			}
			i++
		case r == '\r':
			if i+1 == len(s) || s[i+1] != '\n' {
				if lines {
					b.WriteByte('\n')
				} else {
					b.WriteByte(' ')
				}
			}
			i++
		case r == 0x2028 || r == 0x2029: // line and paragraph separator
			b.WriteByte(' ')
			i += w
		case hidden(r):
			i += w
		default:
			b.WriteString(s[i : i+w])
			i += w
		}
	}
	return b.String()
}

// clean reports that nothing has to be done, which is the usual case.
func clean(s string, lines bool) bool {
	for _, r := range s { // invalid UTF-8 shows as RuneError
		if r >= ' ' && r < 0x7f || lines && (r == '\n' || r == '\t') {
			continue
		}
		if r < 0xa0 || r == utf8.RuneError || r == 0x2028 || r == 0x2029 || hidden(r) {
			return false
		}
	}
	return true
}

// hidden: control characters, and characters that only steer how others look.
// Joiners (U+200C, U+200D) stay: Persian and emoji need them.
func hidden(r rune) bool {
	switch {
	case r < ' ', r == 0x7f:
		return true
	case r == 0xad, r == 0x61c, r == 0x180e, r == 0x200b, r == 0x200e, r == 0x200f, r == 0xfeff:
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r >= 0xfff9 && r <= 0xfffb, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return false
}

// sequence returns the length of the escape sequence that s begins with; r is
// its first rune, of w bytes.
func sequence(s string, r rune, w int) int {
	i := w
	if r == 0x1b {
		if i == len(s) {
			return i
		}
		switch s[i] {
		case '[':
			r = 0x9b
		case ']':
			r = 0x9d
		case 'P':
			r = 0x90
		case 'X':
			r = 0x98
		case '^':
			r = 0x9e
		case '_':
			r = 0x9f
		default:
			// Intermediates and one final byte, ESC ( B. Anything else, such as
			// the first byte of a letter or another ESC, is not ours.
			for i < len(s) && s[i] >= 0x20 && s[i] <= 0x2f {
				i++
			}
			if i < len(s) && s[i] >= 0x30 && s[i] <= 0x7e {
				i++
			}
			return i
		}
		i++
	}
	switch r {
	case 0x9b: // CSI: parameters, intermediates, one final byte
		for i < len(s) && s[i] >= 0x20 && s[i] <= 0x3f {
			i++
		}
		if i < len(s) && s[i] >= 0x40 && s[i] <= 0x7e {
			i++
		}
	case 0x90, 0x98, 0x9d, 0x9e, 0x9f: // a string up to ST, for OSC also BEL
		for i < len(s) && s[i] != '\n' {
			switch {
			case s[i] == 0x07:
				return i + 1
			case s[i] == 0x1b:
				if i+1 < len(s) && s[i+1] == '\\' {
					return i + 2
				}
				return i
			case strings.HasPrefix(s[i:], "\u009c"):
				return i + len("\u009c")
			}
			i++
		}
	}
	return i
}

// Clip shortens s to at most width terminal columns, the last being "…" if
// anything was cut. Wide East Asian characters and emoji count two columns,
// combining marks none; a character keeps its marks. Use it on sanitised text.
func Clip(s string, columns int) string {
	if columns <= 0 {
		return ""
	}
	used, cut := 0, 0
	joined := false
	for i, r := range s {
		n := runeColumns(r)
		if joined {
			n = 0 // behind a joiner, part of the same emoji
		}
		joined = r == 0x200d
		if used+n > columns {
			return s[:cut] + "…"
		}
		if used += n; used < columns {
			cut = i + utf8.RuneLen(max(r, 0))
			if r == utf8.RuneError {
				cut = i + 1
				if strings.HasPrefix(s[i:], "\ufffd") {
					cut = i + 3
				}
			}
		}
	}
	return s
}

func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1f300 && r <= 0x1faff:
		return 2
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
