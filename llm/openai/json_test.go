package openai

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzMembers compares with encoding/json.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a":[1,{"b":"}"}],"c" : "x\"y\\","d":null , "e":-1.5e3}`, `{"a":1,"a":{"b":[]}}`, `{"\u0061\n":"é","é":true}`,
		`null`, `[1,2]`, `"x"`, `12`, "{\"a\"\n:\t[ [ ] , \"]\" ]\r}", `{"a":"\\"}`, `{"a":`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return
		}
		want := map[string]json.RawMessage{}
		_ = json.Unmarshal(data, &want) // what is no object leaves it empty
		got := maps.Collect(members(data))
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s\n%s", data, d)
		}
		var list []json.RawMessage
		_ = json.Unmarshal(data, &list)
		if d := cmp.Diff(list, slices.Collect(elements(data)), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s\n%s", data, d)
		}
	})
}

// FuzzAppendString compares with encoding/json.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b\\c\n\r\t\x00\x1f\x7f", "é漢😀\u2028\u2029\ufffd", "\xff<&>\xc3", "\b\f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(s); err != nil {
			t.Fatal(err)
		}
		var a, b string
		got := appendString(nil, s)
		if err := json.Unmarshal(got, &a); err != nil {
			t.Fatalf("%q: %s: %v", s, got, err)
		}
		if err := json.Unmarshal(want.Bytes(), &b); err != nil {
			t.Fatal(err)
		}
		if a != b {
			t.Errorf("%q: wrote %s, encoding/json %s", s, got, want.Bytes())
		}
		if c := stringOf(got); c != a {
			t.Errorf("%s reads as %q, want %q", got, c, a)
		}
	})
}
