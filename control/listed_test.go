package control

import (
	"slices"
	"strings"
	"testing"
)

func TestListed(t *testing.T) {
	for in, want := range map[string][]string{
		"1. one\n2) two\n- three":              {"one", "two", "three"},
		"Sure, here:\n1. one\n   and more\n\n": {"one and more"},
		"one\n\n two ":                         {"one", "two"},
		"(1) one\n* two\n10: ten\nx":           {"one", "two", "ten x"},
		"":                                     nil,
		"3.5 is no number of a list":           {"3.5 is no number of a list"},
	} {
		if got := listed(in, 9); !slices.Equal(got, want) {
			t.Errorf("%q lists %q, want %q", in, got, want)
		}
	}
	if got := listed("1. a\n2. b\n3. c", 2); len(got) != 2 {
		t.Errorf("two of three are %q", got)
	}
}

func FuzzListed(f *testing.F) {
	f.Add("1. one\n2) two\n- three\nmore", 2)
	f.Add("\x1b[1m1. one\n\n", 0)
	f.Fuzz(func(t *testing.T, reply string, n int) {
		n = max(0, min(n, 100))
		items := listed(reply, n)
		if len(items) > n {
			t.Errorf("%d items of %d", len(items), n)
		}
		for _, it := range items {
			if it == "" || strings.ContainsAny(it, "\n\x1b") {
				t.Errorf("item %q", it)
			}
		}
		RecognisedPatterns(reply)
		yes(reply)
		sentenceEnds(reply)
	})
}
