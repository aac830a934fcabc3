package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxEvent bounds one line of a stream, in bytes.
const MaxEvent = 64 << 20

// Event is one server-sent event. Data joins its data lines with line feeds and
// is valid until the next call of [Events.Next].
type Event struct {
	Name string
	Data []byte
}

// Events reads server-sent events: lines may end in LF, CR or CRLF and be split
// anywhere, comments and unknown fields are skipped, data may span lines.
type Events struct {
	lines *bufio.Scanner
	data  []byte
}

// NewEvents reads from r.
func NewEvents(r io.Reader) *Events {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4096), MaxEvent)
	s.Split(lineSplitter())
	return &Events{lines: s}
}

// Next gives the next event that has data. After the last one it returns
// [io.EOF]. An event at the end that lacks its blank line is given as well:
// some servers leave it out, and a cut one shows in what its data lacks.
func (e *Events) Next() (Event, error) {
	e.data = e.data[:0]
	var name string
	some := false
	for e.lines.Scan() {
		line := e.lines.Bytes()
		if len(line) == 0 {
			if some {
				return Event{name, e.data}, nil
			}
			name = ""
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			if some {
				e.data = append(e.data, '\n')
			}
			if some = true; len(e.data)+len(value) > MaxEvent {
				return Event{}, bufio.ErrTooLong
			}
			e.data = append(e.data, value...)
		}
	}
	switch err := e.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return Event{}, fmt.Errorf("a line of the stream is longer than %d bytes: %w", MaxEvent, err)
	case err != nil:
		return Event{}, err
	case some:
		return Event{name, e.data}, nil
	}
	return Event{}, io.EOF
}

// lineSplitter splits at LF, CR and CRLF. A line ends at its CR at once, without
// waiting to see whether LF follows: that one is skipped when it comes.
func lineSplitter() bufio.SplitFunc {
	afterCR, first := false, true
	return func(data []byte, atEOF bool) (int, []byte, error) {
		skip := 0
		if first && bytes.HasPrefix(data, []byte("\ufeff")) {
			skip = len("\ufeff")
		}
		if afterCR && len(data) > 0 && data[0] == '\n' {
			skip = 1
		}
		rest := data[skip:]
		i := bytes.IndexAny(rest, "\r\n")
		switch {
		case i >= 0:
			afterCR, first = rest[i] == '\r', false
			return skip + i + 1, rest[:i], nil
		case atEOF && len(rest) > 0:
			return len(data), rest, nil
		case atEOF:
			return len(data), nil, nil
		}
		return 0, nil, nil
	}
}
