package upstream

import (
	"slices"
	"strings"
)

// Cutter ends a text that comes in pieces before the first stop string in it.
type Cutter struct {
	Stops []string
	Held  string // what may be the beginning of a stop string
	Found bool
}

// Add takes a piece and gives what is certain to stand before any stop string.
func (c *Cutter) Add(piece string) (certain string, found bool) {
	if len(c.Stops) == 0 {
		return piece, false
	}
	text := c.Held + piece
	at := len(text)
	for _, s := range c.Stops {
		if i := strings.Index(text, s); i >= 0 {
			at, c.Found = min(at, i), true
		}
	}
	if c.Found {
		c.Held = ""
		return text[:at], true
	}
	begins := func(from int) bool {
		return slices.ContainsFunc(c.Stops, func(s string) bool { return strings.HasPrefix(s, text[from:]) })
	}
	for at = 0; at < len(text) && !begins(at); at++ {
	}
	c.Held = text[at:]
	return text[:at], false
}
