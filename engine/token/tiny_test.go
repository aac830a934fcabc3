package token_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gnothi/engine/gguf"
	"gnothi/engine/token"
)

// printable writes bytes in the alphabet of byte-level vocabularies.
func printable(s string) string {
	var out strings.Builder
	for _, b := range []byte(s) {
		r := rune(b)
		switch {
		case b <= ' ':
			r += 256
		case b >= 0x7f && b <= 0xa0:
			r += 256 + 33 - 0x7f
		case b == 0xad:
			r = 256 + 67
		}
		out.WriteRune(r)
	}
	return out.String()
}

// tinyVocab is a vocabulary: <|im_start|>, <|im_end|>, <tool> (user-defined), the 256 bytes but those in without, and the
// merges, each given as the two texts.
type tinyVocab struct {
	without string
	merges  [][2]string
	extra   []gguf.KV // replace the usual keys, or add to them; a nil value leaves the key out
}

const firstByte = 3 // id of byte 0

// file returns the vocabulary as a file.
func (v tinyVocab) file(tb testing.TB) *gguf.File {
	tb.Helper()
	tokens := []string{"<|im_start|>", "<|im_end|>", "<tool>"}
	types := []int32{3, 3, 4}
	for b := range 256 {
		if s := string([]byte{byte(b)}); !strings.Contains(v.without, s) {
			tokens, types = append(tokens, printable(s)), append(types, 1)
		}
	}
	var merges []string
	for _, m := range v.merges {
		merges = append(merges, printable(m[0])+" "+printable(m[1]))
		if both := printable(m[0] + m[1]); !slices.Contains(tokens, both) {
			tokens, types = append(tokens, both), append(types, 1)
		}
	}
	meta := []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "gpt2"},
		{Key: "tokenizer.ggml.pre", Value: "smollm"},
		{Key: "tokenizer.ggml.tokens", Value: tokens},
		{Key: "tokenizer.ggml.token_type", Value: types},
		{Key: "tokenizer.ggml.merges", Value: merges},
		{Key: "tokenizer.ggml.bos_token_id", Value: uint32(0)},
		{Key: "tokenizer.ggml.eos_token_id", Value: uint32(1)},
	}
	for _, kv := range v.extra {
		meta = slices.DeleteFunc(meta, func(old gguf.KV) bool { return old.Key == kv.Key })
		if kv.Value != nil {
			meta = append(meta, kv)
		}
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, meta, nil); err != nil {
		tb.Fatal(err)
	}
	f, err := gguf.Decode("tiny.gguf", b.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func (v tinyVocab) tokenizer(tb testing.TB) *token.Tokenizer {
	tb.Helper()
	tok, err := token.New(v.file(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

// Each text gets a vocabulary in which its words merge whole, and would merge with each other if they were let.
func TestWords(t *testing.T) {
	for _, c := range []struct{ text, words string }{
		{"Hello world", "Hello| world"},
		{"it's we'll they've I'm d'd 'tis", "it|'s| we|'ll| they|'ve| I|'m| d|'d| '|tis"},
		{"IT'S", "IT|'|S"},
		{"a  b", "a| | b"},
		{"a   b", "a|  | b"},
		{"a \n b", "a| \n| b"},
		{"a\n\nb", "a|\n|\n|b"},
		{"a  ", "a|  "},
		{"x 12", "x| |1|2"},
		{"x  12", "x|  |1|2"},
		{"x\n\n1", "x|\n\n|1"},
		{"3.14", "3|.|1|4"},
		{"²٣Ⅷ", "²|٣|Ⅷ"},
		{"a_b != c", "a|_|b| !=| c"},
		{"\u3000\u3000全", "\u3000|\u3000|全"},
		{"e\u0301x", "e|\u0301|x"},
		{"\xff\xfea", "\xff\xfe|a"},
		{" \xc3 ", " \xc3| "},
		{"'", "'"},
		{"''s", "''|s"},
	} {
		checkWords(t, "smollm", c.text, c.words)
	}
	for _, c := range []struct{ pre, text, words string }{
		{"gpt-2", "x  12 3a", "x| | 12| 3|a"},
		{"gpt-2", "it's IT'S", "it|'s| IT|'|S"},
		{"llama-bpe", "Hello world", "Hello| world"},
		{"llama-bpe", "IT'S it's 'LLx", "IT|'S| it|'s| '|LLx"},
		{"llama-bpe", "1234567 12", "123|456|7| |12"},
		{"llama-bpe", "a.b (c) $x", "a|.b| (|c|)| $|x"},
		{"llama-bpe", "a!!\n\nb", "a|!!\n\n|b"},
		{"llama-bpe", "a  \n  b", "a|  \n| | b"},
		{"llama-bpe", "a\r\n\r\n", "a|\r\n\r\n"},
		{"llama-bpe", "\tx \t\ty  ", "\tx| \t|\ty|  "},
		{"llama-bpe", "\nx", "\n|x"},
		{"llama-bpe", "\u3000\u3000全", "\u3000|\u3000全"},
		{"llama-bpe", "e\u0301x", "e|\u0301x"},
		{"llama-bpe", " \xc3 ", " \xc3| "},
		{"qwen2", "12 3", "1|2| |3"},
		{"qwen2", "x² =² ¼½", "x|²| =|²| |¼|½"},
		{"qwen2", "'s'T'x", "'s|'T|'x"},
		{"qwen2", "   ", "   "},
	} {
		checkWords(t, c.pre, c.text, c.words)
	}
}

func checkWords(t *testing.T, pre, text, want string) {
	t.Helper()
	v := tinyVocab{extra: []gguf.KV{{Key: "tokenizer.ggml.pre", Value: pre}}}
	words := strings.Split(want, "|")
	for _, w := range words {
		for i := 1; i < len(w); i++ {
			if m := [2]string{w[:i], w[i : i+1]}; !slices.Contains(v.merges, m) {
				v.merges = append(v.merges, m)
			}
		}
	}
	for i := 1; i < len(words); i++ {
		v.merges = append(v.merges, [2]string{words[i-1], words[i][:1]})
	}
	tok := v.tokenizer(t)
	var got []string
	for _, id := range tok.Encode(text, token.Options{}) {
		got = append(got, string(tok.Piece(id)))
	}
	if !slices.Equal(got, words) {
		t.Errorf("%s: %q: words %q, want %q", pre, text, got, words)
	}
}

// The heap gives what the definition gives: merge the pair of lowest rank, the leftmost of equals, until none is left.
func TestMergesFollowDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		v := tinyVocab{}
		parts := []string{"a", "b", "c"}
		for range 30 {
			m := [2]string{parts[rng.IntN(len(parts))], parts[rng.IntN(len(parts))]}
			if !slices.Contains(v.merges, m) {
				v.merges = append(v.merges, m)
				parts = append(parts, m[0]+m[1])
			}
		}
		tok := v.tokenizer(t)
		for range 50 {
			var text strings.Builder
			for range 1 + rng.IntN(40) {
				text.WriteByte("abc"[rng.IntN(3)])
			}
			want := strings.Split(text.String(), "")
			for {
				best, at := len(v.merges), 0
				for i := range len(want) - 1 {
					if r := slices.Index(v.merges, [2]string{want[i], want[i+1]}); r >= 0 && r < best {
						best, at = r, i
					}
				}
				if best == len(v.merges) {
					break
				}
				want = slices.Replace(want, at, at+2, want[at]+want[at+1])
			}
			var got []string
			for _, id := range tok.Encode(text.String(), token.Options{}) {
				got = append(got, string(tok.Piece(id)))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%q with merges %q:\n got %q\nwant %q", text.String(), v.merges, got, want)
			}
		}
	}
}

func TestMissingBytes(t *testing.T) {
	v := tinyVocab{without: "\x04\xf1\xff", merges: [][2]string{{"a", "b"}}}
	tok := v.tokenizer(t)
	for _, c := range []struct{ text, want string }{
		{"a\x04b", "ab"},                   // valid UTF-8: the byte goes,
		{"\U00040000", "\x80\x80\x80"},     // also out of the middle of a character
		{"a\xff", "a\uFFFD"},               // stray: visible
		{"a\xf1b\xc3", "a\uFFFDb\xc3"},     // stray with a token: kept
		{"\xf1\x80\x80", "\uFFFD\x80\x80"}, // a cut character
		{strings.Repeat("\xff", 3), "\ufffd\ufffd\ufffd"},
	} {
		if got := tok.Decode(tok.Encode(c.text, token.Options{})); got != c.want {
			t.Errorf("%q came back as %q, want %q", c.text, got, c.want)
		}
	}
	if ids := tok.Encode("a\x04b", token.Options{}); len(ids) != 2 {
		t.Errorf("neighbours of a missing byte have merged: %v", ids)
	}
}

func TestSpecialTokens(t *testing.T) {
	v := tinyVocab{extra: []gguf.KV{{Key: "tokenizer.ggml.add_bos_token", Value: true}, {Key: "tokenizer.ggml.add_eos_token", Value: true}}}
	tok := v.tokenizer(t)
	const text = "x<|im_end|><tool>"
	id := func(s string) (ids []int32) {
		for _, b := range []byte(s) {
			ids = append(ids, firstByte+int32(b))
		}
		return ids
	}
	for _, c := range []struct {
		o    token.Options
		want []int32
	}{
		{token.Options{}, append(id("x<|im_end|>"), 2)},
		{token.Options{ParseSpecial: true}, append(id("x"), 1, 2)},
		{token.Options{AddSpecial: true}, slices.Concat([]int32{0}, id("x<|im_end|>"), []int32{2, 1})},
	} {
		if got := tok.Encode(text, c.o); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.o, got, c.want)
		}
	}
	if id, ok := tok.Control("<|im_end|>"); id != 1 || !ok {
		t.Errorf("<|im_end|> is %d, %v", id, ok)
	}
	for _, s := range []string{"", "<|im_end|>x", "<|im_end|", "<tool>"} {
		if _, ok := tok.Control(s); ok {
			t.Errorf("%q is a control token", s)
		}
	}
	if tok.BOS() != 0 || tok.EOS() != 1 || !tok.AddBOS() || !tok.EOG(1) || tok.EOG(0) || tok.EOG(-1) {
		t.Error("wrong special ids")
	}
	if tok.Piece(-1) != nil || tok.Piece(1<<30) != nil || tok.Decode([]int32{-7, 1 << 30, firstByte + 'a'}) != "a" {
		t.Error("ids outside the vocabulary have a text")
	}
}

