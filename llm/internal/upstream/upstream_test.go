package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, r io.Reader) ([]string, error) {
	t.Helper()
	var got []string
	for e := NewEvents(r); ; {
		event, err := e.Next()
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, event.Name+"|"+string(event.Data))
	}
}

func TestEvents(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                nil,
		"data: a\n\n":                     {"|a"},
		"data:a\ndata: b\n\ndata:  c\n\n": {"|a\nb", "| c"},
		"\ufeffevent: x\r\ndata: a\r\n\r\n: comment\r\n\r\ndata: b\r\n\r\n": {"x|a", "|b"},
		"data: a\r\rdata: b\r\r":                         {"|a", "|b"},
		"id: 1\nretry: 3\nunknown: x\nevent: only\n\n\n": nil, // no data, no event
		"event: x\n\ndata: a\n\n":                        {"|a"},
		"data\n\n":                                       {"|"},
		"data: last line without an end":                 {"|last line without an end"},
		"data: a\n\n\n\ndata: b\n":                       {"|a", "|b"},
	} {
		for name, split := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "with EOF": iotest.DataErrReader,
		} {
			got, err := read(t, split(strings.NewReader(text)))
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Errorf("%q in %s: %v\n%s", text, name, err, d)
			}
		}
	}
}

func TestEventsAreBounded(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("data: "), &zeros{})
	if _, err := read(t, endless); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("an endless line: %v", err)
	}
	lines := strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", MaxEvent>>20+1)
	if _, err := read(t, strings.NewReader(lines)); err == nil {
		t.Error("an event of lines of 1 MiB each has no end")
	}
	broken := errors.New("broken")
	if got, err := read(t, io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken))); !errors.Is(err, broken) || len(got) != 1 {
		t.Errorf("got %q, %v", got, err)
	}
}

type zeros struct{}

func (*zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// TestEventAtOnce checks that an event is given when its blank line came, not
// when more comes.
func TestEventAtOnce(t *testing.T) {
	for _, end := range []string{"\n\n", "\r\n\r\n", "\r\r"} {
		r, w := io.Pipe()
		go io.WriteString(w, "data: a"+end)
		e, err := NewEvents(r).Next()
		if string(e.Data) != "a" || err != nil {
			t.Errorf("%q: %q, %v", end, e.Data, err)
		}
		w.Close()
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("\ufeff: c\r\nevent: x\rdata: a\ndata: b\r\n\r\ndata: [DONE]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, err1 := read(t, strings.NewReader(string(b)))
		split, err2 := read(t, iotest.OneByteReader(strings.NewReader(string(b))))
		if cmp.Diff(whole, split) != "" || (err1 == nil) != (err2 == nil) {
			t.Errorf("depends on how it is split: %q, %v; %q, %v", whole, err1, split, err2)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "0.5": time.Second / 2, "-1": 0, "NaN": 0, "1e300": 24 * time.Hour, "soon": 0,
		"Tue, 24 Nov 2026 12:00:07 GMT": 7 * time.Second, "Mon, 23 Nov 2026 12:00:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	if got := retryAfter(http.Header{"Retry-After": {"3"}, "Retry-After-Ms": {"1500"}}, now); got != 1500*time.Millisecond {
		t.Errorf("milliseconds: %v", got)
	}
}

func TestRedact(t *testing.T) {
	c := Client{Secrets: []string{"hunter2", ""}}
	for in, want := range map[string]string{
		"bad key hunter2!": "bad key [key]!",
		"Incorrect API key provided: sk-abcd1234efgh.":           "Incorrect API key provided: [key].",
		"sk-proj-ab***************cd is wrong":                   "[key] is wrong",
		"Authorization: Bearer abcdefgh12345":                    "Authorization: [key]",
		"the task-oriented risk-averse disk-space":               "the task-oriented risk-averse disk-space",
		"'max_tokens' is not supported; key 'max_tokens' is bad": "'max_tokens' is not supported; key 'max_tokens' is bad",
	} {
		if got := c.Redact(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestErrorFrom(t *testing.T) {
	c := Client{Provider: "p"}
	for body, want := range map[string]string{
		`{"error":{"message":"m","type":"t","code":7,"param":"x"}}`: "p: status 400: m t 7 x",
		`{"error":"m"}`:           "p: status 400: m   ",
		`{"detail":"m"}`:          "p: status 400: m   ",
		`{"message":"m"}`:         "p: status 400: m   ",
		`{"error":{}}`:            "p: status 400: Bad Request   ",
		`{"error":null}`:          "p: status 400: Bad Request   ",
		"plain\xff\n":             "p: status 400: plain�   ",
		``:                        "p: status 400: Bad Request   ",
		`[1]`:                     "p: status 400: [1]   ",
		strings.Repeat("a", 9000): "p: status 400: " + strings.Repeat("a", 500) + "   ",
	} {
		e := c.ErrorFrom(400, []byte(body))
		if got := fmt.Sprint(e, " ", e.Type, " ", e.Code, " ", e.Param); got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}

func FuzzErrorFrom(f *testing.F) {
	f.Add([]byte(`{"error":{"message":"m","code":[1]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e := (&Client{}).ErrorFrom(500, b); e.Message == "" || len(e.Message) > 3*len(b)+100 {
			t.Errorf("%q", e.Message)
		}
	})
}
func FuzzCutter(f *testing.F) {
	f.Add("a\n \nb", "\n \n", 2)
	f.Fuzz(func(t *testing.T, text, stop string, at int) {
		if stop == "" || at < 0 || at > len(text) {
			return
		}
		c := Cutter{Stops: []string{stop}}
		got, found := c.Add(text[:at])
		if !found {
			var more string
			more, found = c.Add(text[at:])
			got += more + c.Held
		}
		want, _, wants := strings.Cut(text, stop)
		if got != want || found != wants {
			t.Errorf("%q cut at %q: %q, %v", text, stop, got, found)
		}
	})
}
