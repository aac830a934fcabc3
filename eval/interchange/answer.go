package interchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strings"

	"gnothi/eval"
	"gnothi/llm"
)

// Answer is one graded answer of another program's run, whoever that was. As JSON
// it is a line of evidence.
type Answer struct {
	ID       string `json:"id"`
	Question string `json:"question"`
	// Answer is what the model wrote; nil where there is none. Extracted is what its
	// grader read in it, if that is something else.
	Answer    *string `json:"answer"`
	Extracted string  `json:"extracted,omitempty"`
	// Tokens of the answer. An option that was scored as a whole is one token, and
	// all options are its alternatives.
	Tokens  []llm.Token `json:"tokens,omitempty"`
	Samples []Sample    `json:"samples,omitempty"` // other answers to the same question
	// Label is how right the answer is, from 0 to 1; nil where nobody judged it or
	// there is no answer to judge: see Outcome.
	Label   *Label `json:"label"`
	Outcome string `json:"outcome"` // one of eval's
	Error   string `json:"error,omitempty"`
	Cluster string `json:"cluster,omitempty"`
	Kind    string `json:"kind,omitempty"` // the task
	// Answers are those that count as right; Choices the texts by their letters.
	Answers []string          `json:"answers,omitempty"`
	Choices map[string]string `json:"choices,omitempty"`
	// Options are the probabilities of the options, which sum to 1, and Right is the
	// key of the right one.
	Options map[string]float64 `json:"options,omitempty"`
	Right   string             `json:"right,omitempty"`
	// Scores that the run itself kept; empty, not nil, where there might have been some.
	Scores map[string]float64 `json:"scores,omitzero"`
	Model  string             `json:"model,omitempty"`
	Epoch  int                `json:"epoch,omitempty"`

	Spend eval.Spend `json:"-"`
}

// Sample is another answer to the same question.
type Sample struct {
	Text   string      `json:"text"`
	Tokens []llm.Token `json:"tokens,omitempty"`
}

// Label is a share from 0 to 1 that reads false and true at its ends.
type Label float64

// MarshalJSON implements json.Marshaler.
func (l Label) MarshalJSON() ([]byte, error) {
	switch l {
	case 0:
		return []byte("false"), nil
	case 1:
		return []byte("true"), nil
	}
	return json.Marshal(float64(l))
}

// Study is the study whose records imported answers are: plain questions and answers.
const Study = "qa"

// Record gives the answer as a record of [Study], which measures it, at a place.
func (a *Answer) Record(index int) (eval.Record, error) {
	r := eval.Record{Study: Study, Key: a.ID, Index: index, Outcome: a.Outcome, Error: a.Error, Spend: a.Spend, Result: json.RawMessage("null")}
	var err error
	r.Item, err = json.Marshal(struct {
		ID       string            `json:"id"`
		Question string            `json:"question"`
		Answers  []string          `json:"answers"`
		Options  map[string]string `json:"options,omitempty"`
		Set      string            `json:"set,omitempty"`
		Cluster  string            `json:"cluster,omitempty"`
	}{a.ID, a.Question, a.Answers, a.Choices, a.Kind, a.Cluster})
	if err != nil || a.Outcome == eval.OutcomeFailed || a.Outcome == eval.OutcomeUnasked {
		return r, err
	}
	result := struct {
		Cluster     string             `json:"cluster,omitempty"`
		Grade       string             `json:"grade,omitempty"`
		Set         string             `json:"set,omitempty"`
		Answer      string             `json:"answer"`
		Extracted   string             `json:"extracted,omitempty"`
		Options     int                `json:"options,omitempty"`
		Probability *float64           `json:"probability,omitempty"`
		Signals     map[string]float64 `json:"signals,omitempty"` // from 0 to 1
		Scores      map[string]float64 `json:"scores,omitempty"`  // others
		Shares      map[string]float64 `json:"shares,omitempty"`  // of the options
		Samples     []Sample           `json:"samples,omitempty"`
		Tokens      []llm.Token        `json:"tokens,omitempty"`
	}{Cluster: a.Cluster, Set: a.Kind, Extracted: a.Extracted, Options: len(a.Choices), Shares: a.Options, Samples: a.Samples, Tokens: a.Tokens}
	if a.Outcome != eval.OutcomeMeasured {
		result.Grade = a.Outcome
	}
	if a.Answer != nil {
		result.Answer = *a.Answer
	}
	for name, v := range a.Scores {
		switch {
		case !(v >= 0 && v <= 1):
			put(&result.Scores, name, v)
		case name == "probability":
			result.Probability = &v
		default:
			put(&result.Signals, name, v)
		}
	}
	r.Result, err = json.Marshal(result)
	return r, err
}

func put(m *map[string]float64, name string, v float64) {
	if *m == nil {
		*m = map[string]float64{}
	}
	(*m)[name] = v
}

// Options say how to read.
type Options struct {
	// Scorer is the Inspect scorer, or the metric of lm-eval, whose verdict is the
	// label. Empty: the headline's, or the first one; of lm-eval acc, exact_match or
	// the first that is a share.
	Scorer string
	// Filter is the filter of lm-eval whose lines are read; empty: that of the first line.
	Filter string
	// Signals are numbers of a sample's metadata, or of its score's, that go to the
	// scores under their names. Those that gnothi itself wrote always do.
	Signals []string
	// Epochs says what becomes of several epochs of one sample of an Inspect log:
	// each is an answer ("" or [EpochsApart]), or the first is one and the others are
	// its samples ([EpochsAsSamples]), which an .eval log allows.
	Epochs string
	// AsWrong labels refused and unparsed answers false, as the accuracies of Inspect
	// and lm-eval have them; otherwise they have no label.
	AsWrong bool
	// MaxMember bounds the uncompressed size of a member of a zip (0: 4 GiB), MaxKept
	// what is kept of one sample (0: 64 MiB), in bytes.
	MaxMember int64
	MaxKept   int
}

