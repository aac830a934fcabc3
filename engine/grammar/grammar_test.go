package grammar_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"gnothi/engine/grammar"
)

// vocabulary has all bytes, and words that reach over the parts of JSON.
func vocabulary() (*grammar.Vocabulary, []string) {
	pieces := []string{""}
	for b := range 256 {
		pieces = append(pieces, string([]byte{byte(b)}))
	}
	pieces = append(pieces, `{"`, `":`, `": "`, `", "`, `"}`, `"]`, `}}`, `]}`, `{}`, `[]`, "\n  ", "true", "false", "null", "name", "the", " of", "12", "00", "é", "日本", "\xe6\x97", `\u00`, `\"`, `","`, ` "`, "-1", ".5", "e1", "}]")
	return grammar.NewVocabulary(len(pieces), func(id int32) []byte { return []byte(pieces[id]) }), pieces
}

// write lets chance choose tokens until the text ends or limit tokens are written, in the way the engine
// does: no token after which an end is out of reach.
func write(t *testing.T, g *grammar.Grammar, pieces []string, rng *rand.Rand, limit int) (text string, ended bool) {
	t.Helper()
	m := g.Matcher()
	plan, ok := m.Plan()
	if !ok {
		t.Fatal("no way to an end")
	}
	reachable := len(plan) <= limit
	var b strings.Builder
	for left := limit; left > 0; left-- {
		if m.MustEnd() || m.CanEnd() && rng.IntN(4) == 0 {
			break
		}
		var ids []int32
		for i, word := range m.Mask() {
			for j := range 64 {
				if word>>j&1 != 0 {
					if id := int32(64*i + j); !reachable || m.Fits(id, left-1) {
						ids = append(ids, id)
					}
				}
			}
		}
		if len(ids) == 0 {
			t.Fatalf("no token fits after %q", b.String())
		}
		id := ids[rng.IntN(len(ids))]
		if err := m.Accept(id); err != nil {
			t.Fatal(err)
		}
		b.WriteString(pieces[id])
	}
	if reachable && !m.CanEnd() {
		t.Errorf("an end within %d tokens was in reach and is not there: %q", limit, b.String())
	}
	return b.String(), m.CanEnd()
}

func validator(t *testing.T, schema string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, schema, text string) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = s.Validate(v)
	}
	if err != nil {
		t.Errorf("schema %s\n let through %q: %v", schema, text, err)
	}
	if !utf8.ValidString(text) {
		t.Errorf("%q is not UTF-8", text)
	}
}

var schemas = []string{
	`{"type":"object"}`, `true`, `{}`, `{"type":"array"}`, `{"type":["string","null"]}`, `{"type":"boolean"}`,
	`{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":120}},"required":["name","age"],"additionalProperties":false}`,
	`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"number"},"c":{"type":"boolean"}}}`,
	`{"type":"object","properties":{"a":true,"b":{"type":"null"},"c":false},"required":["b"]}`,
	`{"type":"object","properties":{"name":{"type":"integer"},"n":{"type":"integer"}},"additionalProperties":{"type":"string"}}`,
	`{"type":"object","properties":{"x":{"const":1}},"required":["y","x"],"additionalProperties":true}`,
	`{"type":"object","additionalProperties":{"type":"array","items":{"enum":["a","b\"c","é",1,null,{"k":[1,2]}]}},"minProperties":1}`,
	`{"properties":{"q\"uote\\":{"const":"x\ny<&>"},"é":{"const":"日本"}},"required":["é"]}`,
	`{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":4}`,
	`{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false,"minItems":1}`,
	`{"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"boolean"},"minItems":3}`,
	`{"type":"array","maxItems":0}`, `{"type":"array","items":false}`,
	`{"type":"string","minLength":2,"maxLength":5}`, `{"type":"string","minLength":3}`,
	`{"type":"string","pattern":"^[A-Z]{2}-\\d{3,5}$"}`, `{"type":"string","pattern":"a+b"}`, `{"type":"string","pattern":"^(\"|\\\\|\\t|[^a-y]){1,3}$"}`,
	`{"type":"string","format":"date"}`, `{"type":"string","format":"date-time"}`, `{"type":"string","format":"time"}`, `{"type":"string","format":"uuid"}`, `{"type":"string","format":"ipv4"}`,
	`{"type":"integer"}`, `{"type":"number"}`, `{"type":"integer","minimum":-37,"exclusiveMaximum":1205}`, `{"type":"integer","minimum":98.5}`, `{"type":"integer","maximum":-8}`, `{"type":"integer","minimum":0,"maximum":0}`,
	`{"type":"number","minimum":0,"maximum":1}`, `{"type":"number","exclusiveMinimum":-2,"exclusiveMaximum":3}`, `{"type":"number","maximum":0}`, `{"type":"number","exclusiveMaximum":0}`, `{"type":"number","minimum":-1,"maximum":0}`, `{"type":"number","exclusiveMinimum":99,"maximum":1000}`,
	`{"anyOf":[{"type":"string"},{"type":"object","properties":{"v":{"type":"integer"}},"required":["v"]}]}`,
	`{"oneOf":[{"type":"integer"},{"type":"string","maxLength":3},{"enum":[true]}]}`,
	`{"oneOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind","x"]},{"type":"object","properties":{"kind":{"const":"b"}},"required":["kind"]}]}`,
	`{"$defs":{"node":{"type":"object","properties":{"value":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["value","next"],"additionalProperties":false}},"$ref":"#/$defs/node"}`,
	`{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}},"name":{"type":"string","maxLength":3}},"required":["children"]}`,
	`{"allOf":[{"type":"string","enum":["x","y",3]}],"title":"t","description":"d","x-order":1}`,
	`{"type":"object","properties":{"a":{"type":"array","minItems":1,"items":{"type":"object","properties":{"b":{"type":"array","items":{"type":"string"}}},"required":["b"]}}},"required":["a"]}`,
}

