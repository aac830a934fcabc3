package interchange

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// scanner reads JSON from front to back. It keeps what it is asked for and goes
// past everything else without holding it, however long it is. NaN, Infinity and
// -Infinity, which Python writes, are kept as null.
type scanner struct {
	r    *bufio.Reader
	at   int64 // bytes read
	line int   // from 1; line ends within strings are escaped, so these are all
	room int   // bytes that may still be kept
	word [64]byte
}

const (
	maxDepth = 1000    // how deep values may lie in one another
	maxKey   = 1 << 16 // bytes of a key
)

var errRoom = errors.New("too large")

func newScanner(r io.Reader, room int) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, 64<<10), line: 1, room: room}
}

// reset starts again with another input.
func (s *scanner) reset(r io.Reader, room int) {
	s.r.Reset(r)
	s.at, s.line, s.room = 0, 1, room
}

func (s *scanner) badf(format string, args ...any) error {
	return fmt.Errorf("not JSON at line %d, byte %d: %w", s.line, s.at+1, fmt.Errorf(format, args...))
}

// end words the end of the input, or another reason why there is no more.
func (s *scanner) end(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("ends in the middle of a value, at line %d, byte %d: %w", s.line, s.at+1, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("at line %d, byte %d: %w", s.line, s.at+1, err)
}

// peek gives the next byte that is not blank.
func (s *scanner) peek() (byte, error) {
	for {
		b, err := s.r.ReadByte()
		if err != nil {
			return 0, s.end(err)
		}
		switch b {
		case '\n':
			s.line++
			fallthrough
		case ' ', '\t', '\r':
			s.at++
		default:
			return b, s.r.UnreadByte()
		}
	}
}

// take goes past the next byte, which peek gave.
func (s *scanner) take() {
	_, _ = s.r.ReadByte() // it is there
	s.at++
}

func (s *scanner) expect(want byte) error {
	b, err := s.peek()
	if err != nil {
		return err
	}
	if b != want {
		return s.badf("want %q, found %q", want, b)
	}
	s.take()
	return nil
}

// object calls use with each key; use reads the value.
func (s *scanner) object(use func(key string) error) error {
	return s.list('{', '}', func(int) error {
		key, err := s.key()
		if err == nil {
			err = s.expect(':')
		}
		if err == nil {
			err = use(key)
		}
		return err
	})
}

// array calls use at each element; use reads it.
func (s *scanner) array(use func(i int) error) error { return s.list('[', ']', use) }

// list calls use at each of what stands between brackets with commas between.
func (s *scanner) list(open, end byte, use func(i int) error) error {
	if err := s.expect(open); err != nil {
		return err
	}
	for i := 0; ; i++ {
		b, err := s.peek()
		if err != nil {
			return err
		}
		switch {
		case b == end:
			s.take()
			return nil
		case i == 0:
		case b != ',':
			return s.badf("want ',' or %q, found %q", end, b)
		default:
			s.take()
		}
		if err := use(i); err != nil {
			return err
		}
	}
}

func (s *scanner) key() (key string, err error) {
	k := keep{room: maxKey}
	if err := s.name(&k); err != nil {
		return "", err
	}
	if k.lost {
		return "", s.badf("a key of more than %d bytes", maxKey)
	}
	if err := json.Unmarshal(k.b, &key); err != nil {
		return "", s.badf("a key: %w", err)
	}
	return key, nil
}

// name goes past a key.
func (s *scanner) name(k *keep) error {
	b, err := s.peek()
	if err == nil && b != '"' {
		err = s.badf("want a key, found %q", b)
	}
	if err != nil {
		return err
	}
	return s.text(k)
}

// keep holds the bytes of a value, or counts what does not fit as lost.
type keep struct {
	b    []byte
	room int
	lost bool
}

func (k *keep) add(b ...byte) {
	switch {
	case k == nil || k.lost:
	case len(b) > k.room:
		k.lost, k.b = true, nil
	default:
		k.b, k.room = append(k.b, b...), k.room-len(b)
	}
}

// value keeps the next value. One for which there is no room is gone past, and
// the error wraps errRoom.
func (s *scanner) value() (json.RawMessage, error) {
	k := keep{room: s.room}
	if _, err := s.walk(&k, 0); err != nil {
		return nil, err
	}
	if k.lost {
		return nil, errRoom
	}
	s.room = k.room
	return k.b, nil
}

// skip goes past the next value and says whether there was anything in it.
func (s *scanner) skip() (something bool, err error) { return s.walk(nil, 0) }

func (s *scanner) walk(k *keep, depth int) (something bool, err error) {
	if depth > maxDepth {
		return false, s.badf("values nested more than %d deep", maxDepth)
	}
	b, err := s.peek()
	if err != nil {
		return false, err
	}
	switch b {
	case '"':
		from := s.at
		err := s.text(k)
		return s.at-from > 2, err
	case '{', '[':
		end := b + 2 // of both, in ASCII
		k.add(b)
		err := s.list(b, end, func(i int) error {
			something = true
			if i > 0 {
				k.add(',')
			}
			if b == '{' {
				err := s.name(k)
				if err == nil {
					err = s.expect(':')
				}
				if err != nil {
					return err
				}
				k.add(':')
			}
			_, err := s.walk(k, depth+1)
			return err
		})
		k.add(end)
		return something, err
	}
	return s.literal(k, b)
}

// text goes past a string.
func (s *scanner) text(k *keep) error {
	s.take()
	k.add('"')
	for {
		if _, err := s.r.Peek(1); err != nil {
			return s.end(err)
		}
		have, _ := s.r.Peek(s.r.Buffered()) // what is buffered is there
		n := bytes.IndexByte(have, '"')
		if n < 0 {
			n = len(have)
		}
		if esc := bytes.IndexByte(have[:n], '\\'); esc >= 0 {
			n = esc
		}
		for _, b := range have[:n] {
			if b < ' ' {
				return s.badf("byte %#x in a string", b)
			}
		}
		k.add(have[:n]...)
		stop := byte(0)
		if n < len(have) {
			stop = have[n]
		}
		_, _ = s.r.Discard(n)
		s.at += int64(n)
		switch stop {
		case '"':
			s.take()
			k.add('"')
			return nil
		case '\\':
			pair, err := s.r.Peek(2)
			if err != nil {
				return s.end(err)
			}
			if bytes.IndexByte([]byte(`"\/bfnrtu`), pair[1]) < 0 {
				return s.badf("escape \\%c", pair[1])
			}
			k.add(pair...)
			_, _ = s.r.Discard(2)
			s.at += 2
		}
	}
}

// literal goes past a number or a word.
func (s *scanner) literal(k *keep, first byte) (bool, error) {
	word, n := &s.word, 0
	for {
		b, err := s.r.ReadByte()
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, s.end(err)
		}
		if (b < '0' || b > '9') && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && b != '-' && b != '+' && b != '.' {
			if err := s.r.UnreadByte(); err != nil {
				return false, err
			}
			break
		}
		if n == len(word) {
			return false, s.badf("a number of more than %d digits", n)
		}
		word[n] = b
		n++
	}
	w := word[:n]
	switch string(w) {
	case "":
		return false, s.badf("want a value, found %q", first)
	case "NaN", "Infinity", "-Infinity":
		w = []byte("null")
	}
	if !json.Valid(w) {
		return false, s.badf("%q is no value", w)
	}
	s.at += int64(n)
	k.add(w...)
	return string(w) != "null", nil
}
