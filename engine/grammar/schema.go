package grammar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// SchemaError says which part of a schema cannot be honoured.
type SchemaError struct {
	At      string // JSON pointer into the schema, such as "#/properties/age"
	Keyword string // the keyword at fault, "" if it is the schema as a whole
	Why     string
}

func (e *SchemaError) Error() string {
	if e.Keyword == "" {
		return fmt.Sprintf("schema at %s: %s", e.At, e.Why)
	}
	return fmt.Sprintf("schema at %s: %q %s", e.At, e.Keyword, e.Why)
}

// The limits of counted parts. A larger upper bound is lowered to its limit, a larger lower bound refused.
const (
	maxCount   = 4096
	maxDigits  = 15 // of a number's whole and fractional parts
	maxNesting = 200
	maxSchema  = 1 << 20 // bytes
)

// Compile makes a grammar of a JSON schema (draft 2020-12). Every text it lets through is valid against the
// schema; not every valid text gets through: an object's properties come in the order of the schema, those
// beyond them only where additionalProperties says so in as many words, white space is at most a
// space, or a line break with up to 16 spaces, and numbers have up to 15 digits.
//
// Understood are: type, enum, const, anyOf, oneOf (if its alternatives exclude each other visibly),
// allOf of a single schema, $ref within the schema, $defs; properties, required, additionalProperties,
// minProperties and maxProperties where they say nothing new; items, prefixItems, minItems, maxItems;
// minLength, maxLength, pattern, format (date, time, date-time, uuid, ipv4); minimum, maximum and
// their exclusive forms in whole numbers; and annotations. Anything else that would narrow what is
// valid is refused with a *SchemaError that names it.
func Compile(schema []byte, v *Vocabulary) (*Grammar, error) {
	root, err := parse(schema)
	if err != nil {
		return nil, &SchemaError{At: "#", Why: err.Error()}
	}
	c := &compiler{root: root, refs: map[string]int32{}}
	main := c.w.newRule()
	c.refs["#"] = main
	f, err := c.schema(root, "#")
	if err != nil {
		return nil, err
	}
	c.w.define(main, f)
	if err := c.w.finish(); err != nil {
		return nil, &SchemaError{At: "#", Why: err.Error()}
	}
	return newGrammar(&c.w, v), nil
}

// AnyObject is a schema of all JSON objects, which is what response_format "json_object" asks for.
const AnyObject = `{"type": "object"}`

type compiler struct {
	w    network
	root any
	refs map[string]int32 // rules by JSON pointer

	shared map[string]int32 // rules that many places need
}

// object is a JSON object in its own order.
type object struct {
	keys   []string
	values map[string]any
}

func parse(raw []byte) (any, error) {
	if len(raw) > maxSchema {
		return nil, fmt.Errorf("it has %d bytes, at most %d are supported", len(raw), maxSchema)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := parseValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows it")
	}
	return v, nil
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("it is nested deeper than %d", maxNesting)
	}
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	switch t {
	case json.Delim('{'):
		o := &object{values: map[string]any{}}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, fmt.Errorf("not JSON: %w", err)
			}
			key, _ := k.(string)
			if _, twice := o.values[key]; twice {
				return nil, fmt.Errorf("the name %q is there twice", key)
			}
			o.keys = append(o.keys, key)
			if o.values[key], err = parseValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

var annotations = []string{
	"title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "$comment", "$schema", "$id", "$anchor",
	"$defs", "definitions", "contentEncoding", "contentMediaType", "contentSchema", "discriminator",
}