// TestValid: whatever chance writes within a grammar is valid against the schema.
func TestValid(t *testing.T) {
	v, pieces := vocabulary()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, schema := range schemas {
		g, err := grammar.Compile([]byte(schema), v)
		if err != nil {
			t.Errorf("%s: %v", schema, err)
			continue
		}
		s := validator(t, schema)
		ended := 0
		texts := map[string]bool{}
		for i := range 60 {
			text, ok := write(t, g, pieces, rng, 5+i)
			if ok {
				ended++
				texts[text] = true
				validate(t, s, schema, text)
			}
		}
		if ended < 20 {
			t.Errorf("%s: only %d of 60 texts ended", schema, ended)
		}
	}
}

// TestRandomSchemas does the same with schemas made by chance.
func TestRandomSchemas(t *testing.T) {
	v, pieces := vocabulary()
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 3))
		raw, err := json.Marshal(randomSchema(rng, 3))
		if err != nil {
			t.Fatal(err)
		}
		g, err := grammar.Compile(raw, v)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		s := validator(t, string(raw))
		for i := range 8 {
			if text, ok := write(t, g, pieces, rng, 20+20*i); ok {
				validate(t, s, string(raw), text)
			}
		}
	}
}

func randomSchema(rng *rand.Rand, depth int) any {
	n := rng.IntN(9)
	if depth == 0 {
		n = rng.IntN(6)
	}
	switch n {
	case 0:
		return map[string]any{"type": "string", "maxLength": rng.IntN(9)}
	case 1:
		lo := rng.IntN(2000) - 1000
		return map[string]any{"type": "integer", "minimum": lo, "maximum": lo + rng.IntN(3000)}
	case 2:
		lo := rng.IntN(200) - 100
		return map[string]any{"type": "number", "exclusiveMinimum": lo, "maximum": lo + 1 + rng.IntN(300)}
	case 3:
		return map[string]any{"enum": []any{rng.IntN(5), "a" + fmt.Sprint(rng.IntN(3)), nil, []any{1, "x"}}}
	case 4:
		return map[string]any{"type": []string{"boolean", "null"}}
	case 5:
		return map[string]any{"type": "string", "pattern": []string{"^[a-c]+$", "x", "^\\w*@z{2}", "[^\\d]$"}[rng.IntN(4)]}
	case 6:
		lo := rng.IntN(3)
		return map[string]any{"type": "array", "items": randomSchema(rng, depth-1), "minItems": lo, "maxItems": lo + rng.IntN(3)}
	case 7:
		return map[string]any{"anyOf": []any{randomSchema(rng, depth-1), randomSchema(rng, depth-1)}}
	}
	properties, required := map[string]any{}, []string{}
	for i := range 1 + rng.IntN(4) {
		name := string(rune('a'+i)) + strings.Repeat("z", rng.IntN(2))
		properties[name] = randomSchema(rng, depth-1)
		if rng.IntN(2) == 0 {
			required = append(required, name)
		}
	}
	s := map[string]any{"type": "object", "properties": properties, "required": required}
	if rng.IntN(2) == 0 {
		s["additionalProperties"] = randomSchema(rng, 0)
	}
	return s
}

// fits feeds a text byte by byte.
func fits(g *grammar.Grammar, text string) bool {
	m := g.Matcher()
	for i := range len(text) {
		if m.Accept(1+int32(text[i])) != nil {
			return false
		}
	}
	return m.CanEnd()
}

