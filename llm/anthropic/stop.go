package anthropic

import (
	"slices"
	"strings"

	"gnothi/llm"
)

// splitStops tells the stop strings that the API takes from those of blanks
// alone, which it refuses.
func splitStops(stops []string) (taken, blank []string) {
	for _, s := range stops {
		if strings.TrimSpace(s) != "" {
			taken = append(taken, s)
		} else if s != "" {
			blank = append(blank, s)
		}
	}
	return taken, blank
}

// cutter ends a text that comes in pieces before the first stop string in it.
type cutter struct {
	stops []string
	held  string // what may be the beginning of a stop string
	found bool
}

// add takes a piece and gives what is certain to stand before any stop string.
func (c *cutter) add(piece string) (certain string, found bool) {
	if len(c.stops) == 0 {
		return piece, false
	}
	text := c.held + piece
	at := len(text)
	for _, s := range c.stops {
		if i := strings.Index(text, s); i >= 0 {
			at, c.found = min(at, i), true
		}
	}
	if c.found {
		c.held = ""
		return text[:at], true
	}
	begins := func(from int) bool {
		return slices.ContainsFunc(c.stops, func(s string) bool { return strings.HasPrefix(s, text[from:]) })
	}
	for at = 0; at < len(text) && !begins(at); at++ {
	}
	c.held = text[at:]
	return text[:at], false
}

// cut shortens a choice that goes on after a stop string.
func cut(c *llm.Choice, text string) {
	c.Text, c.Finish = text, "stop"
	c.Raw = encodeChoice(*c, nil)
}
