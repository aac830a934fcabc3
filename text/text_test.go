package text_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gnothi/text"

	"github.com/google/go-cmp/cmp"
)

func TestClasses(t *testing.T) {
	extract := func(task text.Task, replies ...string) []text.Answer {
		answers := make([]text.Answer, len(replies))
		for i, r := range replies {
			answers[i] = task.Extract(r)
		}
		return answers
	}
	for _, c := range []struct {
		name    string
		task    text.Task
		replies []string
		want    [][]int
	}{
		{"chatter", text.Task{}, []string{"Paris", "The answer is Paris.", "Lyon", "**paris**", "Answer: lyon"}, [][]int{{0, 1, 3}, {2, 4}}},
		{"refusals are a class, unparsed are none", text.Task{}, []string{"I don't know.", "", "Paris", "I'm sorry, I can't help.", "..."}, [][]int{{0, 3}, {2}}},
		{"exact rationals", text.Task{Kind: text.Number}, []string{"0.5", "1/2", "50%", "½", "0.50001"}, [][]int{{0, 1, 2, 3}, {4}}},
		{"percent asked", text.Task{Kind: text.Number, Question: "What percentage is it?"}, []string{"50%", "50", "0.5"}, [][]int{{0, 1}, {2}}},
		{"bare joins the only unit", text.Task{Kind: text.Number}, []string{"5 km", "5", "5000 m", "6"}, [][]int{{0, 1, 2}, {3}}},
		{"two units, bare stays", text.Task{Kind: text.Number}, []string{"5 km", "5", "5 miles"}, [][]int{{0}, {1}, {2}}},
		{"letters by content", text.Task{Kind: text.Letter, Options: []text.Option{{Letter: "A", Key: "paris", Text: "Paris"}, {Letter: "B", Key: "lyon", Text: "Lyon"}}},
			[]string{"A", "Paris", "B) Lyon", "The answer is B."}, [][]int{{0, 1}, {2, 3}}},
		{"aliases", text.Task{Aliases: [][]string{{"United Kingdom", "UK", "U.K."}}}, []string{"UK", "France", "the United Kingdom", "u.k."}, [][]int{{0, 2, 3}, {1}}},
		{"nothing", text.Task{}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			answers := extract(c.task, c.replies...)
			got := c.task.Classes(answers)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%q (-want +got)\n%s", c.replies, d)
			}
			// The same partition whatever the order: compare as sets.
			slices.Reverse(answers)
			n := len(answers)
			var back [][]int
			for _, class := range c.task.Classes(answers) {
				for i := range class {
					class[i] = n - 1 - class[i]
				}
				slices.Sort(class)
				back = append(back, class)
			}
			slices.SortFunc(back, func(a, b []int) int { return a[0] - b[0] })
			if d := cmp.Diff(c.want, back); d != "" {
				t.Errorf("depends on the order (-want +got)\n%s", d)
			}
		})
	}
}

func TestGradeReadsOtherKinds(t *testing.T) {
	free := text.Extract(text.Free, "forty-two")
	if got := text.Grade(text.Number, free, []string{"42"}); got != text.Right {
		t.Errorf("a free answer graded as a number: %v", got)
	}
	if got := text.Grade(text.Bool, free, []string{"yes"}); got != text.Unparsed {
		t.Errorf("a free answer graded as a verdict: %v", got)
	}
}