// TestTexts: what models write gets through, and what is invalid does not.
func TestTexts(t *testing.T) {
	v, _ := vocabulary()
	person := schemas[6]
	for _, c := range []struct {
		schema, text string
		want         bool
	}{
		{person, `{"name":"Ada","age":36}`, true},
		{person, `{ "name": "Ada", "age": 36 }`, true},
		{person, "{\n  \"name\": \"Ada\",\n  \"age\": 36\n}", true},
		{person, `{"name":"Ada","age":121}`, false},
		{person, `{"name":"Ada"}`, false},
		{person, `{"name":"Ada","age":036}`, false},
		{person, `{"name":"A` + "\n" + `da","age":36}`, false},
		{person, `{"name":"\u00e9 \" \\ é 日本 😀","age":0}`, true},
		{person, `{"name":"\ud83d","age":0}`, false},
		{person, "{\"name\":\"\xff\",\"age\":0}", false},
		{person, "{\"name\":\"\xed\xa0\x80\",\"age\":0}", false},
		{`{"type":"object"}`, `{"a":{"b":[1,-2.5e+3,true,null,"x"]},"c":{}}`, true},
		{`{"type":"object"}`, `[]`, false},
		{`{"type":"object"}`, `{"a":1}}`, false},
		{schemas[9], `{"n":3,"nam":"x","names":"y"}`, true},
		{schemas[9], `{"nam":"x","name":"y"}`, false},
		{schemas[9], `{"na\u006de":"y"}`, false},
		{`{"type":"number","minimum":0,"maximum":1}`, `1.00`, false}, // one way to write it is enough
		{`{"type":"number","minimum":0,"maximum":1}`, `0.25`, true},
		{`{"type":"number","minimum":0,"maximum":1}`, `1.5`, false},
		{`{"type":"string","pattern":"a+b"}`, `"xaaaby"`, true},
		{`{"type":"string","pattern":"a+b"}`, `"xaaay"`, false},
		{`{"type":"string","minLength":2,"maxLength":3}`, `"日本"`, true},
		{`{"type":"string","minLength":2,"maxLength":3}`, `"\u65e5"`, false},
	} {
		g, err := grammar.Compile([]byte(c.schema), v)
		if err != nil {
			t.Fatal(err)
		}
		if got := fits(g, c.text); got != c.want {
			t.Errorf("%s: %s gets through: %v, want %v", c.schema, c.text, got, c.want)
		}
	}
	// Every number of a range, and no other.
	g, err := grammar.Compile([]byte(`{"type":"integer","minimum":-37,"exclusiveMaximum":1205}`), v)
	if err != nil {
		t.Fatal(err)
	}
	for n := -1500; n < 13000; n++ {
		if got := fits(g, fmt.Sprint(n)); got != (n >= -37 && n < 1205) {
			t.Errorf("%d gets through: %v", n, got)
		}
	}
}

// TestRefused: what cannot be kept to is refused by name and place.
func TestRefused(t *testing.T) {
	v, _ := vocabulary()
	for _, c := range []struct{ schema, at, keyword string }{
		{`{"type":"object","properties":{"a":{"not":{}}}}`, "#/properties/a", "not"},
		{`{"type":"object","patternProperties":{"x":{}}}`, "#", "patternProperties"},
		{`{"if":{}}`, "#", "if"}, {`{"type":"string","nullable":true}`, "#", "nullable"},
		{`{"type":"array","uniqueItems":true}`, "#", "uniqueItems"}, {`{"type":"array","contains":{}}`, "#", "contains"},
		{`{"type":"number","multipleOf":0.1}`, "#", "multipleOf"}, {`{"type":"number","minimum":0.5}`, "#", "minimum"},
		{`{"type":"string","format":"email"}`, "#", "format"}, {`{"type":"string","pattern":"(?=a)b"}`, "#", "pattern"},
		{`{"type":"string","pattern":"a","maxLength":3}`, "#", "maxLength"}, {`{"type":"string","pattern":"a(^b)"}`, "#", "pattern"},
		{`{"type":"text"}`, "#", "type"}, {`{"type":["string",3]}`, "#", "type"},
		{`{"anyOf":[{"type":"string"}],"maxLength":3}`, "#", "maxLength"}, {`{"anyOf":[]}`, "#", "anyOf"},
		{`{"oneOf":[{"type":"integer"},{"type":"number"}]}`, "#", "oneOf"},
		{`{"oneOf":[{"type":"object","properties":{"a":{"const":1}}},{"type":"object","properties":{"a":{"const":2}}}]}`, "#", "oneOf"},
		{`{"allOf":[{},{}]}`, "#", "allOf"}, {`{"$ref":"other.json"}`, "#", "$ref"}, {`{"$ref":"#/$defs/x"}`, "#", "$ref"},
		{`{"$ref":"#"}`, "#", ""}, {`{"anyOf":[{"$ref":"#"},{"type":"null"}]}`, "#", ""},
		{`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`, "#", ""},
		{`{"type":"object","properties":{"a":false},"required":["a"]}`, "#", "required"},
		{`{"type":"object","required":["a"],"additionalProperties":false}`, "#", "required"},
		{`{"type":"string","minLength":5,"maxLength":3}`, "#", "minLength"}, {`{"type":"string","minLength":5000}`, "#", "minLength"},
		{`{"type":"array","items":[{}]}`, "#", "items"}, {`{"enum":[1,2],"type":"string"}`, "#", "enum"}, {`{"const":1,"minimum":0}`, "#", "minimum"},
		{`false`, "#", ""}, {`3`, "#", ""}, {`{`, "#", ""}, {`{"a":1}{`, "#", ""}, {strings.Repeat(`{"items":`, 300) + "1" + strings.Repeat("}", 300), "#", ""},
		{`{"type":"object","minProperties":3}`, "#", "minProperties"}, {`{"type":"integer","minimum":5,"maximum":4}`, "#", "minimum"},
		{`{"type":"object","properties":{"a/b":{"type":"array","items":{"dependentRequired":{}}}}}`, "#/properties/a~1b/items", "dependentRequired"},
	} {
		_, err := grammar.Compile([]byte(c.schema), v)
		var se *grammar.SchemaError
		if !errors.As(err, &se) || se.Keyword != c.keyword || se.At != c.at {
			t.Errorf("%.80s: %v, want %q at %s", c.schema, err, c.keyword, c.at)
		}
	}
}

