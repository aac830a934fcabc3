package learn

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"gnothi/control"
	"gnothi/learn/countdown"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/judge"
	"gnothi/text"
)

// Prompt is what a recipe starts from. Most need only a question.
type Prompt struct {
	ID       string
	Question string
	Context  string
	Kind     text.Kind // how an answer is read
	Answers  []string  // accepted ones; none: not known
	// Response is a given reply to the question, for recipes that learn to judge
	// or to comment; Score is what it deserves, if that is known.
	Response string
	Score    *float64
	// Feasible says of a task whether a model can do it, if that is known.
	Feasible *bool
	// Countdown is a puzzle; Question then states it.
	Countdown *countdown.Puzzle
	// Verifier tells right answers from wrong ones, where Answers and Countdown do not.
	Verifier *control.Verifier
}

// Trial is the question as a trial sees it: without what is right.
func (p Prompt) Trial() monitor.Question {
	return monitor.Question{Text: p.Question, Context: p.Context, Kind: p.Kind}
}

// Checked reports whether there is something to check answers by.
func (p Prompt) Checked() bool {
	return p.Countdown != nil || len(p.Answers) > 0 || p.Verifier != nil
}

// errUnchecked is what a recipe that needs a checker says without one.
var errUnchecked = &monitor.MissingError{Needs: "something to check answers by: answers, numbers and target, or a verifier"}

// Check grades a candidate: by the puzzle, the accepted answers, or the
// verifier, whichever comes first. A refusal and what cannot be read are neither
// right nor wrong.
func (p Prompt) Check(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (text.Outcome, error) {
	switch {
	case p.Countdown != nil:
		expr := countdown.Find(c.Text)
		if expr == "" {
			if _, refused := text.Refusal(c.Text); refused {
				return text.Refused, nil
			}
			return text.Unparsed, nil
		}
		if p.Countdown.Check(expr) == nil {
			return text.Right, nil
		}
		return text.Wrong, nil
	case len(p.Answers) > 0:
		return text.Grade(p.Kind, c.Answer, p.Answers), nil
	case p.Verifier != nil:
		ok, err := p.Verifier.Passes(ctx, t, c)
		if ok {
			return text.Right, err
		}
		return text.Wrong, err
	}
	return text.Unparsed, errUnchecked
}

// verifier is Check in the form that policies take; it is the same for the same
// prompt, so each recipe makes it once.
func (p Prompt) verifier() *control.Verifier {
	if p.Countdown == nil && len(p.Answers) == 0 && p.Verifier != nil {
		return p.Verifier
	}
	return &control.Verifier{At: 0.5, Signal: monitor.Each("verifier/check", func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		o, err := p.Check(ctx, t, c)
		r := monitor.Reading{Source: "checker", Why: "the answer is " + o.String()}
		if o == text.Right {
			r.Score, r.Raw = 1, 1
		}
		return r, err
	})}
}

// Kind is what a row is for.
type Kind string

// The kinds.
const (
	Pair    Kind = "pair"    // prompt, chosen, rejected, margin
	SFT     Kind = "sft"     // prompt, completion
	Reward  Kind = "reward"  // prompt, completion, reward, or rewards of spans
	Ranking Kind = "ranking" // prompt, ranking, best first
)

// Row is one training example. Fields that its kind has no use for are absent.
type Row struct {
	ID     string `json:"id"`     // the prompt's
	Recipe string `json:"recipe"` // census slug
	Kind   Kind   `json:"kind"`
	// Role is whom the row trains: "" the one who answers, else judge, critic, …
	// Rows of another role are a data set of their own.
	Role       string   `json:"role,omitempty"`
	Prompt     string   `json:"prompt"`
	Completion string   `json:"completion,omitempty"`
	Chosen     string   `json:"chosen,omitempty"`
	Rejected   string   `json:"rejected,omitempty"`
	Margin     *float64 `json:"margin,omitempty"` // score of chosen less that of rejected
	Reward     *float64 `json:"reward,omitempty"`
	Ranking    []Ranked `json:"ranking,omitempty"`
	// Spans mark parts of the completion.
	Spans []Span `json:"spans,omitempty"`
	// Scores are further figures of the row, by name.
	Scores map[string]float64 `json:"scores,omitempty"`
	Right  *bool              `json:"right,omitempty"` // what a checker says of it, which trains nothing
	Model  string             `json:"model"`
	Seed   uint64             `json:"seed"`
}

// Ranked is a completion in an order; equal ranks tie, 1 is best.
type Ranked struct {
	Completion string  `json:"completion"`
	Rank       int     `json:"rank"`
	Score      float64 `json:"score"`
}

