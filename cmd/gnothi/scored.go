package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gnothi/internal/jsonl"
)

// scored is a line of scores with what came out. score writes "scores", stats also takes a single "score".
type scored struct {
	ID      lineID              `json:"id"`
	Score   *float64            `json:"score"`
	Scores  map[string]*float64 `json:"scores"`
	Label   label               `json:"label"`
	Cluster string              `json:"cluster"`
	Kind    string              `json:"kind"`
	Samples []json.RawMessage   `json:"samples"`
	Options map[string]float64  `json:"options"` // probabilities of the options
	Right   string              `json:"right"`   // key of the right one
}

// label is true, false, or a number in [0,1]; null is an answer that nobody judged.
type label struct {
	given, judged bool
	value         float64
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *label) UnmarshalJSON(raw []byte) error {
	l.given = true
	switch string(raw) {
	case "null":
		return nil
	case "true":
		l.judged, l.value = true, 1
		return nil
	case "false":
		l.judged = true
		return nil
	}
	if err := json.Unmarshal(raw, &l.value); err != nil || l.value < 0 || l.value > 1 {
		return fmt.Errorf(`field "label": want true, false or a number from 0 to 1, found %.40s`, raw)
	}
	l.judged = true
	return nil
}

// scoredFile is what a file of scores holds, one column for each signal.
type scoredFile struct {
	path     string
	rows     []scored
	names    []string // of the columns, sorted; those that at least half of the judged lines have
	unjudged []scored // lines whose label is null
	bad      []string // what --skip-bad went past
}

// readScored reads scores. Every line needs a label and, if ids are used, its own id.
func readScored(path string, skipBad bool) (*scoredFile, error) {
	f := &scoredFile{path: path}
	lineOf := map[lineID]int{}
	count := map[string]int{}
	var skip func(*jsonl.LineError) bool
	if skipBad {
		skip = func(e *jsonl.LineError) bool {
			f.bad = append(f.bad, e.Error())
			return true
		}
	}
	err := jsonl.Each(path, func(n int, line []byte) error {
		var s scored
		if err := jsonl.Decode(line, &s); err != nil {
			return err
		}
		if s.Scores != nil && len(s.Scores) == 0 {
			s.Scores[""] = nil // score found nothing to read on this line
		}
		if s.Scores == nil {
			s.Scores = map[string]*float64{}
		}
		if s.Score != nil {
			if v, clash := s.Scores[""]; clash && v != nil {
				return errors.New(`field "scores": a signal without a name`)
			}
			s.Scores[""] = s.Score
		}
		switch {
		case !s.Label.given:
			return errors.New(`field "label": missing: true, false or a number says what came out, null that nobody judged it`)
		case len(s.Scores) == 0:
			return errors.New(`field "score": missing, and there are no "scores" either`)
		case s.ID != "" && lineOf[s.ID] > 0:
			return fmt.Errorf("id %s: line %d has it already", s.ID, lineOf[s.ID])
		}
		lineOf[s.ID] = n
		if !s.Label.judged {
			f.unjudged = append(f.unjudged, s)
			return nil
		}
		for name, v := range s.Scores {
			if v != nil {
				count[name]++
			}
		}
		f.rows = append(f.rows, s)
		return nil
	}, skip)
	if errors.Is(err, fs.ErrNotExist) {
		err = usage(err)
	}
	if err != nil {
		return nil, err
	}
	lines := len(f.rows)
	if lines == 0 { // the signals are then those of the others
		lines = len(f.unjudged)
		for _, s := range f.unjudged {
			for name, v := range s.Scores {
				if v != nil {
					count[name]++
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if 2*count[name] >= lines {
			f.names = append(f.names, name)
		}
	}
	if len(f.rows)+len(f.unjudged)+len(f.bad) == 0 {
		return nil, usagef("%s holds no scores", path)
	}
	if len(f.names) == 0 {
		return nil, usagef("%s: no signal was read for half of the %d lines (%d are bad)", path, lines, len(f.bad))
	}
	return f, nil
}

// labelled is an error where no line has a label.
func (f *scoredFile) labelled() error {
	if len(f.rows) == 0 {
		return usagef("%s: none of %d lines has a label", f.path, len(f.unjudged))
	}
	return nil
}

// key is the signal of a column, see columnName.
func (f *scoredFile) key(column string) (signal string, ok bool) {
	if !slices.Contains(f.names, column) {
		column = ""
	}
	return column, slices.Contains(f.names, column)
}

// columnName is how a column is called: by its signal, or by its file if the score has no name.
func (f *scoredFile) columnName(signal string) string {
	if signal != "" {
		return signal
	}
	name := filepath.Base(f.path)
	if f.path == "-" {
		return "score"
	}
	for ext := filepath.Ext(name); ext == ".gz" || ext == ".zst" || ext == ".jsonl" || ext == ".json"; ext = filepath.Ext(name) {
		name = strings.TrimSuffix(name, ext)
	}
	return name
}

// tell writes what was not used to standard error.
func (f *scoredFile) tell(cmd *cobra.Command) {
	if n := len(f.unjudged); n > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d lines have no label (null)\n", f.path, n)
	}
	if len(f.bad) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d bad lines skipped\n", f.path, len(f.bad))
		for _, b := range f.bad[:min(len(f.bad), 20)] {
			fmt.Fprintln(cmd.ErrOrStderr(), "  "+b)
		}
	}
}
