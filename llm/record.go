package llm

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// abilities are all there are, in the order of the contract.
var abilities = []Ability{LogProbs, Distribution, RawPrompt, ScoreText, Seeded, Streaming, Tools, Images, Hidden, Schema}

// Record writes each operation down as it finishes, as JSON Lines: first a line
// that names the model, then one for each answer, errors of the model's own
// included. llm/replay answers from it. If writing fails, Do returns the answer
// together with the error.
func Record(m Model, w io.Writer) Model { return &recorder{Model: m, w: w} }

type recorder struct {
	Model
	mu    sync.Mutex
	w     io.Writer
	begun bool
	can   []Ability
}

// line is one line of a recording.
type line struct {
	Schema int          `json:"schema,omitempty"` // first line
	ID     *ID          `json:"id,omitempty"`     // first line
	Can    *[]Ability   `json:"can,omitempty"`    // first line, and where an answer changed it
	Op     string       `json:"op,omitempty"`     // [Op.Key]
	Stem   string       `json:"stem,omitempty"`   // [Op.Stem]
	Role   string       `json:"role,omitempty"`   // for people to read
	Asked  string       `json:"asked,omitempty"`  // likewise: the end of the prompt
	Result *savedResult `json:"result,omitempty"`
	Error  *savedError  `json:"error,omitempty"`
}

func (r *recorder) Do(ctx context.Context, op Op) (*Result, error) {
	res, err := r.Model.Do(ctx, op)
	failure := saveError(err)
	if err != nil && failure == nil {
		return res, err // of this process, not of the model
	}
	if wrote := r.write(line{Op: op.Key(), Stem: op.Stem(), Role: op.Role, Asked: asked(op.Request), Result: saveResult(res), Error: failure}); wrote != nil {
		err = errors.Join(err, fmt.Errorf("llm: recording: %w", wrote))
	}
	return res, err
}

func asked(r Request) string {
	text := r.Prompt
	if n := len(r.Messages); n > 0 && text == "" {
		text = r.Messages[n-1].Text
	}
	return strings.ToValidUTF8(text[max(0, len(text)-200):], "")
}

func (r *recorder) write(l line) error {
	can := slices.DeleteFunc(slices.Clone(abilities), func(a Ability) bool { return !r.Can(a) })
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		id := r.ID()
		if err := r.put(line{Schema: codecSchema, ID: &id, Can: &can}); err != nil {
			return err
		}
		r.begun, r.can = true, can
	}
	if !slices.Equal(r.can, can) {
		l.Can, r.can = &can, can
	}
	return r.put(l)
}

func (r *recorder) put(l line) error {
	b, err := encode(l)
	if err != nil {
		return err
	}
	_, err = r.w.Write(append(b, '\n'))
	return err
}

// Recording is what [Record] wrote.
type Recording struct {
	ID    ID
	Can   []Ability // at the beginning
	Calls []RecordedCall
}

// RecordedCall is one operation's answer.
type RecordedCall struct {
	Key    string // [Op.Key]
	Stem   string // [Op.Stem]
	Result *Result
	Err    error
	Can    []Ability // what the model could do from then on; nil: no change
}

// maxLine bounds a line of a recording, in bytes.
const maxLine = 256 << 20

// ReadRecording reads a recording. A last line that is cut short, as a crash
// leaves it, is left out; any other bad line is an error with its number.
// Recordings of one model may follow each other.
func ReadRecording(r io.Reader) (*Recording, error) {
	var rec *Recording
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 1<<16), maxLine)
	var bad error // of the line before
	for n := 1; in.Scan(); n++ {
		if bad != nil {
			return nil, bad
		}
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			bad = fmt.Errorf("line %d: %w", n, err)
			continue
		}
		switch {
		case l.Schema > 0 && l.Schema != codecSchema:
			return nil, fmt.Errorf("line %d: schema version %d; this version of gnothi reads %d: record again", n, l.Schema, codecSchema)
		case l.Schema > 0 && l.ID != nil && rec == nil:
			rec = &Recording{ID: *l.ID}
			if l.Can != nil {
				rec.Can = *l.Can
			}
		case rec == nil:
			return nil, fmt.Errorf("line %d: no recording: its first line has to give schema and id", n)
		case l.Schema > 0 && l.ID != nil:
			if *l.ID != rec.ID {
				return nil, fmt.Errorf("line %d: a recording of %s after one of %s", n, l.ID, rec.ID)
			}
		case l.Op == "" || l.Result == nil && l.Error == nil:
			return nil, fmt.Errorf("line %d: neither result nor error of an operation", n)
		default:
			call := RecordedCall{Key: l.Op, Stem: l.Stem, Result: l.Result.result(), Err: l.Error.error()}
			if l.Can != nil {
				call.Can = append([]Ability{}, *l.Can...)
			}
			rec.Calls = append(rec.Calls, call)
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, cmp.Or(bad, errors.New("no recording: the file is empty"))
	}
	return rec, nil
}