// Of special tokens that start alike the longest counts, and only if it is wanted; a token in other characters than the
// printable alphabet stands for its own text.
func TestOverlappingTokens(t *testing.T) {
	tok := tinyVocab{extra: []gguf.KV{
		{Key: "tokenizer.ggml.tokens", Value: []string{"<a", "<a>", "<a>b", "x", "你 "}},
		{Key: "tokenizer.ggml.token_type", Value: []int32{4, 4, 3, 1, 1}},
		{Key: "tokenizer.ggml.merges", Value: nil},
	}}.tokenizer(t)
	for _, c := range []struct {
		text  string
		parse bool
		want  []int32
	}{
		{"<ax", false, []int32{0, 3}},
		{"<a>x", false, []int32{1, 3}},
		{"x<a><a", false, []int32{3, 1, 0}},
		{"<a>b", true, []int32{2}},
		{"<a>b", false, []int32{1}}, // b has no token here
	} {
		if got := tok.Encode(c.text, token.Options{ParseSpecial: c.parse}); !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.text, got, c.want)
		}
	}
	if got := string(tok.Piece(4)); got != "你 " {
		t.Errorf("literal token is %q", got)
	}
}

func TestRefusals(t *testing.T) {
	set := func(key string, value any) []gguf.KV { return []gguf.KV{{Key: "tokenizer.ggml." + key, Value: value}} }
	long := make([]string, 0, 1<<11)
	for i := range 1 << 11 {
		long = append(long, fmt.Sprintf("%d%s", i, strings.Repeat("x", 200)))
	}
	for _, c := range []struct {
		name  string
		extra []gguf.KV
		want  string
	}{
		{"no model", set("model", nil), `model ""`},
		{"another model", set("model", "t5"), `model "t5" is not supported`},
		{"other pre-tokenizer", set("pre", "tekken"), `"tekken" is not supported; these are: smollm, gpt-2, llama-bpe, qwen2`},
		{"no pre-tokenizer", set("pre", nil), `"" is not supported`},
		{"no scores", set("model", "llama"), "scores"},
		{"too few scores", slices.Concat(set("model", "llama"), set("scores", []float32{1})), "scores"},
		{"scores of nothing", slices.Concat(set("model", "llama"), set("tokens", []string{"a"}), set("token_type", nil), set("scores", []float32{float32(math.NaN())})), "score of token 0"},
		{"byte of no number", slices.Concat(set("model", "llama"), set("tokens", []string{"<0xZZ>"}), set("token_type", []int32{6})), "does not name one byte"},
		{"byte twice", slices.Concat(set("model", "llama"), set("tokens", []string{"<0x41>", "<0x41>"}), set("token_type", []int32{6, 6})), "another token names"},
		{"no vocabulary", set("tokens", nil), "no vocabulary"},
		{"vocabulary of numbers", set("tokens", int32(3)), "no vocabulary"},
		{"empty token", slices.Concat(set("tokens", []string{"a", ""}), set("token_type", nil)), "token 1 is empty"},
		{"equal tokens", slices.Concat(set("tokens", []string{"a", "b", "a"}), set("token_type", nil)), "tokens 0 and 2 are the same"},
		{"equal control tokens", slices.Concat(set("tokens", []string{"a", "a"}), set("token_type", []int32{3, 3})), "tokens 0 and 1 are the same"},
		{"too few types", set("token_type", []int32{1}), "not one number for each"},
		{"too many types", set("token_type", make([]uint8, 1<<16)), "not one number for each"},
		{"types of text", set("token_type", []string{"x"}), "not one number for each"},
		{"unknown type", slices.Concat(set("tokens", []string{"a"}), set("token_type", []int32{9})), "unknown type 9"},
		{"merge of one", set("merges", []string{"ab"}), "is not two tokens"},
		{"empty merge", set("merges", []string{""}), "is not two tokens"},
		{"merge of a stranger", set("merges", []string{"a zz"}), "no token"},
		{"merge without result", set("merges", []string{"a b"}), "no token"},
		{"forged control token", slices.Concat(set("tokens", []string{"a", "b", "ab"}), set("token_type", []int32{1, 1, 3}), set("merges", []string{"a b"})), "no token"},
		{"bos outside", set("bos_token_id", uint32(1<<20)), "bos_token_id"},
		{"eos of text", set("eos_token_id", "x"), "eos_token_id"},
		{"bos wanted and missing", slices.Concat(set("bos_token_id", nil), set("add_bos_token", true)), "does not say which"},
		{"too many special tokens", slices.Concat(set("tokens", long), set("token_type", slices.Repeat([]int32{3}, len(long)))), "special tokens"},
	} {
		_, err := token.New(tinyVocab{extra: c.extra}.file(t))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "tiny.gguf") {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// A megabyte of one word takes a megabyte's time, not its square.
func TestLongWords(t *testing.T) {
	v := tinyVocab{merges: [][2]string{{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}, {" ", " "}, {"  ", "  "}, {"a", "b"}, {"aa", "b"}}}
	tok := v.tokenizer(t)
	for _, unit := range []string{"a", " ", "ab", "aab", "<", "<|im_", "'", "\xff", "é", "1", "\n"} {
		text := strings.Repeat(unit, 1<<20/len(unit))
		start := time.Now()
		ids := tok.Encode(text, token.Options{ParseSpecial: true})
		if d := time.Since(start); d > 2*time.Minute { // its square would take far longer
			t.Errorf("1 MB of %q took %v", unit, d)
		}
		if tok.Decode(ids) != text {
			t.Errorf("1 MB of %q did not come back", unit)
		}
	}
}

func TestDecoder(t *testing.T) {
	tok := tinyVocab{}.tokenizer(t)
	for _, c := range []struct{ text, steps string }{
		{"aé", "a||é"},
		{"😀!", "|||😀|!"},
		{"\xc3a", "|\uFFFDa"},
		{"\x80a", "\uFFFD|a"},
		{"\xe2\x82\xe2\x82\xac", "||\uFFFD\uFFFD||€"},
		{"\xff", "\uFFFD"},
		{"\xf0\x9f", "||\uFFFD\uFFFD"}, // the last by Flush
	} {
		d := token.NewDecoder(tok)
		var got []string
		for _, id := range tok.Encode(c.text, token.Options{}) {
			got = append(got, d.Next(id))
		}
		if rest := d.Flush(); rest != "" {
			got = append(got, rest)
		}
		if s := strings.Join(got, "|"); s != c.steps {
			t.Errorf("%q: %q, want %q", c.text, s, c.steps)
		}
	}
}

func TestDecoderSkipsControl(t *testing.T) {
	tok := tinyVocab{}.tokenizer(t)
	d := token.NewDecoder(tok)
	var got string
	for _, id := range []int32{0, firstByte + 0xc3, 1, firstByte + 0xa9, -1, 2} {
		got += d.Next(id)
	}
	if got += d.Flush(); got != "é<tool>" {
		t.Errorf("%q", got)
	}
}

func TestTemplateAddsBOS(t *testing.T) {
	v := tinyVocab{extra: []gguf.KV{{Key: "tokenizer.ggml.add_bos_token", Value: true}, {Key: "tokenizer.ggml.bos_token_id", Value: uint32(2)}}}
	chatml, err := token.TemplateByName("chatml")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := chatml.Encode(v.tokenizer(t), []token.Turn{{Role: "u", Text: "x"}}, false)
	if want := []int32{2, 0, firstByte + 'u', firstByte + '\n', firstByte + 'x', 1, firstByte + '\n'}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("%v, %v, want %v", ids, err, want)
	}
}

func TestTemplateRefusals(t *testing.T) {
	template := func(source any) *gguf.File {
		return tinyVocab{extra: []gguf.KV{{Key: "tokenizer.chat_template", Value: source}}}.file(t)
	}
	if _, err := token.TemplateOf(template(nil)); err == nil || !strings.Contains(err.Error(), "no chat template") {
		t.Errorf("no template: %v", err)
	}
	if _, err := token.TemplateOf(template("{{ evil }}")); err == nil || !strings.Contains(err.Error(), "is not known") || !strings.Contains(err.Error(), "chatml") {
		t.Errorf("unknown template: %v", err)
	}
	if _, err := token.TemplateByName("nope"); err == nil || !strings.Contains(err.Error(), "chatml, smollm2") {
		t.Errorf("unknown name: %v", err)
	}
	for _, name := range token.TemplateNames() {
		tmpl, err := token.TemplateByName(name)
		if err != nil || tmpl.Name() != name {
			t.Fatalf("%s: %v", name, err)
		}
		for _, turns := range [][]token.Turn{nil, {{Role: "", Text: "x"}}, {{Role: "user\n", Text: "x"}}, {{Role: "user<|im_end|>", Text: "x"}}, {{Role: strings.Repeat("x", 65)}}} {
			if _, err := tmpl.Render(turns, true); err == nil {
				t.Errorf("%s renders %q", name, turns)
			}
			if _, err := tmpl.Encode(tinyVocab{}.tokenizer(t), turns, true); err == nil {
				t.Errorf("%s encodes %q", name, turns)
			}
		}
		bare := tinyVocab{extra: []gguf.KV{
			{Key: "tokenizer.ggml.tokens", Value: []string{"u"}}, {Key: "tokenizer.ggml.token_type", Value: nil},
			{Key: "tokenizer.ggml.bos_token_id", Value: nil}, {Key: "tokenizer.ggml.eos_token_id", Value: nil},
		}}.tokenizer(t)
		if _, err := tmpl.Encode(bare, []token.Turn{{Role: "user", Text: "x"}}, true); name != "mistral" && (err == nil || !strings.Contains(err.Error(), "needs the control token")) {
			t.Errorf("%s without its markers: %v", name, err)
		}
	}
}

func FuzzEncode(f *testing.F) {
	tok := tinyVocab{merges: [][2]string{{"a", "a"}, {"aa", "aa"}, {" ", "a"}, {"\xc3", "\xa9"}, {"\r", "\n"}}}.tokenizer(f)
	chatml, err := token.TemplateByName("smollm2")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "aaaa a é\r\n", "it's 12  3", "<|im_end|>\n<|im_start|>system\n", "\xff\xc3", "<tool><|im_", "\u2028\u0301😀"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids := tok.Encode(text, token.Options{})
		if got := tok.Decode(ids); got != text {
			t.Fatalf("%q came back as %q", text, got)
		}
		d := token.NewDecoder(tok)
		var stream strings.Builder
		for _, id := range ids {
			if tok.IsControl(id) {
				t.Fatalf("%q became the control token %d", text, id)
			}
			stream.WriteString(d.Next(id))
		}
		stream.WriteString(d.Flush())
		if want := string([]rune(text)); stream.String() != want {
			t.Fatalf("streamed %q, want %q", stream.String(), want)
		}
		if got := tok.DecodeSpecial(tok.Encode(text, token.Options{ParseSpecial: true})); got != text {
			t.Fatalf("%q with special tokens came back as %q", text, got)
		}
		// Whatever a turn says, the prompt has the template's markers and no others.
		turns := []token.Turn{{Role: "user", Text: text}, {Role: "assistant", Text: text}}
		prompt, err := chatml.Encode(tok, turns, true)
		if err != nil {
			t.Fatal(err)
		}
		var marks []int32
		for _, id := range prompt {
			if tok.IsControl(id) {
				marks = append(marks, id)
			}
		}
		if !slices.Equal(marks, []int32{0, 1, 0, 1, 0, 1, 0}) {
			t.Fatalf("%q: markers %v", text, marks)
		}
		rendered, err := chatml.Render(turns, true)
		if err != nil || rendered != tok.DecodeSpecial(prompt) {
			t.Fatalf("%q: rendered %q, encoded %q, %v", text, rendered, tok.DecodeSpecial(prompt), err)
		}
	})
}

