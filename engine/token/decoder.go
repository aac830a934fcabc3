package token

import (
	"strings"
	"unicode/utf8"
)

// Decoder turns a stream of tokens into text as it comes. A character may be spread over several tokens: its first
// bytes are held back until the rest is there, so everything that it returns is valid UTF-8. Bytes that cannot become a
// character are returned as U+FFFD each. Control tokens give no text.
type Decoder struct {
	tok  *Tokenizer
	held []byte // fewer than utf8.UTFMax bytes between calls
}

// NewDecoder returns a decoder at the beginning of a text.
func NewDecoder(t *Tokenizer) *Decoder { return &Decoder{tok: t} }

// Next takes the next token and returns the text that is complete with it, often all of its piece, sometimes nothing.
func (d *Decoder) Next(id int32) string {
	if d.tok.IsControl(id) {
		return ""
	}
	d.held = append(d.held, d.tok.Piece(id)...)
	n := len(d.held)
	for i := max(0, n-utf8.UTFMax+1); i < n; i++ {
		if utf8.RuneStart(d.held[i]) && !utf8.FullRune(d.held[i:]) {
			n = i
			break
		}
	}
	return d.take(n)
}

// Flush returns what is still held back, as U+FFFD, and starts a new text.
func (d *Decoder) Flush() string { return d.take(len(d.held)) }

// take returns the first n bytes held.
func (d *Decoder) take(n int) string {
	var b strings.Builder
	for _, r := range string(d.held[:n]) { // ranging gives U+FFFD for each bad byte
		b.WriteRune(r)
	}
	d.held = append(d.held[:0], d.held[n:]...)
	return b.String()
}