// TestGemmaSamples reads 5,120 answers of a small model to TriviaQA questions
// and compares with the string-match labels that came with them (Ferrando et
// al. 2025). Those look for an accepted string anywhere in the reply, so that
// being stricter is expected; being more lenient is not.
func TestGemmaSamples(t *testing.T) {
	raw, err := os.ReadFile(data(t, "triviaqa-gemma2b-samples", "batch_0.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Question string
		Accepted []string `json:"correct_answer"`
		Samples  []string `json:"sampled_completions"`
		Labels   []string `json:"string_matching_sampled_labels"`
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range rows {
		task := text.Task{Question: r.Question}
		for i, s := range r.Samples {
			got[r.Labels[i]+" "+task.GradeMention(task.Extract(s), r.Accepted).String()]++
		}
	}
	t.Logf("%v", got)
	if n := got["error right"]; n > 0 {
		t.Errorf("%d answers without any accepted string are graded right", n)
	}
	if n := got["correct right"]; n < 840 {
		t.Errorf("%d of the 1,149 labelled correct are graded right, want 840", n)
	}
	if n := got["refusal refused"]; n < 1370 {
		t.Errorf("%d of the 1,553 labelled refusals are refused, want 1,370", n)
	}
	if n := got["correct refused"] + got["error refused"]; n > 95 {
		t.Errorf("%d others are refused, want at most 95", n)
	}
	if n := got["correct unparsed"] + got["error unparsed"] + got["refusal unparsed"]; n > 0 {
		t.Errorf("%d unparsed", n)
	}
}

func TestSanitise(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"tab\tand\nline", "tab\tand\nline"},
		{"\x1b[31mred\x1b[0m", "red"},
		{"\x1b[2J\x1b[H", ""},
		{"\x1b]0;title\x07text", "text"},
		{"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"},
		{"\x1b]52;c;AAAA", ""},
		{"\x1b]never ends\nnext", "\nnext"},
		{"\x1bPq#0\x1b\\x", "x"},
		{"\x1b(Bx", "x"},
		{"\x1b", ""},
		{"\x1bé", "é"},
		{"\u009b31mred", "red"},
		{"\u009dtitle\u009ctext", "text"},
		{"a\u0085b", "ab"},
		{"a\x00b\x07c\x7fd", "abcd"},
		{"over\rwrite", "over\nwrite"},
		{"dos\r\nline", "dos\nline"},
		{"safe\u202egpj.exe", "safegpj.exe"},
		{"\u2066x\u2069", "x"},
		{"zero\u200bwidth\ufeff", "zerowidth"},
		{"tag\U000e0041s", "tags"},
		{"👩\u200d🔬", "👩\u200d🔬"},
		{"می\u200cخواهم", "می\u200cخواهم"},
		{"bad\xffbyte", "bad\ufffdbyte"},
		{"one\u2028two", "one two"},
	} {
		if got := text.Sanitise(c.in); got != c.want {
			t.Errorf("Sanitise(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	if got := text.SanitiseLine("a\tb\nc\r\nd\re"); got != "a b c d e" {
		t.Errorf("SanitiseLine = %q", got)
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"Paris", 5, "Paris"}, {"Paris", 6, "Paris"}, {"Paris", 4, "Par…"}, {"Paris", 1, "…"}, {"Paris", 0, ""}, {"", 3, ""},
		{"巴黎市", 6, "巴黎市"}, {"巴黎市", 5, "巴黎…"}, {"巴黎市", 4, "巴…"},
		{"e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"}, {"e\u0301e\u0301e\u0301", 2, "e\u0301…"},
		{"👩\u200d🔬x", 3, "👩\u200d🔬x"}, {"a\xffb", 3, "a\xffb"},
	} {
		if got := text.Clip(c.in, c.n); got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

func TestDegenerate(t *testing.T) {
	prompt := "Answer the question in one word.\nQuestion: What is the capital of France?"
	for _, c := range []struct{ reply, want string }{
		{"Paris", ""},
		{"5", ""},
		{"π", ""},
		{"∞", ""},
		{"", "empty"},
		{" \n", "empty"},
		{"...", "empty"},
		{strings.Repeat("The capital is Paris. ", 20), "repetition"},
		{strings.Repeat("no ", 50), "repetition"},
		{strings.Repeat("哈", 100), "repetition"},
		{strings.Repeat("ab", 200), "repetition"},
		{"Row, row, row your boat", ""},
		{"What is the capital of France?", "copied prompt"},
		{"What is  THE capital\nof France?", "copied prompt"},
		{"The capital of France is Paris, a city on the Seine with about two million people.", ""},
	} {
		got, bad := text.Degenerate(c.reply, prompt)
		if got != c.want || bad != (c.want != "") {
			t.Errorf("Degenerate(%.40q) = %q, %v, want %q", c.reply, got, bad, c.want)
		}
	}
	if r := text.Repetition("one two three four five six seven eight"); r != 0 {
		t.Errorf("Repetition of distinct words = %v", r)
	}
}

func TestKindAndOutcomeRoundTrip(t *testing.T) {
	for k := text.Free; k <= text.Label; k++ {
		var back text.Kind
		b, err := k.MarshalText()
		if err != nil || back.UnmarshalText(b) != nil || back != k {
			t.Errorf("%v: %q, %v, %v", k, b, back, err)
		}
	}
	for o := text.Unparsed; o <= text.Wrong; o++ {
		var back text.Outcome
		b, err := o.MarshalText()
		if err != nil || back.UnmarshalText(b) != nil || back != o {
			t.Errorf("%v: %q, %v, %v", o, b, back, err)
		}
	}
	if _, err := text.ParseKind("essay"); err == nil {
		t.Error("no error for an unknown kind")
	}
	if _, err := text.Kind(99).MarshalText(); err == nil {
		t.Error("no error for kind 99")
	}
	if err := new(text.Outcome).UnmarshalText([]byte("fine")); err == nil {
		t.Error("no error for an unknown outcome")
	}
}

func TestConfidenceWordsAreOrdered(t *testing.T) {
	words := text.ConfidenceWords()
	for i, w := range words {
		c, err := text.ParseConfidence(w.Word, text.WordScale)
		if err != nil || c.P != w.P {
			t.Errorf("%q reads as %v (%v), want %v", w.Word, c.P, err, w.P)
		}
		if w.P < 0 || w.P > 1 {
			t.Errorf("%v: off [0, 1]", words[i])
		}
	}
	words[0].P = -1
	if text.ConfidenceWords()[0].P == -1 {
		t.Error("callers can change the scale")
	}
}

func seeds(f *testing.F, corpora ...string) {
	for _, name := range corpora {
		raw, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		for _, line := range strings.Split(string(raw), "\n") {
			if _, s, ok := strings.Cut(line, `"`); ok {
				f.Add(s)
			}
		}
	}
	f.Add("\xff\xfe\x1b[<<\\boxed{{{")
}

func FuzzExtract(f *testing.F) {
	seeds(f, "extract.txt", "grade.txt")
	task := text.Task{Question: "Which is larger, Paris or Lyon (in 1,000 people)?",
		Options: []text.Option{{"A", "", "Paris"}, {"B", "", "Lyon"}}, Labels: []string{"paris", "lyon"}, Aliases: [][]string{{"Paris", "City of Light"}}}
	f.Fuzz(func(t *testing.T, s string) {
		for _, kind := range []text.Kind{text.Free, text.Number, text.Letter, text.Bool, text.Label} {
			for _, tk := range []text.Task{{Kind: kind}, {Kind: kind, Question: task.Question, Options: task.Options, Labels: task.Labels, Aliases: task.Aliases}} {
				a := tk.Extract(s)
				switch a.Status {
				case text.Parsed:
					if a.Text == "" || a.Rule == "" || tk.Key(a) == "" {
						t.Fatalf("parsed, but %+v key %q", a, tk.Key(a))
					}
					if kind == text.Number && a.Value == nil {
						t.Fatalf("a number without value: %+v", a)
					}
					if c := tk.Classes([]text.Answer{a, a}); len(c) != 1 || len(c[0]) != 2 {
						t.Fatalf("not equal to itself: %v", c)
					}
				case text.Unparsed:
					if a.Text != "" || tk.Key(a) != "" {
						t.Fatalf("unparsed, but %+v", a)
					}
				}
				if a.Span.Start < 0 || a.Span.End < a.Span.Start || a.Span.End > len(s) {
					t.Fatalf("span %v of %d bytes", a.Span, len(s))
				}
				tk.GradeMention(a, []string{s, "Paris"})
			}
			if text.Equal(kind, s, "x") != text.Equal(kind, "x", s) {
				t.Fatal("not symmetric")
			}
		}
		text.Degenerate(s, s)
	})
}

func FuzzParseConfidence(f *testing.F) {
	seeds(f, "confidence.txt")
	f.Fuzz(func(t *testing.T, s string) {
		for scale := text.PercentScale; scale <= text.WordScale; scale++ {
			c, err := text.ParseConfidence(s, scale)
			if err != nil {
				if c != (text.Confidence{}) {
					t.Fatalf("error and value %+v", c)
				}
				continue
			}
			if !(c.Low >= 0 && c.Low <= c.P && c.P <= c.High && c.High <= 1) || c.Form == "" {
				t.Fatalf("%q: %+v", s, c)
			}
			if c.Span.Start < 0 || c.Span.End > len(s) || c.Span.Len() <= 0 {
				t.Fatalf("span %v of %q", c.Span, s)
			}
		}
	})
}

func FuzzSentences(f *testing.F) {
	seeds(f, "sentences.txt", "extract.txt")
	f.Fuzz(func(t *testing.T, s string) {
		end := 0
		for _, p := range text.Sentences(s) {
			if p.Start != end || p.End <= p.Start {
				t.Fatalf("span %v after %d", p, end)
			}
			if q := text.Trim(s, p); q.Start < p.Start || q.End > p.End || q.End < q.Start {
				t.Fatalf("trimmed %v to %v", p, q)
			}
			end = p.End
		}
		if end != len(s) {
			t.Fatalf("covers %d of %d bytes", end, len(s))
		}
	})
}

func FuzzSanitise(f *testing.F) {
	seeds(f, "extract.txt")
	f.Add("\x1b]0;x\x07\u009b1m\u202e\r")
	f.Fuzz(func(t *testing.T, s string) {
		got := text.Sanitise(s)
		if !utf8.ValidString(got) {
			t.Fatalf("invalid UTF-8: %q", got)
		}
		for _, r := range got {
			if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("%U left in %q", r, got)
			}
		}
		if again := text.Sanitise(got); again != got {
			t.Fatalf("not idempotent: %q, %q", got, again)
		}
		if line := text.SanitiseLine(s); strings.ContainsAny(line, "\n\t\r") {
			t.Fatalf("a line break in %q", line)
		}
		for _, n := range []int{1, 7} {
			if c := text.Clip(got, n); !utf8.ValidString(c) {
				t.Fatalf("Clip(%q, %d) = %q", got, n, c)
			}
		}
	})
}

func ExampleExtract() {
	a := text.Extract(text.Number, "She has 3 + 4 = 7 apples.\nAnswer: 7 apples")
	fmt.Println(a.Text, a.Value.RatString(), a.Rule, a.Status)
	// Output: 7 7 declared parsed
}

func ExampleTask_Extract() {
	task := text.Task{Question: "Who wrote Hamlet?"}
	for _, reply := range []string{"Hamlet was written by William Shakespeare.", "**Shakespeare**", "I'm sorry, I don't know."} {
		a := task.Extract(reply)
		fmt.Printf("%q %s\n", a.Text, a.Status)
	}
	// Output:
	// "William Shakespeare" parsed
	// "Shakespeare" parsed
	// "" refused
}

func ExampleClasses() {
	var answers []text.Answer
	for _, reply := range []string{"Paris.", "The answer is Paris", "Lyon", "I don't know", ""} {
		answers = append(answers, text.Extract(text.Free, reply))
	}
	fmt.Println(text.Classes(answers))
	// Output: [[0 1] [2] [3]]
}

func ExampleTask_Grade() {
	task := text.Task{Question: "Who was the first man on the Moon?"}
	accepted := []string{"Neil Armstrong"}
	for _, reply := range []string{"Armstrong", "Louis Armstrong", "I cannot answer that.", ""} {
		fmt.Println(task.Grade(task.Extract(reply), accepted))
	}
	// Output:
	// right
	// wrong
	// refused
	// unparsed
}

func ExampleParseConfidence() {
	for _, reply := range []string{"Confidence: 85%", "8/10", "80-90", "1", "0-100"} {
		c, err := text.ParseConfidence(reply, text.PercentScale)
		if err != nil {
			fmt.Println("unparsed")
			continue
		}
		fmt.Println(c.P, c.Form)
	}
	// Output:
	// 0.85 percent
	// 0.8 ratio
	// 0.85 range
	// 0.01 number
	// unparsed
}

func ExampleSentences() {
	s := "Dr. Smith paid $3.50. He left."
	for _, p := range text.Sentences(s) {
		fmt.Printf("%v %q\n", p, text.Trim(s, p).In(s))
	}
	// Output:
	// {0 22} "Dr. Smith paid $3.50."
	// {22 30} "He left."
}

var benchReplies = []struct {
	name  string
	task  text.Task
	reply string
}{
	{"free/short", text.Task{}, "Paris"},
	{"free/sentence", text.Task{Question: "What is the capital of France?"}, "The capital of France is Paris, which lies on the Seine. It has about two million people."},
	{"number/cot", text.Task{Kind: text.Number}, "She eats 3 and bakes 4, so 16 - 3 - 4 = 9 eggs are left.\nShe makes 9 * 2 = $18 every day.\nAnswer: 18"},
	{"letter/text", text.Task{Kind: text.Letter}, "The correct answer is (B) Lyon, because it is the larger one."},
	{"bool", text.Task{Kind: text.Bool}, "Yes, because the claim is supported by the text."},
}

func BenchmarkExtract(b *testing.B) {
	for _, c := range benchReplies {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if a := c.task.Extract(c.reply); a.Status != text.Parsed {
					b.Fatal(a)
				}
			}
		})
	}
}

