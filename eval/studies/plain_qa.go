package studies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gnothi"
	"gnothi/control"
	"gnothi/eval"
	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/monitor/prompt"
	"gnothi/stats"
	"gnothi/text"
)

// PlainAnswer is an answer and what speaks for it.
type PlainAnswer struct {
	Answered
	Set          string `json:"set,omitempty"`
	Kind         string `json:"kind,omitempty"`
	Answer       string `json:"answer"`
	Option       string `json:"option,omitempty"` // the key of the option that the answer is
	Options      int    `json:"options,omitempty"`
	Unanswerable bool   `json:"unanswerable,omitempty"`
	Declined     bool   `json:"declined,omitempty"`
	// Probability that the answer is right, and what calibrated it: calibrated or
	// prior; null where nothing does.
	Probability *float64 `json:"probability,omitempty"`
	Calibration string   `json:"calibration,omitempty"`
	// Signals of the answer by name, in [0,1], higher is more trustworthy.
	Signals map[string]float64 `json:"signals,omitempty"`
	// Before is what the first answer was, of a policy that revises.
	Before *text.Outcome `json:"before,omitempty"`
	// Others are the answers that lost the vote, and how many samples said so.
	Others []Other `json:"others,omitempty"`
	// Two is, of a question with two possible answers, which of the two is right
	// and which was given, 0 or 1.
	Two *[2]int `json:"two,omitempty"`
}

// Other is an answer that lost a vote.
type Other struct {
	Answer string `json:"answer"`
	Count  int    `json:"count"`
}

// First implements [eval.Revised].
func (r PlainAnswer) First() (text.Outcome, bool) {
	if r.Before == nil {
		return 0, false
	}
	return *r.Before, true
}

// Confidences implements [eval.Confident]: the signals, and the calibrated
// probability under the name probability.
func (r PlainAnswer) Confidences() map[string]float64 {
	out := maps.Clone(r.Signals)
	if r.Probability != nil {
		if out == nil {
			out = map[string]float64{}
		}
		out["probability"] = *r.Probability
	}
	return out
}

// Choice implements [eval.Chosen], of a question with two possible answers.
func (r PlainAnswer) Choice() (stimulus, response int, ok bool) {
	if r.Two == nil {
		return 0, 0, false
	}
	return r.Two[0], r.Two[1], true
}

// PlainQA is plain question answering: the user's questions.jsonl or any of the
// public sets that [collections] lists, in the folder itself or in sub-folders;
// without data, questions of gnothi's own that no calibrator was fitted on.
//
// The policy is the user's, without one a single greedy answer. A result has the
// answer, its grade, the calibrated probability where there is a calibrator, and
// every signal that comes without a further call. Options are known by what they
// say and shown in turned order; of an unanswerable question declining is the
// right answer.
func PlainQA() eval.Suite {
	calibrators := sync.OnceValues(calibrate.Shipped)
	return eval.Study[QA, PlainAnswer]{
		Name:  "qa",
		About: "plain questions and answers, of your own or of public sets, by any policy",
		Needs: "text",
		Items: func(s eval.Source) iter.Seq2[QA, error] { return turned(s, few(s, qaAll(s, 200, nil))) },
		Ask: func(ctx context.Context, s *eval.Session, q QA) (PlainAnswer, error) {
			set, err := calibrators()
			if err != nil {
				return PlainAnswer{}, err
			}
			return askPlain(ctx, s, q, set)
		},
		Meter: func() eval.Meter[PlainAnswer] { return &plainMeter{} },
	}
}

func askPlain(ctx context.Context, s *eval.Session, q QA, set *calibrate.Set) (PlainAnswer, error) {
	r := PlainAnswer{Answered: q.answered(), Set: q.Set, Kind: q.Kind, Options: len(q.Options), Unanswerable: q.Unanswerable}
	policy := s.Policy
	if policy == nil {
		policy = control.Direct()
	}
	mind, err := gnothi.New(s.Model, gnothi.WithPolicy(policy.String(), policy), gnothi.WithCalibrators(set), gnothi.WithSeed(s.SeedFor("question", 0)))
	if err != nil {
		return r, err
	}
	b, err := q.believe(llm.WithLedger(ctx, s.Ledger), mind)
	if b.Study == nil {
		return r, err
	}
	res := b.Study.Result
	if err := cutShort(res); err != nil {
		return r, err
	}
	if res.Best == nil && res.Stopped != "" && !errors.Is(err, llm.ErrBudget) {
		return r, fmt.Errorf("%w: %w", eval.ErrUnparsed, err) // the policy ended without an answer
	}
	if err != nil {
		return r, err
	}
	r.Answer, r.Option, r.Grade = *b.Answer, b.Option, q.grade(res.Best.Answer)
	r.Declined = res.Best.Answer.Status == text.Refused
	if b.Decision == control.Abstain || b.Decision == control.Clarify {
		if r.Declined, r.Grade = true, text.Refused; q.Unanswerable {
			r.Grade = text.Right
		}
	}
	r.Calibration = string(b.Calibration.Status)
	if b.Probability != nil {
		p := short(*b.Probability)
		r.Probability = &p
	}
	for _, signal := range b.Signals {
		if r.Signals == nil {
			r.Signals = map[string]float64{}
		}
		r.Signals[signal.Name] = short(signal.Score)
	}
	for _, a := range b.Alternatives {
		r.Others = append(r.Others, Other{a.Answer, a.Count})
	}
	r.Two = q.two(res.Best.Answer)
	if len(res.Trace) > 0 {
		before := q.grade(res.First().Answer)
		r.Before = &before
	}
	return r, nil
}

