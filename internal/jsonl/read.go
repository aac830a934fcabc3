package jsonl

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// MaxLine bounds the length of a line, in bytes.
const MaxLine = 64 << 20

// LineError says what is wrong with a line of a file.
type LineError struct {
	File string
	Line int
	Err  error
}

// Error implements error.
func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap gives the cause.
func (e *LineError) Unwrap() error { return e.Err }

// Open opens a file for reading, uncompressing by suffix; "-" is standard input.
func Open(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	var r io.Reader = f
	switch {
	case strings.HasSuffix(path, ".gz"):
		r, err = gzip.NewReader(f)
	case strings.HasSuffix(path, ".zst"):
		var d *zstd.Decoder
		if d, err = zstd.NewReader(f, zstd.WithDecoderMaxMemory(1<<30)); err == nil {
			r = d.IOReadCloser()
		}
	}
	if err != nil {
		return nil, errors.Join(&LineError{path, 1, err}, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{r, f}, nil
}

// Each calls use with every line of a file that is not blank, and its number
// from 1. An error of use comes back as a [LineError]; skip, if not nil, may
// swallow it and go on.
func Each(path string, use func(n int, line []byte) error, skip func(*LineError) bool) error {
	r, err := Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	if path == "-" {
		path = "standard input"
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), MaxLine)
	n := 0
	for lines.Scan() {
		n++
		line := lines.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var err error
		if !utf8.Valid(line) {
			err = errors.New("not valid UTF-8")
		} else {
			err = use(n, line)
		}
		if err != nil {
			e := &LineError{path, n, err}
			if skip != nil && skip(e) {
				continue
			}
			return e
		}
	}
	if err := lines.Err(); err != nil {
		return &LineError{path, n + 1, err}
	}
	return nil
}

// Decode reads one line into v and words its errors for people: which field,
// what was wanted.
func Decode(line []byte, v any) error {
	if json.Unmarshal(line, v) == nil { // the decoder is slower, and says more
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	if err := dec.Decode(v); err != nil {
		return explain(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value on the line")
	}
	return nil
}

func wanted(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

func explain(err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d: %w", syntax.Offset, err)
	case errors.As(err, &typ):
		field := typ.Field
		if field == "" {
			field = "the line"
		}
		return fmt.Errorf("field %q: want %s, found %s", field, wanted(typ.Type.Kind()), typ.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not JSON: the line ends in the middle of a value")
	}
	return err
}