// BenchmarkClasses groups 40 extracted answers, as self-consistency does.
func BenchmarkClasses(b *testing.B) {
	free := []string{"Paris", "Lyon", "the city of Paris", "paris.", "Marseille"}
	number := []string{"18", "18.0", "$18", "19", "36/2"}
	for _, c := range []struct {
		kind  text.Kind
		texts []string
	}{{text.Free, free}, {text.Number, number}} {
		b.Run(c.kind.String(), func(b *testing.B) {
			var answers []text.Answer
			for i := range 40 {
				answers = append(answers, text.Extract(c.kind, c.texts[i%len(c.texts)]))
			}
			b.ReportAllocs()
			for b.Loop() {
				if len(text.Classes(answers)) == 0 {
					b.Fatal("no classes")
				}
			}
		})
	}
}

// BenchmarkRougeL compares 45 pairs of 20 words, an item of lexical similarity
// over ten samples.
func BenchmarkRougeL(b *testing.B) {
	words := strings.Fields("the quick brown fox jumps over the lazy dog while seven other animals look on and wonder about its fine skill")
	var samples []string
	for i := range 10 {
		samples = append(samples, strings.Join(append(slices.Clone(words[i:]), words[:i]...), " "))
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range samples {
			for j := range i {
				text.RougeL(samples[i], samples[j])
			}
		}
	}
}

func BenchmarkParseConfidence(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := text.ParseConfidence("Answer: Paris\nConfidence (0-100): 85%", text.PercentScale); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSentences(b *testing.B) {
	s := strings.Repeat("Dr. Smith paid $3.50 for it. He left at 5 p.m. and never came back! ", 20)
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	for b.Loop() {
		text.Sentences(s)
	}
}
