package text_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gnothi/text"
)

// pieces shows a text as its pieces: kind and bare text.
func pieces(s string) []string {
	var out []string
	for _, p := range text.Pieces(s) {
		out = append(out, p.Kind.String()+" "+p.Span.In(s))
	}
	return out
}

func TestPieces(t *testing.T) {
	for in, want := range map[string][]string{
		"Dr. J. R. Smith paid 3.14 dollars. Was it much?":              {"statement Dr. J. R. Smith paid 3.14 dollars.", "question Was it much?"},
		"# Life\nHe was born in 1901.\n\nWorks:\n- Emma\n- Persuasion": {"heading # Life", "statement He was born in 1901.", "heading Works:", "statement Emma", "statement Persuasion"},
		"1. **History:**\n2) It began in 1066.":                        {"heading **History:**", "statement It began in 1066."},
		"I hope this helps! Let me know if you need more.":             {"hedge I hope this helps!", "hedge Let me know if you need more."},
		"I'm not sure. I'm not sure, but it was built in 1889.":        {"hedge I'm not sure.", "statement I'm not sure, but it was built in 1889."},
		"As an AI language model, I cannot know that. Rome is old.":    {"hedge As an AI language model, I cannot know that.", "statement Rome is old."},
		"Sure! Here is the list:\n* Mars is red.":                      {"hedge Sure!", "heading Here is the list:", "statement Mars is red."},
		"Use it so:\n```go\nx := 1. // A. B\n```\nIt prints 1.":        {"heading Use it so:", "code ```go\nx := 1. // A. B\n```", "statement It prints 1."},
		"---\n\n| a | b |\n|---|---|\n| Rome | 753 |":                  {"mark ---", "statement | a | b |", "mark |---|---|", "statement | Rome | 753 |"},
		"> He said it.\n\nNo.":                                         {"statement He said it.", "hedge No."},
		"No. 5 is alive.":                                              {"statement No. 5 is alive."},
		"这是第一句。第二句？":                                                   {"statement 这是第一句。", "question 第二句？"},
		"Ich weiß es nicht. Berlin ist groß.":                          {"hedge Ich weiß es nicht.", "statement Berlin ist groß."},
		"I believe Paris is the capital of France.":                    {"statement I believe Paris is the capital of France."},
		"The answer is Paris. No one knows why.":                       {"statement The answer is Paris.", "statement No one knows why."},
		"":                                                             nil,
		" \n\t":                                                        {"mark "},
	} {
		if got := pieces(in); !slices.Equal(got, want) {
			t.Errorf("%q:\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestClaimsLimit(t *testing.T) {
	s := strings.Repeat("It rained on day 7. ", 10_000)
	all, left := text.Claims(s, 0)
	if len(all) != 10_000 || left != 0 {
		t.Fatalf("%d claims and %d left", len(all), left)
	}
	some, left := text.Claims(s, 30)
	if len(some) != 30 || left != 9_970 || !slices.Equal(some, all[:30]) {
		t.Errorf("%d claims and %d left", len(some), left)
	}
}

// A text that no full stop ends is cut, between words where it can be.
func TestClaimsAreBounded(t *testing.T) {
	for _, s := range []string{strings.Repeat("word ", 5000), strings.Repeat("x", 5000), strings.Repeat("語", 5000), strings.Repeat("a b; ", 4000)} {
		claims, _ := text.Claims(s, 0)
		var joined strings.Builder
		for _, c := range claims {
			if len(c.Text) > 1000 || !utf8.ValidString(c.Text) {
				t.Errorf("a claim of %d bytes", len(c.Text))
			}
			joined.WriteString(c.Text)
		}
		if strip(joined.String()) != strip(s) {
			t.Errorf("%.10q: something was lost", s)
		}
	}
}

func strip(s string) string { return strings.Join(strings.Fields(s), "") }

func TestParticulars(t *testing.T) {
	for in, want := range map[string][]string{
		"He was born on March 4, 1921, in New York City.":    {"1921-03-04", "new york city"},
		"On the 4th of March 1921 it cost $1,250.50.":        {"1921-03-04", "2501/2"},
		"John R. Reynolds (1820–1876) wrote The Law.":        {"1820", "1876", "john r. reynolds", "law"},
		"However, It was called to the bar in 1845.":         {"1845"},
		"H2O boils at -5 °C, or 3 million of them. 007":      {"-5", "3000000", "7", "h2o"},
		"Queen's Counsel since 1859-01-02; half in Łódź now": {"1859-01-02", "queen", "counsel", "lodz"},
		"": nil,
	} {
		var got []string
		for _, p := range text.Particulars(in) {
			got = append(got, p.Key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzClaims(f *testing.F) {
	for _, s := range []string{"One. Two? # H\n- x: y\n```\nc", "1. **A:**\n> q\n\n| a |\n", "a.\xff b.\x1b[31m", "Born 4 March 1921 – 1,2,3e9 H2O A. B. C.", strings.Repeat("(", 2000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at := 0
		for _, p := range text.Pieces(s) {
			if p.Whole.Start != at || p.Whole.End <= at || p.Span.Start < p.Whole.Start || p.Span.End > p.Whole.End || p.Span.Start > p.Span.End {
				t.Fatalf("%q: piece %+v after %d", s, p, at)
			}
			at = p.Whole.End
			if p.Kind == text.Statement && strings.TrimSpace(p.Span.In(s)) == "" {
				t.Fatalf("%q: an empty statement", s)
			}
		}
		if at != len(s) {
			t.Fatalf("%q: pieces end at %d of %d", s, at, len(s))
		}
		for _, p := range text.Particulars(s) {
			if p.Key == "" || p.Span.Start >= p.Span.End || p.Span.End > len(s) {
				t.Fatalf("%q: particular %+v", s, p)
			}
		}
	})
}

// The bound is 10 MB/s, for prose and for what is built to be slow.
func BenchmarkClaims(b *testing.B) {
	prose := strings.Repeat("Dr. Smith was born in Ashford on May 4, 1921, the son of a barrister. He wrote 3.5 books, didn't he? I hope this helps.\n\n- It ended in 1990.\n", 8000)
	for name, s := range map[string]string{
		"prose": prose, "no-end": strings.Repeat("word ", 200_000), "stops": strings.Repeat(". ", 500_000), "initials": strings.Repeat("A. ", 300_000), "openers": strings.Repeat("- ", 500_000),
		"fences": strings.Repeat("```\n", 250_000), "closers": strings.Repeat(".)))", 250_000), "blank": strings.Repeat(" \n", 500_000), "asks": strings.Repeat("I don't know? \"", 70_000), "numbers": strings.Repeat("1. 2) ", 170_000),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				text.Claims(s, 0)
			}
		})
	}
	b.Run("particulars", func(b *testing.B) {
		b.SetBytes(int64(len(prose)))
		for b.Loop() {
			text.Particulars(prose)
		}
	})
}

// Doubling the text must not quadruple the time: counted in work, not seconds,
// by the size of texts that a quadratic splitter would never finish.
func TestClaimsSurviveHostileText(t *testing.T) {
	for _, unit := range []string{". ", "A. ", "- ", "```\n", ".)))", " \n", "1. ", "? \"", "\n#", "**", "(\"", "e.g. ", "3.", "\t\n", "~~~", "> ", "| ", "No. "} {
		s := strings.Repeat(unit, 3<<20/len(unit))
		text.Claims(s, 10)
	}
	text.Claims(string(bytes.Repeat([]byte{0xff}, 3<<20)), 10)
}
