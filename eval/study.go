package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"gnothi/control"
	"gnothi/internal/jsonl"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/stats"
	"gnothi/text"
)

// Study is a published study: seeded items, what is asked about each, what is
// measured. Items (I) and results (R) are JSON: a result is measured as it
// reads back from its record.
type Study[I, R any] struct {
	Name  string // as on the command line: a plain name
	About string // one line
	// Needs lists what the study cannot do without, blanks between: text,
	// logprobs, distribution (of every token, over the vocabulary), peers. What is not there is an error before the first call.
	Needs string
	// Items makes or loads the items, one after the other ([List] for those that
	// are made all at once): the same source, the same items. Where the user's
	// folder lacks the files of the study, it gives a small made-up sample of the
	// same format. It is gone through twice: to see what there is, and to ask.
	Items func(Source) iter.Seq2[I, error]
	// Ask finds out about one item. An error that wraps [ErrRefused], [ErrUnparsed]
	// or text.ErrNoConfidence is counted as that, any other one as a failure; such
	// an item has no result.
	Ask func(context.Context, *Session, I) (R, error)
	// Measure says what the results come to, in the order of the items. All of them
	// are held until then.
	Measure func([]R) []Measure
	// Meter, if set, stands in for Measure and takes result by result, so that a
	// study of hundreds of thousands of items holds none of them.
	Meter func() Meter[R]
}

// Meter measures results one after the other, in the order of the items.
type Meter[R any] interface {
	Add(R)
	// Measures says what the results come to, of which there are some.
	Measures() []Measure
}

// held is a [Meter] that holds the results until they are measured.
type held[R any] struct {
	results []R
	measure func([]R) []Measure
}

// Add implements [Meter].
func (h *held[R]) Add(r R) { h.results = append(h.results, r) }

// Measures implements [Meter].
func (h *held[R]) Measures() []Measure { return h.measure(h.results) }

// Suite is a study whatever its items are. Only a [Study] is one.
type Suite interface {
	Describe() Description
	items(Source) iter.Seq2[json.RawMessage, error]
	ask(context.Context, *Session, json.RawMessage) (result json.RawMessage, outcome string, err error)
	// sum measures results; of an outcome that an item has without its result, the
	// result is null.
	sum(*Report, iter.Seq2[Record, error]) error
	// cluster names the items that one is not independent of.
	cluster(Record) string
}

// Description is what a suite says of itself.
type Description struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Needs string `json:"needs"`
}

// Describe implements [Suite].
func (s Study[I, R]) Describe() Description { return Description{s.Name, s.About, s.Needs} }

// An Ask says with these that a reply was no result. They are outcomes, not
// failures.
var (
	ErrRefused  = errors.New("refused")
	ErrUnparsed = errors.New("unparsed")
)

// Session is the study of one item: a trial with an account, a memo and a seed
// path of its own, which hang on the item alone. Its question is empty; [Session.On]
// gives a trial of a question.
type Session struct {
	*monitor.Trial
	// Peers are trials of the other models, in the order in which they were named.
	Peers []*monitor.Trial
	// Policy is how the user wants questions answered; nil: as the study has it.
	Policy control.Policy
	// Judge is a trial of the judge's model, of the studied model itself if no
	// other was named; OwnJudge says so.
	Judge    *monitor.Trial
	OwnJudge bool
}

// On gives a trial of a question on the same account: the i-th of those called
// name, asked as req has it.
func (s *Session) On(name string, i int, q monitor.Question, req llm.Request) *monitor.Trial {
	t := s.Child(name, i, nil, req)
	t.Question = q
	return t
}

// ErrNoItems says that a suite has nothing to ask about.
var ErrNoItems = errors.New("no items")

// Source is where items come from.
type Source struct {
	Dir  string     // the user's data; empty: none
	N    int        // at most so many items; 0: all. A study need not heed it
	Rand *rand.Rand // seeded; everything random about items comes from it
}

// Path finds a file of the user's data; ok is false where there is none.
func (s Source) Path(name string) (path string, ok bool) {
	if s.Dir == "" {
		return "", false
	}
	path = filepath.Join(s.Dir, filepath.FromSlash(name))
	_, err := os.Stat(path)
	return path, err == nil
}

