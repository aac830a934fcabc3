package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"

	"gnothi/store"
)

// Confidences reads what a study's result says of its confidences ([Confident]);
// there are none where it says nothing.
func Confidences(suite Suite, result json.RawMessage) map[string]float64 {
	if s, ok := suite.(interface {
		confidences(json.RawMessage) map[string]float64
	}); ok && len(result) > 0 && string(result) != "null" {
		return s.confidences(result)
	}
	return nil
}

func (s Study[I, R]) confidences(raw json.RawMessage) map[string]float64 {
	var result R
	if json.Unmarshal(raw, &result) != nil {
		return nil
	}
	if c, ok := any(result).(interface{ Confidences() map[string]float64 }); ok {
		return c.Confidences()
	}
	return nil
}

// Counts says what has become of the items so far; those without a record are
// unasked.
func (f *Folder) Counts(ctx context.Context) (Outcomes, error) {
	var o Outcomes
	counts := map[string]int{}
	if k, ok := f.run.(interface {
		Counts(context.Context) (map[string]int, error)
	}); ok {
		var err error
		if counts, err = k.Counts(ctx); err != nil {
			return o, err
		}
	} else {
		for row, err := range f.run.Rows(ctx, 0, false) {
			if err != nil {
				return o, err
			}
			counts[row.Outcome]++
		}
	}
	n := 0
	for outcome, k := range counts {
		n += k
		for range k {
			if !o.count(outcome) {
				return o, fmt.Errorf("run %s: unknown outcome %q", f.where, outcome)
			}
		}
	}
	o.Unasked += max(0, f.Header.Items-n)
	return o, nil
}

// Reread reads the header of a run once more: of one that was opened before it
// began, it says then what there is to ask.
func (f *Folder) Reread(ctx context.Context) error {
	raw, err := f.run.Header(ctx)
	if err != nil {
		return err
	}
	var h Header
	if err := json.Unmarshal(raw, &h); err != nil {
		return fmt.Errorf("run %s: its header: %w", f.where, err)
	}
	f.Header = h
	return nil
}

// Candidate is an item that was looked at by [Folder.Candidates].
type Candidate struct {
	Index int
	Holds bool
}

// Candidates goes through the items that are done, from one on, and says which
// may hold every word, in whatever case, in what was asked about, what came of it
// or what models replied. It looks at the bytes that are kept, so that who needs
// to be sure has to look at those that may: no item that holds them is missed, but
// for replies that are no valid text.
func (f *Folder) Candidates(ctx context.Context, from int, words []string) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		search := newSearch(words)
		calls, stop := iter.Pull2(f.callsFrom(ctx, from))
		defer stop()
		call, err, more := calls()
		for row, rowErr := range f.run.Rows(ctx, from, true) {
			if rowErr != nil {
				yield(Candidate{}, rowErr)
				return
			}
			search.begin()
			search.look(row.Body, true)
			for ; more && err == nil && call.Item <= row.Item; call, err, more = calls() {
				if call.Item == row.Item {
					search.look(beforeTokens(call.Value), false)
				}
			}
			if err != nil {
				yield(Candidate{}, err)
				return
			}
			if !yield(Candidate{row.Item, search.all()}, nil) {
				return
			}
		}
	}
}

// callsFrom gives the calls of all items from one on.
func (f *Folder) callsFrom(ctx context.Context, from int) iter.Seq2[store.ItemCall, error] {
	if k, ok := f.run.(interface {
		CallsFrom(context.Context, int) iter.Seq2[store.ItemCall, error]
	}); ok {
		return k.CallsFrom(ctx, from)
	}
	return func(yield func(store.ItemCall, error) bool) {
		for row, err := range f.run.Rows(ctx, from, false) {
			var calls []store.Call
			if err == nil {
				calls, err = f.run.Calls(ctx, row.Item)
			}
			if err != nil {
				yield(store.ItemCall{}, err)
				return
			}
			for _, c := range calls {
				if !yield(store.ItemCall{Item: row.Item, Value: c.Value}, nil) {
					return
				}
			}
		}
	}
}

// beforeTokens leaves out the tokens of a reply and what is after them: a quote
// within a text is escaped, so that no text looks like this.
func beforeTokens(call []byte) []byte {
	if i := bytes.Index(call, []byte(`,"tokens":[`)); i >= 0 {
		return call[:i]
	}
	return call
}

// search looks for words in JSON as it is written down.
type search struct {
	escaped, plain [][]byte // as in records, as in calls: those do not escape < > &
	unicode        bool     // letters beyond ASCII have cases too
	found          []bool
	buffer         []byte
}

func newSearch(words []string) *search {
	s := &search{found: make([]bool, len(words))}
	for _, w := range words {
		w = strings.ToLower(strings.ToValidUTF8(w, "\uFFFD"))
		s.unicode = s.unicode || strings.IndexFunc(w, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0
		s.escaped = append(s.escaped, inJSON(w, true))
		s.plain = append(s.plain, inJSON(w, false))
	}
	return s
}

// inJSON gives a text as it stands within a string of JSON.
func inJSON(s string, html bool) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	_ = e.Encode(s) // a string can always be written
	quoted := bytes.TrimSpace(b.Bytes())
	return quoted[1 : len(quoted)-1]
}

func (s *search) begin() { clear(s.found) }

func (s *search) all() bool {
	for _, ok := range s.found {
		if !ok {
			return false
		}
	}
	return true
}

func (s *search) look(b []byte, escaped bool) {
	words := s.plain
	if escaped {
		words = s.escaped
	}
	if s.all() {
		return
	}
	if s.unicode {
		b = bytes.ToLower(b)
	} else {
		s.buffer = append(s.buffer[:0], b...)
		for i, c := range s.buffer {
			if 'A' <= c && c <= 'Z' {
				s.buffer[i] = c + ('a' - 'A')
			}
		}
		b = s.buffer
	}
	for i, w := range words {
		s.found[i] = s.found[i] || bytes.Contains(b, w)
	}
}
