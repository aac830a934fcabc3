package studies

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"gnothi/eval"
	"gnothi/internal/jsonl"
)

// found are the files of the user's folder that match a pattern, sorted: in the
// folder itself, or in the sub-folder that has the collection's name, for a
// folder of collections.
func found(s eval.Source, collection string, patterns ...string) []string {
	if s.Dir == "" {
		return nil
	}
	var out []string
	for _, dir := range []string{s.Dir, filepath.Join(s.Dir, collection)} {
		for _, p := range patterns {
			matches, _ := filepath.Glob(filepath.Join(literal(dir), p)) // the patterns are ours and not bad
			out = append(out, matches...)
		}
		if len(out) > 0 {
			break
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// literal keeps a folder's name from being read as a pattern.
func literal(dir string) string {
	var b []byte
	for _, c := range []byte(dir) {
		if bytes.IndexByte([]byte(`*?[\`), c) >= 0 {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return string(b)
}

// compressed are a pattern's forms that the reader of lines takes.
func compressed(name string) []string { return []string{name, name + ".gz", name + ".zst"} }

var (
	errUTF16 = errors.New("UTF-16, where UTF-8 is wanted: convert it, for example with iconv -f UTF-16 -t UTF-8")
	errUTF8  = errors.New("not valid UTF-8: convert the file, for example with iconv -f LATIN1 -t UTF-8")
	errEmpty = fmt.Errorf("the file holds %w", eval.ErrNoItems)
)

// opened reads a file of text, uncompressed by its suffix, without the mark that
// some programs put at the beginning.
func opened(path string) (io.ReadCloser, error) {
	f, err := jsonl.Open(path)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReader(f)
	head, _ := r.Peek(3) // a shorter file has a shorter head
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, _ = r.Discard(3) // was peeked
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")), bytes.IndexByte(head, 0) >= 0:
		return nil, errors.Join(&jsonl.LineError{File: path, Line: 1, Err: errUTF16}, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{r, f}, nil
}

// eachLine calls use with every line of a JSON Lines file. An error of use gets
// the file and the line, as with the other two readers.
func eachLine(path string, use func(n int, line []byte) error) error {
	return linesOf(path, func(some *bool) error {
		return jsonl.Each(path, func(n int, line []byte) error {
			*some = true
			return use(n, line)
		}, nil)
	})
}

// eachDecoded does so with what the lines hold, which is read ahead on all
// processors.
func eachDecoded[T any](path string, use func(n int, v T) error) error {
	return linesOf(path, func(some *bool) error {
		return jsonl.EachAhead(path, func(_ int, line []byte) (v T, err error) {
			return v, jsonl.Decode(line, &v)
		}, func(n int, v T) error {
			*some = true
			return use(n, v)
		})
	})
}

// linesOf reads a file of lines, and tells of an encoding that is another one and
// of a file that has none.
func linesOf(path string, read func(some *bool) error) error {
	f, err := opened(path) // for the encoding alone
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	some := false
	if err = read(&some); err == nil && !some {
		err = fmt.Errorf("%s: %w", path, errEmpty)
	}
	return err
}

// lines are the items of a JSON Lines file in the user's folder, each checked
// where it stands, or the sample in a drawn order where there is no such file.
func lines[I any](s eval.Source, name string, sample []I, check func(I) error) ([]I, error) {
	paths := found(s, "", compressed(name)...)
	if len(paths) == 0 {
		out := slices.Clone(sample)
		s.Rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		return out, nil
	}
	var out []I
	err := eachLine(paths[0], func(_ int, line []byte) error {
		var item I
		if err := jsonl.Decode(line, &item); err != nil {
			return err
		}
		out = append(out, item)
		return check(item)
	})
	return out, err
}

// maxArray bounds a JSON file that is one value, in bytes.
const maxArray = 1 << 30

// eachElement calls use with every element of a file that is one JSON list, or
// an object whose field of a name is the list, and its line.
func eachElement(path, field string, use func(line int, element []byte) error) error {
	f, err := opened(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxArray+1))
	if err == nil && len(b) > maxArray {
		err = fmt.Errorf("larger than %d MiB: use JSON Lines", maxArray>>20)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	lineAt := func(offset int64) int { return 1 + bytes.Count(b[:min(max(0, offset), int64(len(b)))], []byte("\n")) }
	fail := func(offset int64, err error) error {
		return &jsonl.LineError{File: path, Line: lineAt(offset), Err: err}
	}
	if i := invalid(b); i >= 0 {
		return fail(int64(i), errUTF8)
	}
	var whole json.RawMessage
	if err := json.Unmarshal(b, &whole); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fail(syntax.Offset-1, fmt.Errorf("not JSON: %w", err))
		}
		return fail(0, err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if field != "" {
		if err := enter(dec, field); err != nil {
			return fail(dec.InputOffset(), err)
		}
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return fail(dec.InputOffset(), errors.New("want a list"))
	}
	if !dec.More() {
		return fmt.Errorf("%s: %w", path, errEmpty)
	}
	line, at := 1, int64(0)
	for dec.More() {
		var element json.RawMessage
		if err := dec.Decode(&element); err != nil {
			return fail(dec.InputOffset(), err) // the whole was JSON, so never
		}
		start := dec.InputOffset() - int64(len(element))
		line += bytes.Count(b[at:start], []byte("\n"))
		at = start
		if err := use(line, element); err != nil {
			return &jsonl.LineError{File: path, Line: line, Err: err}
		}
	}
	return nil
}

// enter goes to the value of a field of an object.
func enter(dec *json.Decoder, field string) error {
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("want an object")
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil || name == field {
			return err
		}
		var skipped json.RawMessage
		if err := dec.Decode(&skipped); err != nil {
			return err
		}
	}
	return fmt.Errorf("no field %q", field)
}

// invalid is where a text stops being UTF-8, or -1.
func invalid(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

// eachRow calls use with every row of a table whose first row names the columns.
// Of the columns named here all must be there; row gives them in this order.
func eachRow(path string, comma rune, columns []string, use func(line int, row []string) error) error {
	f, err := opened(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = comma, comma == '\t' // a table of tabs has no quotes
	at := make([]int, len(columns))
	rows := 0
	for first := true; ; first = false {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
			return &jsonl.LineError{File: path, Line: parse.Line, Err: parse.Err}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		line, _ := r.FieldPos(0)
		bad := func(err error) error { return &jsonl.LineError{File: path, Line: line, Err: err} }
		if slices.ContainsFunc(row, func(s string) bool { return !utf8.ValidString(s) }) {
			return bad(errUTF8)
		}
		out := make([]string, len(columns))
		for i, name := range columns {
			if first {
				if at[i] = slices.Index(row, name); at[i] < 0 {
					return bad(fmt.Errorf("no column %q among %q", name, row))
				}
				continue
			}
			out[i] = row[at[i]]
		}
		if first {
			continue
		}
		rows++
		if err := use(line, out); err != nil {
			return bad(err)
		}
	}
	if rows == 0 {
		return fmt.Errorf("%s: %w", path, errEmpty)
	}
	return nil
}
