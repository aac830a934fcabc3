package openai

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
	"unicode/utf8"
)

// members gives the members of a JSON object that is known to be valid JSON, as
// parts of it. What is no object has none.
func members(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		for i := skip(object, 0); i < len(object) && (object[i] == '{' || object[i] == ','); {
			name := skip(object, i+1)
			if object[name] == '}' { // empty
				return
			}
			end := valueEnd(object, name)
			value := skip(object, skip(object, end)+1) // after the colon
			i = valueEnd(object, value)
			if !yield(stringOf(object[name:end]), object[value:i:i]) {
				return
			}
			i = skip(object, i)
		}
	}
}

// elements gives the elements of a JSON list likewise.
func elements(list []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		for i := skip(list, 0); i < len(list) && (list[i] == '[' || list[i] == ','); {
			value := skip(list, i+1)
			if list[value] == ']' { // empty
				return
			}
			i = valueEnd(list, value)
			if !yield(list[value:i:i]) {
				return
			}
			i = skip(list, i)
		}
	}
}

func skip(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// valueEnd is where the value that begins at i ends.
func valueEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			i++
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		default: // a number or a word; within a list or an object whatever is no bracket or string
			if depth > 0 {
				i++
				continue
			}
			if n := bytes.IndexAny(b[i:], ",]} \t\r\n"); n >= 0 {
				return i + n
			}
			return len(b)
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

// stringOf gives the value of a valid JSON string.
func stringOf(raw []byte) string {
	if plain(raw[1 : len(raw)-1]) {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

// plain tells text that reads the same in JSON and out of it.
func plain[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// readString reads a string, or null as no change.
func readString(raw json.RawMessage, to *string) error {
	if len(raw) > 1 && raw[0] == '"' {
		*to = stringOf(raw)
		return nil
	}
	return json.Unmarshal(orNull(raw), to)
}

// readInt reads a whole number, or null as no change.
func readInt(raw json.RawMessage, to *int64) error {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		*to = n
		return nil
	}
	return json.Unmarshal(orNull(raw), to)
}

// appendJSON writes a value without escaping <, > and &: many servers' logs and
// some tokenizers' authors read bodies. What requests are made of needs no
// reflection.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case json.RawMessage:
		return append(b, v...)
	case string:
		return appendString(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case bool:
		return strconv.AppendBool(b, v)
	}
	w := bytes.NewBuffer(b)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("openai: a value of our own does not encode: " + err.Error())
	}
	return bytes.TrimRight(w.Bytes(), "\n")
}

func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		r, size := rune(c), 1
		if c >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
			if (r != utf8.RuneError || size > 1) && r != '\u2028' && r != '\u2029' {
				i += size
				continue
			}
		}
		b = append(b, s[done:i]...)
		switch r {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default: // control characters, line separators of JavaScript, invalid UTF-8
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
		i += size
		done = i
	}
	return append(append(b, s[done:]...), '"')
}

func marshal(v any) json.RawMessage { return appendJSON(nil, v) }

// object writes a JSON object field by field, raw values as they are.
type object struct{ b []byte }

func (o *object) set(name string, v any) {
	if len(o.b) == 0 {
		o.b = append(o.b, '{')
	} else {
		o.b = append(o.b, ',')
	}
	o.b = append(appendString(o.b, name), ':')
	o.b = appendJSON(o.b, v)
}

func (o *object) bytes() []byte {
	if len(o.b) == 0 {
		return []byte("{}")
	}
	return append(o.b, '}')
}