// List is how items that are made all at once are gone through.
func List[I any](of func(Source) ([]I, error)) func(Source) iter.Seq2[I, error] {
	return func(s Source) iter.Seq2[I, error] {
		return func(yield func(I, error) bool) {
			items, err := of(s)
			if err != nil {
				var none I
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// Lines reads the items of a JSON Lines file of the user's data (name, or name
// with .gz or .zst), or gives the sample where there is no such file.
func Lines[I any](s Source, name string, sample []I) ([]I, error) {
	var items []I
	for item, err := range Stream(s, name, sample) {
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// Stream goes through what [Lines] reads, without holding it.
func Stream[I any](s Source, name string, sample []I) iter.Seq2[I, error] {
	return func(yield func(I, error) bool) {
		var none I
		for _, suffix := range []string{"", ".gz", ".zst"} {
			path, ok := s.Path(name + suffix)
			if !ok {
				continue
			}
			n, enough := 0, errors.New("enough")
			err := jsonl.Each(path, func(_ int, line []byte) error {
				var item I
				if err := jsonl.Decode(line, &item); err != nil {
					return err
				}
				if n++; !yield(item, nil) {
					return enough
				}
				return nil
			}, nil)
			if errors.Is(err, enough) {
				return
			}
			if err == nil && n == 0 {
				err = fmt.Errorf("%s: no lines", path)
			}
			if err != nil {
				yield(none, err)
			}
			return
		}
		for _, item := range sample {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// check says what is wrong with a source.
func (s Source) check() error {
	if s.N < 0 {
		return fmt.Errorf("limit %d: want a number of items, or 0 for all", s.N)
	}
	if s.Dir == "" {
		return nil
	}
	info, err := os.Stat(s.Dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: s.Dir, Err: errors.New("not a folder")}
	}
	return err
}

// Graded is what a result implements whose item came out right, wrong, refused
// or unparsed. Items of other results, and those that are merely parsed, are
// counted as measured.
type Graded interface{ Outcome() text.Outcome }

// Measure is one figure of a study.
type Measure struct {
	Name   string       `json:"name"`
	Figure stats.Figure `json:"figure"`
	// Published is what was published of it, for comparison.
	Published []Published `json:"published,omitempty"`
}

// Published is a published value.
type Published struct {
	Value float64 `json:"value"`
	Of    string  `json:"of"` // whose it is: the model and the paper's census slug
}

// Record is what became of one item.
type Record struct {
	Study   string `json:"study"`
	Key     string `json:"key"`   // of the item: the same whatever other items there are
	Index   int    `json:"index"` // its place
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
	// Item is what was studied, Result what Ask returned; null without a result.
	Item   json.RawMessage `json:"item"`
	Result json.RawMessage `json:"result"`
	Spend  Spend           `json:"spend"`
	WallMS int64           `json:"wall_ms"` // how long it took, waiting for its turn included

	cause error // of Error, as long as the process lives
}

// The outcomes of an item.
const (
	OutcomeRight    = "right"
	OutcomeWrong    = "wrong"
	OutcomeRefused  = "refused"
	OutcomeUnparsed = "unparsed"
	OutcomeFailed   = "failed"
	// OutcomeMeasured: there is a result, which is neither right nor wrong.
	OutcomeMeasured = "measured"
	// OutcomeUnasked: the budget ended, or the run was interrupted.
	OutcomeUnasked = "unasked"
)

// Spend is what calls cost.
type Spend struct {
	Calls            int64 `json:"calls"`
	PromptTokens     int64 `json:"prompt_tokens"` // sent, whether or not a prefix was already evaluated
	CompletionTokens int64 `json:"completion_tokens"`
	NanoUSD          int64 `json:"nano_usd"`
	Unpriced         int64 `json:"unpriced_calls,omitempty"`
}

func spendOf(s llm.Spend) Spend {
	return Spend{s.Calls, s.PromptTokens + s.PromptCached, s.CompletionTokens, s.NanoUSD, s.Unpriced}
}

func (s Spend) llm() llm.Spend {
	return llm.Spend{Calls: s.Calls, PromptTokens: s.PromptTokens, CompletionTokens: s.CompletionTokens, NanoUSD: s.NanoUSD, Unpriced: s.Unpriced}
}

func (s Spend) negated() Spend {
	return Spend{-s.Calls, -s.PromptTokens, -s.CompletionTokens, -s.NanoUSD, -s.Unpriced}
}

// Plus adds.
func (s Spend) Plus(o Spend) Spend {
	return Spend{s.Calls + o.Calls, s.PromptTokens + o.PromptTokens, s.CompletionTokens + o.CompletionTokens, s.NanoUSD + o.NanoUSD, s.Unpriced + o.Unpriced}
}

// Subject is what is studied.
type Subject struct {
	Model llm.Model
	Peers []llm.Model
	Judge llm.Model // nil: the model judges itself
}

// lacks names what a study needs and the subject has not.
func (s Subject) lacks(needs string) error {
	for _, need := range strings.Fields(needs) {
		switch {
		case need == "logprobs" && !s.Model.Can(llm.LogProbs):
			return fmt.Errorf("needs token log-probabilities, which %s does not give", s.Model.ID())
		case need == "distribution" && !s.Model.Can(llm.Distribution):
			return fmt.Errorf("needs the full distribution at each token, which %s does not give; the local engine does", s.Model.ID())
		case need == "peers" && len(s.Peers) == 0:
			return errors.New("needs other models beside the one studied: name one with --peer")
		}
	}
	return nil
}

// each gives the subject with every model wrapped.
func (s Subject) each(wrap func(llm.Model) llm.Model) Subject {
	s.Model = wrap(s.Model)
	peers := make([]llm.Model, len(s.Peers))
	for i, m := range s.Peers {
		peers[i] = wrap(m)
	}
	s.Peers = peers
	if s.Judge != nil {
		s.Judge = wrap(s.Judge)
	}
	return s
}

// shortened has a ceiling on the length of its replies.
type shortened struct {
	llm.Model
	tokens int
}

// Do implements llm.Model.
func (m shortened) Do(ctx context.Context, op llm.Op) (*llm.Result, error) {
	if n := op.Request.MaxTokens; op.Kind == llm.Generate && (n == 0 || n > m.tokens) {
		op.Request.MaxTokens = m.tokens
	}
	return m.Model.Do(ctx, op)
}