// What becomes of epochs.
const (
	EpochsApart     = "apart"
	EpochsAsSamples = "samples"
)

func (o Options) check() (Options, error) {
	if o.Epochs != "" && o.Epochs != EpochsApart && o.Epochs != EpochsAsSamples {
		return o, fmt.Errorf("epochs %q: want %s or %s", o.Epochs, EpochsApart, EpochsAsSamples)
	}
	if o.MaxMember < 0 || o.MaxKept < 0 {
		return o, errors.New("a limit below 0")
	}
	if o.MaxMember == 0 {
		o.MaxMember = 4 << 30
	}
	if o.MaxKept == 0 {
		o.MaxKept = 64 << 20
	}
	return o, nil
}

// Source says what a file was and what came of it. It is complete when all
// answers have been read.
type Source struct {
	File    string `json:"file"`
	Format  string `json:"format"` // Inspect log, or lm-eval samples
	Version string `json:"version,omitempty"`
	Task    string `json:"task,omitempty"`
	Model   string `json:"model,omitempty"`
	Scorer  string `json:"scorer,omitempty"` // whose verdict is the label
	// Outcomes counts the answers, Left what the file holds and an answer has no place for.
	Outcomes map[string]int `json:"outcomes"`
	Left     map[string]int `json:"left_out,omitempty"`
	Notes    []string       `json:"notes,omitempty"`
}

func (s *Source) left(what string) { s.Left[what]++ }

func (s *Source) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(s.Notes, n) {
		s.Notes = append(s.Notes, n)
	}
}

// SampleError says what is wrong with one sample of a file: with which member of a
// log, or which sample or line. Those after it can be read.
type SampleError struct {
	File  string
	Where string
	Err   error
}

// Error implements error.
func (e *SampleError) Error() string { return fmt.Sprintf("%s: %s: %v", e.File, e.Where, e.Err) }

// Unwrap gives the cause.
func (e *SampleError) Unwrap() error { return e.Err }

// Read gives the answers of a file in its order, and fills in src as it goes. An
// error that is a [SampleError] or a jsonl.LineError is of one sample, and reading
// goes on after it if the caller does; any other one is the last. Names that end
// in .eval, and all files that begin like a zip, are Inspect logs, other JSON
// files the plain form of one, the rest, and "-" (standard input), sample files
// of lm-eval, which may be compressed (.gz, .zst).
func Read(path string, o Options, src *Source) iter.Seq2[*Answer, error] {
	return func(yield func(*Answer, error) bool) {
		*src = Source{File: path, Outcomes: map[string]int{}, Left: map[string]int{}}
		o, err := o.check()
		if err != nil {
			yield(nil, err)
			return
		}
		read, err := reader(path)
		if err != nil {
			yield(nil, err)
			return
		}
		read(path, o, src, func(a *Answer, err error) bool {
			if a != nil {
				a.settle(o)
				src.Outcomes[a.Outcome]++
			}
			return yield(a, err)
		})
	}
}

type readFunc func(path string, o Options, src *Source, yield func(*Answer, error) bool)

// reader finds out what a file is.
func reader(path string) (readFunc, error) {
	if path == "-" {
		return readLMEval, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var head [4]byte
	n, err := io.ReadFull(f, head[:])
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s: empty", path)
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%s: %w", path, err)
	case strings.HasSuffix(path, ".eval"), bytes.HasPrefix(head[:n], []byte("PK")):
		return readEvalZip, nil
	case strings.HasSuffix(path, ".json"):
		return readEvalJSON, nil
	}
	return readLMEval, nil
}

// settle makes outcome, label and answer agree.
func (a *Answer) settle(o Options) {
	if a.Scores == nil && len(o.Signals) > 0 {
		a.Scores = map[string]float64{}
	}
	switch a.Outcome {
	case "":
		a.Outcome = eval.OutcomeMeasured
		if a.Label != nil {
			switch *a.Label {
			case 0:
				a.Outcome = eval.OutcomeWrong
			case 1:
				a.Outcome = eval.OutcomeRight
			}
		}
	case eval.OutcomeRefused, eval.OutcomeUnparsed:
		a.Label = nil
		if o.AsWrong {
			a.Label = new(Label)
		}
	case eval.OutcomeFailed, eval.OutcomeUnasked:
		a.Label = nil
	}
}

// judge takes a verdict as the label; ok is false if it is no share.
func (a *Answer) judge(v float64) (ok bool) {
	if !(v >= 0 && v <= 1) {
		return false
	}
	l := Label(v)
	a.Label = &l
	return true
}

// tokens checks log-probabilities; nil if one is no number.
func (s *Source) tokens(ts []llm.Token) []llm.Token {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	for i := range ts {
		if !finite(ts[i].LogProb) {
			s.left("answers' tokens without a log-probability")
			return nil
		}
		ts[i].Top = slices.DeleteFunc(ts[i].Top, func(t llm.TopToken) bool { return !finite(t.LogProb) })
	}
	return ts
}