// Span is a part of a completion, in bytes: for a mask, what it is; for rewards
// of tokens, what it earns.
type Span struct {
	Start  int      `json:"start"`
	End    int      `json:"end"`
	What   string   `json:"what"`
	Reward *float64 `json:"reward,omitempty"`
}

// Check says what is wrong with a row: a number that is none, a span outside, a
// field that its kind needs and that is empty.
func (r Row) Check() error {
	bad := func(x *float64) bool { return x != nil && (math.IsNaN(*x) || math.IsInf(*x, 0)) }
	switch {
	case strings.TrimSpace(r.Prompt) == "":
		return errors.New("prompt: empty")
	case r.Kind == Pair && (r.Chosen == "" || r.Rejected == "" || r.Chosen == r.Rejected):
		return errors.New("chosen, rejected: empty or the same")
	case r.Kind == SFT && r.Completion == "":
		return errors.New("completion: empty")
	case r.Kind == Reward && r.Reward == nil && len(r.Spans) == 0:
		return errors.New("reward: none")
	case r.Kind == Ranking && len(r.Ranking) < 2:
		return errors.New("ranking: of fewer than two")
	case bad(r.Margin) || bad(r.Reward):
		return errors.New("margin, reward: not finite")
	}
	for k, v := range r.Scores {
		if bad(&v) {
			return fmt.Errorf("scores: %s is not finite", k)
		}
	}
	for _, s := range r.Spans {
		if s.Start < 0 || s.Start > s.End || s.End > len(r.Completion) || bad(s.Reward) {
			return fmt.Errorf("spans: %d to %d of %d bytes", s.Start, s.End, len(r.Completion))
		}
	}
	return nil
}

// Recipe is a paper as a way to make rows.
type Recipe struct {
	Name  string // census slug
	About string // in one line
	Needs string // of prompts and models, in words
	// Rows adds to made what it makes of one prompt. After an error there are no
	// rows of the prompt: half of what a method looks at is a biased part of it.
	Rows func(ctx context.Context, t *monitor.Trial, p Prompt, made *Made) error
	// All, if set, chooses among the rows of all prompts, in the order of the
	// prompts, where a rule is about the whole set. Nil: rows stand as they are.
	All func(rows []Row, made *Made) []Row
}

// Run makes the rows of one prompt.
func (r Recipe) Run(ctx context.Context, t *monitor.Trial, p Prompt) (*Made, error) {
	m := &Made{Prompt: p.ID}
	if err := r.Rows(ctx, t, p, m); err != nil {
		return &Made{Prompt: p.ID, Err: err}, err
	}
	kept := m.Rows[:0]
	for _, row := range m.Rows {
		row.ID, row.Recipe, row.Model, row.Seed = p.ID, r.Name, t.Model.ID().String(), t.Seed
		if row.Prompt == "" {
			row.Prompt = question(p)
		}
		if err := row.Check(); err != nil {
			m.Drop(err.Error())
			continue
		}
		kept = append(kept, row)
	}
	m.Rows = kept
	return m, nil
}

// question is the bare prompt that a row trains on: nothing of what a recipe
// said to get its samples is in it.
func question(p Prompt) string {
	if p.Context == "" {
		return p.Question
	}
	return "Context: " + p.Context + "\n\n" + p.Question
}

// Made is what a recipe made of a prompt, for its rows and for the report.
type Made struct {
	Prompt string
	Rows   []Row
	Err    error // why there are none

	dropped  map[string]int
	scores   []float64            // of everything scored, for the histogram
	shares   map[string][2]int    // how many of how many, by name
	values   map[string][]float64 // by name
	labelled [][2]float64         // score, and whether it was right
	judged   []func(*judge.Tally)
	self     bool // a judge of the author's own kind
	finished int  // of [Recipe.All]: prompts without error, those without rows too
	notes    []string
}

// Add adds a row.
func (m *Made) Add(r Row) { m.Rows = append(m.Rows, r) }

// Drop counts something that came to no row.
func (m *Made) Drop(why string) { m.DropN(why, 1) }

// DropN counts n of them.
func (m *Made) DropN(why string, n int) {
	if n == 0 {
		return
	}
	if m.dropped == nil {
		m.dropped = map[string]int{}
	}
	m.dropped[why] += n
}

// Score notes scores for the histogram; what is not a number is missing.
func (m *Made) Score(scores ...float64) {
	for _, s := range scores {
		if !math.IsNaN(s) {
			m.scores = append(m.scores, s)
		}
	}
}