// cutShort tells a policy that a budget's end or an interruption stopped, whose
// answer is not the policy's.
func cutShort(r control.Result) error {
	switch {
	case r.Stopped == "budget":
		return llm.ErrBudget
	case strings.Contains(r.Stopped, llm.ErrStopped.Error()):
		return llm.ErrStopped
	}
	return nil
}

// short rounds a score to seven digits, which a record needs no more of.
func short(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 7, 64), 64) // its own output
	return v
}

// believe asks a mind. Options stand in the question's text, where every policy
// shows them.
func (q QA) believe(ctx context.Context, mind *gnothi.Mind) (gnothi.Belief, error) {
	question := q.question()
	if len(question.Options) == 0 {
		return mind.Ask(ctx, question)
	}
	question.Text = listed(question)
	shown := question
	shown.Options = nil // they are in the text
	form, _ := prompt.Select("chat", mind, shown)
	return mind.Deliberate(ctx, question, form.ID(), form.Request(shown))
}

// listed is a question's text with its options under their letters.
func listed(q monitor.Question) string {
	for _, o := range q.Options {
		q.Text += fmt.Sprintf("\n%s) %s", o.Letter, o.Text)
	}
	return q.Text
}

// two gives the place of the right answer among two possible ones and of the one
// that was given: of options in the order of their keys, or no and yes. Nil where
// there are not two, or no answer.
func (q QA) two(a text.Answer) *[2]int {
	if a.Status != text.Parsed || len(q.Answers) == 0 {
		return nil
	}
	if len(q.Options) == 2 {
		keys := slices.Sorted(maps.Keys(q.Options))
		right, said := q.keys(q.Answers[0]), q.said(a)
		if said == "" || len(right) != 1 {
			return nil
		}
		return &[2]int{slices.Index(keys, right[0]), slices.Index(keys, said)}
	}
	right, ok := text.ReadBool(q.Answers[0])
	said, also := text.ReadBool(a.Text)
	if len(q.Options) > 0 || !ok || !also {
		return nil
	}
	return &[2]int{int(one(right)), int(one(said))}
}

// plainMeter measures plain answers: of each it keeps some bytes.
type plainMeter struct {
	declined, answerable, caught, unanswerable int
	guessing                                   float64 // sum over the answers with options
	choices                                    int
	sets                                       []string
	graded                                     []gradedAnswer // of the answerable
	clusters                                   eval.Clusters
	told                                       []told // of all
	elsewhere                                  bool   // some are of another set than selfaware
}

type gradedAnswer struct {
	set   int32 // among the sets
	right bool
}

// told is whether something could be known, and was declined.
type told struct{ unanswerable, declined bool }

// Add implements [eval.Meter].
func (m *plainMeter) Add(r PlainAnswer) {
	m.told = append(m.told, told{r.Unanswerable, r.Declined})
	m.elsewhere = m.elsewhere || r.Set != "selfaware"
	if r.Unanswerable {
		m.unanswerable, m.caught = m.unanswerable+1, m.caught+int(one(r.Declined))
		return
	}
	m.answerable, m.declined = m.answerable+1, m.declined+int(one(r.Declined))
	if r.Options > 0 {
		m.guessing, m.choices = m.guessing+1/float64(r.Options), m.choices+1
	}
	right, ok := r.graded()
	if !ok {
		return
	}
	set := slices.Index(m.sets, r.Set)
	if set < 0 {
		set = len(m.sets)
		m.sets = append(m.sets, r.Set)
	}
	m.graded = append(m.graded, gradedAnswer{int32(set), right == 1}) //nolint:gosec // there are not so many sets
	m.clusters.Add(r.Group)
}

// accuracy measures the answers of a set; less than 0: of all.
func (m *plainMeter) accuracy(name string, set int) eval.Measure {
	var y []float64
	var at []int32
	for i, a := range m.graded {
		if set < 0 || int(a.set) == set {
			y, at = append(y, one(a.right)), append(at, int32(i)) //nolint:gosec // items are not so many
		}
	}
	return grouped(name, y, m.clusters.Groups(at))
}

// Measures implements [eval.Meter].
func (m *plainMeter) Measures() []eval.Measure {
	out := []eval.Measure{m.accuracy("accuracy of the answers", -1)}
	if m.answerable > 0 {
		out = append(out, eval.Share("declined", m.declined, m.answerable))
	}
	if m.choices > 0 {
		out = append(out, eval.Value("accuracy of guessing among the options", m.guessing/float64(m.choices), m.choices, "mean of 1/options", "computed, not measured"))
	}
	if len(m.sets) > 1 {
		for i, set := range m.sets {
			out = append(out, m.accuracy("accuracy: "+cmp.Or(set, "questions.jsonl"), i))
		}
	}
	if m.unanswerable > 0 {
		out = append(out, eval.Share("unanswerable: declined", m.caught, m.unanswerable), m.knowsUnknown())
	}
	return out
}

// knowsUnknown is selfaware's F1 of declining: what cannot be answered is what
// shall be declined.
func (m *plainMeter) knowsUnknown() eval.Measure {
	var published []eval.Published
	if !m.elsewhere {
		published = []eval.Published{{Value: .7547, Of: "gpt-4, recalled"}, {Value: .8493, Of: "people, recalled"}}
	}
	f, err := stats.Bootstrap{}.Figure(fixed(), len(m.told), func(idx []int) (float64, error) {
		var hits, declined, should float64
		for _, i := range idx {
			t := m.told[i]
			hits += one(t.declined && t.unanswerable)
			declined += one(t.declined)
			should += one(t.unanswerable)
		}
		if declined+should == 0 {
			return 0, stats.ErrEmpty
		}
		return 2 * hits / (declined + should), nil
	})
	return eval.Of("declining where nothing can be known, F1", f, err, published...)
}