// TestMatcher: masks are what Accept takes, and plans lead to an end.
func TestMatcher(t *testing.T) {
	v, pieces := vocabulary()
	g, err := grammar.Compile([]byte(schemas[6]), v)
	if err != nil {
		t.Fatal(err)
	}
	m := g.Matcher()
	for !m.CanEnd() {
		mask := m.Mask()
		for id := range int32(len(pieces)) {
			n := *m
			if (n.Accept(id) == nil) != (mask[id/64]>>(id%64)&1 != 0) {
				t.Fatalf("mask and Accept disagree on %q", pieces[id])
			}
		}
		plan, ok := m.Plan()
		if !ok || len(plan) == 0 {
			t.Fatal("no plan")
		}
		if err := m.Accept(plan[0]); err != nil {
			t.Fatal(err)
		}
	}
	if ids, ok := m.Plan(); !m.MustEnd() || !ok || len(ids) != 0 || slices.ContainsFunc(m.Mask(), func(w uint64) bool { return w != 0 }) {
		t.Error("the end is not the end")
	}
	// A vocabulary that lacks a letter.
	poor := grammar.NewVocabulary(3, func(id int32) []byte { return []byte(`"ab`[id:][:1]) })
	if g, err = grammar.Compile([]byte(`{"const":"ac"}`), poor); err != nil {
		t.Fatal(err)
	}
	if _, ok := g.Matcher().Plan(); ok {
		t.Error("a plan without the letter c")
	}
}

// TestManyStates: more states than are kept change nothing.
func TestManyStates(t *testing.T) {
	v, _ := vocabulary()
	g, err := grammar.Compile([]byte(`{"type":"array","items":{"type":"string","minLength":3000,"maxLength":4000}}`), v)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("aé", 1500)
	for range 3 {
		m := g.Matcher()
		for i, b := range []byte(`["` + long + `","` + long + `"]`) {
			id := 1 + int32(b)
			if mask := m.Mask(); mask[id/64]>>(id%64)&1 == 0 {
				t.Fatalf("byte %d, %q, is not in the mask", i, b)
			}
			if err := m.Accept(id); err != nil {
				t.Fatal(err)
			}
		}
		if !m.MustEnd() {
			t.Error("the text is not complete")
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range schemas {
		f.Add([]byte(s), uint64(1))
	}
	v, pieces := vocabulary()
	f.Fuzz(func(t *testing.T, schema []byte, seed uint64) {
		if len(schema) > 2000 {
			return
		}
		g, err := grammar.Compile(schema, v)
		if err != nil {
			return
		}
		m := g.Matcher()
		plan, ok := m.Plan()
		if !ok {
			t.Fatalf("all bytes are tokens, and no way to an end of %s", schema)
		}
		var text []byte
		for _, id := range plan {
			if err := m.Accept(id); err != nil {
				t.Fatal(err)
			}
			text = append(text, pieces[id]...)
		}
		if !m.CanEnd() || !json.Valid(text) {
			t.Fatalf("the shortest text %q of %s", text, schema)
		}
	})
}