// narrowing are the keywords understood, by the type whose values they narrow ("" for all).
var narrowing = map[string][]string{
	"":       {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"},
	"object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
	"array":  {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"},
	"string": {"minLength", "maxLength", "pattern", "format"},
	"number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}

var types = []string{"object", "array", "string", "number", "integer", "boolean", "null"}

// part is a schema with its place.
type part struct {
	*object
	at string
}

func (p part) fail(keyword, format string, args ...any) error {
	return &SchemaError{p.at, keyword, fmt.Sprintf(format, args...)}
}

// narrows lists the keywords that are not annotations, in order.
func (p part) narrows() []string {
	return slices.DeleteFunc(slices.Clone(p.keys), func(k string) bool {
		return slices.Contains(annotations, k) || strings.HasPrefix(k, "x-")
	})
}

// alone refuses whatever stands beside a keyword and is not among besides.
func (p part) alone(keyword string, besides ...string) error {
	for _, k := range p.narrows() {
		if k != keyword && !slices.Contains(besides, k) {
			return p.fail(k, "beside %q is not supported", keyword)
		}
	}
	return nil
}

func (c *compiler) schema(s any, at string) (frag, error) {
	switch s := s.(type) {
	case bool:
		if !s {
			return frag{}, &SchemaError{at, "", "false: nothing is valid here"}
		}
		return c.any(), nil
	case *object:
		return c.part(part{s, at})
	}
	return frag{}, &SchemaError{at, "", "a schema has to be an object, true or false"}
}

func (c *compiler) part(p part) (frag, error) {
	if c.w.err != nil {
		return frag{}, &SchemaError{p.at, "", c.w.err.Error()}
	}
	keys := p.narrows()
	known := func(k string) bool {
		for _, list := range narrowing {
			if slices.Contains(list, k) {
				return true
			}
		}
		return false
	}
	for _, k := range keys {
		if !known(k) {
			return frag{}, p.fail(k, "is not supported: it cannot be kept to while a text is written")
		}
	}
	has := func(k string) bool { _, ok := p.values[k]; return ok }
	switch {
	case has("$ref"):
		return c.ref(p)
	case has("const"), has("enum"):
		return c.values(p)
	case has("anyOf"):
		return c.alternatives(p, "anyOf")
	case has("oneOf"):
		return c.alternatives(p, "oneOf")
	case has("allOf"):
		list, _ := p.values["allOf"].([]any)
		if len(list) != 1 {
			return frag{}, p.fail("allOf", "is supported with a single schema only")
		}
		if err := p.alone("allOf"); err != nil {
			return frag{}, err
		}
		return c.schema(list[0], p.at+"/allOf/0")
	}
	kinds, err := p.kinds()
	if err != nil {
		return frag{}, err
	}
	if len(keys) == 0 {
		return c.any(), nil
	}
	var parts []frag
	for _, kind := range kinds {
		f, err := c.kind(p, kind)
		if err != nil {
			return frag{}, err
		}
		parts = append(parts, f)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return c.w.alt(parts...), nil
}

// kinds are the types that a schema allows: those it names, or those it narrows, or all.
func (p part) kinds() ([]string, error) {
	switch t := p.values["type"].(type) {
	case string:
		if !slices.Contains(types, t) {
			return nil, p.fail("type", "is %q; there are %s", t, strings.Join(types, ", "))
		}
		return []string{t}, nil
	case []any:
		var kinds []string
		for _, v := range t {
			s, _ := v.(string)
			if !slices.Contains(types, s) {
				return nil, p.fail("type", "holds %v; there are %s", v, strings.Join(types, ", "))
			}
			kinds = append(kinds, s)
		}
		if len(kinds) == 0 {
			return nil, p.fail("type", "is an empty list")
		}
		return kinds, nil
	case nil:
		if _, ok := p.values["type"]; ok {
			return nil, p.fail("type", "is null; write \"null\"")
		}
	default:
		return nil, p.fail("type", "has to be a name or a list of names")
	}
	var kinds []string
	for _, kind := range types {
		for _, k := range p.narrows() {
			if slices.Contains(narrowing[kind], k) && !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	if kinds == nil {
		return []string{"object", "array", "string", "number", "boolean", "null"}, nil
	}
	return kinds, nil
}

func (c *compiler) kind(p part, kind string) (frag, error) {
	switch kind {
	case "object":
		return c.object(p)
	case "array":
		return c.array(p)
	case "string":
		return c.string(p)
	case "number", "integer":
		return c.number(p, kind == "integer")
	case "boolean":
		return c.w.alt(c.w.literal("true"), c.w.literal("false")), nil
	}
	return c.w.literal("null"), nil
}

func (c *compiler) ref(p part) (frag, error) {
	if err := p.alone("$ref"); err != nil {
		return frag{}, err
	}
	name, ok := p.values["$ref"].(string)
	if !ok {
		return frag{}, p.fail("$ref", "has to be text")
	}
	target, err := c.resolve(p, name)
	if err != nil {
		return frag{}, err
	}
	r, ok := c.refs[name]
	if !ok {
		r = c.w.newRule()
		c.refs[name] = r
		f, err := c.schema(target, name)
		if err != nil {
			return frag{}, err
		}
		c.w.define(r, f)
	}
	return c.w.call(r), nil
}

// resolve follows a JSON pointer from the schema's root.
func (c *compiler) resolve(p part, name string) (any, error) {
	pointer, local := strings.CutPrefix(name, "#")
	if !local || pointer != "" && pointer[0] != '/' {
		return nil, p.fail("$ref", "to %q: only places in this schema, as \"#/$defs/name\", are supported", name)
	}
	at := c.root
	if pointer == "" {
		return at, nil
	}
	for _, step := range strings.Split(pointer[1:], "/") {
		if plain, err := url.PathUnescape(step); err == nil {
			step = plain
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		var next any
		ok := false
		switch v := at.(type) {
		case *object:
			next, ok = v.values[step]
		case []any:
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(v) {
				next, ok = v[i], true
			}
		}
		if !ok {
			return nil, p.fail("$ref", "to %q: there is no such place", name)
		}
		at = next
	}
	return at, nil
}

func (c *compiler) alternatives(p part, keyword string) (frag, error) {
	if err := p.alone(keyword); err != nil {
		return frag{}, err
	}
	list, ok := p.values[keyword].([]any)
	if !ok || len(list) == 0 {
		return frag{}, p.fail(keyword, "has to be a list of schemas that is not empty")
	}
	if keyword == "oneOf" {
		for i := range list {
			for j := range i {
				if !c.exclude(list[j], list[i], 0) {
					return frag{}, p.fail(keyword, "alternatives %d and %d may both be valid for one text; give them different types or a property with different constants, or use anyOf", j, i)
				}
			}
		}
	}
	var parts []frag
	for i, s := range list {
		if s == false {
			continue
		}
		f, err := c.schema(s, fmt.Sprintf("%s/%s/%d", p.at, keyword, i))
		if err != nil {
			return frag{}, err
		}
		parts = append(parts, f)
	}
	if len(parts) == 0 {
		return frag{}, p.fail(keyword, "has no alternative that anything is valid for")
	}
	return c.w.alt(parts...), nil
}

// exclude reports whether no text can be valid for both; false if that cannot be seen.
func (c *compiler) exclude(a, b any, depth int) bool {
	x, okX := c.plain(a, depth)
	y, okY := c.plain(b, depth)
	if !okX || !okY || depth > maxNesting {
		return a == false || b == false
	}
	if vx, vy := x.constants(), y.constants(); vx != nil && vy != nil {
		return !slices.ContainsFunc(vx, func(v string) bool { return slices.Contains(vy, v) })
	}
	kx, ky := x.possible(), y.possible()
	if kx == nil || ky == nil {
		return false
	}
	both := slices.DeleteFunc(slices.Clone(kx), func(k string) bool { return !slices.Contains(ky, k) })
	if len(both) == 0 {
		return true
	}
	if !slices.Equal(both, []string{"object"}) {
		return false
	}
	px, _ := x.values["properties"].(*object)
	py, _ := y.values["properties"].(*object)
	if px == nil || py == nil {
		return false
	}
	for _, name := range px.keys {
		if v, ok := py.values[name]; ok && (x.requires(name) || y.requires(name)) && x.requires(name) && y.requires(name) && c.exclude(px.values[name], v, depth+1) {
			return true
		}
	}
	// One needs what the other forbids.
	forbids := func(a, b part, pb *object) bool {
		list, _ := a.values["required"].([]any)
		for _, v := range list {
			if name, ok := v.(string); ok && b.values["additionalProperties"] == false && pb.values[name] == nil {
				return true
			}
		}
		return false
	}
	return forbids(x, y, py) || forbids(y, x, px)
}

// plain follows references.
func (c *compiler) plain(s any, depth int) (part, bool) {
	for range maxNesting - min(depth, maxNesting) {
		o, ok := s.(*object)
		if !ok {
			return part{}, false
		}
		p := part{o, ""}
		name, ok := o.values["$ref"].(string)
		if !ok {
			return p, true
		}
		next, err := c.resolve(p, name)
		if err != nil {
			return part{}, false
		}
		s = next
	}
	return part{}, false
}

func (p part) requires(name string) bool {
	list, _ := p.values["required"].([]any)
	return slices.Contains(list, any(name))
}

// constants are the only values of a schema as JSON, nil if it does not list them.
func (p part) constants() []string {
	var list []any
	if v, ok := p.values["const"]; ok {
		list = []any{v}
	} else if list, ok = p.values["enum"].([]any); !ok {
		return nil
	}
	out := []string{}
	for _, v := range list {
		out = append(out, canonical(v))
	}
	return out
}

// possible are the types that a schema's values may have, whole numbers counted as numbers; nil if unknown.
func (p part) possible() []string {
	var list []any
	if v, ok := p.values["const"]; ok {
		list = []any{v}
	} else {
		list, _ = p.values["enum"].([]any)
	}
	var kinds []string
	for _, v := range list {
		kinds = append(kinds, kindOf(v))
	}
	if list == nil {
		if p.values["type"] == nil {
			return nil
		}
		kinds, _ = p.kinds()
	}
	kinds = slices.Clone(kinds)
	for i := range kinds {
		if kinds[i] == "integer" {
			kinds[i] = "number"
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func kindOf(v any) string {
	switch v := v.(type) {
	case *object:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case json.Number:
		if f, err := v.Float64(); err == nil && f == math.Trunc(f) {
			return "integer"
		}
		return "number"
	}
	return "null"
}

// canonical writes a value so that equal ones are equal text.
func canonical(v any) string {
	switch v := v.(type) {
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	case *object:
		keys := slices.Sorted(slices.Values(v.keys))
		var b strings.Builder
		for _, k := range keys {
			b.WriteString(encode(k) + ":" + canonical(v.values[k]) + ",")
		}
		return "{" + b.String() + "}"
	case []any:
		var b strings.Builder
		for _, e := range v {
			b.WriteString(canonical(e) + ",")
		}
		return "[" + b.String() + "]"
	}
	return encode(v)
}

// encode writes a value as compact JSON in its own order.
func encode(v any) string {
	switch v := v.(type) {
	case *object:
		var b strings.Builder
		for i, k := range v.keys {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(encode(k) + ":" + encode(v.values[k]))
		}
		return "{" + b.String() + "}"
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = encode(e)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "null" // nothing that a decoder gave fails
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// values compiles const and enum.
func (c *compiler) values(p part) (frag, error) {
	keyword, list := "const", []any{p.values["const"]}
	if v, ok := p.values["enum"]; ok {
		if _, both := p.values["const"]; both {
			return frag{}, p.fail("enum", "beside %q is not supported", "const")
		}
		keyword = "enum"
		if list, ok = v.([]any); !ok || len(list) == 0 {
			return frag{}, p.fail("enum", "has to be a list that is not empty")
		}
	}
	if err := p.alone(keyword, "type"); err != nil {
		return frag{}, err
	}
	kinds := types
	if _, ok := p.values["type"]; ok {
		var err error
		if kinds, err = p.kinds(); err != nil {
			return frag{}, err
		}
	}
	var parts []frag
	for _, v := range list {
		kind := kindOf(v)
		if slices.Contains(kinds, kind) || kind == "integer" && slices.Contains(kinds, "number") {
			parts = append(parts, c.w.literal(encode(v)))
		}
	}
	if len(parts) == 0 {
		return frag{}, p.fail(keyword, "has no value of the type that \"type\" asks for")
	}
	return c.w.alt(parts...), nil
}

// count reads a bound that is a whole number; or is the default.
func (p part) count(keyword string, or int) (int, error) {
	v, ok := p.values[keyword]
	if !ok {
		return or, nil
	}
	n, isNumber := v.(json.Number)
	f, err := n.Float64()
	if !isNumber || err != nil || f < 0 || f != math.Trunc(f) {
		return 0, p.fail(keyword, "has to be a whole number that is not negative")
	}
	return int(min(f, 1<<30)), nil
}

// bounds reads a lower and an upper bound; hi is −1 if there is none.
func (p part) bounds(least, most string) (lo, hi int, err error) {
	if lo, err = p.count(least, 0); err != nil {
		return
	}
	if hi, err = p.count(most, -1); err != nil {
		return
	}
	switch {
	case hi >= 0 && lo > hi:
		err = p.fail(least, "is %d, above %q, which is %d", lo, most, hi)
	case lo > maxCount:
		err = p.fail(least, "is %d; at most %d is supported", lo, maxCount)
	}
	return lo, min(hi, maxCount), err
}

func pointer(at string, steps ...string) string {
	for _, s := range steps {
		at += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
	}
	return at
}

func (c *compiler) object(p part) (frag, error) {
	named, ok := p.values["properties"].(*object)
	if v, there := p.values["properties"]; there && !ok {
		return frag{}, p.fail("properties", "has to be an object, not %s", kindOf(v))
	}
	if named == nil {
		named = &object{values: map[string]any{}}
	}
	more, said := p.values["additionalProperties"]
	if !said {
		more = len(named.keys) == 0
	}
	required := map[string]bool{}
	if v, there := p.values["required"]; there {
		list, ok := v.([]any)
		if !ok {
			return frag{}, p.fail("required", "has to be a list of names")
		}
		for _, e := range list {
			name, ok := e.(string)
			if !ok {
				return frag{}, p.fail("required", "has to be a list of names")
			}
			required[name] = true
			if _, ok := named.values[name]; ok {
				continue
			}
			if said && more == false {
				return frag{}, p.fail("required", "asks for %q, which \"additionalProperties\" forbids", name)
			}
			extended := &object{append(slices.Clone(named.keys), name), map[string]any{name: true}}
			for k, v := range named.values {
				extended.values[k] = v
			}
			if said {
				extended.values[name] = more
			}
			named = extended
		}
	}
	lo, hi, err := p.bounds("minProperties", "maxProperties")
	if err != nil {
		return frag{}, err
	}
	open := more != false
	switch {
	case lo > len(required) && !(len(named.keys) == 0 && lo == 1):
		return frag{}, p.fail("minProperties", "is supported where \"required\" gives it, and as 1 for objects of free names")
	case hi >= 0 && (open || hi < len(named.keys)):
		return frag{}, p.fail("maxProperties", "is supported only where \"properties\" are no more and additional ones are forbidden")
	}

	w := &c.w
	start, end := w.node(), w.node()
	first, some := start, int32(-1) // nothing is written so far; something is
	comma := func(from, to int32) {
		f := w.seq(w.literal(","), c.space())
		w.free(from, f.in)
		w.free(f.out, to)
	}
	for _, name := range named.keys {
		s := named.values[name]
		if s == false {
			if required[name] {
				return frag{}, p.fail("required", "asks for %q, whose schema is false", name)
			}
			continue
		}
		value, err := c.schema(s, pointer(p.at, "properties", name))
		if err != nil {
			return frag{}, err
		}
		m := w.seq(w.literal(encode(name)), c.space(), w.literal(":"), c.space(), value)
		nextFirst, nextSome := int32(-1), w.node()
		w.free(m.out, nextSome)
		if first >= 0 {
			w.free(first, m.in)
			if !required[name] {
				nextFirst = w.node()
				w.free(first, nextFirst)
			}
		}
		if some >= 0 {
			comma(some, m.in)
			if !required[name] {
				w.free(some, nextSome)
			}
		}
		first, some = nextFirst, nextSome
	}
	if open {
		value, err := c.schema(more, pointer(p.at, "additionalProperties"))
		if err != nil {
			return frag{}, err
		}
		m := w.seq(c.freeName(named.keys), c.space(), w.literal(":"), c.space(), value)
		if first >= 0 {
			w.free(first, m.in)
		}
		loop := w.node()
		if some >= 0 {
			w.free(some, loop)
		}
		w.free(m.out, loop)
		comma(loop, m.in)
		some = loop
	}
	if first >= 0 && lo == 0 {
		w.free(first, end)
	}
	if some >= 0 {
		w.free(some, end)
	}
	if first < 0 && some < 0 || lo > 0 && some < 0 {
		return frag{}, p.fail("minProperties", "cannot be reached")
	}
	return w.seq(w.literal("{"), c.space(), frag{start, end}, c.space(), w.literal("}")), nil
}

// freeName is a property's name that is none of those given. Beside given names it is of plain ASCII
// characters, so that no other spelling of a given one gets through.
func (c *compiler) freeName(given []string) frag {
	if len(given) == 0 {
		return c.text()
	}
	w := &c.w
	const lo, hi byte = ' ', '~'
	plain := func(s string) bool {
		for i := range len(s) {
			if s[i] < lo || s[i] > hi || s[i] == '"' || s[i] == '\\' {
				return false
			}
		}
		return true
	}
	end, other := w.node(), w.node()
	edges := func(from int32, except []byte, to int32) {
		b := lo
		for _, x := range append(slices.Sorted(slices.Values(append(except, '"', '\\'))), hi+1) {
			if x > b {
				w.nodes[from].bytes = append(w.nodes[from].bytes, byteEdge{b, x - 1, to})
			}
			b = max(b, x+1)
		}
	}
	quote := func(from int32) {
		w.nodes[from].bytes = append(w.nodes[from].bytes, byteEdge{'"', '"', end})
	}
	edges(other, nil, other)
	quote(other)
	var tree func(names []string) int32
	tree = func(names []string) int32 {
		n := w.node()
		var next []byte
		here := false
		for _, s := range names {
			if s == "" {
				here = true
			} else if !slices.Contains(next, s[0]) {
				next = append(next, s[0])
			}
		}
		edges(n, slices.Clone(next), other)
		for _, b := range next {
			var below []string
			for _, s := range names {
				if s != "" && s[0] == b {
					below = append(below, s[1:])
				}
			}
			to := tree(below)
			w.nodes[n].bytes = append(w.nodes[n].bytes, byteEdge{b, b, to})
		}
		if !here {
			quote(n)
		}
		return n
	}
	var names []string
	for _, s := range given {
		if plain(s) {
			names = append(names, s)
		}
	}
	return w.seq(w.literal(`"`), frag{tree(names), end})
}

func (c *compiler) array(p part) (frag, error) {
	if v, there := p.values["uniqueItems"]; there && v != false {
		return frag{}, p.fail("uniqueItems", "is not supported: it cannot be kept to while a text is written")
	}
	lo, hi, err := p.bounds("minItems", "maxItems")
	if err != nil {
		return frag{}, err
	}
	var fixed []any
	if v, there := p.values["prefixItems"]; there {
		if fixed, _ = v.([]any); len(fixed) == 0 {
			return frag{}, p.fail("prefixItems", "has to be a list of schemas that is not empty")
		}
	}
	rest, there := p.values["items"]
	if !there {
		rest = true
	}
	if _, list := rest.([]any); list {
		return frag{}, p.fail("items", "as a list is not supported; its name is \"prefixItems\" now")
	}
	if rest == false {
		if hi < 0 || hi > len(fixed) {
			hi = len(fixed)
		}
		if lo > hi {
			return frag{}, p.fail("minItems", "is %d, but there are only %d items", lo, hi)
		}
	}
	w := &c.w
	item := func(i int) (frag, error) {
		if i < len(fixed) {
			return c.schema(fixed[i], fmt.Sprintf("%s/prefixItems/%d", p.at, i))
		}
		r, err := c.rule(pointer(p.at, "items"), rest)
		if err != nil {
			return frag{}, err
		}
		return w.call(r), nil
	}
	start, end := w.node(), w.node()
	at := start
	n := hi // items written out one by one; the last may repeat if there is no upper bound
	if hi < 0 {
		n = max(lo, len(fixed)+1, 1)
	}
	for i := range n {
		if i >= lo {
			w.free(at, end)
		}
		f, err := item(i)
		if err != nil {
			return frag{}, err
		}
		if i > 0 {
			f = w.seq(w.literal(","), c.space(), f)
		}
		w.free(at, f.in)
		at = f.out
		if hi < 0 && i == n-1 {
			again, err := item(n)
			if err != nil {
				return frag{}, err
			}
			loop := w.node()
			w.free(at, loop)
			more := w.seq(w.literal(","), c.space(), again)
			w.free(loop, more.in)
			w.free(more.out, loop)
			at = loop
		}
	}
	w.free(at, end)
	return w.seq(w.literal("["), c.space(), frag{start, end}, c.space(), w.literal("]")), nil
}

// rule is the rule of a place in the schema.
func (c *compiler) rule(at string, s any) (int32, error) {
	if r, ok := c.refs[at]; ok {
		return r, nil
	}
	r := c.w.newRule()
	c.refs[at] = r
	f, err := c.schema(s, at)
	if err != nil {
		return 0, err
	}
	c.w.define(r, f)
	return r, nil
}

// once is a rule that many places share.
func (c *compiler) once(name string, make func() frag) frag {
	r, ok := c.shared[name]
	if !ok {
		if c.shared == nil {
			c.shared = map[string]int32{}
		}
		r = c.w.newRule()
		c.shared[name] = r
		c.w.define(r, make())
	}
	return c.w.call(r)
}

// any is every JSON value.
func (c *compiler) any() frag {
	return c.once("value", func() frag {
		w := &c.w
		var parts []frag
		for _, kind := range []string{"object", "array", "string", "number", "boolean", "null"} {
			f, err := c.kind(part{&object{values: map[string]any{}}, "#"}, kind)
			if err != nil {
				w.fail(err)
				return w.empty()
			}
			parts = append(parts, f)
		}
		return w.alt(parts...)
	})
}

const maxIndent = 16

// space is what may stand between the parts of JSON.
func (c *compiler) space() frag {
	w := &c.w
	return c.once("space", func() frag {
		return w.alt(w.empty(), w.literal(" "), w.seq(w.literal("\n"), w.upTo(0, maxIndent, func() frag { return w.literal(" ") })))
	})
}