// Count notes one case of a share that the report gives.
func (m *Made) Count(name string, hit bool) {
	if m.shares == nil {
		m.shares = map[string][2]int{}
	}
	s := m.shares[name]
	if s[1]++; hit {
		s[0]++
	}
	m.shares[name] = s
}

// Value notes one value of a figure that the report gives.
func (m *Made) Value(name string, x float64) {
	if m.values == nil {
		m.values = map[string][]float64{}
	}
	m.values[name] = append(m.values[name], x)
}

// Label notes a score together with whether what it scores was right.
func (m *Made) Label(score float64, right bool) {
	y := 0.0
	if right {
		y = 1
	}
	m.labelled = append(m.labelled, [2]float64{score, y})
}

// Note adds a line to the report; the same line is told once.
func (m *Made) Note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

// rate lets a judge rate, and notes what the report needs; of a verdict that
// could not be read the score is NaN, and that is no error.
func (m *Made) rate(ctx context.Context, j *judge.Judge, t *monitor.Trial, c *monitor.Candidate) (judge.Rating, error) {
	r, err := j.Rate(ctx, t, c)
	if err != nil {
		r.Score, r.Unit = math.NaN(), math.NaN()
	}
	return r, m.heard(j, err, func(b *judge.Tally) { b.Rated(r, err) }, "rating that could not be read")
}

// heard notes a verdict. An unparsed one is counted and no error.
func (m *Made) heard(j *judge.Judge, err error, tell func(*judge.Tally), unparsed string) error {
	if err != nil && !errors.Is(err, judge.ErrUnparsed) {
		return err
	}
	if err != nil {
		m.Drop(unparsed)
	}
	m.judged = append(m.judged, tell)
	m.self = m.self || len(j.Panel) == 0
	return nil
}

// duel is a judge's comparison for whoever plays candidates against each other.
// Its verdicts go into the report.
func (m *Made) duel(j *judge.Judge) control.Duel {
	return func(ctx context.Context, t *monitor.Trial, a, b *monitor.Candidate) (float64, error) {
		c, err := j.Compare(ctx, t, a, b)
		if other := m.heard(j, err, func(tally *judge.Tally) { tally.Compared(c, err) }, "comparison that could not be read"); other != nil {
			return 0, other
		}
		return c.Outcome, err
	}
}

// pool draws n samples and leaves out what is no attempt at an answer or was cut
// off. With distinct, texts that are the same are one candidate.
func (m *Made) pool(ctx context.Context, t *monitor.Trial, s monitor.Sampling, n int, distinct bool) ([]*monitor.Candidate, error) {
	cs, err := t.Samples(ctx, s, n)
	if err != nil {
		return nil, err
	}
	return m.sift(cs, t, distinct), nil
}

func (m *Made) sift(cs []*monitor.Candidate, t *monitor.Trial, distinct bool) (out []*monitor.Candidate) {
	seen := map[string]bool{}
	for _, c := range cs {
		said := said(c)
		why, bad := text.Degenerate(said, t.Question.Text)
		switch {
		case bad:
			m.Drop("sample: " + why)
		case c.Finish == "length":
			m.Drop("sample: cut off")
		case distinct && seen[said]:
			m.Drop("sample: same text as another")
		default:
			seen[said] = true
			out = append(out, c)
		}
	}
	return out
}

// said is a candidate's text as a row has it.
func said(c *monitor.Candidate) string { return strings.TrimSpace(c.Text) }

// lengths are those of candidates, in characters.
func lengths(cs []*monitor.Candidate) []int {
	out := make([]int, len(cs))
	for i, c := range cs {
		out[i] = utf8.RuneCountInString(said(c))
	}
	return out
}

// pair is a pair of candidates; a margin that is not a number is left out.
func pair(chosen, rejected *monitor.Candidate, margin float64) Row {
	return Row{Kind: Pair, Chosen: said(chosen), Rejected: said(rejected), Margin: number(margin)}
}

// number is x, or nil for what is none.
func number(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// truth is a checker's verdict on a row; nil where it has none.
func truth(o text.Outcome) *bool {
	if o != text.Right && o != text.Wrong {
		return nil
	}
	right := o == text.Right
	return &right
}

// asideTrial is a child trial about other words than the trial's question, with
// a memo of its own.
func asideTrial(t *monitor.Trial, name string, i int, q monitor.Question, tokens int) *monitor.Trial {
	words := q.Text
	if q.Context != "" {
		words = "Context: " + q.Context + "\n\n" + words
	}
	child := t.Child(name, i, nil, llm.Request{Messages: []llm.Message{{Role: "user", Text: words}}, MaxTokens: tokens})
	child.Question = q
	return child
}
