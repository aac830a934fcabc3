package text_test

import (
	"strings"
	"testing"

	"gnothi/text"
)

var planets = []text.Option{{Letter: "A", Text: "Mars"}, {Letter: "B", Text: "Venus"}, {Letter: "C", Text: "New York"}, {Letter: "D", Text: "York"}}

func TestPaperRedaction(t *testing.T) {
	t.Run("self-reflection-agents", func(t *testing.T) {
		const r = text.Redacted
		for in, want := range map[string]string{
			`Answer("C")`:                         `Answer("` + r + `")`,
			"C.":                                  r + ".",
			"Cat":                                 "Cat",
			"Choose C, not A.":                    "Choose " + r + ", not " + r + ".",
			"A cat sat. A dog too.":               "A cat sat. A dog too.",
			"So A":                                "So " + r,
			"vitamin C helps":                     "vitamin " + r + " helps",
			"ABC is no letter, nor is C3":         "ABC is no letter, nor is C3",
			"I'd say option D: it's B's fault":    "I'd say option " + r + ": it's " + r + "'s fault",
			"It is MARS; the Martians love Mars.": "It is " + r + "; the Martians love " + r + ".",
			"new  york and york's towers":         r + " and " + r + " towers",
			"Yorkshire and Newyork stay":          "Yorkshire and Newyork stay",
			"":                                    "",
		} {
			if got := text.RedactChoices(in, planets); got != want {
				t.Errorf("%q is redacted as %q, want %q", in, got, want)
			}
		}
	})
	// The right answer only: the second mode.
	if got := text.Redact("Venus or Mars? Mars's moons.", "Mars"); got != "Venus or "+text.Redacted+"? "+text.Redacted+" moons." {
		t.Errorf("got %q", got)
	}
	if got := text.Redact("Zürich, Zürichs, Unzürich", "zürich"); got != text.Redacted+", "+text.Redacted+", Unzürich" {
		t.Errorf("got %q", got)
	}
	if got := text.Redact("a.b a+b", "a+b", " "); got != "a.b "+text.Redacted {
		t.Errorf("got %q", got)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("The answer is Mars, not C.", "Mars")
	f.Add("über Über", "über")
	f.Add("a\xffb", "\xff")
	f.Fuzz(func(t *testing.T, s, hide string) {
		out := text.Redact(s, hide)
		// Its own words can only be left inside of others.
		words := strings.Fields(strings.ToLower(hide))
		if len(words) != 1 || strings.Contains(strings.ToLower(text.Redacted), words[0]) {
			return
		}
		for _, field := range strings.Fields(strings.ToLower(out)) {
			if field == words[0] && isASCII(field) && isASCII(out) {
				t.Errorf("%q still stands in %q", hide, out)
			}
		}
		text.RedactChoices(s, []text.Option{{Letter: "A", Text: hide}})
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}
