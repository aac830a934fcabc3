package text

import (
	"strings"
	"testing"
)

func TestCallsAreComparedByStructure(t *testing.T) {
	call := func(name, args string) string { return Key(Task{}.Calls(Call{Name: name, Arguments: args})) }
	for _, same := range [][]string{
		{`{"city":"Oslo","days":2}`, `{ "days" : 2.0, "city":"Oslo" }`, `{"city":"Os\u006co","days":20e-1}`, "\n{\"days\":0.2E+1,\"city\":\"Oslo\"}"},
		{``, `{}`, ` { } `},
		{`{"x":1.50}`, `{"x":15e-1}`, `{"x":0.15E1}`},
		{`{"x":9007199254740993}`, `{"x":9007199254740993.0}`},
		{`{"x":-0}`, `{"x":0.0}`, `{"x":0e7}`},
		{`{"x":1e400}`, `{"x":10e399}`},
		{`{"x":1e-20}`, `{"x":0.00000000000000000001}`},
	} {
		for _, args := range same {
			if got, want := call("f", args), call("f", same[0]); got != want || got == "" {
				t.Errorf("%s has the key %q, %s has %q", args, got, same[0], want)
			}
		}
	}
	all := []string{`{"x":1}`, `{"x":"1"}`, `{"x":true}`, `{"x":null}`, `{"x":[1]}`, `{"x":[1,2]}`, `{"x":[2,1]}`, `{"x":9007199254740993}`, `{"x":9007199254740992}`, `{"x":1e300}`, `{"x":1e301}`, `{"X":1}`, `{"x":"a"}`, `{"x":"A"}`}
	seen := map[string]string{}
	for _, args := range all {
		for _, name := range []string{"f", "g"} {
			key := call(name, args)
			if other := seen[key]; other != "" || key == "" {
				t.Errorf("%s(%s) and %s have the same key %q", name, args, other, key)
			}
			seen[key] = name + args
		}
	}
}

func TestCalls(t *testing.T) {
	a, b := Call{Name: "a", Arguments: `{"n": 1}`}, Call{Name: "b"}
	if x, y := (Task{}).Calls(a, b), (Task{}).Calls(b, a); Key(x) != Key(y) || x.Text != "a({\"n\":1})\nb({})" || x.Status != Parsed || x.Rule != RuleCall {
		t.Errorf("%+v, %+v", x, y)
	}
	if x := (Task{}).Calls(a, a); Key(x) == Key(Task{}.Calls(a)) {
		t.Errorf("two calls are one: %+v", x)
	}
	for _, bad := range []string{`{"a":`, `{"a":1} x`, `{'a':1}`, `{"a":01}`, "\x00", strings.Repeat("[", 100000)} {
		if x := (Task{}).Calls(Call{Name: "f", Arguments: bad}); x.Status != Unparsed || Key(x) != "" {
			t.Errorf("%.20q: %+v", bad, x)
		}
	}
	if x := (Task{}).Calls(); x.Status != Unparsed {
		t.Errorf("no call: %+v", x)
	}
	plain := Task{}.Calls(Call{Name: "sh", Arguments: "ls -l", Plain: true})
	if plain.Text != `sh("ls -l")` || Key(plain) == Key(Task{}.Calls(Call{Name: "sh", Arguments: "ls  -l", Plain: true})) {
		t.Errorf("%+v", plain)
	}
	// What a text says is no call, and an option or alias does not swallow one.
	said := Extract(Free, `f({"x":1})`)
	if Key(said) == Key(Task{}.Calls(Call{Name: "f", Arguments: `{"x":1}`})) {
		t.Errorf("a text passes for a call: %q", Key(said))
	}
	for _, k := range []Kind{Number, Letter, Bool, Label} {
		if got := (Task{Kind: k}); got.Key(got.Calls(b)) == "" {
			t.Errorf("a call in answer to a question of kind %v has no key", k)
		}
		if got := (Task{Kind: k}); len(got.Classes([]Answer{got.Calls(b), got.Calls(a), got.Calls(b)})) != 2 {
			t.Errorf("calls in answer to a question of kind %v make %v", k, got.Classes([]Answer{got.Calls(b), got.Calls(a), got.Calls(b)}))
		}
	}
}

func FuzzCalls(f *testing.F) {
	f.Add(`{"a":[1.50,{"b":null}],"c":"é\u0000"}`)
	f.Add(`-0.0e-5`)
	f.Add(`1e99999999999`)
	f.Fuzz(func(t *testing.T, args string) {
		a := Task{}.Calls(Call{Name: "f", Arguments: args})
		if a.Status != Parsed {
			return
		}
		inner := strings.TrimSuffix(strings.TrimPrefix(a.Text, "f("), ")")
		if again := (Task{}).Calls(Call{Name: "f", Arguments: inner}); again.Text != a.Text {
			t.Errorf("%q became %q and that %q", args, a.Text, again.Text)
		}
		if len(a.Text) > 6*len(args)+100 {
			t.Errorf("%q grew to %d bytes", args, len(a.Text))
		}
	})
}
