package anthropic

import (
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

// cut shortens a choice that goes on after a stop string.
func cut(c *llm.Choice, text string) {
	c.Text, c.Finish = text, "stop"
	c.Raw = encodeChoice(*c, nil)
}
