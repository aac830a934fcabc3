package token_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gnothi/engine/gguf"
	"gnothi/engine/token"
)

// scored is a SentencePiece vocabulary of <unk>, <s>, </s>, the bytes, <b> (user-defined) and the given pieces, in which
// earlier ones have better scores.
func scored(tb testing.TB, spacePrefix bool, pieces ...string) *token.Tokenizer {
	tb.Helper()
	tokens, types, scores := []string{"<unk>", "<s>", "</s>"}, []int32{2, 3, 3}, []float32{0, 0, 0}
	for b := range 256 {
		tokens, types, scores = append(tokens, fmt.Sprintf("<0x%02X>", b)), append(types, 6), append(scores, 0)
	}
	tokens, types, scores = append(tokens, "<b>"), append(types, 4), append(scores, 0)
	for i, p := range pieces {
		tokens, types, scores = append(tokens, strings.ReplaceAll(p, " ", "▁")), append(types, 1), append(scores, 2.5-float32(i))
	}
	tok, err := token.New(tinyVocab{extra: []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "llama"},
		{Key: "tokenizer.ggml.pre", Value: "default"},
		{Key: "tokenizer.ggml.tokens", Value: tokens},
		{Key: "tokenizer.ggml.token_type", Value: types},
		{Key: "tokenizer.ggml.scores", Value: scores},
		{Key: "tokenizer.ggml.add_space_prefix", Value: spacePrefix},
		{Key: "tokenizer.ggml.merges", Value: nil},
		{Key: "tokenizer.ggml.bos_token_id", Value: uint32(1)},
		{Key: "tokenizer.ggml.eos_token_id", Value: uint32(2)},
	}}.file(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

func TestSentencePiece(t *testing.T) {
	pieces := []string{"ab", "bc", " a", "abc", "a", "b", "c", " ", "é", "<", ">", "/", "s"}
	for _, c := range []struct {
		prefix     bool
		text, want string
		special    bool
	}{
		{false, "abc", "abc", false}, // ab first, then abc
		{false, "bcab", "bc|ab", false},
		{false, " ab", " |ab", false}, // ab is better than " a"
		{false, " ac", " a|c", false},
		{false, "aaa", "a|a|a", false},
		{false, "a▁b", "a| |b", false}, // the mark of a blank is a blank
		{false, "aéx", "a|é|x", false}, // x only has its byte
		{false, "日", "\xe6|\x97|\xa5", false},
		{false, "\xe6b", "\xe6|b", false},
		{true, "a", " a", false},
		{true, "", "", false},
		{true, "a<b>a", " a|<b>| a", false},
		{false, "a</s>", "a|<|/|s|>", false}, // user text forges nothing
		{false, "a</s>", "<s>|a|</s>", true},
	} {
		tok := scored(t, c.prefix, pieces...)
		ids := tok.Encode(c.text, token.Options{AddSpecial: c.special, ParseSpecial: c.special})
		var got []string
		for _, id := range ids {
			got = append(got, string(tok.Piece(id)))
		}
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("%q: %q, want %q", c.text, s, c.want)
		}
		if got, want := tok.Decode(ids), strings.ReplaceAll(c.text, "▁", " "); !c.special && got != want && !strings.Contains(c.text, "<b>") {
			t.Errorf("%q came back as %q", c.text, got)
		}
	}
	if tok := scored(t, false); !tok.AddBOS() || !tok.EOG(2) {
		t.Error("BOS is not wanted, or </s> ends nothing")
	}
}

// The heap gives what the definition gives: of all neighbours that make a token the best scored merge, the leftmost of
// equals.
func TestScoresFollowDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var pieces []string
		for range 25 {
			var p strings.Builder
			for range 1 + rng.IntN(4) {
				p.WriteByte("ab "[rng.IntN(3)])
			}
			if !slices.Contains(pieces, p.String()) {
				pieces = append(pieces, p.String())
			}
		}
		tok := scored(t, false, pieces...)
		for range 50 {
			var text strings.Builder
			for range 1 + rng.IntN(30) {
				text.WriteByte("ab "[rng.IntN(3)])
			}
			want := strings.Split(text.String(), "")
			for {
				best, at := len(pieces), 0
				for i := range len(want) - 1 {
					if r := slices.Index(pieces, want[i]+want[i+1]); r >= 0 && r < best {
						best, at = r, i
					}
				}
				if best == len(pieces) {
					break
				}
				want = slices.Replace(want, at, at+2, want[at]+want[at+1])
			}
			var got []string
			for _, id := range tok.Encode(text.String(), token.Options{}) {
				got = append(got, string(tok.Piece(id)))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%q with pieces %q:\n got %q\nwant %q", text.String(), pieces, got, want)
			}
		}
	}
}

// A megabyte of anything takes a megabyte's time.
func TestLongScored(t *testing.T) {
	tok := scored(t, false, "a", "aa", "aaaa", "ab", " a", "  ", "<", "b>")
	for _, unit := range []string{"a", " ", "ab", "<b", "\xff", "é"} {
		text := strings.Repeat(unit, 1<<20/len(unit))
		if tok.Decode(tok.Encode(text, token.Options{ParseSpecial: true})) != text {
			t.Errorf("1 MB of %q did not come back", unit)
		}
	}
}

func FuzzEncodeScored(f *testing.F) {
	for _, s := range []string{"", "abc ab", "▁a", "</s><s>", "\xff\xe6\x97", "<b><0x41>", "日本 a"} {
		f.Add(s)
	}
	plain, prefixed := scored(f, false, "ab", " a", "abc", "a", "b", " ", "<", "日"), scored(f, true, "ab", " a", "a", " ", "</", "s>")
	f.Fuzz(func(t *testing.T, text string) {
		want := strings.ReplaceAll(text, "▁", " ")
		for _, tok := range []*token.Tokenizer{plain, prefixed} {
			ids := tok.Encode(text, token.Options{})
			for _, id := range ids {
				if tok.IsControl(id) {
					t.Fatalf("%q became the control token %d", text, id)
				}
			}
			if got := tok.Decode(ids); tok == plain && got != want || tok == prefixed && !strings.Contains(text, "<b>") && got != want {
				t.Fatalf("%q came back as %q", text, got)
			}
			tok.Encode(text, token.Options{AddSpecial: true, ParseSpecial: true})
		}
	})
}
