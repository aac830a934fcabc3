package text_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gnothi/text"
)

// The corpora in testdata are meant to be read and extended by hand: one case a
// line, strings in Go syntax, # opens a comment. Each file explains itself.

// fields is one line of a corpus: words and quoted strings, unquoted.
type fields struct {
	t   *testing.T
	at  string // file:line
	tok []string
}

// next returns the next field, "" at the end of the line.
func (f *fields) next() string {
	if len(f.tok) == 0 {
		return ""
	}
	s := f.tok[0]
	f.tok = f.tok[1:]
	return s
}

// corpus calls f for every line of a corpus file, as a subtest each.
func corpus(t *testing.T, name string, f func(t *testing.T, l *fields)) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		at := name + ":" + strconv.Itoa(i+1)
		var tok []string
		for line != "" && line[0] != '#' {
			var word string
			if q, err := strconv.QuotedPrefix(line); err == nil {
				word, _ = strconv.Unquote(q)
				line = line[len(q):]
			} else if line[0] == '"' {
				t.Fatalf("%s: bad string: %s", at, line)
			} else {
				word, line, _ = strings.Cut(line, " ")
			}
			tok = append(tok, word)
			line = strings.TrimSpace(line)
		}
		n++
		t.Run(at, func(t *testing.T) { f(t, &fields{t: t, at: at, tok: tok}) })
	}
	if n < 10 {
		t.Errorf("%s: only %d cases", name, n)
	}
}

// task reads what is left of a line: question "…", option "A=Paris", label "x",
// alias "UK=Britain".
func (f *fields) task(kind text.Kind) text.Task {
	task := text.Task{Kind: kind}
	for {
		switch w := f.next(); w {
		case "":
			return task
		case "question":
			task.Question = f.next()
		case "option":
			letter, s, _ := strings.Cut(f.next(), "=")
			task.Options = append(task.Options, text.Option{Letter: letter, Key: strings.ToLower(s), Text: s})
		case "label":
			task.Labels = append(task.Labels, f.next())
		case "alias":
			task.Aliases = append(task.Aliases, strings.Split(f.next(), "="))
		default:
			f.t.Fatalf("%s: unknown word %q", f.at, w)
		}
	}
}

func (f *fields) kind() text.Kind {
	k, err := text.ParseKind(f.next())
	if err != nil {
		f.t.Fatalf("%s: %v", f.at, err)
	}
	return k
}

func TestExtract(t *testing.T) {
	corpus(t, "extract.txt", func(t *testing.T, l *fields) {
		kind, reply := l.kind(), l.next()
		if arrow := l.next(); arrow != "=>" {
			t.Fatalf("want =>, got %q", arrow)
		}
		want, rule := l.next(), l.next()
		a := l.task(kind).Extract(reply)
		got := a.Text
		switch a.Status {
		case text.Refused:
			got = "!refused"
		case text.Unparsed:
			got = "!unparsed"
		}
		if got != want || rule != "*" && string(a.Rule) != rule {
			t.Errorf("%v %q\n got %q by %s (span %v)\nwant %q by %s", kind, reply, got, a.Rule, a.Span, want, rule)
		}
		if a.Status == text.Parsed && (kind == text.Free || kind == text.Number) && a.Span.In(reply) != a.Text {
			t.Errorf("span %v of %q is %q, want %q", a.Span, reply, a.Span.In(reply), a.Text)
		}
		if a.Status == text.Unparsed && (a.Rule != "" || a.Span != text.Span{} || a.Text != "") {
			t.Errorf("unparsed, yet %+v", a)
		}
	})
}

func TestEqual(t *testing.T) {
	corpus(t, "equal.txt", func(t *testing.T, l *fields) {
		kind, a, op, b := l.kind(), l.next(), l.next(), l.next()
		want := op == "=="
		if !want && op != "!=" {
			t.Fatalf("want == or !=, got %q", op)
		}
		for range 2 {
			if got := text.Equal(kind, a, b); got != want {
				t.Errorf("Equal(%v, %q, %q) = %v", kind, a, b, got)
			}
			a, b = b, a
		}
	})
}

func TestGrade(t *testing.T) {
	corpus(t, "grade.txt", func(t *testing.T, l *fields) {
		mode, kind, reply := l.next(), l.kind(), l.next()
		var accepted []string
		for w := l.next(); w != "=>"; w = l.next() {
			if w == "" {
				t.Fatal("want =>")
			}
			accepted = append(accepted, w)
		}
		want := l.next()
		task := l.task(kind)
		a := task.Extract(reply)
		got := task.Grade(a, accepted)
		if mode == "mention" {
			got = task.GradeMention(a, accepted)
		}
		if got.String() != want {
			t.Errorf("%s %v %q read as %q, accepted %q: %v, want %s", mode, kind, reply, a.Text, accepted, got, want)
		}
	})
}

func TestParseConfidence(t *testing.T) {
	scales := map[string]text.Scale{"percent": text.PercentScale, "unit": text.UnitScale, "ten": text.TenScale, "likert": text.LikertScale, "words": text.WordScale}
	corpus(t, "confidence.txt", func(t *testing.T, l *fields) {
		name := l.next()
		scale, ok := scales[name]
		if !ok {
			t.Fatalf("unknown scale %q", name)
		}
		reply := l.next()
		l.next() // =>
		want, form := l.next(), l.next()
		c, err := text.ParseConfidence(reply, scale)
		if err != nil {
			if want != "unparsed" {
				t.Errorf("%s %q: %v, want %s", name, reply, err, want)
			}
			if c != (text.Confidence{}) {
				t.Errorf("an error and a value: %+v", c)
			}
			return
		}
		if got := strconv.FormatFloat(c.P, 'g', 6, 64); got != want || string(c.Form) != form {
			t.Errorf("%s %q = %s %s (from %q), want %s %s", name, reply, got, c.Form, c.Span.In(reply), want, form)
		}
	})
}

func TestRefusal(t *testing.T) {
	corpus(t, "refusal.txt", func(t *testing.T, l *fields) {
		want, reply := l.next(), l.next()
		rule, refused := text.Refusal(reply)
		lang, _, _ := strings.Cut(rule, ":")
		if !refused {
			lang = "no"
		}
		if lang != want {
			t.Errorf("%q: %s (rule %q), want %s", reply, lang, rule, want)
		}
	})
}

func TestSentences(t *testing.T) {
	corpus(t, "sentences.txt", func(t *testing.T, l *fields) {
		want := l.tok
		whole := strings.Join(want, "")
		var got []string
		for _, p := range text.Sentences(whole) {
			got = append(got, p.In(whole))
		}
		if strings.Join(got, "¦") != strings.Join(want, "¦") {
			t.Errorf("\n got %q\nwant %q", got, want)
		}
	})
}

func TestReadBool(t *testing.T) {
	corpus(t, "verdict.txt", func(t *testing.T, l *fields) {
		want, reply := l.next(), l.next()
		got := "unparsed"
		if v, ok := text.ReadBool(reply); ok {
			got = strconv.FormatBool(v)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", reply, got, want)
		}
	})
}
