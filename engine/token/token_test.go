package token_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"gnothi/engine/gguf"
	"gnothi/engine/token"
)

// realFile opens the default model's file, or skips.
func realFile(tb testing.TB) *gguf.File {
	return modelFile(tb, "smollm2-135m", "GNOTHI_TEST_MODEL")
}

// modelFile opens a known model's file, or skips.
func modelFile(tb testing.TB, name, env string) *gguf.File {
	tb.Helper()
	path := os.Getenv(env)
	if path == "" {
		if dir, err := os.UserCacheDir(); err == nil {
			path = filepath.Join(dir, "gnothi", "models", name+".gguf")
		}
	}
	if _, err := os.Stat(path); err != nil {
		tb.Skip("no model file; get it with: gnothi model pull " + name)
	}
	f, err := gguf.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	return f
}

func realTokenizer(tb testing.TB) *token.Tokenizer {
	tb.Helper()
	tok, err := token.New(realFile(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

// golden reads a file of recorded values, or skips.
func golden(tb testing.TB, name string, into any) {
	tb.Helper()
	dir := os.Getenv("GNOTHI_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(dir, "engine-golden", name))
	if err != nil {
		tb.Skipf("no golden data (set GNOTHI_DATA): %v", err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		tb.Fatal(err)
	}
}

// wantIDs is a list of ids, or the digest of a long one.
type wantIDs struct {
	ids    []int32
	count  int
	sha256 string
}

func (w *wantIDs) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, &w.ids)
	}
	var d struct {
		Count  int
		SHA256 string
	}
	err := json.Unmarshal(b, &d)
	w.count, w.sha256 = d.Count, d.SHA256
	return err
}

func (w *wantIDs) check(t *testing.T, what string, got []int32) {
	t.Helper()
	if w.sha256 == "" {
		if !slices.Equal(got, w.ids) {
			t.Errorf("%s: got %v, want %v", what, got, w.ids)
		}
		return
	}
	var b []byte
	for i, id := range got {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(id), 10)
	}
	sum := sha256.Sum256(b)
	if len(got) != w.count || hex.EncodeToString(sum[:]) != w.sha256 {
		t.Errorf("%s: %d ids, want %d, or others", what, len(got), w.count)
	}
}

func TestGoldenTokens(t *testing.T) {
	for _, m := range []struct {
		name, env, golden string
		bytes             bool // ones that are not UTF-8 are compared too
	}{
		{"smollm2-135m", "GNOTHI_TEST_MODEL", "tokenize-smollm2.json", false},
		{"gemma3-270m", "GNOTHI_TEST_GEMMA", "tokenize-gemma3.json", true},
	} {
		t.Run(m.name, func(t *testing.T) {
			tok, err := token.New(modelFile(t, m.name, m.env))
			if err != nil {
				t.Fatal(err)
			}
			goldenTokens(t, tok, m.golden, m.bytes)
		})
	}
}

func goldenTokens(t *testing.T, tok *token.Tokenizer, file string, bytes bool) {
	var data struct {
		NVocab int `json:"n_vocab"`
		Cases  []struct {
			Kind, Text, Hex, Repeat string
			N                       int
			IDs                     *wantIDs
			IDsSpecial              *wantIDs                    `json:"ids_special"`
			Detok                   *struct{ Text, Hex string } `json:"detok"`
			Hidden                  *struct{ Text, Hex string } `json:"detok_special_hidden"`
			Shown                   *struct{ Text, Hex string } `json:"detok_special_shown"`
		}
	}
	golden(t, file, &data)
	if tok.Vocab() != data.NVocab {
		t.Errorf("vocabulary of %d, want %d", tok.Vocab(), data.NVocab)
	}
	for _, c := range data.Cases {
		text := c.Text + strings.Repeat(c.Repeat, c.N)
		if c.Hex != "" {
			b, err := hex.DecodeString(c.Hex)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		what := strconv.Quote(text[:min(len(text), 60)])
		plain := tok.Encode(text, token.Options{})
		if c.Kind == "invalid" && !bytes {
			// llama.cpp loses such bytes. Here only those go that the vocabulary has no token for.
			if got, want := tok.Decode(plain), lossless(tok, text); got != want {
				t.Errorf("%s: round trip gave %q, want %q", what, got, want)
			}
			continue
		}
		c.IDs.check(t, what, plain)
		want := text
		if c.Detok != nil {
			want = c.Detok.Text
		}
		if got := tok.Decode(plain); got != want {
			t.Errorf("%s: decoded as %q", what, got)
		}
		special := tok.Encode(text, token.Options{AddSpecial: true, ParseSpecial: true})
		if c.IDsSpecial != nil {
			c.IDsSpecial.check(t, what+" special", special)
		} else {
			c.IDs.check(t, what+" special", special)
		}
		if c.Hidden != nil && c.Hidden.Hex == "" {
			if got := tok.Decode(special); got != c.Hidden.Text {
				t.Errorf("%s: without control tokens %q, want %q", what, got, c.Hidden.Text)
			}
			if got := tok.DecodeSpecial(special); got != c.Shown.Text {
				t.Errorf("%s: with control tokens %q, want %q", what, got, c.Shown.Text)
			}
		}
	}
}

// lossless is what a text comes back as: itself, but for bytes that have no token.
func lossless(tok *token.Tokenizer, text string) string {
	has := [256]bool{}
	for id := range int32(tok.Vocab()) {
		if p := tok.Piece(id); len(p) == 1 {
			has[p[0]] = true
		}
	}
	var out []byte
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 && !has[text[i]] {
			out = append(out, "\uFFFD"...)
		} else {
			for _, b := range []byte(text[i : i+n]) {
				if has[b] {
					out = append(out, b)
				}
			}
		}
		i += n
	}
	return string(out)
}

func TestGoldenChat(t *testing.T) {
	f := realFile(t)
	tok := realTokenizer(t)
	tmpl, err := token.TemplateOf(f)
	if err != nil {
		t.Fatal(err)
	}
	var data struct {
		Cases []struct {
			Messages []struct{ Role, Content string }
			Prompt   bool `json:"add_generation_prompt"`
			SmolLM2  struct {
				Text     string
				ParseAll wantIDs `json:"ids_parse_all"`
				Plain    wantIDs `json:"ids_content_plain"`
			}
			ChatML string `json:"llamacpp_builtin_chatml"`
		}
	}
	golden(t, "chat.json", &data)
	chatml, err := token.TemplateByName("chatml")
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range data.Cases {
		var turns []token.Turn
		for _, m := range c.Messages {
			turns = append(turns, token.Turn{Role: m.Role, Text: m.Content})
		}
		text, err := tmpl.Render(turns, c.Prompt)
		if err != nil {
			t.Fatal(err)
		}
		if text != c.SmolLM2.Text {
			t.Errorf("case %d: rendered %q, want %q", i, text, c.SmolLM2.Text)
		}
		ids, err := tmpl.Encode(tok, turns, c.Prompt)
		if err != nil {
			t.Fatal(err)
		}
		c.SmolLM2.Plain.check(t, "case "+strconv.Itoa(i), ids)
		c.SmolLM2.ParseAll.check(t, "case "+strconv.Itoa(i)+" parsed", tok.Encode(text, token.Options{ParseSpecial: true}))
		if text, err = chatml.Render(turns, c.Prompt); err != nil || text != c.ChatML {
			t.Errorf("case %d: ChatML %q, %v, want %q", i, text, err, c.ChatML)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	f := realFile(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := token.New(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	tok := realTokenizer(b)
	prose := strings.Repeat("The quick brown fox doesn't jump over 13 lazy dogs; it sleeps.\n", 1<<20/63)
	for _, c := range []struct{ name, text string }{
		{"prose", prose}, {"a", strings.Repeat("a", 1<<20)}, {"blanks", strings.Repeat(" ", 1<<20)}, {"short", "What is the capital of France?"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				tok.Encode(c.text, token.Options{})
			}
		})
	}
}
