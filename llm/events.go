package llm

import "strings"

// Events gives a choice as a stream would have brought it: an event for each
// token where the tokens make up the text, else one for the text; the last
// carries the finish reason.
func (c Choice) Events() []Event {
	var whole strings.Builder
	for _, t := range c.Tokens {
		whole.WriteString(t.Text)
	}
	var events []Event
	if len(c.Tokens) > 0 && whole.String() == c.Text {
		for _, t := range c.Tokens {
			events = append(events, Event{Index: c.Index, Text: t.Text, Tokens: []Token{t}})
		}
	} else if c.Text != "" || c.Tokens != nil {
		events = append(events, Event{Index: c.Index, Text: c.Text, Tokens: c.Tokens})
	}
	return append(events, Event{Index: c.Index, Finish: c.Finish})
}

// replay gives a choice's events to whoever streams.
func replay(stream func(Event) error, c Choice) error {
	if stream == nil {
		return nil
	}
	for _, e := range c.Events() {
		if err := stream(e); err != nil {
			return err
		}
	}
	return nil
}