// A hostile vocabulary is refused or works; it does not crash.
func FuzzNew(f *testing.F) {
	f.Add("gpt2", "smollm", "a b ab", "a b", []byte{1, 1, 1})
	f.Add("gpt2", "llama-bpe", "a b <x> ab", "a b\na a", []byte{1, 4, 3, 6})
	f.Add("llama", "default", "a <0x41> <x> ab ▁", "", []byte{1, 6, 3, 1, 1})
	f.Fuzz(func(t *testing.T, model, pre, tokens, merges string, types []byte) {
		scores := make([]float32, len(strings.Split(tokens, " ")))
		for i := range scores {
			scores[i] = float32(i%3) - 1
		}
		meta := []gguf.KV{
			{Key: "tokenizer.ggml.model", Value: model},
			{Key: "tokenizer.ggml.pre", Value: pre},
			{Key: "tokenizer.ggml.scores", Value: scores},
			{Key: "tokenizer.ggml.tokens", Value: strings.Split(tokens, " ")},
			{Key: "tokenizer.ggml.merges", Value: strings.Split(merges, "\n")},
			{Key: "tokenizer.ggml.token_type", Value: types},
		}
		var b bytes.Buffer
		if err := gguf.Write(&b, meta, nil); err != nil {
			t.Skip()
		}
		file, err := gguf.Decode("fuzz", b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		tok, err := token.New(file)
		if err != nil {
			return
		}
		for _, id := range tok.Encode(tokens+merges, token.Options{ParseSpecial: true}) {
			if id < 0 || int(id) >= tok.Vocab() {
				t.Fatalf("id %d", id)
			}
		}
	})
}
